//! Send and receive: step five of the five of a TCP server.
//!
//! A [`Transport`] moves bytes between a connected socket and memory or a file. It never blocks: a
//! call that cannot make progress returns [`io::ErrorKind::WouldBlock`].
//!
//! # Readiness
//!
//! The poll is edge-triggered: it reports a change once, and does not repeat it while nothing
//! changes. So the transport remembers what was reported (there may be bytes to receive, there may
//! be room to send) until a call shows that it no longer holds: by `WouldBlock`, or by a receive
//! that returns less than was asked for. The short receive saves a system call per request.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

use super::facts::{Facts, Opened};
use super::proxy;
use super::tls::{Secured, Terminal};
use super::unsent::UnsentLimit;

/// The connection to a peer, below HTTP.
#[derive(Debug)]
pub enum Transport {
    /// Bytes as they are, on a TCP or a Unix socket.
    Plain(Plain),
    /// TLS on such a socket.
    Tls(Box<Secured>),
}

// Part of the slot of every connection.
const _: () = assert!(size_of::<Transport>() <= 16, "a plain transport takes at most 16 bytes");

impl Transport {
    /// Takes over a connected socket in non-blocking mode.
    pub fn plain(socket: OwnedFd) -> Transport {
        Transport::Plain(Plain::new(socket))
    }

    /// As [`Transport::plain`], but with TLS on the socket. `None`: there are no certificates, or
    /// the library has no memory for a session.
    pub fn secured(socket: OwnedFd, terminal: &Terminal) -> Option<Transport> {
        Secured::new(socket, terminal).map(|secured| Transport::Tls(Box::new(secured)))
    }

    #[inline]
    fn socket(&self) -> &Plain {
        match self {
            Transport::Plain(plain) => plain,
            Transport::Tls(secured) => secured.socket(),
        }
    }

    #[inline]
    fn socket_mut(&mut self) -> &mut Plain {
        match self {
            Transport::Plain(plain) => plain,
            Transport::Tls(secured) => secured.socket_mut(),
        }
    }

    /// Whether its bytes are sent as they are.
    #[inline]
    pub fn is_plain(&self) -> bool {
        matches!(self, Transport::Plain(_))
    }

    /// What was negotiated; `None` without TLS.
    pub fn facts(&self) -> Option<Facts> {
        match self {
            Transport::Plain(_) => None,
            Transport::Tls(secured) => secured.facts(),
        }
    }

    /// Stores what the poll reported.
    #[inline]
    pub fn note(&mut self, event: &Event) {
        self.socket_mut().note(event);
    }

    /// Whether a receive may return something.
    #[inline]
    pub fn is_readable(&self) -> bool {
        match self {
            Transport::Plain(plain) => plain.readable,
            Transport::Tls(secured) => secured.is_readable(),
        }
    }

    /// Allows one more receive after a short one, for a message that is incomplete. A receive also
    /// ends early at TCP urgent data, and on a Unix socket at a passed descriptor, and then no
    /// event announces the bytes behind it.
    #[inline]
    pub fn receive_again(&mut self) {
        self.socket_mut().readable = true;
    }

    /// Whether a send may make progress.
    #[inline]
    pub fn is_writable(&self) -> bool {
        match self {
            Transport::Plain(plain) => plain.writable,
            Transport::Tls(secured) => secured.is_writable(),
        }
    }

    /// Receives into `room`; 0: the peer has finished sending.
    #[inline]
    pub fn receive(&mut self, room: &mut [u8], terminal: &mut Terminal) -> io::Result<usize> {
        match self {
            Transport::Plain(plain) => plain.receive(room),
            Transport::Tls(secured) => secured.receive(room, terminal),
        }
    }

    /// Receives what has arrived of a PROXY header, and no byte behind it. Before any other receive
    /// or send: the header precedes everything else, TLS included.
    ///
    /// # Errors
    /// `UnexpectedEof`: the peer has finished sending; and those of the socket.
    pub fn receive_header(&mut self, header: &mut proxy::Header) -> io::Result<proxy::Progress> {
        self.socket_mut().receive_header(header)
    }

    /// Sends two slices, one behind the other, as far as the socket accepts them. Over TLS, bytes
    /// that were not sent may be encrypted already: the next call must offer the same ones first.
    /// `follows`: other bytes follow in this turn, and [`Transport::push`] after them.
    #[inline]
    pub fn send(
        &mut self,
        first: &[u8],
        second: &[u8],
        follows: bool,
        terminal: &mut Terminal,
    ) -> io::Result<usize> {
        match self {
            Transport::Plain(plain) => plain.send(first, second),
            Transport::Tls(secured) => secured.send(first, second, follows, terminal),
        }
    }

    /// Sends `lead`, then up to `count` bytes of `file` from `at`. `follows`: as for
    /// [`Transport::send`].
    pub fn send_file(
        &mut self,
        lead: &[u8],
        file: &File,
        (at, count): (u64, u64),
        follows: bool,
        terminal: &mut Terminal,
    ) -> io::Result<Sent> {
        match self {
            Transport::Plain(plain) => plain.send_file(lead, file, at, count),
            Transport::Tls(secured) => {
                secured.send_file(lead, file, (at, count), follows, terminal)
            }
        }
    }

    /// Sends what waits for bytes that follow it. The driver calls this at the end of each turn of
    /// the connection. A plain one holds nothing back.
    #[inline]
    pub fn push(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        match self {
            Transport::Plain(_) => Ok(()),
            Transport::Tls(secured) => secured.push(terminal),
        }
    }

    /// Most bytes of a file from `at` to prepare at a time, at most `most`. Over TLS, a smaller
    /// piece is sent than was prepared, so pieces end at multiples: the next one is prepared
    /// already.
    #[inline]
    pub fn file_bytes(&self, at: u64, most: u64) -> u64 {
        if self.is_plain() { most } else { most - at % most }
    }

    /// Sends what the transport itself has buffered, and does its handshake, as far as possible
    /// now. A plain one has neither. The driver calls this first in each turn of the connection.
    #[inline]
    pub fn open(&mut self, terminal: &mut Terminal) -> io::Result<Opened> {
        match self {
            Transport::Plain(_) => Ok(Opened::Ready),
            Transport::Tls(secured) => secured.open(terminal),
        }
    }

    /// Receives and drops what comes after [`Opened::Failed`]; 0: the peer has finished sending.
    pub fn discard(&mut self, terminal: &mut Terminal) -> io::Result<usize> {
        match self {
            Transport::Plain(_) => Ok(0), // it has no session that can fail
            Transport::Tls(secured) => secured.discard(terminal),
        }
    }

    /// Has the poll report under `token` what this transport waits for.
    #[inline]
    pub fn watch(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.socket_mut().watch(registry, token)
    }

    /// Ends the sending direction (over TLS close_notify, then FIN); what the peer sends can still
    /// be received.
    pub fn shutdown_write(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        match self {
            Transport::Plain(plain) => plain.shutdown_write(),
            Transport::Tls(secured) => secured.shutdown_write(terminal),
        }
    }

    /// Tells the peer that the connection ends, before its socket is closed: over TLS, an end
    /// without that could be an attacker's. A plain connection has no such message.
    #[inline]
    pub fn part(&mut self, terminal: &mut Terminal) {
        if let Transport::Tls(secured) = self {
            secured.part(terminal);
        }
    }

    /// Whether the peer has accepted anything within the last `within_ms`. The kernel can buffer so
    /// much that a slow peer makes progress for minutes before the socket accepts more. False where
    /// it is unknown: on Unix sockets, and on systems other than Linux.
    pub fn was_acknowledged(&self, within_ms: u64) -> bool {
        let progress = tcp_progress(self.socket().socket.as_fd());
        progress.is_some_and(|progress| progress.is_within(within_ms))
    }

    /// Bytes that were sent, and that the peer has not acknowledged; as many as can be counted
    /// where that is unknown.
    pub fn held_bytes(&self) -> u64 {
        let of_kernel = held::held_bytes(self.socket().socket.as_fd());
        let of_session = match self {
            Transport::Plain(_) => 0,
            Transport::Tls(secured) => secured.unsent_bytes().len() as u64, // widening
        };
        of_kernel.map_or(u64::MAX, |bytes| bytes.saturating_add(of_session))
    }

    /// Bytes of memory for what is received or sent in parts.
    #[inline]
    pub fn buffered(&self) -> usize {
        match self {
            Transport::Plain(_) => 0,
            Transport::Tls(secured) => secured.buffered(),
        }
    }

    /// Whether the peer has acknowledged everything, the end included, after
    /// [`Transport::shutdown_write`]; or will never do so. True where it is unknown.
    pub fn is_acknowledged(&mut self) -> bool {
        if let Transport::Tls(secured) = self {
            let is_lost = secured.flush().is_err();
            if !is_lost && !secured.is_flushed() {
                return false;
            }
        }
        !is_closing(self.socket().socket.as_fd())
    }

    /// Sends a last message, before the socket is closed. Bytes that have arrived are received
    /// first, up to a bound: closing a socket with unread bytes resets the connection, and the peer
    /// might lose the message.
    pub fn send_last(&mut self, message: &[u8], terminal: &mut Terminal) -> usize {
        let mut room = [0; 4096];
        for _ in 0..LAST_RECEIVES {
            if !matches!(self.receive(&mut room, terminal), Ok(1..)) {
                break;
            }
        }
        // The connection is closed whether or not the message can be sent.
        match self {
            Transport::Plain(plain) => plain.send(message, &[]).unwrap_or(0),
            Transport::Tls(secured) => secured.send_last(message, terminal),
        }
    }

    /// Makes the kernel discard unsent data when the socket is closed, and reset the connection.
    /// Otherwise it would keep megabytes for minutes, for a peer that reads nothing.
    pub fn abandon(&mut self) {
        // If the option cannot be set, the connection is already gone.
        _ = rustix::net::sockopt::set_socket_linger(&self.socket().socket, Some(Duration::ZERO));
    }
}

/// A socket, and what is known of its readiness.
#[derive(Debug)]
pub struct Plain {
    pub(super) socket: OwnedFd,
    /// There may be something to receive.
    readable: bool,
    /// There may be room to send.
    writable: bool,
    /// EPOLLRDHUP was reported: no further edge will announce the EOF. Or EPOLLPRI: a receive ends
    /// at urgent data, and no further edge will announce the bytes behind it. So a short receive
    /// does not mean that the socket is empty.
    hangup: bool,
    watched: Watched,
    pub(super) unsent: UnsentLimit,
}

/// What the poll was asked to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watched {
    /// Nothing yet: a connection that never has to wait is never registered.
    Nothing,
    /// Bytes to receive.
    Reads,
    /// Room to send, as well; once asked for, it stays, unless it is to be asked for again.
    Both,
}

impl Plain {
    pub(super) fn new(socket: OwnedFd) -> Plain {
        Plain {
            socket,
            // The first request has often arrived by the time the connection is accepted.
            readable: true,
            writable: true,
            hangup: false,
            watched: Watched::Nothing,
            unsent: UnsentLimit::default(),
        }
    }

    /// There may be something to receive.
    #[cfg(feature = "tls")]
    #[inline]
    pub(super) fn is_readable(&self) -> bool {
        self.readable
    }

    /// There may be room to send.
    #[inline]
    pub(super) fn is_writable(&self) -> bool {
        self.writable
    }

    /// There is room to send, as if the poll had reported it.
    #[cfg(all(test, feature = "tls"))]
    pub(super) fn allow_send(&mut self) {
        self.writable = true;
    }

    /// Ends the sending direction (FIN).
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&self.socket, Shutdown::Write)?)
    }

    #[inline]
    fn note(&mut self, event: &Event) {
        let closed = event.is_read_closed() || event.is_write_closed() || event.is_error();
        self.hangup |= closed || event.is_priority();
        self.readable |= event.is_readable() || closed;
        self.writable |= event.is_writable() || closed;
    }

    /// A short receive has emptied the socket: the next bytes are a new event, so asking again now
    /// would be a wasted system call. Only an announced EOF comes without another event.
    #[inline]
    pub(super) fn receive(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match rustix::net::recv(&self.socket, &mut *room, RecvFlags::empty()) {
            Ok((_, count)) => {
                if count < room.len() {
                    self.readable = self.hangup;
                }
                Ok(count)
            }
            Err(Errno::AGAIN) => {
                self.readable = false;
                self.hangup = false;
                Err(Errno::AGAIN.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The end of the header is known only when its bytes are: so they are peeked at, and then
    /// exactly those that belong to it are received. None of them stay in the socket, where an
    /// edge-triggered poll would not report them again.
    fn receive_header(&mut self, header: &mut proxy::Header) -> io::Result<proxy::Progress> {
        let mut room = [0; HEADER_PIECE];
        let peeked = match rustix::net::recv(&self.socket, &mut room[..], RecvFlags::PEEK) {
            Ok((_, 0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((_, count)) => count,
            Err(error) => {
                if error == Errno::AGAIN {
                    self.readable = false;
                    self.hangup = false;
                }
                return Err(error.into());
            }
        };
        let (used, progress) = header.take(&room[..peeked]);
        match rustix::net::recv(&self.socket, &mut room[..used], RecvFlags::empty())? {
            (_, received) if received == used => Ok(progress),
            // Never: no other code receives from this socket.
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    #[inline]
    pub(super) fn send(&mut self, first: &[u8], second: &[u8]) -> io::Result<usize> {
        let sent = match (first, second) {
            (only, []) | ([], only) => rustix::net::send(&self.socket, only, NO_SIGNAL),
            _ => {
                let slices = [IoSlice::new(first), IoSlice::new(second)];
                rustix::io::writev(&self.socket, &slices)
            }
        };
        self.note_sent(sent)
    }

    /// Sends these bytes. `follows`: more are sent soon, and a segment that is not full may wait.
    pub(super) fn send_before(&mut self, bytes: &[u8], follows: bool) -> io::Result<usize> {
        let flags = if follows { MORE_FOLLOWS } else { NO_SIGNAL };
        self.note_sent(rustix::net::send(&self.socket, bytes, flags))
    }

    fn send_file(&mut self, lead: &[u8], file: &File, at: u64, count: u64) -> io::Result<Sent> {
        let mut sent = Sent { count: 0, file_ended: false };
        if !lead.is_empty() {
            let count = self.send_before(lead, true)?;
            sent.count = count as u64; // widening
            if count < lead.len() {
                return Ok(sent);
            }
        }
        match self.note_sent(send_from(self.socket.as_fd(), file, at, count)) {
            Ok(0) => sent.file_ended = true,
            Ok(part) => {
                sent.count += part as u64; // widening
                if (part as u64) < count && part != portable::PIECE {
                    self.ask_for_room();
                }
            }
            // The lead was sent; the next call reports the error of the file.
            Err(_) if !lead.is_empty() => {}
            Err(error) if is_of_file(&error) => sent.file_ended = true,
            Err(error) => return Err(error),
        }
        Ok(sent)
    }

    /// The socket has accepted a part only, so it is probably full. Another attempt would cost more
    /// than to ask the poll, which reports at once if there is room after all: then it was the file
    /// that ended early, and the next attempt shows why.
    fn ask_for_room(&mut self) {
        self.writable = false;
        if self.watched == Watched::Both {
            self.watched = Watched::Reads;
        }
    }

    #[inline]
    fn note_sent<E: Into<io::Error>>(&mut self, sent: Result<usize, E>) -> io::Result<usize> {
        sent.map_err(|error| {
            let error = error.into();
            if error.kind() == io::ErrorKind::WouldBlock {
                self.writable = false;
            }
            error
        })
    }

    #[inline(always)]
    fn watch(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let wanted = if self.writable { Watched::Reads } else { Watched::Both };
        let fd = self.socket.as_raw_fd();
        match (self.watched, wanted) {
            (Watched::Nothing, Watched::Reads) => {
                registry.register(&mut SourceFd(&fd), token, READS)?;
            }
            (Watched::Nothing, _) => registry.register(&mut SourceFd(&fd), token, BOTH)?,
            (Watched::Reads, Watched::Both) => {
                registry.reregister(&mut SourceFd(&fd), token, BOTH)?;
            }
            _ => return Ok(()),
        }
        self.watched = wanted;
        Ok(())
    }
}

/// Bytes of a PROXY header to peek at; senders send no more. A longer header is received in pieces.
const HEADER_PIECE: usize = 536;

/// Most receives before a last message: a head of any length that is allowed.
const LAST_RECEIVES: usize = 9;

/// Only epoll knows urgent data.
#[cfg(target_os = "linux")]
const READS: Interest = Interest::READABLE.add(Interest::PRIORITY);
#[cfg(not(target_os = "linux"))]
const READS: Interest = Interest::READABLE;

const BOTH: Interest = READS.add(Interest::WRITABLE);

/// What [`Transport::send_file`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Bytes sent, of the lead and of the file.
    pub count: u64,
    /// There was nothing at that offset of the file: it was truncated, or cannot be read.
    pub file_ended: bool,
}

/// Errors after which the call can be repeated.
pub fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Whether an error of sending from a file is about the file: a failing disk or network file system
/// (EIO, ESTALE), or a file that cannot be sent from (EINVAL). Sockets return none of these.
fn is_of_file(error: &io::Error) -> bool {
    let of_file = [Errno::IO, Errno::STALE, Errno::INVAL];
    Errno::from_io_error(error).is_some_and(|errno| of_file.contains(&errno))
}

use held::Progress;
#[cfg(target_os = "linux")]
use linux::{MORE_FOLLOWS, NO_SIGNAL, is_closing, send_from, tcp_progress};
#[cfg(not(target_os = "linux"))]
use portable::{MORE_FOLLOWS, NO_SIGNAL, is_closing, send_from, tcp_progress};

/// From file to socket inside the kernel.
#[cfg(target_os = "linux")]
mod linux {
    use super::{Errno, File, Progress, SendFlags, io, portable};
    use nix::{getsockopt_impl, libc, sockopt_impl};
    use std::os::fd::BorrowedFd;

    sockopt_impl!(
        /// The start of `struct tcp_info` (tcp(7)) as words. All of the struct, as libc declares
        /// it, would be longer than what older kernels return, and nix panics at a difference.
        TcpInfo,
        GetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        [u32; 15]
    );

    /// FIN_WAIT1, CLOSING and LAST_ACK: the FIN, and so something before it or the FIN itself, was
    /// not acknowledged (RFC 9293 section 3.3.2).
    const UNACKNOWLEDGED: [u8; 3] = [4, 11, 9];

    pub(super) fn is_closing(socket: BorrowedFd<'_>) -> bool {
        let info = nix::sys::socket::getsockopt(&socket, TcpInfo);
        // tcpi_state
        info.is_ok_and(|info| UNACKNOWLEDGED.contains(&info[0].to_ne_bytes()[0]))
    }

    pub(super) fn tcp_progress(socket: BorrowedFd<'_>) -> Option<Progress> {
        let info = nix::sys::socket::getsockopt(&socket, TcpInfo).ok()?;
        Some(Progress {
            data_sent_ms: info[11].into(),            // tcpi_last_data_sent
            acknowledged_ms: info[14].into(),         // tcpi_last_ack_recv
            backs_off: info[1].to_ne_bytes()[0] != 0, // tcpi_backoff
        })
    }

    /// A write to a closed connection fails with EPIPE instead of raising SIGPIPE.
    pub(super) const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
    /// The head waits for the first bytes of its body, so that both leave in one segment.
    pub(super) const MORE_FOLLOWS: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::MORE);

    pub(super) fn send_from(
        socket: BorrowedFd<'_>,
        file: &File,
        at: u64,
        count: u64,
    ) -> io::Result<usize> {
        let (mut offset, most) = (at, usize::try_from(count).unwrap_or(usize::MAX));
        match rustix::fs::sendfile(socket, file, Some(&mut offset), most) {
            // The file system or the sandbox of a container has no sendfile.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                portable::send_from(socket, file, at, count)
            }
            sent => Ok(sent?),
        }
    }
}

mod held;
mod portable;

#[cfg(test)]
mod tests;
