//! One client of the simulation, with the connection that serves it and the part of reactor and
//! socket between them.

use tenkay::clock::Tick;
use tenkay::files::{Blocking, Piece};
use tenkay::h1::{Connection, StateName};
use tenkay::http::status::{Failure, Status};
use tenkay::machine::{Event, Reason, Step};

use crate::Tally;
use crate::files::Files;
use crate::requests::Request;
use crate::sans_io::bench::read_file;
use crate::sans_io::random::Random;
use crate::sans_io::responses;
use crate::world::{World, some_of};

/// See the module documentation.
pub(crate) struct Client {
    connection: Connection,
    /// Pages that its connection holds.
    held: usize,
    /// Its requests so far, and the offset of each in the stream.
    asked: Vec<(Request, usize)>,
    /// The stream of requests, and the number of bytes delivered.
    stream: Vec<u8>,
    delivered: usize,
    /// It has finished sending; and the connection has received that.
    is_done: bool,
    is_told: bool,
    /// Received bytes that were not parsed yet, and the number of responses parsed.
    unread: Vec<u8>,
    answers: usize,
    /// A response had `Connection: close`.
    was_last: bool,
    /// It was refused: one response arrives without a request.
    unasked: usize,
    shut: bool,
    end: Option<Reason>,
    /// The last step was a read: then no output is pending.
    reads: bool,
    /// Deadlines that passed since the last other event.
    deadlines: u32,
}

/// Steps of one turn.
const STEPS_PER_TURN: usize = 6;

impl Client {
    pub(crate) fn new(connection: Connection) -> Client {
        Client {
            connection,
            held: 0,
            asked: Vec::new(),
            stream: Vec::new(),
            delivered: 0,
            is_done: false,
            is_told: false,
            unread: Vec::new(),
            answers: 0,
            was_last: false,
            unasked: 0,
            shut: false,
            end: None,
            reads: false,
            deadlines: 0,
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.held
    }

    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// Writes a few more requests into its stream.
    pub(crate) fn send(&mut self, random: &mut Random) {
        if self.is_done || self.stream.len() - self.delivered > 20_000 {
            return;
        }
        let count = if random.once_in(10) { 1 + random.below(40) } else { 1 };
        for _ in 0..count {
            // After an unclear request, a response to HEAD cannot be distinguished from one to GET.
            let only_get = self.asked.iter().any(|(request, _)| !request.is_clear());
            let request = Request::any(random, only_get);
            let start = self.stream.len();
            self.stream.extend_from_slice(&request.bytes);
            self.asked.push((request, start));
        }
    }

    /// It finishes sending, perhaps in the middle of a request.
    pub(crate) fn half_close(&mut self) {
        self.is_done = true;
    }

    /// It resets the connection.
    pub(crate) fn leave(&mut self, world: &mut World) {
        self.touch(world, |connection, world| world.event(connection, Event::PeerLost));
        self.close(world);
    }

    pub(crate) fn turn_away(&mut self, world: &mut World) {
        self.unasked = 1;
        self.touch(world, |connection, world| {
            if connection.room(&mut world.exchanges, &mut world.pages).is_some() {
                let failure = Failure::new(Status::ServiceUnavailable, "too many connections");
                world.event(connection, Event::Refuse(failure));
            }
        });
        self.close(world);
    }

    pub(crate) fn drain(&mut self, world: &mut World) {
        self.touch(world, |connection, world| world.event(connection, Event::Drain));
        self.close(world);
    }

    /// Reports a deadline that has passed.
    pub(crate) fn look_at_clock(&mut self, world: &mut World) {
        if self.connection.deadline(&world.limits) > world.clock.tick {
            return;
        }
        self.deadlines += 1;
        assert!(self.deadlines <= 2, "deadlines passed without effect: {self:?}");
        self.touch(world, |connection, world| world.event(connection, Event::Timeout));
        self.close(world);
    }

    /// Performs the steps of the connection for one turn, like the reactor.
    pub(crate) fn drive(&mut self, world: &mut World, random: &mut Random) {
        for _ in 0..STEPS_PER_TURN {
            let goes_on = self.step(world, random);
            self.close(world);
            if !goes_on || self.is_over() {
                return;
            }
        }
        // At the end of the turn, the unused buffer is returned.
        self.touch(world, |connection, world| world.rest(connection));
        self.close(world);
    }

    /// One step. False if it has to wait.
    fn step(&mut self, world: &mut World, random: &mut Random) -> bool {
        let taken = world.pages.taken();
        let goes_on = self.step_uncounted(world, random);
        self.held = self.held + world.pages.taken() - taken;
        goes_on
    }

    fn step_uncounted(&mut self, world: &mut World, random: &mut Random) -> bool {
        self.reads = false;
        let connection = &mut self.connection;
        match connection.step() {
            Step::Read => {
                self.reads = true;
                let left = &self.stream[self.delivered..];
                let nothing_to_read = left.is_empty() && (!self.is_done || self.is_told);
                if nothing_to_read || random.once_in(8) {
                    world.rest(connection);
                    return false;
                }
                let Some(room) = connection.room(&mut world.exchanges, &mut world.pages) else {
                    return true; // there is no page: the next step is another one
                };
                assert!(!room.is_empty(), "an empty read would look like the end");
                self.is_told |= left.is_empty();
                let count = whole_method(&self.asked, self.delivered, some_of(left.len(), random));
                let count = count.min(room.len());
                room[..count].copy_from_slice(&left[..count]);
                self.delivered += count;
                self.deadlines = 0;
                world.event(connection, Event::Read(count));
            }
            Step::Write(..) | Step::SendFile { .. } if random.once_in(4) => return false,
            Step::Write(first, second) => {
                assert!(!first.is_empty() || !second.is_empty(), "there is something to send");
                let count = some_of(first.len() + second.len(), random);
                let of_first = count.min(first.len());
                self.unread.extend_from_slice(&first[..of_first]);
                self.unread.extend_from_slice(&second[..count - of_first]);
                self.deadlines = 0;
                world.event(connection, Event::Written(count as u64));
            }
            Step::SendFile { lead, file, at, count } => {
                assert!(count > 0);
                let count = count.min(1 + random.next() % 30_000);
                let now = world.clock.tick;
                let piece = world.sites.prepare(file, (at, count), Blocking::Allowed, now);
                if piece != Piece::Ready(count) {
                    world.event(connection, Event::FileFailed);
                    return true;
                }
                let sent = [lead, &read_file(file.file(), at, count)].concat();
                assert_eq!(
                    sent.len() as u64,
                    lead.len() as u64 + count,
                    "the file is as long as announced"
                );
                let count = some_of(sent.len(), random);
                self.unread.extend_from_slice(&sent[..count]);
                self.deadlines = 0;
                world.event(connection, Event::Written(count as u64));
            }
            Step::Wait { .. } => {
                world.event(connection, Event::Retry);
                return false;
            }
            Step::Poll => unreachable!("HTTP/1.1 does not poll"),
            Step::ShutdownWrite => {
                assert!(!self.shut, "the sending side is shut once");
                self.shut = true;
                world.event(connection, Event::ShutDown);
            }
            Step::Close(_) => return false,
        }
        true
    }

    /// Calls `report`, and counts the pages that the connection takes or returns.
    fn touch(&mut self, world: &mut World, happen: impl FnOnce(&mut Connection, &mut World)) {
        let taken = world.pages.taken();
        happen(&mut self.connection, world);
        self.held = self.held + world.pages.taken() - taken;
        self.reads = false;
    }

    /// Checks that a closed connection stays closed, whatever is reported late.
    fn close(&mut self, world: &mut World) {
        if self.connection.state() != StateName::Closed {
            return;
        }
        let reason = |connection: &Connection| match connection.step() {
            Step::Close(reason) => reason,
            other => panic!("a closed connection asks for {other:?}"),
        };
        let first = reason(&self.connection);
        self.touch(world, |connection, world| {
            for late in [
                Event::Timeout,
                Event::Retry,
                Event::Read(0),
                Event::Written(0),
                Event::FileFailed,
                Event::PeerLost,
            ] {
                world.event(connection, late);
            }
        });
        assert_eq!(reason(&self.connection), first, "a closed connection stays closed");
        self.end = Some(first);
    }

    /// Checks the invariants of one connection.
    pub(crate) fn check(&mut self, files: &Files, tally: &mut Tally) {
        let state = self.connection.state();
        assert!(self.held <= 2, "{} pages: {self:?}", self.held);
        let standing = self.connection.standing(Tick(0));
        assert_eq!(standing.holds_page_since.is_some(), self.held > 0, "{self:?}");
        if state == StateName::Closed || self.connection.is_idle() {
            assert_eq!(self.held, 0, "{self:?}");
        }
        if self.reads || self.is_over() {
            self.read(files, tally);
        }
        if let Some(reason) = self.end {
            *tally.ends.entry(format!("{reason:?}")).or_default() += 1;
        }
    }

    /// Parses the received responses.
    fn read(&mut self, files: &Files, tally: &mut Tally) {
        let (answers, asked, unasked) = (self.answers, &self.asked, self.unasked);
        let is_head = |index: usize| match (answers + index).checked_sub(unasked) {
            Some(index) => asked.get(index).is_some_and(|(request, _)| request.is_head),
            None => false,
        };
        let parsed = responses::parse(&self.unread, is_head)
            .unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let cut = parsed.cut.as_ref().map_or(0, |cut| cut.bytes);
        assert!(self.is_over() || cut == 0, "it reads in the middle of a response: {self:?}");
        tally.bytes += (self.unread.len() - cut) as u64;
        self.unread.clear();
        for response in &parsed.whole {
            assert!(!self.was_last, "{} after the last response: {self:?}", response.status);
            *tally.statuses.entry(response.status).or_default() += 1;
            tally.answers += 1;
            self.was_last = response.field("Connection") == "close";
            if self.answers < self.unasked {
                assert_eq!(response.status, 503);
            } else {
                self.check_answer(response, files);
            }
            self.answers += 1;
        }
    }

    fn check_answer(&self, response: &responses::Response, files: &Files) {
        let index = self.answers - self.unasked;
        let unclear = self.asked.iter().position(|(request, _)| !request.is_clear());
        if unclear.is_some_and(|unclear| unclear <= index) {
            // It may contain later requests, but it is never answered twice.
            assert!(index < self.asked.len(), "more answers than requests: {self:?}");
            return;
        }
        let Some((request, start)) = self.asked.get(index) else {
            panic!("more answers than requests: {self:?}");
        };
        assert!(*start < self.delivered, "a response before its request: {self:?}");
        request.check(response, files);
    }
}

/// The number of bytes to deliver. Never cuts the method HEAD: the error response to a half of it
/// would have a body.
fn whole_method(asked: &[(Request, usize)], delivered: usize, count: usize) -> usize {
    const METHOD: usize = "HEAD ".len();
    let cut = delivered + count;
    let heads = asked.iter().filter(|(request, _)| request.is_head);
    let place =
        heads.map(|(_, start)| *start).find(|start| (start + 1..start + METHOD).contains(&cut));
    place.map_or(count, |start| start + METHOD - delivered)
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let from = self.delivered.saturating_sub(500);
        f.debug_struct("Client")
            .field("state", &self.connection.state())
            .field("end", &self.end)
            .field("held", &self.held)
            .field("answers", &self.answers)
            .field("asked", &self.asked.len())
            .field("last delivered", &String::from_utf8_lossy(&self.stream[from..self.delivered]))
            .finish_non_exhaustive()
    }
}
