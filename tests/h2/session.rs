//! One connection on a bench, and its client.

use tenkay::config::SiteConfig;
use tenkay::h2::Connection;
use tenkay::machine::{Context, Event, Reason, Step};

use crate::peer::{Client, hello};
use crate::sans_io::bench::{Bench, content, put, read_file};

/// A bench with some files.
pub(crate) fn bench(changes: &[&str]) -> Bench {
    let config =
        SiteConfig { archives: vec![tenkay::config::ArchiveFormat::Tar], ..SiteConfig::default() };
    Bench::new(changes, config, |folder| {
        put(folder, "tiny", b"tiny");
        put(folder, "small", &content(1000, 1));
        put(folder, "memory", &content(50_000, 1));
        put(folder, "file", &content(200_000, 1));
        put(folder, "empty", b"");
        put(folder, "dir/index.html", b"<p>index");
        put(folder, "list/one", &content(3000, 2));
        put(folder, "list/two", &content(30_000, 3));
    })
}

/// A connection and what its client has received.
pub(crate) struct Session<'b> {
    pub(crate) bench: &'b mut Bench,
    pub(crate) connection: Connection,
    pub(crate) client: Client,
    /// Bytes that the client has sent and the server has not received.
    input: Vec<u8>,
    /// Why the connection was closed.
    pub(crate) over: Option<Reason>,
    pub(crate) shut: bool,
    /// Bytes that are given or taken at a time.
    pub(crate) reads: usize,
    pub(crate) writes: usize,
}

impl Session<'_> {
    /// A connection of which nothing was sent.
    pub(crate) fn new(bench: &mut Bench) -> Session<'_> {
        let connection = Connection::new(bench.clock.tick);
        Session {
            bench,
            connection,
            client: Client::default(),
            input: Vec::new(),
            over: None,
            shut: false,
            reads: usize::MAX,
            writes: usize::MAX,
        }
    }

    /// A connection that has begun with these settings.
    pub(crate) fn open<'b>(bench: &'b mut Bench, settings: &[(u16, u32)]) -> Session<'b> {
        let mut session = Session::new(bench);
        session.say(&hello(settings));
        assert_eq!(session.client.settings_acks, 1);
        session
    }

    /// Sends bytes, and lets the server do what it can.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
        self.bench.clock.next_turn();
        self.run();
    }

    /// Sends bytes, and nothing happens yet.
    pub(crate) fn begin(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
    }

    /// Sends nothing more.
    pub(crate) fn finish(&mut self) {
        while matches!(self.connection.step(), Step::Read | Step::Poll) {
            self.report(Event::Read(0));
            self.run();
            if self.over.is_some() {
                return;
            }
        }
    }

    pub(crate) fn report(&mut self, event: Event) {
        let unread = !self.input.is_empty();
        let connection = &mut self.connection;
        self.bench.report(|cx: &mut Context<'_>| {
            cx.unread = unread;
            if let Event::Read(0) = event {
                _ = connection.room(cx.pages);
            }
            connection.report(event, cx);
        });
    }

    /// Lets `ms` milliseconds pass, and reports a timeout if one is due.
    pub(crate) fn wait(&mut self, ms: u64) -> bool {
        self.bench.wait(ms);
        let is_due = self.connection.deadline(&self.bench.limits) <= self.bench.clock.tick;
        if is_due {
            self.report(Event::Timeout);
        }
        self.run();
        is_due
    }

    /// Does what the connection wants until it waits for the client.
    pub(crate) fn run(&mut self) {
        for waits in 0.. {
            assert!(waits < 200_000, "the connection never rests");
            if !self.turn() {
                return;
            }
        }
    }

    /// One step. False if there is nothing to do.
    pub(crate) fn turn(&mut self) -> bool {
        if !matches!(self.connection.step(), Step::Read | Step::Poll) {
            return self.act();
        }
        if self.input.is_empty() {
            if matches!(self.connection.step(), Step::Poll) {
                self.report(Event::Nothing);
                return true;
            }
            self.connection.rest(&mut self.bench.pages);
            let holds = self.bench.pages.taken() > 0;
            assert!(!holds || !self.connection.is_idle(), "an idle connection holds no page");
            return false;
        }
        let room = self.connection.room(&mut self.bench.pages);
        let Some(room) = room else { return true };
        assert!(!room.is_empty(), "an empty read would look like the end");
        let count = room.len().min(self.input.len()).min(self.reads);
        room[..count].copy_from_slice(&self.input[..count]);
        self.input.drain(..count);
        self.report(Event::Read(count));
        true
    }

    fn act(&mut self) -> bool {
        let mut sent = Vec::new();
        match self.connection.step() {
            Step::Read | Step::Poll => return true,
            Step::Write(first, second) => {
                sent.extend([first, second].concat().into_iter().take(self.writes));
                assert!(!sent.is_empty(), "a write step is not empty");
            }
            Step::SendFile { lead, file, at, count } => {
                assert!(count > 0);
                sent.extend_from_slice(lead);
                sent.extend(read_file(file.file(), at, count));
                sent.truncate(self.writes);
            }
            Step::Wait(_) => {
                self.bench.sites.work(&self.bench.clock, &mut || true);
                self.bench.wait(2);
                self.report(Event::Retry);
                return true;
            }
            Step::ShutdownWrite => {
                self.shut = true;
                self.report(Event::ShutDown);
                return true;
            }
            Step::Close(reason) => {
                self.over = Some(reason);
                assert_eq!(self.bench.pages.taken(), 0, "a closed connection holds no page");
                return false;
            }
        }
        self.client.feed(&sent);
        self.report(Event::Written(sent.len() as u64));
        true
    }

    /// The code of the last GOAWAY.
    pub(crate) fn goaway(&self) -> Option<u32> {
        self.client.goaways.last().map(|(_, code)| *code)
    }
}
