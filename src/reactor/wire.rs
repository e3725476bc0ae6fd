//! The protocol of a connection, and the only file of the event loop that names one.
//!
//! A [`Wire`] keeps the contract of [`crate::machine`]: it answers what to do next
//! ([`Wire::step`]), where to receive into ([`Wire::room`]) and how it stands
//! ([`Wire::standing`]), and takes reports ([`Wire::report`]).
//!
//! What each request passes tests for HTTP/1.1 first, and does the rest out of line: a jump through
//! a table in every step is measurable beside a small request.

use crate::clock::{Clock, Tick};
use crate::config::Limits;
use crate::h1::{self, Connection, Exchanges, StateName};
use crate::h2;
use crate::journal::Observer;
use crate::net::tls::Terminal;
use crate::site::Sites;

use super::introduction::Introduction;

pub use crate::machine::Reason;
pub(super) use crate::machine::{Context, Event, Evictable, Pages, Standing, Step};

/// The protocol of one connection.
#[derive(Debug)]
pub(super) enum Wire {
    /// HTTP/1.0 and HTTP/1.1.
    H1(Connection),
    /// HTTP/2.
    H2(Box<h2::Connection>),
    /// The protocol has ended, but the kernel still holds bytes that the peer has not acknowledged.
    /// The connection counts for its client until they are, or until this time.
    Ended { until: Tick },
    /// TLS has failed. The peer gets an alert, and what it still sends is dropped until this time:
    /// a reset could overtake the alert.
    Failed { until: Tick, dropped: u64 },
    /// The protocol has not begun: a PROXY header comes first.
    Introduction(Box<Introduction>),
}

/// Memory for connections that are not idle.
#[derive(Debug, Default)]
pub(super) struct Pools {
    h1: Exchanges,
    /// What TLS connections share.
    pub(super) terminal: Terminal,
    /// See [`unsent_most`](crate::net::unsent_most); computed anew for each new connection.
    pub(super) unsent_most: u32,
}

/// Writes the response of a connection for which there is no page. Returns its length.
pub(super) fn write_unavailable(room: &mut [u8], sites: &Sites, clock: &Clock) -> usize {
    h1::write_unavailable(room, sites, clock)
}

impl Wire {
    /// A connection that was accepted at `now`.
    pub(super) fn new(now: Tick) -> Wire {
        Wire::H1(Connection::new(now))
    }

    /// The same, if a PROXY header comes first.
    pub(super) fn introduction(now: Tick) -> Wire {
        Wire::Introduction(Box::new(Introduction::new(now)))
    }

    /// A connection on which the client has chosen HTTP/2.
    pub(super) fn h2(now: Tick) -> Wire {
        Wire::H2(Box::new(h2::Connection::new(now)))
    }

    /// What to do next.
    #[inline(always)]
    pub(super) fn step(&self) -> Step<'_> {
        match self {
            Wire::H1(connection) => connection.step(),
            _ => self.step_rare(),
        }
    }

    #[inline(never)]
    fn step_rare(&self) -> Step<'_> {
        match self {
            Wire::H1(connection) => connection.step(),
            Wire::H2(connection) => connection.step(),
            Wire::Ended { .. } => Step::Close(Reason::Finished),
            Wire::Failed { .. } => Step::Close(Reason::TlsFailed),
            // The driver receives the header itself.
            Wire::Introduction(_) => Step::Read,
        }
    }

    /// The room to receive into after [`Step::Read`]. `None`: there is no memory, and the next step
    /// is another one.
    #[inline(always)]
    pub(super) fn room(&mut self, pools: &mut Pools, pages: &mut Pages) -> Option<&mut [u8]> {
        match self {
            Wire::H1(connection) => connection.room(&mut pools.h1, pages),
            _ => self.room_rare(pages),
        }
    }

    #[inline(never)]
    fn room_rare(&mut self, pages: &mut Pages) -> Option<&mut [u8]> {
        match self {
            Wire::H2(connection) => connection.room(pages),
            _ => None,
        }
    }

    /// Gives back the memory that is not needed while nothing can be received.
    #[inline(always)]
    pub(super) fn rest(&mut self, pools: &mut Pools, pages: &mut Pages) {
        match self {
            Wire::H1(connection) => connection.rest(&mut pools.h1, pages),
            Wire::H2(connection) => connection.rest(pages),
            Wire::Ended { .. } | Wire::Introduction(_) | Wire::Failed { .. } => {}
        }
    }

    /// `count` bytes were received, and not reported yet, on a connection that may speak HTTP/1.1
    /// or HTTP/2. Returns true if they are too few to decide.
    #[inline(never)]
    pub(super) fn sniff(&mut self, count: usize, pools: &mut Pools, cx: &mut Context<'_>) -> bool {
        let Wire::H1(connection) = self else { return false };
        let received = connection.received_with(count);
        let decisive = &h2::PREFACE[..DECISIVE];
        if received.len() < DECISIVE {
            return !received.is_empty() && decisive.starts_with(received);
        }
        if received.starts_with(decisive) {
            let now = cx.clock.tick;
            let connection = std::mem::replace(connection, Connection::new(now));
            let inbox = connection.into_received(&mut pools.h1, cx.pages);
            *self = Wire::H2(Box::new(h2::Connection::with(inbox, now)));
        }
        false
    }

    /// Whether the protocol can tell the peer that the server shuts down.
    pub(super) fn tells_of_drain(&self) -> bool {
        matches!(self, Wire::H2(_))
    }

    /// The server shuts down. HTTP/1.1 says so in the next response, HTTP/2 in a frame.
    #[inline(never)]
    pub(super) fn drain(&mut self, cx: &mut Context<'_>) {
        if let Wire::H2(connection) = self {
            connection.report(Event::Drain, cx);
        }
    }

    /// Takes a report. Inlined, because each caller reports one kind of event.
    #[inline(always)]
    pub(super) fn report(&mut self, event: Event, cx: &mut Context<'_>) {
        self.report_as::<true>(event, cx);
    }

    /// The same. If not `OBSERVED`, requests are neither observed nor counted.
    #[inline(always)]
    pub(super) fn report_as<const OBSERVED: bool>(&mut self, event: Event, cx: &mut Context<'_>) {
        match self {
            Wire::H1(connection) => connection.report_as::<OBSERVED>(event, cx),
            _ => self.report_rare(event, cx),
        }
    }

    #[inline(never)]
    fn report_rare(&mut self, event: Event, cx: &mut Context<'_>) {
        match self {
            Wire::H1(_) => {} // never: see `report_as`
            Wire::H2(connection) => connection.report(event, cx),
            Wire::Ended { until } | Wire::Failed { until, .. } => {
                if let Event::Timeout = event {
                    *until = Tick(0);
                }
            }
            Wire::Introduction(introduction) => {
                if let Event::Timeout = event {
                    introduction.timed_out();
                }
            }
        }
    }

    /// Gives back all memory of a connection that is over.
    pub(super) fn end(self, pools: &mut Pools, pages: &mut Pages, observer: Option<&mut Observer>) {
        match self {
            Wire::H1(connection) => connection.end(&mut pools.h1, pages, observer),
            Wire::H2(connection) => connection.end(pages, observer),
            Wire::Ended { .. } | Wire::Introduction(_) | Wire::Failed { .. } => {}
        }
    }

    /// How it stands at `now`.
    #[inline]
    pub(super) fn standing(&self, now: Tick) -> Standing {
        match self {
            Wire::H1(connection) => connection.standing(now),
            Wire::H2(connection) => connection.standing(now),
            Wire::Ended { until } | Wire::Failed { until, .. } => Standing {
                unsent: false,
                evictable: Some(Evictable::Lingering(*until)),
                holds_page_since: None,
                sent: (*until, 0),
            },
            Wire::Introduction(introduction) => introduction.standing(now),
        }
    }

    /// Bytes of memory besides pages and its fixed part.
    #[inline]
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Wire::H1(connection) => connection.held_bytes(),
            Wire::H2(connection) => connection.held_bytes(),
            Wire::Ended { .. } | Wire::Introduction(_) | Wire::Failed { .. } => 0,
        }
    }

    /// Whether it is between two requests.
    #[inline(always)]
    pub(super) fn is_idle(&self) -> bool {
        match self {
            Wire::H1(connection) => connection.is_idle(),
            _ => self.is_idle_rare(),
        }
    }

    #[inline(never)]
    fn is_idle_rare(&self) -> bool {
        match self {
            Wire::H1(connection) => connection.is_idle(),
            Wire::H2(connection) => connection.is_idle(),
            Wire::Ended { .. } | Wire::Failed { .. } => true,
            Wire::Introduction(introduction) => introduction.is_idle(),
        }
    }

    /// Whether the output of this step is followed by other output, without anything that is
    /// received before.
    #[inline(always)]
    pub(super) fn more_follows(&self) -> bool {
        match self {
            Wire::H1(_) => false,
            _ => self.more_follows_rare(),
        }
    }

    #[inline(never)]
    fn more_follows_rare(&self) -> bool {
        matches!(self, Wire::H2(connection) if connection.more_follows())
    }

    /// The place of its state among [`STATES`](crate::metrics::table::STATES).
    pub(super) fn state(&self) -> usize {
        match self {
            Wire::H1(connection) => match connection.state() {
                StateName::Idle if connection.is_idle() => 0,
                StateName::Head | StateName::Discard => READING,
                StateName::Await => 2,
                StateName::Idle | StateName::Reply => 3,
                StateName::Linger | StateName::Closed => 4,
            },
            Wire::H2(connection) => connection.activity(),
            Wire::Introduction(_) => READING,
            Wire::Ended { .. } | Wire::Failed { .. } => 4,
        }
    }

    /// When [`Event::Timeout`] is due.
    #[inline(always)]
    pub(super) fn deadline(&self, limits: &Limits) -> Tick {
        match self {
            Wire::H1(connection) => connection.deadline(limits),
            _ => self.deadline_rare(limits),
        }
    }

    #[inline(never)]
    fn deadline_rare(&self, limits: &Limits) -> Tick {
        match self {
            Wire::H1(connection) => connection.deadline(limits),
            Wire::H2(connection) => connection.deadline(limits),
            Wire::Ended { until } | Wire::Failed { until, .. } => *until,
            Wire::Introduction(introduction) => introduction.deadline(limits),
        }
    }
}

/// The index of "reading" in [`STATES`](crate::metrics::table::STATES); "idle" is before it.
pub(super) const READING: usize = 1;

/// Bytes of the preface of HTTP/2 that no request of HTTP/1.1 begins with: `PRI * HTTP/2.0` and its
/// line end.
const DECISIVE: usize = 16;
