//! Whether a request is a navigation: a browser asks for a page, not for a part of one.

use crate::http::fields::{Field, Fields, Line};
use crate::http::negotiate::media_quality;
use crate::http::target::name_start;

/// True if the request says that it is a navigation (Fetch Metadata Request Headers), or names HTML
/// among what it accepts and its path has no extension. A client that accepts everything (`*/*`)
/// does not ask for a page.
pub(super) fn is_navigation(fields: &Fields<'_, '_>, path: &[u8]) -> bool {
    let says_so = fields.only(Field::SecFetchMode) == Line::One(b"navigate");
    let accepts_html = || media_quality(fields.lines(Field::Accept), b"text/html") > 0;
    says_so || (!has_extension(path) && accepts_html())
}

fn has_extension(path: &[u8]) -> bool {
    path[name_start(path)..].contains(&b'.')
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
