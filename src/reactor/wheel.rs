//! The timer wheel: one timer per connection.
//!
//! A hashed wheel with one doubly linked list per slot; all operations are O(1). It is lazy: a
//! timer is moved only to an earlier time. If the deadline of a connection moved to a later time,
//! its timer expires too early; the caller then computes the deadline and sets the timer again. So
//! a keep-alive request touches no list.

use crate::clock::Tick;

/// Milliseconds per slot: a timer may expire that much too late.
const GRAIN_MS: u64 = 64;

/// Slots (131 s). A timer beyond the last one expires there, and the caller sets it again.
const SLOTS: usize = 2048;

const WORDS: usize = SLOTS / 64;
const NONE: u32 = u32::MAX;
const UNSET: u64 = u64::MAX;

/// The wheel. Keys are small numbers, such as those of a slab.
#[derive(Debug)]
pub struct Wheel {
    heads: Box<[u32; SLOTS]>,
    /// One bit per slot: set if the slot has a timer.
    occupied: [u64; WORDS],
    links: Vec<Link>,
    /// All slots up to this one, counted from tick 0, have expired.
    now: u64,
    /// No key is due before this slot.
    earliest: u64,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
    /// The slot, counted from tick 0; [`UNSET`]: not in any list.
    due: u64,
}

impl Wheel {
    /// An empty wheel; no timer may be set before `now`.
    pub fn new(now: Tick) -> Wheel {
        Wheel {
            heads: Box::new([NONE; SLOTS]),
            occupied: [0; WORDS],
            links: Vec::new(),
            now: now.0 / GRAIN_MS,
            earliest: 0,
        }
    }

    /// Sets the timer of `key`: it expires at most [`GRAIN_MS`] after `deadline`, rarely before it.
    #[inline]
    pub fn schedule(&mut self, key: usize, deadline: Tick) {
        let furthest = self.now + SLOTS as u64 - 1; // widening
        let due = (deadline.0 / GRAIN_MS + 1).clamp(self.now + 1, furthest);
        if self.links.get(key).is_some_and(|link| link.due <= due) {
            return; // it expires early enough; the caller then sets it again
        }
        self.advance(key, due);
    }

    /// Moves the timer of `key` to an earlier slot.
    #[inline(never)]
    fn advance(&mut self, key: usize, due: u64) {
        self.cancel(key);
        self.link(key, due);
    }

    /// Removes the timer of `key`.
    pub fn cancel(&mut self, key: usize) {
        let Some(&Link { previous, next, due }) = self.links.get(key) else { return };
        if due == UNSET {
            return;
        }
        self.links[key].due = UNSET;
        if next != NONE {
            self.links[index(next)].previous = previous;
        }
        if previous != NONE {
            self.links[index(previous)].next = next;
            return;
        }
        let slot = slot_of(due);
        self.heads[slot] = next;
        if next == NONE {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
    }

    /// Removes a key that is due at `now`, if there is one, and returns it.
    pub fn expire(&mut self, now: Tick) -> Option<usize> {
        let target = now.0 / GRAIN_MS;
        let Some(due) = self.next_slot().filter(|&due| due <= target) else {
            self.now = self.now.max(target);
            return None;
        };
        let slot = slot_of(due);
        let key = index(self.heads[slot]);
        self.cancel(key);
        if self.heads[slot] == NONE {
            self.now = due;
        }
        Some(key)
    }

    /// When the next key is due; `None` if none is set.
    pub fn next_due(&mut self) -> Option<Tick> {
        self.next_slot().map(|due| Tick(due * GRAIN_MS))
    }

    /// The first occupied slot. Checks up to 64 bits at a time, and never checks a slot again that
    /// was empty, so that a turn in which nothing is due has little work.
    fn next_slot(&mut self) -> Option<u64> {
        let end = self.now + SLOTS as u64; // widening; every key is due after `now` and before this
        let mut due = self.earliest.max(self.now + 1);
        while due < end {
            let bits = self.occupied[slot_of(due) / 64] >> (due % 64);
            if bits != 0 {
                due += u64::from(bits.trailing_zeros());
                break;
            }
            due = (due | 63) + 1;
        }
        self.earliest = due.min(end);
        (due < end).then_some(due)
    }

    fn link(&mut self, key: usize, due: u64) {
        if key >= self.links.len() {
            self.links.resize(key + 1, Link { previous: NONE, next: NONE, due: UNSET });
        }
        let small = u32::try_from(key).expect("keys are below the bound on connections");
        self.earliest = self.earliest.min(due);
        let slot = slot_of(due);
        let next = self.heads[slot];
        self.links[key] = Link { previous: NONE, next, due };
        if next != NONE {
            self.links[index(next)].previous = small;
        }
        self.heads[slot] = small;
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }
}

fn slot_of(due: u64) -> usize {
    usize::try_from(due % SLOTS as u64).expect("a remainder of SLOTS is a usize")
}

fn index(key: u32) -> usize {
    usize::try_from(key).expect("a key was made from a usize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn expire_all(wheel: &mut Wheel, now: Tick) -> Vec<usize> {
        let mut keys: Vec<usize> = std::iter::from_fn(|| wheel.expire(now)).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn a_timer_comes_up_at_its_deadline_or_a_grain_later_never_before() {
        let mut wheel = Wheel::new(Tick(1000));
        wheel.schedule(7, Tick(2000));
        assert_eq!(wheel.expire(Tick(2000)), None);
        let next = wheel.next_due().unwrap();
        assert!(next > Tick(2000) && next <= Tick(2000 + GRAIN_MS));
        assert_eq!(expire_all(&mut wheel, next), [7]);
        assert_eq!(wheel.next_due(), None);
    }

    #[test]
    fn a_timer_moves_to_an_earlier_time_but_not_to_a_later_one() {
        let mut wheel = Wheel::new(Tick(0));
        wheel.schedule(0, Tick(1000));
        wheel.schedule(0, Tick(5000));
        assert!(wheel.next_due().unwrap() <= Tick(1000 + GRAIN_MS));
        wheel.schedule(0, Tick(500));
        assert!(wheel.next_due().unwrap() <= Tick(500 + GRAIN_MS));
        wheel.cancel(0);
        assert_eq!(wheel.next_due(), None);
    }

    #[test]
    fn a_deadline_beyond_the_horizon_comes_up_at_the_horizon() {
        let mut wheel = Wheel::new(Tick(0));
        wheel.schedule(0, Tick(u64::MAX / 2));
        let horizon = (SLOTS as u64 - 1) * GRAIN_MS;
        assert_eq!(wheel.next_due(), Some(Tick(horizon)));
        assert_eq!(expire_all(&mut wheel, Tick(horizon)), [0]);
    }

    #[test]
    fn a_jump_over_several_rounds_expires_everything_once() {
        let mut wheel = Wheel::new(Tick(0));
        for key in 0..100 {
            wheel.schedule(key, Tick(key as u64 * 1000));
        }
        assert_eq!(expire_all(&mut wheel, Tick(10_000_000)), Vec::from_iter(0..100));
        assert_eq!(wheel.next_due(), None);
    }

    proptest! {
        /// Compares the wheel with a model: a sorted map of deadlines.
        #[test]
        fn every_timer_expires_once_and_in_time(
            actions in prop::collection::vec((0_usize..8, 0_u64..200_000, 0_u64..5_000), 1..100)
        ) {
            let mut wheel = Wheel::new(Tick(0));
            let mut model: BTreeMap<usize, u64> = BTreeMap::new();
            let mut now = 0;
            for (key, delay, pass) in actions {
                wheel.schedule(key, Tick(now + delay));
                let due = now + delay.min((SLOTS as u64 - 2) * GRAIN_MS);
                model.entry(key).and_modify(|set| *set = due.min(*set)).or_insert(due);
                now += pass;
                while let Some(key) = wheel.expire(Tick(now)) {
                    let due = model.remove(&key).expect("it was set");
                    prop_assert!(due <= now, "{key} was due at {due}, not at {now}");
                }
                for (&key, &due) in &model {
                    prop_assert!(due + 2 * GRAIN_MS > now, "{key} was due at {due}, now {now}");
                }
                let soonest = model.values().min().map(|due| due / GRAIN_MS + 1);
                prop_assert_eq!(wheel.next_due(), soonest.map(|slot| Tick(slot * GRAIN_MS)));
            }
        }
    }
}
