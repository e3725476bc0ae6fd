//! What the kernel knows of the bytes that a TCP peer was sent.

use std::os::fd::BorrowedFd;

/// What the kernel knows about the progress of a TCP connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Milliseconds since data was last sent on the network.
    pub(super) data_sent_ms: u64,
    /// Milliseconds since the last acknowledgement, or the answer to a probe of a closed window.
    pub(super) acknowledged_ms: u64,
    /// The kernel repeats probes or data, less and less often.
    pub(super) backs_off: bool,
}

impl Progress {
    /// A peer whose window is closed acknowledges probes for ever. But then no data is sent, and
    /// the kernel backs off.
    pub(super) fn is_within(self, ms: u64) -> bool {
        self.acknowledged_ms < ms && (self.data_sent_ms < ms || !self.backs_off)
    }
}

/// Bytes that were given to the kernel and that the peer has not acknowledged. `None`: the system
/// does not tell.
#[cfg(target_os = "linux")]
pub(super) fn held_bytes(socket: BorrowedFd<'_>) -> Option<u64> {
    linux::held_bytes(socket)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn held_bytes(_: BorrowedFd<'_>) -> Option<u64> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use nix::{getsockopt_impl, libc, sockopt_impl};
    use std::os::fd::BorrowedFd;

    sockopt_impl!(
        /// `struct tcp_info` (tcp(7)) as words, up to the counters of Linux 4.19. Older kernels
        /// return less, and nix panics at a difference.
        TcpCounters,
        GetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        [u32; 54]
    );

    pub(super) fn held_bytes(socket: BorrowedFd<'_>) -> Option<u64> {
        if !counts(rustix::system::uname().release().to_bytes()) {
            return None;
        }
        let info = nix::sys::socket::getsockopt(&socket, TcpCounters).ok()?;
        let long = |at: usize| {
            let ([a, b, c, d], [e, f, g, h]) = (info[at].to_ne_bytes(), info[at + 1].to_ne_bytes());
            u64::from_ne_bytes([a, b, c, d, e, f, g, h])
        };
        let (acknowledged, sent, sent_again) = (long(30), long(50), long(52));
        let unsent = u64::from(info[36]); // tcpi_notsent_bytes
        Some(unsent + sent.saturating_sub(sent_again).saturating_sub(acknowledged))
    }

    /// Whether a kernel of this release has the counters.
    pub(super) fn counts(release: &[u8]) -> bool {
        let mut numbers = release.split(|byte| !byte.is_ascii_digit());
        let mut number =
            || numbers.next().and_then(|it| str::from_utf8(it).ok()?.parse::<u32>().ok());
        number().zip(number()).is_some_and(|version| version >= (4, 19))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::linux::counts;

    #[test]
    fn only_kernels_that_have_the_counters_are_asked() {
        for (release, expected) in [
            (&b"6.18.44-fc-v657"[..], true),
            (b"4.19.0", true),
            (b"5.0", true),
            (b"4.18.9", false),
            (b"3.10.0-1160.el7", false),
            (b"x", false),
            (b"", false),
        ] {
            assert_eq!(counts(release), expected, "{release:?}");
        }
    }
}
