//! The request that a question is about: from a URL and fields to the head that a client sends.

use crate::http::body::is_token;
use crate::http::host::Host;
use crate::http::target::Scheme;

use super::Question;

/// The request of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The target.
    pub(super) target: String,
    /// The scheme of the URL, if it has one.
    pub(super) scheme: Option<Scheme>,
    /// The host of the URL.
    pub(super) url_host: String,
    /// The host that the request names.
    pub(super) host: String,
    /// The whole head.
    pub(super) head: Vec<u8>,
}

impl Asked {
    /// The request of a question.
    ///
    /// # Errors
    /// An argument that is no part of a request, or that needs a body; how to fix it.
    pub(super) fn of(question: &Question) -> Result<Asked, String> {
        let method = &question.method;
        if !is_token(method) {
            return Err(format!("'{}' is not a method; use GET or HEAD", method.escape_debug()));
        }
        let (scheme, url_host, target) = split_url(&question.url)?;
        let mut host = url_host.clone();
        let mut lines = String::new();
        let mut has_host = false;
        for field in &question.fields {
            let (name, value) = split_field(field)?;
            if name.eq_ignore_ascii_case("Host") {
                host = value.to_owned();
                has_host = true;
            }
            lines.push_str(&format!("{name}: {value}\r\n"));
        }
        if !has_host {
            lines.insert_str(0, &format!("Host: {host}\r\n"));
        }
        let head = format!("{method} {target} HTTP/1.1\r\n{lines}\r\n").into_bytes();
        Ok(Asked { target, scheme, url_host, host, head })
    }
}

/// Scheme, host and request target of a URL, which may lack its scheme, or be a path alone.
fn split_url(url: &str) -> Result<(Option<Scheme>, String, String), String> {
    if url.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
        let advice = "write %20 for a space";
        return Err(format!(
            "'{}' has a space or a control character; {advice}",
            url.escape_debug()
        ));
    }
    let url = url.split('#').next().unwrap_or_default();
    if url == "*" || url.starts_with('/') {
        return Ok((None, HOST.to_owned(), url.to_owned()));
    }
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Some(Scheme::Http), rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Some(Scheme::Https), rest),
        Some((scheme, _)) if !scheme.contains(['/', '?']) => {
            return Err(format!("'{url}' has the scheme {scheme}; use http or https"));
        }
        _ => (None, url),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(end);
    if Host::parse(host.as_bytes()).is_none_or(|host| host.name().is_empty()) {
        return Err(format!("'{url}' has no valid host; write http://HOST/PATH or /PATH"));
    }
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    Ok((scheme, host.to_owned(), target))
}

/// The host of a request for a path alone.
const HOST: &str = "localhost";

fn split_field(field: &str) -> Result<(&str, &str), String> {
    let shown = field.escape_debug();
    let Some((name, value)) = field.split_once(':') else {
        return Err(format!("'{shown}' is not a field; write 'Name: value'"));
    };
    if !is_token(name) {
        let advice = "use letters, digits and hyphens before the colon";
        return Err(format!("'{shown}' has no valid name; {advice}"));
    }
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(format!("'{shown}' has a control character; remove it"));
    }
    let has_body =
        ["Content-Length", "Transfer-Encoding"].iter().any(|it| name.eq_ignore_ascii_case(it));
    if has_body {
        return Err(format!("'{shown}' announces a body, which is never explained; remove it"));
    }
    Ok((name, value.trim_matches([' ', '\t'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(url: &str, method: &str, fields: &[&str]) -> Result<String, String> {
        let question = Question {
            url: url.to_owned(),
            method: method.to_owned(),
            fields: fields.iter().map(ToString::to_string).collect(),
            client: std::net::Ipv4Addr::LOCALHOST.into(),
        };
        Asked::of(&question).map(|asked| String::from_utf8(asked.head).unwrap())
    }

    #[test]
    fn a_url_becomes_the_head_that_a_client_sends() {
        for (url, fields, head) in [
            ("/a?b#c", &[][..], "GET /a?b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            ("http://a.b:80/c", &[], "GET /c HTTP/1.1\r\nHost: a.b:80\r\n\r\n"),
            ("HTTPS://a.b?c", &[], "GET /?c HTTP/1.1\r\nHost: a.b\r\n\r\n"),
            ("a.b/c://d", &[], "GET /c://d HTTP/1.1\r\nHost: a.b\r\n\r\n"),
            ("http://[::1]", &[], "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n"),
            ("*", &[], "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            ("a/b", &["host:c", "X:  y "], "GET /b HTTP/1.1\r\nhost: c\r\nX: y\r\n\r\n"),
        ] {
            assert_eq!(ask(url, "GET", fields).as_deref(), Ok(head), "{url}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused_with_advice() {
        for (url, method, field, why) in [
            ("/a b", "GET", "A: b", "write %20 for a space"),
            ("ftp://a/b", "GET", "A: b", "use http or https"),
            ("http://", "GET", "A: b", "no valid host"),
            ("", "GET", "A: b", "no valid host"),
            ("http://a@b/", "GET", "A: b", "no valid host"),
            ("/", "", "A: b", "not a method"),
            ("/", "G T", "A: b", "not a method"),
            ("/", "GET", "A b", "write 'Name: value'"),
            ("/", "GET", ": b", "no valid name"),
            ("/", "GET", "A b: c", "no valid name"),
            ("/", "GET", "A: b\r\nC: d", "control character"),
            ("/", "GET", "content-length: 5", "announces a body"),
        ] {
            let refused = ask(url, method, &[field]).unwrap_err();
            assert!(refused.contains(why), "{url} {method} {field}: {refused}");
        }
    }
}
