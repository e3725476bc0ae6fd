//! Which limit ends which wait, from when it counts, and what does not extend it.

use tenkay::clock::Tick;
use tenkay::config::Limits;
use tenkay::h1::{Connection, Step};

use crate::sans_io::bench::Bench;
use crate::scripts::Settings;
use crate::table::Act::{self, Bytes, Finish, Lost, Send, SendAll, TimeOut};
use crate::table::connection_after;
use crate::table::{BAD, BODY, FILE, LAST, PART, SMALL, SMALL_AND_BODY, SMALL_AND_PART};

/// Limits that cannot be taken for one another, nor for a sum of some steps of a test.
const LIMITS: &[&str] = &[
    "first_request_timeout_ms=10007",
    "head_timeout_ms=20011",
    "body_timeout_ms=30011",
    "keep_alive_timeout_ms=40009",
    "write_timeout_ms=50021",
    "linger_timeout_ms=60013",
];

type Limit = fn(&Limits) -> u64;

const FIRST: Limit = |limits| limits.first_request_timeout_ms;
const HEAD: Limit = |limits| limits.head_timeout_ms;
const BODY_LIMIT: Limit = |limits| limits.body_timeout_ms;
const KEEP_ALIVE: Limit = |limits| limits.keep_alive_timeout_ms;
const WRITE: Limit = |limits| limits.write_timeout_ms;
const LINGER: Limit = |limits| limits.linger_timeout_ms;
const AT_ONCE: Limit = |_| 0;

/// Time between two acts.
const PAUSE_MS: u64 = 1_000;

/// Lets these acts happen, with a pause before each. Returns the ticks: of the start, and of each.
fn play(bench: &mut Bench, acts: &[Act]) -> (Connection, Vec<Tick>) {
    let mut connection = connection_after(bench, &[]);
    let mut ticks = vec![bench.clock.tick];
    for act in acts {
        bench.wait(PAUSE_MS);
        act.happens(bench, &mut connection);
        ticks.push(bench.clock.tick);
    }
    (connection, ticks)
}

#[test]
fn each_wait_has_its_limit_and_counts_from_its_beginning() {
    let mut bench = Settings::Defaults.bench_with(LIMITS);
    // After these acts, this limit counts from the act of this number (0: from the accept).
    let rows: &[(&[Act], Limit, usize)] = &[
        (&[], FIRST, 0),
        (&[Bytes("\r\n")], FIRST, 0),
        (&[Bytes("\r\n"), Bytes("\r\n")], FIRST, 0),
        (&[PART], HEAD, 1),
        (&[PART, Bytes(" "), Bytes("/"), Bytes(" HTTP/1.1\r\n")], HEAD, 1),
        (&[BODY], BODY_LIMIT, 1),
        (&[PART, Bytes(" / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")], BODY_LIMIT, 2),
        (&[BODY, Bytes("a"), Bytes("b")], BODY_LIMIT, 1),
        // While something is owed, the only question is if the peer takes it.
        (&[SMALL], WRITE, 1),
        (&[FILE], WRITE, 1),
        (&[LAST], WRITE, 1),
        (&[BAD], WRITE, 1),
        (&[PART, Finish], WRITE, 2),
        (&[PART, TimeOut], WRITE, 2),
        (&[BODY, TimeOut], WRITE, 2),
        (&[SMALL_AND_PART], WRITE, 1),
        (&[SMALL_AND_BODY], WRITE, 1),
        (&[BODY, Bytes("abc")], WRITE, 2),
        (&[FILE, Send(1)], WRITE, 2),
        (&[FILE, Send(1), Send(100), Send(10_000)], WRITE, 4),
        (&[SMALL, Send(1)], WRITE, 2),
        (&[FILE, Send(0)], WRITE, 1),
        (&[FILE, Send(1), Send(0), Send(0)], WRITE, 2),
        // When it is sent, the next wait begins.
        (&[SMALL, SendAll], KEEP_ALIVE, 2),
        (&[FILE, SendAll], KEEP_ALIVE, 2),
        (&[SMALL, SendAll, Bytes("\r\n")], KEEP_ALIVE, 2),
        (&[SMALL, SendAll, PART], HEAD, 3),
        (&[SMALL, SendAll, SMALL, SendAll], KEEP_ALIVE, 4),
        (&[SMALL_AND_PART, SendAll], HEAD, 2),
        (&[SMALL_AND_PART, SendAll, Bytes(" "), Bytes("/")], HEAD, 2),
        (&[SMALL_AND_BODY, SendAll], BODY_LIMIT, 2),
        (&[SMALL_AND_BODY, SendAll, Bytes("a"), Bytes("b")], BODY_LIMIT, 2),
        (&[BAD, SendAll], LINGER, 2),
        (&[BAD, SendAll, Bytes("a"), Bytes("b")], LINGER, 2),
        // What is over is due.
        (&[LAST, SendAll], AT_ONCE, 2),
        (&[Finish], AT_ONCE, 0),
        (&[SMALL, SendAll, Lost], AT_ONCE, 2),
    ];
    for (acts, limit, from) in rows {
        let (mut connection, ticks) = play(&mut bench, acts);
        let expected = ticks[*from] + limit(&bench.limits);
        assert_eq!(connection.deadline(&bench.limits), expected, "after {acts:?}");
        connection.peer_lost(&mut bench.pages);
    }
}

/// A client that sends a byte whenever it is about to be forgotten is forgotten all the same.
#[test]
fn drips_end_at_the_deadline() {
    const LONG: Act = Bytes("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
    for acts in [&[PART][..], &[LONG], &[BAD, SendAll]] {
        let mut bench = Settings::Defaults.bench_with(LIMITS);
        let (mut connection, _) = play(&mut bench, acts);
        let deadline = connection.deadline(&bench.limits);
        let state = connection.state();
        while bench.clock.tick < deadline {
            assert_eq!(connection.state(), state, "{acts:?}");
            assert!(Bytes("A").happens(&mut bench, &mut connection), "{acts:?}");
            assert_eq!(connection.deadline(&bench.limits), deadline, "{acts:?}");
            bench.wait(97);
        }
        connection.timed_out(&mut bench.context());
        assert_ne!(connection.state(), state, "{acts:?}");
    }
}

/// However a connection stands, if nothing happens but that its deadlines pass, it is closed after
/// two of them: one for an answer that says so, one for the peer that does not take it.
#[test]
fn time_alone_closes_every_connection() {
    let mut bench = Settings::Defaults.bench_with(LIMITS);
    for acts in [
        &[][..],
        &[PART],
        &[BODY],
        &[SMALL],
        &[FILE],
        &[LAST],
        &[BAD],
        &[BAD, SendAll],
        &[SMALL, SendAll],
        &[SMALL_AND_PART],
        &[SMALL_AND_BODY],
    ] {
        let (mut connection, _) = play(&mut bench, acts);
        for _ in 0..2 {
            let now = bench.clock.tick;
            bench.wait(connection.deadline(&bench.limits).since(now));
            connection.timed_out(&mut bench.context());
        }
        assert!(matches!(connection.step(&mut bench.pages), Step::Close(_)), "{acts:?}");
        assert_eq!(bench.pages.taken(), 0, "{acts:?}");
    }
}
