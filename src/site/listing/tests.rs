//! What a listing shows, in which order, and how it is written down.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::config::Symlinks;
use crate::site::open::Door;

fn page(top: &Path, links: Symlinks, path: &str, most: usize) -> String {
    let root = Root::new(top, links, Door::best()).unwrap();
    let html = listing_html(&root, open_dir(&root, path), path.as_bytes(), most).unwrap();
    String::from_utf8(html).unwrap()
}

fn open_dir(root: &Root, path: &str) -> OwnedFd {
    let Ok(Opened::Directory(dir, _)) = root.open(&path.as_bytes()[1..]) else { panic!("{path}") };
    dir
}

/// The decoded targets of all links of a page, in order, as a browser would ask for them.
fn targets(page: &str) -> Vec<Vec<u8>> {
    page.split("<a href=\"")
        .skip(1)
        .map(|rest| {
            let href = rest.split('"').next().unwrap();
            assert!(href.bytes().all(|byte| byte.is_ascii_graphic()), "{href}");
            let href = href.replace("&amp;", "&");
            // No scheme, no authority, no query, no fragment: the whole of it is a path.
            let first = href.split('/').next().unwrap();
            assert!(!first.is_empty() && !first.contains(':'), "{href}");
            assert!(!href.contains(['?', '#']), "{href}");
            decode(&href)
        })
        .collect()
}

fn decode(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        assert_eq!(part[..2], part[..2].to_uppercase());
        decoded.push(u8::from_str_radix(&part[..2], 16).unwrap());
        decoded.extend_from_slice(&part.as_bytes()[2..]);
    }
    decoded
}

/// The text of the rows' links, still escaped.
fn shown(page: &str) -> Vec<&str> {
    let rows = page.split("\">").filter_map(|rest| rest.split_once("</a></td>"));
    rows.map(|(text, _)| text).collect()
}

#[test]
fn links_lead_to_exactly_the_names_whatever_bytes_they_have() {
    let top = tempfile::tempdir().unwrap();
    let mut names: BTreeSet<Vec<u8>> = BTreeSet::new();
    // Every byte that a name can have: alone, in front, inside, at the end.
    for byte in (1..=255_u8).filter(|&byte| byte != b'/') {
        if byte != b'.' {
            names.insert(vec![byte]);
            names.insert(vec![byte, b'x']);
        }
        names.insert(vec![b'x', byte, b'y']);
        names.insert(vec![b'x', byte]);
    }
    for name in [
        "a b.txt",
        "100%",
        "%41",
        "%2F",
        "what?",
        "#1",
        "\"quoted\"",
        "it's",
        "<b>bold",
        "&amp;",
        "a&b=c;d",
        "line\nbreak",
        ":colon",
        "http:",
        "javascript:alert(1)",
        "back\\slash",
        "żółw",
        "日本",
        "\u{202e}gnp.exe",
        "~user",
        "--",
    ] {
        names.insert(name.as_bytes().to_vec());
    }
    names.insert(b"\xff\xfe bytes".to_vec());
    for name in &names {
        fs::write(top.path().join(OsStr::from_bytes(name)), "").unwrap();
    }
    let page = page(top.path(), Symlinks::Inside, "/", 10_000);
    let targets = targets(&page);
    assert_eq!(targets.len(), names.len());
    assert_eq!(targets.into_iter().collect::<BTreeSet<_>>(), names);
    let control = |char: char| char.is_control() && char != '\n';
    assert!(!page.contains(control), "control characters are not allowed in HTML");
    assert!(!page.contains("<b>"), "a name is text, not markup");
}

#[test]
fn names_are_shown_as_text() {
    let cases: &[(&[u8], &str, &str)] = &[
        // (name, reference, text)
        (b"plain-1._~", "plain-1._~", "plain-1._~"),
        (b"a b", "a%20b", "a b"),
        (b"<&>\"'", "%3C&amp;%3E%22'", "&lt;&amp;&gt;\"'"),
        (b"a:b", "a%3Ab", "a:b"),
        (b":", "%3A", ":"),
        (b"!$&'()*+,;=@", "!$&amp;'()*+,;=@", "!$&amp;'()*+,;=@"),
        (b"%\\^`{|}[]", "%25%5C%5E%60%7B%7C%7D%5B%5D", "%\\^`{|}[]"),
        (b"a\nb\x7f", "a%0Ab%7F", "a\u{fffd}b\u{fffd}"),
        (b"\xff", "%FF", "\u{fffd}"),
        ("ż".as_bytes(), "%C5%BC", "ż"),
        ("\u{202e}gnp.exe".as_bytes(), "%E2%80%AEgnp.exe", "\u{fffd}gnp.exe"),
        ("\u{85}".as_bytes(), "%C2%85", "\u{fffd}"),
    ];
    for (name, href, text) in cases {
        let (mut got_href, mut got_text) = (Vec::new(), Vec::new());
        push_href(&mut got_href, name);
        push_text(&mut got_text, name);
        assert_eq!(String::from_utf8(got_href).unwrap(), *href);
        assert_eq!(String::from_utf8(got_text).unwrap(), *text);
    }
}

#[test]
fn only_what_a_get_would_serve_is_listed() {
    let top = tempfile::tempdir().unwrap();
    let www = top.path().join("www");
    for dir in ["www/sub", "www/.well-known", "www/.git", "out"] {
        fs::create_dir_all(top.path().join(dir)).unwrap();
    }
    for file in ["www/file", "www/.hidden", "www/..odd", "www/sub/inner", "out/secret"] {
        fs::write(top.path().join(file), "12345").unwrap();
    }
    assert!(Command::new("mkfifo").arg(www.join("fifo")).status().unwrap().success());
    let _listener = std::os::unix::net::UnixListener::bind(www.join("socket")).unwrap();
    for (link, target) in [
        ("to_file", "file"),
        ("to_dir", "sub"),
        ("to_fifo", "fifo"),
        ("to_device", "/dev/null"),
        ("broken", "nowhere"),
        ("loop", "loop"),
        ("out", "../out"),
        ("out_file", "../out/secret"),
        ("sub/up", "../file"),
        ("sub/out", "../../out/secret"),
    ] {
        symlink(target, www.join(link)).unwrap();
    }
    let cases = [
        ("/", Symlinks::Inside, vec!["sub/", "to_dir/", "file", "to_file"]),
        ("/", Symlinks::Off, vec!["sub/", "file"]),
        ("/sub/", Symlinks::Inside, vec!["../", "inner", "up"]),
        ("/sub/", Symlinks::Off, vec!["../", "inner"]),
    ];
    for (path, links, want) in cases {
        let page = page(&www, links, path, 100);
        assert_eq!(shown(&page), want, "{path} {links:?}");
        assert_eq!(targets(&page), want.iter().map(|name| name.as_bytes()).collect::<Vec<_>>());
    }
}

#[test]
fn directories_come_first_and_case_does_not_part_names() {
    let top = tempfile::tempdir().unwrap();
    for dir in ["zoo", "Bar", "bar"] {
        fs::create_dir(top.path().join(dir)).unwrap();
    }
    for file in ["b", "A", "a", "B", "a0", "Z", "_", "é", "1"] {
        fs::write(top.path().join(file), "").unwrap();
    }
    let want = ["Bar/", "bar/", "zoo/", "1", "_", "A", "a", "a0", "B", "b", "Z", "é"];
    assert_eq!(shown(&page(top.path(), Symlinks::Inside, "/", 100)), want);
}

#[test]
fn the_page_is_whole_and_small() {
    let top = tempfile::tempdir().unwrap();
    fs::create_dir_all(top.path().join("a <b> & c/empty")).unwrap();
    let file = File::create(top.path().join("a <b> & c/file")).unwrap();
    file.set_len(1536).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();

    let full = page(top.path(), Symlinks::Inside, "/a <b> & c/", 100);
    assert!(
        full.starts_with("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")
    );
    assert!(full.contains("<title>Index of /a &lt;b&gt; &amp; c/</title>"));
    assert!(full.contains("<h1>Index of /a &lt;b&gt; &amp; c/</h1>"));
    let row =
        "<tr><td><a href=\"file\">file</a></td><td>1.5 KiB</td><td>2023-11-14 22:13</td></tr>";
    assert!(full.contains(row), "{full}");
    assert!(full.ends_with("</body>\n</html>\n"));
    assert!(!full.contains("<script") && !full.contains("more."));

    let empty = page(top.path(), Symlinks::Inside, "/a <b> & c/empty/", 100);
    assert_eq!(shown(&empty), ["../"]);
    assert!(empty.len() < 2048, "{} bytes around the rows", empty.len());
}

#[test]
fn a_cut_listing_says_so() {
    let top = tempfile::tempdir().unwrap();
    for name in ["1", "2", "3", ".hidden"] {
        fs::write(top.path().join(name), "").unwrap();
    }
    for (most, rows, cut) in [(4, 3, false), (3, 3, false), (2, 2, true), (0, 0, true)] {
        let page = page(top.path(), Symlinks::Inside, "/", most);
        assert_eq!(shown(&page).len(), rows, "{most}");
        let line = format!("<p>Only {rows} entries are shown; this folder has more.</p>");
        assert_eq!(page.contains(&line), cut, "{most}");
        assert_eq!(page.contains("<p>"), cut, "{most}");
    }
}

#[test]
fn steps_of_any_size_make_the_same_page() {
    let top = tempfile::tempdir().unwrap();
    for at in 0..50 {
        fs::write(top.path().join(format!("file{at}")), "").unwrap();
    }
    let whole = page(top.path(), Symlinks::Inside, "/", 100);
    let root = Root::new(top.path(), Symlinks::Inside, Door::best()).unwrap();
    for (size, steps_most) in [(0, 105), (1, 105), (7, 18), (50, 5), (1000, 3)] {
        let mut lister = Lister::new(open_dir(&root, "/"), b"/", 100).unwrap();
        let mut steps = 1;
        let page = loop {
            match lister.step(&root, size).unwrap() {
                Progress::More => steps += 1,
                Progress::Done(page) => break page,
            }
        };
        assert_eq!(String::from_utf8(page).unwrap(), whole, "{size}");
        assert!(steps <= steps_most, "{steps} steps of {size}");
        assert!(matches!(lister.step(&root, size), Ok(Progress::Done(rest)) if rest.is_empty()));
    }
}

#[test]
fn sizes_read_well() {
    for (bytes, want) in [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (10_188, "9.9 KiB"),
        (10_189, "10 KiB"),
        (15_360, "15 KiB"),
        (1024 * 1024 - 513, "1023 KiB"),
        (1024 * 1024 - 512, "1.0 MiB"),
        (1024 * 1024, "1.0 MiB"),
        (5 << 30, "5.0 GiB"),
        (3 << 40, "3.0 TiB"),
        (1 << 50, "1.0 PiB"),
        (u64::MAX, "16 EiB"),
    ] {
        let mut text = Vec::new();
        push_size(&mut text, bytes);
        assert_eq!(String::from_utf8(text).unwrap(), want);
    }
}

#[test]
fn dates_are_those_of_the_calendar() {
    let date = |seconds: i128| {
        let mut text = Vec::new();
        push_date(&mut text, seconds * 1_000_000_000);
        String::from_utf8(text).unwrap()
    };
    for (seconds, want) in [
        (0, "1970-01-01 00:00"),
        (-1, "1969-12-31 23:59"),
        (951_782_400, "2000-02-29 00:00"),
        (951_868_799, "2000-02-29 23:59"),
        (4_107_542_400, "2100-03-01 00:00"),
        (-62_167_219_200, "0000-01-01 00:00"),
        (-62_167_219_201, ""),
        (253_402_300_799, "9999-12-31 23:59"),
        (253_402_300_800, ""),
        (i128::from(i64::MAX), ""),
        (i128::from(i64::MIN), ""),
    ] {
        assert_eq!(date(seconds), want);
    }
    // Every day up to 2400, against an implementation that is not ours: `Sun, 06 Nov 1994 …`.
    let months =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    for day in 0..157_054_u64 {
        let seconds = day * 86_400 + day % 86_400;
        let theirs = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        let month = months.iter().position(|&name| name == &theirs[8..11]).unwrap() + 1;
        let (day, year, time) = (&theirs[5..7], &theirs[12..16], &theirs[17..22]);
        assert_eq!(date(seconds.into()), format!("{year}-{month:02}-{day} {time}"));
    }
}
