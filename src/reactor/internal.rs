//! The connections that came to the admin listener: a few, beside those of visitors. A crowd there
//! takes no slot of a visitor, and visitors at their limit keep nobody out.

use slab::Slab;

use crate::clock::Tick;

use super::slot::Slot;

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
