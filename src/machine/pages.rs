//! The buffers of connections.
//!
//! A connection takes a page to receive a request and returns it when it is empty, so an idle
//! connection holds none. The pool is a stack: the page returned last, which is still in the CPU
//! cache, is taken next.

use crate::config::{Limits, PAGE_BYTES};
use crate::http::writer::Writer;

use super::held::Held;

/// Free pages kept for the next burst; further ones are freed.
const KEPT: usize = 256;

type Page = Box<[u8; PAGE_BYTES]>;

/// The pool, and what connections hold besides their pages.
#[derive(Debug)]
pub struct Pages {
    free: Vec<Page>,
    taken: usize,
    most: usize,
    /// What connections hold besides their pages. Their driver keeps it up to date.
    pub held: Held,
}

impl Pages {
    /// A pool of at most `most` pages. What connections hold besides them has no limit.
    pub fn new(most: usize) -> Pages {
        Pages { free: Vec::new(), taken: 0, most, held: Held::new(usize::MAX) }
    }

    /// The same, with a limit of what connections hold besides their pages.
    pub fn limited(limits: &Limits) -> Pages {
        Pages { held: Held::new(limits.held_bytes), ..Pages::new(limits.pages) }
    }

    /// Pages in use.
    pub fn taken(&self) -> usize {
        self.taken
    }

    fn take(&mut self) -> Option<Page> {
        if self.taken == self.most {
            return None;
        }
        let page = match self.free.pop() {
            Some(page) => page,
            None => new_page()?,
        };
        self.taken += 1;
        Some(page)
    }

    fn give(&mut self, page: Page) {
        self.taken -= 1;
        if self.free.len() < KEPT {
            self.free.push(page);
        }
    }
}

/// A new page, if there is memory for it.
fn new_page() -> Option<Page> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(PAGE_BYTES).ok()?;
    bytes.resize(PAGE_BYTES, 0);
    bytes.into_boxed_slice().try_into().ok()
}

/// A queue of bytes: filled at the end, consumed at the start.
#[derive(Debug, Default)]
pub struct Buffer {
    page: Option<Page>,
    start: u16,
    end: u16,
}

const _: () = assert!(PAGE_BYTES <= u16::MAX as usize, "offsets into a page are 16 bits wide");

impl Buffer {
    /// True if there is nothing in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes in it.
    #[inline]
    pub fn len(&self) -> usize {
        usize::from(self.end - self.start)
    }

    /// True if it holds a page.
    pub fn has_page(&self) -> bool {
        self.page.is_some()
    }

    /// The bytes in it.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        let range = usize::from(self.start)..usize::from(self.end);
        self.page.as_deref().map_or(&[], |page| &page[range])
    }

    /// The bytes in it, and `count` more that were written into the room behind them.
    pub fn bytes_with(&self, count: usize) -> &[u8] {
        let range = usize::from(self.start)..usize::from(self.end) + count;
        self.page.as_deref().map_or(&[], |page| &page[range])
    }

    /// Overwrites one of the bytes in it.
    pub fn patch(&mut self, at: usize, byte: u8) {
        let at = usize::from(self.start) + at;
        if let Some(page) = self.page.as_deref_mut() {
            page[at] = byte;
        }
    }

    /// Whether it holds a page, or gets one now.
    #[inline]
    pub fn take_page(&mut self, pages: &mut Pages) -> bool {
        if self.page.is_none() {
            self.page = pages.take();
        }
        self.page.is_some()
    }

    /// The free space behind the bytes in it, on a page from the pool. `None`: the pool is
    /// exhausted. The bytes move to the front first if they reach the end of the page.
    #[inline]
    pub fn room(&mut self, pages: &mut Pages) -> Option<&mut [u8]> {
        let page = match &mut self.page {
            Some(page) => page,
            none => none.insert(pages.take()?),
        };
        if usize::from(self.end) == PAGE_BYTES && self.start > 0 {
            page.copy_within(usize::from(self.start).., 0);
            self.end -= self.start;
            self.start = 0;
        }
        Some(&mut page[usize::from(self.end)..])
    }

    /// Bytes of room behind those in it; a whole page if it holds none.
    #[inline]
    pub fn room_left(&self) -> usize {
        PAGE_BYTES - usize::from(self.end)
    }

    /// `count` bytes were written into the room.
    #[inline]
    pub fn filled(&mut self, count: usize) {
        assert!(count <= self.room_left(), "more was filled than there was room");
        self.end += offset(count);
    }

    /// Drops `count` bytes from its start.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "more was consumed than there was");
        self.start += offset(count);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Appends the output of `write`, if all of it fits. `None`: it did not, or there is no page;
    /// then nothing was appended.
    pub fn append(&mut self, pages: &mut Pages, write: impl FnOnce(&mut Writer<'_>)) -> Option<()> {
        let mut writer = Writer::new(self.room(pages)?);
        write(&mut writer);
        let count = writer.finish()?;
        self.filled(count);
        Some(())
    }

    /// Returns the page to the pool if it is empty.
    #[inline(always)]
    pub fn release_if_empty(&mut self, pages: &mut Pages) {
        if self.has_page() && self.is_empty() {
            self.release(pages);
        }
    }

    /// Drops the bytes in it, and returns the page to the pool.
    pub fn release(&mut self, pages: &mut Pages) {
        if let Some(page) = self.page.take() {
            pages.give(page);
        }
        self.start = 0;
        self.end = 0;
    }
}

fn offset(count: usize) -> u16 {
    u16::try_from(count).expect("a count of bytes in a page is at most PAGE_BYTES")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(buffer: &mut Buffer, pages: &mut Pages, bytes: &[u8]) -> Option<()> {
        buffer.append(pages, |writer| {
            writer.put(bytes);
        })
    }

    #[test]
    fn a_page_is_held_only_while_there_is_something_in_it() {
        let mut pages = Pages::new(1);
        let mut buffer = Buffer::default();
        put(&mut buffer, &mut pages, b"abc").unwrap();
        buffer.consume(2);
        buffer.release_if_empty(&mut pages);
        assert_eq!((buffer.bytes(), pages.taken()), (&b"c"[..], 1));
        assert_eq!(put(&mut Buffer::default(), &mut pages, b"x"), None, "the pool is exhausted");
        buffer.consume(1);
        buffer.release_if_empty(&mut pages);
        assert_eq!((buffer.bytes(), pages.taken()), (&b""[..], 0));
        assert_eq!(put(&mut Buffer::default(), &mut pages, b"x"), Some(()));
    }

    #[test]
    fn what_does_not_fit_is_not_appended_at_all() {
        let mut pages = Pages::new(1);
        let mut buffer = Buffer::default();
        put(&mut buffer, &mut pages, &[b'a'; PAGE_BYTES - 1]).unwrap();
        assert_eq!(put(&mut buffer, &mut pages, b"bc"), None);
        assert_eq!(buffer.len(), PAGE_BYTES - 1);
        put(&mut buffer, &mut pages, b"b").unwrap();
        assert_eq!(buffer.room_left(), 0);
    }

    #[test]
    fn a_full_page_makes_room_by_moving_what_is_left_to_the_front() {
        let mut pages = Pages::new(1);
        let mut buffer = Buffer::default();
        put(&mut buffer, &mut pages, &[b'a'; PAGE_BYTES]).unwrap();
        buffer.consume(PAGE_BYTES - 2);
        put(&mut buffer, &mut pages, b"bc").unwrap();
        assert_eq!(buffer.bytes(), b"aabc");
    }
}
