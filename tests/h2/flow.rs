//! Windows, and the order in which responses are sent.

use crate::peer::*;
use crate::sans_io::bench::content;
use crate::session::{Session, bench};

/// The streams of the DATA frames that were received, in order.
fn order(client: &Client) -> Vec<u32> {
    client.frames.iter().filter(|frame| frame.kind == DATA).map(|frame| frame.stream).collect()
}

fn with_priority(id: u32, path: &str, priority: &str) -> Vec<u8> {
    request(id, "GET", path, &[("priority", priority)])
}

/// A page is made again for each of its frames.
#[test]
fn a_page_is_whole_however_small_its_frames_are() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[]);
    session.say(&get(1, "/missing"));
    let whole = session.client.whole(1).body.clone();
    for (n, window) in [1, 100, 1000].into_iter().enumerate() {
        let mut session = Session::open(session.bench, &[(4, 0)]);
        session.say(&[get(1, "/missing"), get(3, "/file")].concat());
        while !session.client.responses[&1].is_complete {
            session.say(&number(WINDOW_UPDATE, 1, window));
            assert!(session.goaway().is_none() || n == 0, "a client that asks for single bytes");
            if session.goaway().is_some() {
                break;
            }
        }
        let body = &session.client.responses[&1].body;
        assert_eq!(body[..], whole[..body.len()]);
        assert!(n == 0 || body.len() == whole.len());
    }
}

#[test]
fn no_more_is_sent_than_the_client_allows() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[(4, 10)]);
    session.say(&get(1, "/small"));
    assert_eq!(session.client.responses[&1].body.len(), 10);
    session.say(&settings(&[(4, 5)])); // the window is 5 below 0
    session.say(&number(WINDOW_UPDATE, 1, 5));
    assert_eq!(session.client.responses[&1].body.len(), 10);
    session.say(&number(WINDOW_UPDATE, 1, 1));
    assert_eq!(session.client.responses[&1].body.len(), 11);
    session.say(&settings(&[(4, 1_000_000)]));
    assert_eq!(session.client.whole(1).body, content(1000, 1));
    // The window of the connection.
    session.client.heads.push(7);
    session.say(&[get(3, "/file"), get(5, "/empty"), request(7, "HEAD", "/small", &[])].concat());
    assert_eq!(session.client.responses[&3].body.len(), 65_535 - 1000);
    assert!(session.client.responses[&5].is_complete && session.client.responses[&7].is_complete);
    session.say(&number(WINDOW_UPDATE, 0, 200_000));
    assert_eq!(session.client.whole(3).body, content(200_000, 1));
}

/// Where the outbox is full, the rest of a page follows it.
#[test]
fn pages_of_failures_are_sent_however_many_there_are() {
    for count in 1..64 {
        let mut bench = bench(&[]);
        let mut session = Session::open(&mut bench, &[(4, 0x10_0000)]);
        session.say(&number(WINDOW_UPDATE, 0, 0x1000_0000));
        session.say(&(0..count).flat_map(|n| get(2 * n + 1, "/none")).collect::<Vec<u8>>());
        for n in 0..count {
            let page = session.client.whole(2 * n + 1);
            assert_eq!(page.status, 404);
            assert!(String::from_utf8_lossy(&page.body).ends_with("</html>\n"), "{page:?}");
        }
    }
}

/// A window that shrinks while its stream is about to send.
#[test]
fn a_window_may_shrink_at_any_time() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[(4, 100_000)]);
    session.say(&number(WINDOW_UPDATE, 0, 100_000));
    let ranges = [("range", "bytes=0-9,20000-30000")];
    let both = [get(1, "/memory"), request(3, "GET", "/file", &ranges)].concat();
    session.say(&[both, settings(&[(4, 0)])].concat());
    session.say(&settings(&[(4, 200_000)]));
    assert_eq!(session.client.whole(1).body, content(50_000, 1));
    assert_eq!(session.client.whole(3).status, 206);
}

#[test]
fn windows_that_overflow_are_errors() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[]);
    session.say(&number(WINDOW_UPDATE, 0, 0x7fff_0000));
    assert_eq!(session.goaway(), None);
    session.say(&number(WINDOW_UPDATE, 0, 1));
    session.say(&number(WINDOW_UPDATE, 0, 0xffff));
    assert_eq!(session.goaway(), Some(3));
    let mut session = Session::open(&mut bench, &[]);
    session.say(&number(WINDOW_UPDATE, 0, 0));
    assert_eq!(session.goaway(), Some(1));
    // A stream whose window is larger than the initial one.
    let mut session = Session::open(&mut bench, &[(4, 1)]);
    session.say(&[get(1, "/file"), number(WINDOW_UPDATE, 1, 0x7fff_0000)].concat());
    session.say(&settings(&[(4, 0x7fff_ffff)]));
    assert_eq!(session.goaway(), Some(3));
}

#[test]
fn more_than_the_server_allows_is_an_error() {
    let mut bench = bench(&["body_bytes=1000000"]);
    let mut session = Session::open(&mut bench, &[]);
    session.say(&post(1, "/tiny", &[]));
    // Without a break, so that no window can have been given back.
    let data = frame(DATA, 0, 1, &[0; 16_384]);
    session.say(&data.repeat(60));
    assert_eq!(session.goaway(), None, "windows are given back in time");
}

#[test]
fn priorities_are_obeyed() {
    for (name, requests, expected) in [
        (
            "one after another",
            vec![with_priority(1, "/file", "u=3"), with_priority(3, "/file", "u=3")],
            vec![(1, 13), (3, 13)],
        ),
        (
            "the urgent one first",
            vec![with_priority(1, "/file", "u=5"), with_priority(3, "/file", "u=1")],
            vec![(3, 13), (1, 13)],
        ),
        (
            "without the field they share",
            vec![get(1, "/memory"), get(3, "/memory")],
            vec![(1, 1), (3, 1), (1, 1), (3, 1), (1, 1), (3, 1), (1, 1), (3, 1)],
        ),
    ] {
        let mut bench = bench(&[]);
        let mut session = Session::open(&mut bench, &[(4, 0x10_0000)]);
        session.say(&requests.concat());
        session.client.frames.retain(|frame| frame.kind != DATA);
        // Nothing was held back, so the order is that of the arrival: hold it back.
        drop(session);
        let mut session = Session::open(&mut bench, &[(4, 0)]);
        session.say(&number(WINDOW_UPDATE, 0, 0x10_0000));
        session.say(&requests.concat());
        session.say(&settings(&[(4, 0x10_0000)]));
        let mut runs: Vec<(u32, usize)> = Vec::new();
        for id in order(&session.client) {
            match runs.last_mut() {
                Some((last, count)) if *last == id => *count += 1,
                _ => runs.push((id, 1)),
            }
        }
        assert_eq!(runs, expected, "{name}");
    }
}

#[test]
fn a_priority_may_be_changed_before_and_after_its_request() {
    let update = |id: u32, value: &str| {
        frame(PRIORITY_UPDATE, 0, 0, &[&id.to_be_bytes()[..], value.as_bytes()].concat())
    };
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[(4, 0)]);
    session.say(&number(WINDOW_UPDATE, 0, 0x10_0000));
    session.say(&[update(5, "u=0"), with_priority(1, "/memory", "u=1")].concat());
    session.say(&[with_priority(3, "/memory", "u=2"), with_priority(5, "/memory", "u=7")].concat());
    session.say(&update(1, "u=7"));
    session.say(&settings(&[(4, 0x10_0000)]));
    let mut first = order(&session.client);
    first.dedup();
    assert_eq!(first, [5, 3, 1]);
}

#[test]
fn a_new_request_does_not_wait_for_a_long_response() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[(4, 0x7fff_ffff)]);
    session.say(&number(WINDOW_UPDATE, 0, 0x7000_0000));
    session.say(&get(1, "/tiny")); // it is cached now
    // A client that sends a request and a PING while a file is on its way.
    let input = with_priority(3, "/file", "u=7");
    let late = [with_priority(5, "/tiny", "u=1"), frame(PING, 0, 0, b"12345678")].concat();
    session.reads = input.len();
    session.say(&[input, late].concat());
    let position = |found: &dyn Fn(&Frame) -> bool| {
        session.client.frames.iter().position(found).expect("it was sent")
    };
    let pong = position(&|frame| frame.kind == PING);
    let tiny = position(&|frame| frame.kind == DATA && frame.stream == 5);
    let end = position(&|frame| frame.stream == 3 && frame.flags & END_STREAM != 0);
    assert!(tiny < end && pong < end, "{tiny} {pong} {end}");
    assert_eq!(order(&session.client).iter().filter(|id| **id == 3).count(), 13);
}

#[test]
fn a_request_that_waits_for_the_disk_is_tried_again_while_another_is_sent() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[(4, 0x7fff_ffff)]);
    session.say(&number(WINDOW_UPDATE, 0, 0x7000_0000));
    let path = "/small";
    session.begin(&[with_priority(1, "/file", "u=0"), with_priority(3, path, "u=7")].concat());
    // One step in a turn: the file is sent all the time.
    while session.client.responses.get(&1).is_none_or(|response| !response.is_complete) {
        session.bench.sites.work(&session.bench.clock, &mut || true);
        session.bench.wait(2);
        session.turn();
    }
    assert!(session.client.responses.contains_key(&3), "its fields were sent meanwhile");
    session.run();
    assert_eq!(session.client.whole(3).body, content(1000, 1));
}

#[test]
fn a_client_that_reads_nothing_is_not_read_from() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[]);
    session.writes = 0;
    let pings = frame(PING, 0, 0, &[7; 8]).repeat(100_000);
    let before = pings.len();
    let mut left = &pings[..];
    // As the reactor does: a write that sends nothing ends the turn.
    while matches!(
        session.connection.step(),
        tenkay::machine::Step::Read | tenkay::machine::Step::Poll
    ) {
        let (now, later) = left.split_at(17 * 100);
        left = later;
        let room = session.connection.room(&mut session.bench.pages).unwrap();
        room[..now.len()].copy_from_slice(now);
        session.report(tenkay::machine::Event::Read(now.len()));
    }
    assert!(before - left.len() <= 65_536);
    assert!(session.bench.pages.taken() <= 2);
}
