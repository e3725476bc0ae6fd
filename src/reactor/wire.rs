//! The protocol of a connection, and the only file of the event loop that names one.
//!
//! A [`Wire`] keeps the contract of [`crate::machine`]: it answers what to do next
//! ([`Wire::step`]), where to receive into ([`Wire::room`]) and how it stands
//! ([`Wire::standing`]), and takes reports ([`Wire::report`]).

use crate::clock::Tick;
use crate::config::Limits;
use crate::h1::{Connection, Exchanges};

pub(super) use crate::machine::{Context, Event, Evictable, Pages, Reason, Standing, Step};

/// The protocol of one connection.
#[derive(Debug)]
pub(super) enum Wire {
    /// HTTP/1.0 and HTTP/1.1.
    H1(Connection),
}

/// Memory for connections that are not idle.
#[derive(Debug, Default)]
pub(super) struct Pools {
    h1: Exchanges,
}

impl Wire {
    /// A connection that was accepted at `now`.
    pub(super) fn new(now: Tick) -> Wire {
        Wire::H1(Connection::new(now))
    }

    /// What to do next.
    #[inline]
    pub(super) fn step(&self) -> Step<'_> {
        let Wire::H1(connection) = self;
        connection.step()
    }

    /// The room to receive into after [`Step::Read`]. `None`: there is no memory, and the next step
    /// is another one.
    #[inline]
    pub(super) fn room(&mut self, pools: &mut Pools, pages: &mut Pages) -> Option<&mut [u8]> {
        let Wire::H1(connection) = self;
        connection.room(&mut pools.h1, pages)
    }

    /// Gives back the memory that is not needed while nothing can be received.
    #[inline]
    pub(super) fn rest(&mut self, pools: &mut Pools, pages: &mut Pages) {
        let Wire::H1(connection) = self;
        connection.rest(&mut pools.h1, pages);
    }

    /// Takes a report.
    #[inline]
    pub(super) fn report(&mut self, event: Event, cx: &mut Context<'_>) {
        let Wire::H1(connection) = self;
        connection.report(event, cx);
    }

    /// Gives all memory back before the connection is dropped.
    pub(super) fn end(&mut self, pools: &mut Pools, pages: &mut Pages) {
        let Wire::H1(connection) = self;
        connection.end(&mut pools.h1, pages);
    }

    /// How it stands at `now`.
    #[inline]
    pub(super) fn standing(&self, limits: &Limits, now: Tick) -> Standing {
        let Wire::H1(connection) = self;
        connection.standing(limits, now)
    }

    /// When [`Event::Timeout`] is due.
    #[inline]
    pub(super) fn deadline(&self, limits: &Limits) -> Tick {
        let Wire::H1(connection) = self;
        connection.deadline(limits)
    }
}
