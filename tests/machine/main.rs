//! The protocol machine, driven without sockets.
//!
//! `split` plays whole exchanges, cut at every byte that comes and at every byte that goes;
//! `table` enumerates what every event makes of every state; `deadlines` says which limit ends
//! which wait; `dates`, which date an answer has; `sends`, how many sends it takes. The exchanges
//! themselves stand in `scripts`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test they are the assertion")]

#[path = "../sans_io/mod.rs"]
mod sans_io;

mod dates;
mod deadlines;
mod scripts;
mod sends;
mod split;
mod table;
