//! Deadlines, and how a connection ends.

use tenkay::machine::{Event, Evictable, Pages, Reason, Step};

use crate::peer::*;
use crate::session::{Session, bench};

#[test]
fn every_wait_has_a_deadline() {
    type Begin = fn(&mut Session<'_>);
    let cases: &[(&str, Begin, u64, Option<Reason>)] = &[
        ("nothing comes", |_| {}, 10_000, Some(Reason::IdleTooLong)),
        ("a part of the preface", |s| s.say(&PREFACE[..9]), 10_000, Some(Reason::IdleTooLong)),
        ("no settings", |s| s.say(PREFACE), 10_000, Some(Reason::IdleTooLong)),
        ("no request", |s| s.say(&hello(&[])), 75_000, None),
        ("no further request", |s| s.say(&[hello(&[]), get(1, "/tiny")].concat()), 75_000, None),
        (
            "a part of a frame",
            |s| s.say(&[hello(&[]), get(1, "/tiny")[..20].to_vec()].concat()),
            10_000,
            None,
        ),
        (
            "a part of a block",
            |s| s.say(&[hello(&[]), frame(HEADERS, END_STREAM, 1, &[0x82])].concat()),
            10_000,
            None,
        ),
        (
            "no window",
            |s| s.say(&[hello(&[(4, 0)]), get(1, "/tiny")].concat()),
            60_000,
            Some(Reason::Stalled),
        ),
    ];
    for (name, begin, after_ms, reason) in cases {
        let mut bench = bench(&[]);
        let mut session = Session::new(&mut bench);
        begin(&mut session);
        assert!(!session.wait(after_ms - 1), "{name}: too early");
        assert!(session.wait(1), "{name}: too late");
        match reason {
            Some(reason) => assert_eq!(session.over, Some(*reason), "{name}"),
            None => {
                assert_eq!(session.goaway(), Some(0), "{name}: NO_ERROR");
                assert!(session.shut && session.wait(5_000), "{name}: it lingers");
                assert_eq!(session.over, Some(Reason::IdleTooLong), "{name}");
            }
        }
    }
}

#[test]
fn bytes_that_bring_nothing_put_no_deadline_off() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[(4, 0)]);
    session.say(&get(1, "/tiny"));
    for _ in 0..59 {
        assert!(!session.wait(1000));
        session.say(&frame(PING, 0, 0, &[0; 8]));
        session.say(&number(WINDOW_UPDATE, 0, 1));
    }
    assert!(session.wait(1000));
    assert_eq!(session.over, Some(Reason::Stalled));
    // More bytes of a block.
    let mut session = Session::open(&mut bench, &[]);
    session.say(&frame(HEADERS, END_STREAM, 1, &[0x82]));
    for _ in 0..9 {
        assert!(!session.wait(1000));
        session.say(&frame(CONTINUATION, 0, 1, &[0x86]));
    }
    assert!(session.wait(1000));
    assert_eq!(session.goaway(), Some(0));
}

/// A client decides how short DATA frames are, and when control frames are answered.
#[test]
fn neither_single_bytes_nor_control_frames_are_progress_of_a_response() {
    type Say = fn(u32) -> Vec<u8>;
    let cases: &[(&str, Say)] = &[
        ("PING", |_| frame(PING, 0, 0, &[0; 8])),
        ("SETTINGS", |_| settings(&[])),
        ("unknown frames", |_| frame(99, 0, 0, &[])),
        ("WINDOW_UPDATE of the connection", |_| number(WINDOW_UPDATE, 0, 1)),
        ("WINDOW_UPDATE", |_| number(WINDOW_UPDATE, 1, 1)),
        ("SETTINGS of a window", |n| settings(&[(4, n)])),
        ("PRIORITY_UPDATE", |_| frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1")),
    ];
    for (name, say) in cases {
        for limits in [&["least_bytes_per_s=0"][..], &["write_timeout_ms=3600000"]] {
            let mut bench = bench(limits);
            let mut session = Session::open(&mut bench, &[(4, 0)]);
            session.say(&get(1, "/file"));
            for number in 1..10 {
                assert!(!session.wait(6_000), "{name}");
                session.say(&say(number));
                session.report(Event::Acknowledged { held_bytes: 60 });
            }
            let passed = session.wait(6_000) || session.wait(1_000);
            assert!(passed && session.over == Some(Reason::Stalled), "{name}, {limits:?}");
        }
    }
}

#[test]
fn the_least_rate_counts_the_bytes_of_responses_only() {
    let limits = ["least_bytes_per_s=100", "slow_allowance_ms=1000", "useless_frames=1000000"];
    for (bytes, passes) in [(1, false), (11, false), (50, true)] {
        let mut bench = bench(&limits);
        let mut session = Session::open(&mut bench, &[(4, 0)]);
        session.say(&get(1, "/file"));
        // Ten frames a second, of nine bytes more.
        for _ in 0..200 {
            session.wait(100);
            if session.over.is_some() {
                break;
            }
            session.say(&number(WINDOW_UPDATE, 1, bytes));
            session.say(&frame(PING, 0, 0, &[0; 8]));
        }
        let expected = (!passes).then_some(Reason::Stalled);
        assert!(session.over == expected || bytes == 11 && session.over.is_none(), "{bytes}");
    }
}

/// The kernel may hold so much of a response that nothing is sent for a long time.
#[test]
fn a_client_that_reads_what_the_kernel_holds_has_not_stalled() {
    let mut bench = bench(&["least_bytes_per_s=0"]);
    let mut session = Session::open(&mut bench, &[(4, 10_000)]);
    session.say(&get(1, "/file"));
    for _ in 0..10 {
        assert!(!session.wait(50_000));
        session.say(&frame(PING, 0, 0, &[0; 8]));
        session.report(Event::Acknowledged { held_bytes: 5000 });
    }
    // Only the answers to PING are left.
    session.wait(50_000);
    session.report(Event::Acknowledged { held_bytes: 17 });
    assert!(session.wait(10_000));
    assert_eq!(session.over, Some(Reason::Stalled));
}

#[test]
fn control_frames_put_off_neither_the_eviction_nor_the_end_of_a_connection() {
    type Say = fn(u32) -> Vec<u8>;
    let cases: &[(&str, Say)] = &[
        ("nothing", |_| Vec::new()),
        ("PING", |_| frame(PING, 0, 0, &[0; 8])),
        ("SETTINGS", |n| settings(&[(4, n)])),
        ("unknown frames", |_| frame(99, 0, 0, &[])),
        ("WINDOW_UPDATE", |_| number(WINDOW_UPDATE, 0, 1)),
        ("empty DATA", |_| frame(DATA, 0, 1, &[])),
        ("padding", |_| frame(DATA, 8, 1, &[1, 0])),
        ("a new part of a frame", |n| {
            let ping = frame(PING, 0, 0, &[0; 8]);
            if n == 0 { ping[..5].to_vec() } else { [&ping[5..], &ping[..5]].concat() }
        }),
    ];
    for (name, say) in cases {
        let mut bench = bench(&[]);
        let mut session = Session::open(&mut bench, &[]);
        session.say(&post(1, "/tiny", &[]));
        let begun = session.bench.clock.tick;
        for number in 0..20 {
            session.say(&say(number));
            session.bench.wait(200);
            let standing = session.connection.standing(session.bench.clock.tick);
            let expected = (number >= 4).then_some(Evictable::Incomplete(begun));
            assert_eq!(standing.evictable, expected, "{name} {number}");
        }
        // A byte of the body is progress.
        session.say(
            &[frame(PING, 0, 0, &[0; 8])[5..].to_vec(), Vec::new()]
                [usize::from(!name.starts_with("a new"))],
        );
        session.say(&frame(DATA, 0, 1, b"x"));
        assert_eq!(session.connection.standing(session.bench.clock.tick).evictable, None, "{name}");
    }
    // Between requests.
    for (name, say) in &cases[1..5] {
        let mut bench = bench(&[]);
        let mut session = Session::open(&mut bench, &[]);
        session.say(&get(1, "/tiny"));
        let idle = Some(Evictable::Idle(session.bench.clock.tick));
        for number in 0..74 {
            assert!(!session.wait(1000), "{name}");
            session.say(&say(number));
            let standing = session.connection.standing(session.bench.clock.tick);
            assert_eq!(standing.evictable, idle, "{name}");
        }
        assert!(session.wait(1000), "{name}");
        assert_eq!(session.goaway(), Some(0), "{name}");
    }
}

/// A frame of a body may be long, and its bytes come slowly.
#[test]
fn an_upload_whose_bytes_arrive_is_not_evicted() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[]);
    session.say(&post(1, "/tiny", &[]));
    let body = frame(DATA, 0, 1, &[0; 1000]);
    for piece in body.chunks(100) {
        session.bench.wait(900);
        let standing = session.connection.standing(session.bench.clock.tick);
        assert_eq!(standing.evictable, None);
        session.say(piece);
    }
    session.bench.wait(1000);
    let standing = session.connection.standing(session.bench.clock.tick);
    assert!(matches!(standing.evictable, Some(Evictable::Incomplete(_))));
}

#[test]
fn a_body_that_does_not_come_gets_a_408_and_others_go_on() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[]);
    session.say(&post(1, "/tiny", &[]));
    assert!(!session.wait(29_999));
    session.say(&post(3, "/tiny", &[]));
    assert!(session.wait(1));
    assert_eq!(session.client.statuses(), [(1, 408)]);
    assert_eq!(session.client.resets.get(&1), Some(&0));
    session.say(&frame(DATA, END_STREAM, 3, b"x"));
    assert_eq!(session.client.whole(3).status, 405);
}

/// They do not all fit into the outbox at once, and the client is not to blame.
#[test]
fn many_bodies_that_do_not_come_get_a_408_each() {
    let mut bench = bench(&["streams=1000", "aborted_streams=1"]);
    let mut session = Session::open(&mut bench, &[(4, 0)]);
    for n in 0..200 {
        session.say(&post(2 * n + 1, "/tiny", &[]));
    }
    while session.client.responses.len() < 200 {
        assert!(session.wait(30_000), "{:?}", session.client);
        session.wait(0);
    }
    assert!(session.client.responses.values().all(|response| response.status == 408));
    assert_eq!(session.goaway(), None);
}

/// Whatever the connection waited for before.
#[test]
fn what_is_sent_after_a_wait_has_the_whole_time_to_be_read() {
    type Begin = fn(&mut Session<'_>);
    let cases: &[(&str, Begin, u64)] = &[
        ("408", |session| session.say(&post(1, "/tiny", &[])), 30_000),
        ("GOAWAY", |session| session.say(&get(1, "/tiny")), 75_000),
    ];
    for (name, begin, after_ms) in cases {
        let mut bench = bench(&["least_bytes_per_s=1000", "slow_allowance_ms=10000"]);
        let mut session = Session::open(&mut bench, &[]);
        begin(&mut session);
        session.bench.wait(*after_ms);
        session.report(Event::Timeout);
        assert!(matches!(session.connection.step(), Step::Write(..)), "{name}");
        let deadline = session.connection.deadline(&session.bench.limits);
        assert_eq!(deadline.since(session.bench.clock.tick), 10_000, "{name}");
    }
}

/// SETTINGS are the first frame of a server: without a page for them, there is no connection.
#[test]
fn a_connection_without_a_page_for_its_settings_is_closed() {
    let mut bench = bench(&[]);
    bench.pages = Pages::new(1); // for what is received
    let mut session = Session::new(&mut bench);
    session.say(&hello(&[]));
    assert_eq!(session.over, Some(Reason::OutOfPages));
    assert!(session.client.frames.is_empty());
}

#[test]
fn a_client_that_reads_too_slowly_is_cut_off() {
    let mut bench = bench(&["least_bytes_per_s=1000", "slow_allowance_ms=10000"]);
    let mut session = Session::open(&mut bench, &[(4, 1)]);
    session.say(&get(1, "/file"));
    let mut seconds = 0;
    while session.over.is_none() {
        session.wait(1000);
        session.say(&number(WINDOW_UPDATE, 1, 100));
        seconds += 1;
        assert!(seconds < 20, "100 bytes per second are too few");
    }
    assert_eq!(session.over, Some(Reason::Stalled));
    assert!(seconds >= 10);
}

#[test]
fn the_server_ends_in_two_steps_and_loses_no_request() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[(4, 0)]);
    session.say(&get(1, "/tiny"));
    session.bench.draining = true;
    session.report(Event::Drain);
    session.run();
    assert_eq!(session.client.goaways, [(0x7fff_ffff, 0)]);
    let ping = session.client.frames.last().unwrap().clone();
    assert_eq!((ping.kind, ping.flags), (PING, 0));
    // A request that was on its way, and then the client's answer.
    session.say(&get(3, "/tiny"));
    session.say(&frame(PING, ACK, 0, &ping.payload));
    assert_eq!(session.client.goaways, [(0x7fff_ffff, 0), (3, 0)]);
    session.say(&get(5, "/tiny"));
    assert_eq!(session.over, None);
    session.say(&settings(&[(4, 10)]));
    assert_eq!(session.client.statuses(), [(1, 200), (3, 200)]);
    assert!(session.shut);
    session.finish();
    assert_eq!(session.over, Some(Reason::Stopped));
}

#[test]
fn a_client_that_does_not_answer_the_drain_gets_the_second_step_in_time() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[]);
    session.report(Event::Drain);
    session.run();
    assert!(!session.wait(999));
    assert!(session.wait(1));
    assert_eq!(session.client.goaways, [(0x7fff_ffff, 0), (0, 0)]);
    assert!(session.shut);
    session.finish();
    assert_eq!(session.over, Some(Reason::Stopped));
}

#[test]
fn a_client_that_has_finished_still_gets_its_responses() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[]);
    session.say(&[get(1, "/memory"), post(3, "/tiny", &[])].concat());
    session.finish();
    assert_eq!(session.client.whole(1).status, 200);
    assert_eq!(session.over, Some(Reason::PeerClosed));
    // A window that will never open.
    let mut session = Session::open(&mut bench, &[(4, 2)]);
    session.say(&get(1, "/tiny"));
    session.finish();
    assert_eq!(session.over, Some(Reason::PeerClosed));
}

#[test]
fn what_can_be_closed_without_loss_can_be_evicted() {
    let mut bench = bench(&[]);
    let evictable = |session: &Session<'_>| {
        session.connection.standing(session.bench.clock.tick).evictable.is_some()
    };
    let mut session = Session::open(&mut bench, &[(4, 2)]);
    session.say(&get(1, "/empty"));
    assert!(evictable(&session), "it is idle");
    session.say(&get(3, "/tiny"));
    assert!(!evictable(&session), "a response is sent");
    session.wait(5_000);
    let standing = session.connection.standing(session.bench.clock.tick);
    assert!(standing.unsent && matches!(standing.evictable, Some(Evictable::Stuck(_))));
    session.say(&settings(&[(4, 10)]));
    session.say(&get(5, "/tiny")[..12]);
    assert!(!evictable(&session), "a request may come");
    session.wait(1_000);
    assert!(evictable(&session));
}
