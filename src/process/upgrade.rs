//! A new program file takes over: same process number, same sockets, new code.
//!
//! The new program is tried first: it is started as another process, with everything that it would
//! get, and must understand it and find nothing wrong with the settings. Only then does it replace
//! the program of the supervisor (execve). Its standard input is a channel that already holds the
//! message with the state of the supervisor.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{Access, access};
use rustix::process::{Pid, WaitStatus};

use super::channel::{Fields, Message, receive_message, send_message};
use super::child::{Child, Poller};
use super::contents::Contents;
use super::generation::{Generation, describe};
use super::ledger::Ledger;
use super::secrets::Secrets;
use super::sockets::Sockets;
use super::source::{Source, TAKEOVER};
use super::worker::{READY, take_stdin};

/// The first argument of a program that is tried.
pub const TRIAL_MODE: &str = "__trial";

/// The version of the message to a program that takes over; the first text in it.
const FORM: &str = "1";

/// The state that a supervisor passes on to the program that takes over.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) last_number: u64,
    pub(super) sockets: Sockets,
    /// The generation that serves.
    pub(super) serving: Generation,
    /// Those that end.
    pub(super) draining: Vec<Generation>,
    /// The metrics.
    pub(super) ledger: Ledger,
    pub(super) secrets: Secrets,
}

/// The same as a message.
pub(super) fn describe_all<'s>(
    last_number: u64,
    (sockets, ledger, serving, draining): (
        &'s Sockets,
        &'s Ledger,
        &'s Generation,
        &'s [Generation],
    ),
    secrets: &mut Secrets,
    now: Instant,
) -> (Fields, Vec<BorrowedFd<'s>>) {
    let (mut fields, mut descriptors) = (Fields::default(), Vec::new());
    fields.put(FORM);
    fields.put_number(last_number);
    sockets.describe(&mut fields, &mut descriptors);
    serving.describe(now, &mut fields, &mut descriptors);
    fields.put_number(draining.len() as u64);
    for generation in draining {
        generation.describe(now, &mut fields, &mut descriptors);
    }
    // Last: an earlier version of the program does not know them.
    let seats = std::iter::once(serving).chain(draining).flat_map(Generation::seats);
    ledger.describe(seats, &mut fields, &mut descriptors);
    secrets.describe(&mut fields);
    Contents::describe(serving.contents(), &mut fields, &mut descriptors);
    sockets.describe_openings(&mut fields);
    (fields, descriptors)
}

impl Inventory {
    /// Reads the message. `None`: it is of another version of the program.
    pub(super) fn adopt(
        message: Message,
        poller: &mut Poller,
        source: &Source,
        now: Instant,
    ) -> Option<Inventory> {
        let Message { fields: mut from, descriptors } = message;
        let mut descriptors: std::vec::IntoIter<OwnedFd> = descriptors.into_iter();
        if from.take_text()? != FORM {
            return None;
        }
        let last_number = from.take_number()?;
        let sockets = Sockets::adopt(&mut from, &mut descriptors)?;
        let mut generation =
            |from: &mut Fields| Generation::adopt(from, &mut descriptors, poller, source, now);
        let mut serving = generation(&mut from)?;
        let count = from.take_number::<usize>()?;
        let mut draining = Vec::new();
        for _ in 0..count {
            draining.push(generation(&mut from)?);
        }
        let mut places: Vec<&mut Option<usize>> = std::iter::once(&mut serving)
            .chain(&mut draining)
            .flat_map(Generation::seats_mut)
            .collect();
        let (ledger, seats) = Ledger::adopt(&mut from, &mut descriptors, places.len());
        for (place, seat) in places.iter_mut().zip(seats) {
            **place = seat;
        }
        let secrets = Secrets::adopt(&mut from).unwrap_or_default();
        serving.set_contents(Contents::adopt(&mut from, &mut descriptors).flatten());
        sockets.adopt_openings(&mut from);
        Some(Inventory { last_number, sockets, serving, draining, ledger, secrets })
    }
}

/// A program that is being tried.
#[derive(Debug)]
pub(super) struct Trial {
    child: Child,
    pub(super) until: Instant,
    said: Vec<u8>,
}

impl Trial {
    /// Starts the program at this path.
    ///
    /// # Errors
    /// If it cannot be executed.
    pub(super) fn start(
        program: &Path,
        (fields, descriptors): &(Fields, Vec<BorrowedFd<'_>>),
        poller: &mut Poller,
        source: &Source,
        until: Instant,
    ) -> io::Result<Trial> {
        let child = Child::start(poller, source, program, TRIAL_MODE, fields, descriptors)?;
        Ok(Trial { child, until, said: Vec::new() })
    }

    /// Takes an event of its channel.
    pub(super) fn take_event(&mut self, token: mio::Token) {
        self.said.extend(self.child.take_event(token).unwrap_or_default());
    }

    /// Kills it; it is reaped soon.
    pub(super) fn kill(&self) {
        self.child.signal(rustix::process::Signal::KILL);
    }

    pub(super) fn is(&self, pid: Pid) -> bool {
        self.child.pid() == pid
    }

    /// The version of the program, once it has ended.
    ///
    /// # Errors
    /// Why it cannot take over.
    pub(super) fn verdict(mut self, status: WaitStatus) -> Result<String, String> {
        let rest = self.child.read_rest();
        self.said.extend(rest);
        match self.said.split_first() {
            Some((&READY, version)) if status.exit_status() == Some(0) => {
                Ok(String::from_utf8_lossy(version).into_owned())
            }
            _ => Err(format!("its trial run ended: {}", describe(status))),
        }
    }
}

/// Runs as a trial: reads all that the program would get if it took over, and the settings.
///
/// # Errors
/// In lines: why it could not take over.
pub fn try_out() -> Result<(), String> {
    let mut channel =
        take_stdin().map_err(|error| format!("no channel to a supervisor: {error}"))?;
    let source = Source::of_this_process(true);
    let poll = mio::Poll::new().map_err(|error| format!("cannot set up a poll: {error}"))?;
    let registry = poll.registry().try_clone();
    let registry = registry.map_err(|error| format!("cannot set up a poll: {error}"))?;
    let mut poller = Poller { registry, last_token: 0 };
    let message = receive_message(&channel).map_err(|error| error.to_string())?;
    Inventory::adopt(message, &mut poller, &source, Instant::now()).ok_or(OTHER_VERSION)?;
    source.read().map_err(|lines| lines.join("\n"))?;
    let mut answer = vec![READY];
    answer.extend(env!("CARGO_PKG_VERSION").bytes());
    channel.write_all(&answer).map_err(|error| format!("cannot answer: {error}"))
}

/// Why a program cannot take over.
pub(super) const OTHER_VERSION: &str =
    "the running version of tenkay is too different to be replaced while it runs; restart it";

/// The message for this program, if it takes over from another.
///
/// # Errors
/// In one line: why there is none.
pub(super) fn received() -> Option<Result<Message, String>> {
    let number = std::env::var(TAKEOVER).ok()?;
    // The environment of another process, such as one that a worker started, proves nothing.
    if number != std::process::id().to_string() {
        return None;
    }
    let message = take_stdin().and_then(|channel| receive_message(&channel));
    Some(message.map_err(|error| format!("cannot take over from the last program: {error}")))
}

/// The path of the program file, as it was called. A link in it is not resolved: it may lead to
/// another version later.
pub(super) fn program(source: &Source) -> Option<PathBuf> {
    let name = source.arguments.first()?;
    if name.as_bytes().contains(&b'/') {
        return std::path::absolute(name).ok();
    }
    let path = std::env::var_os("PATH")?;
    let candidates = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = candidates.into_iter().find(|file| access(file, Access::EXEC_OK).is_ok());
    found.or_else(|| std::env::current_exe().ok())
}

/// Replaces the program of this process, which gets the message. It returns only if that fails.
pub(super) fn replace(
    program: &Path,
    source: &Source,
    (fields, descriptors): &(Fields, Vec<BorrowedFd<'_>>),
) -> io::Error {
    let result = exec(program, source, fields, descriptors);
    unblock_signals();
    if let Ok(null) = File::open("/dev/null") {
        _ = rustix::stdio::dup2_stdin(null);
    }
    result.err().unwrap_or_else(|| io::Error::other("execve returned"))
}

fn exec(
    program: &Path,
    source: &Source,
    fields: &Fields,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let (own, other) = UnixStream::pair()?;
    send_message(&own, fields, descriptors)?;
    let text = |text: &OsStr| CString::new(text.as_bytes());
    let file = text(program.as_os_str())?;
    let arguments: Vec<CString> =
        source.arguments.iter().map(|argument| text(argument)).collect::<Result<_, _>>()?;
    let takeover = (OsString::from(TAKEOVER), OsString::from(std::process::id().to_string()));
    let variable = |(name, value): &(OsString, OsString)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())
    };
    let variables: Vec<CString> =
        source.environment.iter().chain([&takeover]).map(variable).collect::<Result<_, _>>()?;
    // A signal that comes before the new program can handle it waits.
    signals().thread_block()?;
    rustix::stdio::dup2_stdin(&other)?;
    nix::unistd::execve(&file, &arguments, &variables)?;
    Ok(())
}

fn signals() -> SigSet {
    use Signal::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2].into_iter().collect()
}

/// Lets signals in, now that this program handles them.
pub(super) fn unblock_signals() {
    // It fails only if the set is malformed.
    _ = signals().thread_unblock();
}
