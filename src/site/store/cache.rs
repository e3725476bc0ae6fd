//! The cache of paths, and its bounds.
//!
//! The key is the part of the store (one root of one site, as it was opened) and the path of a
//! request target in its canonical encoding, byte for byte: a request in that spelling (browsers
//! and our own listings use it) is found without decoding anything.
//!
//! Entries are of three kinds, each with its own bound and its own queue, so that a crawler of
//! missing paths never evicts a file, and large files never evict small ones. The queues use the
//! CLOCK algorithm: an entry that was used since it was queued moves to the back again. Every
//! operation is O(1), amortised; when the table grows, it moves eight bytes per entry and reads no
//! key.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};

use hashbrown::HashTable;

use crate::clock::Tick;
use crate::config::Limits;
use crate::files::Version;
use crate::site::resource::{Entry, Outcome, Resource};

use super::sidecars::Beside;

/// One root of one site, as it was opened: entries of an earlier root are never found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::site) struct Part(pub(in crate::site) u32);

/// An entry, and the data to revalidate it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) entry: Entry,
    /// The file or directory below the root that the entry was made from; for an alias, the key of
    /// the entry that owns its representations.
    pub(super) path: Box<[u8]>,
    /// The version it was made from; `None`: it cannot be revalidated, only made again.
    pub(super) version: Option<Version>,
    /// How many of the first index names must not exist in the folder of `path`.
    pub(super) absent: u8,
    /// The sidecar files.
    pub(super) beside: Beside,
    /// Its representations belong to another entry, and count there.
    pub(super) is_alias: bool,
    /// When it was made.
    pub(super) made: Tick,
    /// When it was last revalidated.
    pub(super) checked: Tick,
    /// When it was last used; kept up to date for open files only.
    pub(super) used: Tick,
}

/// A place in the cache; valid until the next insertion or removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::site) struct Place(u32);

impl Place {
    fn new(index: usize) -> Place {
        Place(u32::try_from(index).expect("there are fewer entries than 2^32"))
    }

    #[inline]
    fn index(self) -> usize {
        self.0 as usize // widening: Rust knows no Unix with 16 bits
    }
}

/// What the table holds: where an entry is, and the hash of its key.
#[derive(Clone, Copy, Debug)]
struct Reference {
    place: Place,
    hash: u32,
}

#[derive(Debug)]
struct Slot {
    part: Part,
    key: Box<[u8]>,
    hash: u32,
    /// Bytes that it counts for; see [`cost`].
    cost: usize,
    known: Known,
    /// Used since it was queued.
    used: bool,
    /// Distinguishes this entry from earlier ones in the same slot that are still queued.
    serial: u64,
}

/// The cache. See the module documentation.
#[derive(Debug)]
pub(super) struct Cache {
    table: HashTable<Reference>,
    hashing: RandomState,
    slots: Vec<Option<Slot>>,
    vacant: Vec<Place>,
    rings: [Ring; Kind::COUNT],
    serial: u64,
}

impl Cache {
    pub(super) fn new(limits: &Limits) -> Cache {
        let ring = |entries, bytes| Ring { most: Use { entries, bytes }, ..Ring::default() };
        Cache {
            table: HashTable::new(),
            hashing: RandomState::new(),
            slots: Vec::new(),
            vacant: Vec::new(),
            rings: [
                ring(limits.cache_entries, limits.cache_bytes),
                ring(limits.open_files, usize::MAX),
                ring(limits.cache_failures, usize::MAX),
            ],
            serial: 0,
        }
    }

    /// Where `key` is kept; counts as a use.
    #[inline]
    pub(super) fn find(&mut self, part: Part, key: &[u8]) -> Option<Place> {
        let place = self.place_of(part, key)?;
        self.slot(place).used = true;
        Some(place)
    }

    #[inline(always)] // a call costs 22 instructions per request
    fn place_of(&self, part: Part, key: &[u8]) -> Option<Place> {
        let (hash, slots) = (self.hash(part, key), &self.slots);
        let found = self.table.find(widen(hash), |reference| {
            reference.hash == hash && is_slot_of(&slots[reference.place.index()], part, key)
        })?;
        Some(found.place)
    }

    /// The entry at `place`, with the data to revalidate it.
    #[inline]
    pub(super) fn known(&mut self, place: Place) -> &mut Known {
        &mut self.slot(place).known
    }

    /// The entry at `place`.
    #[inline]
    pub(super) fn entry(&self, place: Place) -> &Entry {
        &self.slots[place.index()].as_ref().expect(OCCUPIED).known.entry
    }

    /// The part and the key of the entry that owns the representations of the one at `place`.
    pub(super) fn source(&self, place: Place) -> (Part, &[u8]) {
        let slot = self.slots[place.index()].as_ref().expect(OCCUPIED);
        (slot.part, if slot.known.is_alias { &slot.known.path } else { &slot.key })
    }

    /// The resource of a key, and the version that it was made from; this counts as no use.
    pub(super) fn resource(&self, part: Part, key: &[u8]) -> Option<(&Resource, Option<Version>)> {
        let place = self.place_of(part, key)?;
        let known = &self.slots[place.index()].as_ref().expect(OCCUPIED).known;
        match &known.entry.outcome {
            Outcome::Resource(resource) => Some((resource, known.version)),
            Outcome::Redirect(_) | Outcome::Failure(..) => None,
        }
    }

    #[inline]
    fn slot(&mut self, place: Place) -> &mut Slot {
        self.slots[place.index()].as_mut().expect(OCCUPIED)
    }

    /// Stores `known` under `key`, replaces an earlier entry, and evicts entries beyond the bounds.
    /// `Err` if it cannot be kept: it is too large, or there is no memory.
    pub(super) fn insert(&mut self, part: Part, key: &[u8], known: Known) -> Result<Place, Entry> {
        self.remove(part, key);
        let kind = Kind::of(&known);
        let cost = cost(key, &known);
        let no_room = key.len() > KEY_BYTES_MAX || cost > self.rings[kind as usize].most.bytes;
        if no_room || self.reserve(kind).is_none() {
            return Err(known.entry);
        }
        self.serial += 1;
        let (hash, serial) = (self.hash(part, key), self.serial);
        let slot = Slot { part, key: key.into(), hash, cost, known, used: false, serial };
        let place = match self.vacant.pop() {
            Some(place) => place,
            None => {
                self.slots.push(None);
                Place::new(self.slots.len() - 1)
            }
        };
        self.slots[place.index()] = Some(slot);
        self.table.insert_unique(widen(hash), Reference { place, hash }, |other| widen(other.hash));
        let ring = &mut self.rings[kind as usize];
        ring.queue.push_back((place, serial));
        ring.now.entries += 1;
        ring.now.bytes += cost;
        self.shrink(kind, place);
        Ok(place)
    }

    /// Room for one more entry, or `None` if there is no memory.
    fn reserve(&mut self, kind: Kind) -> Option<()> {
        if self.vacant.is_empty() {
            self.slots.try_reserve(1).ok()?;
            // Reserved now, so that no removal ever needs memory.
            self.vacant.try_reserve(self.slots.capacity()).ok()?;
        }
        self.table.try_reserve(1, |other| widen(other.hash)).ok()?;
        self.rings[kind as usize].queue.try_reserve(1).ok()
    }

    /// Removes `key`.
    pub(super) fn remove(&mut self, part: Part, key: &[u8]) {
        if let Some(place) = self.place_of(part, key) {
            // Its position in the queue stays, and is recognised as stale later.
            self.take(place);
        }
    }

    /// Removes every open file. Returns whether there was one.
    pub(super) fn drop_files(&mut self) -> bool {
        let found = self.files() > 0;
        self.retain_files(|_| false);
        found
    }

    /// Removes the open files for which `keep` is false. Looks at all of them.
    pub(super) fn retain_files(&mut self, mut keep: impl FnMut(&Known) -> bool) {
        let mut queue = std::mem::take(&mut self.rings[Kind::File as usize].queue);
        queue.retain(|&(place, serial)| {
            let slot = self.slots[place.index()].as_ref();
            let Some(slot) = slot.filter(|slot| slot.serial == serial) else { return false };
            let keeps = keep(&slot.known);
            if !keeps {
                self.take(place);
            }
            keeps
        });
        self.rings[Kind::File as usize].queue = queue;
    }

    /// Removes the entries that `is_dead` selects, out of `most` slots from slot `from` on. Returns
    /// where to go on; `None`: that was the end.
    pub(super) fn sweep(
        &mut self,
        from: usize,
        most: usize,
        is_dead: impl Fn(Part, &[u8]) -> bool,
    ) -> Option<usize> {
        let end = from.saturating_add(most).min(self.slots.len());
        for index in from..end {
            if self.slots[index].as_ref().is_some_and(|slot| is_dead(slot.part, &slot.key)) {
                self.take(Place::new(index));
            }
        }
        (end < self.slots.len()).then_some(end)
    }

    /// All entries. Slow: it looks at every slot.
    pub(super) fn all(&self) -> impl Iterator<Item = &Known> {
        self.slots.iter().flatten().map(|slot| &slot.known)
    }

    /// The number of entries, and their bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        let sizes = self.rings.iter().map(|ring| (ring.now.entries, ring.now.bytes));
        sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }

    /// The number of open files.
    pub(super) fn files(&self) -> usize {
        self.rings[Kind::File as usize].now.entries
    }

    /// Evicts from one ring until it is within its bounds, but never `except`. Terminates: every
    /// round either removes a queue position or clears a `used`.
    fn shrink(&mut self, kind: Kind, except: Place) {
        loop {
            let ring = &mut self.rings[kind as usize];
            let too_much = ring.now.entries > ring.most.entries || ring.now.bytes > ring.most.bytes;
            // Stale positions must not accumulate either.
            let stale = ring.queue.len() > 2 * ring.now.entries + 16;
            if !too_much && !stale {
                return;
            }
            let Some((place, serial)) = ring.queue.pop_front() else { return };
            let slot = self.slots[place.index()].as_mut();
            let Some(slot) = slot.filter(|slot| slot.serial == serial) else { continue };
            if slot.used || !too_much || (place == except && ring.now.entries > 1) {
                slot.used = slot.used && !too_much;
                ring.queue.push_back((place, serial));
                continue;
            }
            self.take(place);
        }
    }

    fn take(&mut self, place: Place) {
        let slot = self.slots[place.index()].take().expect(OCCUPIED);
        let found = self.table.find_entry(widen(slot.hash), |other| other.place == place);
        found.expect("every slot is in the table").remove();
        let ring = &mut self.rings[Kind::of(&slot.known) as usize];
        ring.now.entries -= 1;
        ring.now.bytes -= slot.cost;
        self.vacant.push(place);
    }

    /// Clients choose the keys, so they must not be able to choose the hashes: this is SipHash with
    /// a secret key. Nothing follows the key, so its length need not be hashed before it.
    #[inline]
    fn hash(&self, part: Part, key: &[u8]) -> u32 {
        let mut hasher = self.hashing.build_hasher();
        hasher.write(key);
        let hash = hasher.finish() ^ (u64::from(part.0) << 32);
        (hash >> 32) as u32 // half of its bits are enough to tell entries apart
    }
}

/// An invariant of [`Cache`].
const OCCUPIED: &str = "a place is valid until its entry is removed";

#[inline]
fn is_slot_of(slot: &Option<Slot>, part: Part, key: &[u8]) -> bool {
    slot.as_ref().is_some_and(|slot| slot.part == part && *slot.key == *key)
}

/// The table takes the low bits for the place and the highest for a tag, so both must vary.
#[inline]
fn widen(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32)
}

/// The bound that an entry counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Bodies in memory: bounded in number and bytes.
    Memory,
    /// Open files: bounded in number, because descriptors are.
    File,
    /// Redirects, failures, and other names of resources: bounded in number.
    Failure,
}

impl Kind {
    const COUNT: usize = Kind::Failure as usize + 1;

    fn of(known: &Known) -> Kind {
        match &known.entry.outcome {
            _ if known.is_alias => Kind::Failure,
            Outcome::Resource(resource) if resource.identity.file().is_some() => Kind::File,
            Outcome::Resource(_) => Kind::Memory,
            Outcome::Redirect(_) | Outcome::Failure(..) => Kind::Failure,
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

/// Bytes of memory per entry, including the key and the bookkeeping.
fn cost(key: &[u8], known: &Known) -> usize {
    let body = match &known.entry.outcome {
        _ if known.is_alias => 0,
        Outcome::Resource(resource) => resource.weight(),
        Outcome::Redirect(redirect) => redirect.location.len(),
        Outcome::Failure(..) => 0,
    };
    body + key.len() + known.path.len() + size_of::<Slot>()
}

/// Longer paths are looked up each time: with keys of 8 KiB the failures alone could take 64 MiB.
const KEY_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::status::{Failure, Status};
    use crate::site::policy::Policy;
    use crate::site::resource::Redirect;
    use std::rc::Rc;

    const PART: Part = Part(1);

    fn cache(changes: &[&str]) -> Cache {
        let mut limits = Limits::default();
        for change in changes {
            limits.set(change).unwrap();
        }
        Cache::new(&limits)
    }

    fn known(outcome: Outcome) -> Known {
        let policy = Rc::new(Policy::default());
        Known {
            entry: Entry::new(outcome, &policy),
            path: Box::default(),
            version: None,
            absent: 0,
            beside: Beside::Unknown,
            is_alias: false,
            made: Tick(0),
            checked: Tick(0),
            used: Tick(0),
        }
    }

    fn missing() -> Known {
        known(Outcome::Failure(Failure::new(Status::NotFound, ""), None))
    }

    fn redirect() -> Known {
        known(Outcome::Redirect(Redirect {
            status: Status::MovedPermanently,
            location: Rc::from(&b"/a/"[..]),
            is_relative: false,
        }))
    }

    #[test]
    fn an_inserted_entry_is_found_until_it_is_removed() {
        let mut cache = cache(&[]);
        assert_eq!(cache.find(PART, b"/a"), None);
        cache.insert(PART, b"/a", missing()).unwrap();
        let place = cache.find(PART, b"/a").unwrap();
        assert!(matches!(cache.entry(place).outcome, Outcome::Failure(..)));
        cache.insert(PART, b"/a", redirect()).unwrap();
        let place = cache.find(PART, b"/a").unwrap();
        assert!(matches!(cache.entry(place).outcome, Outcome::Redirect(_)));
        assert_eq!(cache.find(Part(2), b"/a"), None, "another root");
        cache.remove(PART, b"/a");
        assert_eq!(cache.find(PART, b"/a"), None);
    }

    #[test]
    fn a_full_ring_evicts_what_was_not_used() {
        let mut cache = cache(&["cache_failures=3"]);
        for key in [b"/a", b"/b", b"/c"] {
            cache.insert(PART, key, missing()).unwrap();
        }
        assert!(cache.find(PART, b"/a").is_some());
        let place = cache.insert(PART, b"/d", missing()).unwrap();
        assert_eq!(cache.find(PART, b"/d"), Some(place));
        assert!(cache.find(PART, b"/a").is_some(), "used, so it had a second chance");
        assert!(cache.find(PART, b"/b").is_none(), "the oldest that was not used");
        assert!(cache.find(PART, b"/c").is_some() && cache.find(PART, b"/d").is_some());
    }

    #[test]
    fn replacing_one_key_for_ever_keeps_the_bookkeeping_bounded() {
        let mut cache = cache(&["cache_failures=3"]);
        cache.insert(PART, b"/a", missing()).unwrap();
        for _ in 0..10_000 {
            cache.insert(PART, b"/b", missing()).unwrap();
        }
        assert!(cache.find(PART, b"/a").is_some() && cache.find(PART, b"/b").is_some());
        let ring = &cache.rings[Kind::Failure as usize];
        assert_eq!(ring.now.entries, 2);
        assert!(ring.queue.len() <= 32, "{}", ring.queue.len());
        assert_eq!((cache.table.len(), cache.slots.len()), (2, 2));
    }

    #[test]
    fn a_key_that_is_too_long_is_not_kept() {
        let mut cache = cache(&[]);
        assert!(cache.insert(PART, &[b'a'; KEY_BYTES_MAX], missing()).is_ok());
        assert!(cache.insert(PART, &[b'b'; KEY_BYTES_MAX + 1], missing()).is_err());
        assert!(cache.find(PART, &[b'a'; KEY_BYTES_MAX]).is_some());
    }

    #[test]
    fn many_entries_are_all_found_and_all_evicted() {
        let mut cache = cache(&["cache_failures=100000"]);
        let key = |number: u32| format!("/{number}").into_bytes();
        for number in 0..50_000 {
            cache.insert(PART, &key(number), missing()).unwrap();
        }
        assert!((0..50_000).all(|number| cache.find(PART, &key(number)).is_some()));
        (0..50_000).for_each(|number| cache.remove(PART, &key(number)));
        assert_eq!((cache.table.len(), cache.vacant.len()), (0, 50_000));
    }
}
