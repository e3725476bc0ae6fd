//! All connections: their slots, timers, queues and quotas, and what happens to each in a turn.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use mio::Registry;
use slab::Slab;

use crate::clock::Tick;
use crate::config::{Limits, Opening, TrustedProxies};
use crate::http::status::{Failure, Status};
use crate::journal::{About, Kind};
use crate::net::Transport;
use crate::site::{Channel, Wait};

use super::census::{Census, States};
use super::clients::Clients;
use super::counts::{Counts, Limited};
use super::evict::{self, Victims};
use super::panics::guarded;
use super::pending::{Id, Pending};
use super::resources::Resources;
use super::slot::{Client, Path, Slot, Stop};
use super::turn::{Effort, Share, Turn};
use super::wheel::Wheel;
use super::wire::{Context, Event, Evictable, Pools, Reason, Wire};
use super::{SERIAL_MASK, token};

mod internal;

pub(super) use internal::Internal;

/// The connections, and when to look at each.
#[derive(Debug)]
pub(super) struct Connections {
    slots: Slab<Slot>,
    /// The serial number of the connection accepted last.
    serial: u32,
    wheel: Wheel,
    pending: Pending,
    /// Connections whose time is over; empty between two turns.
    expired: Vec<Id>,
    clients: Clients,
    /// Connections that were told that there is no room for them, and are not closed yet; the first
    /// of them first. They do not count towards the limit, but there are at most [`SPARE_SLOTS`].
    turned_away: Vec<usize>,
    /// Those that came to the admin listener. They do not count towards the limit either.
    internal: Internal,
    census: Census,
    pub(super) counts: Counts,
    /// The connections to evict next.
    victims: Victims,
    /// The server stops, and idle connections are closed.
    closes_idle: bool,
    registry: Registry,
}

impl Connections {
    /// A table for as many connections as the limits allow, whose events go to `registry`.
    pub(super) fn new(registry: Registry, limits: &Limits, now: Tick) -> Connections {
        Connections {
            // All at once: memory that is never touched costs nothing, and a growing slab would
            // copy itself while connections wait.
            slots: Slab::with_capacity(limits.connections + SPARE_SLOTS + internal::MOST),
            serial: 0,
            wheel: Wheel::new(now),
            pending: Pending::default(),
            expired: Vec::new(),
            clients: Clients::default(),
            turned_away: Vec::new(),
            internal: Internal::default(),
            census: Census::default(),
            counts: Counts::default(),
            victims: Victims::new(now),
            closes_idle: false,
            registry,
        }
    }

    /// Trusts these peers to name the clients that they connect for.
    pub(super) fn trust(&mut self, proxies: TrustedProxies) {
        self.clients.trust(proxies);
    }

    /// How many connections were refused because their client has too many.
    pub(super) fn refused(&self) -> u64 {
        self.clients.refused()
    }

    /// How many requests of trusted peers had a malformed list of clients.
    pub(super) fn malformed_lists(&self) -> u64 {
        self.clients.malformed_lists()
    }

    /// How many there are, without those that came to the admin listener.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.internal.len()
    }

    /// How many count towards the limit: of these, all but those that were turned away.
    pub(super) fn admitted(&self) -> usize {
        self.len() - self.turned_away.len()
    }

    /// How many have been closed so far.
    #[inline]
    pub(super) fn closed(&self) -> u64 {
        self.counts.closed()
    }

    /// How many are not between two requests.
    pub(super) fn busy(&self) -> usize {
        let is_busy = |slot: &Slot| !slot.internal && !slot.wire.is_idle();
        self.slots.iter().filter(|(_, slot)| is_busy(slot)).count()
    }

    /// Counts them by state; see [`Census::take`].
    pub(super) fn census(&mut self) -> Option<States> {
        self.census.take(&self.slots)
    }

    /// The slot of this connection, unless it was closed.
    #[inline]
    fn slot(&mut self, (key, serial): Id) -> Option<&mut Slot> {
        self.slots.get_mut(key).filter(|slot| slot.serial == serial)
    }

    /// When the next timer or queue is due; a tick in the past means at once.
    pub(super) fn due(&mut self) -> Option<Tick> {
        [self.wheel.next_due(), self.pending.due()].into_iter().flatten().min()
    }

    /// Adds a connection, and drives it. At the limit, another connection is evicted for it. If
    /// none can be evicted, or its client has too many connections, it takes a spare slot, in which
    /// it is answered 503; without a spare slot, it is closed. Returns how much work that was.
    pub(super) fn insert(
        &mut self,
        transport: Transport,
        address: Option<IpAddr>,
        opening: Opening,
        resources: &mut Resources,
        turn: &Turn,
    ) -> Effort {
        let now = turn.now();
        self.serial = self.serial.wrapping_add(1) & SERIAL_MASK;
        let mut slot = Slot::new(transport, self.serial, address, now);
        self.counts.accepted += 1;
        let admitted = if opening.proxy_protocol && self.clients.trusts(address) {
            slot.wire = Wire::introduction(now);
            true
        } else {
            self.clients.admit(&mut slot, false, &resources.limits, now)
        };
        let turned_away = !admitted || !self.make_room(resources, turn);
        if turned_away && !self.make_spare_room(resources, turn) {
            self.clients.leave(slot.client, &resources.limits, now);
            self.counts.close(Reason::MadeRoom);
            return Effort::default();
        }
        slot.turned_away = turned_away;
        slot.sniffs = resources.h2c && !turned_away && slot.takes_h2c();
        resources.open(&slot, self.slots.len() + 1);
        let key = self.insert_slot(slot);
        if turned_away {
            self.turned_away.push(key);
        }
        self.work(key, resources, turn, |slot, cx, pools, share| {
            if turned_away {
                slot.refuse(NO_ROOM, cx, pools);
            }
            slot.drive(cx, pools, share)
        })
    }

    fn insert_slot(&mut self, slot: Slot) -> usize {
        let key = self.slots.insert(slot);
        self.census.note(key);
        key
    }

    /// The PROXY header of a connection is complete or malformed. Only now the client is known, and
    /// counted; if it has too many connections, this one is answered 503.
    #[inline(never)]
    fn introduce(&mut self, key: usize, resources: &mut Resources, turn: &Turn) {
        let slot = &mut self.slots[key];
        let wire = std::mem::replace(&mut slot.wire, Wire::new(turn.now()));
        let Wire::Introduction(introduction) = wire else { return };
        let source = match introduction.result() {
            Ok(source) => source,
            Err(why) => {
                let peer = Client(slot.address);
                resources.journal.repeat(
                    Kind::ProxyHeader,
                    turn.now(),
                    format_args!("closing the connection of {peer}: PROXY header: {why}"),
                    &About::client(&peer).reason(&why),
                );
                return self.close(key, Reason::BadProxyHeader, resources, turn);
            }
        };
        let relayed = source.is_none() && !introduction.is_local();
        slot.address = source.or(slot.address);
        let (limits, now) = (&resources.limits, turn.now());
        if !self.clients.admit(slot, relayed, limits, now) && !slot.turned_away {
            if !self.make_spare_room(resources, turn) {
                return self.close(key, Reason::MadeRoom, resources, turn);
            }
            self.turned_away.push(key);
            self.slots[key].turned_away = true;
        }
        self.work(key, resources, turn, |slot, cx, pools, share| {
            if slot.turned_away {
                slot.refuse(NO_ROOM, cx, pools);
            }
            slot.drive(cx, pools, share)
        });
    }

    /// Stores an event, and queues its connection.
    #[inline]
    pub(super) fn take_event(&mut self, event: &mio::event::Event, id: Id) {
        let Some(slot) = self.slot(id) else { return };
        slot.transport.note(event);
        if !slot.queued {
            slot.queued = true;
            self.pending.push_ready(id);
        }
    }

    /// Drives the connections in the queue, as far as the time allows; the rest keeps its place.
    pub(super) fn drive_pending(&mut self, resources: &mut Resources, turn: &Turn) {
        self.pending.wake_cold(turn.now());
        let is_working = resources.sites.work_due().is_some_and(|due| due <= turn.now());
        let mut slice = if is_working {
            self.work_on_jobs(resources, turn);
            turn.slice()
        } else {
            turn.first_slice()
        };
        // Those that are added now wait until the next events have been added as well.
        for _ in 0..self.pending.ready() {
            let Some(id) = self.pending.pop_ready() else { return };
            if self.slot(id).is_none() {
                continue;
            }
            let effort = self.work(id.0, resources, turn, |slot, cx, pools, share| {
                slot.queued = false;
                slot.drive(cx, pools, share)
            });
            if slice.is_over(effort) {
                return;
            }
        }
    }

    /// Continues the connections that wait for this job.
    pub(super) fn release(&mut self, job: u64) {
        self.pending.release(job);
    }

    /// True if a connection can continue without a new event.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.ready() > 0
    }

    /// Continues the jobs of the site, such as listings, for a moment.
    fn work_on_jobs(&mut self, resources: &mut Resources, turn: &Turn) {
        let ends = Instant::now() + JOBS_SLICE;
        let sites = &mut resources.sites;
        match guarded(|| sites.work(turn.clock(), &mut || Instant::now() >= ends)) {
            Ok(Some(ended)) => self.pending.release(ended),
            Ok(None) => {}
            Err(panic) => {
                self.pending.release_all();
                resources.journal.repeat(
                    Kind::Panic,
                    turn.now(),
                    format_args!("bug: a listing was given up; please report: {panic}"),
                    &About::default().reason(&panic),
                );
            }
        }
    }

    /// Looks at the timers that are due, as far as the time allows, and until it has found as many
    /// connections whose time is over as can be ended in a turn. Returns true if there are any:
    /// then the events that have arrived meanwhile must be taken before
    /// [`Connections::end_expired`]. The process may have been stopped, or the turn may have been
    /// long, so that a request arrived in time and was not read.
    pub(super) fn take_timers(&mut self, resources: &mut Resources, turn: &Turn) -> bool {
        let Some(first) = self.wheel.expire(turn.now()) else { return false };
        let mut slice = turn.slice();
        self.timer(first, resources, turn);
        while !slice.is_over(Effort::default()) && self.expired.len() < EXPIRED_PER_TURN {
            let Some(key) = self.wheel.expire(turn.now()) else { break };
            self.timer(key, resources, turn);
        }
        !self.expired.is_empty()
    }

    /// A timer came up: perhaps too early, because the connection, or the kernel on its behalf, has
    /// made progress since.
    fn timer(&mut self, key: usize, resources: &mut Resources, turn: &Turn) {
        let now = turn.now();
        let slot = &mut self.slots[key];
        let standing = slot.wire.standing(now);
        let mut deadline = slot.deadline(&resources.limits);
        if deadline <= now
            && standing.unsent
            && slot.transport.was_acknowledged(resources.limits.write_timeout_ms)
        {
            let (mut cx, _) = resources.context(turn.clock(), 0);
            slot.report_acknowledged(&mut cx);
            deadline = slot.deadline(&resources.limits);
        }
        let is_ended = matches!(slot.wire, Wire::Ended { .. });
        if is_ended && !slot.transport.was_acknowledged(resources.limits.write_timeout_ms) {
            slot.wire.report(Event::Timeout, &mut resources.context(turn.clock(), 0).0);
        }
        if deadline <= now && !is_ended {
            self.expired.push((key, slot.serial));
        } else if slot.throttled || is_ended {
            self.work(key, resources, turn, Slot::drive);
        } else {
            self.wheel.schedule(key, deadline);
        }
    }

    /// Ends the waits whose time is over, unless an event came in time.
    pub(super) fn end_expired(&mut self, resources: &mut Resources, turn: &Turn) {
        for id in std::mem::take(&mut self.expired) {
            if self.slot(id).is_none() {
                continue;
            }
            self.work(id.0, resources, turn, |slot, cx, pools, share| {
                let stop = slot.drive(cx, pools, share);
                if matches!(stop, Stop::Over(_) | Stop::Introduced)
                    || slot.deadline(cx.limits) > cx.clock.tick
                {
                    return stop;
                }
                slot.wire.report(Event::Timeout, cx);
                slot.drive(cx, pools, share)
            });
        }
    }

    /// Does some work for a connection, and what follows from it. Returns how much that was.
    fn work(
        &mut self,
        key: usize,
        resources: &mut Resources,
        turn: &Turn,
        work: impl FnOnce(&mut Slot, &mut Context<'_>, &mut Pools, &mut Share) -> Stop,
    ) -> Effort {
        if resources.is_short_of_pages() || resources.is_short_of_memory() {
            self.make_memory_for(key, resources, turn);
        }
        resources.sites.allow_lookups(resources.limits.lookups_per_turn);
        let looked_up = resources.sites.lookups().0;
        let slot = &mut self.slots[key];
        let requests_left = match slot.client {
            Some(client) => self.clients.requests_left(client, &resources.limits, turn.now()),
            None => u32::MAX,
        };
        let (mut cx, pools) = resources.context(turn.clock(), requests_left);
        slot.identify(&mut cx);
        if slot.is_proxy {
            (cx.behind, cx.channel) = (Some(self.clients.behind()), Channel::Proxied);
        }
        let mut share = Share { effort: Effort::default(), failed: None };
        let stop = guarded(|| work(slot, &mut cx, pools, &mut share));
        let (left, behind) = (cx.requests_left, cx.behind);
        if let Some(behind) = behind {
            let malformed = behind.malformed;
            let journal = &mut resources.journal;
            self.clients.note_malformed(malformed, slot.address, journal, turn.now());
        } else if let Some(client) = slot.client {
            self.clients.spend(client, requests_left - left);
        }
        if resources.sites.lookups().0 != looked_up || matches!(stop, Ok(Stop::Budget)) {
            share.effort.long();
        }
        if let Some(path) = share.failed {
            let (path, client) = (Path(&path), Client(slot.address));
            resources.journal.repeat(
                Kind::CutOff,
                turn.now(),
                format_args!(
                    "response cut off: {path} changed or became unreadable while being sent to \
                     {client}"
                ),
                &About::client(&client).path(&path).reason(&"it changed or became unreadable"),
            );
        }
        self.slots[key].count_held(&mut resources.pages.held);
        match stop {
            Ok(stop) => self.settle(key, stop, resources, turn),
            Err(panic) => {
                let client = Client(self.slots[key].address);
                resources.journal.repeat(
                    Kind::Panic,
                    turn.now(),
                    format_args!(
                        "bug: the connection of {client} was closed; please report: {panic}"
                    ),
                    &About::client(&client).reason(&panic),
                );
                self.close(key, Reason::Panicked, resources, turn);
            }
        }
        share.effort
    }

    /// Makes sure that a connection is looked at again when it should be.
    #[inline(always)]
    fn settle(&mut self, key: usize, stop: Stop, resources: &mut Resources, turn: &Turn) {
        match stop {
            Stop::Waits if !self.closes_idle => self.watch(key, resources, turn),
            _ => self.settle_rare(key, stop, resources, turn),
        }
    }

    #[inline(never)]
    fn settle_rare(&mut self, key: usize, stop: Stop, resources: &mut Resources, turn: &Turn) {
        let (limits, now) = (&resources.limits, turn.now());
        let slot = &mut self.slots[key];
        match stop {
            Stop::Waits if self.closes_idle && !slot.internal && slot.wire.is_idle() => {
                self.close(key, Reason::Stopped, resources, turn);
            }
            Stop::Waits => self.watch(key, resources, turn),
            Stop::Over(reason) => {
                let (ends, terminal) = (resources.draining, &mut resources.pools.terminal);
                let kept = || slot.keep_unacknowledged(reason, limits, terminal, now);
                match (!ends).then(kept).flatten() {
                    None => self.close(key, reason, resources, turn),
                    Some(wire) => {
                        resources.end(wire);
                        self.watch(key, resources, turn);
                    }
                }
            }
            Stop::Budget | Stop::Needs(_) => {
                if !slot.queued {
                    slot.queued = true;
                    let wait = if let Stop::Needs(wait) = stop { wait } else { Wait::Turn };
                    self.pending.push((key, slot.serial), wait, now);
                }
                self.wheel.schedule(key, slot.wake_at(limits, now));
            }
            Stop::Introduced => self.introduce(key, resources, turn),
            Stop::Throttled(until) => self.wheel.schedule(key, until),
        }
    }

    /// Waits for an event of a connection, or for its timer.
    #[inline(always)]
    fn watch(&mut self, key: usize, resources: &mut Resources, turn: &Turn) {
        let (limits, now) = (&resources.limits, turn.now());
        let slot = &mut self.slots[key];
        if let Err(error) = slot.transport.watch(&self.registry, token((key, slot.serial))) {
            let client = Client(slot.address);
            resources.journal.repeat(
                Kind::Poll,
                now,
                format_args!("closing the connection of {client}: the poll refuses it: {error}"),
                &About::client(&client).reason(&error),
            );
            return self.close(key, Reason::PeerLost, resources, turn);
        }
        self.wheel.schedule(key, slot.wake_at(limits, now));
    }

    /// What follows the five steps: closes a connection. The kernel removes the descriptor from
    /// the poll.
    fn close(&mut self, key: usize, reason: Reason, resources: &mut Resources, turn: &Turn) {
        let now = turn.now();
        self.wheel.cancel(key);
        let mut slot = self.slots.remove(key);
        slot.release_held(&mut resources.pages.held);
        let unsent = slot.wire.standing(now).unsent;
        resources.end(slot.wire);
        if slot.turned_away {
            self.turned_away.retain(|&other| other != key);
        }
        self.clients.leave(slot.client, &resources.limits, now);
        match reason {
            Reason::OutOfPages if !unsent => {
                let client = (slot.address, slot.internal);
                resources.send_unavailable(&mut slot.transport, client, turn.clock());
            }
            Reason::Stalled => slot.transport.abandon(),
            Reason::MadeRoom | Reason::OutOfPages if unsent => slot.transport.abandon(),
            _ => slot.transport.part(&mut resources.pools.terminal),
        }
        if slot.internal {
            return self.internal.remove(key);
        }
        self.counts.close(reason);
        resources.log_closed(&Client(slot.address), reason);
    }

    /// Evicts a connection if as many as are allowed are admitted. Returns false if none can be
    /// evicted.
    fn make_room(&mut self, resources: &mut Resources, turn: &Turn) -> bool {
        self.admitted() < resources.limits.connections || self.evict(resources, turn)
    }

    /// Makes a spare slot free: if all are taken, a connection that was turned away is evicted.
    /// Returns false if none can be evicted.
    fn make_spare_room(&mut self, resources: &mut Resources, turn: &Turn) -> bool {
        self.turned_away.len() < SPARE_SLOTS || self.evict_turned_away(resources, turn)
    }

    /// True if a spare slot is free, or can be made free, for a connection that is turned away.
    pub(super) fn can_turn_away(&self, turn: &Turn) -> bool {
        self.turned_away.len() < SPARE_SLOTS || self.first_turned_away(turn).is_some()
    }

    /// The one that has lingered longest of those that were turned away.
    fn first_turned_away(&self, turn: &Turn) -> Option<usize> {
        let lingers = |key: usize| {
            let evictable = self.slots[key].wire.standing(turn.now()).evictable;
            matches!(evictable, Some(Evictable::Lingering(_)))
        };
        self.turned_away.iter().copied().find(|&key| lingers(key))
    }

    /// Closes one of the connections that were turned away, which have their 503. Returns false if
    /// there is none.
    pub(super) fn evict_turned_away(&mut self, resources: &mut Resources, turn: &Turn) -> bool {
        let Some(key) = self.first_turned_away(turn) else { return false };
        self.close(key, Reason::MadeRoom, resources, turn);
        true
    }

    /// True if a connection that counts towards the limit can be evicted now.
    pub(super) fn can_evict(&mut self, resources: &mut Resources, turn: &Turn) -> bool {
        self.victims.find(&mut self.slots, resources, turn)
    }

    /// Closes one connection that counts towards the limit. Returns false if none can be evicted.
    pub(super) fn evict(&mut self, resources: &mut Resources, turn: &Turn) -> bool {
        if !self.can_evict(resources, turn) {
            return false;
        }
        let Some(key) = self.victims.pop() else { return false };
        self.close(key, Reason::MadeRoom, resources, turn);
        true
    }

    /// Closes connections that hold pages or memory, but not `worker`.
    #[cold]
    fn make_memory_for(&mut self, worker: usize, resources: &mut Resources, turn: &Turn) {
        if resources.is_short_of_pages() {
            for key in evict::for_pages(&self.slots, worker, turn.now()) {
                self.counts.limit(Limited::Pages);
                self.close(key, Reason::OutOfPages, resources, turn);
            }
        }
        if resources.is_short_of_memory() {
            for key in evict::for_memory(&self.slots, worker, turn.now()) {
                self.counts.limit(Limited::Memory);
                self.close(key, Reason::MadeRoom, resources, turn);
            }
        }
    }

    /// The server stops: queues the connections that tell their peer, or all, to close idle ones.
    pub(super) fn drain(&mut self, closes_idle: bool) {
        self.closes_idle = closes_idle;
        let looks_at = |slot: &Slot| !slot.queued && (closes_idle || slot.wire.tells_of_drain());
        for (key, slot) in self.slots.iter_mut().filter(|(_, slot)| looks_at(slot)) {
            slot.queued = true;
            self.pending.push_ready((key, slot.serial));
        }
    }

    /// Ends all responses in progress, because the server ends.
    pub(super) fn give_up(&mut self, resources: &mut Resources) {
        self.slots.drain().for_each(|slot| resources.end(slot.wire));
    }
}

/// The response to a client for which there is no room.
const NO_ROOM: Failure = Failure::new(Status::ServiceUnavailable, "too many connections");

/// Connections that are closed in one turn because their time is over: together at most about a
/// millisecond, although ten thousand may have become idle at the same time.
const EXPIRED_PER_TURN: usize = 128;

/// Slots beyond the limit, for connections that are told that there is none.
const SPARE_SLOTS: usize = 64;

/// How long one turn works on the jobs of the site.
const JOBS_SLICE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests;
