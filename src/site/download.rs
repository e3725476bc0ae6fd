//! What the query of a request changes: the form of a listing, and files and folders that a browser
//! stores instead of showing them.

use std::io;
use std::net::IpAddr;
use std::rc::Rc;

use crate::clock::Tick;
use crate::config::ArchiveFormat;
use crate::files::{Blocking, OpenError, Opened};
use crate::http::status::{Failure, Status};
use crate::http::target::name_start;
use crate::rules::table::Reach;

use super::archive::{Archive, Filled, Top};
use super::disposition::attachment;
use super::listing::ListingForm;
use super::places::NoPlace;
use super::policy::Purpose;
use super::reply::{Content, Reply};
use super::respond::{Answer, Asked};
use super::store::{At, Found, Located};
use super::visible::{Admitted, View};
use super::{Site, Sites, Wait, query};

/// Why there is no archive.
enum NoArchive {
    /// Ask again after this.
    Later(Wait),
    /// It cannot be made.
    Failure(Failure),
}

/// The format of the archive that a query asks for, if the site has archives of it.
fn archive_format(site: &Site, query: Option<&[u8]>) -> Option<ArchiveFormat> {
    let format = |value: &[u8]| match value {
        b"tar" => Some(ArchiveFormat::Tar),
        b"zip" => Some(ArchiveFormat::Zip),
        _ => None,
    };
    let found = query::values(query, "archive").find_map(format)?;
    site.config.archives.contains(&found).then_some(found)
}

impl Sites {
    /// The reply with a listing in the form that the request asks for, or with a file that is
    /// requested with a query.
    #[inline(never)]
    pub(super) fn in_form(
        &mut self,
        index: usize,
        asked: Asked<'_>,
        at: At,
    ) -> Result<Answer, Failure> {
        let Asked { request, path, query, .. } = asked;
        let Some(view) = self.store.entry(at).outcome.listing().cloned() else {
            let mut answer = self.whole(index, asked, at);
            if let Answer::Reply(reply) = &mut answer
                && query::values(query, "download").next().is_some()
            {
                self.attach(index, path, reply);
            }
            return Ok(answer);
        };
        let format = archive_format(&self.sites[index], query);
        let reach = if format.is_some() { Reach::Tree } else { Reach::Entries };
        let admitted = match self.admitted(index, asked, reach)? {
            Ok(admitted) => admitted,
            Err(answer) => return Ok(answer),
        };
        if let Some(format) = format {
            let located = self.store.locate(&self.sites[index], path)?;
            return Ok(match self.archive(index, (&located, request.client), format, &admitted) {
                Ok(reply) => Answer::Reply(reply),
                Err(NoArchive::Later(wait)) => Answer::Later(wait),
                Err(NoArchive::Failure(failure)) => {
                    self.refuse(index, asked, &located.policy, failure)
                }
            });
        }
        let wanted = View { form: ListingForm::of(query, request.fields), admitted };
        if *view == wanted {
            return Ok(self.whole(index, asked, at));
        }
        self.store.recall_canonical(&self.sites[index], path, asked.clock)?;
        let located = self.store.locate(&self.sites[index], path)?;
        Ok(match self.find_listing(index, asked, &located, &wanted) {
            Found::At(at) if self.store.is_resource(at) => self.whole(index, asked, at),
            Found::At(at) => self.without_resource(index, asked, at),
            Found::Wait(wait) => Answer::Later(wait),
        })
    }

    /// What a path leads to; of a folder that is listed, this listing.
    pub(super) fn find_listing(
        &mut self,
        index: usize,
        asked: Asked<'_>,
        located: &Located,
        view: &View,
    ) -> Found {
        let Asked { path, blocking, clock, .. } = asked;
        let (store, site) = (&mut self.store, &self.sites[index]);
        match store.recall_listing(site, view, clock) {
            Some(at) => Found::At(at),
            None => store.find(site, path, located, (blocking, view), clock),
        }
    }

    /// Adds the field with which a browser stores a file instead of showing it (RFC 6266).
    fn attach(&mut self, index: usize, path: &[u8], reply: &mut Reply) {
        if !matches!(reply.content, Content::Whole(_) | Content::Range(..) | Content::Ranges(..))
            || reply.status.is_error()
        {
            return;
        }
        let Ok(canonical) = self.store.decode(&self.sites[index], path) else { return };
        let line = attachment(&canonical[name_start(canonical)..]);
        reply.extra = Some(Rc::new(line));
    }

    /// The reply with an archive of a folder that is listed.
    fn archive(
        &mut self,
        index: usize,
        (located, client): (&Located, Option<IpAddr>),
        format: ArchiveFormat,
        admitted: &Admitted,
    ) -> Result<Reply, NoArchive> {
        let site = &self.sites[index];
        let Located { canonical, policy } = located;
        let place = self.places.take(client).map_err(|why| {
            NoArchive::Failure(match why {
                NoPlace::All => {
                    let why = "too many archives are being sent";
                    Failure::new(Status::ServiceUnavailable, why)
                }
                NoPlace::OfClient => {
                    let why = "too many archives are being sent to your address";
                    Failure::new(Status::TooManyRequests, why)
                }
            })
        })?;
        let opened = site.root.open(&canonical[1..], Blocking::Allowed);
        let (folder, version) = match opened {
            Ok(Opened::Directory(folder, version)) => (folder, version),
            Ok(Opened::File(..)) => return Err(NoArchive::Failure(Failure::not_found(""))),
            Err(error) => return Err(error.into()),
        };
        let (media_type, extension) = match format {
            ArchiveFormat::Tar => ("application/x-tar", ".tar"),
            ArchiveFormat::Zip => ("application/zip", ".zip"),
        };
        let path = &canonical[..canonical.len() - 1];
        let name = match &path[name_start(path)..] {
            b"" => b"archive",
            name => name,
        };
        let purpose = Purpose::Listing;
        let rulebook = &site.rulebook;
        let vary = rulebook.vary_by(&rulebook.guards_below(canonical, Reach::Tree));
        let mut fields = rulebook.lines(policy, purpose, canonical, vary);
        fields.extend_from_slice(format!("Content-Type: {media_type}\r\n").as_bytes());
        fields.extend_from_slice(&attachment(&[name, extension.as_bytes()].concat()));
        let top = Top { folder, version, canonical: canonical.clone() };
        let access = (&site.root, site.visible(canonical, admitted), self.store.listing_entries());
        let archive = Archive::new(format, top, access, (name, fields), place)
            .map_err(|error| NoArchive::from(OpenError::Failed(error)))?;
        let content = Content::Archive(Box::new(archive));
        Ok(Reply { status: Status::Ok, content, extra: None })
    }

    /// The next bytes of an archive, `most` at most.
    ///
    /// # Errors
    /// A file changed while it was sent, or the disk failed: the archive cannot be completed.
    pub fn fill(
        &mut self,
        archive: &mut Archive,
        most: usize,
        now: Tick,
    ) -> io::Result<(Filled, &[u8])> {
        self.store.fill(archive, most, now)
    }
}

impl From<OpenError> for NoArchive {
    fn from(error: OpenError) -> NoArchive {
        match error {
            OpenError::Cold => NoArchive::Later(Wait::Path),
            OpenError::Leased => NoArchive::Later(Wait::Disk),
            OpenError::NotFound | OpenError::Refused => NoArchive::Failure(Failure::not_found("")),
            OpenError::Forbidden => NoArchive::Failure(Failure::new(Status::Forbidden, "")),
            OpenError::Exhausted(_) | OpenError::Failed(_) => {
                NoArchive::Failure(Failure::new(Status::ServiceUnavailable, ""))
            }
        }
    }
}
