//! Counting requests for the metrics.
//!
//! A response from memory is counted when it is written: it leaves at once unless its client is
//! slow. One that is longer is counted as it is sent, and its duration at its end.

use crate::machine::Context;
use crate::site::Reply;

use super::body::{Body, Full};
use super::exchange::Exchange;
use super::state::State;
use super::write::Frame;

impl Exchange {
    /// Writes a response, as [`Exchange::write_reply`] does, and counts its request.
    #[inline(never)]
    pub(super) fn write_counted(
        &mut self,
        reply: Reply,
        frame: Frame,
        cx: &mut Context<'_>,
    ) -> Result<(), Full> {
        let status = reply.status;
        let length = if frame.head_only { 0 } else { reply.body_length().unwrap_or(0) };
        let began_us = self.began_us;
        self.write_reply::<true>(reply, frame, cx)?;
        // An observer has taken it.
        self.began_us = None;
        self.end_counted(cx);
        let Some(requests) = &mut cx.requests else { return Ok(()) };
        requests.begin(status, frame.method);
        match &self.state {
            State::Reply { body: Body::File { .. } | Body::Parts(_) | Body::Stream(_), .. } => {
                self.counted_since = Some(began_us.unwrap_or(self.received_us));
            }
            _ => {
                // It is in memory, and usually leaves at once.
                requests.sent(length);
                requests.end(began_us.map(|began_us| cx.clock.us.saturating_sub(began_us)));
            }
        }
        Ok(())
    }

    /// Bytes of a response were sent that is counted at its end: `beyond` of `count` from a file.
    #[inline(never)]
    pub(super) fn count_sent(&self, count: u64, beyond: u64, cx: &mut Context<'_>) {
        let Some(requests) = &mut cx.requests else { return };
        let is_file = matches!(&self.state, State::Reply { body: Body::File { .. }, .. });
        requests.sent(if is_file { beyond } else { count });
    }

    /// The response that is counted at its end was sent.
    pub(super) fn end_counted(&mut self, cx: &mut Context<'_>) {
        if let (Some(since), Some(requests)) = (self.counted_since.take(), &mut cx.requests) {
            let us = cx.clock.us.saturating_sub(since);
            requests.end((us > 0).then_some(us));
        }
    }
}
