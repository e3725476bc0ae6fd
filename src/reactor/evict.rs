//! Which connections are closed when slots, descriptors or pages run out.
//!
//! To find them means to look at every slot. So a share of those found is closed at a time; spread
//! over them, the search costs a few dozen slots for each connection closed.

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
    use crate::clock::Tick;
    use crate::machine::Evictable;

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
