//! Target `machine`: from the bytes of a client, through connection and site, to the responses.
//!
//! Input: `SETTING ENDING OPERATIONS...` without blanks, LF, the bytes that the client sends.
//!
//! - SETTING: a letter; see [`setting`].
//! - ENDING, when the client has sent everything: `e` it shuts down its sending side, `t` it sends
//!   nothing more, `l` the connection is reset.
//! - OPERATIONS: one for each read or write, used cyclically; none means as much as possible.
//!   `0` to `9`: 1 to 10 bytes. `a` to `z`: more. `W`: would block. `Z`: a write of 0 bytes. `T`,
//!   `F`, `L`: timeout, end, reset. `G`: the file fails. `D`: the server shuts down. Anything else:
//!   as much as possible.
//!
//! A conversation runs twice: with the operations, and in one piece. The responses must be the
//! same, and those that the [`oracle`](crate::oracle) expects.

use std::os::unix::fs::FileExt;
use std::time::Duration;

use tenkay::clock::{Clock, Tick};
use tenkay::config::{Limits, SiteConfig, Symlinks};
use tenkay::files::{Blocking, COLD_TRIES, Door, OpenFile, Piece, RETRY_MS};
use tenkay::h1::{Connection, Exchanges, StateName};
use tenkay::machine::{Context, Event, Pages, Reason, Step};
use tenkay::site::{Sites, Wait};

use crate::oracle::{self, Ending, Seen, Setting};
use crate::tree::tree;

/// Runs one input.
pub fn run(data: &[u8]) {
    let (line, sent) = crate::settings(data);
    let mut setting = setting(line.first().copied().unwrap_or_default());
    setting.ending = match line.get(1) {
        Some(b't') => Ending::Silence,
        Some(b'l') => Ending::Lost,
        _ => Ending::Eof,
    };
    let cut = Play::new(&setting, sent, line.get(2..).unwrap_or_default()).run();
    setting.ending = cut.ending;
    let sent = &sent[..cut.delivered];
    if cut.seen == Seen::Stopped {
        return oracle::check(&setting, sent, &cut.output, Seen::Stopped);
    }
    let whole = Play::new(&setting, sent, b"").run();
    // With a single page, only responses sent from the cache are possible, and that depends on
    // whether another request has already been received.
    let scarce = setting.pages < 2;
    if !scarce && cut.seen == Seen::Whole && whole.seen == Seen::Whole {
        let (in_pieces, at_once) = (cut.output.escape_ascii(), whole.output.escape_ascii());
        assert!(cut.output == whole.output, "in pieces: {in_pieces}\nat once: {at_once}");
        // A lingering connection counts the bytes after its last response: that depends on the
        // pieces.
        let may_linger = [cut.reason, whole.reason].contains(&Some(Reason::Finished));
        assert!(may_linger || cut.reason == whole.reason, "{:?}, {:?}", cut.reason, whole.reason);
    } else {
        let both = cut.output.len().min(whole.output.len());
        assert!(cut.output[..both] == whole.output[..both], "one must be a prefix of the other");
        assert!(cut.output.len() == both || scarce || whole.seen == Seen::Cut);
    }
    let seen = if scarce { Seen::Cut } else { whole.seen };
    oracle::check(&setting, sent, &whole.output, seen);
}

/// The settings of a letter: `s` small limits, `f` all bodies from files and a minimal cache, `q` a
/// quota of two requests, `o` options off, `p` too few pages; anything else: the defaults.
fn setting(letter: u8) -> Setting {
    // So that files need not be large to be sent from disk.
    let mut limits = Limits { cached_body_bytes: 65_536, ..Limits::default() };
    let mut site = SiteConfig::default();
    let (mut quota, mut pages) = (u32::MAX, 8);
    let changes: &[&str] = match letter {
        b's' => SMALL,
        b'f' => FILES,
        _ => &[],
    };
    for change in changes {
        limits.set(change).expect("it is in range");
    }
    match letter {
        b'q' => quota = 2,
        b'o' => {
            site.listing = false;
            site.symlinks = Symlinks::Off;
            site.server_header = false;
        }
        b'p' => pages = 1,
        _ => {}
    }
    Setting { limits, site, quota, pages, ending: Ending::Eof }
}

const SMALL: &[&str] = &[
    "target_bytes=48",
    "head_bytes=128",
    "fields=3",
    "body_bytes=16",
    "chunk_line_bytes=16",
    "trailer_bytes=16",
    "ranges=2",
    "linger_bytes=64",
    "cached_body_bytes=10",
    "cache_entries=2",
    "cache_failures=2",
    "open_files=2",
];

const FILES: &[&str] = &[
    "cached_body_bytes=0",
    "cache_entries=1",
    "cache_failures=1",
    "open_files=1",
    "revalidate_ms=0",
    "listing_age_ms=0",
    "lookups_per_turn=1",
];

/// Bytes of output after which an endless conversation is stopped.
const OUTPUT_MAX: usize = 1 << 18;

/// After this many steps, the operations are ignored, so that small pieces of large files do not
/// take too long.
const STEPS_IN_PIECES: u32 = 20_000;

/// Most steps without progress: attempts that do not find a file in memory, and the steps of a
/// listing.
const IDLE_STEPS_MAX: u32 = 256 + COLD_TRIES as u32;

/// One conversation.
struct Play<'p> {
    setting: &'p Setting,
    sent: &'p [u8],
    operations: std::iter::Cycle<std::slice::Iter<'p, u8>>,
    sites: Sites,
    exchanges: Exchanges,
    pages: Pages,
    clock: Clock,
    quota: u32,
    draining: bool,
    steps: u32,
    idle_steps: u32,
    /// The client's side has ended, as in `ended.ending`.
    over: bool,
    shut: bool,
    ended: Ended,
}

/// The result of a conversation.
struct Ended {
    output: Vec<u8>,
    /// Bytes that were received.
    delivered: usize,
    ending: Ending,
    seen: Seen,
    reason: Option<Reason>,
}

/// The next operation.
enum Operation {
    Move(usize),
    NotNow,
    Nothing,
    End(Ending),
    FileFails,
    Stop,
}

/// What the driver reports after a step. The step itself borrows the connection.
enum Report {
    Read(usize),
    Wrote(u64),
    End,
    Lost,
    TimedOut,
    FileFailed,
    Retry(Wait),
    Stop,
    Shut,
    Nothing,
    Over(Reason),
}

impl<'p> Play<'p> {
    fn new(setting: &'p Setting, sent: &'p [u8], operations: &'p [u8]) -> Play<'p> {
        let (site, limits) = (setting.site.clone(), &setting.limits);
        let sites = Sites::new(
            vec![SiteConfig { root: tree().root.clone(), ..site }],
            limits,
            Door::best(),
            0x5eed,
        );
        let mut sites = sites.expect("the folder is there");
        sites.allow_lookups(limits.lookups_per_turn);
        Play {
            setting,
            sent,
            operations: operations.iter().cycle(),
            sites,
            exchanges: Exchanges::default(),
            pages: Pages::new(setting.pages),
            clock: Clock::new(Tick(1_000), Duration::from_secs(1_704_067_200)),
            quota: setting.quota,
            draining: false,
            steps: 0,
            idle_steps: 0,
            over: false,
            shut: false,
            ended: Ended {
                output: Vec::new(),
                delivered: 0,
                ending: setting.ending,
                seen: Seen::Whole,
                reason: None,
            },
        }
    }

    /// Runs to the end. Terminates because every step moves a byte, or counts as idle.
    fn run(mut self) -> Ended {
        let mut connection = Connection::new(self.clock.tick);
        loop {
            self.steps += 1;
            self.idle_steps += 1;
            assert!(self.idle_steps <= IDLE_STEPS_MAX, "no progress in {:?}", connection.state());
            let report = match connection.step() {
                Step::Read => self.read(&mut connection),
                step => self.look(step),
            };
            if let Report::Over(reason) = report {
                self.ended.reason = Some(reason);
                break;
            }
            self.tell(&mut connection, &report);
            if connection.state() == StateName::Idle && connection.is_idle() {
                assert_eq!(self.pages.taken(), 0, "an idle connection holds no page");
            }
        }
        assert_eq!(self.pages.taken(), 0, "a closed connection holds no page");
        let again = connection.step();
        assert!(matches!(again, Step::Close(reason) if Some(reason) == self.ended.reason));
        self.ended
    }

    fn operation(&mut self) -> Operation {
        if self.steps > STEPS_IN_PIECES {
            return Operation::Move(usize::MAX);
        }
        match self.operations.next().copied().unwrap_or_default() {
            digit @ b'0'..=b'9' => Operation::Move(usize::from(digit - b'0') + 1),
            letter @ b'a'..=b'z' => Operation::Move(11 + 40 * usize::from(letter - b'a')),
            b'W' if self.idle_steps < 8 => Operation::NotNow,
            b'Z' if self.idle_steps < 8 => Operation::Nothing,
            b'T' => Operation::End(Ending::Silence),
            b'F' => Operation::End(Ending::Eof),
            b'L' => Operation::End(Ending::Lost),
            b'G' => Operation::FileFails,
            b'D' if !self.draining => Operation::Stop,
            _ => Operation::Move(usize::MAX),
        }
    }

    /// Receives, if there is a page to receive into.
    fn read(&mut self, connection: &mut Connection) -> Report {
        let (mut pages, mut exchanges) = (Pages::new(0), Exchanges::default());
        std::mem::swap(&mut self.pages, &mut pages);
        std::mem::swap(&mut self.exchanges, &mut exchanges);
        let report = match connection.room(&mut exchanges, &mut pages) {
            Some(room) => {
                assert!(!room.is_empty(), "an empty read would look like the end");
                self.receive(room)
            }
            None => Report::Nothing, // the next step is another one
        };
        (self.pages, self.exchanges) = (pages, exchanges);
        report
    }

    /// Performs a step.
    fn look(&mut self, step: Step<'_>) -> Report {
        match step {
            Step::Read => unreachable!("reads are performed on the connection itself"),
            Step::Poll => unreachable!("HTTP/1.1 does not poll"),
            Step::Write(first, second) => {
                assert!(!self.shut && first.len() + second.len() > 0);
                let operation = self.operation();
                self.send(&operation, first.len() + second.len(), |count| {
                    let of_first = count.min(first.len());
                    [&first[..of_first], &second[..count - of_first]].concat()
                })
            }
            Step::SendFile { lead, file, at, count } => {
                assert!(!self.shut && count > 0 && at + count <= file.version().size);
                assert!(self.still_covers(file, at, count), "the file never changes");
                let operation = self.operation();
                if matches!(operation, Operation::FileFails) {
                    self.cut();
                    return Report::FileFailed;
                }
                let all = lead.len() + usize::try_from(count).expect("the files are small");
                self.send(&operation, all, |count| {
                    let of_lead = count.min(lead.len());
                    let mut bytes = lead[..of_lead].to_vec();
                    bytes.resize(count, 0);
                    let read = file.file().read_exact_at(&mut bytes[of_lead..], at);
                    read.expect("the file is complete");
                    bytes
                })
            }
            Step::Wait(wait) => self.wait(wait),
            Step::ShutdownWrite => {
                assert!(!self.shut, "the sending side is shut once");
                self.shut = true;
                Report::Shut
            }
            Step::Close(reason) => Report::Over(reason),
        }
    }

    /// Whether the file still has the announced content.
    fn still_covers(&mut self, file: &OpenFile, at: u64, count: u64) -> bool {
        let now = self.clock.tick;
        self.sites.prepare(file, (at, count), Blocking::Allowed, now) == Piece::Ready(count)
    }

    /// The site needs time. Operations apply only where this does not depend on the page cache.
    fn wait(&mut self, wait: Wait) -> Report {
        if matches!(wait, Wait::Job(_))
            && matches!(self.operation(), Operation::End(Ending::Silence))
        {
            self.ended.seen = Seen::Stopped; // a wait that times out gets a 503
            return Report::TimedOut;
        }
        Report::Retry(wait)
    }

    /// The work of the loop before another attempt.
    fn begin_turn(&mut self, wait: Wait) {
        self.sites.allow_lookups(self.setting.limits.lookups_per_turn);
        match wait {
            Wait::Disk => self.clock.tick = self.clock.tick + RETRY_MS,
            Wait::Job(_) => {
                // A listing calls this after each entry.
                let mut asked = 0;
                let mut enough = || {
                    asked += 1;
                    asked >= 16
                };
                self.sites.work(&self.clock, &mut enough);
            }
            Wait::Turn | Wait::Path => {}
        }
    }

    fn receive(&mut self, room: &mut [u8]) -> Report {
        let rest = &self.sent[self.ended.delivered..];
        let operation =
            if self.over { Operation::End(self.ended.ending) } else { self.operation() };
        match operation {
            Operation::NotNow => Report::Nothing,
            Operation::Stop => Report::Stop,
            Operation::Move(count) if !rest.is_empty() => {
                let count = count.min(room.len()).min(rest.len());
                room[..count].copy_from_slice(&rest[..count]);
                self.ended.delivered += count;
                self.idle_steps = 0;
                Report::Read(count)
            }
            Operation::Nothing if !rest.is_empty() => Report::Nothing,
            Operation::End(ending) => self.end(ending),
            _ => self.end(self.setting.ending),
        }
    }

    /// Ends the client's side, now and at every further read.
    fn end(&mut self, ending: Ending) -> Report {
        self.over = true;
        self.ended.ending = ending;
        match ending {
            Ending::Eof => Report::End,
            Ending::Silence => Report::TimedOut,
            Ending::Lost => Report::Lost,
        }
    }

    fn send(
        &mut self,
        operation: &Operation,
        most: usize,
        bytes: impl FnOnce(usize) -> Vec<u8>,
    ) -> Report {
        let count = match operation {
            Operation::Move(count) => (*count).min(most),
            Operation::FileFails => most,
            Operation::NotNow => return Report::Nothing,
            Operation::Nothing => 0,
            Operation::Stop => return Report::Stop,
            // The end of the input does not prevent the connection from writing.
            Operation::End(Ending::Eof) => most,
            Operation::End(Ending::Silence) => {
                self.cut();
                return Report::TimedOut;
            }
            Operation::End(Ending::Lost) => {
                self.cut();
                return Report::Lost;
            }
        };
        if self.ended.output.len() > OUTPUT_MAX {
            self.cut();
            return Report::Lost;
        }
        if count > 0 {
            self.idle_steps = 0;
        }
        self.ended.output.extend(bytes(count));
        Report::Wrote(count as u64)
    }

    /// From here on, responses may be missing.
    fn cut(&mut self) {
        if self.ended.seen == Seen::Whole {
            self.ended.seen = Seen::Cut;
        }
    }

    /// Passes a report to the connection.
    fn tell(&mut self, connection: &mut Connection, report: &Report) {
        if let Report::TimedOut = report {
            self.clock.tick = self.clock.tick.max(connection.deadline(&self.setting.limits));
        }
        if let Report::Retry(wait) = report {
            self.begin_turn(*wait);
        }
        if let Report::Stop = report {
            self.draining = true;
            self.ended.seen = Seen::Stopped;
        }
        let limits = &self.setting.limits;
        let mut cx = Context {
            unread: self.ended.delivered < self.sent.len(),
            draining: self.draining,
            requests_left: self.quota,
            ..Context::new(&mut self.sites, &mut self.pages, &self.clock, limits)
        };
        let event = match *report {
            Report::Read(count) => Some(Event::Read(count)),
            Report::Wrote(count) => Some(Event::Written(count)),
            Report::End => Some(Event::Read(0)),
            Report::Lost => Some(Event::PeerLost),
            Report::TimedOut => Some(Event::Timeout),
            Report::FileFailed => Some(Event::FileFailed),
            Report::Retry(_) => Some(Event::Retry),
            Report::Stop => Some(Event::Drain),
            Report::Shut => Some(Event::ShutDown),
            Report::Nothing | Report::Over(_) => None,
        };
        match event {
            Some(event) => connection.report(event, &mut cx),
            None => connection.rest(&mut self.exchanges, cx.pages),
        }
        self.quota = cx.requests_left;
        assert!(self.sites.take_fault().is_none(), "the folder has no faults");
    }
}
