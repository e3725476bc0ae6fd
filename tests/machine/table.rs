//! The state transitions: the rows below are played, and the results are compared with the table in
//! the documentation of `tenkay::h1`, cell by cell. A cell of that table names exactly the states
//! that result from some row.

use std::collections::{BTreeMap, BTreeSet};

use tenkay::h1::{Connection, StateName};
use tenkay::http::status::{Failure, Status};
use tenkay::machine::{Event, Reason, Step};

use crate::sans_io::bench::Bench;
use crate::sans_io::responses;
use crate::scripts::Settings;

use Act::{
    Bytes, Drain, FileFails, Finish, Lost, Pieces, Retry, Send, SendAll, TimeOut, WorkAndRetry,
};
use Reason::{Finished, IdleTooLong, PeerClosed, PeerLost, Stalled, Stopped};
use StateName::{Await, Closed, Discard, Head, Idle, Linger, Reply};

/// An event of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Bytes arrive.
    Bytes(&'static str),
    /// Bytes arrive in one read: each piece, repeated this many times.
    Pieces(&'static [(&'static str, usize)]),
    /// The peer has finished sending.
    Finish,
    /// This many bytes of the output are sent, in one step.
    Send(usize),
    /// Everything is sent that the connection can send without reading.
    SendAll,
    /// The site is asked again, without success.
    Retry,
    /// The site is asked again, and returns a reply.
    WorkAndRetry,
    /// The deadline has passed.
    TimeOut,
    /// The connection was reset.
    Lost,
    /// The file is shorter than it was.
    FileFails,
    /// The server begins to shut down.
    Drain,
}

impl Act {
    /// Its column in the table.
    fn column(self) -> &'static str {
        match self {
            Bytes(_) | Pieces(_) => "bytes come",
            Finish => "peer finished sending",
            Send(_) | SendAll => "output was sent",
            Retry | WorkAndRetry => "retry",
            TimeOut => "timeout",
            Lost => "peer lost",
            FileFails => "file failed",
            Drain => "drain",
        }
    }

    /// Performs it. False if the connection does not ask for it.
    pub(crate) fn happens(self, bench: &mut Bench, connection: &mut Connection) -> bool {
        let closed = connection.state() == Closed;
        match self {
            // A late report of a step from before the end.
            Bytes(_) | Pieces(_) | Finish if closed => {
                bench.event(connection, Event::Read(0));
            }
            Send(_) | SendAll if closed => bench.event(connection, Event::Written(0)),
            Bytes(bytes) => return bench.give(connection, bytes.as_bytes()) == bytes.len(),
            Pieces(pieces) => {
                let bytes: String =
                    pieces.iter().map(|(bytes, times)| bytes.repeat(*times)).collect();
                return bench.give(connection, bytes.as_bytes()) == bytes.len();
            }
            Finish => return bench.finish(connection),
            Send(most) => return !bench.take(connection, most).is_empty(),
            SendAll => {
                let mut any = false;
                while !bench.take(connection, usize::MAX).is_empty() {
                    any = true;
                }
                return any;
            }
            Retry => bench.event(connection, Event::Retry),
            WorkAndRetry => {
                while bench.sites.work_due().is_some() {
                    bench.sites.work(&bench.clock, &mut || true);
                }
                bench.event(connection, Event::Retry);
            }
            TimeOut => bench.event(connection, Event::Timeout),
            Lost => bench.event(connection, Event::PeerLost),
            FileFails => bench.event(connection, Event::FileFailed),
            Drain => {
                bench.draining = true;
                bench.event(connection, Event::Drain);
            }
        }
        true
    }
}

/// A bench that has cached everything that the acts request, except the large folder.
pub(crate) fn warm_bench(settings: Settings, changes: &[&str]) -> Bench {
    let mut bench = settings.bench_with(changes);
    for path in ["/tiny", "/file", "/dir", "/no-such"] {
        bench.find(path);
    }
    bench
}

/// A connection after these acts.
pub(crate) fn connection_after(bench: &mut Bench, acts: &[Act]) -> Connection {
    bench.draining = false;
    let mut connection = Connection::new(bench.clock.tick);
    for act in acts {
        assert!(act.happens(bench, &mut connection), "{act:?} of {acts:?}");
    }
    connection
}

/// A request in HTTP/1.1 with further field lines, and the bytes behind it.
macro_rules! get {
    ($target:literal, $lines:literal $(, $behind:expr)?) => {
        concat!("GET ", $target, " HTTP/1.1\r\nHost: a\r\n", $lines, "\r\n" $(, $behind)?)
    };
}

/// A small response that is sent from the cache, because it is alone.
const ALONE: Act = Bytes(get!("/tiny", ""));
/// A small response that is written into the outbox.
pub(crate) const SMALL: Act = Bytes("HEAD /tiny HTTP/1.1\r\nHost: a\r\n\r\n");
pub(crate) const FILE: Act = Bytes(get!("/file", ""));
pub(crate) const LAST: Act = Bytes(get!("/tiny", "Connection: close\r\n"));
pub(crate) const BODY: Act = Bytes("HEAD /tiny HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
pub(crate) const PART: Act = Bytes("GET");
pub(crate) const BAD: Act = Bytes("G\0");
/// A small response, and the beginning of a head.
pub(crate) const SMALL_AND_PART: Act = Bytes(get!("/tiny", "", "GET"));
/// A small response, and a request whose body is missing.
pub(crate) const SMALL_AND_BODY: Act =
    Bytes(get!("/tiny", "", get!("/tiny", "Content-Length: 3\r\n")));
const BODY_OF_FILE: Act = Bytes(get!("/file", "Content-Length: 3\r\n"));
const BODY_OF_ALONE: Act = Bytes(get!("/tiny", "Content-Length: 3\r\n"));
const CHUNKS: Act = Bytes("HEAD /tiny HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
const LAST_AND_MORE: Act = Bytes(get!("/tiny", "Connection: close\r\n", "G"));
const FILE_AND_PART: Act = Bytes(get!("/file", "", "G"));
const FILE_AND_BODY: Act = Bytes(get!("/file", "", get!("/tiny", "Content-Length: 3\r\n")));

/// A folder that is too large to be listed at once.
pub(crate) const LARGE: Act = Bytes(get!("/large/", ""));
const HEAD_OF_LARGE: Act = Bytes("HEAD /large/ HTTP/1.1\r\nHost: a\r\n\r\n");
const HEAD_OF_LARGE_AND_PART: Act = Bytes("HEAD /large/ HTTP/1.1\r\nHost: a\r\n\r\nGET");
const HEAD_OF_LARGE_AND_BODY: Act = Bytes(concat!(
    "HEAD /large/ HTTP/1.1\r\nHost: a\r\n\r\n",
    get!("/tiny", "Content-Length: 3\r\n")
));
const BODY_OF_LARGE: Act = Bytes(get!("/large/", "Content-Length: 3\r\n"));
const FILE_AND_LARGE: Act = Bytes(get!("/file", "", get!("/large/", "")));
const SMALL_AND_LARGE: Act = Bytes(get!("/tiny", "", get!("/large/", "")));

/// More small responses than the outbox can hold, then another request.
const MANY: Act = Pieces(&[(get!("/tiny", ""), 130)]);
const MANY_AND_FILE: Act = Pieces(&[(get!("/tiny", ""), 130), (get!("/file", ""), 1)]);
const MANY_AND_BODY: Act =
    Pieces(&[(get!("/tiny", ""), 130), (get!("/tiny", "Content-Length: 3\r\n"), 1)]);
const MANY_AND_LARGE: Act = Pieces(&[(get!("/tiny", ""), 130), (get!("/large/", ""), 1)]);
const NEARLY_FULL_AND_LARGE: Act = Pieces(&[(get!("/tiny", ""), 91), (get!("/large/", ""), 1)]);
/// Small responses, then a complete body whose response is too long for the rest of the outbox.
const BODY_WITHOUT_ROOM: Act = Pieces(&[
    (get!("/tiny", ""), 91),
    ("GET /dir?", 1),
    ("\"", 2600),
    (" HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 1),
]);
const BODY_WITHOUT_ROOM_AND_PART: Act = Pieces(&[
    (get!("/tiny", ""), 91),
    ("GET /dir?", 1),
    ("\"", 2600),
    (" HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET", 1),
]);
const BODY_WITHOUT_ROOM_AND_LARGE: Act = Pieces(&[
    (get!("/tiny", ""), 91),
    ("GET /dir?", 1),
    ("\"", 2600),
    (" HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 1),
    (get!("/large/", ""), 1),
]);
const LAST_BODY_WITHOUT_ROOM: Act = Pieces(&[
    (get!("/tiny", ""), 91),
    ("GET /dir?", 1),
    ("\"", 2600),
    (" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", 1),
]);

/// A transition: a state, the acts that reach it, another act, and the next state; `None`: the act
/// is impossible.
type Row = (StateName, &'static [Act], Act, Option<Outcome>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    To(StateName),
    Over(Reason),
}

const NEVER: Option<Outcome> = None;

const fn to(state: StateName) -> Option<Outcome> {
    Some(Outcome::To(state))
}

const fn over(reason: Reason) -> Option<Outcome> {
    Some(Outcome::Over(reason))
}

const IDLE: &[Row] = &[
    (Idle, &[], Bytes("\r\n"), to(Idle)),
    (Idle, &[], PART, to(Head)),
    (Idle, &[], SMALL, to(Idle)),
    (Idle, &[], ALONE, to(Reply)),
    (Idle, &[], MANY, to(Head)),
    (Idle, &[], FILE, to(Reply)),
    (Idle, &[], LAST, to(Reply)),
    (Idle, &[], BAD, to(Reply)),
    (Idle, &[], BODY, to(Discard)),
    (Idle, &[], LARGE, to(Await)),
    (Idle, &[], SMALL_AND_LARGE, to(Await)),
    (Idle, &[SMALL, SendAll], SMALL, to(Idle)),
    (Idle, &[SMALL], PART, NEVER),
    (Idle, &[], Finish, over(PeerClosed)),
    (Idle, &[SMALL, SendAll], Finish, over(PeerClosed)),
    (Idle, &[SMALL], Finish, NEVER),
    (Idle, &[], SendAll, NEVER),
    (Idle, &[SMALL], Send(10), to(Idle)),
    (Idle, &[SMALL], SendAll, to(Idle)),
    (Idle, &[SMALL, Drain], SendAll, to(Idle)),
    (Idle, &[], Retry, to(Idle)),
    (Idle, &[], TimeOut, over(IdleTooLong)),
    (Idle, &[SMALL, SendAll], TimeOut, over(IdleTooLong)),
    (Idle, &[SMALL], TimeOut, over(Stalled)),
    (Idle, &[], Lost, over(PeerLost)),
    (Idle, &[SMALL], Lost, over(PeerLost)),
    (Idle, &[], FileFails, over(Reason::FileFailed)),
    (Idle, &[], Drain, over(Stopped)),
    (Idle, &[SMALL, SendAll], Drain, over(Stopped)),
    (Idle, &[SMALL], Drain, to(Idle)),
];

const HEAD: &[Row] = &[
    (Head, &[PART], Bytes(" /tiny HTTP/1.1\r\nHost: a\r\n"), to(Head)),
    (Head, &[Bytes("\r")], Bytes("\n"), to(Idle)),
    (Head, &[PART], Bytes(" /tiny HTTP/1.1\r\nHost: a\r\n\r\n"), to(Reply)),
    (Head, &[PART], Bytes(" /no-such HTTP/1.1\r\nHost: a\r\n\r\n"), to(Idle)),
    (Head, &[PART], Bytes(" /tiny HTTP/1.1\r\nHost: a\r\n\r\nG"), to(Head)),
    (Head, &[PART], Bytes(" /file HTTP/1.1\r\nHost: a\r\n\r\n"), to(Reply)),
    (Head, &[PART], Bytes("\0"), to(Reply)),
    (Head, &[PART], Bytes(" /tiny HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"), to(Discard)),
    (Head, &[PART], Bytes(" /large/ HTTP/1.1\r\nHost: a\r\n\r\n"), to(Await)),
    (Head, &[SMALL_AND_PART], PART, NEVER),
    (Head, &[PART], Finish, to(Reply)),
    (Head, &[SMALL_AND_PART], Finish, NEVER),
    (Head, &[PART], SendAll, NEVER),
    (Head, &[SMALL_AND_PART], Send(10), to(Head)),
    (Head, &[SMALL_AND_PART], SendAll, to(Head)),
    (Head, &[MANY], Send(10), to(Head)),
    (Head, &[MANY], Send(usize::MAX), to(Idle)),
    (Head, &[MANY_AND_FILE], Send(usize::MAX), to(Reply)),
    (Head, &[MANY_AND_BODY], Send(usize::MAX), to(Discard)),
    (Head, &[MANY_AND_LARGE], Send(usize::MAX), to(Await)),
    (Head, &[PART], Retry, to(Head)),
    (Head, &[PART], TimeOut, to(Reply)),
    (Head, &[SMALL_AND_PART], TimeOut, over(Stalled)),
    (Head, &[MANY], TimeOut, over(Stalled)),
    (Head, &[PART], Lost, over(PeerLost)),
    (Head, &[PART], FileFails, over(Reason::FileFailed)),
    (Head, &[PART], Drain, to(Head)),
    (Head, &[SMALL_AND_PART], Drain, to(Head)),
];

const DISCARD: &[Row] = &[
    (Discard, &[BODY], Bytes("ab"), to(Discard)),
    (Discard, &[BODY], Bytes("abc"), to(Idle)),
    (Discard, &[BODY], Bytes("abcG"), to(Head)),
    (Discard, &[BODY_OF_FILE], Bytes("abc"), to(Reply)),
    (Discard, &[BODY_OF_ALONE], Bytes("abc"), to(Reply)),
    (Discard, &[BODY_OF_ALONE], Bytes("abcG"), to(Head)),
    (Discard, &[BODY], Bytes(concat!("abc", get!("/large/", ""))), to(Await)),
    (Discard, &[BODY_OF_LARGE], Bytes("abc"), to(Await)),
    (Discard, &[CHUNKS], Bytes("1\r\na\r\n"), to(Discard)),
    (Discard, &[CHUNKS], Bytes("0\r\n\r\n"), to(Idle)),
    (Discard, &[CHUNKS], Bytes("x"), to(Reply)),
    (Discard, &[CHUNKS], Bytes("10001\r\n"), to(Reply)),
    (Discard, &[CHUNKS], Bytes("10000\r\n"), to(Discard)),
    (Discard, &[SMALL_AND_BODY], Bytes("a"), NEVER),
    (Discard, &[BODY], Finish, to(Reply)),
    (Discard, &[SMALL_AND_BODY], Finish, NEVER),
    (Discard, &[BODY], SendAll, NEVER),
    (Discard, &[SMALL_AND_BODY], Send(10), to(Discard)),
    (Discard, &[SMALL_AND_BODY], SendAll, to(Discard)),
    (Head, &[BODY_WITHOUT_ROOM], Send(10), to(Head)),
    (Head, &[BODY_WITHOUT_ROOM], Send(usize::MAX), to(Idle)),
    (Head, &[LAST_BODY_WITHOUT_ROOM], Send(usize::MAX), to(Reply)),
    (Head, &[BODY_WITHOUT_ROOM_AND_PART], Send(usize::MAX), to(Head)),
    (Head, &[BODY_WITHOUT_ROOM_AND_LARGE], Send(usize::MAX), to(Await)),
    (Discard, &[BODY], Retry, to(Discard)),
    (Discard, &[BODY], TimeOut, to(Reply)),
    (Discard, &[SMALL_AND_BODY], TimeOut, over(Stalled)),
    (Discard, &[BODY], Lost, over(PeerLost)),
    (Discard, &[BODY], FileFails, over(Reason::FileFailed)),
    (Discard, &[BODY], Drain, to(Discard)),
];

const REPLY: &[Row] = &[
    (Reply, &[FILE], SMALL, NEVER),
    (Reply, &[FILE], Finish, NEVER),
    (Reply, &[FILE], Send(10), to(Reply)),
    (Reply, &[FILE], Send(1000), to(Reply)),
    (Reply, &[FILE], SendAll, to(Idle)),
    (Reply, &[ALONE], SMALL, NEVER),
    (Reply, &[ALONE], Send(10), to(Reply)),
    (Reply, &[ALONE], SendAll, to(Idle)),
    (Reply, &[ALONE], TimeOut, over(Stalled)),
    (Reply, &[ALONE, Drain], SendAll, to(Idle)),
    (Reply, &[LAST], Send(10), to(Reply)),
    (Reply, &[LAST], SendAll, over(Finished)),
    (Reply, &[BAD], SendAll, to(Linger)),
    (Reply, &[PART, Finish], SendAll, over(Finished)),
    (Reply, &[LAST_AND_MORE], SendAll, to(Linger)),
    (Reply, &[FILE_AND_PART], SendAll, to(Head)),
    (Reply, &[FILE_AND_BODY], SendAll, to(Discard)),
    (Reply, &[FILE_AND_LARGE], SendAll, to(Await)),
    (Reply, &[FILE, Drain], SendAll, to(Idle)),
    (Reply, &[FILE], Retry, to(Reply)),
    (Reply, &[FILE], TimeOut, over(Stalled)),
    (Reply, &[BAD], TimeOut, over(Stalled)),
    (Reply, &[FILE], Lost, over(PeerLost)),
    (Reply, &[FILE], FileFails, over(Reason::FileFailed)),
    (Reply, &[FILE], Drain, to(Reply)),
];

const AWAIT: &[Row] = &[
    (Await, &[LARGE], SMALL, NEVER),
    (Await, &[LARGE], Finish, NEVER),
    (Await, &[LARGE], SendAll, NEVER),
    (Await, &[SMALL_AND_LARGE], Send(10), to(Await)),
    (Await, &[SMALL_AND_LARGE], SendAll, to(Await)),
    (Await, &[LARGE], Retry, to(Await)),
    (Await, &[SMALL_AND_LARGE], Retry, to(Await)),
    (Await, &[LARGE], WorkAndRetry, to(Reply)),
    (Await, &[SMALL_AND_LARGE], WorkAndRetry, to(Reply)),
    (Await, &[HEAD_OF_LARGE], WorkAndRetry, to(Idle)),
    (Await, &[HEAD_OF_LARGE_AND_PART], WorkAndRetry, to(Head)),
    (Await, &[HEAD_OF_LARGE_AND_BODY], WorkAndRetry, to(Discard)),
    (Await, &[BODY_OF_LARGE, Bytes("abc")], WorkAndRetry, to(Reply)),
    (Await, &[NEARLY_FULL_AND_LARGE], WorkAndRetry, to(Reply)),
    (Await, &[LARGE], TimeOut, to(Reply)),
    (Await, &[SMALL_AND_LARGE], TimeOut, over(Stalled)),
    (Await, &[LARGE], Lost, over(PeerLost)),
    (Await, &[LARGE], FileFails, over(Reason::FileFailed)),
    (Await, &[LARGE], Drain, to(Await)),
];

const LINGER: &[Row] = &[
    (Linger, &[BAD, SendAll], SMALL, to(Linger)),
    (Linger, &[BAD, SendAll], Pieces(&[("a", 1 << 20)]), to(Linger)),
    (Linger, &[BAD, SendAll, Pieces(&[("a", 1 << 20)])], Bytes("a"), over(Finished)),
    (Linger, &[BAD, SendAll], Finish, over(Finished)),
    (Linger, &[BAD, SendAll], SendAll, NEVER),
    (Linger, &[BAD, SendAll], Retry, to(Linger)),
    (Linger, &[BAD, SendAll], TimeOut, over(Finished)),
    (Linger, &[BAD, SendAll], Lost, over(PeerLost)),
    (Linger, &[BAD, SendAll], FileFails, over(Reason::FileFailed)),
    (Linger, &[BAD, SendAll], Drain, to(Linger)),
];

const CLOSED: &[Row] = &[
    (Closed, &[Finish], SMALL, over(PeerClosed)),
    (Closed, &[Finish], Finish, over(PeerClosed)),
    (Closed, &[LAST, SendAll], SendAll, over(Finished)),
    (Closed, &[FILE, TimeOut], WorkAndRetry, over(Stalled)),
    (Closed, &[FILE, TimeOut], TimeOut, over(Stalled)),
    (Closed, &[TimeOut], Lost, over(IdleTooLong)),
    (Closed, &[Lost], FileFails, over(PeerLost)),
    (Closed, &[FILE, FileFails], Lost, over(Reason::FileFailed)),
    (Closed, &[Finish], Drain, over(PeerClosed)),
];

#[test]
fn every_event_leads_from_every_state_as_in_the_table() {
    let mut bench = warm_bench(Settings::LargeFolder, &[]);
    let mut cells: BTreeMap<(StateName, &str), BTreeSet<StateName>> = BTreeMap::new();
    for (from, before, act, expected) in
        [IDLE, HEAD, AWAIT, DISCARD, REPLY, LINGER, CLOSED].into_iter().flatten()
    {
        // The listing of the large folder is too old for the next row.
        bench.wait(bench.limits.listing_age_ms);
        let mut connection = connection_after(&mut bench, before);
        assert_eq!(connection.state(), *from, "after {before:?}");
        let happened = act.happens(&mut bench, &mut connection);
        let to = connection.state();
        let outcome = happened.then(|| match connection.step() {
            Step::Close(reason) => Outcome::Over(reason),
            _ => Outcome::To(to),
        });
        assert_eq!(outcome, *expected, "{act:?} after {before:?}");
        let cell = cells.entry((*from, act.column())).or_default();
        cell.extend(happened.then_some(to));
        bench.end(connection);
        assert_eq!(bench.pages.taken(), 0, "{act:?} after {before:?}");
    }
    assert_eq!(cells, documented_cells());
}

/// The cells of the table in the documentation of the module, without the text in parentheses.
fn documented_cells() -> BTreeMap<(StateName, &'static str), BTreeSet<StateName>> {
    let documentation = include_str!("../../src/h1/mod.rs");
    let mut rows = documentation
        .lines()
        .filter_map(|line| line.strip_prefix("//! |")?.strip_suffix('|'))
        .map(|row| row.split('|').map(str::trim));
    let columns: Vec<&str> = rows.next().expect("a table").skip(1).collect();
    let mut cells = BTreeMap::new();
    for mut row in rows.skip(1) {
        let from = state_of(row.next().expect("a state"));
        for (column, cell) in columns.iter().zip(row) {
            let states = cell.split(',').map(|state| state.split('(').next().unwrap().trim());
            let states = states.filter(|state| *state != "-").map(state_of);
            cells.insert((from, *column), states.collect());
        }
    }
    cells
}

fn state_of(name: &str) -> StateName {
    [Idle, Head, Await, Discard, Reply, Linger, Closed]
        .into_iter()
        .find(|state| format!("{state:?}") == name)
        .unwrap_or_else(|| panic!("'{name}' in the table of the documentation is no state"))
}

#[test]
fn pending_output_is_sent_before_more_input_is_read() {
    let mut bench = warm_bench(Settings::Defaults, &[]);
    for before in [SMALL, FILE, LAST, BAD, SMALL_AND_PART, SMALL_AND_BODY, MANY, BODY_WITHOUT_ROOM]
    {
        let mut connection = connection_after(&mut bench, &[before]);
        let mut sent = 0;
        while matches!(connection.step(), Step::Write(..) | Step::SendFile { .. }) {
            assert!(!Bytes("x").happens(&mut bench, &mut connection), "{before:?} after {sent}");
            sent += bench.take(&mut connection, 97).len();
        }
        assert!(sent > 0, "{before:?}");
        bench.end(connection);
    }
}

#[test]
fn an_exhausted_pool_closes_and_takes_no_page_of_others() {
    let exhausted = Reason::OutOfPages;
    for (pages, acts, end) in [
        // No page to read into.
        (0, &[][..], Outcome::Over(exhausted)),
        // No page for the response.
        (1, &[SMALL], Outcome::Over(exhausted)),
        (1, &[FILE], Outcome::Over(exhausted)),
        (1, &[BODY, Bytes("abc")], Outcome::Over(exhausted)),
        // A response from the cache needs only the page to read into.
        (1, &[ALONE], Outcome::To(Reply)),
        // An error response is dropped: the connection lingers without it.
        (1, &[BAD], Outcome::To(Linger)),
        (1, &[PART, TimeOut], Outcome::To(Linger)),
        // Two pages are always enough.
        (2, &[SMALL], Outcome::To(Idle)),
        (2, &[BAD], Outcome::To(Reply)),
    ] {
        let mut bench = warm_bench(Settings::Defaults, &["pages=4"]);
        let mut others: Vec<Connection> = Vec::new();
        while bench.pages.taken() + pages < bench.limits.pages {
            others.push(connection_after(&mut bench, &[PART]));
        }
        let taken = bench.pages.taken();
        let mut connection = connection_after(&mut bench, acts);
        let to = connection.state();
        if to == Linger {
            assert!(matches!(connection.step(), Step::ShutdownWrite));
            bench.event(&mut connection, Event::ShutDown);
        }
        if acts.is_empty() {
            assert!(connection.room(&mut bench.exchanges, &mut bench.pages).is_none());
        }
        let outcome = match connection.step() {
            Step::Close(reason) => Outcome::Over(reason),
            _ => Outcome::To(to),
        };
        assert_eq!(outcome, end, "{acts:?} with {pages} pages left");
        bench.end(connection);
        assert_eq!(bench.pages.taken(), taken, "{acts:?} with {pages} pages left");
        for other in others {
            bench.end(other);
        }
        assert_eq!(bench.pages.taken(), 0);
    }
}

#[test]
fn a_refused_client_gets_503_and_a_staged_close() {
    let mut bench = warm_bench(Settings::Defaults, &[]);
    let mut connection = connection_after(&mut bench, &[]);
    connection.room(&mut bench.exchanges, &mut bench.pages).unwrap();
    let failure = Failure::new(Status::ServiceUnavailable, "too many connections");
    bench.event(&mut connection, Event::Refuse(failure));
    let answer = bench.take(&mut connection, usize::MAX);
    let parsed = responses::parse(&answer, |_| false).unwrap();
    assert_eq!((parsed.whole.len(), parsed.cut), (1, None));
    assert_eq!(parsed.whole[0].status, 503);
    assert_eq!(parsed.whole[0].field("Connection"), "close");
    assert_eq!(parsed.whole[0].field("Retry-After"), "1");
    assert!(matches!(connection.step(), Step::ShutdownWrite));
    bench.event(&mut connection, Event::ShutDown);
    assert!(SMALL.happens(&mut bench, &mut connection), "its request is absorbed");
    assert!(Finish.happens(&mut bench, &mut connection));
    assert!(matches!(connection.step(), Step::Close(Finished)));
}

#[test]
fn pending_output_is_sent_even_if_the_pool_is_exhausted() {
    let mut bench = warm_bench(Settings::Defaults, &["pages=2"]);
    let mut connection = connection_after(&mut bench, &[SMALL]);
    let other = connection_after(&mut bench, &[PART]);
    assert_eq!(bench.pages.taken(), bench.limits.pages);
    while !bench.take(&mut connection, 50).is_empty() {}
    assert_eq!(connection.state(), Idle);
    assert_eq!(bench.pages.taken(), 1);
    bench.end(other);
}
