//! The states of an exchange. No logic: the transitions are in [`super::exchange`].

use crate::http::body::BodyReader;
use crate::machine::Reason;
use crate::site::Wait;

use super::body::Body;

/// The state of an exchange, with the data of that state only.
#[derive(Debug)]
pub(super) enum State {
    /// Between requests; the inbox is empty.
    Idle,
    /// A part of a head is in the inbox, or a whole head that waits for room in the outbox.
    Head,
    /// A head is complete, and the site is loading the file or listing. `over`: the wait may be
    /// over, so the site is asked again.
    Await { on: Wait, over: bool },
    /// The body of the request is read and dropped; its head was saved.
    Discard { reader: BodyReader, absorbed: u64 },
    /// A response is being sent: the outbox, then the body.
    Reply { body: Body, then: Then },
    /// The response was sent. What the peer still sends is dropped, so that it reads the response
    /// and not a reset (RFC 9112 section 9.6).
    Linger { absorbed: u64, fin_sent: bool },
    /// Closed, and why.
    Closed(Reason),
}

/// The state that follows a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The next request.
    Next,
    /// Close at once: the peer will send nothing more.
    Close,
    /// Close in stages, because the peer may still be sending.
    Linger,
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
