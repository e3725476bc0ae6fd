//! Whole conversations give the same responses wherever their bytes are cut.

use std::collections::BTreeMap;

use crate::peer::*;
use crate::sans_io::bench::{Bench, content};
use crate::session::{Session, bench};

/// Responses and resets by stream, and the codes of GOAWAY.
type Outcome = (BTreeMap<u32, Response>, BTreeMap<u32, u32>, Vec<u32>);

fn play(bench: &mut Bench, input: &[u8], heads: &[u32], reads: usize, writes: usize) -> Outcome {
    let mut session = Session::new(bench);
    session.client.heads = heads.to_vec();
    (session.reads, session.writes) = (reads, writes);
    session.say(input);
    session.finish();
    assert!(session.client.is_at_border(), "the output ends with a whole frame");
    undated(&mut session.client);
    let goaways = session.client.goaways.iter().map(|(_, code)| *code).collect();
    (session.client.responses.clone(), session.client.resets.clone(), goaways)
}

/// The clock of the bench goes on between two conversations.
fn undated(client: &mut Client) {
    for response in client.responses.values_mut() {
        assert_ne!(response.field("date"), "");
        response.fields.retain(|(name, _)| name != "date");
    }
}

fn conversations() -> Vec<(&'static str, Vec<u8>)> {
    let wide = || [hello(&[(4, 1_000_000)]), number(WINDOW_UPDATE, 0, 1_000_000)].concat();
    let pieces = {
        let all = block(&[pseudo("GET", "/tiny"), vec![("x", "y")]].concat());
        let (first, rest) = all.split_at(5);
        let (second, third) = rest.split_at(20);
        [
            frame(HEADERS, END_STREAM, 1, first),
            frame(CONTINUATION, 0, 1, second),
            frame(CONTINUATION, END_HEADERS, 1, third),
        ]
        .concat()
    };
    vec![
        ("one", [wide(), get(1, "/tiny")].concat()),
        ("several", [wide(), get(1, "/small"), get(3, "/none"), get(5, "/empty")].concat()),
        ("in memory", [wide(), get(1, "/memory")].concat()),
        ("a file", [wide(), get(1, "/file"), get(3, "/tiny")].concat()),
        ("HEAD", [wide(), request(1, "HEAD", "/small", &[])].concat()),
        ("an index and a listing", [wide(), get(1, "/dir/"), get(3, "/list/")].concat()),
        ("a redirect", [wide(), get(1, "/dir?x=y")].concat()),
        ("not modified", [wide(), request(1, "GET", "/tiny", &[("if-none-match", "*")])].concat()),
        ("a range", [wide(), request(1, "GET", "/file", &[("range", "bytes=5-70000")])].concat()),
        (
            "ranges",
            [wide(), request(1, "GET", "/file", &[("range", "bytes=0-9,20000-60000,-5")])].concat(),
        ),
        ("continuation", [wide(), pieces].concat()),
        (
            "a body",
            [
                wide(),
                post(1, "/tiny", &[("content-length", "6")]),
                frame(DATA, 0, 1, b"abc"),
                get(3, "/tiny"),
                frame(DATA, 8 | END_STREAM, 1, b"\x02def\0\0"),
            ]
            .concat(),
        ),
        (
            "trailers",
            [
                wide(),
                post(1, "/tiny", &[]),
                frame(DATA, 0, 1, b"abc"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("x-sum", "1")])),
            ]
            .concat(),
        ),
        ("malformed", [wide(), request(1, "GET", "/", &[("A", "b")]), get(3, "/tiny")].concat()),
        (
            "ping and unknown",
            [wide(), frame(PING, 0, 0, b"12345678"), frame(99, 7, 8, b"x"), get(1, "/tiny")]
                .concat(),
        ),
        ("no preface", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("no settings", [PREFACE, &get(1, "/tiny")].concat()),
        ("an archive", [wide(), get(1, "/list/?archive=tar"), get(3, "/tiny")].concat()),
    ]
}

#[test]
fn a_conversation_is_the_same_wherever_it_is_cut() {
    let mut bench = bench(&[]);
    for (name, input) in conversations() {
        let heads = if name == "HEAD" { &[1][..] } else { &[] };
        let whole = play(&mut bench, &input, heads, usize::MAX, usize::MAX);
        for piece in [1, 2, 3, 7, 10, 100] {
            assert_eq!(play(&mut bench, &input, heads, piece, usize::MAX), whole, "{name} {piece}");
        }
        for piece in [1, 9, 10, 1000, 16_383] {
            if piece > 1 || whole.0.values().all(|response| response.body.len() < 60_000) {
                assert_eq!(play(&mut bench, &input, heads, 1000, piece), whole, "{name} {piece}");
            }
        }
    }
}

#[test]
fn a_conversation_that_is_cut_once_at_any_byte_is_the_same() {
    let mut bench = bench(&[]);
    for (name, input) in conversations() {
        let heads = if name == "HEAD" { &[1][..] } else { &[] };
        let whole = play(&mut bench, &input, heads, usize::MAX, usize::MAX);
        for cut in 1..input.len() {
            let mut session = Session::new(&mut bench);
            session.client.heads = heads.to_vec();
            session.say(&input[..cut]);
            session.say(&input[cut..]);
            undated(&mut session.client);
            assert_eq!(session.client.responses, whole.0, "{name}, cut at {cut}");
            assert_eq!(session.client.resets, whole.1, "{name}, cut at {cut}");
        }
    }
}

#[test]
fn the_responses_are_those_that_were_asked_for() {
    let mut bench = bench(&[]);
    let all: Vec<Outcome> = conversations()
        .iter()
        .map(|(name, input)| {
            let heads = if *name == "HEAD" { &[1][..] } else { &[] };
            play(&mut bench, input, heads, usize::MAX, usize::MAX)
        })
        .collect();
    let statuses: Vec<Vec<u16>> = all
        .iter()
        .map(|(responses, ..)| responses.values().map(|it| it.status).collect())
        .collect();
    let expected: [&[u16]; 18] = [
        &[200],
        &[200, 404, 200],
        &[200],
        &[200, 200],
        &[200],
        &[200, 200],
        &[301],
        &[304],
        &[206],
        &[206],
        &[200],
        &[405, 200],
        &[405],
        &[200],
        &[200],
        &[],
        &[],
        &[200, 200],
    ];
    assert_eq!(statuses, expected);
    assert_eq!(all[0].0[&1].body, b"tiny");
    assert_eq!(all[0].0[&1].field("content-length"), "4");
    assert_eq!(all[2].0[&1].body, content(50_000, 1));
    assert_eq!(all[3].0[&1].body, content(200_000, 1));
    assert_eq!(all[4].0[&1].body, b"");
    assert_eq!(all[4].0[&1].field("content-length"), "1000");
    assert_eq!(all[6].0[&1].field("location"), "dir/?x=y");
    assert_eq!(all[8].0[&1].body, content(200_000, 1)[5..=70_000]);
    assert!(all[9].0[&1].field("content-type").starts_with("multipart/byteranges"));
    assert_eq!(all[13].1, BTreeMap::from([(1, 1)]), "PROTOCOL_ERROR");
    assert_eq!((&*all[15].2, &*all[16].2), (&[1][..], &[1][..]));
    assert_eq!(all[17].0[&1].body.len() % 512, 0);
    assert!(all[17].0[&1].body.len() > 33_000);
}
