//! The Date of a response is that of the second in which it begins, even if the rest of the head
//! was prepared earlier, and it does not change while the response is sent.

use tenkay::h1::Connection;

use crate::sans_io::bench::Bench;
use crate::scripts::Settings;
use crate::table::warm_bench;

const REQUEST: &[u8] = b"GET /tiny HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends the request on a new connection, and reads at most this many bytes of the response.
fn ask(bench: &mut Bench, most: usize) -> (Connection, Vec<u8>) {
    let mut connection = Connection::new(bench.clock.tick);
    assert_eq!(bench.give(&mut connection, REQUEST), REQUEST.len());
    let sent = bench.take(&mut connection, most);
    (connection, sent)
}

/// Asserts that the response has the Date line of the clock.
fn assert_dated(answer: &[u8], bench: &Bench) {
    let line = bench.clock.date_line();
    assert!(
        answer.windows(line.len()).any(|window| window == line),
        "{} is not dated {}",
        String::from_utf8_lossy(answer),
        String::from_utf8_lossy(line),
    );
}

#[test]
fn a_prepared_response_has_a_new_date_in_each_second() {
    let mut bench = warm_bench(Settings::Defaults, &[]);
    for _ in 0..3 {
        for _ in 0..2 {
            let (_, answer) = ask(&mut bench, usize::MAX);
            assert_dated(&answer, &bench);
        }
        bench.wait(1_000);
    }
}

#[test]
fn a_response_in_progress_keeps_its_date_and_delays_no_other() {
    let mut bench = warm_bench(Settings::Defaults, &[]);
    let (_, whole) = ask(&mut bench, usize::MAX);
    let (mut slow, mut sent) = ask(&mut bench, 30);
    bench.wait(1_000);
    let (_, other) = ask(&mut bench, usize::MAX);
    assert_dated(&other, &bench);
    assert_eq!(other.len(), whole.len());
    // A response that was cut in the middle of its date continues with that date.
    sent.extend(bench.take(&mut slow, usize::MAX));
    assert_eq!(sent, whole);
    let (_, later) = ask(&mut bench, usize::MAX);
    assert_dated(&later, &bench);
}
