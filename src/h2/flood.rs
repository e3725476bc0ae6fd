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
    /// Bytes of DATA that have not allowed a useless frame yet.
    rest: u16,
}

/// The connection ends.
const TOO_MUCH: Fault = Fault::Connection(Code::EnhanceYourCalm);

/// Useless frames that a complete response allows.
const PER_RESPONSE: u32 = 100;

/// Bytes of DATA that allow a useless frame. With its windows, a client decides how short the
/// frames are: an update that allows a byte must not allow the next one.
const BYTES_PER_FRAME: usize = 128;

/// Useless frames that a DATA frame allows at most: the client may answer it with a change of each
/// window.
const PER_DATA: u32 = 4;

impl Flood {
    /// A stream ended by the client, or by an error of the client.
    pub(super) fn abort(&mut self, limits: &Limits) -> Result<(), Fault> {
        self.aborted += 1;
        if self.aborted > limits.aborted_streams { Err(TOO_MUCH) } else { Ok(()) }
    }

    /// A frame was useless: no part of a request, and nothing that a response needs.
    pub(super) fn useless(&mut self, limits: &Limits) -> Result<(), Fault> {
        self.useless_times(1, limits)
    }

    /// A frame causes as much work as this many useless ones.
    pub(super) fn useless_times(&mut self, count: u32, limits: &Limits) -> Result<(), Fault> {
        self.useless = self.useless.saturating_add(count);
        if self.useless > limits.useless_frames { Err(TOO_MUCH) } else { Ok(()) }
    }

    /// A complete response was sent.
    #[inline]
    pub(super) fn answered(&mut self) {
        self.aborted = self.aborted.saturating_sub(1);
        self.useless = self.useless.saturating_sub(PER_RESPONSE);
    }

    /// A DATA frame with this many bytes was sent.
    #[inline]
    pub(super) fn sent_data(&mut self, bytes: usize) {
        if self.useless > 0 {
            let bytes = usize::from(self.rest) + bytes;
            let allowed = u32::try_from(bytes / BYTES_PER_FRAME).unwrap_or(PER_DATA).min(PER_DATA);
            self.useless = self.useless.saturating_sub(allowed);
            self.rest = u16::try_from(bytes % BYTES_PER_FRAME).expect("less than 128");
        }
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
        flood.sent_data(100_000);
        flood.answered();
        for _ in 0..PER_RESPONSE + PER_DATA {
            flood.useless(&limits).unwrap();
        }
        assert_eq!(flood.useless(&limits), Err(TOO_MUCH));
    }
    #[test]
    fn bytes_of_data_allow_useless_frames_and_short_data_frames_do_not() {
        let limits = Limits::default();
        for (bytes, frames, allowed) in
            [(1, 127, 0), (1, 256, 2), (100, 128, 100), (512, 1, 4), (16_384, 2, 8), (0, 1000, 0)]
        {
            let mut flood = Flood { useless: limits.useless_frames, ..Flood::default() };
            (0..frames).for_each(|_| flood.sent_data(bytes));
            let result = flood.useless_times(allowed, &limits);
            assert_eq!(result, Ok(()), "{frames} of {bytes} bytes");
            assert_eq!(flood.useless(&limits), Err(TOO_MUCH), "{frames} of {bytes} bytes");
        }
    }
}
