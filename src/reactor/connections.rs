//! All connections: their slots, timers, queues and quotas, and what happens to each in a turn.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use mio::Registry;
use slab::Slab;

use crate::clock::Tick;
use crate::config::Limits;
use crate::net::Transport;
use crate::site::Wait;

use super::evict;
use super::panics::guarded;
use super::pending::{Id, Pending};
use super::quota::{Admission, Quotas};
use super::resources::Resources;
use super::slot::{Slot, Stop};
use super::turn::{Slice, Turn};
use super::wheel::Wheel;
use super::wire::{Context, Event, Reason};
use super::{SERIAL_MASK, token};

/// The connections, and when to look at each.
#[derive(Debug)]
pub(super) struct Connections {
    slots: Slab<Slot>,
    /// The serial number of the connection accepted last.
    serial: u32,
    wheel: Wheel,
    pending: Pending,
    quotas: Quotas,
    /// Connections that are told that there is no room for them.
    turned_away: usize,
    /// How many have been closed so far.
    closed: u64,
    registry: Registry,
}

impl Connections {
    /// A table for as many connections as the limits allow, whose events go to `registry`.
    pub(super) fn new(registry: Registry, limits: &Limits, now: Tick) -> Connections {
        Connections {
            // All slots at once: memory that is never touched costs nothing, and a growing slab
            // would copy itself while connections wait.
            slots: Slab::with_capacity(limits.connections),
            serial: 0,
            wheel: Wheel::new(now),
            pending: Pending::default(),
            quotas: Quotas::default(),
            turned_away: 0,
            closed: 0,
            registry,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many have been closed so far.
    pub(super) fn closed(&self) -> u64 {
        self.closed
    }

    /// How many are not between two requests.
    pub(super) fn busy(&self, limits: &Limits, now: Tick) -> usize {
        let is_busy = |(_, slot): &(usize, &Slot)| !slot.wire.standing(limits, now).idle;
        self.slots.iter().filter(is_busy).count()
    }

    /// When the next timer or queue is due; a tick in the past means at once.
    pub(super) fn due(&mut self) -> Option<Tick> {
        [self.wheel.next_due(), self.pending.due()].into_iter().flatten().min()
    }

    /// Adds a connection, and does what it can. At the limit, another one is evicted for it; if
    /// that is not possible, it gets a 503, or it is closed.
    pub(super) fn insert(
        &mut self,
        transport: Transport,
        address: Option<IpAddr>,
        resources: &mut Resources,
        turn: &Turn,
    ) {
        let now = turn.now();
        self.serial = self.serial.wrapping_add(1) & SERIAL_MASK;
        let mut slot = Slot::new(transport, self.serial, address, now);
        let admission = self.quotas.admit(slot.address, &resources.limits, now);
        if let Admission::Counted(client) = admission {
            slot.client = Some(client);
        }
        if self.slots.len() >= resources.limits.connections {
            if admission == Admission::TooMany {
                return; // no reason to evict anyone
            }
            self.evict(resources, now);
        }
        let is_full = self.slots.len() >= resources.limits.connections;
        slot.turned_away = is_full || admission == Admission::TooMany;
        if slot.turned_away && self.turned_away >= SPARE_SLOTS {
            if let Some(client) = slot.client {
                self.quotas.leave(client, &resources.limits, now);
            }
            return;
        }
        let turned_away = slot.turned_away;
        self.turned_away += usize::from(turned_away);
        let key = self.slots.insert(slot);
        self.work(key, resources, turn, |slot, cx| {
            if turned_away {
                slot.wire.report(Event::Refuse, cx);
            }
            slot.drive(cx)
        });
    }

    /// Stores an event, and drives its connection, or queues it if there is no time left.
    pub(super) fn take_event(
        &mut self,
        event: &mio::event::Event,
        (key, serial): Id,
        is_time_over: bool,
        resources: &mut Resources,
        turn: &Turn,
    ) -> bool {
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.serial == serial) else {
            return false;
        };
        slot.transport.note(event);
        if !is_time_over {
            self.work(key, resources, turn, Slot::drive);
            return true;
        }
        if !slot.queued {
            slot.queued = true;
            self.pending.push_ready((key, serial));
        }
        false
    }

    /// Resumes connections of earlier turns, as far as the time allows; the rest keeps its place.
    pub(super) fn resume_pending(&mut self, resources: &mut Resources, turn: &Turn) {
        if resources.site.is_working() {
            self.work_on_jobs(resources, turn);
        }
        for _ in 0..self.pending.begin_cold(turn.now()) {
            let Some(id) = self.pending.pop_cold() else { break };
            self.resume(id, resources, turn);
        }
        if self.pending.ready() == 0 {
            return;
        }
        let mut slice = Slice::begin(&resources.limits);
        // Those that are added now wait for the next turn.
        for _ in 0..self.pending.ready() {
            let Some(id) = self.pending.pop_ready() else { return };
            self.resume(id, resources, turn);
            if slice.is_over() {
                return;
            }
        }
    }

    /// Continues the jobs of the site, such as listings, for a moment.
    fn work_on_jobs(&mut self, resources: &mut Resources, turn: &Turn) {
        let ends = Instant::now() + JOBS_SLICE;
        let site = &mut resources.site;
        match guarded(|| site.work(turn.clock(), &mut || Instant::now() >= ends)) {
            Ok(Some(ended)) => self.pending.release(ended),
            Ok(None) => {}
            Err(panic) => {
                self.pending.release_all();
                resources.log.note(format_args!("a bug ended one listing; please report: {panic}"));
            }
        }
    }

    fn resume(&mut self, (key, serial): Id, resources: &mut Resources, turn: &Turn) {
        if self.slots.get(key).is_some_and(|slot| slot.serial == serial) {
            self.work(key, resources, turn, |slot, cx| {
                slot.queued = false;
                if cx.draining {
                    slot.wire.report(Event::Drain, cx);
                }
                slot.wire.report(Event::Retry, cx);
                slot.drive(cx)
            });
        }
    }

    /// Looks at the connections whose timers are due, as far as the time allows.
    pub(super) fn take_timers(&mut self, resources: &mut Resources, turn: &Turn) {
        let Some(first) = self.wheel.expire(turn.now()) else { return };
        let mut slice = Slice::begin(&resources.limits);
        self.timer(first, resources, turn);
        while !slice.is_over() {
            let Some(key) = self.wheel.expire(turn.now()) else { return };
            self.timer(key, resources, turn);
        }
    }

    /// A timer came up: perhaps too early, because the connection, or the kernel on its behalf, has
    /// made progress since.
    fn timer(&mut self, key: usize, resources: &mut Resources, turn: &Turn) {
        let now = turn.now();
        let slot = &mut self.slots[key];
        let standing = slot.wire.standing(&resources.limits, now);
        let mut deadline = standing.deadline;
        if deadline <= now
            && standing.unsent
            && slot.transport.was_acknowledged(resources.limits.write_timeout_ms)
        {
            let mut cx = resources.context(turn.clock(), 0);
            slot.wire.report(Event::Acknowledged, &mut cx);
            deadline = slot.wire.deadline(&resources.limits);
        }
        if deadline > now && !slot.throttled {
            self.wheel.schedule(key, deadline);
            return;
        }
        self.work(key, resources, turn, |slot, cx| {
            if slot.wire.deadline(cx.limits) <= cx.clock.tick {
                // What it waited for, perhaps a listing, it waits for no longer.
                slot.queued = false;
                slot.wire.report(Event::Timeout, cx);
            }
            slot.drive(cx)
        });
    }

    /// Does some work for a connection, and what follows from it.
    fn work(
        &mut self,
        key: usize,
        resources: &mut Resources,
        turn: &Turn,
        work: impl FnOnce(&mut Slot, &mut Context<'_>) -> Stop,
    ) {
        if resources.is_short_of_pages() {
            self.evict_for_pages(key, resources, turn.now());
        }
        resources.site.allow_lookups(resources.limits.lookups_per_turn);
        let slot = &mut self.slots[key];
        let requests_left = match slot.client {
            Some(client) => self.quotas.requests_left(client, &resources.limits, turn.now()),
            None => u32::MAX,
        };
        let mut cx = resources.context(turn.clock(), requests_left);
        let stop = guarded(|| work(slot, &mut cx));
        if let Some(client) = slot.client {
            self.quotas.spend(client, requests_left - cx.requests_left);
        }
        match stop {
            Ok(stop) => self.settle(key, stop, resources, turn),
            Err(panic) => {
                resources
                    .log
                    .note(format_args!("a bug ended one connection; please report: {panic}"));
                self.close(key, Reason::Panicked, resources, turn.now());
            }
        }
    }

    /// Makes sure that a connection is looked at again when it should be.
    fn settle(&mut self, key: usize, stop: Stop, resources: &mut Resources, turn: &Turn) {
        let slot = &mut self.slots[key];
        match stop {
            Stop::Over(reason) => return self.close(key, reason, resources, turn.now()),
            Stop::Budget | Stop::Needs(_) => {
                if !slot.queued {
                    slot.queued = true;
                    let wait = if let Stop::Needs(wait) = stop { wait } else { Wait::Turn };
                    self.pending.push((key, slot.serial), wait, turn.now());
                }
            }
            Stop::Throttled(until) => {
                self.wheel.schedule(key, until);
                return;
            }
            Stop::Waits => {
                let token = token((key, slot.serial));
                if let Err(error) = slot.transport.watch(&self.registry, token) {
                    resources.log.note(format_args!("a connection cannot be watched: {error}"));
                    return self.close(key, Reason::PeerLost, resources, turn.now());
                }
            }
        }
        let deadline = self.slots[key].wire.deadline(&resources.limits);
        self.wheel.schedule(key, deadline);
    }

    /// What follows the five steps: closes a connection. The kernel removes the descriptor from
    /// the poll.
    fn close(&mut self, key: usize, reason: Reason, resources: &mut Resources, now: Tick) {
        self.wheel.cancel(key);
        let mut slot = self.slots.remove(key);
        slot.wire.end(&mut resources.pages);
        self.turned_away -= usize::from(slot.turned_away);
        if let Some(client) = slot.client {
            self.quotas.leave(client, &resources.limits, now);
        }
        if reason == Reason::Stalled {
            slot.transport.abandon();
        }
        if reason == Reason::FileFailed {
            resources.log.note(format_args!(
                "an answer was cut off: its file changed, or could not be read"
            ));
        }
        self.closed += 1;
    }

    /// True if at least one connection can be evicted.
    pub(super) fn has_evictable(&self, limits: &Limits, now: Tick) -> bool {
        self.slots.iter().any(|(_, slot)| slot.wire.standing(limits, now).evictable.is_some())
    }

    /// Closes a share of the connections that can be evicted. Returns how many.
    pub(super) fn evict(&mut self, resources: &mut Resources, now: Tick) -> usize {
        let candidates = self.slots.iter().filter_map(|(key, slot)| {
            Some((slot.wire.standing(&resources.limits, now).evictable?, key))
        });
        let chosen = evict::choose(candidates);
        for &key in &chosen {
            self.close(key, Reason::MadeRoom, resources, now);
        }
        chosen.len()
    }

    /// Closes the connections that have held a page longest, but not `worker`. An honest head
    /// arrives within a moment; the client that has held its page longest is slow or hostile.
    fn evict_for_pages(&mut self, worker: usize, resources: &mut Resources, now: Tick) {
        let candidates = self.slots.iter().filter(|(key, _)| *key != worker);
        let candidates = candidates.filter_map(|(key, slot)| {
            Some((slot.wire.standing(&resources.limits, now).holds_page_since?, key))
        });
        for key in evict::choose(candidates) {
            self.close(key, Reason::OutOfPages, resources, now);
        }
    }

    /// The server stops: every connection is looked at in the next turns, like other pending work,
    /// because there may be ten thousand.
    pub(super) fn drain(&mut self) {
        for (key, slot) in &mut self.slots {
            if !slot.queued {
                slot.queued = true;
                self.pending.push_ready((key, slot.serial));
            }
        }
    }
}

/// Slots beyond the limit, for connections that are told that there is none.
pub(super) const SPARE_SLOTS: usize = 64;

/// How long one turn works on the jobs of the site.
const JOBS_SLICE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SiteConfig;
    use crate::files::Door;
    use crate::reactor::log::Log;
    use crate::reactor::wire::Pages;
    use crate::site::Site;
    use std::net::Ipv4Addr;
    use std::os::unix::net::UnixStream;

    fn resources(limits: &Limits) -> Resources {
        let root = tempfile::tempdir().unwrap();
        let site = Site::new(root.path(), SiteConfig::default(), limits, Door::best(), 0).unwrap();
        let (pages, limits) = (Pages::new(limits.pages), limits.clone());
        Resources { site, pages, limits, log: Log::default(), draining: false }
    }

    #[test]
    fn a_connection_closed_without_a_response_no_longer_counts_for_its_client() {
        let limits = Limits { connections: 0, connections_per_client: 1, ..Limits::default() };
        let (mut resources, turn) = (resources(&limits), Turn::new());
        let poll = mio::Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let mut connections = Connections::new(registry, &limits, turn.now());
        // All slots are taken, and so are the spare ones.
        connections.turned_away = SPARE_SLOTS;
        let from = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        for _ in 0..2 {
            let (ours, _theirs) = UnixStream::pair().unwrap();
            connections.insert(Transport::plain(ours.into()), from, &mut resources, &turn);
            assert_eq!(connections.len(), 0);
            let admission = connections.quotas.admit(from, &limits, turn.now());
            let Admission::Counted(client) = admission else { panic!("{admission:?}") };
            connections.quotas.leave(client, &limits, turn.now());
        }
    }
}
