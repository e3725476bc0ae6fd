//! Attacks, and the bound at which each of them ends its connection.

use tenkay::machine::{Event, Held, Reason, Step};
use tenkay::site::Wait;

use crate::peer::*;
use crate::session::{Session, bench};

/// ENHANCE_YOUR_CALM.
const CALM: u32 = 11;

/// Repeats `attack` until the connection ends; returns how often, and the last code.
fn repeat(attack: &mut dyn FnMut(u32) -> Vec<u8>, most: u32) -> (u32, Option<u32>) {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[]);
    for number in 0..most {
        session.say(&attack(number));
        if let Some(code) = session.goaway() {
            session.finish();
            let reason = if code == CALM { Reason::Flooded } else { Reason::ProtocolError };
            assert_eq!(session.over, Some(reason));
            return (number, Some(code));
        }
    }
    (most, None)
}

fn id(number: u32) -> u32 {
    2 * number + 1
}

/// An attack: its name, its frames by number, and when it must have ended.
type Attack = (&'static str, Box<dyn FnMut(u32) -> Vec<u8>>, u32);

/// Useless frames, and streams that end without a response.
fn attacks_by_number() -> Vec<Attack> {
    let ping = |_| frame(PING, 0, 0, &[0; 8]);
    vec![
        (
            "Rapid Reset",
            Box::new(|n| [get(id(n), "/file"), number(RST_STREAM, id(n), 8)].concat()),
            101,
        ),
        (
            "MadeYouReset by a window",
            Box::new(|n| [get(id(n), "/file"), number(WINDOW_UPDATE, id(n), 0)].concat()),
            101,
        ),
        ("MadeYouReset by a field", Box::new(|n| request(id(n), "GET", "/", &[("A", "b")])), 101),
        ("PING", Box::new(ping), 1001),
        ("SETTINGS", Box::new(|_| settings(&[])), 1001),
        ("acknowledgements", Box::new(|_| frame(SETTINGS, ACK, 0, &[])), 1001),
        (
            "empty DATA",
            Box::new(|n| match n {
                0 => post(1, "/tiny", &[]),
                _ => frame(DATA, 0, 1, &[]),
            }),
            1002,
        ),
        (
            "padding",
            Box::new(|n| match n {
                0 => post(1, "/tiny", &[]),
                _ => frame(DATA, 8, 1, &[1, 0]),
            }),
            1002,
        ),
        ("unknown frames", Box::new(|_| frame(99, 0, 0, &[])), 1001),
        ("PRIORITY", Box::new(|n| frame(PRIORITY, 0, id(n), &[0; 5])), 1001),
        (
            "PRIORITY_UPDATE",
            Box::new(|n| {
                frame(PRIORITY_UPDATE, 0, 0, &[&id(n).to_be_bytes()[..], b"u=1"].concat())
            }),
            1001,
        ),
        ("windows", Box::new(|_| number(WINDOW_UPDATE, 0, 1)), 1001),
        (
            "a window that is opened by single bytes",
            Box::new(|n| match n {
                0 => [settings(&[(4, 0)]), get(1, "/file")].concat(),
                _ => number(WINDOW_UPDATE, 1, 1),
            }),
            1010,
        ),
        (
            "100 windows that SETTINGS open by single bytes",
            Box::new(|n| match n {
                0 => settings(&[(4, 0)]),
                1..=100 => get(id(n), "/file"),
                _ => settings(&[(4, n - 100)]),
            }),
            111,
        ),
        (
            "resets of closed streams",
            Box::new(|n| match n {
                0 => get(1, "/tiny"),
                _ => number(RST_STREAM, 1, 8),
            }),
            1102,
        ),
    ]
}

/// Blocks that do not end.
fn attacks_by_blocks() -> Vec<Attack> {
    let huge = block(&[("x", &"y".repeat(16_000))]);
    vec![
        (
            "CONTINUATION",
            Box::new(|n| match n {
                0 => frame(HEADERS, END_STREAM, 1, &block(&pseudo("GET", "/"))),
                _ => frame(CONTINUATION, 0, 1, &block(&[("x", "y")])),
            }),
            18,
        ),
        (
            "empty CONTINUATION",
            Box::new(|n| match n {
                0 => frame(HEADERS, END_STREAM, 1, &[]),
                _ => frame(CONTINUATION, 0, 1, &[]),
            }),
            18,
        ),
        (
            "a large block",
            Box::new(move |n| match n {
                0 => frame(HEADERS, END_STREAM, 1, &huge),
                _ => frame(CONTINUATION, 0, 1, &huge),
            }),
            3,
        ),
    ]
}

#[test]
fn an_attack_ends_with_a_goaway_within_its_bound() {
    for (name, mut attack, most) in attacks_by_number().into_iter().chain(attacks_by_blocks()) {
        let (count, code) = repeat(&mut attack, most);
        assert_eq!(code, Some(CALM), "{name} after {count}");
    }
}

/// Small windows are slow, but no attack: a client that updates two windows after each DATA frame.
#[test]
fn a_client_with_a_small_window_gets_its_responses() {
    for window in [256, 1023, 16_384] {
        let mut bench = bench(&[]);
        let mut session = Session::open(&mut bench, &[(4, window)]);
        for n in 0..5 {
            let mut updated = 0;
            session.say(&get(id(n), "/file"));
            while !session.client.responses[&id(n)].is_complete {
                let frames = session.client.frames.len();
                assert!(frames > updated, "the response goes on");
                updated = frames;
                let each = [number(WINDOW_UPDATE, id(n), window), number(WINDOW_UPDATE, 0, window)];
                session.say(&each.concat());
            }
            assert_eq!(session.client.whole(id(n)).body.len(), 200_000);
        }
        assert_eq!(session.goaway(), None, "{window}");
    }
}

const PATHS: [&str; 5] = ["/file", "/missing", "/dir", "/small", "/list/"];

/// The memory of all connections is used up.
#[test]
fn without_memory_requests_are_refused_and_files_are_sent() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[]);
    session.say(&(0..5).flat_map(|n| get(101 + 2 * n, PATHS[n as usize])).collect::<Vec<u8>>());
    let mut session = Session::open(session.bench, &[]);
    session.bench.pages.held = Held::new(1000);
    session.bench.pages.held.change(0, 900);
    session.say(&request(1, "GET", "/file", &[("range", "bytes=0-1,5-6,9-12,20-21,30-31")]));
    assert_eq!(session.client.whole(1).status, 503);
    session.say(&post(3, "/tiny", &[]));
    assert_eq!(session.client.resets.get(&3), Some(&7), "REFUSED_STREAM");
    for (id, path, status) in [(5, "/file", 200), (7, "/missing", 404), (9, "/dir", 301)] {
        session.say(&get(id, path));
        assert_eq!(session.client.responses[&id].status, status, "{path}");
    }
    session.say(&number(RST_STREAM, 5, 8));
    session.say(&number(WINDOW_UPDATE, 0, 1_000_000)); // the file has used up the first one
    session.say(&request(11, "GET", "/list/?archive=tar", &[]));
    assert_eq!(session.client.whole(11).status, 503);
    // A few streams need no further memory.
    session.say(&settings(&[(4, 0)]));
    session.say(&(0..9).flat_map(|n| get(21 + 2 * n, "/small")).collect::<Vec<u8>>());
    assert_eq!(session.client.resets.len(), 6, "{:?}", session.client.resets);
    bench_has_memory_again(&mut session);
}

fn bench_has_memory_again(session: &mut Session<'_>) {
    session.bench.pages.held.change(900, 0);
    session.say(&settings(&[(4, 100_000)]));
    session.say(&request(51, "GET", "/file", &[("range", "bytes=0-1,5-6")]));
    assert_eq!(session.client.whole(51).status, 206);
}

/// After the last GOAWAY, everything on later streams is ignored (RFC 9113 section 6.8).
#[test]
fn frames_of_requests_after_the_last_one_are_ignored() {
    for late in [
        [post(11, "/tiny", &[]), frame(DATA, END_STREAM, 11, b"abc")].concat(),
        [get(11, "/tiny"), number(WINDOW_UPDATE, 11, 1000)].concat(),
        [get(11, "/tiny"), number(RST_STREAM, 11, 8)].concat(),
    ] {
        let mut bench = bench(&["requests_per_connection=5"]);
        let mut session = Session::open(&mut bench, &[(4, 10)]);
        session.say(&(0..4).flat_map(|n| get(id(n), "/tiny")).collect::<Vec<u8>>());
        session.say(&get(9, "/small")); // its window is too small, so the connection goes on
        session.say(&late);
        assert_eq!(session.client.goaways, [(9, 0)], "{late:?}");
        session.say(&settings(&[(4, 1000)]));
        assert!(session.client.whole(9).status == 200 && session.shut);
    }
}

/// What one client can do in a turn of the loop, before the others have theirs.
#[test]
fn an_attacker_gets_its_share_of_a_turn_and_no_more() {
    let requests: Vec<u8> = (0..100).flat_map(|n| get(id(n), "/tiny")).collect();
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(500);
    let resets: Vec<u8> = (0..100)
        .flat_map(|n| [get(id(n), "/file"), number(RST_STREAM, id(n), 8)].concat())
        .collect();
    let bombs: Vec<u8> = (0..10)
        .flat_map(|n| {
            let block = [block(&pseudo("GET", "/tiny")), vec![0x82; 16_000]].concat();
            frame(HEADERS, END_HEADERS | END_STREAM, id(n), &block)
        })
        .collect();
    for (name, input, most) in [
        ("requests", requests, 32),
        ("PING", pings, 64),
        ("resets", resets, 32),
        ("bombs", bombs, 2),
    ] {
        let mut bench = bench(&[]);
        let mut session = Session::open(&mut bench, &[]);
        session.begin(&input);
        for turn in 1.. {
            session.bench.clock.next_turn();
            session.report(Event::Retry);
            while !matches!(session.connection.step(), Step::Wait(Wait::Turn)) && session.turn() {}
            let client = &session.client;
            let done = match name {
                "PING" => client.pongs.len(),
                _ => client.responses.len() + client.resets.len(),
            };
            assert!(done <= turn * most, "{done} {name} in {turn} turns");
            if matches!(session.connection.step(), Step::Read | Step::Close(_)) {
                assert!(done >= 2 * most, "{done} {name}: it has taken several turns");
                break;
            }
        }
    }
}

/// CVE-2016-6581: a large entry of the table, and one byte for each repetition.
#[test]
fn a_bomb_gets_a_431_and_the_connection_goes_on() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[]);
    let mut bomb = block(&pseudo("GET", "/tiny"));
    bomb.extend([0x40, 1, b'x', 0x7f, 0x81, 0x1e]);
    bomb.extend([b'y'; 3968]);
    bomb.extend([0xbe; 12_000]);
    session.say(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb));
    assert_eq!(session.client.whole(1).status, 431);
    let indexed = [block(&pseudo("GET", "/tiny")), vec![0xbe]].concat();
    session.say(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &indexed));
    assert_eq!(session.client.whole(3).status, 200, "the table is still right");
}

#[test]
fn ordinary_clients_meet_no_bound() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[(4, 0x10_0000)]);
    for n in 0..3000 {
        session.say(&[get(id(n), "/tiny"), frame(PING, 0, 0, &[0; 8])].concat());
        session.say(&number(WINDOW_UPDATE, 0, 4));
    }
    assert_eq!(session.goaway(), None);
    assert_eq!(session.client.responses.len(), 3000);
    // A long response, for which the client answers each frame with two windows.
    session.say(&get(9001, "/file"));
    while !session.client.responses[&9001].is_complete {
        session
            .say(&[number(WINDOW_UPDATE, 0, 16_384), number(WINDOW_UPDATE, 9001, 16_384)].concat());
    }
    assert_eq!(session.goaway(), None);
}

#[test]
fn streams_beyond_the_limit_are_refused_and_others_go_on() {
    let mut bench = bench(&["streams=3"]);
    let mut session = Session::open(&mut bench, &[(4, 0)]);
    let own = &session.client.frames[0].payload;
    assert_eq!(own[..6], [0, 3, 0, 0, 0, 3], "MAX_CONCURRENT_STREAMS");
    session.say(&(0..5).flat_map(|n| get(id(n), "/tiny")).collect::<Vec<u8>>());
    assert_eq!(session.client.resets.iter().collect::<Vec<_>>(), [(&7, &7), (&9, &7)]);
    session.say(&settings(&[(4, 10)]));
    session.say(&get(11, "/tiny"));
    assert_eq!(session.client.statuses(), [(1, 200), (3, 200), (5, 200), (11, 200)]);
    assert!(session.client.responses.values().all(|response| response.is_complete));
}

#[test]
fn requests_that_wait_take_bounded_memory() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[]);
    let large = "b".repeat(8_000);
    for n in 0..20 {
        session.say(&post(id(n), "/tiny", &[("accept", &*large), ("if-match", "\"a\"")]));
    }
    let refused = session.client.resets.values().filter(|code| **code == 7).count();
    assert_eq!(refused, 5, "15 of 8,000 bytes wait");
    assert!(session.client.resets.values().all(|code| *code == 7));
}

#[test]
fn a_connection_has_a_bounded_number_of_requests() {
    let mut bench = bench(&["requests_per_connection=5"]);
    let mut session = Session::open(&mut bench, &[]);
    for n in 0..4 {
        session.say(&get(id(n), "/tiny"));
        assert_eq!(session.goaway(), None);
    }
    session.say(&[get(9, "/tiny"), get(11, "/tiny")].concat());
    assert_eq!(session.client.goaways, [(9, 0)]);
    assert_eq!(session.client.statuses().len(), 5);
    session.finish();
    assert_eq!(session.over, Some(Reason::Finished));
}

#[test]
fn the_limit_of_a_client_counts_every_request_once() {
    let mut bench = bench(&[]);
    bench.requests_left = 3;
    let mut session = Session::open(&mut bench, &[]);
    let posted = [post(5, "/tiny", &[]), frame(DATA, END_STREAM, 5, b"a")].concat();
    session.say(&[get(1, "/tiny"), get(3, "/file"), posted, get(7, "/tiny")].concat());
    let statuses: Vec<u16> = session.client.statuses().iter().map(|(_, status)| *status).collect();
    assert_eq!(statuses, [200, 200, 405, 429]);
    assert_eq!(session.client.whole(7).field("retry-after"), "1");
    assert_eq!(session.bench.requests_left, 0);
}
