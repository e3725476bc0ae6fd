//! The bounds against clients that cause work and take no responses.
//!
//! Two counters: streams that ended without a complete response (Rapid Reset, CVE-2023-44487;
//! MadeYouReset, CVE-2025-8671), and useless frames (floods of PING, SETTINGS and empty frames,
//! CVE-2019-9512, 9515 and 9518; changes of priority). Complete responses lower both.

use crate::config::Limits;

use super::frame::{Code, Fault};

/// The two counters of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flood {
    /// Streams that ended without a complete response, less those with one.
    aborted: u32,
    /// Useless frames, less those that responses allow.
    useless: u32,
}

/// The connection ends.
const TOO_MUCH: Fault = Fault::Connection(Code::EnhanceYourCalm);

/// Useless frames that a complete response allows.
const PER_RESPONSE: u32 = 100;

/// Useless frames that a DATA frame allows: the client may answer it with a change of each window.
const PER_DATA: u32 = 4;

impl Flood {
    /// A stream ended by the client, or by an error of the client.
    pub(super) fn abort(&mut self, limits: &Limits) -> Result<(), Fault> {
        self.aborted += 1;
        if self.aborted > limits.aborted_streams { Err(TOO_MUCH) } else { Ok(()) }
    }

    /// A frame was useless: no part of a request, and nothing that a response needs.
    pub(super) fn useless(&mut self, limits: &Limits) -> Result<(), Fault> {
        self.useless += 1;
        if self.useless > limits.useless_frames { Err(TOO_MUCH) } else { Ok(()) }
    }

    /// A complete response was sent.
    #[inline]
    pub(super) fn answered(&mut self) {
        self.aborted = self.aborted.saturating_sub(1);
        self.useless = self.useless.saturating_sub(PER_RESPONSE);
    }

    /// A DATA frame was sent.
    #[inline]
    pub(super) fn sent_data(&mut self) {
        self.useless = self.useless.saturating_sub(PER_DATA);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_responses_lower_both_counters() {
        let limits = Limits::default();
        let mut flood = Flood::default();
        for _ in 0..limits.aborted_streams {
            flood.abort(&limits).unwrap();
        }
        flood.answered();
        flood.abort(&limits).unwrap();
        assert_eq!(flood.abort(&limits), Err(TOO_MUCH));
        for _ in 0..limits.useless_frames {
            flood.useless(&limits).unwrap();
        }
        flood.sent_data();
        flood.answered();
        for _ in 0..PER_RESPONSE + PER_DATA {
            flood.useless(&limits).unwrap();
        }
        assert_eq!(flood.useless(&limits), Err(TOO_MUCH));
    }
}
