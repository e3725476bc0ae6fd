//! Files and folders that a browser stores instead of showing them.

use std::io;
use std::rc::Rc;

use crate::clock::Tick;
use crate::config::ArchiveFormat;
use crate::files::{OpenError, Opened};
use crate::http::status::{Failure, Status};
use crate::http::target::name_start;

use super::archive::{Archive, Filled, Top};
use super::disposition::attachment;
use super::policy::{Purpose, Vary};
use super::reply::{Content, Reply};
use super::store::Located;
use super::{Site, Sites, Wait, query};

/// Why there is no archive.
pub(super) enum NoArchive {
    /// Ask again after this.
    Later(Wait),
    /// It cannot be made.
    Failure(Failure),
}

/// The format of the archive that a query asks for, if the site has archives of it.
pub(super) fn archive_format(site: &Site, query: Option<&[u8]>) -> Option<ArchiveFormat> {
    let format = |value: &[u8]| match value {
        b"tar" => Some(ArchiveFormat::Tar),
        b"zip" => Some(ArchiveFormat::Zip),
        _ => None,
    };
    let found = query::values(query, "archive").find_map(format)?;
    site.config.archives.contains(&found).then_some(found)
}

impl Sites {
    /// The reply with an archive of a folder that is listed.
    pub(super) fn archive(
        &mut self,
        index: usize,
        located: &Located,
        format: ArchiveFormat,
    ) -> Result<Reply, NoArchive> {
        let site = &self.sites[index];
        let Located { canonical, policy } = located;
        if Rc::strong_count(&self.archives) > ARCHIVES_MAX {
            let why = "too many archives are being made";
            return Err(NoArchive::Failure(Failure::new(Status::ServiceUnavailable, why)));
        }
        let blocking = crate::files::Blocking::Allowed;
        let (folder, version) = match site.root.open(&canonical[1..], blocking) {
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
        let mut fields = site.rulebook.lines(policy, purpose, canonical, Vary::default());
        fields.extend_from_slice(format!("Content-Type: {media_type}\r\n").as_bytes());
        fields.extend_from_slice(&attachment(&[name, extension.as_bytes()].concat()));
        let top = Top { folder, version, canonical: canonical.clone() };
        let access = (&site.root, site.visible(), self.store.listing_entries());
        let archive = Archive::new(format, top, access, (name, fields), &self.archives)
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

/// Archives that are sent at the same time: each keeps the entries of its folders.
const ARCHIVES_MAX: usize = 16;
