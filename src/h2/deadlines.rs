//! How long a [`Connection`] waits for what, and what ends with each wait.

use crate::clock::Tick;
use crate::config::Limits;
use crate::http::status::{Failure, Status};
use crate::machine::{Context, Evictable, Reason, Standing};

use super::connection::{Connection, GoAway, Phase, ROOM};
use super::frame::{Code, Kind};
use super::progress::Progress;
use super::stream::Work;

impl Connection {
    pub(super) fn timed_out(&mut self, cx: &mut Context<'_>) {
        let now = cx.clock.tick;
        if self.is_output_waiting() {
            return self.close(Reason::Stalled, cx.pages);
        }
        match self.phase {
            Phase::Closed(_) => {}
            Phase::Linger { reason, .. } => self.close(reason, cx.pages),
            Phase::Preface | Phase::Settings => self.close(Reason::IdleTooLong, cx.pages),
            Phase::Open => {
                if self.is_response_unsent() && self.output_deadline(cx.limits) <= now {
                    return self.close(Reason::Stalled, cx.pages);
                }
                if self.partial_deadline(cx.limits).is_some_and(|deadline| deadline <= now) {
                    return self.fail(Code::NoError, Reason::IdleTooLong, cx);
                }
                if self.is_idle() && self.goaway == GoAway::None {
                    return self.fail(Code::NoError, Reason::IdleTooLong, cx);
                }
                self.end_late(cx);
                if let GoAway::Announced(_) = self.goaway {
                    self.drain(cx);
                }
                self.advance(cx, true);
            }
        }
    }

    /// Answers the requests whose time is over, as many as there is room for: the rest is still
    /// late when these responses were sent.
    fn end_late(&mut self, cx: &mut Context<'_>) {
        let now = cx.clock.tick;
        for key in 0..self.streams.slots() {
            if self.outbox.room_left() < ROOM {
                return;
            }
            let failure = match stream_deadline(&self.streams[key].work, cx.limits) {
                Some(deadline) if deadline > now => continue,
                Some(_) => match self.streams[key].work {
                    Work::Ask(_) => {
                        let why = "the file could not be read in time";
                        Failure::new(Status::ServiceUnavailable, why)
                    }
                    _ => {
                        let why = "the request did not arrive in time";
                        Failure::new(Status::RequestTimeout, why)
                    }
                },
                None => continue,
            };
            if let Err(fault) = self.answer_failure(key, failure, cx) {
                self.take_fault(fault, self.streams[key].id, cx);
            }
            if self.is_over() {
                return;
            }
        }
    }

    /// Its standing at `now`.
    pub fn standing(&self, now: Tick) -> Standing {
        Standing {
            unsent: self.is_unsent(),
            evictable: self.evictable(now),
            holds_page_since: self.holds_page_since(),
            sent: (self.outbox.queued_since, self.outbox.sent),
        }
    }

    /// What it does, for the metrics: idle, reading, waiting, writing or closing.
    pub fn activity(&self) -> usize {
        match self.phase {
            Phase::Linger { .. } | Phase::Closed(_) => 4,
            _ if self.is_unsent() => 3,
            _ if self.streams.asking() > 0 => 2,
            _ if self.is_idle() => 0,
            _ => 1,
        }
    }

    fn evictable(&self, now: Tick) -> Option<Evictable> {
        let since = self.progress.since;
        match self.phase {
            Phase::Linger { .. } => return Some(Evictable::Lingering(since)),
            _ if self.is_unsent() => {
                let since = self.stuck_since();
                return (now.since(since) >= STUCK_MS).then_some(Evictable::Stuck(since));
            }
            _ => {}
        }
        match self.partial_since {
            // The frames of a body are long, and come slowly: see below.
            Some(_) if self.is_data_partial() => {}
            Some(since) if now.since(since) >= LONG_MS => {
                return Some(Evictable::Incomplete(since));
            }
            Some(_) if self.is_request_partial() => return None,
            // The loss of a part of a control frame is the loss of nothing.
            Some(_) | None => {}
        }
        if self.streams.asking() > 0 {
            return None;
        }
        if self.streams.receiving() > 0 {
            let since = self.progress.received_at;
            return (now.since(since) >= LONG_MS).then_some(Evictable::Incomplete(since));
        }
        let may_go = self.requests > 0 || now.since(since) >= LONG_MS;
        may_go.then_some(Evictable::Idle(since))
    }

    /// Since when the client takes nothing of what is to be sent.
    fn stuck_since(&self) -> Tick {
        let Progress { since, control_since, .. } = self.progress;
        if self.is_response_unsent() { since } else { since.max(control_since) }
    }

    /// When a client that takes nothing, or too little, of what is to be sent is cut off.
    fn output_deadline(&self, limits: &Limits) -> Tick {
        if self.is_response_unsent() {
            return self.progress.deadline(&self.outbox, limits);
        }
        self.outbox.deadline(self.stuck_since(), limits)
    }

    /// A DATA frame has begun and is not complete.
    pub(super) fn is_data_partial(&self) -> bool {
        self.block.is_none() && self.inbox.bytes().get(KIND_AT) == Some(&(Kind::Data as u8))
    }

    /// A request has begun whose fields are not complete.
    fn is_request_partial(&self) -> bool {
        let kind = self.inbox.bytes().get(KIND_AT);
        self.block.is_some() || kind == Some(&(Kind::Headers as u8))
    }

    fn holds_page_since(&self) -> Option<Tick> {
        let held = self.inbox.has_page()
            || self.outbox.has_page()
            || self.block.as_ref().is_some_and(|block| block.bytes.has_page());
        held.then(|| self.partial_since.unwrap_or(self.progress.since))
    }

    /// When [`Event::Timeout`](crate::machine::Event::Timeout) is due. Computed from the state,
    /// never stored.
    pub fn deadline(&self, limits: &Limits) -> Tick {
        let since = self.progress.since;
        match self.phase {
            Phase::Closed(_) => return Tick(0),
            _ if self.is_output_waiting() => return self.output_deadline(limits),
            Phase::Linger { .. } => return since + limits.linger_timeout_ms,
            Phase::Preface | Phase::Settings => {
                return since + limits.first_request_timeout_ms;
            }
            Phase::Open => {}
        }
        let mut deadline = self.partial_deadline(limits);
        let mut sooner = |tick: Tick| {
            deadline = Some(deadline.map_or(tick, |earlier| earlier.min(tick)));
        };
        if self.streams.sending() > 0 {
            sooner(self.output_deadline(limits));
        }
        if self.streams.receiving() + self.streams.asking() > 0 {
            let each = self.streams.iter();
            each.filter_map(|stream| stream_deadline(&stream.work, limits)).for_each(&mut sooner);
        }
        if let GoAway::Announced(since) = self.goaway {
            sooner(since + limits.drain_idle_ms);
        }
        deadline.unwrap_or(since + limits.keep_alive_timeout_ms)
    }

    /// When a frame or block that has begun must be complete.
    fn partial_deadline(&self, limits: &Limits) -> Option<Tick> {
        let allowed =
            if self.is_data_partial() { limits.body_timeout_ms } else { limits.head_timeout_ms };
        Some(self.partial_since? + allowed)
    }
}

/// When the request of a stream is given up.
fn stream_deadline(work: &Work, limits: &Limits) -> Option<Tick> {
    match work {
        Work::Receive(incoming) => Some(incoming.since + limits.body_timeout_ms),
        Work::Ask(asking) => Some(asking.since + limits.write_timeout_ms),
        _ => None,
    }
}

/// Where the head of a frame has its type.
const KIND_AT: usize = 3;

/// A client that makes no progress for this long can be evicted.
const LONG_MS: u64 = 1_000;

/// A client that reads nothing of its response for this long can be evicted.
const STUCK_MS: u64 = 5_000;
