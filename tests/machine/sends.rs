//! The number of send calls per response: each is a system call, and at least one TCP segment.

use tenkay::config::SiteConfig;
use tenkay::h1::Connection;
use tenkay::machine::Step;

use crate::sans_io::bench::{Bench, content, put};
use crate::scripts::Settings;
use crate::table::warm_bench;

/// A GET of `path` with this Range, if it is not empty.
fn request(path: &str, range: &str) -> String {
    let line = if range.is_empty() { String::new() } else { format!("Range: bytes={range}\r\n") };
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n{line}\r\n")
}

#[test]
fn small_responses_in_memory_take_one_send() {
    let small: Vec<String> = (0..60).map(|at| format!("{}-{}", 10 * at, 10 * at + 4)).collect();
    for (what, requests, sends) in [
        ("a small file", request("/tiny", ""), 1),
        ("16 small files", request("/tiny", "").repeat(16), 1),
        ("a file that is not copied", request("/memory", ""), 1),
        ("one range", request("/memory", "0-9"), 1),
        ("16 small ranges, each asked for alone", request("/memory", "0-9").repeat(16), 1),
        ("60 small ranges", request("/copied", &small.join(",")), 1),
        ("60 small ranges twice", request("/memory", &small.join(",")).repeat(2), 1),
        // Each range with its head, and the closing delimiter.
        ("two large ranges", request("/memory", "0-4999,6000-10999"), 3),
    ] {
        let mut bench = warm_bench(Settings::Defaults, &["ranges=64"]);
        for path in ["/memory", "/copied"] {
            bench.find(path);
        }
        let mut connection = Connection::new(bench.clock.tick);
        assert_eq!(bench.give(&mut connection, requests.as_bytes()), requests.len());
        for _ in 0..sends {
            assert!(!connection.is_idle(), "{what}: it took fewer sends");
            assert!(!bench.take(&mut connection, usize::MAX).is_empty(), "{what}");
        }
        assert!(connection.is_idle(), "{what}: it needs more sends");
    }
}

/// How the body of the next response is sent: how many bytes from memory, and how many of a file.
fn body_of(bench: &mut Bench, connection: &mut Connection, range: &str) -> (usize, u64) {
    bench.give(connection, request("/picture", range).as_bytes());
    let (mut memory, mut file) = (0, 0);
    while !connection.is_idle() {
        match connection.step() {
            Step::Write(first, second) => memory += first.len() + second.len(),
            Step::SendFile { lead, count, .. } => {
                memory += lead.len();
                file += count;
            }
            step => panic!("{step:?}"),
        }
        bench.take(connection, usize::MAX);
    }
    (memory, file)
}

#[test]
fn a_body_that_is_asked_for_again_is_sent_without_a_copy() {
    for (what, changes, from_files, sent) in [
        ("a plain connection", &[][..], true, [0, 100_000, 100_000]),
        ("a connection that copies anyway", &[][..], false, [0, 0, 0]),
        ("no memory for two copies", &["resident_bytes=250000"][..], true, [0, 0, 0]),
    ] {
        let limits = [&["cached_body_bytes=100000"], changes].concat();
        let mut bench = Bench::new(&limits, SiteConfig::default(), |root| {
            put(root, "picture", &content(100_000, 1));
        });
        bench.find("/picture");
        bench.from_files = from_files;
        let mut connection = Connection::new(bench.clock.tick);
        for sent in sent {
            let (memory, file) = body_of(&mut bench, &mut connection, "");
            assert_eq!(file, sent, "{what}");
            assert!(memory as u64 + file > 100_000, "{what}: the head and the body");
        }
        let (_, file) = body_of(&mut bench, &mut connection, "10-90000");
        assert_eq!(file, if sent[1] > 0 { 89_991 } else { 0 }, "{what}: a range");
    }
}
