//! What is known about request paths, and how much of it is kept.
//!
//! The key is the path of a request target in its canonical encoding, byte for byte: a request
//! that spells it so (browsers and our own listings do) is found without decoding anything.
//!
//! Entries are of three kinds, each with its own bound and its own queue, so that a crawler of
//! missing paths never pushes out a file, and a folder of large files no small one. Each queue
//! gives a second chance: an entry that was used since it was queued goes to the back once more
//! (the CLOCK algorithm). Every operation is O(1), amortised.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::rc::Rc;

use slab::Slab;

use crate::clock::{Clock, Tick};
use crate::config::Limits;
use crate::files::Version;
use crate::http::status::Status;

use super::asset::Asset;

/// What a path leads to.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A file or a listing.
    Asset(Rc<Asset>),
    /// A directory that was named without its slash; the location names it rightly.
    Redirect(Rc<[u8]>),
    /// Nothing that is served, and the status that says so.
    Missing(Status),
}

impl Entry {
    /// True if it needs no open file.
    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self, Entry::Asset(asset) if asset.source().is_none())
    }

    /// The entry for an answer of this second. Its asset is dated anew unless somebody still sends
    /// it; then, that is left to whoever writes the answer.
    pub(super) fn dated(&mut self, clock: &Clock) -> Entry {
        if let Entry::Asset(shared) = self
            && !shared.is_dated(clock)
            && let Some(asset) = Rc::get_mut(shared)
        {
            asset.date_anew(clock);
        }
        self.clone()
    }
}

/// An entry and what is needed to tell whether it still holds.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) entry: Entry,
    /// The file or directory below the root that the entry was made from.
    pub(super) path: Box<[u8]>,
    /// The version it was made from; `None`: it must be made anew to know.
    pub(super) stamp: Option<Version>,
    /// When it was made.
    pub(super) made: Tick,
    /// When it was last found to hold.
    pub(super) checked: Tick,
}

/// A place in the cache; valid until the next insertion or removal.
pub(super) type Place = usize;

#[derive(Debug)]
struct Slot {
    key: Rc<[u8]>,
    known: Known,
    /// Used since it was queued.
    used: bool,
    /// Tells this tenant of the slot from earlier ones that still stand in a queue.
    serial: u64,
}

/// The cache. See the module's text.
#[derive(Debug)]
pub(super) struct Cache {
    places: HashMap<Rc<[u8]>, Place, PathHashing>,
    slots: Slab<Slot>,
    rings: [Ring; Kind::COUNT],
    serial: u64,
}

impl Cache {
    pub(super) fn new(limits: &Limits) -> Cache {
        let ring = |entries, bytes| Ring { most: Use { entries, bytes }, ..Ring::default() };
        Cache {
            places: HashMap::default(),
            slots: Slab::new(),
            rings: [
                ring(limits.cache_entries, limits.cache_bytes),
                ring(limits.open_files, usize::MAX),
                ring(limits.cache_failures, usize::MAX),
            ],
            serial: 0,
        }
    }

    /// Where `key` is kept; counts as a use.
    pub(super) fn find(&mut self, key: &[u8]) -> Option<Place> {
        let place = *self.places.get(key)?;
        self.slots[place].used = true;
        Some(place)
    }

    /// What is kept at `place`.
    pub(super) fn known(&mut self, place: Place) -> &mut Known {
        &mut self.slots[place].known
    }

    /// Keeps `known` under `key`, in place of what was kept there, and drops what is too much.
    /// Returns false if it cannot be kept at all.
    pub(super) fn insert(&mut self, key: &[u8], known: Known) -> bool {
        self.remove(key);
        let kind = Kind::of(&known.entry);
        let cost = cost(key, &known);
        if key.len() > LONGEST_KEY || cost > self.rings[kind as usize].most.bytes {
            return false;
        }
        self.serial += 1;
        let key: Rc<[u8]> = key.into();
        let slot = Slot { key: Rc::clone(&key), known, used: false, serial: self.serial };
        let place = self.slots.insert(slot);
        self.places.insert(key, place);
        let ring = &mut self.rings[kind as usize];
        ring.queue.push_back((place, self.serial));
        ring.now.entries += 1;
        ring.now.bytes += cost;
        self.shrink(kind);
        true
    }

    /// Forgets `key`.
    pub(super) fn remove(&mut self, key: &[u8]) {
        if let Some(place) = self.places.remove(key) {
            self.take(place);
            // Its position in the queue is found stale when its turn comes.
        }
    }

    /// Forgets every open file. Returns whether there was one.
    pub(super) fn drop_files(&mut self) -> bool {
        let ring = &mut self.rings[Kind::File as usize];
        let found = ring.now.entries > 0;
        for (place, serial) in std::mem::take(&mut ring.queue) {
            if let Some(slot) = self.slots.get(place).filter(|slot| slot.serial == serial) {
                let key = Rc::clone(&slot.key);
                self.remove(&key);
            }
        }
        found
    }

    /// Removes from one ring until it is within its bounds. Ends: every round either drops a queue
    /// position for good or clears a `used`.
    fn shrink(&mut self, kind: Kind) {
        loop {
            let ring = &mut self.rings[kind as usize];
            let too_much = ring.now.entries > ring.most.entries || ring.now.bytes > ring.most.bytes;
            // Positions of entries that were removed must not pile up, either.
            let stale = ring.queue.len() > 2 * ring.now.entries + 16;
            if !too_much && !stale {
                return;
            }
            let Some((place, serial)) = ring.queue.pop_front() else { return };
            let Some(slot) = self.slots.get_mut(place).filter(|slot| slot.serial == serial) else {
                continue;
            };
            if slot.used || !too_much {
                slot.used = slot.used && !too_much;
                ring.queue.push_back((place, serial));
                continue;
            }
            let key = Rc::clone(&slot.key);
            self.places.remove(&key);
            self.take(place);
        }
    }

    fn take(&mut self, place: Place) {
        let slot = self.slots.remove(place);
        let ring = &mut self.rings[Kind::of(&slot.known.entry) as usize];
        ring.now.entries -= 1;
        ring.now.bytes -= cost(&slot.key, &slot.known);
    }
}

/// Which bound an entry counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Bodies in memory: bounded in number and bytes.
    Memory,
    /// Open files: bounded in number, because descriptors are.
    File,
    /// Redirects and failures: bounded in number.
    Failure,
}

impl Kind {
    const COUNT: usize = Kind::Failure as usize + 1;

    fn of(entry: &Entry) -> Kind {
        match entry {
            Entry::Asset(asset) if asset.source().is_some() => Kind::File,
            Entry::Asset(_) => Kind::Memory,
            Entry::Redirect(_) | Entry::Missing(_) => Kind::Failure,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Use {
    entries: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Ring {
    queue: VecDeque<(Place, u64)>,
    now: Use,
    most: Use,
}

/// How keys are hashed. Clients choose them, so they must not be able to choose the hashes: the
/// hasher is SipHash with secret keys, as that of the standard library. But a key is one slice of
/// bytes and nothing follows it, so its length need not be hashed in front of it.
#[derive(Debug, Default)]
struct PathHashing(RandomState);

impl BuildHasher for PathHashing {
    type Hasher = PathHasher;

    #[inline]
    fn build_hasher(&self) -> PathHasher {
        PathHasher(self.0.build_hasher())
    }
}

/// See [`PathHashing`].
struct PathHasher(DefaultHasher);

impl Hasher for PathHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// The length of the slice, which SipHash takes in by itself at the end.
    #[inline]
    fn write_usize(&mut self, _length: usize) {}

    #[inline]
    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// Bytes that an entry takes, the key and the bookkeeping included.
fn cost(key: &[u8], known: &Known) -> usize {
    let body = match &known.entry {
        Entry::Asset(asset) => asset.weight(),
        Entry::Redirect(location) => location.len(),
        Entry::Missing(_) => 0,
    };
    body + key.len() + known.path.len() + size_of::<Slot>()
}

/// Longer paths are looked up each time: with keys of 8 KiB the failures alone could take 64 MiB.
const LONGEST_KEY: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(changes: &[&str]) -> Cache {
        let mut limits = Limits::default();
        for change in changes {
            limits.set(change).unwrap();
        }
        Cache::new(&limits)
    }

    fn known(entry: Entry) -> Known {
        let (made, checked) = (Tick(0), Tick(0));
        Known { entry, path: Box::default(), stamp: None, made, checked }
    }

    fn missing() -> Known {
        known(Entry::Missing(Status::NotFound))
    }

    fn redirect() -> Known {
        known(Entry::Redirect(Rc::from(&b"/a/"[..])))
    }

    #[test]
    fn what_was_inserted_is_found_until_it_is_removed() {
        let mut cache = cache(&[]);
        assert_eq!(cache.find(b"/a"), None);
        cache.insert(b"/a", missing());
        let place = cache.find(b"/a").unwrap();
        assert!(matches!(cache.known(place).entry, Entry::Missing(Status::NotFound)));
        cache.insert(b"/a", redirect());
        let place = cache.find(b"/a").unwrap();
        assert!(matches!(cache.known(place).entry, Entry::Redirect(_)));
        cache.remove(b"/a");
        assert_eq!(cache.find(b"/a"), None);
    }

    #[test]
    fn a_full_ring_drops_what_was_not_used() {
        let mut cache = cache(&["cache_failures=3"]);
        for key in [b"/a", b"/b", b"/c"] {
            cache.insert(key, missing());
        }
        assert!(cache.find(b"/a").is_some());
        cache.insert(b"/d", missing());
        assert!(cache.find(b"/a").is_some(), "used, so it had a second chance");
        assert!(cache.find(b"/b").is_none(), "the oldest that was not used");
        assert!(cache.find(b"/c").is_some() && cache.find(b"/d").is_some());
    }

    #[test]
    fn replacing_one_key_for_ever_keeps_the_bookkeeping_bounded() {
        let mut cache = cache(&["cache_failures=3"]);
        cache.insert(b"/a", missing());
        for _ in 0..10_000 {
            cache.insert(b"/b", missing());
        }
        assert!(cache.find(b"/a").is_some() && cache.find(b"/b").is_some());
        let ring = &cache.rings[Kind::Failure as usize];
        assert_eq!(ring.now.entries, 2);
        assert!(ring.queue.len() <= 32, "{}", ring.queue.len());
        assert_eq!(cache.slots.len(), 2);
    }

    #[test]
    fn a_key_that_is_too_long_is_not_kept() {
        let mut cache = cache(&[]);
        cache.insert(&[b'a'; LONGEST_KEY], missing());
        cache.insert(&[b'b'; LONGEST_KEY + 1], missing());
        assert!(cache.find(&[b'a'; LONGEST_KEY]).is_some());
        assert!(cache.find(&[b'b'; LONGEST_KEY + 1]).is_none());
    }
}
