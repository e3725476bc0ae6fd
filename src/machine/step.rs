//! The contract between a machine and its driver.

use crate::clock::Tick;
use crate::files::OpenFile;
use crate::http::status::Failure;
use crate::site::Wait;

/// What to do next.
#[derive(Debug)]
pub enum Step<'c> {
    /// Receive into the buffer of the machine, and report [`Event::Read`].
    Read,
    /// As [`Step::Read`] if there may be something to receive; otherwise, or if there is nothing,
    /// report [`Event::Nothing`]: the machine has something to send, but prefers what is new.
    Poll,
    /// Send these two slices, one behind the other, and report [`Event::Written`]. Until then, the
    /// machine offers the same bytes again, and adds others only behind them: a transport may have
    /// encrypted them already.
    Write(&'c [u8], &'c [u8]),
    /// Send `lead`, then `count` bytes of the file from `at`; report [`Event::Written`].
    SendFile {
        /// Bytes to send first; may be empty.
        lead: &'c [u8],
        /// The file, and the version of it that is being sent.
        file: &'c OpenFile,
        /// Offset of the first byte of the file.
        at: u64,
        /// Bytes of the file; more than 0.
        count: u64,
    },
    /// Wait until the site has the file or listing, then report [`Event::Retry`].
    Wait(Wait),
    /// Shut down the sending direction, and report [`Event::ShutDown`].
    ShutdownWrite,
    /// Close the socket and drop the machine.
    Close(Reason),
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// Bytes were received into the buffer; 0: the peer has finished sending.
    Read(usize),
    /// There was nothing to receive for [`Step::Poll`].
    Nothing,
    /// This many bytes of [`Step::Write`] or [`Step::SendFile`] were sent.
    Written(u64),
    /// The sending direction was shut down.
    ShutDown,
    /// The wait of [`Step::Wait`] may be over.
    Retry,
    /// The deadline has passed.
    Timeout,
    /// The connection was reset, or the socket failed.
    PeerLost,
    /// The file of [`Step::SendFile`] was changed, or cannot be read.
    FileFailed,
    /// The peer acknowledged bytes since the last progress, although none could be sent.
    Acknowledged {
        /// Bytes that were reported as sent, and that the peer has not acknowledged.
        held_bytes: u64,
    },
    /// The server shuts down: close if nothing is being received or sent.
    Drain,
    /// Answer with this failure instead of reading a request, and close. Only after `room`.
    Refuse(Failure),
}

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Every request was answered, and the last response had `Connection: close`.
    Finished,
    /// The peer closed between requests.
    PeerClosed,
    /// The connection was reset, or the socket failed.
    PeerLost,
    /// No request arrived in time.
    IdleTooLong,
    /// The peer did not read the response in time.
    Stalled,
    /// The file was changed while it was sent, or could not be read.
    FileFailed,
    /// There was no page for its request or response; nothing of a response was sent.
    OutOfPages,
    /// Another connection needed its slot or its memory.
    MadeRoom,
    /// A panic while it was served, which is a bug.
    Panicked,
    /// The server shuts down.
    Stopped,
    /// A trusted peer sent no PROXY header, or a malformed one, where one is expected.
    BadProxyHeader,
    /// Its TLS handshake has failed, or what came later was not TLS.
    TlsFailed,
    /// The client broke the rules of its protocol (HTTP/2).
    ProtocolError,
    /// The client caused much work and took no responses (HTTP/2).
    Flooded,
}

impl Reason {
    /// How many there are.
    pub const COUNT: usize = Reason::ALL.len();

    /// Every reason, in the order of the enum, which is that of
    /// [`CLOSE_REASONS`](crate::metrics::CLOSE_REASONS).
    pub const ALL: [Reason; 14] = [
        Reason::Finished,
        Reason::PeerClosed,
        Reason::PeerLost,
        Reason::IdleTooLong,
        Reason::Stalled,
        Reason::FileFailed,
        Reason::OutOfPages,
        Reason::MadeRoom,
        Reason::Panicked,
        Reason::Stopped,
        Reason::BadProxyHeader,
        Reason::TlsFailed,
        Reason::ProtocolError,
        Reason::Flooded,
    ];
}

const _: () = assert!(Reason::COUNT == crate::metrics::CLOSE_REASONS.len(), "each has a name");

/// What a driver weighs: may the connection be closed, and how fast does its peer read?
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// A response has begun and is not sent completely.
    pub unsent: bool,
    /// How readily it can be evicted; `None` if closing it would lose a request or a response.
    pub evictable: Option<Evictable>,
    /// Since when it has held a page, if it holds one.
    pub holds_page_since: Option<Tick>,
    /// Since when the bytes of its responses are counted, and how many were sent since.
    pub sent: (Tick, u64),
}

/// How readily a connection can be evicted; the smallest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evictable {
    /// Its last response was sent, and it has lingered since then.
    Lingering(Tick),
    /// A head or a body is incomplete, without progress since then, which is some time ago.
    Incomplete(Tick),
    /// It is idle since then.
    Idle(Tick),
    /// Nothing of a response could be sent since then, which is some seconds. It is evicted only if
    /// the peer has acknowledged nothing in that time.
    Stuck(Tick),
}
