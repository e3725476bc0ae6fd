//! A connection: idle, with an exchange, or closed.

use crate::clock::Tick;
use crate::config::{EXCHANGE_BYTES, Limits};
use crate::journal::Observer;
use crate::machine::{Buffer, Context, Event, Evictable, Pages, Reason, Standing, Step};

use super::exchange::{Exchange, LONG_MS};
use super::state::StateName;

/// One client's connection. An idle one is a few words; the state of an exchange is in memory from
/// a pool.
#[derive(Debug)]
pub enum Connection {
    /// Between requests, with nothing left to send.
    Idle(Idle),
    /// Something was received, or is to be sent.
    Busy(Box<[Exchange; 1]>),
    /// Closed, and why.
    Closed(Reason),
}

/// The state of an idle connection.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    since: Tick,
    /// Bytes sent so far, saturating at 65,535.
    sent: u16,
    /// Empty lines skipped before the next request line.
    blank_lines: u8,
    /// Since when the bytes of its responses are counted, and how many were sent since.
    counted: (Tick, u64),
}

const _: () = assert!(size_of::<Connection>() <= 40, "an idle connection is a few words");
const _: () = assert!(size_of::<Exchange>() as u64 <= EXCHANGE_BYTES, "a busy one is counted");

/// Exchanges that no connection uses.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "they move between this pool and the connections")]
pub struct Exchanges {
    free: Vec<Box<[Exchange; 1]>>,
}

/// Free exchanges kept for the next burst.
const KEPT: usize = 1024;

impl Exchanges {
    /// A clean exchange; `None` if there is no memory.
    #[inline(always)]
    fn take(&mut self) -> Option<Box<[Exchange; 1]>> {
        match self.free.pop() {
            Some(exchange) => Some(exchange),
            None => {
                let mut one = Vec::new();
                one.try_reserve_exact(1).ok()?;
                one.push(Exchange::new());
                one.into_boxed_slice().try_into().ok()
            }
        }
    }

    #[inline(always)]
    fn give(&mut self, exchange: Box<[Exchange; 1]>) {
        if self.free.len() < KEPT {
            self.free.push(exchange);
        }
    }
}

impl Connection {
    /// A connection that was accepted at `now`.
    pub fn new(now: Tick) -> Connection {
        Connection::Idle(Idle { since: now, sent: 0, blank_lines: 0, counted: (now, 0) })
    }

    /// What to do next.
    #[inline(always)]
    pub fn step(&self) -> Step<'_> {
        match self {
            Connection::Busy(exchange) => exchange[0].step(),
            Connection::Idle(_) => Step::Read,
            Connection::Closed(reason) => Step::Close(*reason),
        }
    }

    /// The buffer to receive into after [`Step::Read`]. `None`: there is no memory; then the step
    /// has changed.
    #[inline(always)]
    pub fn room(&mut self, exchanges: &mut Exchanges, pages: &mut Pages) -> Option<&mut [u8]> {
        if let Connection::Idle(idle) = *self {
            match exchanges.take() {
                Some(mut exchange) => {
                    idle.wake(&mut exchange[0]);
                    *self = Connection::Busy(exchange);
                }
                None => *self = Connection::Closed(Reason::OutOfPages),
            }
        }
        match self {
            Connection::Busy(exchange) => exchange[0].room(pages),
            Connection::Idle(_) | Connection::Closed(_) => None,
        }
    }

    /// The bytes that were received and not taken, with `count` that were just received into its
    /// room and not reported yet.
    pub fn received_with(&self, count: usize) -> &[u8] {
        match self {
            Connection::Busy(exchange) => exchange[0].inbox.bytes_with(count),
            Connection::Idle(_) | Connection::Closed(_) => &[],
        }
    }

    /// Ends the connection, and returns the bytes that were received, for another protocol.
    pub fn into_received(self, exchanges: &mut Exchanges, pages: &mut Pages) -> Buffer {
        let Connection::Busy(mut exchange) = self else { return Buffer::default() };
        let received = exchange[0].inbox.take();
        Connection::Busy(exchange).end(exchanges, pages, None);
        received
    }

    /// Handles a report. Inlined, because each caller reports one kind of event.
    #[inline(always)]
    pub fn report(&mut self, event: Event, cx: &mut Context<'_>) {
        self.report_as::<true>(event, cx);
    }

    /// The same. If not `OBSERVED`, requests are neither observed nor counted.
    #[inline(always)]
    pub fn report_as<const OBSERVED: bool>(&mut self, event: Event, cx: &mut Context<'_>) {
        match self {
            Connection::Busy(exchange) => exchange[0].report::<OBSERVED>(event, cx),
            Connection::Idle(_) => self.report_idle(event),
            Connection::Closed(_) => {}
        }
    }

    fn report_idle(&mut self, event: Event) {
        *self = Connection::Closed(match event {
            Event::Timeout => Reason::IdleTooLong,
            Event::PeerLost => Reason::PeerLost,
            Event::FileFailed => Reason::FileFailed,
            Event::Drain => Reason::Stopped,
            _ => return,
        });
    }

    /// Returns unused memory to the pool: an empty page, and the exchange of a connection
    /// that has become idle. A driver calls this when it finds nothing to receive.
    #[inline(always)]
    pub fn rest(&mut self, exchanges: &mut Exchanges, pages: &mut Pages) {
        let Connection::Busy(exchange) = self else { return };
        exchange[0].release_if_empty(pages);
        if !exchange[0].is_idle() {
            return;
        }
        let idle = Idle::of(&exchange[0]);
        if let Connection::Busy(exchange) = std::mem::replace(self, Connection::Idle(idle)) {
            exchanges.give(exchange);
        }
    }

    /// Returns all memory of a connection that is over. The responses that were not sent end here.
    pub fn end(
        self,
        exchanges: &mut Exchanges,
        pages: &mut Pages,
        observer: Option<&mut Observer>,
    ) {
        if let Connection::Busy(mut exchange) = self {
            exchange[0].end(pages, observer);
            exchanges.give(exchange);
        }
    }

    /// Its standing at `now`.
    pub fn standing(&self, now: Tick) -> Standing {
        match self {
            Connection::Busy(exchange) => exchange[0].standing(now),
            Connection::Idle(idle) => Standing {
                unsent: false,
                evictable: idle.evictable(now),
                holds_page_since: None,
                sent: idle.counted,
            },
            Connection::Closed(_) => Standing {
                unsent: false,
                evictable: None,
                holds_page_since: None,
                sent: (Tick(0), 0),
            },
        }
    }

    /// Bytes of memory besides pages and the fixed part of a connection.
    #[inline]
    pub fn held_bytes(&self) -> usize {
        match self {
            Connection::Busy(exchange) => exchange[0].held_bytes(),
            Connection::Idle(_) | Connection::Closed(_) => 0,
        }
    }

    /// When [`Event::Timeout`] is due.
    #[inline]
    pub fn deadline(&self, limits: &Limits) -> Tick {
        match self {
            Connection::Busy(exchange) => exchange[0].deadline(limits),
            Connection::Idle(idle) => idle.deadline(limits),
            Connection::Closed(_) => Tick(0),
        }
    }

    /// The name of the state.
    pub fn state(&self) -> StateName {
        match self {
            Connection::Busy(exchange) => exchange[0].state(),
            Connection::Idle(_) => StateName::Idle,
            Connection::Closed(_) => StateName::Closed,
        }
    }

    /// True between requests, with nothing left to send.
    pub fn is_idle(&self) -> bool {
        match self {
            Connection::Busy(exchange) => exchange[0].is_idle(),
            Connection::Idle(_) => true,
            Connection::Closed(_) => false,
        }
    }
}

impl Idle {
    #[inline]
    fn of(exchange: &Exchange) -> Idle {
        let counted = (exchange.outbox.queued_since, exchange.outbox.sent);
        let blank_lines = exchange.inbox.blank_lines;
        Idle { since: exchange.since, sent: exchange.sent, blank_lines, counted }
    }

    /// Moves its state into a clean exchange.
    #[inline]
    fn wake(self, exchange: &mut Exchange) {
        exchange.since = self.since;
        exchange.sent = self.sent;
        exchange.inbox.blank_lines = self.blank_lines;
        (exchange.outbox.queued_since, exchange.outbox.sent) = self.counted;
    }

    #[inline]
    fn deadline(&self, limits: &Limits) -> Tick {
        let allowed = if self.sent > 0 {
            limits.keep_alive_timeout_ms
        } else {
            limits.first_request_timeout_ms
        };
        self.since + allowed
    }

    /// A new client has a second for its first request before it can be evicted.
    fn evictable(&self, now: Tick) -> Option<Evictable> {
        let may_go = self.sent > 0 || now.since(self.since) >= LONG_MS;
        may_go.then_some(Evictable::Idle(self.since))
    }
}
