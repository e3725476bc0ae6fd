//! Files that change while they are sent, and entries of a folder that are not regular files.
//!
//! The tests use Unix sockets: these buffer about 200 KB, so most of a large file is unsent when a
//! client has read the head.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::client::{Client, End, request};
use crate::process::{eventually, has_open, settle, sockets};
use crate::{LARGE, Site, assert_lives, text};

/// A change of the large file while it is sent, and its effect on the response.
struct Change {
    what: &'static str,
    apply: fn(&Path),
    sent: Sent,
    /// The status of a request after the change.
    then: u16,
}

/// The fate of a response whose file changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// The old version, whole.
    Whole,
    /// The beginning of the old version, cut off.
    CutOff,
}

const CHANGES: &[Change] = &[
    Change { what: "replaced", apply: replace, sent: Sent::Whole, then: 200 },
    Change {
        what: "deleted",
        apply: |path| fs::remove_file(path).unwrap(),
        sent: Sent::Whole,
        then: 404,
    },
    Change { what: "closed", apply: close, sent: Sent::Whole, then: 403 },
    Change { what: "made a directory", apply: make_directory, sent: Sent::Whole, then: 301 },
    Change { what: "emptied", apply: |path| set_size(path, 0), sent: Sent::CutOff, then: 200 },
    Change {
        what: "halved",
        apply: |path| set_size(path, LARGE / 2),
        sent: Sent::CutOff,
        then: 200,
    },
    Change { what: "rewritten", apply: rewrite, sent: Sent::CutOff, then: 200 },
];

fn replace(path: &Path) {
    let beside = path.with_extension("new");
    fs::write(&beside, text('b', LARGE + 1)).unwrap();
    fs::rename(&beside, path).unwrap();
}

fn close(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o0)).unwrap();
}

fn make_directory(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
}

fn set_size(path: &Path, size: usize) {
    File::options().write(true).open(path).unwrap().set_len(size as u64).unwrap();
}

fn rewrite(path: &Path) {
    fs::write(path, text('b', LARGE)).unwrap();
}

#[test]
fn a_response_is_never_a_mix_of_two_versions() {
    let old = text('a', LARGE);
    for change in CHANGES {
        let site = Site::new();
        // Root may read everything, so the server must not run as root to see the permissions.
        for folder in [site.path(), site.place.path()] {
            fs::set_permissions(folder, Permissions::from_mode(0o777)).unwrap();
        }
        let setup = site.setup(&["revalidate_ms=0"]).unprivileged();
        let mut server = setup.unix(&site.place.path().join("s")).start().unwrap();
        let mut client = Client::connect(&server);
        client.send(request("/large"));
        let download = client.head();

        (change.apply)(&site.path().join("large"));
        let download = client.finish(download, |_| {});
        let what = change.what;
        assert!(old.starts_with(&download.body), "{what}: the bytes are not from the old version");
        match change.sent {
            Sent::Whole => assert_eq!((download.cut_off, download.body.len()), (None, LARGE)),
            Sent::CutOff => assert!(download.cut_off.is_some(), "{what}: it was not cut off"),
        }
        let answer = Client::connect(&server).get("/large");
        assert_eq!(answer.status, change.then, "{what}");
        assert_lives(&mut server);
    }
}

/// The second response is sent without a copy, from memory that does not change with the file.
#[test]
fn a_response_from_memory_stays_as_it_began() {
    const SIZE: usize = 200_000;
    let site = Site::new();
    let (path, old) = (site.path().join("picture"), text('a', SIZE));
    fs::write(&path, &old).unwrap();
    let mut server = site.serve(&["connection_bytes_per_s=500000", "connection_burst_bytes=1000"]);
    for _ in 0..2 {
        assert!(Client::connect(&server).get("/picture").body == old);
    }
    let mut client = Client::connect(&server);
    client.send(request("/picture"));
    let begun = client.head();
    fs::write(&path, text('b', SIZE)).unwrap();
    let whole = client.finish(begun, |_| {});
    assert!(whole.cut_off.is_none() && whole.body == old);
    assert_lives(&mut server);
}

#[test]
fn earlier_responses_arrive_although_a_file_failed() {
    const MIDDLE: usize = 20_000;
    let site = Site::new();
    let path = site.path().join("large");
    fs::write(site.path().join("middle"), text('m', MIDDLE)).unwrap();
    // The burst covers the first response and a little of the second, which is then throttled.
    let mut server = site.serve(&["connection_bytes_per_s=100000", "connection_burst_bytes=25000"]);
    let mut client = Client::connect_with_small_buffer(&server);
    client.send(["/middle", "/large"].map(request).concat());
    eventually("the second answer is begun", || has_open(&server, &path));
    settle(&server); // it has learned the size, too
    set_size(&path, 0);
    eventually("the response is cut off", || server.log().contains("cut off"));
    assert!(client.answer().body == text('m', MIDDLE), "the first answer did not arrive");
    let download = client.head();
    let download = client.finish(download, |_| {});
    assert_eq!(download.cut_off, Some(End::Finished));
    let line =
        "response cut off: /large changed or became unreadable while being sent to 127.0.0.1";
    assert!(server.log().contains(line), "{}", server.log());
    assert_lives(&mut server);
}

#[test]
fn a_response_queued_with_the_head_of_a_failed_file_arrives() {
    let site = Site::new();
    let path = site.path().join("other");
    fs::copy(site.path().join("large"), &path).unwrap();
    // Both requests are looked up in one turn, so that the responses are sent together.
    let limits = ["connection_bytes_per_s=1000", "connection_burst_bytes=1", "lookups_per_turn=2"];
    let mut server = site.serve_plain(&limits);
    let mut client = Client::connect(&server);
    // This head alone exceeds the bandwidth, so that the rest is throttled.
    client.send("GET /large HTTP/1.1\r\nHost: test\r\nRange: bytes=0-0\r\n\r\n");
    assert_eq!(client.answer().status, 206);
    client.send(["/a.txt", "/other"].map(request).concat());
    eventually("the second answer is begun", || has_open(&server, &path));
    settle(&server); // it has learned the size, too
    set_size(&path, 0);
    assert_eq!(client.answer().body, b"alpha");
    let download = client.head();
    let download = client.finish(download, |_| {});
    assert_eq!((download.body.len(), download.cut_off), (0, Some(End::Finished)));
    assert_lives(&mut server);
}

#[test]
fn a_log_that_grows_is_sent_up_to_its_announced_length() {
    let site = Site::new();
    let path = site.path().join("log");
    for start in [0, 100, LARGE] {
        let whole = text('l', start + 200_000);
        fs::write(&path, &whole[..start]).unwrap();
        let mut server = site.serve_unix(&["revalidate_ms=0"]);
        let mut log = File::options().append(true).open(&path).unwrap();
        for round in 0..20 {
            let mut client = Client::connect(&server);
            client.send(request("/log"));
            let download = client.head();
            log.write_all(&whole[start + round * 10_000..][..10_000]).unwrap();
            let download = client.finish(download, |_| {});
            assert_eq!(download.cut_off, None);
            assert_eq!(download.body, &whole[..start + round * 10_000]);
        }
        assert_lives(&mut server);
    }
}

#[test]
fn a_small_file_that_is_replaced_often_is_never_mixed() {
    let site = Site::new();
    let path = site.path().join("small");
    let mut server = site.serve(&["revalidate_ms=0"]);
    let mut client = Client::connect(&server);
    for round in 0..200 {
        let letter = char::from(b'a' + round % 26);
        let new = text(letter, 100 + 13 * usize::from(round));
        let beside = path.with_extension("new");
        fs::write(&beside, &new).unwrap();
        fs::rename(&beside, &path).unwrap();
        assert!(client.get("/small").body == new, "round {round}");
    }
    assert_lives(&mut server);
}

#[test]
fn a_file_larger_than_any_memory_has_a_head_and_an_end() {
    const SIZE: u64 = 5 << 30;
    let site = Site::new();
    let path = site.path().join("huge");
    let mut file = File::create(&path).unwrap();
    file.set_len(SIZE - 3).unwrap();
    // Appending writes at the end and leaves a hole before it.
    file = File::options().append(true).open(&path).unwrap();
    file.write_all(b"end").unwrap();
    let mut server = site.serve(&[]);
    let before = sockets(&server);
    let mut client = Client::connect(&server);
    client.send("HEAD /huge HTTP/1.1\r\nHost: test\r\n\r\n");
    let answer = client.next(true).unwrap();
    assert_eq!((answer.status, answer.content_length()), (200, Ok(Some(SIZE))));
    for range in ["-5".to_owned(), format!("{}-", SIZE - 5)] {
        let range = format!("Range: bytes={range}");
        client.send(format!("GET /huge HTTP/1.1\r\nHost: test\r\n{range}\r\n\r\n"));
        let answer = client.answer();
        assert_eq!((answer.status, &answer.body[..]), (206, &b"\0\0end"[..]));
        assert_eq!(answer.content_range(), Ok(Some((SIZE - 5, SIZE - 1, SIZE))));
    }
    // The server closes the connection of a client that requests all of it and leaves.
    client.send(request("/huge"));
    client.head();
    drop(client);
    eventually("its connection is closed", || sockets(&server) == before);
    assert_lives(&mut server);
}

#[test]
fn an_empty_file_gets_a_response_with_an_empty_body() {
    let site = Site::new();
    fs::write(site.path().join("empty"), "").unwrap();
    let mut server = site.serve(&[]);
    let answer = Client::connect(&server).get("/empty");
    assert_eq!((answer.status, answer.content_length()), (200, Ok(Some(0))));
    assert_lives(&mut server);
}

#[test]
fn special_files_are_not_found_and_do_not_block() {
    let site = Site::new();
    let at = |name: &str| site.path().join(name);
    let fifo = Command::new("mkfifo").arg(at("fifo")).status();
    assert!(fifo.unwrap().success());
    let _socket = UnixListener::bind(at("socket")).unwrap();
    for (name, target) in
        [("zero", "/dev/zero"), ("self", "self"), ("one", "two"), ("two", "one"), ("out", "/etc")]
    {
        symlink(OsStr::new(target), at(name)).unwrap();
    }
    let mut server = site.serve(&[]);
    for name in ["fifo", "socket", "zero", "self", "one", "out", "out/passwd", "a.txt/x"] {
        let answer = Client::connect(&server).get(&format!("/{name}"));
        assert_eq!(answer.status, 404, "{name}");
    }
    assert_lives(&mut server);
}

#[test]
fn a_folder_of_100_000_entries_is_listed_while_other_requests_are_answered() {
    let site = Site::new();
    let folder = site.path().join("folder");
    fs::create_dir(&folder).unwrap();
    // Hard links are created faster than files, but the number of links per file is limited.
    let sources: Vec<_> = (0..4).map(|number| site.path().join(number.to_string())).collect();
    for source in &sources {
        fs::write(source, "").unwrap();
    }
    for number in 0..ENTRIES {
        fs::hard_link(&sources[number % 4], folder.join(format!("{number:06}"))).unwrap();
    }
    let mut server = site.serve(&[]);
    let mut lister = Client::connect(&server);
    lister.send(request("/folder/"));
    let mut other = Client::connect(&server);
    let mut longest = Duration::ZERO;
    while !lister.stirs_within(Duration::ZERO) {
        let began = Instant::now();
        assert_eq!(other.get("/a.txt").status, 200);
        longest = longest.max(began.elapsed());
    }
    eprintln!("other requests waited {longest:?} at most");
    assert!(longest < Duration::from_secs(1), "other requests waited {longest:?}");
    let page = lister.answer();
    let page = String::from_utf8(page.body).unwrap();
    assert_eq!(page.matches("href=\"0").count(), ENTRIES);
    assert_lives(&mut server);
}

const ENTRIES: usize = 100_000;
