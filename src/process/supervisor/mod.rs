//! The loop of the supervisor: generations of workers, signals, deadlines.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2};

use crate::cli::Settings;
use crate::config::LogLevel;
use crate::journal::Journal;
use crate::net::Activated;
use crate::net::listen::SocketFile;
use crate::reactor::signals::{NOTHING_TO_REOPEN, STOP, Signals};

use super::child::Poller;
use super::generation::{Death, Generation, Workshop};
use super::ledger::Ledger;
use super::notify::Notifier;
use super::secrets::Secrets;
use super::server::ignore_file_size_signal;
use super::sockets::Sockets;
use super::source::{Source, Text};
use super::upgrade::{self, Inventory, Trial};

mod reload;
mod trial;

use reload::Next;

/// What a signal asks of a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    /// Stop: in order; the second one: at once.
    Stop,
    /// Read everything anew.
    Reload,
    /// Open log files anew.
    Reopen,
    /// Hand over to the program file that is there now.
    Upgrade,
    /// A process has ended.
    Child,
}

const SIGNALS: &[(Signal, &[i32])] = &[
    (Signal::Stop, STOP),
    (Signal::Reload, &[SIGHUP]),
    (Signal::Reopen, &[SIGUSR1]),
    (Signal::Upgrade, &[SIGUSR2]),
    (Signal::Child, &[SIGCHLD]),
];

/// Generations that may drain at a time; another reload waits.
const DRAINING_MOST: usize = 32;

/// The loop, and everything it manages.
#[derive(Debug)]
pub(super) struct Supervisor {
    poll: Poll,
    signals: Signals<Signal>,
    shop: Workshop,
    journal: Journal,
    notifier: Notifier,
    /// When the watchdog gets the next ping, if there is one.
    alive_at: Option<Instant>,
    /// When [`Supervisor::advance`] was last called.
    advanced: Instant,
    /// The program file that an upgrade executes.
    program: Option<PathBuf>,
    /// The sockets of the generation that serves.
    sockets: Sockets,
    /// The names of Unix sockets that are removed at the end.
    last_files: Vec<SocketFile>,
    serving: Option<Generation>,
    next: Option<Next>,
    draining: Vec<Generation>,
    trial: Option<Trial>,
    /// A signal that must wait until what is in progress is over.
    wanted: Wanted,
    last_number: u64,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    reload: bool,
    upgrade: bool,
}

#[derive(Debug)]
enum Phase {
    Running,
    /// As running until then, but reported as not ready: it is about to stop.
    Leaving(Instant),
    /// Every worker ends; the error that the run ends with.
    Stopping(Option<String>),
}

impl Supervisor {
    /// Without workers yet.
    ///
    /// # Errors
    /// In one line.
    pub(super) fn new(source: Source, activated: Activated) -> Result<Supervisor, String> {
        ignore_file_size_signal()?;
        let failed = |error: io::Error| format!("cannot set up the supervisor: {error}");
        let poll = Poll::new().map_err(failed)?;
        let registry = poll.registry().try_clone().map_err(failed)?;
        let signals = Signals::new(poll.registry(), SIGNAL, SIGNALS).map_err(failed)?;
        upgrade::unblock_signals();
        let program = upgrade::program(&source);
        let (notifier, now) = (Notifier::new(), Instant::now());
        let watchdog = notifier.watchdog();
        let shop = Workshop {
            poller: Poller { registry, last_token: SIGNAL.0 },
            source,
            secrets: Secrets::default(),
            ledger: Ledger::default(),
            watchdog,
        };
        Ok(Supervisor {
            poll,
            signals,
            shop,
            journal: Journal::default(),
            notifier,
            alive_at: watchdog.map(|_| now),
            advanced: now,
            program,
            sockets: Sockets::new(activated),
            last_files: Vec::new(),
            serving: None,
            next: None,
            draining: Vec::new(),
            trial: None,
            wanted: Wanted::default(),
            last_number: 0,
            phase: Phase::Running,
        })
    }

    /// Runs until a signal has ended it, and all workers have ended.
    ///
    /// # Errors
    /// In one line: why it cannot start; or that responses were cut off.
    pub(super) fn start(mut self, settings: Settings, text: Option<Text>) -> Result<(), String> {
        self.shop.ledger = Ledger::new();
        self.begin(settings, text, Instant::now())?;
        self.run()
    }

    /// Goes on where an earlier program stopped, and starts a generation of this one.
    ///
    /// # Errors
    /// In one line: what came is not what an earlier program writes; or as [`Supervisor::start`].
    pub(super) fn take_over(mut self, message: super::channel::Message) -> Result<(), String> {
        let now = Instant::now();
        let Workshop { poller, source, .. } = &mut self.shop;
        let inventory = Inventory::adopt(message, poller, source, now);
        let Inventory { last_number, sockets, serving, draining, ledger, secrets } =
            inventory.ok_or(upgrade::OTHER_VERSION)?;
        self.shop.ledger = ledger;
        self.shop.secrets = secrets;
        self.last_number = last_number;
        self.sockets = sockets;
        self.serving = Some(serving);
        self.draining = draining;
        self.reap(now);
        self.reload(now);
        self.run()
    }

    fn run(mut self) -> Result<(), String> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.journal.flush();
            let now = Instant::now();
            let timeout = self.due(now).map(|due| due.saturating_duration_since(now));
            // Rounded up, so that what is due is due when the poll returns.
            let timeout = timeout.map(|timeout| timeout + Duration::from_millis(1));
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(format!("the supervisor cannot wait for events: {error}"));
                }
                _ => {}
            }
            let now = Instant::now();
            for event in &events {
                self.take_event(event.token(), now);
            }
            for signal in self.signals.take() {
                self.take_signal(signal, now);
            }
            // Also without a signal: a program that takes over may have missed some.
            self.reap(now);
            self.advance(now);
            if let Phase::Stopping(error) = &self.phase
                && self.draining.is_empty()
            {
                for file in &self.last_files {
                    // The next start on it removes it if this fails.
                    _ = file.remove();
                }
                self.journal.flush();
                return error.clone().map_or(Ok(()), Err);
            }
        }
    }

    fn due(&self, now: Instant) -> Option<Instant> {
        let ready = self.next.as_ref().and_then(|next| next.generation.ready_by());
        let trial = self.trial.as_ref().map(|trial| trial.until);
        let log = self.journal.is_waiting().then(|| now + LOG_RETRY);
        let generations = self.serving.iter().chain(&self.draining);
        let left = if let Phase::Leaving(until) = self.phase { Some(until) } else { None };
        let watchdog = self.shop.watchdog;
        let due = generations.filter_map(|generation| generation.due(watchdog, now));
        due.chain([ready, trial, log, left, self.alive_at].into_iter().flatten()).min()
    }

    fn note(&mut self, level: LogLevel, text: std::fmt::Arguments<'_>) {
        self.journal.note(level, text);
    }

    fn take_event(&mut self, token: Token, now: Instant) {
        if let Some(next) = &mut self.next {
            next.generation.take_event(token, now);
        }
        if let Some(trial) = &mut self.trial {
            trial.take_event(token);
        }
        for generation in self.serving.iter_mut().chain(&mut self.draining) {
            generation.take_event(token, now);
        }
    }

    fn take_signal(&mut self, signal: Signal, now: Instant) {
        match (signal, &self.phase) {
            (Signal::Stop, Phase::Running) => self.leave(now),
            (Signal::Stop, Phase::Leaving(_)) => {
                self.stop(None, now);
                self.draining.iter_mut().for_each(|generation| generation.end(now));
            }
            (Signal::Stop, Phase::Stopping(_)) => {
                self.draining.iter_mut().for_each(|generation| generation.end(now));
            }
            (Signal::Reload, Phase::Running) => self.wanted.reload = true,
            (Signal::Upgrade, Phase::Running) => self.wanted.upgrade = true,
            (Signal::Reopen, _) => self.reopen_logs(),
            (Signal::Child | Signal::Reload | Signal::Upgrade, _) => {}
        }
    }

    /// Goes on for `drain_delay_ms`, then stops.
    fn leave(&mut self, now: Instant) {
        match self.serving.as_mut().map(Generation::leave).unwrap_or_default() {
            Duration::ZERO => self.stop(None, now),
            delay => {
                self.give_up("the server stops", now);
                self.notifier.stopping();
                self.phase = Phase::Leaving(now + delay);
            }
        }
    }

    /// Opens the access logs of all generations anew.
    fn reopen_logs(&mut self) {
        let next = self.next.as_mut().map(|next| &mut next.generation);
        let generations = next.into_iter().chain(&mut self.serving).chain(&mut self.draining);
        let results: Vec<_> = generations.map(Generation::reopen_log).collect();
        let mut is_reopened = false;
        for result in results {
            match result {
                Ok(done) => is_reopened |= done,
                Err(why) => {
                    is_reopened = true;
                    self.note(
                        LogLevel::Error,
                        format_args!("{why}; the log continues in the old file"),
                    );
                }
            }
        }
        if !is_reopened {
            self.note(LogLevel::Info, format_args!("{NOTHING_TO_REOPEN}"));
        }
    }

    /// Waits for all processes that have ended, also for orphans if this is process 1.
    fn reap(&mut self, now: Instant) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            self.take_end(pid, status, now);
        }
    }

    fn take_end(&mut self, pid: Pid, status: WaitStatus, now: Instant) {
        if let Some(trial) = self.trial.take_if(|trial| trial.is(pid)) {
            return self.end_trial(trial.verdict(status), now);
        }
        if let Some(death) =
            self.next.as_mut().and_then(|next| next.generation.reap(pid, status, now))
        {
            self.shop.ledger.leave_seat(death.seat);
            return self.give_up(&death.line, now);
        }
        if let Some(Death { line, pause, seat, .. }) =
            self.serving.as_mut().and_then(|serving| serving.reap(pid, status, now))
        {
            self.shop.ledger.leave_seat(seat);
            return match pause.as_millis() {
                0 => self.note(LogLevel::Warn, format_args!("{line}; starting another")),
                ms => {
                    self.note(LogLevel::Warn, format_args!("{line}; starting another in {ms} ms"));
                }
            };
        }
        let mut draining = self.draining.iter_mut();
        let death = draining.find_map(|generation| generation.reap(pid, status, now));
        self.shop.ledger.leave_seat(death.as_ref().and_then(|death| death.seat));
        let Some(Death { line, was_ready: true, is_failure: true, .. }) = death else { return };
        self.note(LogLevel::Warn, format_args!("{line}"));
        if let Phase::Stopping(error @ None) = &mut self.phase {
            *error = Some("ended with responses cut off".to_owned());
        }
    }

    /// Does everything that can be done now.
    fn advance(&mut self, now: Instant) {
        self.watch(now);
        if matches!(self.phase, Phase::Leaving(until) if until <= now) {
            self.stop(None, now);
        }
        match &self.next {
            Some(next) if next.generation.is_ready() => self.promote(now),
            Some(next) if next.generation.ready_by().is_some_and(|at| at <= now) => {
                self.give_up("a worker was not ready in time (limit worker_ready_timeout_ms)", now);
            }
            _ => {}
        }
        if let Some(trial) = self.trial.as_mut().filter(|trial| trial.until <= now) {
            trial.kill();
            trial.until = now + LOG_RETRY;
        }
        let Supervisor { serving, shop, sockets, .. } = self;
        let lines = serving.as_mut().map(|serving| serving.tend(shop, sockets, now));
        for line in lines.into_iter().flatten() {
            self.note(LogLevel::Warn, format_args!("{line}"));
        }
        self.draining.iter().for_each(|generation| generation.kill_late(now));
        self.draining.retain(|generation| !generation.is_empty());
        let is_free = self.next.is_none() && self.trial.is_none();
        let has_room = self.draining.len() < DRAINING_MOST;
        if is_free && has_room && matches!(self.phase, Phase::Running) {
            if std::mem::take(&mut self.wanted.upgrade) {
                // It reads everything anew as well.
                self.wanted.reload = false;
                self.begin_trial(now);
            } else if std::mem::take(&mut self.wanted.reload) {
                self.reload(now);
            }
        }
    }

    /// Pings the watchdog, unless a worker sends no pings and cannot be killed. A worker that can
    /// be killed is replaced instead: see [`Generation::tend`].
    fn watch(&mut self, now: Instant) {
        let Some(watchdog) = self.shop.watchdog else { return };
        let gap = now.duration_since(std::mem::replace(&mut self.advanced, now));
        let serving = self.serving.as_mut();
        if gap >= watchdog
            && let Some(serving) = serving
        {
            // This process was stopped, perhaps together with its workers.
            serving.hear_all(now);
        }
        if self.alive_at.is_none_or(|at| at > now) {
            return;
        }
        if self.serving.as_ref().is_some_and(Generation::is_silent) {
            self.alive_at = Some(now + WATCH_AGAIN);
        } else {
            self.notifier.alive();
            self.alive_at = Some(now + watchdog / 2);
        }
    }

    /// Lets all workers finish. The sockets are closed here first: a connection that comes after a
    /// worker has accepted all that wait, and has closed its own, must be refused, and not wait.
    fn stop(&mut self, error: Option<String>, now: Instant) {
        self.notifier.stopping();
        self.phase = Phase::Stopping(error);
        if let Some(trial) = &self.trial {
            trial.kill();
        }
        let next = self.next.take().map(|next| (next.generation, next.sockets));
        let sockets = std::mem::take(&mut self.sockets);
        let serving = self.serving.take().map(|generation| (generation, sockets));
        let mut ending: Vec<(Generation, Sockets)> = next.into_iter().chain(serving).collect();
        for (generation, sockets) in &mut ending {
            let mut lines = generation.complete(&mut self.shop, sockets, now);
            // Workers answer at the admin listener until they end.
            let internal = sockets.internal();
            self.last_files.extend(internal.files().cloned());
            lines.extend(sockets.remove_files(&internal));
            for line in lines {
                self.note(LogLevel::Warn, format_args!("{line}"));
            }
        }
        // Both may hold the same sockets, so all are closed before the first order.
        let generations: Vec<Generation> = ending.into_iter().map(|(it, _)| it).collect();
        for mut generation in generations {
            generation.finish(now);
            self.draining.push(generation);
        }
    }
}

/// Events taken from the kernel at a time.
const EVENTS: usize = 256;

/// How soon another attempt is made to write a log that could not be written.
const LOG_RETRY: Duration = Duration::from_millis(250);

/// When to check again whether a worker that was killed for its silence has been reaped.
const WATCH_AGAIN: Duration = Duration::from_millis(100);

const SIGNAL: Token = Token(0);
