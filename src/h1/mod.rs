//! HTTP/1.1 on one connection, without a socket.
//!
//! A [`Connection`] keeps the contract of [`crate::machine`]. While it is idle, it is a few words;
//! all other state is in an [`Exchange`] from a pool.
//!
//! - `connection`: idle, busy or closed
//! - `exchange`: the transitions between the states
//! - `request`: those of them that read a request
//! - `inbox`: received bytes, and the head at their start
//! - `plan`: from a complete head to what the exchange does
//! - `write`: from a reply to status line and fields
//! - `preview`: the head of a response, without a connection
//! - `body`: the part of a response that follows the outbox
//! - `unfinished`: which responses the kernel has taken completely
//! - `counted`: counting requests for the metrics
//! - `state`: the states, as types
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
//! | Idle | Idle, Head, Await, Discard, Reply | Closed | Idle | Idle | Closed | Closed | Closed | Idle, Closed |
//! | Head | Head, Idle, Await, Discard, Reply | Reply (400) | Head, Idle, Await, Discard, Reply | Head | Reply (408), Closed | Closed | Closed | Head |
//! | Await | - | - | Await | Await, Idle, Head, Discard, Reply | Reply (503), Closed | Closed | Closed | Await |
//! | Discard | Discard, Idle, Head, Await, Reply | Reply (400) | Discard | Discard | Reply (408), Closed | Closed | Closed | Discard |
//! | Reply | - | - | Reply, Idle, Head, Await, Discard, Linger, Closed | Reply | Closed | Closed | Closed | Reply |
//! | Linger | Linger, Closed | Closed | - | Linger | Closed | Closed | Closed | Linger |
//! | Closed | Closed | Closed | Closed | Closed | Closed | Closed | Closed | Closed |
//!
//! The table lacks one case: the next piece of an archive waits for a turn or for the disk, so a
//! retry continues the Reply, and leads to every state to which sent output leads.
//!
//! A response that is written into the outbox leads from Idle to Idle at once, with something to
//! send, and the next may follow it. One that is sent from the cache or from a file is a Reply
//! until it was sent. Pending output is sent before more input is read: a client that sends without
//! reading is not read from, so it holds at most two pages. A request with a body leaves its page:
//! its head is saved, the body is dropped, and then the site is asked. Any state but Linger
//! and Closed may have unsent bytes of earlier responses; a timeout while bytes are unsent is a
//! stalled write, and closes. A connection for which there is no page gets a fixed 503; if there
//! is none for a failure, the connection lingers without a response.
//!
//! # Inlining
//!
//! The path of a cached response is compiled into a few large functions: what it calls once is
//! `inline(always)`, so that replies, heads and events are not copied from one call to the next,
//! and what it does not need is `inline(never)`. So `valgrind --tool=callgrind` counts about 2,600
//! instructions per request.
//!
//! # Invariants
//!
//! In debug builds, `Exchange::check` tests most of them after each transition: an idle connection
//! holds no page; while bytes are unsent, the next step is not a read; a closed connection holds
//! nothing and stays closed.

mod body;
mod connection;
mod counted;
mod exchange;
mod inbox;
mod plan;
mod preview;
mod request;
mod state;
mod stream;
mod unfinished;
mod write;

pub use connection::{Connection, Exchanges, Idle};
pub use exchange::Exchange;
pub use preview::head_of;
pub use state::StateName;
pub use write::write_unavailable;
