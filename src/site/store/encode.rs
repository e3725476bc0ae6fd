//! Compression between requests: files without a sidecar are encoded once, in slices, and the
//! result is kept with the entry of the file.
//!
//! No request waits for it. A request for a file that could be sent encoded gets the file as it is,
//! and puts a task into a bounded queue. One task runs at a time; a step of it encodes at most
//! [`SLICE_BYTES`].

use std::collections::VecDeque;
use std::rc::Rc;

use crate::clock::Clock;
use crate::coding::{Effort, EncodeError, Encoder, SLICE_BYTES, worthwhile_bytes};
use crate::files::{Blocking, COLD_TRIES, Disk, Piece};
use crate::http::negotiate::Coding;
use crate::site::representation::Representation;
use crate::site::resource::Variants;

use super::Store;
use super::cache::Part;
use super::spare::read;

/// The tasks that wait, and the one that runs.
#[derive(Debug, Default)]
pub(super) struct Encodings {
    waiting: VecDeque<Task>,
    running: Option<Box<Running>>,
}

/// A file to encode: that of the entry with this key.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) part: Part,
    pub(super) key: Box<[u8]>,
    pub(super) coding: Coding,
}

/// A file that is being encoded.
struct Running {
    task: Task,
    source: Rc<Representation>,
    /// The forms of the resource when it began.
    variants: Rc<Variants>,
    encoder: Encoder,
    /// Bytes of the source that were encoded.
    at: u64,
    /// Attempts to read the next bytes, which are not in memory.
    tries: u8,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("task", &self.task).field("at", &self.at).finish()
    }
}

/// The result of a step.
enum Progress {
    More(Box<Running>),
    Done(Made),
    /// It is not worthwhile, or not possible.
    GivenUp,
}

/// A form that is complete.
struct Made {
    task: Task,
    source: Rc<Representation>,
    variants: Rc<Variants>,
    body: Vec<u8>,
}

impl Encodings {
    /// True while there is something to encode.
    pub(super) fn is_working(&self) -> bool {
        self.running.is_some() || !self.waiting.is_empty()
    }

    /// Queues a task. False if the queue is full.
    pub(super) fn push(&mut self, task: Task) -> bool {
        let has_room = self.waiting.len() < WAITING_MAX;
        if has_room {
            self.waiting.push_back(task);
        }
        has_room
    }

    /// Drops the tasks of an earlier root.
    pub(super) fn drop_part(&mut self, part: Part) {
        self.waiting.retain(|task| task.part != part);
        self.running.take_if(|running| running.task.part == part);
    }
}

impl Store {
    /// Encodes a piece of a file.
    pub(super) fn encode(&mut self, clock: &Clock) {
        let running = self.encodings.running.take().or_else(|| self.begin_encoding());
        let Some(running) = running else { return };
        match running.step(&mut self.disk, &mut self.scratch, clock) {
            Progress::More(running) => self.encodings.running = Some(running),
            Progress::Done(made) => self.keep_encoded(&made),
            Progress::GivenUp => {}
        }
    }

    /// Starts the next task whose entry still exists.
    fn begin_encoding(&mut self) -> Option<Box<Running>> {
        loop {
            let task = self.encodings.waiting.pop_front()?;
            let Some((resource, _)) = self.cache.resource(task.part, &task.key) else { continue };
            if resource.unhashed().any(|file| self.hashes.knows(file.version())) {
                // The resource will be made again, without what is encoded for it now.
                resource.want_later(task.coding);
                continue;
            }
            // It may have been encoded for an earlier entry, before its file was closed.
            let is_open = |forms: &Rc<Variants>| forms.get(task.coding).is_none();
            let Some(variants) = resource.variants.clone().filter(is_open) else { continue };
            let source = Rc::clone(&resource.identity);
            let (effort, size) = (Effort::in_slices(task.coding), source.size());
            let encoder = Encoder::new(task.coding, effort, size, worthwhile_bytes(size));
            // Without memory for it, the file is sent as it is.
            let Ok(encoder) = encoder else { continue };
            return Some(Box::new(Running { task, source, variants, encoder, at: 0, tries: 0 }));
        }
    }

    /// Adds a form to the resource that it was made from, and keeps it for when that is not in the
    /// cache: a large file may have been closed meanwhile, and opened again.
    fn keep_encoded(&mut self, made: &Made) {
        let Made { task, source, variants, body } = made;
        if self.gauge.bytes() >= self.limits.resident_bytes {
            return;
        }
        let own = source.file().map(|file| *file.version());
        let (version, variants) = match self.cache.resource(task.part, &task.key) {
            Some((resource, version)) => {
                let is_source = Rc::ptr_eq(&resource.identity, source);
                if !is_source && (own.is_none() || version != own) {
                    return; // it has changed
                }
                (version, resource.variants.as_ref().unwrap_or(variants))
            }
            None => (own, variants),
        };
        let Some(version) = version else { return };
        let Ok(encoded) = source.encoded(task.coding, body, &self.gauge) else { return };
        variants.add_encoded(task.coding, encoded);
        let most = self.limits.compressed_bytes;
        for (part, key) in self.kept.insert((task.part, &*task.key), version, variants, most) {
            // The entry holds the forms as well.
            self.cache.remove(part, &key);
        }
    }
}

impl Running {
    /// Encodes the next bytes of the source.
    fn step(
        mut self: Box<Self>,
        disk: &mut Disk,
        scratch: &mut Vec<u8>,
        clock: &Clock,
    ) -> Progress {
        let left = self.source.size() - self.at;
        let count = usize::try_from(left).unwrap_or(SLICE_BYTES).min(SLICE_BYTES);
        let pushed = match self.source.file() {
            None => {
                let start = self.source.head_end()
                    + usize::try_from(self.at).expect("a body in memory is measured in usize");
                self.encoder.push(&self.source.bytes()[start..start + count])
            }
            Some(file) => {
                match disk.prepare(file, (self.at, count as u64), Blocking::Never, clock.tick) {
                    Piece::Ready(_) => match read(file, self.at, count, scratch) {
                        Some(bytes) => self.encoder.push(bytes),
                        None => return Progress::GivenUp,
                    },
                    Piece::Cold if self.tries < COLD_TRIES => {
                        self.tries += 1;
                        return Progress::More(self);
                    }
                    Piece::Cold | Piece::Changed => return Progress::GivenUp,
                }
            }
        };
        self.at += count as u64; // widening
        self.tries = 0;
        if pushed.is_ok() && self.at < self.source.size() {
            return Progress::More(self);
        }
        let Running { task, source, variants, encoder, .. } = *self;
        match pushed.and_then(|()| encoder.finish()) {
            Ok(body) => Progress::Done(Made { task, source, variants, body }),
            Err(EncodeError::TooLarge | EncodeError::Failed(_)) => Progress::GivenUp,
        }
    }
}

/// Tasks in the queue; a file beyond it is encoded when it is requested later.
const WAITING_MAX: usize = 1024;
