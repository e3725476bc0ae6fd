//! Whether a request is a navigation: a browser asks for a page, not for a part of one.

use crate::http::fields::{Field, Fields, Line};
use crate::http::target::name_start;

/// True if the request says that it is a navigation (Fetch Metadata Request Headers), or names HTML
/// among what it accepts and its path has no extension. A client that accepts everything (`*/*`)
/// does not ask for a page.
pub(super) fn is_navigation(fields: &Fields<'_, '_>, path: &[u8]) -> bool {
    let says_so = fields.only(Field::SecFetchMode) == Line::One(b"navigate");
    says_so || (!has_extension(path) && accepts_html(fields))
}

fn has_extension(path: &[u8]) -> bool {
    path[name_start(path)..].contains(&b'.')
}

/// Whether Accept names `text/html`, and not to exclude it.
fn accepts_html(fields: &Fields<'_, '_>) -> bool {
    fields.lines(Field::Accept).flat_map(|line| line.split(|byte| *byte == b',')).any(|range| {
        let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let is_html = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(b"text/html"));
        is_html && !parts.any(is_zero_weight)
    })
}

/// `q=0`, with up to three zeros behind a point (RFC 9110 section 12.4.2).
fn is_zero_weight(parameter: &[u8]) -> bool {
    let zero = parameter.strip_prefix(b"q=0").or_else(|| parameter.strip_prefix(b"Q=0"));
    zero.is_some_and(|rest| rest.iter().all(|byte| matches!(byte, b'.' | b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::fields::with;

    #[test]
    fn a_navigation_says_so_or_accepts_html_for_a_path_without_an_extension() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (path, mode, accept, expected) in [
            ("/deep/link", Some("navigate"), None, true),
            ("/deep/link.js", Some("navigate"), None, true),
            ("/deep/link", Some("cors"), None, false),
            ("/deep/link", None, Some(browser), true),
            ("/deep/link.js", None, Some(browser), false),
            ("/deep.d/link", None, Some(browser), true),
            ("/deep/", None, Some("TEXT/HTML"), true),
            ("/deep/link", None, Some("*/*"), false),
            ("/deep/link", None, Some("text/*"), false),
            ("/deep/link", None, Some("text/html;q=0"), false),
            ("/deep/link", None, Some("text/html ; q=0.000"), false),
            ("/deep/link", None, Some("text/html;level=1;q=0.1"), true),
            ("/deep/link", None, Some("application/json, text/html"), true),
            ("/deep/link", None, None, false),
        ] {
            let fields = [("Sec-Fetch-Mode", mode), ("Accept", accept)];
            let lines: Vec<_> =
                fields.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
            let is = with(&lines, |fields| is_navigation(fields, path.as_bytes()));
            assert_eq!(is, expected, "{path} {lines:?}");
        }
    }
}
