//! HTTP/2 on one connection, without a socket (RFC 9113).
//!
//! A [`Connection`] keeps the contract of [`crate::machine`]. While it is idle, it holds no page,
//! but 512 bytes, a few streams, the table of its client (at most 11 KiB), and what it knows of the
//! table for responses (at most 320 bytes); a stream takes 56 bytes.
//!
//! - `connection`: the contract, and the end of a connection
//! - `deadlines`: the limit of each wait
//! - `progress`: how far the client takes its responses
//! - `receive`: from bytes to frames, and the effect of each
//! - `request`: from a block of fields to a request
//! - `answer`: from a request to its response
//! - `fields`: the fields of a response
//! - `send`: the bodies of responses, as DATA frames
//! - `schedule`, `priority`: which response is sent next (RFC 9218)
//! - `stream`, `streams`: the streams that are not closed
//! - `unfinished`: the responses that an observer waits for
//! - `window`, `settings`: what the client allows
//! - `flood`: the bounds against clients that cause work and take no responses
//! - `recent`: the last streams that the server has reset
//! - `frame`: the heads of frames, and checks that need no state
//! - [`hpack`]: the compression of fields
//!
//! # Streams
//!
//! A stream is *open* while the body of its request is received and dropped, and *half-closed* from
//! then on, until its response was sent. It is *reset* if the server has reset it, and *closed* in
//! every other case. Neither takes memory, except a bit for each of the last 128: an older one is
//! taken for a reset one.
//!
//! ```text
//!          HEADERS                      END_STREAM
//!   idle ───────────> open (Receive) ───────────────┐
//!    │                                              v      the site needs time
//!    └──────── HEADERS with END_STREAM ───────> half-closed <──────> Ask
//!                                                   │
//!                   reset <── error of the client ──┼── response sent, RST_STREAM ──> closed
//! ```
//!
//! What a frame does on a stream in each state; an error of the stream resets it, and an error of
//! the connection ends all:
//!
//! | frame | idle | open | half-closed | closed | reset |
//! |---|---|---|---|---|---|
//! | HEADERS | request | stream PROTOCOL_ERROR | stream STREAM_CLOSED | connection STREAM_CLOSED | ignored |
//! | HEADERS with END_STREAM | request | end of the body | stream STREAM_CLOSED | connection STREAM_CLOSED | ignored |
//! | DATA | connection PROTOCOL_ERROR | body | stream STREAM_CLOSED | stream STREAM_CLOSED | ignored |
//! | DATA with END_STREAM | connection PROTOCOL_ERROR | end of the body | stream STREAM_CLOSED | stream STREAM_CLOSED | ignored |
//! | RST_STREAM | connection PROTOCOL_ERROR | closed | closed | ignored | ignored |
//! | WINDOW_UPDATE | connection PROTOCOL_ERROR | window | window | ignored | ignored |
//! | WINDOW_UPDATE of 0 | connection PROTOCOL_ERROR | stream PROTOCOL_ERROR | stream PROTOCOL_ERROR | ignored | ignored |
//! | WINDOW_UPDATE, too large | connection PROTOCOL_ERROR | stream FLOW_CONTROL_ERROR | stream FLOW_CONTROL_ERROR | ignored | ignored |
//! | PRIORITY | ignored | ignored | ignored | ignored | ignored |
//! | PRIORITY of 4 bytes | connection FRAME_SIZE_ERROR | stream FRAME_SIZE_ERROR | stream FRAME_SIZE_ERROR | connection FRAME_SIZE_ERROR | connection FRAME_SIZE_ERROR |
//! | PRIORITY_UPDATE | priority | priority | priority | ignored | ignored |
//! | CONTINUATION | connection PROTOCOL_ERROR | connection PROTOCOL_ERROR | connection PROTOCOL_ERROR | connection PROTOCOL_ERROR | connection PROTOCOL_ERROR |
//! | PUSH_PROMISE | connection PROTOCOL_ERROR | connection PROTOCOL_ERROR | connection PROTOCOL_ERROR | connection PROTOCOL_ERROR | connection PROTOCOL_ERROR |
//! | SETTINGS, PING or GOAWAY | connection PROTOCOL_ERROR | connection PROTOCOL_ERROR | connection PROTOCOL_ERROR | connection PROTOCOL_ERROR | connection PROTOCOL_ERROR |
//! | unknown | ignored | ignored | ignored | ignored | ignored |
//!
//! # Output
//!
//! Everything is built in one page: answers to control frames and the fields of responses at once,
//! DATA frames when nothing else is left to do. Short payloads are copied there; a longer one
//! follows the page without a copy. While output waits, no frame is taken, so a client that reads
//! nothing is not read from. When the output was sent, bytes that may have arrived are read before
//! the next DATA frames are made ([`Step::Poll`](crate::machine::Step::Poll)), so that a new,
//! urgent request does not wait for a long response.
//!
//! # Requests that wait
//!
//! A file that is not in memory delays its own stream only: its next piece is tried again after
//! [`RETRY_MS`](crate::files::RETRY_MS) ([`Step::Wait`](crate::machine::Step::Wait)), and other
//! streams continue. The same is true for a request that waits for a listing or a password check.
//!
//! # Bodies of requests
//!
//! Their bytes are counted and dropped, as with HTTP/1.1: the request is evaluated when its body
//! has arrived. A response that is complete before its request is followed by RST_STREAM with
//! NO_ERROR (section 8.1).
//!
//! # Invariants
//!
//! In debug builds, `Connection::check` tests most of them after each report: an idle connection
//! holds no page; while bytes are unsent, the next step is not a read; nothing that may be sent is
//! held back.

mod answer;
mod connection;
mod deadlines;
mod fields;
mod flood;
mod frame;
pub mod hpack;
mod priority;
mod progress;
mod receive;
mod recent;
mod request;
mod schedule;
mod send;
mod settings;
mod stream;
mod streams;
mod unfinished;
mod window;

pub use connection::Connection;
pub use frame::PREFACE;
