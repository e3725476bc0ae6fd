//! The content of listings, their order, and their steps.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use super::form::{Order, Sort};
use super::*;
use crate::config::Symlinks;
use crate::files::{Blocking, COLD_TRIES, Door, Opened};

fn page(top: &Path, links: Symlinks, path: &str, most: usize) -> String {
    let root = Root::new(top, links, Door::best()).unwrap();
    let html = listing_html(&root, open_dir(&root, path), path.as_bytes(), most).unwrap();
    String::from_utf8(html).unwrap()
}

fn open_dir(root: &Root, path: &str) -> OwnedFd {
    let Ok(Opened::Directory(dir, _)) = root.open(&path.as_bytes()[1..], Blocking::Allowed) else {
        panic!("{path}")
    };
    dir
}

/// The decoded targets of the rows, in order, as a browser would request them.
fn targets(page: &str) -> Vec<Vec<u8>> {
    let rows = page.split_once("<tbody>").unwrap().1;
    rows.split("<a href=\"")
        .skip(1)
        .map(|rest| {
            let href = rest.split('"').next().unwrap();
            assert!(href.bytes().all(|byte| byte.is_ascii_graphic()), "{href}");
            let href = href.replace("&amp;", "&");
            // No scheme, no authority, no query, no fragment: only a path.
            assert!(!href.starts_with('/') && !href.contains([':', '?', '#']), "{href}");
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
    let rows = page.split_once("<tbody>").unwrap().1;
    let rows = rows.split("\">").filter_map(|rest| rest.split_once("</a></th>"));
    rows.map(|(text, _)| text).collect()
}

#[test]
fn links_name_exactly_the_files_whatever_bytes_the_names_have() {
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
fn directories_come_first_then_names_in_natural_order() {
    let top = tempfile::tempdir().unwrap();
    let want = [
        "Bar/",
        "bar/",
        "v9/",
        "v10/",
        "zoo/",
        "1",
        "2",
        "10",
        "_",
        "A",
        "a",
        "a0",
        "a01",
        "a1",
        "a2",
        "a10",
        "a10b",
        "B",
        "b",
        "file1.txt",
        "File2.txt",
        "file10.txt",
        "x1-2",
        "x1-10",
        "x2-1",
        "Z",
        "É",
        "é",
    ];
    // They are made in another order, because some file systems keep it.
    let mut names = want;
    names.sort_unstable_by_key(|name| (name.len(), *name));
    for name in names {
        match name.strip_suffix('/') {
            Some(folder) => fs::create_dir(top.path().join(folder)).unwrap(),
            None => fs::write(top.path().join(name), "").unwrap(),
        }
    }
    assert_eq!(shown(&page(top.path(), Symlinks::Inside, "/", 100)), want);
}

#[test]
fn the_page_is_whole_and_small() {
    let top = tempfile::tempdir().unwrap();
    fs::create_dir_all(top.path().join("a <b> & c/d/empty")).unwrap();
    for (name, size) in [("file", 1536), ("tiny", 7)] {
        let file = File::create(top.path().join("a <b> & c/d").join(name)).unwrap();
        file.set_len(size).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
    }

    let full = page(top.path(), Symlinks::Inside, "/a <b> & c/d/", 100);
    assert!(
        full.starts_with("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")
    );
    for part in [
        "<title>Index of /a &lt;b&gt; &amp; c/d/</title>",
        "<header>\n<nav aria-label=\"Breadcrumbs\">\n<h1><span>Index of</span> \
         <a href=\"../../\" aria-label=\"Root folder\">/</a>\
         <a href=\"../\"><bdi>a &lt;b&gt; &amp; c</bdi></a>/\
         <bdi aria-current=\"page\">d</bdi>/</h1>\n</nav>\n</header>\n<main>\n<table>\n",
        "<caption>1 folder, 2 files, <span title=\"1543 bytes\">1.5 <small>KiB</small></span>\
         </caption>",
        "<tr><th scope=\"col\" aria-sort=\"ascending\">\
         <a href=\"?sort=name&amp;order=desc\" rel=\"nofollow\">Name</a></th>",
        "<tr><th scope=\"row\"><a href=\"empty/\">empty/</a></th><td></td><td><time ",
        "<tr><th scope=\"row\"><a href=\"file\">file</a></th>\
         <td title=\"1536 bytes\">1.5 <small>KiB</small></td>\
         <td><time datetime=\"2023-11-14T22:13:20Z\">2023-11-14 22:13</time></td></tr>\n",
        "<td>7 <small>B</small></td>",
    ] {
        assert!(full.contains(part), "{part}\n{full}");
    }
    assert!(full.ends_with("</tbody>\n</table>\n</main>\n</body>\n</html>\n"));
    assert!(!full.contains("<script") && !full.contains("more."), "few rows need no filter");

    let empty = page(top.path(), Symlinks::Inside, "/a <b> & c/d/empty/", 100);
    assert_eq!(shown(&empty), ["../"]);
    assert!(empty.contains("<caption>No files</caption>"));
    assert!(empty.len() < 8192, "{} bytes around the rows", empty.len());

    let root = page(top.path(), Symlinks::Inside, "/", 100);
    assert!(root.contains("<h1><span>Index of</span> /</h1>"), "{root}");
    assert!(!root.contains("../"), "there is nothing above the root");
}

#[test]
fn entries_are_in_the_order_of_the_form_and_folders_first() {
    let top = tempfile::tempdir().unwrap();
    for (name, size, time) in
        [("b", 10, 3), ("a", 10, 1), ("c", 9, 2), ("a10", 100, 3), ("a9", 100, 1), ("d", 0, 9)]
    {
        let file = File::create(top.path().join(name)).unwrap();
        file.set_len(size).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(time)).unwrap();
    }
    for (name, time) in [("z", 1), ("y", 2)] {
        fs::create_dir(top.path().join(name)).unwrap();
        let folder = File::open(top.path().join(name)).unwrap();
        folder.set_modified(UNIX_EPOCH + Duration::from_secs(time)).unwrap();
    }
    let root = Root::new(top.path(), Symlinks::Inside, Door::best()).unwrap();
    use {Order::Ascending as Up, Order::Descending as Down};
    for (sort, order, expected) in [
        (Sort::Name, Up, "y/ z/ a a9 a10 b c d"),
        (Sort::Name, Down, "z/ y/ d c b a10 a9 a"),
        (Sort::Size, Up, "y/ z/ d c a b a9 a10"),
        (Sort::Size, Down, "y/ z/ a9 a10 a b c d"),
        (Sort::Time, Up, "z/ y/ a a9 c a10 b d"),
        (Sort::Time, Down, "y/ z/ d a10 b c a a9"),
    ] {
        let form = |format| ListingForm { format, sort, order };
        let list = |format| {
            let bytes = listing_in(form(format), &root, open_dir(&root, "/"), b"/", 100).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        let html = list(Format::Html);
        assert_eq!(shown(&html).join(" "), expected);
        let json = list(Format::Json);
        let names = json.lines().filter_map(|line| line.split_once("{\"name\":\""));
        let names: Vec<_> = names.map(|(_, rest)| rest.split('"').next().unwrap()).collect();
        assert_eq!(names.join(" "), expected.replace('/', ""));
    }
}

#[test]
fn json_describes_each_entry_in_a_line() {
    let top = tempfile::tempdir().unwrap();
    let list = || {
        let root = Root::new(top.path(), Symlinks::Inside, Door::best()).unwrap();
        let form = ListingForm { format: Format::Json, ..ListingForm::default() };
        let bytes = listing_in(form, &root, open_dir(&root, "/"), b"/", 100).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(list(), "[\n]\n");
    fs::create_dir(top.path().join("dir")).unwrap();
    for name in [&b"a \"b\".txt"[..], b"line\n", b"no\xff", "ż".as_bytes()] {
        let file = File::create(top.path().join(OsStr::from_bytes(name))).unwrap();
        file.set_len(5).unwrap();
    }
    for name in fs::read_dir(top.path()).unwrap() {
        let time = UNIX_EPOCH + Duration::from_millis(1_700_000_000_999);
        File::open(name.unwrap().path()).unwrap().set_modified(time).unwrap();
    }
    let time = "\"mtime\":\"2023-11-14T22:13:20Z\"}";
    let file = |name: &str| format!("{{\"name\":{name},\"type\":\"file\",\"size\":5,{time}");
    let objects = [
        format!("{{\"name\":\"dir\",\"type\":\"directory\",{time}"),
        file("\"a \\\"b\\\".txt\""),
        file("\"line\\u000a\""),
        file("\"no\u{fffd}\",\"href\":\"no%FF\""),
        file("\"ż\""),
    ];
    assert_eq!(list(), format!("[\n{}\n]\n", objects.join(",\n")));
}

#[test]
fn the_best_readme_is_shown() {
    let top = tempfile::tempdir().unwrap();
    fs::create_dir(top.path().join("README.md")).unwrap();
    let shown = || {
        let page = page(top.path(), Symlinks::Inside, "/", 100);
        page.split_once("<pre>").map(|(_, rest)| rest.split_once("</pre>").unwrap().0.to_owned())
    };
    let lines = "0123456789abcde\r\n".repeat(5_000);
    for (name, text, expected) in [
        ("readme.txt.bak", "no".to_owned(), None),
        ("README", "plain".into(), Some("plain".to_owned())),
        ("readme.TXT", "\u{feff}text <\u{202e}>\n".into(), Some("text &lt;\u{fffd}&gt;\n".into())),
        ("Readme.md", lines.clone(), Some("0123456789abcde\n".repeat(65_536 / 17))),
        ("README.MD", "binary\0".into(), None),
    ] {
        fs::write(top.path().join(name), text).unwrap();
        assert_eq!(shown(), expected, "{name}");
    }
}

#[test]
fn the_same_folder_gives_the_same_bytes_in_any_order_of_creation() {
    let names = ["b", "a", "B", "10", "9", "é", "dir"];
    let fill = |names: &mut dyn Iterator<Item = &&str>| {
        let top = tempfile::tempdir().unwrap();
        for name in names {
            let path = top.path().join(name);
            if *name == "dir" {
                fs::create_dir(&path).unwrap();
            } else {
                fs::write(&path, name).unwrap();
            }
            let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            File::open(&path).unwrap().set_modified(time).unwrap();
        }
        page(top.path(), Symlinks::Inside, "/", 100)
    };
    assert_eq!(fill(&mut names.iter()), fill(&mut names.iter().rev()));
}

#[test]
fn a_truncated_listing_has_a_note() {
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
    // Entries per step, the result of `enough`, and the most steps that this may take.
    for (size, hurry, steps_most) in [
        (0, false, 105),
        (1, false, 105),
        (7, false, 18),
        (50, false, 5),
        (1000, false, 3),
        (1000, true, 53),
    ] {
        let mut listing = Listing::new(
            open_dir(&root, "/"),
            b"/",
            100,
            &Visible::default(),
            ListingForm::default(),
        )
        .unwrap();
        let (mut steps, mut disk) = (1, Disk::default());
        let page = loop {
            match listing.step((&root, &mut disk), size, &mut || hurry).unwrap() {
                Progress::More | Progress::Cold => steps += 1,
                Progress::Done(listed) => break listed.content,
            }
        };
        assert_eq!(str::from_utf8(page.bytes()).unwrap(), whole, "{size}");
        assert!(steps <= steps_most, "{steps} steps of {size}");
    }
}

/// Otherwise, a step of many entries on a slow disk would delay every other connection.
#[test]
fn a_step_calls_enough_after_each_lookup() {
    let top = tempfile::tempdir().unwrap();
    for at in 0..20 {
        fs::write(top.path().join(format!("file{at}")), "").unwrap();
    }
    let root = Root::new(top.path(), Symlinks::Inside, Door::best()).unwrap();
    let mut lister =
        Lister::new(open_dir(&root, "/"), b"/", 100, &Visible::default(), ListingForm::default())
            .unwrap();
    for enough_at in [1, 2, 5] {
        let (before, mut asked) = (lister.totals().files, 0);
        let mut enough = || {
            asked += 1;
            asked == enough_at
        };
        assert!(!lister.read(&root, usize::MAX, &mut enough).unwrap());
        assert_eq!(lister.totals().files - before, enough_at);
    }
    assert!(lister.read(&root, usize::MAX, &mut || false).unwrap());
    assert_eq!(lister.totals().files, 20);
}

/// Where the page cache can be emptied for one file, the first attempt does not find the README.
#[test]
fn a_readme_is_read_without_waiting_for_the_disk() {
    let top = tempfile::tempdir().unwrap();
    let text = "line\n".repeat(10_000);
    fs::write(top.path().join("README"), &text).unwrap();
    let file = File::open(top.path().join("README")).unwrap();
    file.sync_all().unwrap();
    let root = Root::new(top.path(), Symlinks::Inside, Door::best()).unwrap();
    let (visible, form) = (Visible::default(), ListingForm::default());
    let mut listing = Listing::new(open_dir(&root, "/"), b"/", 9, &visible, form).unwrap();
    let (mut disk, mut cold) = (Disk::default(), 0);
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let page = loop {
        match listing.step((&root, &mut disk), 100, &mut || false).unwrap() {
            Progress::More => {}
            Progress::Cold => cold += 1,
            Progress::Done(listed) => break listed.content,
        }
    };
    assert!(str::from_utf8(page.bytes()).unwrap().contains(&text));
    assert!(cold <= COLD_TRIES, "{cold}");
}
