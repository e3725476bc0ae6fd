//! The dynamic table of a decoder (RFC 7541 sections 2.3.2 and 4).

use std::collections::VecDeque;

use super::TABLE_BYTES;

/// The fields that a client has put into its table, the newest first. It takes no memory until
/// there is one.
#[derive(Debug)]
pub(super) struct Table {
    /// Name and value of each entry, the oldest first; the bytes before `start` were evicted.
    bytes: Vec<u8>,
    start: usize,
    /// The oldest first.
    entries: VecDeque<Entry>,
    /// What the size may be: what the client has set.
    most: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where it begins.
    at: u16,
    name: u16,
    value: u16,
}

impl Entry {
    fn bytes(self) -> usize {
        usize::from(self.name) + usize::from(self.value)
    }
}

/// What an entry counts for beyond its bytes (section 4.1).
pub(super) const OVERHEAD: usize = 32;

/// Evicted bytes are kept up to this many, so that they are not moved away one entry at a time.
const SLACK: usize = 1024;

impl Table {
    pub(super) fn new() -> Table {
        Table { bytes: Vec::new(), start: 0, entries: VecDeque::new(), most: TABLE_BYTES }
    }

    /// Bytes of memory, besides the value itself.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Name and value of an entry; the newest has index 0.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let at = self.entries.len().checked_sub(index + 1)?;
        let entry = self.entries[at];
        let start = usize::from(entry.at);
        Some(self.bytes[start..start + entry.bytes()].split_at(entry.name.into()))
    }

    /// Inserts an entry. One that is larger than the table empties it (section 4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + OVERHEAD;
        if size > self.most {
            return self.clear();
        }
        self.evict(self.most - size);
        if self.start > SLACK {
            self.bytes.drain(..self.start);
            for entry in &mut self.entries {
                entry.at -= short(self.start);
            }
            self.start = 0;
        }
        let (at, value_bytes) = (short(self.bytes.len()), short(value.len()));
        self.entries.push_back(Entry { at, name: short(name.len()), value: value_bytes });
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
    }

    /// Removes all entries.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
        self.entries.clear();
    }

    /// Sets what the size may be. False: that is more than the server allows.
    pub(super) fn set_most(&mut self, most: usize) -> bool {
        if most > TABLE_BYTES {
            return false;
        }
        self.most = most;
        self.evict(most);
        true
    }

    /// Evicts the oldest entries until the size is at most this.
    fn evict(&mut self, most: usize) {
        while self.size() > most {
            let Some(entry) = self.entries.pop_front() else { return };
            self.start += entry.bytes();
        }
        if self.entries.is_empty() {
            self.clear();
        }
    }

    /// The size as the RFC counts it.
    #[inline]
    pub(super) fn size(&self) -> usize {
        self.bytes.len() - self.start + OVERHEAD * self.entries.len()
    }
}

/// A place in the table, or a length.
fn short(bytes: usize) -> u16 {
    u16::try_from(bytes).expect("the table, what was evicted and a new entry take less than 64 KB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_oldest_entries_leave_until_the_new_one_fits() {
        let mut table = Table::new();
        assert!(table.set_most(110));
        table.insert(b"a", b"1");
        table.insert(b"b", b"22");
        table.insert(b"c", b"3");
        assert_eq!(table.get(0), Some((&b"c"[..], &b"3"[..])));
        assert_eq!(table.get(2), Some((&b"a"[..], &b"1"[..])));
        table.insert(b"d", b"4444444444");
        assert_eq!(table.get(1), Some((&b"c"[..], &b"3"[..])));
        assert_eq!((table.get(2), table.size()), (None, 34 + 43));
        table.insert(b"e", &[0; 78]);
        assert_eq!((table.get(0), table.size()), (None, 0), "it is larger than the table");
        assert!(!table.set_most(TABLE_BYTES + 1));
    }

    proptest! {
        /// A table of owned strings is the reference.
        #[test]
        fn it_holds_what_a_plain_table_holds(
            steps in proptest::collection::vec((0_usize..40, 0_usize..1500, 0_usize..5000), 0..60),
        ) {
            let (mut table, mut plain, mut most) = (Table::new(), Vec::new(), TABLE_BYTES);
            for (number, (name, value, resize)) in steps.into_iter().enumerate() {
                if resize <= TABLE_BYTES && number % 5 == 0 {
                    most = resize;
                    prop_assert!(table.set_most(most));
                }
                let letter = b'a' + u8::try_from(number % 26).unwrap();
                let (name, value) = (vec![letter; name], vec![letter ^ 32; value]);
                table.insert(&name, &value);
                plain.insert(0, (name, value));
                let mut size = 0;
                plain.retain(|(name, value)| {
                    size += name.len() + value.len() + 32;
                    size <= most
                });
                if plain.iter().map(|(n, v)| n.len() + v.len() + 32).sum::<usize>() > most {
                    plain.clear();
                }
                for (index, (name, value)) in plain.iter().enumerate() {
                    prop_assert_eq!(table.get(index), Some((&name[..], &value[..])));
                }
                prop_assert_eq!(table.get(plain.len()), None);
                prop_assert!(table.bytes.len() <= TABLE_BYTES + SLACK + TABLE_BYTES);
            }
        }
    }
}
