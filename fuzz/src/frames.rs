//! Target `frames`: from the frames of a client of HTTP/2, through connection and site, to the
//! responses.
//!
//! Input: `OPERATIONS` without blanks, LF, then a line for each thing that the client sends:
//!
//! - `g ID PATH [NAME=VALUE...]`: a GET; `h`: a HEAD; `p`: a POST, which DATA follow.
//! - `d ID COUNT [FLAGS]`: DATA; `t ID`: trailers.
//! - `r ID CODE`, `w ID COUNT`, `s SETTING VALUE`, `i`: RST_STREAM, WINDOW_UPDATE, SETTINGS, PING.
//! - `u ID VALUE`: PRIORITY_UPDATE.
//! - `x HEX`: these bytes, whatever they are.
//!
//! OPERATIONS, one for each read or write, used cyclically: `0` to `9`: 1 to 10 bytes, `a` to `z`:
//! more, `W`: would block, `T`: the deadline passes, `D`: the server stops, `G`: the file fails.
//! Anything else: as much as possible.
//!
//! A conversation runs twice: with the operations, and in one piece. What is sent must be valid
//! ([`crate::peer`] is strict), and complete responses must be the same in both runs.

use std::os::unix::fs::FileExt;
use std::time::Duration;

use tenkay::clock::{Clock, Tick};
use tenkay::config::{ArchiveFormat, Limits, SiteConfig};
use tenkay::files::Door;
use tenkay::h2::Connection;
use tenkay::machine::{Context, Event, Pages, Step};
use tenkay::site::Sites;

use crate::peer::{
    Client, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY_UPDATE, RST_STREAM,
    WINDOW_UPDATE, block, frame, hello, number, post, pseudo, request, settings,
};
use crate::tree::tree;

/// Runs one input.
pub fn run(data: &[u8]) {
    let (operations, script) = crate::settings(data);
    let (sent, heads) = bytes_of(script);
    let cut = Play::new(operations, &sent, &heads).run();
    let whole = Play::new(b"", &sent, &heads).run();
    for (id, response) in &cut.responses {
        if let Some(other) = whole.responses.get(id)
            && response.is_complete
            && other.is_complete
        {
            // What arrives too late, or after the deadline, has another outcome.
            let is_late = |status: u16| matches!(status, 408 | 503);
            assert!(
                response == other || is_late(response.status) || is_late(other.status),
                "{id}: in pieces {response:?}, at once {other:?}"
            );
        }
    }
}

/// The bytes of a script, and the streams with a HEAD.
fn bytes_of(script: &[u8]) -> (Vec<u8>, Vec<u32>) {
    let mut bytes = hello(&[]);
    let mut heads = Vec::new();
    for line in script.split(|&byte| byte == b'\n') {
        let Ok(line) = str::from_utf8(line) else { continue };
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        let value = |at: usize| word(at).parse::<u32>().unwrap_or_default();
        let id = value(0) & 0x7fff_ffff;
        let fields: Vec<(&str, &str)> =
            words.iter().skip(2).filter_map(|field| field.split_once('=')).collect();
        bytes.extend(match kind {
            "g" => request(id, "GET", word(1), &fields),
            "h" => {
                heads.push(id);
                request(id, "HEAD", word(1), &fields)
            }
            "p" => post(id, word(1), &fields),
            "c" => {
                let all = [pseudo("GET", word(1)), fields].concat();
                frame(HEADERS, END_HEADERS, id, &block(&all))
            }
            "d" => frame(DATA, low(value(2)), id, &vec![0; value(1).min(20_000) as usize]),
            "t" => frame(HEADERS, END_HEADERS | END_STREAM, id, &block(&[("x", "y")])),
            "r" => number(RST_STREAM, id, value(1)),
            "w" => number(WINDOW_UPDATE, id, value(1)),
            "s" => settings(&[(low(value(0)).into(), value(1))]),
            "i" => frame(PING, 0, 0, b"12345678"),
            "u" => frame(PRIORITY_UPDATE, 0, 0, &[&id.to_be_bytes(), word(1).as_bytes()].concat()),
            "x" => word(0).as_bytes().chunks(2).filter_map(hex).collect(),
            _ => continue,
        });
    }
    (bytes, heads)
}

fn low(value: u32) -> u8 {
    value.to_be_bytes()[3]
}

fn hex(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// Bytes of output after which an endless conversation is stopped.
const OUTPUT_MAX: usize = 1 << 20;

/// After this many steps, the operations are ignored.
const STEPS_IN_PIECES: u32 = 20_000;

/// Steps without a byte: waits for the site, and turns in which no frame is taken.
const IDLE_STEPS_MAX: u32 = 4_000;

/// One conversation.
struct Play<'p> {
    sent: &'p [u8],
    operations: std::iter::Cycle<std::slice::Iter<'p, u8>>,
    sites: Sites,
    pages: Pages,
    clock: Clock,
    limits: Limits,
    client: Client,
    output: usize,
    steps: u32,
    idle_steps: u32,
    draining: bool,
}

/// What the driver reports after a step.
enum Report {
    Read(usize),
    Event(Event),
    Over,
    Nothing,
}

impl<'p> Play<'p> {
    fn new(operations: &'p [u8], sent: &'p [u8], heads: &[u32]) -> Play<'p> {
        let limits = Limits {
            cached_body_bytes: 65_536,
            streams: 8,
            lookups_per_turn: 100,
            ..Limits::default()
        };
        let archives = vec![ArchiveFormat::Tar];
        let site = SiteConfig { root: tree().root.clone(), archives, ..SiteConfig::default() };
        let mut sites =
            Sites::new(vec![site], &limits, Door::best(), 0x5eed).expect("the folder is there");
        sites.allow_lookups(limits.lookups_per_turn);
        Play {
            sent,
            operations: operations.iter().cycle(),
            sites,
            pages: Pages::new(8),
            clock: Clock::new(Tick(1_000), Duration::from_secs(1_704_067_200)),
            limits,
            client: Client::for_heads(heads),
            output: 0,
            steps: 0,
            idle_steps: 0,
            draining: false,
        }
    }

    /// Runs to the end.
    fn run(mut self) -> Client {
        let mut connection = Connection::new(self.clock.tick);
        loop {
            self.steps += 1;
            self.idle_steps += 1;
            assert!(self.idle_steps <= IDLE_STEPS_MAX, "no progress: {:?}", connection.step());
            if self.output > OUTPUT_MAX {
                connection.end(&mut self.pages, None);
                break;
            }
            let report = match connection.step() {
                Step::Read | Step::Poll => self.read(&mut connection),
                step => self.look(step),
            };
            let event = match report {
                Report::Read(count) => Event::Read(count),
                Report::Event(event) => event,
                Report::Over => break,
                Report::Nothing => continue,
            };
            let mut cx = Context {
                draining: self.draining,
                unread: !self.sent.is_empty(),
                ..Context::new(&mut self.sites, &mut self.pages, &self.clock, &self.limits)
            };
            connection.report(event, &mut cx);
        }
        assert_eq!(self.pages.taken(), 0, "a closed connection holds no page");
        for response in self.client.responses.values_mut() {
            response.fields.retain(|(name, _)| name != "date");
        }
        self.client
    }

    fn operation(&mut self) -> u8 {
        if self.steps > STEPS_IN_PIECES {
            return b'.';
        }
        self.operations.next().copied().unwrap_or(b'.')
    }

    /// How many bytes an operation moves; `None`: something else happens.
    fn count(operation: u8) -> usize {
        match operation {
            digit @ b'0'..=b'9' => usize::from(digit - b'0') + 1,
            letter @ b'a'..=b'z' => 11 + 40 * usize::from(letter - b'a'),
            _ => usize::MAX,
        }
    }

    fn read(&mut self, connection: &mut Connection) -> Report {
        let is_poll = matches!(connection.step(), Step::Poll);
        let operation = self.operation();
        match operation {
            b'D' if !self.draining => {
                self.draining = true;
                return Report::Event(Event::Drain);
            }
            b'T' => return self.pass(connection),
            b'W' if is_poll => return Report::Event(Event::Nothing),
            _ => {}
        }
        let is_over = self.sent.is_empty();
        if is_over && is_poll {
            return Report::Event(Event::Nothing);
        }
        let Some(room) = connection.room(&mut self.pages) else { return Report::Nothing };
        assert!(!room.is_empty(), "an empty read would look like the end");
        let count = room.len().min(self.sent.len()).min(Self::count(operation));
        room[..count].copy_from_slice(&self.sent[..count]);
        self.sent = &self.sent[count..];
        if count > 0 {
            self.idle_steps = 0;
        }
        self.clock.next_turn();
        Report::Read(count)
    }

    /// The deadline passes.
    fn pass(&mut self, connection: &Connection) -> Report {
        let deadline = connection.deadline(&self.limits);
        let ms = deadline.since(self.clock.tick);
        self.wait(ms);
        Report::Event(Event::Timeout)
    }

    fn wait(&mut self, ms: u64) {
        let unix = u64::try_from(self.clock.unix_ns / 1_000_000).expect("after 1970");
        self.clock.set(self.clock.tick + ms, Duration::from_millis(unix + ms));
    }

    fn look(&mut self, step: Step<'_>) -> Report {
        let operation = self.operation();
        let most = Self::count(operation);
        match step {
            Step::Read | Step::Poll => Report::Nothing,
            Step::Write(first, second) => {
                let all: Vec<u8> = first.iter().chain(second).copied().take(most).collect();
                assert!(!all.is_empty(), "a write step is not empty");
                self.take(&all)
            }
            Step::SendFile { lead, file, at, count } => {
                assert!(count > 0 && at + count <= file.version().size);
                if operation == b'G' {
                    return Report::Event(Event::FileFailed);
                }
                let mut all = lead.to_vec();
                let start = all.len();
                all.resize(start + usize::try_from(count).expect("the files are small"), 0);
                file.file().read_exact_at(&mut all[start..], at).expect("it never changes");
                all.truncate(most);
                self.take(&all)
            }
            Step::Wait(_) => {
                self.sites.work(&self.clock, &mut || true);
                self.wait(2);
                self.sites.allow_lookups(self.limits.lookups_per_turn);
                Report::Event(Event::Retry)
            }
            Step::ShutdownWrite => Report::Event(Event::ShutDown),
            Step::Close(_) => Report::Over,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Report {
        self.client.feed(bytes);
        self.output += bytes.len();
        self.idle_steps = 0;
        Report::Event(Event::Written(bytes.len() as u64)) // widening
    }
}
