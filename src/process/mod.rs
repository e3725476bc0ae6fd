//! Several processes: a supervisor, and generations of workers.
//!
//! Without a configuration file and `--workers`, the program is one process, which serves
//! ([`serve_alone`]). Otherwise the process that was started is a supervisor ([`supervise`]), and
//! serves nothing itself: it owns the listening sockets, and starts workers, which inherit them.
//! It reads nothing from the network.
//!
//! | module | question it answers |
//! |---|---|
//! | `supervisor` | what happens at a signal, an end, a deadline |
//! | `generation` | which workers serve with the same settings, and what if one dies |
//! | `sockets` | which sockets are there, and which worker accepts on which |
//! | `child` | how is a process started, and told what to do |
//! | `channel` | how do texts and descriptors get from one process to another |
//! | `access_log` | who opens the access log, and how do workers get it |
//! | `source` | where do the settings come from, so that all workers have the same |
//! | `secrets` | what do all workers share for TLS |
//! | `contents` | what do workers have in place of files that change: certificates, keys, users |
//! | `worker` | what does a worker do |
//! | `server` | how does a process get ready to serve, alone or as a worker |
//! | `upgrade` | how does another program file take over |
//! | `ledger` | what did all workers count, also those that have ended |
//! | `notify` | what does systemd get to know |
//!
//! # A generation
//!
//! The settings of a worker never change. A reload reads everything anew and starts a new
//! generation of workers, on the same sockets. When all of them are ready, the last generation is
//! told to drain. If one of them is not, the new generation ends, and the last one goes on. The
//! text of the configuration file is read once, by the supervisor, and so are the files with
//! certificates, keys and users; workers inherit them as files without a name, in memory. So do
//! those that later replace a worker that died: they serve with what the generation was started
//! with, and the site of a root that is missing by then answers 503 until it is back.
//!
//! # No connection is lost
//!
//! Each worker has its own socket at each address (SO_REUSEPORT), so that the kernel spreads
//! connections evenly. The supervisor keeps all of them open, and passes them on from generation
//! to generation: what waits in a backlog is accepted by the next worker. After a reload with fewer
//! workers, some accept on two sockets: to close one would reset the connections in its backlog.
//! New sockets begin to listen only when a worker is ready to accept. At the end, the supervisor
//! closes its descriptors first, and workers accept what waits before they close theirs.
//!
//! # The channel
//!
//! Standard input of a worker is a socket that leads to the supervisor. It gets the sockets
//! (SCM_RIGHTS), then orders of one byte; it writes one byte when it serves. When the channel ends,
//! the supervisor has ended, and the worker drains. Signals to stop are for the supervisor: a
//! worker that gets one drains, but a second one does not cut it off. A service manager that
//! signals every process of a service also signals the supervisor, and its order decides.

mod access_log;
mod channel;
mod child;
mod contents;
mod generation;
mod ledger;
mod notify;
mod secrets;
mod server;
mod sockets;
mod source;
mod supervisor;
mod upgrade;
mod worker;

pub use server::serve_alone;
pub use upgrade::{TRIAL_MODE, try_out};
pub use worker::{WORKER_MODE, run as work};

use crate::net::Activated;

use source::Source;
use supervisor::Supervisor;

/// Runs as a supervisor, until a signal has ended it and all workers have ended. It reads the
/// settings itself, together with the text of the configuration file.
///
/// # Errors
/// In lines: why it cannot start; or that responses were cut off.
pub fn supervise() -> Result<(), String> {
    let source = Source::of_this_process(false);
    let (settings, text) = source.read().map_err(|lines| lines.join("\n"))?;
    Supervisor::new(source, Activated::take()?)?.start(settings, text)
}

/// Runs as the supervisor whose program was replaced by this one; `None`: it was not.
///
/// # Errors
/// In lines: why it cannot go on; or that responses were cut off.
pub fn take_over() -> Option<Result<(), String>> {
    let message = upgrade::received()?;
    let source = Source::of_this_process(false);
    // The message brings the sockets of systemd.
    let go_on = |message| Supervisor::new(source, Activated::default())?.take_over(message);
    Some(message.and_then(go_on))
}
