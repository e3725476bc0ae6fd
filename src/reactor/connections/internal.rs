//! The connections of the admin listener. They have a small bound of their own: they take no slot
//! of a visitor, and are accepted also when visitors are at their limit.

use slab::Slab;

use crate::clock::Tick;
use crate::net::Transport;

use super::super::resources::Resources;
use super::super::slot::Slot;
use super::super::turn::Turn;
use super::super::wire::READING;
use super::{Connections, Reason, SERIAL_MASK};

/// Most connections to the admin listener at a time.
pub(super) const MOST: usize = 16;

/// Their keys, the oldest first.
#[derive(Debug, Default)]
pub(in crate::reactor) struct Internal {
    keys: Vec<usize>,
}

impl Internal {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// True if one must be closed before another is added.
    pub(super) fn is_full(&self) -> bool {
        self.keys.len() >= MOST
    }

    pub(super) fn push(&mut self, key: usize) {
        self.keys.push(key);
    }

    pub(super) fn remove(&mut self, key: usize) {
        self.keys.retain(|&other| other != key);
    }

    /// The one to close for another: the one that can be evicted most readily; otherwise the oldest
    /// that has sent no complete request. A probe sends its request at once, so clients that send
    /// none must not keep it out, not even for the second that visitors have for it.
    pub(super) fn choose(&self, slots: &Slab<Slot>, now: Tick) -> Option<usize> {
        let slot = |key: &usize| slots.get(*key);
        let rank = |key: &usize| Some((slot(key)?.wire.standing(now).evictable?, *key));
        let evictable = self.keys.iter().filter_map(rank).min().map(|(_, key)| key);
        let is_asking = |key: &usize| slot(key).is_some_and(|slot| slot.wire.state() <= READING);
        evictable.or_else(|| self.keys.iter().copied().find(is_asking))
    }

    /// Adds a connection that came to the admin listener, and drives it. Beyond their bound, one
    /// without a response in progress is closed, or this one if there is none.
    pub(in crate::reactor) fn insert(
        connections: &mut Connections,
        transport: Transport,
        resources: &mut Resources,
        turn: &Turn,
    ) {
        if connections.internal.is_full() {
            match connections.internal.choose(&connections.slots, turn.now()) {
                Some(key) => connections.close(key, Reason::MadeRoom, resources, turn),
                None => return,
            }
        }
        connections.serial = connections.serial.wrapping_add(1) & SERIAL_MASK;
        let mut slot = Slot::new(transport, connections.serial, None, turn.now());
        slot.internal = true;
        let key = connections.insert_slot(slot);
        connections.internal.push(key);
        connections.work(key, resources, turn, Slot::drive);
    }
}
