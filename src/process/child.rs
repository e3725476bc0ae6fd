//! The supervisor's handle of a process that it has started.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use rustix::process::{Pid, Signal, kill_process};

use crate::net::listen::Listener;
use crate::reactor::Order;

use super::access_log::OpenLog;
use super::channel::{Fields, send_message, send_with_descriptor};
use super::contents::Contents;
use super::secrets::Secrets;
use super::source::{Source, TAKEOVER, Text};
use super::worker::{READY, WORKER_MODE};

/// A process, and the channel to it. Dropping it closes the channel, which tells the process to
/// end; the supervisor's wait for any child reaps it.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    channel: UnixStream,
    token: Token,
    /// It has said that it is ready.
    pub(super) is_ready: bool,
    /// The channel has ended.
    is_closed: bool,
    /// Its place on the board of metrics.
    pub(super) seat: Option<usize>,
}

/// The poll of the supervisor, and the tokens in use.
#[derive(Debug)]
pub(super) struct Poller {
    pub(super) registry: Registry,
    pub(super) last_token: usize,
}

/// What a worker is to serve.
pub(super) struct Orders<'s> {
    pub(super) workers: usize,
    /// The number of the generation.
    pub(super) generation: u64,
    pub(super) is_first: bool,
    /// The interval of its pings; 0: none.
    pub(super) beat_ms: u64,
    pub(super) text: Option<&'s Text>,
    pub(super) contents: Option<&'s Contents>,
    /// It takes the place of a worker that has ended.
    pub(super) replaces: bool,
    pub(super) secrets: &'s mut Secrets,
    /// Its place on the board of metrics, and the board.
    pub(super) seat: Option<(usize, BorrowedFd<'s>)>,
    pub(super) log: Option<&'s OpenLog>,
    pub(super) listeners: Vec<&'s Listener>,
}

impl Child {
    /// Starts a worker: this program, even if another version was installed since.
    pub(super) fn worker(
        poller: &mut Poller,
        source: &Source,
        orders: &mut Orders<'_>,
    ) -> io::Result<Child> {
        let link = Path::new("/proc/self/exe");
        let program = if link.exists() { link.to_owned() } else { std::env::current_exe()? };
        let mut fields = Fields::default();
        fields.put_number(orders.workers as u64);
        fields.put_number(orders.generation);
        fields.put_number(u64::from(orders.is_first));
        fields.put_number(orders.beat_ms);
        let mut descriptors = Vec::new();
        Text::describe(orders.text, &mut fields, &mut descriptors);
        Contents::describe(orders.contents, &mut fields, &mut descriptors);
        fields.put_number(u64::from(orders.replaces));
        orders.secrets.describe(&mut fields);
        fields.put_number(orders.seat.map_or(0, |(number, _)| number as u64)); // widening
        descriptors.extend(orders.seat.map(|(_, board)| board));
        fields.put_file(orders.log.map(AsFd::as_fd), &mut descriptors);
        for listener in &orders.listeners {
            fields.put(
                listener.path().map(|path| path.as_os_str().as_encoded_bytes()).unwrap_or(b""),
            );
            fields.put_number(listener.opening().bits().into());
            descriptors.push(listener.as_fd());
        }
        let child = Child::start(poller, source, &program, WORKER_MODE, &fields, &descriptors)?;
        Ok(Child { seat: orders.seat.map(|(number, _)| number), ..child })
    }

    /// Starts a program with the arguments of this one behind `mode`, and sends it a message.
    pub(super) fn start(
        poller: &mut Poller,
        source: &Source,
        program: &Path,
        mode: &str,
        fields: &Fields,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<Child> {
        let (own, other) = StdStream::pair()?;
        send_message(&own, fields, descriptors)?;
        let name = OsString::from("tenkay");
        let child = Command::new(program)
            .arg0(source.arguments.first().unwrap_or(&name))
            .arg(mode)
            .args(source.arguments.iter().skip(1))
            .env_clear()
            .envs(source.environment.iter().map(|(name, value)| (name, value)))
            .env_remove(TAKEOVER)
            // It is the supervisor that talks to systemd.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            // Not in the process group of the supervisor: Ctrl-C in a terminal is for that one.
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(other)))
            .stdout(Stdio::null())
            .spawn()?;
        let pid = Pid::from_child(&child);
        Child::adopt(poller, pid, own, false)
    }

    /// A process that runs, with the channel to it.
    pub(super) fn adopt(
        poller: &mut Poller,
        pid: Pid,
        channel: StdStream,
        is_ready: bool,
    ) -> io::Result<Child> {
        channel.set_nonblocking(true)?;
        let mut channel = UnixStream::from_std(channel);
        poller.last_token += 1;
        let token = Token(poller.last_token);
        poller.registry.register(&mut channel, token, Interest::READABLE)?;
        Ok(Child { pid, channel, token, is_ready, is_closed: false, seat: None })
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    pub(super) fn channel(&self) -> &UnixStream {
        &self.channel
    }

    /// Takes an event, if it is one of this child. Returns what it wrote.
    pub(super) fn take_event(&mut self, token: Token) -> Option<Vec<u8>> {
        if token != self.token || self.is_closed {
            return None;
        }
        let (mut all, mut bytes) = (Vec::new(), [0; 256]);
        loop {
            match self.channel.read(&mut bytes) {
                Ok(0) => self.is_closed = true,
                Ok(count) if all.len() < SAYS_MOST => {
                    all.extend_from_slice(&bytes[..count]);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(_) | Err(_) => {}
            }
            self.is_ready |= all.contains(&READY);
            return Some(all);
        }
    }

    /// Reads what it has written since the last event.
    pub(super) fn read_rest(&mut self) -> Vec<u8> {
        self.take_event(self.token).unwrap_or_default()
    }

    /// Gives an order. If it cannot be sent, the child has ended, and is reaped.
    pub(super) fn order(&mut self, order: Order) {
        _ = self.channel.write(&[order.byte()]);
    }

    /// Passes on the access log that was opened anew. If that cannot be sent, the child has ended,
    /// or reads nothing.
    pub(super) fn pass_log(&self, log: &OpenLog) {
        _ = send_with_descriptor(&self.channel, Order::ReopenLog.byte(), log.as_fd());
    }

    /// Sends a signal.
    pub(super) fn signal(&self, signal: Signal) {
        // It fails only if the child has ended, and is reaped.
        _ = kill_process(self.pid, signal);
    }
}

/// Bytes read from a child for one event; what follows is ignored.
const SAYS_MOST: usize = 4096;
