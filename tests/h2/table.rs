//! What each frame does in each state of a stream: the table of the module's documentation.

use crate::peer::*;
use crate::session::{Session, bench};

const STATES: [&str; 5] = ["idle", "open", "half-closed", "closed", "reset"];

const CODES: [(u32, &str); 5] = [
    (1, "PROTOCOL_ERROR"),
    (3, "FLOW_CONTROL_ERROR"),
    (5, "STREAM_CLOSED"),
    (6, "FRAME_SIZE_ERROR"),
    (9, "COMPRESSION_ERROR"),
];

/// The number of the stream that is tested.
const ID: u32 = 3;

/// The frames of a row.
fn frames(row: &str) -> Vec<Vec<u8>> {
    let trailers = block(&[("x", "y")]);
    let fields = block(&pseudo("GET", "/tiny"));
    let headers = |flags, block: &[u8]| frame(HEADERS, END_HEADERS | flags, ID, block);
    match row {
        // On an open stream they are trailers.
        "HEADERS" => vec![headers(0, &fields), headers(0, &trailers)],
        "HEADERS with END_STREAM" => {
            vec![headers(END_STREAM, &fields), headers(END_STREAM, &trailers)]
        }
        "DATA" => vec![frame(DATA, 0, ID, b"abc")],
        "DATA with END_STREAM" => vec![frame(DATA, END_STREAM, ID, b"abc")],
        "RST_STREAM" => vec![number(RST_STREAM, ID, 8)],
        "WINDOW_UPDATE" => vec![number(WINDOW_UPDATE, ID, 10)],
        "WINDOW_UPDATE of 0" => vec![number(WINDOW_UPDATE, ID, 0)],
        "WINDOW_UPDATE, too large" => vec![number(WINDOW_UPDATE, ID, 0x7fff_ffff).repeat(2)],
        "PRIORITY" => vec![frame(PRIORITY, 0, ID, &[0, 0, 0, 1, 9])],
        "PRIORITY of 4 bytes" => vec![frame(PRIORITY, 0, ID, &[0, 0, 0, 1])],
        "PRIORITY_UPDATE" => {
            vec![frame(PRIORITY_UPDATE, 0, 0, &[&ID.to_be_bytes()[..], b"u=1"].concat())]
        }
        "CONTINUATION" => vec![frame(CONTINUATION, END_HEADERS, ID, &fields)],
        "PUSH_PROMISE" => vec![frame(PUSH_PROMISE, END_HEADERS, ID, &[0, 0, 0, 2, 0x82])],
        "SETTINGS, PING or GOAWAY" => vec![
            frame(SETTINGS, 0, ID, &[]),
            frame(PING, 0, ID, &[0; 8]),
            frame(GOAWAY, 0, ID, &[0; 8]),
        ],
        "unknown" => vec![frame(77, 0xff, ID, b"abc")],
        other => panic!("a new row: {other}"),
    }
}

/// Brings the stream into a state.
fn prepare(session: &mut Session<'_>, state: &str) {
    match state {
        "idle" => {}
        "open" => session.say(&post(ID, "/tiny", &[])),
        "half-closed" => session.say(&get(ID, "/file")), // longer than its window
        "closed" => {
            session.say(&get(ID, "/tiny"));
            session.client.whole(ID);
        }
        "reset" => {
            session.say(&post(ID, "/tiny", &[("A", "b")]));
            assert_eq!(session.client.resets.remove(&ID), Some(1));
        }
        other => panic!("a new state: {other}"),
    }
}

/// What a frame does, in the words of the table.
fn outcome(session: &Session<'_>, state: &str) -> String {
    let name = |code: u32| CODES.iter().find(|(own, _)| *own == code).unwrap().1;
    if let Some(code) = session.goaway() {
        return format!("connection {}", name(code));
    }
    if let Some(code) = session.client.resets.get(&ID) {
        return format!("stream {}", name(*code));
    }
    match (state, session.client.responses.get(&ID)) {
        ("open", Some(response)) => {
            assert_eq!(response.status, 405);
            "end of the body".to_owned()
        }
        _ => "no error".to_owned(),
    }
}

#[test]
fn every_frame_in_every_state_does_what_the_documentation_says() {
    let text = include_str!("../../src/h2/mod.rs");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("//! | ")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").collect())
        .collect();
    assert_eq!(rows[0][1..], STATES);
    assert_eq!(rows.len(), 16);
    let mut bench = bench(&[]);
    for row in &rows[1..] {
        for (state, expected) in STATES.iter().zip(&row[1..]) {
            for bytes in frames(row[0]) {
                let is_trailer = bytes.len() < 20 && bytes[3] == HEADERS;
                if bytes[3] == HEADERS && is_trailer != (*state == "open") {
                    continue;
                }
                let mut session = Session::open(&mut bench, &[(4, 10)]);
                prepare(&mut session, state);
                session.say(&bytes);
                let found = outcome(&session, state);
                let expected = match *expected {
                    error if error.contains("_") => error,
                    "end of the body" => "end of the body",
                    "request" | "body" | "closed" | "window" | "priority" | "ignored" => "no error",
                    other => panic!("a new word: {other}"),
                };
                assert_eq!(found, expected, "{} on a stream that is {state}", row[0]);
                if session.goaway().is_none() {
                    session.say(&get(99, "/tiny"));
                    assert_eq!(session.client.whole(99).status, 200, "the connection goes on");
                } else {
                    assert!(session.shut && session.over.is_none(), "it lingers");
                    session.finish();
                    assert!(session.over.is_some());
                }
            }
        }
    }
}

/// Nothing may stand between the frames of a block.
#[test]
fn a_block_is_not_interrupted() {
    let mut bench = bench(&[]);
    let begin = frame(HEADERS, END_STREAM, 1, &block(&pseudo("GET", "/tiny")));
    for other in [
        get(3, "/tiny"),
        frame(PING, 0, 0, &[0; 8]),
        frame(99, 0, 0, b""),
        frame(CONTINUATION, END_HEADERS, 3, b""),
        frame(DATA, 0, 1, b""),
    ] {
        let mut session = Session::open(&mut bench, &[]);
        session.say(&[&begin[..], &other].concat());
        assert_eq!(session.goaway(), Some(1), "{other:?}");
    }
}
