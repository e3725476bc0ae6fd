//! The listing of a folder, made in slices.
//!
//! A folder can be large and there is only one thread, so a [`Listing`] works in steps, each
//! bounded in entries and in time. [`Lister`] reads the folder and puts the entries in order;
//! [`Html`] writes the page. The same folder in the same state gives the same bytes, so a validator
//! can be computed from them.

use std::io;

use rustix::fd::OwnedFd;

use crate::files::Root;
use crate::site::visible::Visible;

pub mod html;
pub mod lister;

use super::draft::Draft;

pub use html::Html;
pub use lister::Lister;

/// A listing that is being made.
pub struct Listing {
    lister: Lister,
    /// The page, once everything is read.
    html: Option<Html>,
}

/// The result of a step of a [`Listing`].
#[derive(Debug)]
pub enum Progress {
    /// There is more to do: call [`Listing::step`] again.
    More,
    /// The whole page.
    Done(Draft),
}

impl Listing {
    /// A listing of the freshly opened `dir`; for the arguments and errors see [`Lister::new`].
    ///
    /// # Errors
    /// Those of the system.
    pub fn new(dir: OwnedFd, path: &[u8], most: usize, visible: &Visible) -> io::Result<Listing> {
        Ok(Listing { lister: Lister::new(dir, path, most, visible)?, html: None })
    }

    /// Continues with at most `entries` entries (at least one): looks them up, or writes their
    /// rows. The step ends when `enough` returns true; it is called after each lookup, so a slow
    /// disk delays a step by one lookup.
    ///
    /// `root` is the root that the directory was opened from. The page is handed out once; a step
    /// after that begins an empty one.
    ///
    /// # Errors
    /// See [`Lister::read`]; or there is no memory.
    pub fn step(
        &mut self,
        root: &Root,
        entries: usize,
        enough: &mut dyn FnMut() -> bool,
    ) -> io::Result<Progress> {
        let Some(mut html) = self.html.take() else {
            if self.lister.read(root, entries, enough)? {
                self.html = Some(Html::new(self.lister.path(), self.lister.totals())?);
            }
            return Ok(Progress::More);
        };
        for _ in 0..entries.max(1) {
            match self.lister.next_entry() {
                Some(entry) => html.push(&entry)?,
                None => return html.finish().map(Progress::Done),
            }
        }
        self.html = Some(html);
        Ok(Progress::More)
    }
}

/// The whole listing at once; see [`Listing::new`] and [`Listing::step`].
///
/// # Errors
/// See [`Lister::read`].
pub fn listing_html(root: &Root, dir: OwnedFd, path: &[u8], most: usize) -> io::Result<Vec<u8>> {
    let mut listing = Listing::new(dir, path, most, &Visible::default())?;
    loop {
        if let Progress::Done(page) = listing.step(root, usize::MAX, &mut || false)? {
            return Ok(page.bytes().to_vec());
        }
    }
}

#[cfg(test)]
mod tests;
