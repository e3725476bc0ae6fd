//! How long the turns of the loop take: one thread serves everybody, so a long turn is a wait for
//! everybody.

use std::time::Duration;

/// Turns counted by length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// `counts[n]` turns took less than 2^n microseconds, and not less than half of that; the
    /// last takes the rest.
    pub counts: [u64; Turns::CLASSES],
    /// The longest so far.
    pub longest: Duration,
}

impl Turns {
    /// Classes of lengths: the last begins at about a second.
    pub const CLASSES: usize = 22;

    /// Counts a turn.
    pub(super) fn count(&mut self, length: Duration) {
        let bits = u128::BITS - length.as_micros().leading_zeros();
        let class = usize::try_from(bits).unwrap_or(usize::MAX);
        self.counts[class.min(Turns::CLASSES - 1)] += 1;
        self.longest = self.longest.max(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_counted_in_the_class_of_its_length() {
        let mut turns = Turns::default();
        for (micros, class) in [(0, 0), (1, 1), (2, 2), (3, 2), (1023, 10), (1024, 11)] {
            let before = turns.counts[class];
            turns.count(Duration::from_micros(micros));
            assert_eq!(turns.counts[class], before + 1, "{micros}");
        }
        turns.count(Duration::from_secs(1_000_000));
        assert_eq!(turns.counts[Turns::CLASSES - 1], 1);
        assert_eq!(turns.longest, Duration::from_secs(1_000_000));
    }
}
