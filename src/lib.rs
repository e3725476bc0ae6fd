//! tenkay serves files over HTTP/1.1 and HTTP/2 from one thread: an event loop on mio, one state
//! machine per connection in a slab, httparse for heads; no thread pool, no async runtime.
//!
//! This page is the map of the code. The README says what the program is for and how to use it.
//!
//! # The layers
//!
//! | layer | question | owns |
//! |---|---|---|
//! | [`http`] | what do these bytes mean? | functions over bytes: no I/O, no state but that of a body in progress |
//! | [`rules`] | what do the rules of a site say about a path? | patterns, redirects and fields; no I/O, no configuration |
//! | `coding` | how are bytes compressed? | encoders and their levels; with the feature `compression` |
//! | [`files`] | where are the bytes of a path, and have they changed? | roots, open files, reads that do not wait; no HTTP |
//! | [`site`] | *what* is the response? | sites, their rules, and a bounded store of what is known about paths |
//! | [`machine`] | what do all protocols share? | the contract between a protocol machine and its driver; pages |
//! | [`h1`] | *how* is it sent with HTTP/1.1? | the protocol machine, without a socket |
//! | [`h2`] | *how* is it sent with HTTP/2? | another one: frames, HPACK, streams, priorities |
//! | [`net`] | how do bytes move? | transports: send, receive, readiness |
//! | [`reactor`] | *when* does something happen? | the loop: slots, queues, timers, limits, signals |
//!
//! Around them: [`cli`] is what was typed, [`config`] what is meant, with the limits in one struct;
//! [`clock`] is time as plain data; [`journal`] is the log, with its rate limits; [`metrics`] are
//! the counters, and their sums over all processes; [`system`] reads what the machine allows;
//! [`sandbox`] drops privileges; [`auth`] verifies passwords, in helper processes. Commands of
//! their own, which serve nothing: `precompress` writes compressed files, [`explain`] says why a
//! request gets its response, and [`healthcheck`] asks a running server whether it is healthy.
//! Imports run inward only, in the order of this table, which a test enforces; [`process`], which
//! knows all of it, is what `main` calls: it sets up a server, alone or as the workers of a
//! supervisor.
//!
//! # The five steps of a TCP server
//!
//! 1. Create a socket: `listen_tcp` in [`net::listen`].
//! 2. Bind it to an address: there.
//! 3. Listen: there.
//! 4. Accept: `Acceptor::accept` in `reactor/accept.rs`.
//! 5. Receive and send: [`net::Transport`].
//!
//! At the end, `Connections::close` in `reactor/connections.rs` closes the connection.
//!
//! A textbook server does this in a loop for one client. This one does it for ten thousand, because
//! it never waits in any of these steps: a call that cannot make progress now is repeated when the
//! kernel reports that it can.
//!
//! # The path of a request
//!
//! A request for a cached file enters eleven modules and costs two system calls, and a share of an
//! `epoll_wait`. (`reactor::wire` and `h1::connection` only pass calls on.)
//!
//! | | module | what happens |
//! |---|---|---|
//! | 1 | `reactor::connections` | the event's token finds the slot, and its serial number the connection in it; the slot is queued and driven |
//! | 2 | `reactor::slot` | asks the machine for its step: receive |
//! | 3 | [`net`] | receives into a page from the pool: system call one |
//! | 4 | `h1::exchange` | takes the report |
//! | 5 | `h1::request` | looks for a head at the start of the received bytes, those in `h1::inbox` |
//! | 6 | [`http`] | parses the head, and later splits its target |
//! | 7 | `h1::plan` | decides whether to answer, or to read a body first |
//! | 8 | [`site::respond`] | chooses the site, checks method and target, makes the reply |
//! | 9 | `site::store` | one lookup in a hash table: the entry, with its policy |
//! | 10 | [`site::select`] | evaluates conditions and ranges |
//! | 11 | `h1::write` | frames the reply; that of a small file is ready, status line and date included |
//!
//! Then `reactor::slot` asks again, [`net`] sends (system call two), and the connection, idle
//! again, gives page and exchange back to their pools: it keeps its slot and nothing else.
//!
//! # Reading order
//!
//! If you know the five steps, and want to see how one thread does them for many connections:
//!
//! 1. [`net::listen`]: a socket is created, bound and listened on, as in any textbook.
//! 2. [`reactor`]: the loop, and what a turn of it is; then `accept.rs`.
//! 3. `slot.rs`: `Slot::drive` is all that happens to one connection; [`net::Transport`], below it,
//!    sends and receives, and explains what an edge is.
//! 4. [`machine`]: the contract; [`h1`]: the states of a connection and their transitions.
//! 5. [`site`], then [`files`] and [`http`], as far as you want to know.
//!
//! Some words: a *turn* is one round of the loop; a *slab* is a table of connections in which free
//! slots are reused; a *token* is the number that epoll returns with an event, and identifies a
//! slot; its *serial* distinguishes the current connection in a slot from earlier ones; a *page* is
//! a buffer of 32 KiB from a pool; a *representation* is a file in the form in which it is sent.
//!
//! # Laws
//!
//! - One thread; no call that blocks on a socket, a pipe or a FIFO.
//! - No `unsafe` in this crate. (Macros of nix expand to the calls for three socket options.)
//! - Pending output is sent before more input is read.
//! - An idle connection holds no buffer; its slot is all it costs.
//! - A request that the cache answers allocates nothing.
//! - All facts of a response come from one `fstat` of one open file: a response never mixes two
//!   versions of it.
//! - No request opens anything outside the root and the link targets ([`files`] is the only module
//!   that opens what is served).
//! - Every limit that an operator may have reason to set is a field of [`config::Limits`]; a bound
//!   that only keeps the code itself in order is a constant beside it.
//!
//! # What is Linux-only, and its fallback
//!
//! | on Linux | elsewhere | behind |
//! |---|---|---|
//! | `openat2` with `RESOLVE_BENEATH` | a walk, component by component, with `O_NOFOLLOW` | [`files::Door`] |
//! | `RESOLVE_CACHED`, `RWF_NOWAIT` | plain reads, which may wait for a disk | [`files::Disk`] |
//! | SO_REUSEPORT: a listening socket for each worker | one for all of them | [`net::listen`] |
//! | Landlock | nothing | [`sandbox`] |
//! | `TCP_DEFER_ACCEPT`, `TCP_NOTSENT_LOWAT`, `TCP_USER_TIMEOUT` | nothing | [`net::listen`] |
//! | `TCP_INFO`: does a slow peer acknowledge anything? | only sent bytes count | [`net`] |
//! | `sendfile`, `MSG_MORE` | read and send | [`net`] |
//!
//! Both columns are tested on Linux.

#![forbid(unsafe_code)]

pub mod auth;
pub mod check;
pub mod cli;
pub mod clock;
#[cfg(feature = "compression")]
pub mod coding;
pub mod config;
pub mod explain;
pub mod files;
pub mod h1;
pub mod h2;
pub mod healthcheck;
pub mod http;
pub mod inherited;
pub mod journal;
pub mod machine;
pub mod metrics;
pub mod net;
#[cfg(feature = "compression")]
pub mod precompress;
pub mod process;
pub mod reactor;
pub mod rules;
pub mod sandbox;
#[cfg_attr(
    not(feature = "compression"),
    expect(dead_code, reason = "the encoders use it, and this build has none")
)]
pub mod site;
pub mod system;
