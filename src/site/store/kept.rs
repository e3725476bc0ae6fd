//! The encoded forms that were made between requests, and their bound.
//!
//! They outlive the entries of the cache: a large file is closed after a short rest, and must not
//! be encoded again when it is requested the next time. They belong to one version of a file, and
//! are found again when the entry of that version is made anew.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::files::Version;
use crate::site::resource::Variants;

use super::cache::Part;

/// The forms of all files, by the key of their entries.
#[derive(Debug, Default)]
pub(super) struct Kept {
    forms: HashMap<(Part, Box<[u8]>), Forms>,
    /// The keys in the order of their addition; the CLOCK algorithm, as in the cache.
    queue: VecDeque<(Part, Box<[u8]>)>,
    bytes: usize,
}

#[derive(Debug)]
struct Forms {
    version: Version,
    variants: Rc<Variants>,
    bytes: usize,
    /// Found since it was queued.
    used: bool,
}

impl Kept {
    /// The forms of this version of the file behind a key.
    pub(super) fn find(
        &mut self,
        part: Part,
        key: &[u8],
        version: &Version,
    ) -> Option<Rc<Variants>> {
        let forms = self.forms.get_mut(&(part, Box::from(key)))?;
        if forms.version != *version {
            return None;
        }
        forms.used = true;
        Some(Rc::clone(&forms.variants))
    }

    /// Keeps the forms of a version, to which one was added. Returns the keys of those that were
    /// dropped for it: at most `most` bytes are kept.
    pub(super) fn insert(
        &mut self,
        (part, key): (Part, &[u8]),
        version: Version,
        variants: &Rc<Variants>,
        most: usize,
    ) -> Vec<(Part, Box<[u8]>)> {
        let id = (part, Box::from(key));
        let bytes = variants.encoded_bytes();
        let forms = Forms { version, variants: Rc::clone(variants), bytes, used: true };
        self.bytes += bytes;
        match self.forms.insert(id.clone(), forms) {
            Some(before) => self.bytes -= before.bytes,
            None => self.queue.push_back(id),
        }
        self.shrink(most)
    }

    /// Terminates: each round removes a position of the queue or clears a `used`.
    fn shrink(&mut self, most: usize) -> Vec<(Part, Box<[u8]>)> {
        let mut dropped = Vec::new();
        while self.bytes > most {
            let Some(id) = self.queue.pop_front() else { break };
            match self.forms.get_mut(&id) {
                Some(forms) if forms.used => {
                    forms.used = false;
                    self.queue.push_back(id);
                }
                Some(_) => {
                    self.bytes -= self.forms.remove(&id).map_or(0, |forms| forms.bytes);
                    dropped.push(id);
                }
                None => {}
            }
        }
        dropped
    }

    /// Drops the forms of an earlier root.
    pub(super) fn drop_part(&mut self, part: Part) {
        self.queue.retain(|(other, _)| *other != part);
        let bytes = &mut self.bytes;
        self.forms.retain(|(other, _), forms| {
            let stays = *other != part;
            *bytes -= if stays { 0 } else { forms.bytes };
            stays
        });
    }
}
