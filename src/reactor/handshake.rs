//! A TLS connection before the steps of its protocol, and after TLS has failed.

use crate::http::status::{Failure, Status};
use crate::net::{Facts, Opened, is_passing};
use crate::site::{Channel, Wait};

use super::slot::{Slot, Stop};
use super::wire::{Context, Event, Pools, Reason, Step, Wire};

impl Slot {
    /// Sends what TLS has to send, and does the handshake. `None`: the protocol has its turn.
    pub(super) fn open(&mut self, cx: &mut Context<'_>, pools: &mut Pools) -> Option<Stop> {
        cx.from_files = false;
        let opened = match self.transport.open(&mut pools.terminal) {
            Ok(opened) => opened,
            Err(error) if is_passing(&error) => Opened::Waits,
            Err(_) => {
                self.wire.report(Event::PeerLost, cx);
                return None; // it closes
            }
        };
        // Its time may be over.
        if let Step::Close(reason) = self.wire.step() {
            return Some(Stop::Over(reason));
        }
        match opened {
            Opened::Ready => {
                if let Some(Facts { version, certificate, is_h2 }) = self.transport.facts() {
                    cx.channel = Channel::Tls { version, certificate };
                    if is_h2 && matches!(self.wire, Wire::H1(_)) {
                        self.begin_h2(cx, pools);
                    }
                }
                None
            }
            Opened::Waits => {
                self.wire.rest(pools, cx.pages);
                Some(Stop::Waits)
            }
            Opened::NoUnit => Some(Stop::Needs(Wait::Turn)),
            Opened::Clear => {
                self.refuse(NOT_TLS, cx, pools);
                None
            }
            Opened::Failed => {
                let until = cx.clock.tick + cx.limits.linger_timeout_ms;
                let failed = Wire::Failed { until, dropped: 0 };
                let observer = cx.observer.as_deref_mut();
                std::mem::replace(&mut self.wire, failed).end(pools, cx.pages, observer);
                Some(self.linger(cx, pools))
            }
        }
    }

    /// The client has chosen HTTP/2.
    #[inline(never)]
    fn begin_h2(&mut self, cx: &mut Context<'_>, pools: &mut Pools) {
        let h2 = Wire::h2(cx.clock.tick);
        let h1 = std::mem::replace(&mut self.wire, h2);
        h1.end(pools, cx.pages, cx.observer.as_deref_mut());
        if self.turned_away {
            self.refuse(NO_ROOM, cx, pools);
        }
    }

    /// TLS has failed: sends the alert and the end, then drops what comes until the peer has
    /// finished, has sent too much, or the time is over.
    pub(super) fn linger(&mut self, cx: &mut Context<'_>, pools: &mut Pools) -> Stop {
        let Wire::Failed { until, dropped } = &mut self.wire else {
            return Stop::Over(Reason::TlsFailed);
        };
        for _ in 0..cx.limits.steps_per_turn {
            let ended = self.transport.shutdown_write(&mut pools.terminal);
            let is_over = *until <= cx.clock.tick || cx.draining || ended.is_err();
            if is_over || *dropped > cx.limits.linger_bytes {
                return Stop::Over(Reason::TlsFailed);
            }
            match self.transport.discard(&mut pools.terminal) {
                Ok(0) => return Stop::Over(Reason::TlsFailed),
                Ok(count) => *dropped += count as u64, // widening
                Err(error) if is_passing(&error) => return Stop::Waits,
                Err(_) => return Stop::Over(Reason::TlsFailed),
            }
        }
        Stop::Budget
    }
}

/// The response to a client for which there is no room.
const NO_ROOM: Failure = Failure::new(Status::ServiceUnavailable, "too many connections");

/// The response to a client that speaks HTTP without TLS.
const NOT_TLS: Failure =
    Failure::bad("this address speaks HTTPS, not HTTP: use https:// in the URL");
