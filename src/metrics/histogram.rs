//! A histogram of durations with fixed buckets.

/// Most buckets with an upper bound.
const BUCKETS_MOST: usize = 20;

/// How many durations were at most as long as each bound, and their sum.
#[derive(Clone, Debug)]
pub struct Histogram {
    bounds_us: &'static [u64],
    /// One for each bound, and one for longer durations; the others are unused.
    counts: [u64; BUCKETS_MOST + 1],
    sum_us: u64,
}

impl Histogram {
    /// Without a duration; `bounds_us` ascend, and are at most 20.
    pub const fn new(bounds_us: &'static [u64]) -> Histogram {
        assert!(bounds_us.len() <= BUCKETS_MOST, "a histogram has at most 20 bounds");
        Histogram { bounds_us, counts: [0; BUCKETS_MOST + 1], sum_us: 0 }
    }

    /// Adds a duration in microseconds. Most are short, so the search begins at the first bucket.
    #[inline]
    pub fn observe(&mut self, us: u64) {
        let bucket = self.bounds_us.iter().position(|&bound| us <= bound);
        self.counts[bucket.unwrap_or(self.bounds_us.len())] += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }

    /// Adds this many durations of the same length.
    pub fn observe_many(&mut self, us: u64, count: u64) {
        let bucket = self.bounds_us.iter().position(|&bound| us <= bound);
        self.counts[bucket.unwrap_or(self.bounds_us.len())] += count;
        self.sum_us = self.sum_us.saturating_add(us.saturating_mul(count));
    }

    /// The cells of a [`Snapshot`](super::Snapshot): the count of each bucket, that of longer
    /// durations, and the sum.
    pub fn cells(&self) -> Vec<u64> {
        let counts = &self.counts[..=self.bounds_us.len()];
        counts.iter().copied().chain([self.sum_us]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let mut histogram = Histogram::new(&[10, 20]);
        for us in [0, 10, 11, 20, 21, 1000] {
            histogram.observe(us);
        }
        assert_eq!(histogram.cells(), [2, 2, 2, 1062]);
        histogram.observe_many(15, 3);
        assert_eq!(histogram.cells(), [2, 5, 2, 1107]);
        histogram.observe(u64::MAX);
        assert_eq!(histogram.cells(), [2, 5, 3, u64::MAX]);
    }
}
