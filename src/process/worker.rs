//! What a worker does: it gets its sockets from the supervisor, sets itself up, says that it is
//! ready, and serves.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::config::{LogLevel, Opening, Workers};
use crate::inherited::Inherited;
use crate::journal::LogFile;
use crate::metrics::{Board, Seat};
use crate::net::listen::Listener;
use crate::reactor::{End, Sign, Watcher};
use crate::system;

use super::channel::{Fields, Message, receive_message};
use super::contents::Contents;
use super::secrets::Secrets;
use super::server::{self, Shared, warning};
use super::sockets::path_of;
use super::source::{Source, Text};

/// The first argument of a worker.
pub const WORKER_MODE: &str = "__worker";

/// What a worker writes when it serves.
pub(super) const READY: u8 = b'r';

/// The ping of a worker, which it writes while its loop turns, if there is a watchdog.
const ALIVE: u8 = b'a';

/// The number of workers that is meant.
pub(super) fn count(workers: Option<Workers>) -> usize {
    match workers {
        None => 1,
        Some(Workers::Count(count)) => count,
        Some(Workers::Auto) => {
            std::thread::available_parallelism().map_or(1, usize::from).min(Workers::MOST)
        }
    }
}

/// Runs as a worker: standard input is the channel to the supervisor.
///
/// # Errors
/// In lines: why it cannot start, or cannot go on.
pub fn run() -> Result<End, String> {
    let channel = take_stdin().map_err(|error| format!("no channel to a supervisor: {error}"))?;
    let message = receive_message(&channel).map_err(|error| {
        format!("no sockets from a supervisor: {error}; start tenkay without {WORKER_MODE}")
    })?;
    let mut task = Task::from(message).ok_or("the supervisor is of another version")?;
    server::ignore_file_size_signal()?;
    let source = Source::of_this_process(true);
    let settings = source.read_text(task.text.as_ref()).map_err(|lines| lines.join("\n"))?;
    let (mut config, mut warnings) = (settings.config, settings.warnings);
    let has_tls = config.tls.has_certificates();
    let (limits, chosen) = (&mut config.limits, &config.chosen_limits);
    warnings.extend(system::fit_one_of(task.workers, limits, has_tls, chosen));
    for listener in &task.listeners {
        let begun = listener.begin(config.limits.backlog);
        begun.map_err(|error| format!("cannot listen on {}: {error}", listener.url()))?;
    }
    let admin_line = server::admin_line(&task.listeners);
    let inherited = task.inherited()?;
    let shared = Shared { secrets: &task.secrets, seat: task.seat, inherited };
    let (mut reactor, more) = server::set_up(config, task.listeners, task.log, None, shared)?;
    if task.is_first {
        if let Some(line) = admin_line {
            reactor.note(LogLevel::Info, format_args!("{line}"));
        }
        // The same for all workers.
        for (level, line) in warnings.into_iter().map(warning).chain(more) {
            reactor.note(level, format_args!("{line}"));
        }
    }
    // Before the supervisor says in the same log that this worker serves.
    reactor.flush_notes();
    // If the supervisor has ended, the loop sees it.
    _ = (&channel).write_all(&[READY]);
    let set_up = channel.set_nonblocking(true).and_then(|()| {
        if task.beat_ms > 0 {
            reactor.watch(Some(task.beat_ms), watcher(channel.try_clone()?));
        }
        // Stops when the supervisor ends.
        reactor.obey(mio::net::UnixStream::from_std(channel), task.generation)
    });
    set_up.map_err(|error| format!("cannot watch the channel to the supervisor: {error}"))?;
    server::run(&mut reactor)
}

/// Tells the supervisor that the loop turns.
fn watcher(mut channel: UnixStream) -> Watcher {
    Box::new(move |sign| {
        if sign == Sign::Alive {
            // It fails if the supervisor does not read; then earlier pings wait for it.
            _ = channel.write(&[ALIVE]);
        }
    })
}

/// Takes the channel out of standard input, which is empty from then on.
pub(super) fn take_stdin() -> io::Result<UnixStream> {
    let channel = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // Anything else than a socket fails.
    channel.peer_addr()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(channel)
}

/// What the supervisor tells a worker.
struct Task {
    /// How many workers there are.
    workers: usize,
    /// The number of its generation.
    generation: u64,
    /// It logs what is the same for all.
    is_first: bool,
    /// The interval of its pings; 0: none.
    beat_ms: u64,
    /// The text of the configuration file.
    text: Option<Text>,
    /// The files that it does not read itself.
    contents: Option<Contents>,
    /// It takes the place of a worker that has ended.
    replaces: bool,
    secrets: Secrets,
    /// Its place on the board of metrics.
    seat: Option<Seat>,
    log: Option<LogFile>,
    listeners: Vec<Listener>,
}

impl Task {
    fn from(message: Message) -> Option<Task> {
        let Message { mut fields, descriptors } = message;
        let mut descriptors = descriptors.into_iter();
        let workers = fields.take_number()?;
        let generation = fields.take_number()?;
        let is_first = fields.take_number::<u8>()? == 1;
        let beat_ms = fields.take_number()?;
        let text = Text::adopt(&mut fields, &mut descriptors)?;
        let contents = Contents::adopt(&mut fields, &mut descriptors)?;
        let replaces = fields.take_number::<u8>()? == 1;
        let secrets = Secrets::adopt(&mut fields)?;
        let seat = match fields.take_number()? {
            0 => None,
            // A supervisor of another version has another board.
            number => Board::adopt(File::from(descriptors.next()?))
                .ok()
                .and_then(Result::ok)
                .map(|board| Seat::new(board, number)),
        };
        let log = match fields.take_file(&mut descriptors)? {
            None => None,
            Some(log) => Some(LogFile::adopt(log).ok()?),
        };
        let mut listeners = Vec::new();
        for socket in descriptors {
            listeners.push(listener(socket, &mut fields)?);
        }
        Some(Task {
            workers,
            generation,
            is_first,
            beat_ms,
            text,
            contents,
            replaces,
            secrets,
            seat,
            log,
            listeners,
        })
    }

    /// What it has in place of files.
    fn inherited(&mut self) -> Result<Inherited, String> {
        match self.contents.take() {
            None => Ok(Inherited::new([], self.replaces)),
            Some(contents) => contents.read(self.replaces).map_err(|error| {
                format!("cannot read the certificates of the supervisor: {error}")
            }),
        }
    }
}

fn listener(socket: OwnedFd, fields: &mut Fields) -> Option<Listener> {
    let path: PathBuf = path_of(fields.take()?);
    let path = Some(path).filter(|path| !path.as_os_str().is_empty());
    let listener = Listener::inherited(socket, path);
    listener.set_opening(Opening::from_bits(fields.take_number()?));
    Some(listener)
}
