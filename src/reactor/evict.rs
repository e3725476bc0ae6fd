//! Which connections are closed when slots, descriptors or pages run out.
//!
//! To find them means to look at every slot. So a share of those found is closed at a time; spread
//! over them, the search costs a few dozen slots for each connection closed.

use crate::clock::Tick;

/// How readily a connection can be evicted; the first variant goes first, and within one the
/// connection that has waited longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Evictable {
    /// Its last response was sent; it absorbs what the peer still sends, since then.
    Lingering(Tick),
    /// It is idle since then.
    Idle(Tick),
    /// A head has been incomplete since then.
    Incomplete(Tick),
}

/// The keys of a share of the candidates: those of the lowest rank.
pub(super) fn choose<R: Ord>(candidates: impl Iterator<Item = (R, usize)>) -> Vec<usize> {
    let mut found: Vec<(R, usize)> = candidates.collect();
    let count = (found.len() / SHARE).max(1).min(found.len());
    if count < found.len() {
        found.select_nth_unstable(count);
    }
    found.drain(..count).map(|(_, key)| key).collect()
}

/// One in this many of the candidates is closed at a time.
const SHARE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_candidates_is_chosen_and_at_least_one() {
        let choose_of = |count: usize| choose((0..count).rev().map(|key| (Tick(key as u64), key)));
        assert_eq!(choose_of(0), []);
        assert_eq!(choose_of(1), [0]);
        assert_eq!(choose_of(127), [0]);
        let mut two = choose_of(128);
        two.sort_unstable();
        assert_eq!(two, [0, 1]);
    }
}
