//! One client of the simulation, with the connection that serves it and the part of reactor and
//! socket between them.

use tenkay::clock::Tick;
use tenkay::files::{Blocking, Piece};
use tenkay::h2::Connection;
use tenkay::http::status::{Failure, Status};
use tenkay::machine::{Event, Reason, Step};
use tenkay::site::Wait;

use crate::Tally;
use crate::files::Files;
use crate::oracle::Oracle;
use crate::peer;
use crate::sans_io::bench::read_file;
use crate::sans_io::random::Random;
use crate::traffic::{Sent, Traffic};
use crate::world::{World, some_of};

/// See the module documentation.
pub(crate) struct Client {
    connection: Connection,
    /// Pages that its connection holds.
    held: usize,
    traffic: Traffic,
    delivered: usize,
    peer: peer::Client,
    oracle: Oracle,
    /// It has finished sending; and the connection has received that.
    is_done: bool,
    is_told: bool,
    shut: bool,
    end: Option<Reason>,
}

/// Steps of one turn.
const STEPS_PER_TURN: usize = 6;

/// Steps after which a connection that still does something never rests.
const STEPS_MOST: usize = 100_000;

impl Client {
    pub(crate) fn new(now: Tick, random: &mut Random) -> Client {
        Client {
            connection: Connection::new(now),
            held: 0,
            traffic: Traffic::hello(random),
            delivered: 0,
            peer: peer::Client::default(),
            oracle: Oracle::new(),
            is_done: false,
            is_told: false,
            shut: false,
            end: None,
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.held
    }

    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// Writes a few more frames into its stream.
    pub(crate) fn send(&mut self, random: &mut Random) {
        if self.is_done || self.traffic.bytes.len() - self.delivered > 20_000 {
            return;
        }
        let count = if random.once_in(10) { 1 + random.below(40) } else { 1 };
        for _ in 0..count {
            self.traffic.any(random);
        }
    }

    /// It finishes sending, perhaps in the middle of a frame.
    pub(crate) fn half_close(&mut self) {
        self.is_done = true;
    }

    /// It resets the connection.
    pub(crate) fn leave(&mut self, world: &mut World) {
        self.event(world, Event::PeerLost);
    }

    pub(crate) fn turn_away(&mut self, world: &mut World) {
        self.traffic.is_spoiled = true;
        self.oracle.deliver(Sent::Spoiled);
        self.event(world, Event::Refuse(Failure::new(Status::ServiceUnavailable, "too many")));
    }

    pub(crate) fn drain(&mut self, world: &mut World) {
        self.event(world, Event::Drain);
    }

    /// Reports a deadline that has passed. Whatever was late is not late again, except where the
    /// connection wants to do something first.
    pub(crate) fn look_at_clock(&mut self, world: &mut World) {
        world.unread = self.delivered < self.traffic.bytes.len();
        let is_done = |client: &Client, world: &World| {
            let acts = matches!(client.connection.step(), Step::Poll | Step::Wait(Wait::Turn));
            acts || client.is_over() || client.connection.deadline(&world.limits) > world.clock.tick
        };
        for _ in 0..2 {
            if is_done(self, world) {
                return;
            }
            self.event(world, Event::Timeout);
        }
        assert!(is_done(self, world), "at {:?}: {self:?}", world.clock.tick);
    }

    /// Performs the steps of the connection for one turn, like the reactor.
    pub(crate) fn drive(&mut self, world: &mut World, random: &mut Random) {
        world.next_turn();
        for _ in 0..STEPS_PER_TURN {
            if !self.step(world, random) || self.is_over() {
                return;
            }
        }
        // At the end of the turn, the unused buffers are returned.
        self.counted(world, |client, world| client.connection.rest(&mut world.pages));
    }

    /// Lets the server do all it can, with windows for everything: each request has an outcome.
    pub(crate) fn complete(&mut self, world: &mut World, random: &mut Random) {
        if self.is_done || self.traffic.is_spoiled || self.is_over() {
            return;
        }
        self.traffic.complete(random);
        for steps in 0.. {
            assert!(steps < STEPS_MOST, "it never rests: {self:?}");
            let is_read = matches!(self.connection.step(), Step::Read);
            if self.is_over() || (is_read && self.delivered == self.traffic.bytes.len()) {
                break;
            }
            if matches!(self.connection.step(), Step::Wait(_)) {
                world.sites.work(&world.clock, &mut || true);
                world.clock.tick = world.clock.tick + 2;
                world.next_turn();
            }
            self.step(world, random);
        }
        let forgotten = self.oracle.forgotten(&self.peer);
        // After an error or a deadline, the connection ends with the last GOAWAY.
        let ends = self.is_over() || self.shut;
        assert!(ends || forgotten.is_empty(), "{forgotten:?} are forgotten: {self:?}");
    }

    fn step(&mut self, world: &mut World, random: &mut Random) -> bool {
        let goes_on = self.counted(world, |client, world| client.step_uncounted(world, random));
        self.close(world);
        goes_on
    }

    fn step_uncounted(&mut self, world: &mut World, random: &mut Random) -> bool {
        let left = self.traffic.bytes.len() - self.delivered;
        world.unread = left > 0 && !random.once_in(4);
        match self.connection.step() {
            Step::Read | Step::Poll => return self.read(left, world, random),
            Step::Write(..) | Step::SendFile { .. } if random.once_in(4) => return false,
            Step::Write(first, second) => {
                let bytes = [first, second].concat();
                assert!(!bytes.is_empty(), "there is something to send");
                self.written(&bytes[..some_of(bytes.len(), random)], world);
            }
            Step::SendFile { lead, file, at, count } => {
                assert!(count > 0);
                let now = world.clock.tick;
                let piece = world.sites.prepare(file, (at, count), Blocking::Allowed, now);
                if piece != Piece::Ready(count) {
                    self.report(world, Event::FileFailed);
                    return true;
                }
                let sent = [lead, &read_file(file.file(), at, count)].concat();
                assert_eq!(sent.len() as u64, lead.len() as u64 + count, "it is long enough");
                self.written(&sent[..some_of(sent.len(), random)], world);
            }
            Step::Wait(_) => {
                self.report(world, Event::Retry);
                return false;
            }
            Step::ShutdownWrite => {
                assert!(!self.shut, "the sending side is shut once");
                self.shut = true;
                self.report(world, Event::ShutDown);
            }
            Step::Close(_) => return false,
        }
        true
    }

    fn read(&mut self, left: usize, world: &mut World, random: &mut Random) -> bool {
        let is_poll = matches!(self.connection.step(), Step::Poll);
        let nothing = left == 0 && (!self.is_done || self.is_told);
        if nothing || random.once_in(8) {
            if is_poll {
                self.report(world, Event::Nothing);
                return true;
            }
            self.connection.rest(&mut world.pages);
            return false;
        }
        let Some(room) = self.connection.room(&mut world.pages) else {
            return true; // there is no page: the next step is another one
        };
        assert!(!room.is_empty(), "an empty read would look like the end");
        self.is_told |= left == 0;
        let count = some_of(left, random).min(room.len());
        room[..count].copy_from_slice(&self.traffic.bytes[self.delivered..][..count]);
        self.delivered += count;
        while let Some((end, _)) = self.traffic.sent.front()
            && *end <= self.delivered
        {
            let (_, sent) = self.traffic.sent.pop_front().unwrap();
            if let Sent::Request(id, request, _) = &sent
                && request.is_head
            {
                self.peer.heads.push(*id);
            }
            self.oracle.deliver(sent);
        }
        self.report(world, Event::Read(count));
        true
    }

    fn written(&mut self, bytes: &[u8], world: &mut World) {
        self.peer.feed(bytes);
        for id in self.oracle.look(&self.peer, &world.limits) {
            self.traffic.stop(id);
        }
        let (follows, offered) = match self.connection.step() {
            Step::Write(first, second) => {
                (self.connection.more_follows(), first.len() + second.len())
            }
            _ => (false, 0),
        };
        self.report(world, Event::Written(bytes.len() as u64));
        // A transport may wait for the output that follows.
        if follows && bytes.len() == offered {
            let step = self.connection.step();
            let follows = !matches!(step, Step::Read | Step::ShutdownWrite | Step::Close(_));
            assert!(follows, "output was to follow, and not {step:?}");
        }
    }

    fn report(&mut self, world: &mut World, event: Event) {
        world.report(|cx| self.connection.report(event, cx));
    }

    fn event(&mut self, world: &mut World, event: Event) {
        self.counted(world, |client, world| client.report(world, event));
        self.close(world);
    }

    /// Calls `happen`, and counts the pages that the connection takes or returns.
    fn counted<T>(
        &mut self,
        world: &mut World,
        happen: impl FnOnce(&mut Client, &mut World) -> T,
    ) -> T {
        let taken = world.pages.taken();
        let result = happen(self, world);
        self.held = self.held + world.pages.taken() - taken;
        result
    }

    /// Checks that a closed connection stays closed, whatever is reported late.
    fn close(&mut self, world: &mut World) {
        let Step::Close(first) = self.connection.step() else { return };
        for late in [
            Event::Timeout,
            Event::Retry,
            Event::Nothing,
            Event::Drain,
            Event::Written(0),
            Event::FileFailed,
            Event::PeerLost,
        ] {
            self.counted(world, |client, world| client.report(world, late));
            let step = self.connection.step();
            assert!(matches!(step, Step::Close(again) if again == first), "it stays closed");
        }
        self.end = Some(first);
    }

    /// Checks the invariants of one connection.
    pub(crate) fn check(&mut self, files: &Files, tally: &mut Tally) {
        assert!(self.held <= 3, "{} pages: {self:?}", self.held);
        let standing = self.connection.standing(Tick(0));
        assert_eq!(standing.holds_page_since.is_some(), self.held > 0, "{self:?}");
        if self.is_over() || self.connection.is_idle() {
            assert_eq!(self.held, 0, "{self:?}");
        }
        self.oracle.check(&self.peer, files, tally);
        if let Some(reason) = self.end {
            *tally.ends.entry(format!("{reason:?}")).or_default() += 1;
            for code in self.peer.resets.values() {
                *tally.resets.entry(*code).or_default() += 1;
            }
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut step = format!("{:?}", self.connection.step());
        step.truncate(60);
        f.debug_struct("Client")
            .field("end", &self.end)
            .field("held", &self.held)
            .field("delivered", &self.delivered)
            .field("sent", &self.traffic.bytes.len())
            .field("statuses", &self.peer.statuses())
            .field("resets", &self.peer.resets)
            .field("goaways", &self.peer.goaways)
            .field("standing", &self.connection.standing(Tick(0)))
            .field("step", &step)
            .finish_non_exhaustive()
    }
}
