//! The limit of each wait, its start, and events that do not extend it.

use tenkay::clock::Tick;
use tenkay::config::Limits;
use tenkay::h1::{Connection, StateName};
use tenkay::machine::{Event, Evictable, Step};

use crate::sans_io::bench::Bench;
use crate::scripts::Settings;
use crate::table::Act::{self, Bytes, Finish, Lost, Retry, Send, SendAll, TimeOut};
use crate::table::{BAD, BODY, FILE, LARGE, LAST, PART, SMALL, SMALL_AND_BODY, SMALL_AND_PART};
use crate::table::{connection_after, warm_bench};

/// Limits that cannot be mistaken for each other, nor for a sum of some steps of a test.
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

/// Milliseconds between two acts.
const PAUSE_MS: u64 = 1_000;

/// Performs these acts, with a pause before each. Returns the ticks of the start and of each act.
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
fn each_wait_has_its_limit_and_counts_from_its_start() {
    let mut bench = warm_bench(Settings::LargeFolder, LIMITS);
    // After these acts, this limit counts from the act of this number (0: from the accept).
    let rows: &[(&[Act], Limit, usize)] = &[
        (&[], FIRST, 0),
        (&[Bytes("\r\n")], FIRST, 0),
        (&[Bytes("\r\n"), Bytes("\r\n")], FIRST, 0),
        (&[PART], HEAD, 1),
        (&[PART, Bytes(" "), Bytes("/"), Bytes(" HTTP/1.1\r\n")], HEAD, 1),
        (&[BODY], BODY_LIMIT, 1),
        (&[PART, Bytes(" /tiny HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")], BODY_LIMIT, 2),
        (&[BODY, Bytes("a"), Bytes("b")], BODY_LIMIT, 1),
        // While output is unsent, only the write timeout applies.
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
        (&[LARGE], WRITE, 1),
        (&[LARGE, Retry, Retry], WRITE, 1),
        // When the output is sent, the next wait begins.
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
        // A closed connection is due at once.
        (&[LAST, SendAll], AT_ONCE, 2),
        (&[Finish], AT_ONCE, 0),
        (&[SMALL, SendAll, Lost], AT_ONCE, 2),
    ];
    for (acts, limit, from) in rows {
        let (connection, ticks) = play(&mut bench, acts);
        let expected = ticks[*from] + limit(&bench.limits);
        let deadline = connection.deadline(&bench.limits);
        let is_over = connection.state() == StateName::Closed;
        assert!(deadline == expected || is_over && deadline < expected, "after {acts:?}");
        bench.end(connection);
    }
}

/// A client that sends a byte before each timeout still times out.
#[test]
fn slow_bytes_do_not_extend_the_deadline() {
    const LONG: Act = Bytes("GET /tiny HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
    for acts in [&[PART][..], &[LONG], &[BAD, SendAll]] {
        let mut bench = warm_bench(Settings::Defaults, LIMITS);
        let (mut connection, _) = play(&mut bench, acts);
        let deadline = connection.deadline(&bench.limits);
        let state = connection.state();
        while bench.clock.tick < deadline {
            assert_eq!(connection.state(), state, "{acts:?}");
            assert!(Bytes("A").happens(&mut bench, &mut connection), "{acts:?}");
            assert_eq!(connection.deadline(&bench.limits), deadline, "{acts:?}");
            bench.wait(97);
        }
        bench.event(&mut connection, Event::Timeout);
        assert_ne!(connection.state(), state, "{acts:?}");
    }
}

/// A client that reads a byte before each timeout is cut off after its grace period; one that reads
/// at the least rate is not.
#[test]
fn a_client_below_the_least_rate_is_cut_off() {
    let changes = [LIMITS, &["least_bytes_per_s=500", "slow_allowance_ms=60000"]].concat();
    for (bytes_a_second, lasts_ms) in [(1, 60_000 + 2), (250, 120_000), (500, u64::MAX)] {
        let mut bench = warm_bench(Settings::Defaults, &changes);
        let mut connection = connection_after(&mut bench, &[FILE]);
        let begun = bench.clock.tick;
        let (mut sent, mut passed) = (0, false);
        while !passed && connection.state() == StateName::Reply {
            bench.wait(1_000);
            passed = bench.clock.tick >= connection.deadline(&bench.limits);
            if !passed {
                sent += bench.take(&mut connection, bytes_a_second).len();
            }
        }
        let lasted_ms = bench.clock.tick.since(begun);
        assert_eq!(passed, lasts_ms < u64::MAX, "{bytes_a_second} bytes per second, {sent} bytes");
        assert!(!passed || lasted_ms.abs_diff(lasts_ms) <= 2_000, "{bytes_a_second}: {lasted_ms}");
    }
    // Without a least rate, any progress is enough.
    let changes = [LIMITS, &["least_bytes_per_s=0"]].concat();
    let mut bench = warm_bench(Settings::Defaults, &changes);
    let mut connection = connection_after(&mut bench, &[FILE]);
    for _ in 0..1_000 {
        bench.wait(bench.limits.write_timeout_ms - 1);
        assert!(bench.clock.tick < connection.deadline(&bench.limits));
        bench.take(&mut connection, 1);
    }
}

/// The kernel may buffer so much that nothing is sent for a long time, although the peer reads.
#[test]
fn a_client_that_reads_buffered_data_has_not_stalled_but_may_be_too_slow() {
    let changes = [LIMITS, &["least_bytes_per_s=500", "slow_allowance_ms=60000"]].concat();
    let mut bench = warm_bench(Settings::Defaults, &changes);
    let mut connection = connection_after(&mut bench, &[FILE]);
    let begun = bench.clock.tick;
    bench.wait(bench.limits.write_timeout_ms - 1);
    bench.event(&mut connection, Event::Acknowledged { held_bytes: 1 });
    // Now the least rate is due, not the write timeout: nothing was sent.
    assert_eq!(connection.deadline(&bench.limits), begun + 60_000);
    // Without unsent output, an acknowledgement does not extend the deadline.
    let mut idle = connection_after(&mut bench, &[SMALL, SendAll]);
    let deadline = idle.deadline(&bench.limits);
    bench.wait(1_000);
    bench.event(&mut idle, Event::Acknowledged { held_bytes: 1 });
    assert_eq!(idle.deadline(&bench.limits), deadline);
}

/// The bytes of one response do not count for the next: the rate of each run of responses counts by
/// itself.
#[test]
fn the_least_rate_counts_from_the_start_of_each_run_of_responses() {
    let mut bench = warm_bench(Settings::Defaults, LIMITS);
    let mut connection = connection_after(&mut bench, &[FILE, SendAll]);
    let standing = |bench: &Bench, connection: &Connection| connection.standing(bench.clock.tick);
    let idle = Some(Evictable::Idle(bench.clock.tick));
    assert_eq!(standing(&bench, &connection).evictable, idle);
    bench.wait(1_000_000);
    SMALL.happens(&mut bench, &mut connection);
    assert_eq!(standing(&bench, &connection).sent, (bench.clock.tick, 0));
    assert_eq!(standing(&bench, &connection).evictable, None);
    bench.wait(10);
    Send(7).happens(&mut bench, &mut connection);
    assert_eq!(standing(&bench, &connection).sent.1, 7);
}

/// In any state, a connection on which only deadlines pass is closed after two of them: one that
/// queues a 408 or 503, and one for the peer that does not read it.
#[test]
fn time_alone_closes_every_connection() {
    let mut bench = warm_bench(Settings::LargeFolder, LIMITS);
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
        &[LARGE],
    ] {
        let (mut connection, _) = play(&mut bench, acts);
        for _ in 0..2 {
            let now = bench.clock.tick;
            bench.wait(connection.deadline(&bench.limits).since(now));
            bench.event(&mut connection, Event::Timeout);
        }
        assert!(matches!(connection.step(), Step::Close(_)), "{acts:?}");
        assert_eq!(bench.pages.taken(), 0, "{acts:?}");
    }
}
