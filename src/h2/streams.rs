//! The streams of a connection that are not closed.

use super::priority::Priority;
use super::stream::{Key, Stream, Work};
use super::window::Window;

/// The table of streams. A stream is looked for where its number suggests first.
#[derive(Debug, Default)]
pub(super) struct Streams {
    slots: Vec<Stream>,
    used: u16,
    /// Streams that receive a body, that wait for the site, and whose response is sent.
    receiving: u16,
    asking: u16,
    sending: u16,
    /// Bytes of memory of their work: of archives, and of the rest.
    archive_bytes: usize,
    work_bytes: usize,
}

/// Slots that an idle connection keeps.
const KEPT: usize = 4;

/// The table is doubled, but grows by at most this: to 100 slots, the limit of streams if it is not
/// configured.
const MORE: usize = 36;

impl Streams {
    /// How many there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.used)
    }

    /// True if there is none.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Streams whose request body is received.
    pub(super) fn receiving(&self) -> usize {
        usize::from(self.receiving)
    }

    /// Streams that wait for the site.
    pub(super) fn asking(&self) -> usize {
        usize::from(self.asking)
    }

    /// Streams whose response is sent.
    #[inline]
    pub(super) fn sending(&self) -> usize {
        usize::from(self.sending)
    }

    /// Bytes of memory of what is done for them, without archives.
    #[inline]
    pub(super) fn work_bytes(&self) -> usize {
        self.work_bytes
    }

    /// Bytes of memory, besides the value itself.
    #[inline]
    pub(super) fn held_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Stream>() + self.held_by_work()
    }

    /// Bytes of memory of what is done for them, with archives.
    #[inline]
    pub(super) fn held_by_work(&self) -> usize {
        self.work_bytes + self.archive_bytes
    }

    /// True if another stream would need more memory than an idle connection keeps.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.slots.capacity().max(KEPT)
    }

    /// A response that is made while it is sent takes more memory than before, or less.
    pub(super) fn count_made(&mut self, key: Key) {
        let work = &mut self.slots[usize::from(key)].work;
        let is_archive = work.is_archive();
        if let Work::Made(made) = work {
            let now = made.held_bytes();
            let before = std::mem::replace(&mut made.counted, now);
            self.count_work(is_archive, before, now);
        }
    }

    #[inline]
    fn count_work(&mut self, is_archive: bool, before: usize, now: usize) {
        let bytes = if is_archive { &mut self.archive_bytes } else { &mut self.work_bytes };
        *bytes = *bytes - before + now;
    }

    /// The stream with this number.
    #[inline]
    pub(super) fn find(&self, id: u32) -> Option<Key> {
        if self.used == 0 {
            return None;
        }
        let guess = self.guess(id);
        let (before, behind) = self.slots.split_at(guess);
        let found = behind.iter().position(|stream| stream.id == id).map(|at| at + guess);
        let found = found.or_else(|| before.iter().position(|stream| stream.id == id));
        found.map(key)
    }

    /// Adds a stream; its number is not in the table.
    pub(super) fn insert(&mut self, id: u32, window: Window, work: Work) -> Key {
        let stream = Stream {
            id,
            window,
            next: 0,
            previous: 0,
            priority: Priority::NONE,
            is_scheduled: false,
            is_cold: false,
            is_open: false,
            tries: 0,
            began_ms: 0,
            work: Work::None,
        };
        let place = if self.len() == self.slots.len() {
            if self.slots.len() == self.slots.capacity() {
                self.slots.reserve_exact(self.slots.len().clamp(KEPT, MORE));
            }
            self.slots.push(stream);
            self.slots.len() - 1
        } else {
            let guess = self.guess(id);
            let behind = self.slots[guess..].iter().position(|stream| stream.id == 0);
            let free = behind.map(|at| at + guess);
            let free = free.or_else(|| self.slots.iter().position(|stream| stream.id == 0));
            let place = free.expect("fewer streams than slots");
            self.slots[place] = stream;
            place
        };
        self.used += 1;
        let key = key(place);
        self.set(key, work);
        key
    }

    /// Changes what is done for a stream. Returns what was done before.
    pub(super) fn set(&mut self, key: Key, work: Work) -> Work {
        let place = &mut self.slots[usize::from(key)].work;
        match place {
            Work::None => {}
            Work::Receive(_) => self.receiving -= 1,
            Work::Ask(_) => self.asking -= 1,
            _ => self.sending -= 1,
        }
        match work {
            Work::None => {}
            Work::Receive(_) => self.receiving += 1,
            Work::Ask(_) => self.asking += 1,
            _ => self.sending += 1,
        }
        let bytes = work.held_bytes();
        let before = std::mem::replace(place, work);
        let is_archive = (before.is_archive(), self.slots[usize::from(key)].work.is_archive());
        self.count_work(is_archive.0, before.held_bytes(), 0);
        self.count_work(is_archive.1, 0, bytes);
        before
    }

    /// Removes a stream, which is in no ring of the scheduler.
    pub(super) fn remove(&mut self, key: Key) {
        self.set(key, Work::None);
        let stream = &mut self.slots[usize::from(key)];
        debug_assert!(!stream.is_scheduled, "the scheduler has forgotten it before");
        stream.id = 0;
        self.used -= 1;
    }

    /// All streams.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.slots.iter().filter(|stream| stream.id != 0)
    }

    /// How many slots there are: keys are below this.
    pub(super) fn slots(&self) -> Key {
        key(self.slots.len())
    }

    /// Gives back memory if there is no stream.
    pub(super) fn rest(&mut self) {
        if self.used == 0 && self.slots.capacity() > KEPT {
            self.slots = Vec::new();
        }
    }

    #[inline]
    fn guess(&self, id: u32) -> usize {
        (id >> 1) as usize % self.slots.len() // widening
    }
}

impl std::ops::Index<Key> for Streams {
    type Output = Stream;

    #[inline]
    fn index(&self, key: Key) -> &Stream {
        &self.slots[usize::from(key)]
    }
}

impl std::ops::IndexMut<Key> for Streams {
    #[inline]
    fn index_mut(&mut self, key: Key) -> &mut Stream {
        &mut self.slots[usize::from(key)]
    }
}

fn key(place: usize) -> Key {
    Key::try_from(place).expect("there are at most 1,000 streams")
}

#[cfg(test)]
mod tests {
    use super::super::stream::Source;
    use super::*;

    #[test]
    fn streams_are_found_by_number_however_they_come_and_go() {
        let mut streams = Streams::default();
        let mut present = Vec::new();
        let mut seed = 7_u32;
        for id in (1..4001).step_by(2) {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if present.len() == 100 || seed >> 30 == 0 && !present.is_empty() {
                let gone = present.swap_remove((seed >> 8) as usize % present.len());
                let key = streams.find(gone).unwrap();
                streams.remove(key);
                assert_eq!(streams.find(gone), None);
            }
            let key = streams.insert(id, Window::new(1), Work::made(Source::Ended));
            present.push(id);
            assert_eq!(streams[key].id, id);
            assert!(
                present.iter().all(|&id| streams.find(id).is_some_and(|k| streams[k].id == id))
            );
            assert_eq!((streams.len(), streams.sending()), (present.len(), present.len()));
        }
        assert!(streams.slots() <= 101);
    }
}
