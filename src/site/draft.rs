//! A body in memory that grows, and its hash.
//!
//! The end of a large page must not hold up the loop: so a [`Draft`] is hashed while it grows, and
//! it grows in the memory from which it is sent, with room for the head of the response in front.

use std::io;
use std::ops::Range;

use memmap2::MmapMut;
use rustix::io::Errno;

use crate::http::etag::{ETag, TagHasher};

/// A body that is being written.
#[derive(Debug)]
pub struct Draft {
    memory: Memory,
    hasher: Box<TagHasher>,
    /// The first bytes, which are part of the hash already.
    hashed: usize,
}

#[derive(Debug)]
enum Memory {
    /// A short body. It is copied when it is complete.
    Heap(Vec<u8>),
    /// Memory pages of which the first [`FRONT`] bytes are for the head, and the body's length.
    /// Those that were never written to take no memory.
    Mapped(MmapMut, usize),
}

/// A body that is complete.
#[derive(Debug)]
pub(super) enum Body {
    Heap(Vec<u8>),
    /// Memory pages, and where in them the body is.
    Mapped(MmapMut, Range<usize>),
}

impl Draft {
    /// An empty draft for about this many bytes. It can become longer, but that takes a copy.
    ///
    /// # Errors
    /// There is no memory.
    pub fn with_room(bytes: usize) -> io::Result<Draft> {
        let memory = if bytes < MAPPED_BYTES {
            let mut heap = Vec::new();
            heap.try_reserve_exact(bytes).map_err(|_| Errno::NOMEM)?;
            Memory::Heap(heap)
        } else {
            Memory::Mapped(map(bytes)?, 0)
        };
        Ok(Draft { memory, hasher: Box::default(), hashed: 0 })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// There is no memory.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.bytes().len() + bytes.len();
        match &mut self.memory {
            Memory::Heap(heap) if end < MAPPED_BYTES => {
                heap.try_reserve(bytes.len()).map_err(|_| Errno::NOMEM)?;
                heap.extend_from_slice(bytes);
            }
            Memory::Mapped(map, length) if FRONT + end <= map.len() => {
                map[FRONT + *length..FRONT + end].copy_from_slice(bytes);
                *length = end;
            }
            _ => {
                let mut larger = map(2 * end)?;
                let length = self.bytes().len();
                larger[FRONT..FRONT + length].copy_from_slice(self.bytes());
                larger[FRONT + length..FRONT + end].copy_from_slice(bytes);
                self.memory = Memory::Mapped(larger, end);
            }
        }
        let Draft { memory, hasher, hashed } = self;
        // Many bytes at a time can be hashed in parallel.
        if end - *hashed >= HASHED_BYTES {
            hasher.update(&memory.bytes()[*hashed..]);
            *hashed = end;
        }
        Ok(())
    }

    /// The bytes written so far.
    pub fn bytes(&self) -> &[u8] {
        self.memory.bytes()
    }

    /// The complete body, and its entity-tag.
    pub(super) fn finish(mut self) -> (Body, ETag) {
        self.hasher.update(&self.memory.bytes()[self.hashed..]);
        let body = match self.memory {
            Memory::Heap(heap) => Body::Heap(heap),
            Memory::Mapped(map, length) => Body::Mapped(map, FRONT..FRONT + length),
        };
        (body, self.hasher.etag())
    }
}

impl Memory {
    fn bytes(&self) -> &[u8] {
        match self {
            Memory::Heap(heap) => heap,
            Memory::Mapped(map, length) => &map[FRONT..FRONT + length],
        }
    }
}

impl Body {
    /// Bytes of the body.
    pub(super) fn length(&self) -> usize {
        match self {
            Body::Heap(bytes) => bytes.len(),
            Body::Mapped(_, range) => range.len(),
        }
    }
}

fn map(bytes: usize) -> io::Result<MmapMut> {
    // Many kernels say so by another error, such as EAGAIN.
    MmapMut::map_anon(FRONT + bytes).map_err(|_| Errno::NOMEM.into())
}

/// From this size on, memory is mapped from the system and unmapped: allocators keep freed memory.
pub(super) const MAPPED_BYTES: usize = 64 * 1024;

/// Room for the head of a response. A longer one is possible, but takes a copy of the body.
const FRONT: usize = 16 * 1024;

/// Bytes that are hashed at a time, which takes about 50 us.
const HASHED_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_has_the_bytes_and_the_tag_of_its_pieces_whatever_room_it_had() {
        let text: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
        for room in [0, 10, MAPPED_BYTES - 1, MAPPED_BYTES, 300_000, 1_000_000] {
            for length in [0, 1, MAPPED_BYTES - 1, MAPPED_BYTES, 200_000, 300_000] {
                for piece in [7_777, 100_000] {
                    let mut draft = Draft::with_room(room).unwrap();
                    for piece in text[..length].chunks(piece) {
                        draft.push(piece).unwrap();
                    }
                    assert!(draft.bytes() == &text[..length], "{room} {length} {piece}");
                    let (body, etag) = draft.finish();
                    assert_eq!(etag, ETag::of_content(&text[..length]));
                    assert_eq!(body.length(), length);
                    match body {
                        Body::Heap(bytes) => assert!(bytes == text[..length]),
                        Body::Mapped(map, range) => assert!(map[range] == text[..length]),
                    }
                }
            }
        }
    }
}
