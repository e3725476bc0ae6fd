//! A connection that begins with a PROXY header, until the header is complete.

use std::io;
use std::net::IpAddr;

use crate::clock::Tick;
use crate::config::Limits;
use crate::machine::{Evictable, Reason, Standing};
use crate::net::proxy::{Header, Progress};
use crate::net::{Transport, is_passing};

/// The header of a trusted peer, and how far it was received.
#[derive(Debug)]
pub(super) struct Introduction {
    header: Header,
    /// When the connection was accepted, or when the first bytes were received.
    since: Tick,
    outcome: Outcome,
}

/// How an introduction stands after it was driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The socket has no more bytes.
    Waits,
    /// There is more to receive, but the share of this turn is used up.
    Budget,
    /// [`Introduction::result`] has the result.
    Complete,
    /// The connection is over, and there was no header.
    Over(Reason),
}

/// What follows from the header.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// It is incomplete.
    Open,
    /// Its result, which ends the introduction.
    Ended(Result<Option<IpAddr>, &'static str>),
    /// The connection ended without a byte of it.
    Closed(Reason),
}

impl Introduction {
    /// A connection that was accepted at `now`.
    pub(super) fn new(now: Tick) -> Introduction {
        Introduction { header: Header::default(), since: now, outcome: Outcome::Open }
    }

    /// Receives what has arrived of the header.
    pub(super) fn drive(&mut self, transport: &mut Transport, now: Tick) -> State {
        for _ in 0..RECEIVES_PER_TURN {
            match self.outcome {
                Outcome::Open => {}
                Outcome::Ended(_) => return State::Complete,
                Outcome::Closed(reason) => return State::Over(reason),
            }
            if !transport.is_readable() {
                return State::Waits;
            }
            let was_empty = self.header.is_empty();
            match transport.receive_header(&mut self.header) {
                Ok(Progress::Incomplete) => {}
                Ok(Progress::Complete(client)) => self.outcome = Outcome::Ended(Ok(client)),
                Ok(Progress::Malformed(why)) => self.outcome = Outcome::Ended(Err(why)),
                Err(error) if is_passing(&error) => {}
                Err(error) => self.lose(&error),
            }
            if was_empty && !self.header.is_empty() {
                self.since = now; // of its first byte; later ones do not extend it
            }
        }
        State::Budget
    }

    /// The peer has closed, or the socket failed. A connection without a byte is a health check.
    fn lose(&mut self, error: &io::Error) {
        let is_end = error.kind() == io::ErrorKind::UnexpectedEof;
        self.outcome = match (self.header.is_empty(), is_end) {
            (true, true) => Outcome::Closed(Reason::PeerClosed),
            (false, true) => Outcome::Ended(Err("the header has no end")),
            (_, false) => Outcome::Closed(Reason::PeerLost),
        };
    }

    /// The deadline has passed.
    pub(super) fn timed_out(&mut self) {
        self.outcome = if self.header.is_empty() {
            Outcome::Closed(Reason::IdleTooLong)
        } else {
            Outcome::Ended(Err("the header did not arrive in time"))
        };
    }

    /// The address that the header names, if it does.
    ///
    /// # Errors
    /// Why the connection must be closed.
    pub(super) fn result(&self) -> Result<Option<IpAddr>, &'static str> {
        match self.outcome {
            Outcome::Ended(result) => result,
            Outcome::Open | Outcome::Closed(_) => Err("the header has no end"),
        }
    }

    /// True if the proxy connects for itself.
    pub(super) fn is_local(&self) -> bool {
        self.header.is_local()
    }

    /// True if nothing was received.
    pub(super) fn is_idle(&self) -> bool {
        self.header.is_empty()
    }

    pub(super) fn deadline(&self, limits: &Limits) -> Tick {
        let is_empty = self.header.is_empty();
        let allowed =
            if is_empty { limits.first_request_timeout_ms } else { limits.head_timeout_ms };
        self.since + allowed
    }

    /// It can be evicted like a new client without a request.
    pub(super) fn standing(&self, now: Tick) -> Standing {
        let may_go = now.since(self.since) >= GRACE_MS;
        Standing {
            unsent: false,
            evictable: may_go.then_some(Evictable::Incomplete(self.since)),
            holds_page_since: None,
            sent: (self.since, 0),
        }
    }
}

/// Most receives for one header in a turn. Each takes all that has arrived.
const RECEIVES_PER_TURN: usize = 16;

/// How long a new connection cannot be evicted.
const GRACE_MS: u64 = 1000;
