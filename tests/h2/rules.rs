//! What makes a request malformed (RFC 9113 sections 8.2 and 8.3), and what is answered.

use crate::peer::*;
use crate::session::{Session, bench};

/// The outcome of a request with these fields: a status, or the code of a reset as a negative
/// number.
fn outcome(fields: &[(&str, &str)]) -> i64 {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[]);
    session.client.heads = vec![1];
    session.say(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields)));
    assert_eq!(session.goaway(), None);
    let found = match (session.client.responses.get(&1), session.client.resets.get(&1)) {
        (Some(response), None) => i64::from(response.status),
        (None, Some(code)) => -i64::from(*code),
        both => panic!("{fields:?}: {both:?}"),
    };
    session.say(&get(3, "/tiny"));
    assert_eq!(session.client.whole(3).status, 200, "the connection goes on");
    found
}

#[test]
fn a_malformed_request_is_reset_and_the_connection_goes_on() {
    let get = || pseudo("GET", "/tiny");
    let with = |name, value| [get(), vec![(name, value)]].concat();
    let without = |name| get().into_iter().filter(|(own, _)| *own != name).collect::<Vec<_>>();
    let changed = |name, value| {
        get().into_iter().map(|field| if field.0 == name { (name, value) } else { field }).collect()
    };
    type Case = (&'static str, Vec<(&'static str, &'static str)>, i64);
    let cases: Vec<Case> = vec![
        ("well-formed", get(), 200),
        ("an unknown field", with("x-y", "z"), 200),
        ("a capital letter", with("X-y", "z"), -1),
        ("a space in a name", with("x y", "z"), -1),
        ("a colon in a name", with("x:y", "z"), -1),
        ("an empty name", with("", "z"), -1),
        ("a NUL", with("x", "a\0b"), -1),
        ("a CR", with("x", "a\rb"), -1),
        ("an LF", with("x", "a\nb"), -1),
        ("a blank before", with("x", " a"), -1),
        ("a blank behind", with("x", "a\t"), -1),
        ("a tab inside", with("x", "a\tb"), 200),
        ("Connection", with("connection", "close"), -1),
        ("Keep-Alive", with("keep-alive", "1"), -1),
        ("Proxy-Connection", with("proxy-connection", "close"), -1),
        ("Transfer-Encoding", with("transfer-encoding", "chunked"), -1),
        ("Upgrade", with("upgrade", "h2c"), -1),
        ("TE: gzip", with("te", "gzip"), -1),
        ("TE: trailers", with("te", "trailers"), 200),
        ("a late pseudo-field", [vec![("x", "y")], get()].concat(), -1),
        ("twice", with(":path", "/tiny"), -1),
        ("a second method", with(":method", "GET"), -1),
        ("a second authority", with(":authority", "a"), -1),
        ("an unknown pseudo-field", [vec![(":x", "y")], get()].concat(), -1),
        ("a status", [vec![(":status", "200")], get()].concat(), -1),
        ("no method", without(":method"), -1),
        ("no scheme", without(":scheme"), -1),
        ("no path", without(":path"), -1),
        ("an empty path", changed(":path", ""), -1),
        ("a path without a slash", changed(":path", "tiny"), -1),
        ("an absolute path", changed(":path", "http://a/tiny"), -1),
        ("a method that is no token", changed(":method", "G T"), -1),
        ("a length without a body", with("content-length", "1"), -1),
        ("a length of 0", with("content-length", "0"), 200),
        ("a length that is no number", with("content-length", "x"), -1),
        ("two lengths", [with("content-length", "0"), vec![("content-length", "0")]].concat(), -1),
        ("HTTPS before a proxy", changed(":scheme", "https"), 200),
    ];
    for (name, fields, expected) in cases {
        assert_eq!(outcome(&fields), expected, "{name}");
    }
}

#[test]
fn a_request_gets_the_status_that_http_1_gives() {
    let changed = |name: &'static str, value: &'static str| -> Vec<(&str, &str)> {
        let change = |field: (&'static str, &'static str)| {
            if field.0 == name { (name, value) } else { field }
        };
        pseudo("GET", "/tiny").into_iter().map(change).collect()
    };
    let with = |name, value| [pseudo("GET", "/tiny"), vec![(name, value)]].concat();
    let anonymous = || pseudo("GET", "/tiny")[..3].to_vec();
    for (name, fields, expected) in [
        ("another scheme", changed(":scheme", "ftp"), 400),
        ("no host", anonymous(), 400),
        ("Host alone", [anonymous(), vec![("host", "a")]].concat(), 200),
        ("both", with("host", "A"), 200),
        ("different ones", with("host", "b"), 400),
        ("two hosts", [with("host", "a"), vec![("host", "a")]].concat(), 400),
        ("userinfo", changed(":authority", "u@a"), 400),
        ("a malformed target", changed(":path", "/%2"), 400),
        ("a fragment", changed(":path", "/tiny#x"), 400),
        ("not there", changed(":path", "/none"), 404),
        ("another method", changed(":method", "PUT"), 405),
        ("an unknown method", changed(":method", "BREW"), 501),
        ("HEAD", changed(":method", "HEAD"), 200),
        (
            "OPTIONS *",
            vec![(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "a")],
            204,
        ),
        ("GET *", changed(":path", "*"), 400),
        ("CONNECT", vec![(":method", "CONNECT"), (":authority", "a:1")], 405),
        ("CONNECT with a path", changed(":method", "CONNECT"), -1),
        ("another expectation", with("expect", "x"), 417),
    ] {
        assert_eq!(outcome(&fields), expected, "{name}");
    }
}

#[test]
fn what_is_too_large_gets_its_status_while_it_can_be_decoded() {
    let long = "a".repeat(9_000);
    let many: Vec<(String, String)> = (0..101).map(|at| (format!("x{at}"), "y".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let path = format!("/{long}");
    let mut target = pseudo("GET", "/");
    target[2].1 = &path;
    for (name, fields, expected) in [
        ("a long target", target, 414),
        ("many fields", [pseudo("GET", "/tiny"), many].concat(), 431),
        (
            "large fields",
            [pseudo("GET", "/tiny"), vec![("x", &*long), ("y", &*long)]].concat(),
            431,
        ),
    ] {
        let bytes = block(&fields);
        let mut bench = bench(&[]);
        let mut session = Session::open(&mut bench, &[]);
        let (first, rest) = bytes.split_at(bytes.len().min(10_000));
        let end = if rest.is_empty() { END_HEADERS } else { 0 };
        session.say(&frame(HEADERS, END_STREAM | end, 1, first));
        if !rest.is_empty() {
            session.say(&frame(CONTINUATION, END_HEADERS, 1, rest));
        }
        assert_eq!(session.client.whole(1).status, expected, "{name}");
        session.say(&get(3, "/tiny"));
        assert_eq!(session.client.whole(3).status, 200, "{name}: the connection goes on");
    }
}

#[test]
fn bodies_are_dropped_and_checked() {
    let data = |flags, bytes: &[u8]| frame(DATA, flags, 1, bytes);
    let sized = |length: &'static str| post(1, "/tiny", &[("content-length", length)]);
    for (name, input, status, reset) in [
        ("as announced", vec![sized("3"), data(0, b"ab"), data(END_STREAM, b"c")], 405, None),
        ("not announced", vec![post(1, "/tiny", &[]), data(END_STREAM, b"abc")], 405, None),
        ("an empty end", vec![sized("2"), data(0, b"ab"), data(END_STREAM, b"")], 405, None),
        ("too short", vec![sized("3"), data(END_STREAM, b"ab")], 0, Some(1)),
        ("too long", vec![sized("1"), data(0, b"ab")], 0, Some(1)),
        (
            "a malformed target",
            vec![frame(HEADERS, END_HEADERS, 1, &block(&pseudo("GET", "/%2")))],
            400,
            Some(0),
        ),
        ("an expectation", vec![post(1, "/tiny", &[("expect", "100-continue")])], 405, Some(0)),
    ] {
        let mut bench = bench(&[]);
        let mut session = Session::open(&mut bench, &[]);
        session.say(&input.concat());
        let found = session.client.responses.get(&1).map_or(0, |response| response.status);
        assert_eq!((found, session.client.resets.get(&1).copied()), (status, reset), "{name}");
        session.say(&get(3, "/tiny"));
        assert_eq!(session.client.whole(3).status, 200, "{name}: the connection goes on");
    }
}

/// The method is one whose request is evaluated, so that the length decides.
#[test]
fn a_body_beyond_the_limit_gets_a_413_and_the_window_is_given_back() {
    let get_with = |fields: &[(&str, &str)]| {
        let all = [pseudo("GET", "/tiny"), fields.to_vec()].concat();
        frame(HEADERS, END_HEADERS, 1, &block(&all))
    };
    let mut bench = bench(&["body_bytes=100000"]);
    let mut session = Session::open(&mut bench, &[]);
    session.say(&get_with(&[("content-length", "100001")]));
    assert_eq!(session.client.whole(1).status, 413);
    assert_eq!(session.client.resets.get(&1), Some(&0));
    let mut session = Session::open(&mut bench, &[]);
    session.say(&get_with(&[]));
    for _ in 0..6 {
        session.say(&frame(DATA, 0, 1, &[0; 16_384]));
        assert!(session.client.responses.is_empty());
    }
    let given = |stream: u32| -> u32 {
        let updates = session.client.frames.iter().filter(|it| it.kind == WINDOW_UPDATE);
        let updates = updates.filter(|it| it.stream == stream);
        updates.map(|it| u32::from_be_bytes(it.payload[..].try_into().unwrap())).sum()
    };
    assert_eq!((given(0), given(1)), (6 * 16_384, 6 * 16_384));
    session.say(&frame(DATA, 0, 1, &[0; 10_000]));
    assert_eq!(session.client.whole(1).status, 413);
    assert_eq!(session.client.resets.get(&1), Some(&0));
    session.say(&frame(DATA, END_STREAM, 1, &[0; 100])); // was on its way
    session.say(&get(3, "/tiny"));
    assert_eq!(session.client.whole(3).status, 200);
}

/// As many as a client may have sent before it hears of the first reset.
#[test]
fn what_is_on_its_way_to_many_reset_streams_is_swallowed() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[]);
    let ids = || (1..200).step_by(2);
    session.say(&ids().flat_map(|id| post(id, "/tiny", &[("A", "b")])).collect::<Vec<u8>>());
    let rest = |id| {
        let trailers = frame(HEADERS, END_HEADERS | END_STREAM, id, &block(&[("x", "y")]));
        [frame(DATA, 0, id, b"abc"), trailers].concat()
    };
    session.say(&ids().flat_map(rest).collect::<Vec<u8>>());
    assert_eq!((session.client.resets.len(), session.goaway()), (100, None));
}

/// The location of the folder is longer than a page of memory.
#[test]
fn a_redirect_that_does_not_fit_is_a_414_with_its_page() {
    let mut bench = bench(&["target_bytes=16000", "head_bytes=32000"]);
    let mut session = Session::open(&mut bench, &[(4, 0x10_0000)]);
    let block = block(&pseudo("GET", &format!("/{}", "\u{e9}".repeat(7_900))));
    let (start, end) = block.split_at(10_000);
    let frames = [frame(HEADERS, END_STREAM, 1, start), frame(CONTINUATION, END_HEADERS, 1, end)];
    session.say(&frames.concat());
    assert_eq!(session.client.whole(1).status, 414);
    assert!(!session.client.whole(1).body.is_empty());
}

#[test]
fn what_is_on_its_way_to_a_reset_stream_is_swallowed() {
    let mut bench = bench(&[]);
    let mut session = Session::open(&mut bench, &[]);
    session.say(&post(1, "/tiny", &[("A", "b")]));
    assert_eq!(session.client.resets.get(&1), Some(&1));
    // A block that changes the table, and DATA that count for the window of the connection.
    session.say(&frame(DATA, 0, 1, &[0; 16_384]));
    session.say(&frame(DATA, 0, 1, &[0; 16_384]));
    let trailers = [0x40, 1, b'x', 1, b'y'];
    session.say(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers));
    let indexed = [block(&pseudo("GET", "/tiny")), vec![0xbe]].concat();
    session.say(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &indexed));
    assert_eq!(session.client.whole(3).status, 200);
    let update = session.client.frames.iter().find(|frame| frame.kind == WINDOW_UPDATE).unwrap();
    assert_eq!((update.stream, &update.payload[..]), (0, &32_768_u32.to_be_bytes()[..]));
}
