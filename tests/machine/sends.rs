//! The number of send calls per response: each is a system call, and at least one TCP segment.

use tenkay::h1::Connection;

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
