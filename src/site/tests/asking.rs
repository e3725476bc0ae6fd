//! Asking a site as a client does.

use std::net::IpAddr;

use crate::config::{HeaderRule, RedirectRule};
use crate::http::head::{self, Bounds, Parsed};
use crate::site::{Answer, Content, Reply, Request};

use super::*;

/// A reply, as text.
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Seen {
    fn of(reply: &Reply) -> Seen {
        let mut lines: Vec<u8> = Vec::new();
        reply.write_fields(&mut lines);
        let body = match &reply.content {
            Content::Whole(representation) => body_bytes(representation),
            Content::Page(..) => b"page".to_vec(),
            _ => Vec::new(),
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Seen { status: reply.status.code(), head: text(lines), body: text(body) }
    }

    /// The values of a field.
    pub(super) fn field(&self, name: &str) -> Vec<&str> {
        let lines = self.head.split("\r\n").filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// `STATUS BODY` or `STATUS LOCATION`.
    pub(super) fn short(&self) -> String {
        let what = self.field("Location").first().copied().unwrap_or(&self.body);
        format!("{} {what}", self.status)
    }
}

fn body_bytes(of: &Representation) -> Vec<u8> {
    match of.file() {
        None => of.bytes()[of.head_end()..].to_vec(),
        Some(open) => {
            let mut bytes = vec![0; usize::try_from(of.size()).unwrap()];
            open.file().read_exact_at(&mut bytes, 0).unwrap();
            bytes
        }
    }
}

impl Bench {
    /// The reply to a request line and field lines from this address.
    pub(super) fn ask_from(&mut self, client: Option<IpAddr>, line: &str, fields: &[&str]) -> Seen {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let host = if fields.to_ascii_lowercase().contains("host:") { "" } else { "Host: a\r\n" };
        let head = format!("{line} HTTP/1.1\r\n{host}{fields}\r\n");
        let bounds = Bounds { head_bytes: 32_768, target_bytes: 32_768, fields: 64 };
        let mut space = head::space();
        let Ok(Parsed::Complete(head)) = head::parse(head.as_bytes(), &mut space, &bounds) else {
            panic!("{line} is malformed");
        };
        let request = Request::of(&head, client, None);
        self.explain(&request, line);
        for _ in 0..1000 {
            self.sites.work(&self.clock, &mut || true);
            match self.sites.respond(&request, Blocking::Allowed, &self.clock) {
                Ok(Answer::Reply(reply)) => return Seen::of(&reply),
                Ok(Answer::Later(_)) => {}
                Err(failure) => return Seen::of(&self.sites.fail(failure)),
            }
        }
        panic!("{line} is never answered");
    }

    /// Checks that the explanation of a request leads to its reply. New sites explain it, because
    /// that changes the cache.
    fn explain(&self, request: &Request<'_>, line: &str) {
        let configs = self.sites.sites.iter().map(|site| site.config.clone()).collect();
        let Ok(mut sites) = Sites::new(configs, &self.limits, Door::best(), 1) else { return };
        let explanation = sites.explain(request, &self.clock).unwrap();
        assert!(explanation.is_consistent, "{line}: {explanation:#?}");
        assert!(explanation.steps.last().is_some_and(|step| step.decides), "{line}");
    }

    pub(super) fn ask(&mut self, line: &str, fields: &[&str]) -> Seen {
        self.ask_from(None, line, fields)
    }

    /// Encodes and hashes everything that waits for it. Returns the number of steps.
    pub(super) fn use_spare_time(&mut self) -> u32 {
        let mut steps = 0;
        while let Some(due) = self.sites.spare_work_due() {
            if due > self.clock.tick {
                self.wait(due.since(self.clock.tick));
            }
            self.sites.spare_work(&self.clock);
            steps += 1;
        }
        steps
    }
}

pub(super) fn start(config: SiteConfig, files: &[(&str, &str)]) -> Bench {
    let bench = Bench::with(Door::best(), &[], config);
    for (name, text) in files {
        bench.put(name, text);
    }
    bench
}

/// A bench whose rule files are there from the start.
pub(super) fn bench_with_rule_files(files: &[(&str, &str)]) -> Bench {
    let config = SiteConfig { rule_files: true, ..SiteConfig::default() };
    let mut bench = start(config, files);
    bench.wait_for_revalidation();
    bench
}

pub(super) fn redirect(from: &str, to: &str, status: u16, force: bool) -> RedirectRule {
    let place = "test".to_owned();
    RedirectRule { from: from.to_owned(), to: to.to_owned(), status, force, place }
}

pub(super) fn header(pattern: &str, values: &[(&str, &str)], remove: &[&str]) -> HeaderRule {
    let pair = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    HeaderRule {
        pattern: pattern.to_owned(),
        values: values.iter().map(pair).collect(),
        remove: remove.iter().map(ToString::to_string).collect(),
        place: "test".to_owned(),
    }
}

pub(super) fn text(length: usize) -> String {
    "body { color: red }\n".repeat(length / 20 + 1)[..length].to_owned()
}
