//! Workers that serve with the same settings, and are replaced together.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use mio::Token;
use rustix::process::{Pid, Signal, WaitStatus};

use crate::config::Limits;
use crate::reactor::Order;

use super::access_log::OpenLog;
use super::channel::Fields;
use super::child::{Child, Orders, Poller};
use super::contents::Contents;
use super::ledger::Ledger;
use super::notify::beat_ms;
use super::secrets::Secrets;
use super::sockets::Sockets;
use super::source::{Source, Text};

/// The workers of one configuration.
#[derive(Debug)]
pub(super) struct Generation {
    /// Counted from 1, for the log.
    pub(super) number: u64,
    text: Option<Text>,
    /// The certificates, keys and users that it was started with.
    contents: Option<Contents>,
    log: Option<OpenLog>,
    limits: Limits,
    workers: Vec<Worker>,
    /// While it ends: when workers that still run are killed.
    kill_at: Option<Instant>,
    /// Its workers report as not ready, also those that replace one.
    leaves: bool,
}

/// The place of one worker; another process takes it if one dies.
#[derive(Debug)]
struct Worker {
    child: Option<Child>,
    started: Instant,
    /// How many processes in a row have ended soon after their start.
    failures: u32,
    /// When the next process is started.
    start_at: Option<Instant>,
    /// When it last wrote something: that it is ready, or a ping.
    heard: Instant,
    /// It sent none for too long, and was killed.
    is_silent: bool,
}

impl Worker {
    /// Without a process.
    fn vacant(now: Instant, start_at: Option<Instant>) -> Worker {
        Worker { child: None, started: now, failures: 0, start_at, heard: now, is_silent: false }
    }

    /// Its process, if pings are expected of it: until it is ready, another deadline holds.
    fn watched(&self) -> Option<&Child> {
        self.child.as_ref().filter(|child| child.is_ready && !self.is_silent)
    }
}

/// Which of its workers is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The first one, which logs what is the same for all.
    First,
    /// One more.
    Further,
    /// One in the place of another, which has ended.
    Replacement,
}

/// What starting a worker needs, in every generation.
#[derive(Debug)]
pub(super) struct Workshop {
    pub(super) poller: Poller,
    pub(super) source: Source,
    pub(super) secrets: Secrets,
    pub(super) ledger: Ledger,
    /// How long a worker may send no ping; `None`: there is no watchdog.
    pub(super) watchdog: Option<Duration>,
}

/// The end of a worker.
pub(super) struct Death {
    /// For the log.
    pub(super) line: String,
    /// It has served.
    pub(super) was_ready: bool,
    /// It ended with another status than 0: responses may be cut off.
    pub(super) is_failure: bool,
    /// When another process takes its place, if the generation goes on.
    pub(super) pause: Duration,
    /// Its place on the board of metrics.
    pub(super) seat: Option<usize>,
}

/// After a worker that ran at least this long, the next one starts at once.
const SOUND_AFTER: Duration = Duration::from_secs(10);
/// The pause before the second start in a row; it doubles with each further one ...
const PAUSE_LEAST: Duration = Duration::from_millis(100);
/// ... up to this.
const PAUSE_MOST: Duration = Duration::from_secs(10);
/// How long after its own timeout a process is killed.
const GRACE: Duration = Duration::from_secs(5);

impl Generation {
    /// Starts all workers.
    ///
    /// # Errors
    /// In one line: if a process cannot be started. Those that were started end by themselves.
    pub(super) fn start(
        number: u64,
        (text, contents, log): (Option<Text>, Option<Contents>, Option<OpenLog>),
        limits: Limits,
        count: usize,
        (shop, sockets): (&mut Workshop, &Sockets),
        now: Instant,
    ) -> Result<Generation, String> {
        let workers = (0..count).map(|_| Worker::vacant(now, None)).collect();
        let (kill_at, leaves) = (None, false);
        let mut generation =
            Generation { number, text, contents, log, limits, workers, kill_at, leaves };
        for index in 0..count {
            let role = if index == 0 { Role::First } else { Role::Further };
            generation.start_worker(index, role, (shop, sockets), now)?;
        }
        Ok(generation)
    }

    fn start_worker(
        &mut self,
        index: usize,
        role: Role,
        (shop, sockets): (&mut Workshop, &Sockets),
        now: Instant,
    ) -> Result<(), String> {
        let workers = self.workers.len();
        let listeners = sockets.of_worker(index, workers);
        // Four times as often as it must.
        let beat_ms = shop.watchdog.map_or(0, |time| beat_ms(time / 4));
        let number = shop.ledger.take_seat();
        let seat = number.zip(shop.ledger.descriptor());
        let mut orders = Orders {
            workers,
            generation: self.number,
            is_first: role == Role::First,
            beat_ms,
            text: self.text.as_ref(),
            contents: self.contents.as_ref(),
            replaces: role == Role::Replacement,
            secrets: &mut shop.secrets,
            seat,
            log: self.log.as_ref(),
            listeners,
        };
        let started = Child::worker(&mut shop.poller, &shop.source, &mut orders);
        let mut child = started.map_err(|error| {
            shop.ledger.leave_seat(number);
            format!("cannot start a worker: {error}")
        })?;
        let worker = &mut self.workers[index];
        worker.started = now;
        worker.start_at = None;
        worker.heard = now;
        worker.is_silent = false;
        if self.leaves {
            child.order(Order::Leave);
        }
        worker.child = Some(child);
        Ok(())
    }

    fn children(&self) -> impl Iterator<Item = &Child> {
        self.workers.iter().filter_map(|worker| worker.child.as_ref())
    }

    fn children_mut(&mut self) -> impl Iterator<Item = &mut Child> {
        self.workers.iter_mut().filter_map(|worker| worker.child.as_mut())
    }

    /// The places of its processes on the board of metrics.
    pub(super) fn seats(&self) -> impl Iterator<Item = Option<usize>> {
        self.children().map(|child| child.seat)
    }

    /// The same, to be changed.
    pub(super) fn seats_mut(&mut self) -> impl Iterator<Item = &mut Option<usize>> {
        self.children_mut().map(|child| &mut child.seat)
    }

    /// The certificates, keys and users that it was started with.
    pub(super) fn contents(&self) -> Option<&Contents> {
        self.contents.as_ref()
    }

    /// For one that an earlier program has described.
    pub(super) fn set_contents(&mut self, contents: Option<Contents>) {
        self.contents = contents;
    }

    /// The limits in its settings.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many workers it has when it is complete.
    pub(super) fn size(&self) -> usize {
        self.workers.len()
    }

    /// True if all workers serve.
    pub(super) fn is_ready(&self) -> bool {
        self.children().filter(|child| child.is_ready).count() == self.workers.len()
    }

    /// When its workers must be ready.
    pub(super) fn ready_by(&self) -> Option<Instant> {
        self.workers.iter().map(|worker| self.ready_time(worker)).min()
    }

    fn ready_time(&self, worker: &Worker) -> Instant {
        worker.started + Duration::from_millis(self.limits.worker_ready_timeout_ms)
    }

    /// True if no process is left.
    pub(super) fn is_empty(&self) -> bool {
        self.children().next().is_none()
    }

    /// Takes an event of one of its channels.
    pub(super) fn take_event(&mut self, token: Token, now: Instant) {
        for worker in &mut self.workers {
            if let Some(said) = worker.child.as_mut().and_then(|child| child.take_event(token)) {
                if !said.is_empty() {
                    worker.heard = now;
                }
                return;
            }
        }
    }

    /// Lets the workers finish what they have begun. Those that do not serve yet are killed. When
    /// their time is over, all are.
    pub(super) fn drain(&mut self, now: Instant) {
        for child in self.children_mut() {
            if child.is_ready {
                child.order(Order::LeaveAdmin);
                child.order(Order::Drain);
            } else {
                child.signal(Signal::KILL);
            }
        }
        self.kill_at = Some(now + Duration::from_millis(self.limits.drain_timeout_ms) + GRACE);
    }

    /// Before [`Generation::finish`]: starts the workers that are missing, because connections may
    /// wait for them. Returns lines for the log.
    pub(super) fn complete(
        &mut self,
        shop: &mut Workshop,
        sockets: &Sockets,
        now: Instant,
    ) -> Vec<String> {
        let missing = (0..self.workers.len()).filter(|index| self.workers[*index].child.is_none());
        let started = missing.collect::<Vec<_>>().into_iter();
        let mut start =
            |index| self.start_worker(index, Role::Replacement, (&mut *shop, sockets), now);
        started.filter_map(|index| start(index).err()).collect()
    }

    /// Has the workers report as not ready, and serve as before. Returns for how long.
    pub(super) fn leave(&mut self) -> Duration {
        if self.limits.drain_delay_ms > 0 {
            self.leaves = true;
            self.children_mut().for_each(|child| child.order(Order::Leave));
        }
        Duration::from_millis(self.limits.drain_delay_ms)
    }

    /// Lets the workers finish, also those that do not serve yet.
    pub(super) fn finish(&mut self, now: Instant) {
        self.children_mut().for_each(|child| child.order(Order::Drain));
        self.kill_at = Some(now + Duration::from_millis(self.limits.drain_timeout_ms) + GRACE);
    }

    /// Ends the workers at once.
    pub(super) fn end(&mut self, now: Instant) {
        self.children_mut().for_each(|child| child.order(Order::End));
        self.kill_at = Some(now + GRACE);
    }

    /// Opens the access log anew, and passes it to the workers. False: there is none with a path.
    ///
    /// # Errors
    /// In one line: then the workers go on with the old one.
    pub(super) fn reopen_log(&mut self) -> Result<bool, String> {
        let Some(log) = &mut self.log else { return Ok(false) };
        let is_reopened = log.reopen()?;
        if is_reopened && let Some(log) = &self.log {
            self.children().for_each(|child| child.pass_log(log));
        }
        Ok(is_reopened)
    }

    /// Notes that a process has ended. `None`: it was none of these.
    pub(super) fn reap(&mut self, pid: Pid, status: WaitStatus, now: Instant) -> Option<Death> {
        let is_it =
            |worker: &&mut Worker| worker.child.as_ref().is_some_and(|child| child.pid() == pid);
        let worker = self.workers.iter_mut().find(is_it)?;
        let child = worker.child.take();
        let seat = child.as_ref().and_then(|child| child.seat);
        let was_ready = child.is_some_and(|child| child.is_ready);
        let is_sound = now.duration_since(worker.started) >= SOUND_AFTER;
        worker.failures = if is_sound { 0 } else { worker.failures.saturating_add(1) };
        let pause = pause(worker.failures);
        worker.start_at = Some(now + pause);
        let number = pid.as_raw_nonzero();
        let is_failure = status.exit_status() != Some(0);
        let line = format!("worker {number} ended: {}", describe(status));
        Some(Death { line, was_ready, is_failure, pause, seat })
    }

    /// While it serves: starts what is due, and kills workers that do not get ready. Returns lines
    /// for the log.
    pub(super) fn tend(
        &mut self,
        shop: &mut Workshop,
        sockets: &Sockets,
        now: Instant,
    ) -> Vec<String> {
        let silent = shop.watchdog.map(|watchdog| self.end_silent(watchdog, now));
        let mut lines = silent.unwrap_or_default();
        for index in 0..self.workers.len() {
            let worker = &self.workers[index];
            if worker.start_at.is_some_and(|at| at <= now) {
                if let Err(why) =
                    self.start_worker(index, Role::Replacement, (&mut *shop, sockets), now)
                {
                    let worker = &mut self.workers[index];
                    worker.failures = worker.failures.saturating_add(1).max(2);
                    worker.start_at = Some(now + pause(worker.failures));
                    lines.push(why);
                }
            } else if let Some(child) = worker.child.as_ref().filter(|child| !child.is_ready)
                && self.ready_time(worker) <= now
            {
                child.signal(Signal::KILL);
            }
        }
        lines
    }

    /// While it serves: kills workers that send no pings. Returns lines for the log.
    fn end_silent(&mut self, watchdog: Duration, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        for worker in &mut self.workers {
            if let Some(child) = worker.watched()
                && worker.heard + watchdog <= now
            {
                let (pid, ms) = (child.pid().as_raw_nonzero(), watchdog.as_millis());
                lines.push(format!("worker {pid} has sent no ping for {ms} ms; killing it"));
                child.signal(Signal::KILL);
                worker.is_silent = true;
            }
        }
        lines
    }

    /// Gives every worker the full time for its next ping: this process could not receive them.
    pub(super) fn hear_all(&mut self, now: Instant) {
        self.workers.iter_mut().for_each(|worker| worker.heard = now);
    }

    /// True if a worker sent no pings for too long, and still exists.
    pub(super) fn is_silent(&self) -> bool {
        self.workers.iter().any(|worker| worker.child.is_some() && worker.is_silent)
    }

    /// While it ends: kills the workers whose time is over.
    pub(super) fn kill_late(&self, now: Instant) {
        if self.kill_at.is_some_and(|at| at <= now) {
            self.children().for_each(|child| child.signal(Signal::KILL));
        }
    }

    /// When [`Generation::tend`] or [`Generation::kill_late`] has something to do.
    pub(super) fn due(&self, watchdog: Option<Duration>, now: Instant) -> Option<Instant> {
        if let Some(at) = self.kill_at {
            // What was killed is reaped soon.
            return Some(at.max(now + KILL_AGAIN));
        }
        let starts = self.workers.iter().filter_map(|worker| worker.start_at);
        let slow = |worker: &&Worker| worker.child.as_ref().is_some_and(|child| !child.is_ready);
        let ready = self.workers.iter().filter(slow).map(|worker| self.ready_time(worker));
        let watched = self.workers.iter().filter(|worker| worker.watched().is_some());
        let silent = watched.filter_map(|worker| Some(worker.heard + watchdog?));
        starts.chain(ready.map(|at| at.max(now + KILL_AGAIN))).chain(silent).min()
    }

    /// Describes it to a later program of this process, and adds its descriptors in order.
    pub(super) fn describe<'s>(
        &'s self,
        now: Instant,
        to: &mut Fields,
        descriptors: &mut Vec<BorrowedFd<'s>>,
    ) {
        to.put_number(self.number);
        let left = self.kill_at.map(|at| at.saturating_duration_since(now).as_millis());
        to.put(left.map(|ms| ms.to_string()).unwrap_or_default());
        Text::describe(self.text.as_ref(), to, descriptors);
        to.put_number(self.workers.len() as u64);
        for worker in &self.workers {
            let Some(child) = &worker.child else {
                to.put_number(0);
                continue;
            };
            to.put(child.pid().as_raw_nonzero().to_string());
            to.put_number(u64::from(child.is_ready));
            descriptors.push(child.channel().as_fd());
        }
    }

    /// One that an earlier program of this process has described.
    pub(super) fn adopt(
        from: &mut Fields,
        descriptors: &mut impl Iterator<Item = OwnedFd>,
        poller: &mut Poller,
        source: &Source,
        now: Instant,
    ) -> Option<Generation> {
        let number = from.take_number()?;
        let left = from.take_text()?;
        let kill_at = match left {
            "" => None,
            ms => Some(now + Duration::from_millis(ms.parse().ok()?)),
        };
        let text = Text::adopt(from, descriptors)?;
        // This version of the program may not understand the text of an earlier one any more.
        let config = source.read_text(text.as_ref()).map(|settings| settings.config).ok();
        // The workers that run have it open.
        let log = config.as_ref().and_then(|config| OpenLog::open(config.access_log.as_ref()).ok());
        let limits = config.map(|config| config.limits).unwrap_or_default();
        let mut workers = Vec::new();
        for _ in 0..from.take_number::<usize>()? {
            let pid = Pid::from_raw(from.take_number()?);
            let child = match pid {
                None => None,
                Some(pid) => {
                    let is_ready = from.take_number::<u8>()? == 1;
                    let channel = UnixStream::from(descriptors.next()?);
                    Some(Child::adopt(poller, pid, channel, is_ready).ok()?)
                }
            };
            let start_at = child.is_none().then_some(now);
            workers.push(Worker { child, ..Worker::vacant(now, start_at) });
        }
        Some(Generation {
            number,
            text,
            contents: None, // see `set_contents`
            log: log.flatten(),
            limits,
            workers,
            kill_at,
            leaves: false,
        })
    }
}

/// A process that was killed, and is not reaped yet, is killed again after this time.
const KILL_AGAIN: Duration = Duration::from_millis(100);

/// The pause after this number of failures in a row.
fn pause(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        _ => PAUSE_LEAST.saturating_mul(1 << (failures - 2).min(16)).min(PAUSE_MOST),
    }
}

/// How a process has ended, for the log.
pub(super) fn describe(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (_, Some(number)) => match nix::sys::signal::Signal::try_from(number) {
            Ok(signal) => format!("killed by {signal}"),
            Err(_) => format!("killed by signal {number}"),
        },
        _ => "for an unknown reason".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_at_once_and_the_pauses_are_bounded() {
        assert_eq!([0, 1].map(pause), [Duration::ZERO; 2]);
        assert_eq!([2, 3, 4].map(|count| pause(count).as_millis()), [100, 200, 400]);
        assert_eq!([9, 40, u32::MAX].map(pause), [PAUSE_MOST; 3]);
    }

    #[test]
    fn no_ping_is_expected_of_a_place_without_a_process() {
        let (heard, second) = (Instant::now(), Duration::from_secs(1));
        let start_at = heard + 9 * second;
        let workers = vec![Worker::vacant(heard, Some(start_at))];
        let limits = Limits::default();
        let generation = Generation {
            number: 1,
            text: None,
            contents: None,
            log: None,
            limits,
            workers,
            kill_at: None,
            leaves: false,
        };
        assert_eq!(generation.due(Some(second), heard + 5 * second), Some(start_at));
        assert!(!generation.is_silent());
    }
}
