//! The machine of HTTP/2, driven without sockets.
//!
//! `split` plays whole conversations, cut at every byte received and at every byte sent; `table`
//! enumerates what each frame does in each state of a stream; `rules` tests what makes a request
//! malformed; `flow`, windows and the order of responses; `bounds`, attacks and what ends them;
//! `waits`, deadlines and the end of a connection; `memory`, that requests allocate nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test they are the assertion")]

#[path = "../h2_peer/mod.rs"]
mod peer;
#[path = "../sans_io/mod.rs"]
mod sans_io;

mod bounds;
mod flow;
mod memory;
mod rules;
mod session;
mod split;
mod table;
mod waits;
