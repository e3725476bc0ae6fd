//! Which connections are closed when slots, descriptors or pages run out.
//!
//! To find them means to look at every slot. So a share of those found is closed at a time; spread
//! over them, the search costs a few dozen slots for each connection closed.

use std::cmp::Reverse;

use slab::Slab;

use crate::clock::Tick;
use crate::machine::Evictable;

use super::pending::Id;
use super::resources::Resources;
use super::slot::Slot;
use super::turn::Turn;

/// Connections to evict. The search for them looks at every slot, so what it finds is kept for a
/// moment.
#[derive(Debug)]
pub(super) struct Victims {
    /// The first to evict is at the end; checked again before each use.
    chosen: Vec<(Evictable, Id)>,
    /// When they were chosen.
    since: Tick,
}

impl Victims {
    pub(super) fn new(now: Tick) -> Victims {
        Victims { chosen: Vec::new(), since: now }
    }

    /// True if a connection that counts towards the limit can be evicted now.
    pub(super) fn find(
        &mut self,
        slots: &mut Slab<Slot>,
        resources: &mut Resources,
        turn: &Turn,
    ) -> bool {
        if self.drop_stale(slots, resources, turn) {
            return true;
        }
        let now = turn.now();
        let candidates = slots
            .iter()
            .filter(|(_, slot)| !slot.turned_away && !slot.internal)
            .filter_map(|(key, slot)| Some((slot.wire.standing(now).evictable?, key)));
        let chosen = choose(candidates, CANDIDATES).rev(); // the last is evicted first
        let victim = |(rank, key): (Evictable, usize)| (rank, (key, slots[key].serial));
        self.chosen.extend(chosen.map(victim));
        self.since = now;
        self.drop_stale(slots, resources, turn)
    }

    /// Drops the victims at the end that can no longer be evicted. Returns false if none is left.
    fn drop_stale(
        &mut self,
        slots: &mut Slab<Slot>,
        resources: &mut Resources,
        turn: &Turn,
    ) -> bool {
        if turn.now().since(self.since) >= VICTIMS_MS {
            self.chosen.clear();
        }
        while let Some(&(rank, id)) = self.chosen.last() {
            if is_evictable(slots, rank, id, resources, turn) {
                return true;
            }
            self.chosen.pop();
        }
        false
    }

    /// The key of the connection that [`Victims::find`] has found.
    pub(super) fn pop(&mut self) -> Option<usize> {
        self.chosen.pop().map(|(_, (key, _))| key)
    }
}

/// Whether a connection is still as evictable as it was, and the peer accepts nothing.
fn is_evictable(
    slots: &mut Slab<Slot>,
    rank: Evictable,
    (key, serial): Id,
    resources: &mut Resources,
    turn: &Turn,
) -> bool {
    let Some(slot) = slots.get_mut(key).filter(|slot| slot.serial == serial) else {
        return false;
    };
    let now = turn.now();
    if slot.wire.standing(now).evictable != Some(rank) {
        return false;
    }
    let Evictable::Stuck(since) = rank else { return true };
    if !slot.transport.was_acknowledged(now.since(since)) {
        return true;
    }
    slot.report_acknowledged(&mut resources.context(turn.clock(), 0).0);
    slot.wire.standing(now).evictable == Some(rank)
}

/// The connections that have held a page longest, but not `worker`. An honest head arrives within a
/// moment; the client that has held its page longest is slow or hostile.
pub(super) fn for_pages(slots: &Slab<Slot>, worker: usize, now: Tick) -> Vec<usize> {
    let others = slots.iter().filter(|(key, _)| *key != worker);
    let candidates =
        others.filter_map(|(key, slot)| Some((slot.wire.standing(now).holds_page_since?, key)));
    choose(candidates, 1).map(|(_, key)| key).collect()
}

/// The connections that hold most besides pages, but not `worker`: first those that could be
/// evicted anyhow, so that clients which make progress go last.
pub(super) fn for_memory(slots: &Slab<Slot>, worker: usize, now: Tick) -> Vec<usize> {
    let others = slots.iter().filter(|(key, _)| *key != worker);
    let candidates = others.filter_map(|(key, slot)| {
        let bytes = slot.counted_bytes();
        let makes_progress = slot.wire.standing(now).evictable.is_none();
        (bytes > 0).then_some(((makes_progress, Reverse(bytes)), key))
    });
    choose(candidates, 1).map(|(_, key)| key).collect()
}

/// How long a choice of victims is used, in milliseconds: others may be more evictable by then.
const VICTIMS_MS: u64 = 20;

/// Connections chosen for eviction at a time, at least: some may turn out to make progress.
const CANDIDATES: usize = 16;

/// The candidates with the lowest rank, in order: a share of them, and `least` if there are that
/// many.
pub(super) fn choose<R: Ord>(
    candidates: impl Iterator<Item = (R, usize)>,
    least: usize,
) -> impl DoubleEndedIterator<Item = (R, usize)> {
    let mut found: Vec<(R, usize)> = candidates.collect();
    let count = (found.len() / SHARE).max(least).min(found.len());
    if count < found.len() {
        found.select_nth_unstable(count);
    }
    found.truncate(count);
    found.sort_unstable();
    found.into_iter()
}

/// One in this many of the candidates is chosen at a time.
const SHARE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_candidates_is_chosen_lowest_rank_first() {
        let choose_of = |count: usize| {
            let candidates = (0..count).rev().map(|key| (Tick(key as u64), key));
            choose(candidates, 2).map(|(_, key)| key).collect::<Vec<_>>()
        };
        assert!(choose_of(0).is_empty());
        assert_eq!(choose_of(1), [0]);
        assert_eq!(choose_of(100), [0, 1]);
        assert_eq!(choose_of(6400), Vec::from_iter(0..100));
    }

    #[test]
    fn the_order_is_lingering_incomplete_idle_stuck() {
        use Evictable::*;
        let order = [
            Lingering(Tick(9)),
            Incomplete(Tick(1)),
            Incomplete(Tick(2)),
            Idle(Tick(0)),
            Stuck(Tick(0)),
        ];
        assert!(order.is_sorted());
    }
}
