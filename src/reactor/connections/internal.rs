//! The connections that came to the admin listener: a few, beside those of visitors. A crowd there
//! takes no slot of a visitor, and visitors at their limit keep nobody out.

use slab::Slab;

use crate::clock::Tick;
use crate::net::Transport;

use super::super::census::States;
use super::super::resources::Resources;
use super::super::slot::Slot;
use super::super::turn::Turn;
use super::{Connections, Reason, SERIAL_MASK};

/// Most connections to the admin listener at a time.
pub(super) const MOST: usize = 16;

/// Their keys.
#[derive(Debug, Default)]
pub(super) struct Internal {
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

    /// The one that can be evicted most readily.
    pub(super) fn choose(&self, slots: &Slab<Slot>, now: Tick) -> Option<usize> {
        let rank = |key: &usize| Some((slots.get(*key)?.wire.standing(now).evictable?, *key));
        self.keys.iter().filter_map(rank).min().map(|(_, key)| key)
    }
}

impl Connections {
    /// How many are in each state; `None`: there are more than fit into this turn, and the next
    /// call continues.
    pub(in crate::reactor) fn census(&mut self) -> Option<States> {
        self.census.take(&self.slots)
    }

    /// Adds a connection that came to the admin listener, and drives it. Beyond their bound, the
    /// one that can be evicted most readily is closed, or this one if there is none.
    pub(in crate::reactor) fn insert_internal(
        &mut self,
        transport: Transport,
        resources: &mut Resources,
        turn: &Turn,
    ) {
        if self.internal.is_full() {
            match self.internal.choose(&self.slots, turn.now()) {
                Some(key) => self.close(key, Reason::MadeRoom, resources, turn),
                None => return,
            }
        }
        self.serial = self.serial.wrapping_add(1) & SERIAL_MASK;
        let mut slot = Slot::new(transport, self.serial, None, turn.now());
        slot.internal = true;
        let key = self.insert_slot(slot);
        self.internal.push(key);
        self.work(key, resources, turn, Slot::drive);
    }
}
