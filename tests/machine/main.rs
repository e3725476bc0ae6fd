//! The protocol machine, driven without sockets.
//!
//! `split` plays whole exchanges, cut at every byte received and at every byte sent; `table`
//! enumerates the transitions of every state for every event; `deadlines` tests the limit of each
//! wait; `dates`, the Date of responses; `sends`, the number of send calls; `room`, a full outbox;
//! `observed`, the report of how each request ended.
//! The exchanges are in `scripts`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test they are the assertion")]

#[path = "../sans_io/mod.rs"]
mod sans_io;

mod dates;
mod deadlines;
mod observed;
mod room;
mod scripts;
mod sends;
mod split;
mod table;
