//! Which response is sent next (RFC 9218 section 10).
//!
//! A response of lower urgency waits until no more urgent one can be sent. Those of one urgency are
//! in two rings: in the order of their streams, one after another; or, if they are incremental, one
//! frame each in turn. The two rings of a level take turns as well. To choose takes constant time.

use super::priority::LEVELS;
use super::stream::Key;
use super::streams::Streams;

/// The streams that have something to send and may send it.
#[derive(Debug)]
pub(super) struct Schedule {
    /// The first stream of each ring, in order and incremental, or [`NONE`].
    rings: [[Key; 2]; LEVELS],
    /// A bit for each level that has a stream.
    levels: u8,
    /// Which ring is next where both have streams.
    turn: u8,
}

/// No stream: a table has fewer.
const NONE: Key = Key::MAX;

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule { rings: [[NONE; 2]; LEVELS], levels: 0, turn: 0 }
    }
}

impl Schedule {
    /// True if no stream may send.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.levels == 0
    }

    /// The stream that sends the next frame.
    #[inline]
    pub(super) fn first(&self) -> Option<Key> {
        if self.levels == 0 {
            return None;
        }
        let rings = &self.rings[self.levels.trailing_zeros() as usize]; // at most 7
        let turn = usize::from(self.turn);
        let key = rings[turn];
        Some(if key == NONE { rings[1 - turn] } else { key })
    }

    /// True if no stream but this one may send.
    pub(super) fn is_alone(&self, streams: &Streams, key: Key) -> bool {
        let rings = &self.rings[self.levels.trailing_zeros() as usize % LEVELS]; // at most 8
        let is_only = self.levels.is_power_of_two() && rings.contains(&NONE);
        self.levels == 0 || (is_only && rings.contains(&key) && streams[key].next == key)
    }

    /// The first stream has sent a frame, and has more to send.
    #[inline]
    pub(super) fn advance(&mut self, streams: &Streams) {
        let Some(key) = self.first() else { return };
        let stream = &streams[key];
        let ring = usize::from(stream.priority.incremental);
        let rings = &mut self.rings[usize::from(stream.priority.urgency)];
        if ring == 1 {
            rings[1] = stream.next;
        }
        if rings[1 - ring] != NONE {
            self.turn = 1 - self.turn;
        }
    }

    /// Adds a stream at the end of its ring, or in the order of numbers.
    pub(super) fn add(&mut self, streams: &mut Streams, key: Key) {
        if streams[key].is_scheduled {
            return;
        }
        streams[key].is_scheduled = true;
        let priority = streams[key].priority;
        let ring = usize::from(priority.incremental);
        let head = &mut self.rings[usize::from(priority.urgency)][ring];
        self.levels |= 1 << priority.urgency;
        let first = *head;
        if first == NONE {
            *head = key;
            (streams[key].next, streams[key].previous) = (key, key);
            return;
        }
        let mut behind = streams[first].previous;
        if !priority.incremental {
            let id = streams[key].id;
            // Nearly always, the new stream has the highest number.
            while streams[behind].id > id && behind != first {
                behind = streams[behind].previous;
            }
            if streams[behind].id > id {
                behind = streams[first].previous;
                *head = key;
            }
        }
        let ahead = streams[behind].next;
        (streams[key].next, streams[key].previous) = (ahead, behind);
        streams[behind].next = key;
        streams[ahead].previous = key;
    }

    /// Takes a stream out of its ring, if it is in one.
    pub(super) fn remove(&mut self, streams: &mut Streams, key: Key) {
        if !streams[key].is_scheduled {
            return;
        }
        let stream = &mut streams[key];
        stream.is_scheduled = false;
        let (next, previous, priority) = (stream.next, stream.previous, stream.priority);
        streams[previous].next = next;
        streams[next].previous = previous;
        let rings = &mut self.rings[usize::from(priority.urgency)];
        let head = &mut rings[usize::from(priority.incremental)];
        if *head == key {
            *head = if next == key { NONE } else { next };
        }
        if *rings == [NONE; 2] {
            self.levels &= !(1 << priority.urgency);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::priority::Priority;
    use super::super::stream::{Source, Work};
    use super::super::window::Window;
    use super::*;

    /// A stream of each of these priorities, and the numbers in the order in which `frames` frames
    /// are sent if each has `each` of them.
    fn order(priorities: &[&str], each: usize) -> Vec<u32> {
        let (mut streams, mut schedule) = (Streams::default(), Schedule::default());
        let mut left = Vec::new();
        for (number, text) in priorities.iter().enumerate() {
            let id = 2 * u32::try_from(number).unwrap() + 1;
            let key = streams.insert(id, Window::new(1), Work::made(Source::Ended));
            streams[key].priority = match *text {
                "-" => Priority::NONE,
                text => Priority::parse(text.as_bytes()),
            };
            left.push(each);
            schedule.add(&mut streams, key);
        }
        let mut sent = Vec::new();
        while let Some(key) = schedule.first() {
            sent.push(streams[key].id);
            let left = &mut left[usize::from(key)];
            *left -= 1;
            if *left > 0 {
                schedule.advance(&streams);
            } else {
                schedule.remove(&mut streams, key);
            }
        }
        sent
    }

    #[test]
    fn urgent_responses_go_first_and_incremental_ones_share() {
        for (priorities, expected) in [
            (&["-", "-"][..], &[1, 3, 1, 3][..]),
            (&["u=3", "u=3"], &[1, 1, 3, 3]),
            (&["u=5", "u=1"], &[3, 3, 1, 1]),
            (&["u=7, i", "u=0, i", "u=0, i"], &[3, 5, 3, 5, 1, 1]),
            (&["i", "", "i", "u=2"], &[7, 7, 3, 1, 3, 5, 1, 5]),
        ] {
            assert_eq!(order(priorities, 2), expected, "{priorities:?}");
        }
    }

    #[test]
    fn a_stream_that_may_send_again_is_put_in_order_whatever_came_and_went() {
        let (mut streams, mut schedule) = (Streams::default(), Schedule::default());
        let mut keys = Vec::new();
        for id in [1, 3, 5, 7] {
            let key = streams.insert(id, Window::new(1), Work::made(Source::Ended));
            streams[key].priority = Priority::parse(b"u=4");
            keys.push(key);
        }
        for added in [[1, 3, 0, 2], [3, 2, 1, 0], [0, 1, 2, 3], [2, 0, 3, 1]] {
            for at in added {
                schedule.add(&mut streams, keys[at]);
                schedule.add(&mut streams, keys[at]);
            }
            for id in [1, 3, 5, 7] {
                let key = schedule.first().unwrap();
                assert_eq!(streams[key].id, id);
                schedule.remove(&mut streams, key);
                schedule.remove(&mut streams, key);
            }
            assert!(schedule.is_empty());
        }
    }
}
