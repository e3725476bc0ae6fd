//! How HTTP/1.1 moves over a connection, without a socket.
//!
//! A [`Connection`] is asked what it needs next ([`Connection::step`]) and is told what happened
//! ([`Connection::read_done`], [`Connection::write_done`], [`Connection::acknowledged`],
//! [`Connection::retry`], [`Connection::timed_out`], [`Connection::peer_lost`]). It does no I/O and
//! reads no clock, so a test drives it byte by byte, and a fuzzer at full speed.
//!
//! # States
//!
//! ```text
//!                         Await
//!                           ^ the site needs time
//!             first byte    v          head complete, body announced
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
//! | state | bytes come | peer finished sending | output was sent | retry | timeout | peer lost | file failed | drain |
//! |---|---|---|---|---|---|---|---|---|
//! | Idle | Idle, Head, Await, Discard, Reply | Closed | Idle, Closed (draining) | Idle | Closed | Closed | Closed | Idle, Closed |
//! | Head | Head, Idle, Await, Discard, Reply | Reply (400) | Head, Idle, Await, Discard, Reply | Head | Reply (408), Closed | Closed | Closed | Head |
//! | Await | - | - | Await | Await, Idle, Head, Discard, Reply | Reply (503), Closed | Closed | Closed | Await |
//! | Discard | Discard, Idle, Head, Await, Reply | Reply (400) | Discard, Idle, Head, Await, Reply | Discard | Reply (408), Closed | Closed | Closed | Discard |
//! | Reply | - | - | Reply, Idle, Head, Await, Discard, Linger, Closed | Reply | Closed | Closed | Closed | Reply |
//! | Linger | Linger, Closed | Closed | - | Linger | Closed | Closed | Closed | Linger |
//! | Closed | Closed | Closed | Closed | Closed | Closed | Closed | Closed | Closed |
//!
//! An answer that is written into the output leads from Idle to Idle at once, with something to
//! send, and the next may follow it. One that is sent from where it stands, in memory or in a file,
//! is a Reply until it was sent. What is owed is written before more is read: a client that sends
//! without reading is not read from, so it holds at most two pages. Any state but Linger and
//! Closed may owe bytes that earlier answers left in the output; a timeout while something is
//! owed is a stalled write, and closes. A connection for which there is no page closes as well;
//! if only a refusal finds none, it is left out, and the connection lingers without it.
//!
//! # Invariants
//!
//! [`Connection::check`] tests them after every report, in debug builds: an idle connection holds
//! no page; what is owed means that the next step is not a read; a closed connection holds nothing
//! and stays closed.

mod advance;
mod connection;
mod intake;
mod pages;
mod reply;
mod state;
mod step;

pub use connection::{Connection, Context};
pub use pages::{PAGE_BYTES, Pages};
pub use state::{Leisure, Reason, StateName};
pub use step::Step;
