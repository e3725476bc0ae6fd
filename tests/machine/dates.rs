//! The date of an answer is that of its second, also of one that stands ready, and stays the same
//! from its first byte to its last.

use tenkay::h1::Connection;

use crate::sans_io::bench::Bench;
use crate::scripts::Settings;
use crate::table::warm_bench;

const REQUEST: &[u8] = b"GET /tiny HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends the request on a new connection, and takes so many bytes of the answer.
fn ask(bench: &mut Bench, most: usize) -> (Connection, Vec<u8>) {
    let mut connection = Connection::new(bench.clock.tick);
    assert_eq!(bench.give(&mut connection, REQUEST), REQUEST.len());
    let sent = bench.take(&mut connection, most);
    (connection, sent)
}

/// The answer holds the date line of the clock.
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
fn an_answer_that_stands_ready_is_dated_anew_in_each_second() {
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
fn an_answer_under_way_keeps_its_date_and_holds_up_nobody_elses() {
    let mut bench = warm_bench(Settings::Defaults, &[]);
    let (_, whole) = ask(&mut bench, usize::MAX);
    let (mut slow, mut sent) = ask(&mut bench, 30);
    bench.wait(1_000);
    let (_, other) = ask(&mut bench, usize::MAX);
    assert_dated(&other, &bench);
    assert_eq!(other.len(), whole.len());
    // What was begun in the middle of a date goes on with that date.
    sent.extend(bench.take(&mut slow, usize::MAX));
    assert_eq!(sent, whole);
    let (_, later) = ask(&mut bench, usize::MAX);
    assert_dated(&later, &bench);
}
