//! Reading a folder, and putting its entries in order.
//!
//! Owns one open directory. A [`Lister`] reads it in slices and then hands out its entries in
//! order; [`Html`](super::Html) renders them. It lists what a GET would serve, or refuse with 403:
//! regular files and directories. Hidden names, FIFOs, sockets, devices, and
//! links that are broken or lead out of the root are left out. [`Root::version`] decides whether
//! a link may be followed.
//!
//! Entries are sorted in runs while they are read, and the runs are merged while they are handed
//! out, because to sort a large folder in one go would hold up the thread for too long.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io;
use std::vec::IntoIter;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, statat};

use crate::files::{Kind, OpenError, Root, Version};
use crate::site::visible::Visible;

use super::form::{ListingForm, Order, Sort};
use super::readme;

/// A folder that is being read.
pub struct Lister {
    /// Closed when everything was read.
    dir: Option<Dir>,
    /// The path of the folder below the root, as [`Root`] takes it: empty, or `a/b/`.
    path: Vec<u8>,
    visible: Visible,
    most: usize,
    form: ListingForm,
    /// The best README so far, and how good it is.
    readme: Option<(usize, Vec<u8>)>,
    /// The entries read last, not yet sorted.
    unsorted: Vec<Entry>,
    /// Sorted entries. While they are handed out, the first entry of each run is in `heads`.
    runs: Vec<IntoIter<Entry>>,
    heads: BinaryHeap<Reverse<Head>>,
    totals: Totals,
}

/// What a folder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Directories.
    pub folders: usize,
    /// Regular files.
    pub files: usize,
    /// Bytes of all files together.
    pub bytes: u64,
    /// The folder has more entries than the limit; only those counted here are listed.
    pub is_cut: bool,
    /// Bytes that the names take on the page at most.
    pub name_room: usize,
}

/// A file or a directory in the folder.
#[derive(Debug)]
pub struct Entry {
    /// The key by which it is sorted, then its name; one allocation for both.
    key_and_name: Box<[u8]>,
    key_bytes: usize,
    /// True for a directory, and for a link to one.
    pub directory: bool,
    /// Size in bytes; meaningless for a directory.
    pub size: u64,
    /// Last modification, nanoseconds since 1970.
    pub modified_ns: i128,
}

impl Entry {
    fn new(name: &[u8], version: &Version) -> Entry {
        let mut key_and_name = sort_key(name);
        let key_bytes = key_and_name.len();
        key_and_name.extend_from_slice(name);
        Entry {
            key_and_name: key_and_name.into(),
            key_bytes,
            directory: version.kind == Kind::Directory,
            size: version.size,
            modified_ns: version.modified_ns,
        }
    }

    /// Its name, as it is on disk.
    pub fn name(&self) -> &[u8] {
        &self.key_and_name[self.key_bytes..]
    }

    fn key(&self) -> &[u8] {
        &self.key_and_name[..self.key_bytes]
    }

    /// Directories first, then as the form says. Entries of the same size or time are in natural
    /// order, and those with the same key in the order of their bytes.
    fn order(&self, other: &Entry, form: ListingForm) -> Ordering {
        let by_name = || self.key().cmp(other.key()).then_with(|| self.name().cmp(other.name()));
        let directed = |order: Ordering| match form.order {
            Order::Ascending => order,
            Order::Descending => order.reverse(),
        };
        other.directory.cmp(&self.directory).then_with(|| match form.sort {
            Sort::Name => directed(by_name()),
            Sort::Size if self.directory => by_name(),
            Sort::Size => directed(self.size.cmp(&other.size)).then_with(by_name),
            Sort::Time => directed(self.modified_ns.cmp(&other.modified_ns)).then_with(by_name),
        })
    }
}

/// The next entry of one run.
struct Head {
    entry: Entry,
    run: usize,
    form: ListingForm,
}

impl Ord for Head {
    fn cmp(&self, other: &Head) -> Ordering {
        self.entry.order(&other.entry, self.form)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl Lister {
    /// Lists the freshly opened `dir`, whose decoded canonical path is `path` (it begins and ends
    /// with `/`). At most `most` entries are listed: the first ones that the system returns,
    /// without those that `visible` leaves out. They are handed out in the order of the `form`.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new(
        dir: OwnedFd,
        path: &[u8],
        most: usize,
        visible: &Visible,
        form: ListingForm,
    ) -> io::Result<Lister> {
        debug_assert!(path.starts_with(b"/") && path.ends_with(b"/"), "the path of a folder");
        Ok(Lister {
            dir: Some(Dir::new(dir)?),
            path: path.to_vec(),
            most,
            visible: visible.clone(),
            form,
            readme: None,
            unsorted: Vec::new(),
            runs: Vec::new(),
            heads: BinaryHeap::new(),
            totals: Totals::default(),
        })
    }

    /// The path of the folder below the root: empty, or `a/b/`.
    pub fn path(&self) -> &[u8] {
        &self.path[1..]
    }

    /// The name of the README, once everything is read.
    pub fn readme(&self) -> Option<&[u8]> {
        self.readme.as_ref().map(|(_, name)| &**name)
    }

    /// Bytes of memory, approximately.
    pub fn held_bytes(&self) -> usize {
        let in_runs: usize = self.runs.iter().map(ExactSizeIterator::len).sum();
        let entries = in_runs + self.unsorted.len() + self.heads.len();
        entries * (size_of::<Entry>() + NAME_BYTES)
    }

    /// What has been read so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Reads at most `entries` entries (at least one). It stops earlier if `enough` returns
    /// true; it is called after each lookup of attributes, because that may have waited for a disk.
    /// Returns true once everything is read.
    ///
    /// `root` is the root that the directory was opened from.
    ///
    /// # Errors
    /// The directory cannot be read, or descriptors or memory run out. The listing is then lost:
    /// a part of it would look like the whole.
    pub fn read(
        &mut self,
        root: &Root,
        entries: usize,
        enough: &mut dyn FnMut() -> bool,
    ) -> io::Result<bool> {
        for _ in 0..entries.max(1) {
            let Some(found) = self.dir.as_mut().and_then(Dir::read) else {
                self.end_read();
                return Ok(true);
            };
            let found = found?;
            let name = found.file_name().to_bytes();
            if !self.visible.shows(&self.path, name) {
                continue;
            }
            if let Some(version) = self.look_up(root, name)? {
                if self.totals.folders + self.totals.files == self.most {
                    self.totals.is_cut = true;
                    self.end_read();
                    return Ok(true);
                }
                self.push(name, &version);
            }
            if enough() {
                break;
            }
        }
        Ok(false)
    }

    /// The next entry in order, once everything is read.
    pub fn next_entry(&mut self) -> Option<Entry> {
        let Reverse(Head { entry, run, form }) = self.heads.pop()?;
        if let Some(entry) = self.runs[run].next() {
            self.heads.push(Reverse(Head { entry, run, form }));
        }
        Some(entry)
    }

    fn push(&mut self, name: &[u8], version: &Version) {
        if version.kind == Kind::Directory {
            self.totals.folders += 1;
        } else {
            self.totals.files += 1;
            self.totals.bytes = self.totals.bytes.saturating_add(version.size);
            if let Some(rank) = readme::rank(name) {
                let found = (rank, name.to_vec());
                let best = self.readme.take().map_or(found.clone(), |best| best.min(found));
                self.readme = Some(best);
            }
        }
        self.totals.name_room += name_room(name);
        self.unsorted.push(Entry::new(name, version));
        if self.unsorted.len() == RUN {
            self.end_run();
        }
    }

    /// Sorts the entries read last into one more run.
    fn end_run(&mut self) {
        let mut run = std::mem::take(&mut self.unsorted);
        run.sort_unstable_by(|one, other| one.order(other, self.form));
        self.runs.push(run.into_iter());
    }

    fn end_read(&mut self) {
        self.dir = None;
        self.end_run();
        let form = self.form;
        let first = |(run, entries): (usize, &mut IntoIter<Entry>)| {
            entries.next().map(|entry| Reverse(Head { entry, run, form }))
        };
        self.heads = self.runs.iter_mut().enumerate().filter_map(first).collect();
    }

    /// The attributes of one entry; `None` if a GET would not serve it.
    fn look_up(&self, root: &Root, name: &[u8]) -> io::Result<Option<Version>> {
        match self.version(root, name) {
            Ok(version) => Ok(Some(version).filter(|version| version.kind != Kind::Other)),
            Err(OpenError::Exhausted(error)) => Err(error),
            // It was removed meanwhile, is a link that leads out, or its disk block is bad. A GET
            // of it would fail, too, but the other entries can be listed.
            Err(_) => Ok(None),
        }
    }

    fn version(&self, root: &Root, name: &[u8]) -> Result<Version, OpenError> {
        let dir = self.dir.as_ref().ok_or(OpenError::NotFound)?;
        let stat = statat(dir.fd()?, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return Ok(Version::from(&stat));
        }
        root.version(&[self.path(), name].concat())
    }
}

/// The key that sorts names in natural order when keys are compared byte by byte: letters without
/// case, and numbers by their value, so that `file2` comes before `File10`.
///
/// A number becomes the digit 0 (so that numbers stay where digits are among other characters), the
/// count of its digits, and the digits, in both cases without leading zeros.
fn sort_key(name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 * name.len() + 8);
    for chunk in name.utf8_chunks() {
        let mut text = chunk.valid();
        while let Some(first) = text.chars().next() {
            if first.is_ascii_digit() {
                let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
                push_number(&mut key, text[..end].trim_start_matches('0').as_bytes());
                text = &text[end..];
                continue;
            }
            if first.is_ascii() {
                key.push(text.as_bytes()[0].to_ascii_lowercase());
            } else {
                for lower in first.to_lowercase() {
                    key.extend_from_slice(lower.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            text = &text[first.len_utf8()..];
        }
        key.extend_from_slice(chunk.invalid());
    }
    key
}

fn push_number(key: &mut Vec<u8>, digits: &[u8]) {
    key.push(b'0');
    // The count in base 255, of which the last byte is the only one below 255.
    key.extend(std::iter::repeat_n(u8::MAX, digits.len() / 255));
    key.push(u8::try_from(digits.len() % 255).expect("a remainder is less than its divisor"));
    key.extend_from_slice(digits);
}

/// Bytes that a name takes in a row at most, in the reference and in the text together.
fn name_room(name: &[u8]) -> usize {
    // Both `&` become `&amp;`; a byte that is not UTF-8 becomes three in each.
    let room = |byte: &u8| if byte.is_ascii_alphanumeric() { 2 } else { 10 };
    name.iter().map(room).sum()
}

/// Memory for the name of an entry of usual length, and for its key.
const NAME_BYTES: usize = 64;

/// Entries that are sorted at once, which takes a fraction of a millisecond.
const RUN: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Natural order by definition: numbers by value, other characters without case.
    fn slow_order(one: &str, two: &str) -> Ordering {
        fn parts(text: &str) -> Vec<(char, u128)> {
            let mut parts: Vec<(char, u128)> = Vec::new();
            let mut in_number = false;
            for char in text.to_lowercase().chars() {
                let digit = char.to_digit(10).map(u128::from);
                match (digit, parts.last_mut()) {
                    (Some(digit), Some((_, value))) if in_number => *value = *value * 10 + digit,
                    (Some(digit), _) => parts.push(('0', digit)),
                    (None, _) => parts.push((char, 0)),
                }
                in_number = digit.is_some();
            }
            parts
        }
        parts(one).cmp(&parts(two))
    }

    proptest! {
        #[test]
        fn keys_compare_as_natural_order_does(
            one in "[ -0a1B9é_日]{0,12}", two in "[ -0a1B9é_日]{0,12}",
        ) {
            let keys = (sort_key(one.as_bytes()), sort_key(two.as_bytes()));
            prop_assert_eq!(keys.0.cmp(&keys.1), slow_order(&one, &two));
        }
    }

    #[test]
    fn numbers_of_any_length_are_in_order() {
        let name = |digits: usize| [vec![b'9'; digits], b".txt".to_vec()].concat();
        for digits in [1, 2, 253, 254, 255, 256, 509, 510, 511, 1000] {
            assert!(sort_key(&name(digits)) < sort_key(&name(digits + 1)), "{digits}");
        }
        assert!(sort_key(b"a\xff1") < sort_key(b"a\xff10"));
        assert!(sort_key(b"a\xff9") < sort_key(b"a\xff10"));
    }
}
