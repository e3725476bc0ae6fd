//! How HTTP/1.1 moves over a connection, without a socket.
//!
//! A [`Connection`] is asked what it needs next ([`Connection::step`]) and is told what happened
//! ([`Connection::read_done`], [`Connection::write_done`], [`Connection::timed_out`],
//! [`Connection::peer_lost`]). It does no I/O and reads no clock, so a test drives it byte by
//! byte, and a fuzzer at full speed.
//!
//! # States
//!
//! ```text
//!             first byte               head complete, body announced
//!   ┌──> Idle ──────────> Head ───────────────────────────> Discard
//!   │     │                │ head complete, no body            │ body absorbed
//!   │     │                v                                   v
//!   │     │              Reply <───────────────────────────────┘
//!   │     │                │ sent
//!   └─────┼── then: Next ──┤
//!         │                ├── then: Linger ──> Linger ──┐
//!         │                └── then: Close ──────────────┤
//!         └── peer gone, or silent for too long ─────────┴──> Closed
//! ```
//!
//! | state | bytes come | peer finished sending | output was sent | timeout | peer lost |
//! |---|---|---|---|---|---|
//! | Idle | Head, or straight on to Reply | Closed | Idle | Closed | Closed |
//! | Head | Head, Discard or Reply | Reply (400) | Head or Reply | Reply (408) | Closed |
//! | Discard | Discard or Reply | Reply (400) | Discard | Reply (408) | Closed |
//! | Reply | (not read) | (not read) | Reply, Idle, Head, Linger or Closed | Closed | Closed |
//! | Linger | Linger or Closed | Closed | (nothing to send) | Closed | Closed |
//! | Closed | Closed | Closed | Closed | Closed | Closed |
//!
//! What is owed is written before more is read: a client that sends without reading is not read
//! from, so it holds at most two pages. Any state but Linger may owe bytes that earlier answers
//! left in the output; a timeout while something is owed is a stalled write, and closes.
//!
//! # Invariants
//!
//! [`Connection::check`] tests them after every report, in debug builds: an idle connection holds
//! no page; what is owed means that the next step is not a read; a closed connection holds nothing
//! and stays closed.

mod connection;
mod intake;
mod pages;
mod reply;

pub use connection::{Connection, Context, Leisure, Reason, StateName, Step};
pub use pages::{PAGE_BYTES, Pages};

#[cfg(test)]
mod tests {}
