//! The bounds against clients that cause work and take no responses.
//!
//! Two counters: streams that ended without a whole response (Rapid Reset, CVE-2023-44487;
//! MadeYouReset, CVE-2025-8671), and frames that bring nothing (floods of PING, SETTINGS and empty
//! frames, CVE-2019-9512, 9515 and 9518; changes of priority). Whole responses lower both.

use crate::config::Limits;

use super::frame::{Code, Fault};

/// The two counters of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Debt {
    /// Streams that ended without a whole response, less those with one.
    aborted: u32,
    /// Frames that brought nothing, less those that responses allow.
    useless: u32,
}

/// The connection ends.
const TOO_MUCH: Fault = Fault::Connection(Code::EnhanceYourCalm);

/// Useless frames that a whole response allows.
const PER_RESPONSE: u32 = 100;

/// Useless frames that a DATA frame allows: the client may answer it with a change of each window.
const PER_DATA: u32 = 4;

impl Debt {
    /// A stream ended by the client, or by an error of the client.
    pub(super) fn abort(&mut self, limits: &Limits) -> Result<(), Fault> {
        self.aborted += 1;
        if self.aborted > limits.aborted_streams { Err(TOO_MUCH) } else { Ok(()) }
    }

    /// A frame brought nothing.
    pub(super) fn useless(&mut self, limits: &Limits) -> Result<(), Fault> {
        self.useless += 1;
        if self.useless > limits.useless_frames { Err(TOO_MUCH) } else { Ok(()) }
    }

    /// A whole response was sent.
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
    fn responses_make_up_for_what_costs_something() {
        let limits = Limits::default();
        let mut debt = Debt::default();
        for _ in 0..limits.aborted_streams {
            debt.abort(&limits).unwrap();
        }
        debt.answered();
        debt.abort(&limits).unwrap();
        assert_eq!(debt.abort(&limits), Err(TOO_MUCH));
        for _ in 0..limits.useless_frames {
            debt.useless(&limits).unwrap();
        }
        debt.sent_data();
        debt.answered();
        for _ in 0..PER_RESPONSE + PER_DATA {
            debt.useless(&limits).unwrap();
        }
        assert_eq!(debt.useless(&limits), Err(TOO_MUCH));
    }
}
