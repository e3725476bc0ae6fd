//! The streams that the server has reset lately.

/// Frames of these streams may be on their way (RFC 9113 section 5.1): they are no error.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// The highest number of a stream that was reset.
    newest: u32,
    /// A bit for it, and for each of the streams before it.
    bits: u128,
}

impl Recent {
    /// A stream was reset.
    pub(super) fn add(&mut self, id: u32) {
        if id > self.newest {
            let streams = distance(self.newest, id);
            self.bits = self.bits.checked_shl(streams).unwrap_or(0);
            self.newest = id;
        }
        self.bits |= 1_u128.checked_shl(distance(id, self.newest)).unwrap_or(0);
    }

    /// Whether a stream was reset. One that is so old that this is not known is taken for one that
    /// was.
    pub(super) fn has(&self, id: u32) -> bool {
        if id > self.newest {
            return false;
        }
        self.bits.checked_shr(distance(id, self.newest)).is_none_or(|bits| bits & 1 != 0)
    }
}

/// How many streams a client may have begun from one number to another: they are all odd.
fn distance(from: u32, to: u32) -> u32 {
    (to - from) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_streams_are_known_and_older_ones_are_taken_for_reset() {
        let mut recent = Recent::default();
        assert!(!recent.has(1));
        for id in [9, 5, 13, 1013] {
            recent.add(id);
        }
        recent.add(1015);
        let known: Vec<u32> = (1..1101).step_by(2).filter(|&id| recent.has(id)).collect();
        let expected: Vec<u32> = (1..=759).step_by(2).chain([1013, 1015]).collect();
        assert_eq!(known, expected);
        recent.add(1269);
        assert!(!recent.has(1267) && recent.has(1015) && recent.has(1013));
    }

    #[test]
    fn streams_that_were_not_reset_are_told_from_those_that_were() {
        let mut recent = Recent::default();
        for id in (1..200).step_by(4) {
            recent.add(id);
        }
        assert!((1..200).step_by(2).all(|id| recent.has(id) == (id % 4 == 1)));
    }
}
