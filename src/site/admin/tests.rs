//! The internal site, without a loop: metrics are provided by the tests.

use super::super::page::Page;
use super::super::{Channel, Content, Request};
use super::*;
use crate::http::fields::Fields;
use crate::http::head::Expectation;
use crate::http::host::Host;
use crate::metrics::Metric;

fn ask(admin: &mut Admin, method: Method, target: &str, draining: bool) -> Answer {
    ask_host(admin, method, target, draining, None)
}

fn ask_host(
    admin: &mut Admin,
    method: Method,
    target: &str,
    draining: bool,
    host: Option<&str>,
) -> Answer {
    let request = Request {
        method,
        target: target.as_bytes(),
        host: host.and_then(|host| Host::parse(host.as_bytes())),
        client: None,
        channel: Channel::Plain,
        expectation: Expectation::None,
        fields: &Fields::collect(&[]),
        fill: None,
        from_files: false,
    };
    admin.respond(&request, draining).unwrap()
}

/// Status, fields and body of a reply.
fn reply(answer: Answer) -> (u16, String, String) {
    let Answer::Reply(reply) = answer else { panic!("{answer:?}") };
    let mut fields = Vec::new();
    reply.write_fields(&mut fields);
    let body = match &reply.content {
        Content::Whole(it) => String::from_utf8(it.bytes()[it.head_end()..].to_vec()).unwrap(),
        _ => reply.page().iter().flat_map(Page::pieces).collect(),
    };
    (reply.status.code(), String::from_utf8(fields).unwrap(), body)
}

#[test]
fn each_path_has_its_response_and_nothing_is_stored() {
    for (method, target, draining, status, body) in [
        (Method::Get, "/healthz", false, 200, "ok\n"),
        (Method::Get, "/healthz?x", true, 200, "ok\n"),
        (Method::Head, "/readyz", false, 200, "ok\n"),
        (Method::Get, "http://any.example/readyz", false, 200, "ok\n"),
        (Method::Get, "/readyz", true, 503, "the server stops\n"),
        (Method::Get, "/", false, 200, "<title>tenkay</title>"),
        (Method::Get, "/metrics", false, 200, "tenkay_connections_accepted_total 7\n"),
        (Method::Get, "/status.json", true, 200, "\"ready\":false"),
        (Method::Get, "/metrics/", false, 404, "The paths are"),
        (Method::Get, "/../etc/passwd", false, 404, "404 Not Found"),
        (Method::NotServed, "/metrics", false, 405, "405"),
        (Method::Connect, "/metrics", false, 405, "405"),
        (Method::Unknown, "/metrics", false, 501, "501"),
        (Method::Options, "/metrics", false, 204, ""),
    ] {
        let mut admin = Admin::new(true);
        let mut snapshot = Snapshot::default();
        snapshot.set(Metric::Accepted, &[7]);
        admin.provide(snapshot, Reload::default());
        let (code, fields, text) = reply(ask(&mut admin, method, target, draining));
        assert_eq!(code, status, "{target}");
        let body = body.replace("The paths", "the paths");
        assert!(text.contains(&body), "{target}: {text}");
        assert!(fields.contains("Server: tenkay\r\n"), "{target}: {fields}");
        let is_stored = !fields.contains("Cache-Control: no-store\r\n");
        assert!(!is_stored || !matches!(code, 200 | 503), "{target}: {fields}");
    }
}

#[test]
fn a_name_that_another_site_can_have_gets_no_metrics() {
    let mut admin = Admin::new(false);
    admin.answer_to(vec!["web1.example.org".to_owned(), "*.pods.example".to_owned()]);
    admin.provide(Snapshot::default(), Reload::default());
    for (host, status) in [
        (Some("127.0.0.1:9180"), 200),
        (Some("[::1]:9180"), 200),
        (Some("localhost:9180"), 200),
        (Some("tenkay"), 200),
        (Some("Web1.Example.org.:9180"), 200),
        (Some("a.pods.example"), 200),
        (None, 200),
        (Some("example.org"), 421),
        (Some("evil.example:9180"), 421),
        (Some("127.0.0.1.evil.example"), 421),
        (Some("localhost.evil.example"), 421),
    ] {
        let mut status_of = |target| {
            let answer = ask_host(&mut admin, Method::Get, target, false, host);
            reply(answer).0
        };
        for target in ["/", "/metrics", "/status.json"] {
            assert_eq!(status_of(target), status, "{host:?}");
        }
        // A probe may come by any name: it learns nothing else.
        assert_eq!(status_of("/healthz"), 200);
        // The authority of the target wins.
        assert_eq!(status_of("http://evil.example/metrics"), 421);
    }
}

#[test]
fn metrics_wait_for_the_turn_that_provides_them_and_are_not_used_later() {
    let mut admin = Admin::new(false);
    for round in 1..3 {
        assert!(!admin.is_waiting());
        assert!(matches!(
            ask(&mut admin, Method::Get, "/metrics", false),
            Answer::Later(Wait::Turn)
        ));
        assert!(admin.is_waiting());
        let mut snapshot = Snapshot::default();
        snapshot.set(Metric::Accepted, &[round]);
        admin.provide(snapshot, Reload::default());
        let (_, fields, text) = reply(ask(&mut admin, Method::Get, "/metrics", false));
        assert!(text.contains(&format!("_accepted_total {round}\n")), "{text}");
        assert!(fields.contains("Content-Type: text/plain; version=0.0.4\r\n"), "{fields}");
        assert!(!fields.contains("Server:"), "{fields}");
        admin.forget();
    }
}

#[test]
fn the_page_has_no_external_resource_and_its_policy_permits_no_other_script() {
    let live = Live::default();
    let made = live.get();
    for element in ["style", "script"] {
        let (start, end) = (format!("<{element}>"), format!("</{element}>"));
        assert_eq!(made.page.matches(&start).count(), 1, "{element}");
        let inside = made.page.split_once(&start).unwrap().1.split_once(&end).unwrap().0;
        let source = crate::http::digest::policy_source(inside);
        assert!(made.policy.contains(&format!("{element}-src {source};")), "{element}");
    }
    for reference in ["http:", "https:", "src=", "style=", " on", "@import", "url("] {
        let found = made.page.match_indices(reference).find(|(at, _)| {
            // A word of a text or of the script, not an attribute.
            reference != " on"
                || made.page[at + 3..].starts_with(|it: char| it.is_alphabetic())
                    && made.page[*at..].split_once('=').is_some_and(|(name, _)| {
                        name[1..].chars().all(|it| it.is_ascii_lowercase())
                    })
        });
        assert_eq!(found, None, "{reference}");
    }
}
