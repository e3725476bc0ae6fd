//! Revalidation of entries, and the meaning of an error for a request.

use crate::clock::Clock;
use crate::config::Limits;
use crate::files::{Kind, OpenError, Root};
use crate::http::status::{Failure, Status};
use crate::http::target::name_start;
use crate::site::Site;
use crate::site::representation::is_young;
use crate::site::resource::Outcome;

use super::cache::Known;
use super::hashes::Hashes;

/// Whether an entry is still valid: its files below this root of a site, and their hashes, are
/// those that it was made from.
pub(super) fn holds(
    known: &Known,
    root: &Root,
    site: &Site,
    limits: &Limits,
    hashes: &Hashes,
    clock: &Clock,
) -> bool {
    let Some(version) = &known.version else { return false };
    let now = match root.version(&known.path) {
        Ok(now) => now,
        // Without a descriptor to check the file, a body in memory is better than a 503.
        Err(OpenError::Exhausted(_)) => return known.entry.is_in_memory(),
        Err(_) => return false,
    };
    if !are_absent(site, &known.path, known.absent) {
        return false;
    }
    match &known.entry.outcome {
        Outcome::Failure(..) => false,
        // It must be the same directory: a link in its place may lead outside now.
        Outcome::Redirect(_) => now.kind == version.kind && now.is_same_file(version),
        Outcome::Resource(resource) => {
            let identity = &resource.identity;
            let settled = identity.is_young() && !is_young(version, clock);
            let listing_is_old = version.kind == Kind::Directory
                && clock.tick.since(known.made) >= limits.listing_age_ms;
            // After the wall clock was set back, the date can lie in the future.
            let dated = identity.validators().last_modified <= Some(clock.unix_seconds());
            let hashed = resource.unhashed().any(|file| hashes.knows(file.version()));
            now == *version
                && !settled
                && !hashed
                && !listing_is_old
                && dated
                && known.beside.holds(root, &known.path)
        }
    }
}

/// Whether the first `count` index names still do not exist in the folder of `path`.
fn are_absent(site: &Site, path: &[u8], count: u8) -> bool {
    let folder = &path[..name_start(path)];
    site.config.index.iter().take(usize::from(count)).all(|name| {
        match site.root.version(&[folder, name.as_bytes()].concat()) {
            Ok(version) => version.kind == Kind::Directory,
            Err(error) => matches!(error, OpenError::NotFound),
        }
    })
}

pub(super) fn has_no_index(site: &Site, canonical: &[u8]) -> bool {
    are_absent(site, &canonical[1..], index_names(site))
}

/// How many index names a site has.
pub(super) fn index_names(site: &Site) -> u8 {
    u8::try_from(site.config.index.len()).unwrap_or(u8::MAX)
}

pub(super) fn failure_of(error: &OpenError) -> Failure {
    match error {
        OpenError::NotFound | OpenError::Refused => Failure::new(Status::NotFound, ""),
        OpenError::Forbidden => Failure::new(Status::Forbidden, ""),
        OpenError::Exhausted(_) | OpenError::Leased | OpenError::Cold => {
            Failure::new(Status::ServiceUnavailable, "")
        }
        OpenError::Failed(_) => Failure::new(Status::InternalServerError, ""),
    }
}
