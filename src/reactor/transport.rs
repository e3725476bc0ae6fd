//! Send and receive: step five of the five of a TCP server.
//!
//! A [`Transport`] moves bytes between a connected socket and memory or a file. It never waits:
//! what cannot be done now ends in [`io::ErrorKind::WouldBlock`].

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

/// A connected stream socket. (TLS would be another kind of transport, with the same methods.)
#[derive(Debug)]
pub struct Transport {
    socket: OwnedFd,
}

impl Transport {
    /// Takes over a connected socket in non-blocking mode.
    pub fn new(socket: OwnedFd) -> Transport {
        Transport { socket }
    }

    /// The number of the descriptor, for the poll.
    pub fn raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Receives into `room`; 0: the peer has finished sending.
    #[inline]
    pub fn receive(&self, room: &mut [u8]) -> io::Result<usize> {
        let (_, count) = rustix::net::recv(&self.socket, room, RecvFlags::empty())?;
        Ok(count)
    }

    /// Sends two slices, one behind the other, as far as the socket takes them.
    #[inline]
    pub fn send(&self, first: &[u8], second: &[u8]) -> io::Result<usize> {
        let count = match (first, second) {
            (only, []) | ([], only) => rustix::net::send(&self.socket, only, NO_SIGNAL)?,
            _ => {
                let slices = [IoSlice::new(first), IoSlice::new(second)];
                rustix::io::writev(&self.socket, &slices)?
            }
        };
        Ok(count)
    }

    /// Sends `lead`, then up to `count` bytes of `file` from `at`.
    pub fn send_file(&self, lead: &[u8], file: &File, at: u64, count: u64) -> io::Result<Sent> {
        let mut sent = Sent { count: 0, file_ended: false };
        if !lead.is_empty() {
            let count = rustix::net::send(&self.socket, lead, MORE_FOLLOWS)?;
            sent.count = count as u64; // widening
            if count < lead.len() {
                return Ok(sent);
            }
        }
        match send_from(self.socket.as_fd(), file, at, count) {
            Ok(0) => sent.file_ended = true,
            Ok(count) => sent.count += count as u64, // widening
            // The lead is on its way; what the file has to say is found at the next call.
            Err(_) if !lead.is_empty() => {}
            Err(error) if is_of_file(&error.into()) => sent.file_ended = true,
            Err(error) => return Err(error.into()),
        }
        Ok(sent)
    }

    /// Says that nothing more will be sent (FIN); what the peer sends can still be received.
    pub fn shutdown_write(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&self.socket, Shutdown::Write)?)
    }

    /// Whether the peer has acknowledged anything within so many milliseconds. The kernel may hold
    /// so much that a slow peer takes minutes until it takes more of us. False where that cannot be
    /// told: on Unix sockets, and on other systems.
    pub fn was_acknowledged(&self, within_ms: u64) -> bool {
        last_acknowledged_ms(self.socket.as_fd()).is_some_and(|ms| ms < within_ms)
    }

    /// Has the kernel forget what it still holds to be sent, when the socket is closed. The peer
    /// learns by a reset that this was not all. Otherwise the kernel would keep megabytes for
    /// minutes, for a peer that takes nothing.
    pub fn abandon(&self) {
        // If it cannot be set, the connection is gone already.
        _ = rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO));
    }
}

/// What [`Transport::send_file`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Bytes sent, of the lead and of the file.
    pub count: u64,
    /// There was nothing at that place of the file: it is shorter than it was, or it cannot be
    /// read.
    pub file_ended: bool,
}

/// Whether an error of sending from a file is about the file: a disk or a network file system that
/// fails (EIO, ESTALE), or a file that cannot be sent from (EINVAL). A socket has none of these.
fn is_of_file(error: &io::Error) -> bool {
    let of_file = [Errno::IO, Errno::STALE, Errno::INVAL];
    Errno::from_io_error(error).is_some_and(|errno| of_file.contains(&errno))
}

#[cfg(target_os = "linux")]
use linux::{MORE_FOLLOWS, NO_SIGNAL, last_acknowledged_ms, send_from};
#[cfg(not(target_os = "linux"))]
use portable::{MORE_FOLLOWS, NO_SIGNAL, last_acknowledged_ms, send_from};

/// From file to socket inside the kernel.
#[cfg(target_os = "linux")]
mod linux {
    use super::{File, SendFlags};
    use nix::{getsockopt_impl, libc, sockopt_impl};
    use std::os::fd::BorrowedFd;

    sockopt_impl!(
        /// What the kernel knows of a TCP connection (tcp(7)).
        TcpInfo,
        GetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        libc::tcp_info
    );

    /// How long ago the last acknowledgement came, in milliseconds.
    pub(super) fn last_acknowledged_ms(socket: BorrowedFd<'_>) -> Option<u64> {
        let info = nix::sys::socket::getsockopt(&socket, TcpInfo).ok()?;
        Some(info.tcpi_last_ack_recv.into())
    }

    /// A write to a closed connection is an error of this call, not a signal to the process.
    pub(super) const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
    /// The head waits for the first bytes of its body, so that both leave in one segment.
    pub(super) const MORE_FOLLOWS: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::MORE);

    pub(super) fn send_from(
        socket: BorrowedFd<'_>,
        file: &File,
        at: u64,
        count: u64,
    ) -> rustix::io::Result<usize> {
        let (mut offset, count) = (at, usize::try_from(count).unwrap_or(usize::MAX));
        rustix::fs::sendfile(socket, file, Some(&mut offset), count)
    }
}

/// From file to socket through memory: every system has this. Compiled on Linux for its tests.
#[cfg(any(test, not(target_os = "linux")))]
mod portable {
    use super::{File, SendFlags};
    use std::os::fd::BorrowedFd;
    use std::os::unix::fs::FileExt;

    /// Rust programs ignore SIGPIPE, so a write to a closed connection is an error and no signal.
    #[cfg(not(target_os = "linux"))]
    pub(super) const NO_SIGNAL: SendFlags = SendFlags::empty();
    #[cfg(not(target_os = "linux"))]
    pub(super) const MORE_FOLLOWS: SendFlags = SendFlags::empty();

    #[cfg(not(target_os = "linux"))]
    pub(super) fn last_acknowledged_ms(_: BorrowedFd<'_>) -> Option<u64> {
        None
    }

    /// Bytes read at a time; on the stack.
    const PIECE: usize = 64 * 1024;

    pub(super) fn send_from(
        socket: BorrowedFd<'_>,
        file: &File,
        at: u64,
        count: u64,
    ) -> std::io::Result<usize> {
        let mut piece = [0; PIECE];
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(PIECE);
        let read = file.read_at(&mut piece[..count], at)?;
        if read == 0 {
            return Ok(0);
        }
        Ok(rustix::net::send(socket, &piece[..read], SendFlags::empty())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn pair() -> (Transport, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Transport::new(ours.into()), theirs)
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn lead_and_file_arrive_in_order_and_the_end_of_the_file_is_told() {
        let (transport, mut peer) = pair();
        let file = file(b"0123456789");
        let sent = transport.send_file(b"head ", &file, 2, 100).unwrap();
        assert_eq!(sent, Sent { count: 13, file_ended: false });
        let sent = transport.send_file(b"", &file, 10, 90).unwrap();
        assert_eq!(sent, Sent { count: 0, file_ended: true });
        transport.shutdown_write().unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "head 23456789");
    }

    /// The kernel gives nothing at the start of a process's memory: it is like a bad block of a
    /// disk.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_cannot_be_read_is_told_from_a_peer_that_is_gone() {
        let (transport, peer) = pair();
        let file = File::open("/proc/self/mem").unwrap();
        let sent = transport.send_file(b"", &file, 0, 10).unwrap();
        assert_eq!(sent, Sent { count: 0, file_ended: true });
        drop(peer);
        let error = transport.send_file(b"", &self::file(b"0123456789"), 0, 10).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn the_portable_way_sends_what_sendfile_sends() {
        let (transport, mut peer) = pair();
        let file = file(b"0123456789");
        assert_eq!(portable::send_from(transport.socket.as_fd(), &file, 7, 2).unwrap(), 2);
        assert_eq!(portable::send_from(transport.socket.as_fd(), &file, 9, 2).unwrap(), 1);
        assert_eq!(portable::send_from(transport.socket.as_fd(), &file, 10, 2).unwrap(), 0);
        drop(transport);
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "789");
    }

    #[test]
    fn a_socket_that_takes_no_more_says_so_and_does_not_wait() {
        let (transport, _peer) = pair();
        let bytes = [0; 65_536];
        let error = loop {
            if let Err(error) = transport.send(&bytes, &bytes) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let error = transport.receive(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
