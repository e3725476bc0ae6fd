//! tenkay serves files over HTTP/1.1 from one thread: an event loop on mio, one state machine per
//! connection in a slab, httparse for heads; no thread pool, no async runtime.
//!
//! This page is the map of the code. The README says what the program is for and how it is used.
//!
//! # Four rings
//!
//! | ring | question | modules |
//! |---|---|---|
//! | [`http`] | what do these bytes mean? | functions over bytes: no I/O, no heap, no state but that of a body under way |
//! | [`site`] | *what* is the answer? | the folder, the cache, the part of a file that is asked for |
//! | [`h1`] | *how* does it go on the wire? | the protocol machine, without a socket |
//! | [`reactor`] | *when* does something happen? | the loop, sockets, clocks, timers, signals |
//!
//! Around them: [`cli`] is what was typed, [`config`] what is meant, with every bound of the
//! program in one struct; [`clock`] is time as plain data; [`system`] reads what the machine
//! allows; [`sandbox`] drops privileges. Imports run inward only: `http` knows
//! nothing of the rest, nothing but `main` knows `reactor`. A test holds us to it.
//!
//! # The five steps of a TCP server
//!
//! 1. Create a socket, 2. bind it to an address, 3. listen: [`reactor::listen::listen`].
//! 4. Accept: [`reactor`], `Acceptor::accept`.
//! 5. Send and receive: [`net::Transport`]. Then close, in
//!    [`reactor`], `Connections::close`.
//!
//! What a textbook server does in a loop for one client, this one does for ten thousand, by never
//! waiting in any of these steps: a call that cannot be done now is tried again when the kernel
//! says that it can.
//!
//! # The life of a request
//!
//! 1. The kernel has bytes for a connection; the poll says so; [`reactor`] finds the
//!    connection's slot by the number in the event's token, and compares its serial number.
//! 2. It asks the machine what to do ([`h1::Connection::step`]). A [`h1::Step::Read`] gives room on
//!    a page from the pool, and the bytes are received into it: system call one. (The poll
//!    was one for all connections of this turn.)
//! 3. [`h1::Connection::read_done`] parses the head ([`http::head`]), asks the site what its path
//!    leads to ([`site::Site::find`]: for a file in the cache, one look into a hash map), and
//!    weighs conditions and ranges ([`site::select`]). The answer with a small file stands ready
//!    in the cache, date and all; any other is written into a second page.
//! 4. The next step is a [`h1::Step::Write`]: system call two. Then the pages go back to the pool,
//!    and the connection, idle again, holds nothing but its slot.
//!
//! # Where to begin
//!
//! For whoever knows the five steps, and wants to see how one thread does them for many:
//!
//! 1. [`reactor::listen`]: a socket is created, bound and listened on, as in any textbook.
//! 2. [`reactor`]: the loop, what a turn of it is, and what an edge is; then `accept.rs`.
//! 3. `slot.rs`: `Slot::drive` is all that happens to one connection; [`net::transport`],
//!    below it, sends and receives.
//! 4. [`h1`]: the states of a connection and what leads from one to the next; then `intake.rs`
//!    (from bytes to a plan) and `reply.rs` (from a plan to bytes).
//! 5. [`site`], then [`http`], as far as you want to know.
//!
//! Some words: a *turn* is one round of the loop; a *slab* is a table of connections in which a
//! place is used again when it is free; a *token* is the number that the poll gives back with an
//! event, and says which place it is about; its *serial* tells the tenant of that place from
//! earlier ones; a *page* is a buffer of 32 KiB from a pool; an *asset* is a file as it will be
//! sent.
//!
//! # Laws
//!
//! - One thread; no call that waits, on a socket, a pipe or a FIFO.
//! - No `unsafe` in this crate. (A macro of nix writes the calls for two socket options
//!   into [`reactor::listen`] and [`net::transport`]; we write none.)
//! - What is owed to a client is sent before more is read from it.
//! - An idle connection holds no buffer. A slot is 128 bytes.
//! - A request that the cache answers allocates nothing.
//! - All facts of an answer come from one `fstat` of one open file: an answer never mixes two
//!   versions of it.
//! - Nothing outside the root is ever opened ([`files`] is the only door).
//! - Every limit that an operator may have reason to set is a field of [`config::Limits`]; a bound
//!   that only keeps the code itself in order is a constant beside it.
//!
//! # What is Linux-only, and its fallback
//!
//! | on Linux | elsewhere | behind |
//! |---|---|---|
//! | `openat2` with `RESOLVE_BENEATH` | a walk, component by component, with `O_NOFOLLOW` | [`files::Door`] |
//! | `RESOLVE_CACHED`, `RWF_NOWAIT` | plain reads, which may wait for a disk | [`files::Disk`] |
//! | Landlock | nothing | [`sandbox`] |
//! | `TCP_DEFER_ACCEPT`, `TCP_NOTSENT_LOWAT`, `TCP_USER_TIMEOUT` | nothing | [`reactor::listen`] |
//! | `TCP_INFO`: does a slow peer take anything? | only what is sent counts | [`net::transport`] |
//! | `sendfile`, `MSG_MORE` | read and send | [`net::transport`] |
//!
//! Both columns are tested on Linux.

#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod config;
pub mod files;
pub mod h1;
pub mod http;
pub mod net;
pub mod reactor;
pub mod sandbox;
pub mod site;
pub mod system;
