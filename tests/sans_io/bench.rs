//! A bench for the machine: a folder with files, a site, a pool of pages and a stopped clock; and a
//! driver that acts as reactor, socket and peer of one connection.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tenkay::clock::{Clock, Tick};
use tenkay::config::{Limits, SiteConfig};
use tenkay::files::Blocking;
use tenkay::files::Door;
use tenkay::h1::{Connection, Exchanges, StateName};
use tenkay::http::head::{self, Bounds, Parsed};
use tenkay::journal::Observer;
use tenkay::machine::{Context, Event, Pages, Reason, Step};
use tenkay::metrics::Requests;
use tenkay::site::{Answer, Reply, Request, Sites};

/// The time of the stopped clock: 14 November 2023.
pub(crate) const NOW: Duration = Duration::from_secs(1_700_000_000);
/// The modification time of the files: 13 September 2020.
pub(crate) const MODIFIED: Duration = Duration::from_secs(1_600_000_000);

/// The surroundings of a connection.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) sites: Sites,
    pub(crate) exchanges: Exchanges,
    pub(crate) pages: Pages,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) draining: bool,
    /// Requests that the client may still make.
    pub(crate) requests_left: u32,
    /// Who is told how each request ends.
    pub(crate) observer: Option<Observer>,
    pub(crate) requests: Option<Requests>,
    /// The transport sends from files without a copy.
    pub(crate) from_files: bool,
}

impl Bench {
    /// A bench with a folder that `fill` fills, and these changes (`NAME=VALUE`) to the limits.
    pub(crate) fn new(changes: &[&str], config: SiteConfig, fill: impl FnOnce(&Path)) -> Bench {
        // So that files need not be large to be sent from disk.
        let mut limits = Limits { cached_body_bytes: 65_536, ..Limits::default() };
        for change in changes {
            limits.set(change).unwrap();
        }
        limits.check().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        let config = SiteConfig { root: folder.path().to_owned(), ..config };
        let sites = Sites::new(vec![config], &limits, Door::best(), 7).unwrap();
        let exchanges = Exchanges::default();
        let pages = Pages::limited(&limits);
        let clock = Clock::new(Tick(1_000), NOW);
        let (draining, requests_left) = (false, u32::MAX);
        Bench {
            folder,
            sites,
            exchanges,
            pages,
            clock,
            limits,
            draining,
            requests_left,
            observer: None,
            requests: None,
            from_files: false,
        }
    }

    /// Calls `report` with the context of a report.
    pub(crate) fn report<T>(&mut self, report: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let mut cx = Context {
            requests: self.requests.as_mut(),
            from_files: self.from_files,
            draining: self.draining,
            observer: self.observer.as_mut(),
            requests_left: self.requests_left,
            ..Context::new(&mut self.sites, &mut self.pages, &self.clock, &self.limits)
        };
        let result = report(&mut cx);
        self.requests_left = cx.requests_left;
        result
    }

    /// The reply to a GET of a path, after all waits.
    pub(crate) fn find(&mut self, path: &str) -> Reply {
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let bounds = Bounds { head_bytes: 32_768, target_bytes: 32_768, fields: 4 };
        let mut space = head::space();
        let Ok(Parsed::Complete(head)) = head::parse(head.as_bytes(), &mut space, &bounds) else {
            panic!("{path} is malformed");
        };
        let request = Request::of(&head, None, None);
        for _ in 0..1000 {
            self.sites.work(&self.clock, &mut || true);
            let answer = self.sites.respond(&request, Blocking::Allowed, &self.clock);
            if let Answer::Reply(reply) = answer.unwrap() {
                return reply;
            }
        }
        panic!("{path} is never found");
    }

    /// Lets `ms` milliseconds pass.
    pub(crate) fn wait(&mut self, ms: u64) {
        let unix = u64::try_from(self.clock.unix_ns / 1_000_000).expect("after 1970");
        self.clock.set(self.clock.tick + ms, Duration::from_millis(unix + ms));
    }

    /// Reports this event.
    pub(crate) fn event(&mut self, connection: &mut Connection, event: Event) {
        self.report(|cx| connection.report(event, cx));
    }

    /// Returns the unused memory of a connection.
    pub(crate) fn rest(&mut self, connection: &mut Connection) {
        connection.rest(&mut self.exchanges, &mut self.pages);
    }

    /// Whether the connection reads; performs a shutdown step first.
    fn reads(&mut self, connection: &mut Connection) -> bool {
        if matches!(connection.step(), Step::ShutdownWrite) {
            self.event(connection, Event::ShutDown);
        }
        matches!(connection.step(), Step::Read)
    }

    /// Receives as much of `bytes` as there is room for. Returns how many bytes that were; `None`
    /// if there is no room.
    pub(crate) fn receive(&mut self, connection: &mut Connection, bytes: &[u8]) -> Option<usize> {
        let room = connection.room(&mut self.exchanges, &mut self.pages)?;
        assert!(!room.is_empty(), "an empty read would look like the end");
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.event(connection, Event::Read(count));
        Some(count)
    }

    /// Drops a connection, which must return all its memory.
    pub(crate) fn end(&mut self, connection: Connection) {
        connection.end(&mut self.exchanges, &mut self.pages, self.observer.as_mut());
    }

    /// Delivers these bytes while the connection reads. Returns how many it read.
    pub(crate) fn give(&mut self, connection: &mut Connection, mut bytes: &[u8]) -> usize {
        let all = bytes.len();
        while !bytes.is_empty() {
            if !self.reads(connection) {
                break;
            }
            let Some(count) = self.receive(connection, bytes) else { break };
            bytes = &bytes[count..];
        }
        self.rest(connection);
        all - bytes.len()
    }

    /// Reports that the peer has finished sending. False if the connection does not read.
    pub(crate) fn finish(&mut self, connection: &mut Connection) -> bool {
        let reads = self.reads(connection);
        if reads {
            self.receive(connection, b"");
        }
        reads
    }

    /// Sends at most `most` bytes of the connection's output, in one step.
    pub(crate) fn take(&mut self, connection: &mut Connection, most: usize) -> Vec<u8> {
        let mut sent = Vec::new();
        match connection.step() {
            Step::Write(first, second) => {
                sent.extend_from_slice(&first[..first.len().min(most)]);
                sent.extend_from_slice(&second[..second.len().min(most - sent.len())]);
            }
            Step::SendFile { lead, file, at, count } => {
                sent.extend_from_slice(&lead[..lead.len().min(most)]);
                let left = u64::try_from(most - sent.len()).expect("widening").min(count);
                let read = read_file(file.file(), at, left);
                assert_eq!(read.len() as u64, left, "the file has not shrunk");
                sent.extend_from_slice(&read);
            }
            _ => return sent,
        }
        assert!(!sent.is_empty() || most == 0, "a write step is not empty");
        self.event(connection, Event::Written(sent.len() as u64));
        self.rest(connection);
        sent
    }
}

/// Bytes of a file, as many as there are but not more than `count`.
pub(crate) fn read_file(file: &File, at: u64, count: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(count).expect("a small file")];
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], at + done as u64).unwrap() {
            0 => break,
            count => done += count,
        }
    }
    bytes.truncate(done);
    bytes
}

/// Writes a file with an old modification time.
pub(crate) fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    set_modified(&path, SystemTime::UNIX_EPOCH + MODIFIED);
}

/// Sets the time of the last modification of a file or folder.
pub(crate) fn set_modified(path: &Path, time: SystemTime) {
    File::open(path).unwrap().set_modified(time).unwrap();
}

/// `length` bytes without repetition of longer pieces; different for each `version`.
pub(crate) fn content(length: usize, version: u64) -> Vec<u8> {
    let mut random = super::random::Random::new(version);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(random.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Where bytes are cut into pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cuts {
    /// Only where the machine requires it.
    Nowhere,
    /// Once, after this many bytes.
    At(usize),
    /// Into pieces of this length.
    Each(usize),
}

impl Cuts {
    /// The maximum length of the piece after `done` bytes.
    fn next(self, done: usize) -> usize {
        match self {
            Cuts::At(at) if done < at => at - done,
            Cuts::Nowhere | Cuts::At(_) => usize::MAX,
            Cuts::Each(length) => length,
        }
    }
}

/// What the peer does after its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// It waits.
    Waits,
    /// It finishes sending, and still reads.
    Finishes,
    /// It waits until the deadline has passed.
    Delays,
}

/// Where an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The connection waits for the peer.
    Waits(StateName),
    /// The connection is closed.
    Over(Reason),
}

/// The result of an exchange.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) output: Vec<u8>,
    /// The sending side was shut before the connection was closed.
    pub(crate) shut: bool,
    pub(crate) end: End,
}

/// Plays a whole exchange: delivers `input` and reads the output, cut as specified, until neither
/// side makes progress.
pub(crate) fn play(
    bench: &mut Bench,
    input: &[u8],
    afterwards: Afterwards,
    reads: Cuts,
    writes: Cuts,
) -> Outcome {
    let mut connection = Connection::new(bench.clock.tick);
    let (mut given, mut afterwards) = (0, afterwards);
    let (mut output, mut shut) = (Vec::new(), false);
    let mut waits = 0;
    let end = loop {
        match connection.step() {
            Step::Read if given < input.len() => {
                let count = reads.next(given).min(input.len() - given);
                let received = bench.receive(&mut connection, &input[given..given + count]);
                given += received.expect("the pool has enough pages");
            }
            Step::Read => match std::mem::replace(&mut afterwards, Afterwards::Waits) {
                Afterwards::Waits => {
                    bench.rest(&mut connection);
                    let holds = bench.pages.taken() > 0;
                    assert!(!(holds && connection.is_idle()), "an idle connection holds no page");
                    break End::Waits(connection.state());
                }
                Afterwards::Finishes => _ = bench.receive(&mut connection, b""),
                Afterwards::Delays => bench.event(&mut connection, Event::Timeout),
            },
            Step::Write(..) | Step::SendFile { .. } => {
                let most = writes.next(output.len());
                output.extend_from_slice(&bench.take(&mut connection, most));
            }
            Step::Wait { .. } => {
                waits += 1;
                assert!(waits < 1000, "the site never replies");
                bench.sites.work(&bench.clock, &mut || true);
                bench.event(&mut connection, Event::Retry);
            }
            Step::Poll => unreachable!("HTTP/1.1 does not poll"),
            Step::ShutdownWrite => {
                assert!(!shut, "the sending side is shut once");
                shut = true;
                bench.event(&mut connection, Event::ShutDown);
            }
            Step::Close(reason) => break End::Over(reason),
        }
    };
    bench.end(connection);
    assert_eq!(bench.pages.taken(), 0, "a closed connection holds no page");
    Outcome { output, shut, end }
}
