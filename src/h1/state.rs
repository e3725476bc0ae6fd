//! Where a connection stands, what follows, and why it ends. No logic: what leads from one state
//! to the next is in [`super::connection`] and [`super::advance`].

use crate::clock::Tick;
use crate::http::body::BodyReader;
use crate::site::Wait;

use super::reply::{Body, Plan};

/// Where a connection stands. Only the data of that state is there.
#[derive(Debug)]
pub(super) enum State {
    /// Between requests; holds no input.
    Idle,
    /// A part of a head is in the input, or a whole one that waits for room in the output.
    Head,
    /// A whole head is in the input, and the site is getting what it asks for.
    Await { on: Wait },
    /// The body of a request is thrown away before the planned answer is given. The reader is
    /// gone once the body ended, and the answer waits for room in the output.
    Discard { reader: Option<BodyReader>, absorbed: u64, plan: Box<Plan> },
    /// The answer is on its way: what is in the output, then the body.
    Reply { body: Body, then: Then },
    /// The answer was sent and the sending side is shut; what the peer still sends is absorbed,
    /// so that it reads the answer and not a reset (RFC 9112 section 9.6).
    Linger { absorbed: u64, fin_sent: bool },
    /// Over.
    Closed(Reason),
}

/// What follows a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The next request.
    Next,
    /// Close at once: nothing more will come from the peer.
    Close,
    /// Close in stages, because the peer may still be sending.
    Linger,
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Everything that was asked was answered, and the answer said that it was the last.
    Finished,
    /// The peer closed between requests.
    PeerClosed,
    /// The peer is gone: a reset, or an error of the socket.
    PeerLost,
    /// No request came in time.
    IdleTooLong,
    /// The peer did not take the answer in time.
    Stalled,
    /// The file ended before its announced length, or could not be read.
    FileFailed,
    /// There was no page for it.
    OutOfPages,
    /// It was idle, and its slot was needed.
    MadeRoom,
    /// Its work panicked, which is a bug.
    Panicked,
    /// The server stops.
    Stopped,
}

impl Reason {
    /// How many there are.
    pub const COUNT: usize = Reason::Stopped as usize + 1;
}

/// How readily a connection can be evicted; the first variant goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leisure {
    /// Its last response was sent; it has absorbed what the peer still sends since then.
    Lingers(Tick),
    /// A head or a body has been incomplete since then.
    Incomplete(Tick),
    /// It has been idle since then.
    Idle(Tick),
    /// It has not been able to send anything of a response since then.
    Stuck(Tick),
}

/// The name of a state, for tests and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are those of the table in the module's text")]
pub enum StateName {
    Idle,
    Head,
    Await,
    Discard,
    Reply,
    Linger,
    Closed,
}
