//! Responses to pipelined requests when the outbox is almost full.

use tenkay::h1::Connection;

use crate::scripts::Settings;
use crate::table::warm_bench;

#[test]
fn a_malformed_request_gets_its_400_however_full_the_outbox_is() {
    let missing = "GET /no-such HTTP/1.1\r\nHost: a\r\n\r\n";
    let tiny = "GET /tiny HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut bench = warm_bench(Settings::Defaults, &[]);
    for pages in 20..28 {
        for small in 0..8 {
            let valid = missing.repeat(pages) + &tiny.repeat(small);
            let requests = valid + "GET\x01 / HTTP/1.1\r\nHost: a\r\n\r\n";
            let mut connection = Connection::new(bench.clock.tick);
            assert_eq!(bench.give(&mut connection, requests.as_bytes()), requests.len());
            let mut sent = Vec::new();
            loop {
                match bench.take(&mut connection, usize::MAX) {
                    bytes if bytes.is_empty() => break,
                    bytes => sent.extend(bytes),
                }
            }
            let sent = String::from_utf8_lossy(&sent);
            let count = |line| sent.matches(line).count();
            let statuses = [count("HTTP/1.1 404 "), count("HTTP/1.1 200 "), count("HTTP/1.1 400 ")];
            assert_eq!(statuses, [pages, small, 1], "after {pages} pages and {small} files");
            bench.end(connection);
        }
    }
}
