//! The hashes in the security policy, the colours, and the end of the page.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

/// The SHA-256 hash of a text in base64, by an independent program.
fn sha256_base64(text: &str) -> String {
    let mut child =
        Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let hex = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let digit = |at: usize| u32::from_str_radix(&hex[at..=at], 16).unwrap();
    // 64 digits of 4 bits, and 2 bits of padding, are 43 digits of 6 bits.
    let bits: Vec<u32> =
        (0..64).flat_map(|at| (0..4).rev().map(move |bit| digit(at) >> bit & 1)).collect();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |bits: &[u32]| {
        let value = (0..6).fold(0, |value, at| value << 1 | bits.get(at).unwrap_or(&0));
        char::from(alphabet[value as usize])
    };
    bits.chunks(6).map(letter).chain(['=']).collect()
}

#[test]
fn the_security_policy_permits_this_style_and_this_script() {
    assert_eq!(sha256_base64(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    let (_, style) = HEAD.split_once("<style>").unwrap();
    for (directive, text) in
        [("style-src", format!("{style}{STYLE}")), ("script-src", SCRIPT.to_owned())]
    {
        let source = format!("{directive} 'sha256-{}'", sha256_base64(&text));
        assert!(SECURITY_POLICY.contains(&source), "write {source}");
    }
}

/// Where links and other text are in one line, colour alone must not distinguish them (WCAG 2.2,
/// 1.4.1), and a `display` of a form or row must not show what the filter hides.
#[test]
fn links_in_the_heading_are_underlined_and_hidden_parts_stay_hidden() {
    let style = format!("{}{STYLE}", HEAD.split_once("<style>").unwrap().1);
    for rule in style.split_inclusive('}').filter(|rule| rule.contains("text-decoration: none")) {
        assert!(!rule.contains("h1") && !rule.trim_start().starts_with("a "), "{rule}");
    }
    assert!(STYLE.contains("\n[hidden] { display: none !important }\n"));
}

#[test]
fn the_head_of_a_column_sorts_by_it_or_reverses_it() {
    use {Order::Ascending as Up, Order::Descending as Down};
    for (sort, order, expected) in [
        (Sort::Name, Up, ["name desc ascending", "size desc ", "time desc "]),
        (Sort::Name, Down, ["name asc descending", "size desc ", "time desc "]),
        (Sort::Size, Down, ["name asc ", "size asc descending", "time desc "]),
        (Sort::Size, Up, ["name asc ", "size desc ascending", "time desc "]),
        (Sort::Time, Down, ["name asc ", "size desc ", "time asc descending"]),
    ] {
        let form = ListingForm { sort, order, ..ListingForm::default() };
        for ((column, text), expected) in COLUMNS.into_iter().zip(expected) {
            let mut page = Vec::new();
            push_column(&mut page, column, text, form);
            let page = String::from_utf8(page).unwrap();
            let between = |start: &str, end: char| {
                page.split_once(start).map_or("", |(_, rest)| rest.split(end).next().unwrap())
            };
            let found =
                [between("?sort=", '&'), between("order=", '"'), between("aria-sort=\"", '"')];
            assert_eq!(found.join(" "), expected);
        }
    }
}

#[test]
fn the_page_links_to_the_archives_that_are_permitted() {
    use ArchiveFormat::{Tar, Zip};
    let link = |name: &str| format!("<a href=\"?archive={name}\" rel=\"nofollow\">{name}</a>");
    let (tar, zip) = (link("tar"), link("zip"));
    for (archives, expected) in [
        (&[][..], String::new()),
        (&[Zip], format!("<p>Download this folder: {zip}</p>\n")),
        (&[Tar, Zip], format!("<p>Download this folder: {tar}, {zip}</p>\n")),
    ] {
        let mut page = Vec::new();
        push_archives(&mut page, archives);
        assert_eq!(String::from_utf8(page).unwrap(), expected);
    }
}

#[test]
fn a_readme_is_text_below_the_table() {
    let readme = |text: &str, is_cut| Readme {
        name: b"README.md".to_vec(),
        text: text.as_bytes().to_vec(),
        is_cut,
    };
    for (readme, expected) in [
        (readme("# <b>\n\ta & b\n", false), "<pre># &lt;b&gt;\n\ta &amp; b\n</pre>\n</section>"),
        (readme("\u{202e}a\x07", false), "<pre>\u{fffd}a\u{fffd}</pre>\n</section>"),
        (readme("a", true), "<p>This is only its beginning: <a href=\"README.md\">the whole file"),
    ] {
        let html = Html::new(b"", &Totals::default(), ListingForm::default()).unwrap();
        let page = html.finish(&[], Some(&readme)).unwrap();
        let page = str::from_utf8(page.bytes()).unwrap();
        let (table, rest) = page.split_once("</table>\n").unwrap();
        assert!(rest.contains(expected), "{rest}");
        assert!(rest.contains("<h2 id=\"readme\">README.md</h2>\n<pre>"), "{rest}");
        assert!(!table.contains("README") && !rest.contains("<script"), "{page}");
    }
}
