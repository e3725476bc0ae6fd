//! The listing of a folder, made in slices.
//!
//! A folder can be large and there is only one thread, so a [`Listing`] works in steps, each
//! bounded in entries and in time. [`Lister`] reads the folder and puts the entries in order;
//! [`Html`] writes a page, and `Json` an array. The same folder in the same state gives the same
//! bytes, so a validator can be computed from them.

use std::io;
use std::task::Poll;

use rustix::fd::OwnedFd;

use crate::config::ArchiveFormat;
use crate::files::{Disk, Root};
use crate::site::draft::Draft;
use crate::site::visible::Visible;

mod fields;
pub mod form;
pub mod html;
mod json;
pub mod lister;
pub mod readme;
mod time;

pub(super) use fields::listing_lines;
pub use form::{Format, ListingForm};
pub use html::Html;
pub use lister::Lister;

use json::Json;
use readme::{Reading, Readme};

/// A listing that is being made.
pub struct Listing {
    lister: Lister,
    form: ListingForm,
    /// The formats in which the folder can be downloaded.
    archives: Vec<ArchiveFormat>,
    /// The page being written; `None` while the folder is read.
    page: Option<Page>,
    /// The README that is being read.
    reading: Option<Reading>,
    /// The README that was read.
    readme: Option<Readme>,
}

/// The page being written, in the format of the listing.
enum Page {
    Html(Box<Html>),
    Json(Box<Json>),
}

/// The result of a step of a [`Listing`].
#[derive(Debug)]
pub enum Progress {
    /// There is more to do: call [`Listing::step`] again.
    More,
    /// The README is not in memory: call [`Listing::step`] again after
    /// [`RETRY_MS`](crate::files::RETRY_MS).
    Cold,
    /// The whole listing.
    Done(Listed),
}

/// A complete listing.
#[derive(Debug)]
pub struct Listed {
    /// Its form.
    pub form: ListingForm,
    /// The content.
    pub content: Draft,
    /// The folder has more entries than the limit.
    pub is_cut: bool,
}

impl Listing {
    /// A listing of the freshly opened `dir`; for the other arguments and errors see
    /// [`Lister::new`].
    ///
    /// # Errors
    /// Those of the system.
    pub fn new(
        dir: OwnedFd,
        path: &[u8],
        most: usize,
        visible: &Visible,
        form: ListingForm,
    ) -> io::Result<Listing> {
        let lister = Lister::new(dir, path, most, visible, form)?;
        let (archives, page) = (Vec::new(), None);
        Ok(Listing { lister, form, archives, page, reading: None, readme: None })
    }

    /// The same, with links to the folder as an archive.
    #[must_use]
    pub fn with_archives(self, archives: &[ArchiveFormat]) -> Listing {
        Listing { archives: archives.to_vec(), ..self }
    }

    /// Continues with at most `entries` entries (at least one): looks them up, or writes them. The
    /// step ends when `enough` returns true; it is called after each lookup, so a slow disk delays
    /// a step by one lookup.
    ///
    /// `root` is the root that the directory was opened from. The listing is handed out once; a
    /// step after that begins an empty one.
    ///
    /// # Errors
    /// See [`Lister::read`]; or there is no memory.
    pub fn step(
        &mut self,
        (root, disk): (&Root, &mut Disk),
        entries: usize,
        enough: &mut dyn FnMut() -> bool,
    ) -> io::Result<Progress> {
        let Some(mut page) = self.page.take() else {
            if self.lister.read(root, entries, enough)? {
                self.page = Some(self.begin()?);
                // The kernel reads it while the rows are written.
                self.read_readme(root, disk);
            }
            return Ok(Progress::More);
        };
        for _ in 0..entries.max(1) {
            let Some(entry) = self.lister.next_entry() else {
                self.read_readme(root, disk);
                if self.reading.is_some() {
                    self.page = Some(page);
                    return Ok(Progress::Cold);
                }
                let content = match page {
                    Page::Html(html) => html.finish(&self.archives, self.readme.as_ref())?,
                    Page::Json(json) => json.finish()?,
                };
                let is_cut = self.lister.totals().is_cut;
                return Ok(Progress::Done(Listed { form: self.form, content, is_cut }));
            };
            match &mut page {
                Page::Html(html) => html.push(&entry)?,
                Page::Json(json) => json.push(&entry)?,
            }
        }
        self.page = Some(page);
        Ok(Progress::More)
    }

    fn begin(&mut self) -> io::Result<Page> {
        let (path, totals) = (self.lister.path(), self.lister.totals());
        Ok(match self.form.format {
            Format::Html => {
                self.reading = self.lister.readme().map(Reading::new);
                Page::Html(Box::new(Html::new(path, totals, self.form)?))
            }
            Format::Json => Page::Json(Box::new(Json::new(totals)?)),
        })
    }

    /// Tries to read the README, if there is one and it was not read yet.
    fn read_readme(&mut self, root: &Root, disk: &mut Disk) {
        let Some(reading) = &mut self.reading else { return };
        if let Poll::Ready(readme) = reading.step(root, self.lister.path(), disk) {
            (self.readme, self.reading) = (readme, None);
        }
    }
}

/// The whole listing at once; see [`Listing::new`] and [`Listing::step`].
///
/// # Errors
/// See [`Lister::read`].
pub fn listing_html(root: &Root, dir: OwnedFd, path: &[u8], most: usize) -> io::Result<Vec<u8>> {
    listing_in(ListingForm::default(), root, dir, path, most)
}

/// As [`listing_html`], in any form.
///
/// # Errors
/// See [`Lister::read`].
pub fn listing_in(
    form: ListingForm,
    root: &Root,
    dir: OwnedFd,
    path: &[u8],
    most: usize,
) -> io::Result<Vec<u8>> {
    let mut listing = Listing::new(dir, path, most, &Visible::default(), form)?;
    let mut disk = Disk::default();
    loop {
        let progress = listing.step((root, &mut disk), usize::MAX, &mut || false)?;
        if let Progress::Done(listed) = progress {
            return Ok(listed.content.bytes().to_vec());
        }
    }
}

#[cfg(test)]
mod tests;
