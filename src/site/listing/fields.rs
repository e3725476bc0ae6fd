//! The fields of a listing.

use super::form::Format;
use super::html::SECURITY_POLICY;

/// The field lines of a listing, made from those that its rules give it.
///
/// The page has a security policy of its own. That of the site would be for the pages of the site:
/// of it, only the directives that do not concern the content of the page are kept.
pub(in crate::site) fn listing_lines(lines: &[u8], format: Format, is_cut: bool) -> Vec<u8> {
    let mut own = Vec::with_capacity(lines.len() + SECURITY_POLICY.len() + 64);
    let mut policies = vec![SECURITY_POLICY.to_owned()];
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        match str::from_utf8(line).ok().and_then(|line| line.split_once(": ")) {
            Some((name, value))
                if format == Format::Html
                    && name.eq_ignore_ascii_case("Content-Security-Policy") =>
            {
                policies.extend(value.split(',').map(kept).filter(|it| !it.is_empty()));
            }
            _ => own.extend_from_slice(line),
        }
    }
    if format == Format::Html {
        let line = format!("Content-Security-Policy: {}\r\n", policies.join(", "));
        own.extend_from_slice(line.as_bytes());
    }
    if is_cut {
        own.extend_from_slice(b"X-Listing-Truncated: true\r\n");
    }
    own
}

/// The directives of a policy that a listing obeys beside its own.
fn kept(policy: &str) -> String {
    let is_kept = |directive: &&str| {
        let name = directive.split_ascii_whitespace().next().unwrap_or_default();
        KEPT.iter().any(|kept| name.eq_ignore_ascii_case(kept))
    };
    policy.split(';').map(str::trim).filter(is_kept).collect::<Vec<_>>().join("; ")
}

/// Who may embed the page, and where violations are reported.
const KEPT: [&str; 4] = ["frame-ancestors", "upgrade-insecure-requests", "report-uri", "report-to"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_its_own_security_policy_and_that_of_the_site_about_embedding() {
        let own = SECURITY_POLICY;
        for (lines, expected) in [
            ("Server: x\r\n", format!("Server: x\r\nContent-Security-Policy: {own}\r\n")),
            (
                "content-security-policy: default-src 'self'; frame-ancestors 'self'\r\nA: b\r\n",
                format!("A: b\r\nContent-Security-Policy: {own}, frame-ancestors 'self'\r\n"),
            ),
            (
                "Content-Security-Policy: script-src 'self', Frame-Ancestors a;report-to b\r\n",
                format!("Content-Security-Policy: {own}, Frame-Ancestors a; report-to b\r\n"),
            ),
        ] {
            let found = listing_lines(lines.as_bytes(), Format::Html, false);
            assert_eq!(String::from_utf8(found).unwrap(), expected);
            let json = listing_lines(lines.as_bytes(), Format::Json, false);
            assert_eq!(String::from_utf8(json).unwrap(), lines);
        }
        let cut = listing_lines(b"", Format::Json, true);
        assert_eq!(cut, b"X-Listing-Truncated: true\r\n");
    }
}
