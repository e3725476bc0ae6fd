//! Signals as bytes in sockets, so that the loop can poll for them: a signal handler may do little
//! more than write a byte. Each kind of signal has a socket of its own, and no signal is lost
//! while another one is handled.

use std::io::{self, Read};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::low_level::pipe;

/// What a signal asks of a process that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGINT, SIGTERM or SIGQUIT: stop; the second one: at once.
    Stop,
    /// SIGUSR1: open the log files anew.
    Reopen,
    /// A signal that other servers use and this one does not; why, for the log.
    Unused(&'static str),
}

/// The signals that end a server in order.
pub const STOP: &[i32] = &[SIGINT, SIGTERM, SIGQUIT];

/// Reload, to other servers.
const HANGUP: Signal = Signal::Unused(
    "SIGHUP: nothing to reload; only a server with --config or --workers reads settings again",
);
/// The line for SIGUSR1 if there is no file to open anew.
pub const NOTHING_TO_REOPEN: &str = "SIGUSR1: no log file to reopen; --access-log has no path";
/// Hand over to a new program file.
const UPGRADE: Signal =
    Signal::Unused("SIGUSR2: no supervisor that could switch to a new program file; restart");

/// The signals of a process that serves.
pub(super) const SERVING: &[(Signal, &[i32])] = &[
    (Signal::Stop, STOP),
    (HANGUP, &[SIGHUP]),
    (Signal::Reopen, &[SIGUSR1]),
    (UPGRADE, &[SIGUSR2]),
];

/// The reading ends, one for each kind `K`.
#[derive(Debug)]
pub struct Signals<K> {
    streams: Vec<(K, UnixStream)>,
}

impl<K: Copy> Signals<K> {
    /// Takes over the signals of each kind in `kinds`, and reports them under `token`.
    ///
    /// # Errors
    /// If the system refuses a socket or a handler.
    pub fn new(registry: &Registry, token: Token, kinds: &[(K, &[i32])]) -> io::Result<Signals<K>> {
        let mut streams = Vec::with_capacity(kinds.len());
        for &(signal, numbers) in kinds {
            let (read, write) = StdStream::pair()?;
            read.set_nonblocking(true)?;
            write.set_nonblocking(true)?;
            for &number in numbers {
                pipe::register(number, write.try_clone()?)?;
            }
            let mut stream = UnixStream::from_std(read);
            registry.register(&mut stream, token, Interest::READABLE)?;
            streams.push((signal, stream));
        }
        Ok(Signals { streams })
    }

    /// The signals since the last call; of one kind as many as have come.
    pub fn take(&mut self) -> Vec<K> {
        let mut signals = Vec::new();
        for (signal, stream) in &mut self.streams {
            let mut bytes = [0; 16];
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                signals.extend(std::iter::repeat_n(*signal, count));
            }
        }
        signals
    }
}

/// Ignores SIGXFSZ, which would end the process when its log file reaches RLIMIT_FSIZE: the write
/// fails instead, as on a full disk.
///
/// # Errors
/// If the handler cannot be installed.
pub fn ignore_file_size_signal() -> io::Result<()> {
    // The flag is never read: what counts is that there is a handler.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal as Number, getpid, kill_process};

    #[test]
    fn each_signal_is_reported_by_its_kind_and_as_often_as_it_came() {
        let poll = mio::Poll::new().unwrap();
        let mut signals = Signals::new(poll.registry(), Token(0), SERVING).unwrap();
        assert_eq!(signals.take(), []);
        // A signal that a process sends to itself is delivered before kill returns, to this
        // thread or, if it blocks it, to another one: so wait for each of them.
        let mut came = Vec::new();
        for number in [Number::HUP, Number::TERM, Number::USR1, Number::QUIT, Number::USR2] {
            kill_process(getpid(), number).unwrap();
            let before = came.len();
            while came.len() == before {
                came.extend(signals.take());
            }
        }
        assert_eq!(came, [HANGUP, Signal::Stop, Signal::Reopen, Signal::Stop, UPGRADE]);
    }
}
