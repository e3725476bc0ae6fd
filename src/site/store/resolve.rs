//! From a canonical path to an outcome, in the order in which a request is decided: forced rules,
//! the file or folder, clean URLs, the file in the previous root, the other rules, the single-page
//! application, the error page.
//!
//! Access was checked before. Whatever is sent under the name of another file comes from an entry
//! of its own, under a key that no request can have, so that many paths share it.

use std::rc::Rc;

use crate::clock::Clock;
use crate::config::CleanUrls;
use crate::files::{Blocking, Kind, OpenError, Version};
use crate::http::status::{Failure, Status};
use crate::http::target::{self, name_start};
use crate::rules::redirect::Answer;
use crate::site::listing::Listing;
use crate::site::policy::{Policy, Purpose};
use crate::site::resource::{Fallback, Navigation, Outcome, Redirect, Resource};
use crate::site::visible::View;
use crate::site::{Site, Wait};

use super::check::has_no_index;
use super::load::{Loaded, Made, Obstacle, Sending};
use super::work::Target;
use super::{At, Found, Located, Store};

/// A path to look up.
pub(super) struct Lookup<'l> {
    /// Its canonical encoding.
    pub(super) key: &'l [u8],
    /// The key of this listing of it, if it is a folder that is listed.
    pub(super) listing_key: &'l [u8],
    pub(super) view: &'l View,
    pub(super) located: &'l Located,
    pub(super) blocking: Blocking,
}

/// A resource that is sent under other names.
struct Shared {
    resource: Resource,
    /// The canonical path of its file.
    file: Vec<u8>,
    /// The key of its own entry.
    key: Vec<u8>,
}

type Resolved = Result<(Made, Rc<Policy>), Obstacle>;

impl Store {
    /// Makes the outcome of a path, and the policy that holds for it.
    pub(super) fn make(&mut self, site: &Site, lookup: &Lookup<'_>, clock: &Clock) -> Resolved {
        let Located { canonical, policy } = lookup.located;
        if let Some(answer) = site.rulebook.redirect(canonical, true) {
            return self.answer(site, lookup, answer, clock);
        }
        let sending = Sending::files(policy);
        let mut is_absent = false;
        let failure = match self.loader(site, &sending, lookup.blocking, clock).load(canonical) {
            Ok(Loaded::Made(made)) => return self.file(site, lookup, made, clock),
            Ok(Loaded::Folder(version)) => return self.folder(site, lookup, version, clock),
            Ok(Loaded::Listed(folder, version)) => {
                let most = self.limits.listing_entries;
                let View { form, admitted } = lookup.view;
                let visible = site.visible(canonical, admitted);
                let listing = Listing::new(folder, canonical, most, &visible, *form)?
                    .with_archives(&site.config.archives);
                let target = Target {
                    part: site.part,
                    key: lookup.listing_key.into(),
                    canonical: canonical.as_slice().into(),
                    view: Rc::new(lookup.view.clone()),
                    policy: Rc::clone(policy),
                };
                let made = self.list(site, target, version, listing, clock)?;
                return Ok((made, Rc::clone(policy)));
            }
            Ok(Loaded::Unlisted) => Failure::new(Status::Forbidden, "this folder is not listed"),
            Err(Obstacle::Open(error @ (OpenError::NotFound | OpenError::Refused))) => {
                is_absent = matches!(error, OpenError::NotFound);
                Failure::not_found("")
            }
            Err(obstacle) => return Err(obstacle),
        };
        if let Some(found) = self.clean_url(site, lookup, clock)? {
            return Ok(found);
        }
        if is_absent && let Some(found) = self.in_previous(site, lookup, clock)? {
            return Ok(found);
        }
        match site.rulebook.redirect(canonical, false) {
            Some(answer) => self.answer(site, lookup, answer, clock),
            None => self.missing(site, lookup, failure, clock),
        }
    }

    /// The file in the previous root, with the rules of this one. An entry of its own holds it; the
    /// entry of the path is made again instead of revalidated, because the new root may get the
    /// file.
    fn in_previous(
        &mut self,
        site: &Site,
        lookup: &Lookup<'_>,
        clock: &Clock,
    ) -> Result<Option<(Made, Rc<Policy>)>, Obstacle> {
        let Located { canonical, policy } = lookup.located;
        let Some(previous) = &site.previous else { return Ok(None) };
        if canonical.ends_with(b"/") {
            return Ok(None);
        }
        let key = [&[PREVIOUS], &canonical[..]].concat();
        let at = match self.recall_key(site, &key, clock) {
            Some(place) => At::Cache(place),
            None => {
                let sending = Sending::files(policy);
                let loader = self.loader(site, &sending, lookup.blocking, clock);
                let made = match loader.below(&previous.root).load(canonical) {
                    // Neither folders nor their index files.
                    Ok(Loaded::Made(made)) if made.path == canonical[1..] => made,
                    Err(Obstacle::Wait(wait)) => return Err(Obstacle::Wait(wait)),
                    Err(Obstacle::Open(error @ OpenError::Exhausted(_))) => {
                        return Err(error.into());
                    }
                    Ok(_) | Err(Obstacle::Open(_)) => return Ok(None),
                };
                match self.keep(site, &key, made, policy, clock) {
                    Found::At(at) => at,
                    Found::Wait(wait) => return Err(Obstacle::Wait(wait)),
                }
            }
        };
        let outcome = self.entry(at).outcome.clone();
        let made = Made { is_alias: true, ..Made::of(outcome, key, None) };
        Ok(Some((made, Rc::clone(policy))))
    }

    /// The outcome for a file that the path names, or an index file.
    fn file(&mut self, site: &Site, lookup: &Lookup<'_>, made: Made, clock: &Clock) -> Resolved {
        let Located { canonical, policy } = lookup.located;
        if made.path != canonical[1..] {
            let file = [b"/", &made.path[..]].concat();
            let whole = site.rulebook.policy(canonical, Some(&file));
            if whole.needs_login() == policy.needs_login() {
                return Ok((made, whole));
            }
            // Its fields are those of a file that needs a login.
            let sending = Sending::files(&whole);
            let again = self.loader(site, &sending, lookup.blocking, clock).load(canonical)?;
            return match again {
                Loaded::Made(made) => Ok((made, whole)),
                _ => Err(Obstacle::Wait(Wait::Turn)), // it was replaced meanwhile
            };
        }
        let made = match clean_location(site, canonical) {
            Some(location) => Made::again(redirect(Status::PermanentRedirect, location, true)),
            None => made,
        };
        Ok((made, Rc::clone(policy)))
    }

    /// The outcome for a folder that is named without its slash. With clean URLs, a page of the
    /// same name wins over a folder without an index file.
    fn folder(
        &mut self,
        site: &Site,
        lookup: &Lookup<'_>,
        version: Version,
        clock: &Clock,
    ) -> Resolved {
        let Located { canonical, policy } = lookup.located;
        let is_clean = site.config.clean_urls != CleanUrls::Off;
        if is_clean && has_no_index(site, &[canonical, &b"/"[..]].concat()) {
            let page = [canonical, &b".html"[..]].concat();
            if let Some(found) = self.alias(site, lookup, &page, Purpose::Alias, clock)? {
                return Ok(found);
            }
        }
        let location = target::directory_location(canonical).collect();
        let outcome = redirect(Status::MovedPermanently, location, true);
        // A page of that name may appear.
        let version = (!is_clean).then_some(version);
        Ok((Made::of(outcome, canonical[1..].to_vec(), version), Rc::clone(policy)))
    }

    /// `/about` gets `about.html`; a slash behind it is one too many.
    fn clean_url(
        &mut self,
        site: &Site,
        lookup: &Lookup<'_>,
        clock: &Clock,
    ) -> Result<Option<(Made, Rc<Policy>)>, Obstacle> {
        let Located { canonical, policy } = lookup.located;
        if site.config.clean_urls == CleanUrls::Off || canonical.len() == 1 {
            return Ok(None);
        }
        let Some(folder) = canonical.strip_suffix(b"/") else {
            let page = [canonical, &b".html"[..]].concat();
            return self.alias(site, lookup, &page, Purpose::Alias, clock);
        };
        let is_page = is_file(site, &[folder, b".html"].concat());
        let location = || {
            let name = target::encode_path(&folder[name_start(folder)..]);
            b"../".iter().copied().chain(name).collect()
        };
        let redirected = is_page.then(|| redirect(Status::PermanentRedirect, location(), true));
        Ok(redirected.map(|outcome| (Made::again(outcome), Rc::clone(policy))))
    }

    /// The outcome that a rule gives.
    fn answer(
        &mut self,
        site: &Site,
        lookup: &Lookup<'_>,
        answer: Answer,
        clock: &Clock,
    ) -> Resolved {
        let (status, file) = match answer {
            Answer::Location(status, location) => {
                let outcome = redirect(status, location.into(), false);
                return Ok((Made::again(outcome), Rc::clone(&lookup.located.policy)));
            }
            Answer::File(status, file) => (status, file),
        };
        if !status.is_error() {
            let found = self.alias(site, lookup, &file, Purpose::Alias, clock)?;
            let missing = Failure::not_found("");
            return found.map_or_else(|| self.missing(site, lookup, missing, clock), Ok);
        }
        let (purpose, failure) = match status {
            Status::ServiceUnavailable => (Purpose::ServerError, Failure::maintenance()),
            _ => (Purpose::Page, Failure::new(status, "")),
        };
        let page = self.page(site, lookup, &file, (purpose, false), clock)?;
        Ok(failed(failure, Fallback { page, navigation: None }, &lookup.located.policy))
    }

    /// The outcome of a path that nothing else is found for.
    fn missing(
        &mut self,
        site: &Site,
        lookup: &Lookup<'_>,
        failure: Failure,
        clock: &Clock,
    ) -> Resolved {
        let mut fallback = Fallback { page: None, navigation: None };
        if let Some(spa) = &site.config.spa {
            let how = (Purpose::Alias, true);
            if let Some((page, policy)) = self.sent(site, lookup, spa.as_bytes(), how, clock)? {
                fallback.navigation = Some(Navigation { resource: page.resource, policy });
            }
        }
        fallback.page = self.error_page_or_wait(site, lookup, failure.status, clock)?;
        Ok(failed(failure, fallback, &lookup.located.policy))
    }

    /// The page that a site configures for a failure of a path, if it is in memory or can be
    /// loaded at once, and the policy of the path, which its fields have.
    pub(in crate::site) fn configured_page(
        &mut self,
        site: &Site,
        path: &[u8],
        status: Status,
        clock: &Clock,
    ) -> Option<(Resource, Rc<Policy>)> {
        if !site.config.error_pages.iter().any(|(code, _)| *code == status.code()) {
            return None;
        }
        let located = self.locate(site, path).ok()?;
        // A name that was never looked up is not in memory, and an attempt that must not wait at
        // all leaves it so.
        let (key, blocking) = (&b""[..], Blocking::Path);
        let view = &View::default();
        let lookup = Lookup { key, listing_key: key, view, located: &located, blocking };
        let page = self.error_page(site, &lookup, status, clock)?;
        Some((page, located.policy))
    }

    /// The page of a site for a failure of this path, if it is in memory or can be loaded.
    pub(super) fn error_page(
        &mut self,
        site: &Site,
        lookup: &Lookup<'_>,
        status: Status,
        clock: &Clock,
    ) -> Option<Resource> {
        self.error_page_or_wait(site, lookup, status, clock).ok().flatten()
    }

    /// The first of the [`error_pages`] that exists and that every reader of the path may read.
    fn error_page_or_wait(
        &mut self,
        site: &Site,
        lookup: &Lookup<'_>,
        status: Status,
        clock: &Clock,
    ) -> Result<Option<Resource>, Obstacle> {
        let how = (Purpose::of_status(status), site.config.spa.is_some());
        for path in error_pages(site, &lookup.located.canonical, status) {
            if let Some(found) = self.page(site, lookup, &path, how, clock)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The page at the canonical path `target`, for a failure of the path that is looked up;
    /// `None`: it does not exist, or not every reader of the path may read it.
    fn page(
        &mut self,
        site: &Site,
        lookup: &Lookup<'_>,
        target: &[u8],
        how: (Purpose, bool),
        clock: &Clock,
    ) -> Result<Option<Resource>, Obstacle> {
        let found = self.shared(site, lookup, target, how, clock)?;
        let readers = &lookup.located.canonical;
        let is_open = |it: &Shared| site.rulebook.is_open_to_readers_of(&it.file, readers);
        Ok(found.filter(is_open).map(|it| it.resource))
    }

    /// The file at `target`, under the name of the path.
    fn alias(
        &mut self,
        site: &Site,
        lookup: &Lookup<'_>,
        target: &[u8],
        purpose: Purpose,
        clock: &Clock,
    ) -> Result<Option<(Made, Rc<Policy>)>, Obstacle> {
        let found = self.sent(site, lookup, target, (purpose, false), clock)?;
        Ok(found.map(|(it, policy)| {
            let made = Made::of(Outcome::Resource(it.resource), it.key, None);
            (Made { is_alias: true, ..made }, policy)
        }))
    }

    /// The resource at the canonical path `target`, to be sent under the name of the path that is
    /// looked up, and the policy of both.
    fn sent(
        &mut self,
        site: &Site,
        lookup: &Lookup<'_>,
        target: &[u8],
        how: (Purpose, bool),
        clock: &Clock,
    ) -> Result<Option<(Shared, Rc<Policy>)>, Obstacle> {
        let Located { canonical, policy } = lookup.located;
        let Some(found) = self.shared(site, lookup, target, how, clock)? else { return Ok(None) };
        let whole = site.rulebook.policy(canonical, Some(&found.file));
        if whole.needs_login() == policy.needs_login() {
            return Ok(Some((found, whole)));
        }
        // Its fields are those of a file that needs a login.
        let located = &Located { canonical: canonical.clone(), policy: Rc::clone(&whole) };
        let found = self.shared(site, &Lookup { located, ..*lookup }, target, how, clock)?;
        Ok(found.map(|found| (found, whole)))
    }

    /// The resource at the canonical path `target`, with the fields of the path that is looked up.
    fn shared(
        &mut self,
        site: &Site,
        lookup: &Lookup<'_>,
        target: &[u8],
        (purpose, navigation): (Purpose, bool),
        clock: &Clock,
    ) -> Result<Option<Shared>, Obstacle> {
        let policy = &lookup.located.policy;
        let kind = [SHARED, purpose as u8, u8::from(navigation)];
        let key = [&kind[..], &policy.id.to_le_bytes(), target].concat();
        let place = match self.recall_key(site, &key, clock) {
            Some(place) => place,
            None => {
                let sending = Sending { policy: Rc::clone(policy), purpose, navigation };
                let made = self.load_shared(site, lookup, target, &sending, clock)?;
                let file = [b"/", &made.path[..]].concat();
                match self.keep(site, &key, made, policy, clock) {
                    Found::At(At::Cache(place)) => place,
                    Found::At(At::Last) | Found::Wait(_) => {
                        return Ok(self.last.take().and_then(|entry| match entry.outcome {
                            Outcome::Resource(resource) => Some(Shared { resource, file, key }),
                            _ => None,
                        }));
                    }
                }
            }
        };
        let known = self.cache.known(place);
        Ok(match &known.entry.outcome {
            Outcome::Resource(resource) => {
                let file = [b"/", &known.path[..]].concat();
                Some(Shared { resource: resource.clone(), file, key })
            }
            _ => None,
        })
    }

    /// Loads the file at `target`; a folder stands for its index file. What is not there is
    /// remembered as a failure.
    fn load_shared(
        &mut self,
        site: &Site,
        lookup: &Lookup<'_>,
        target: &[u8],
        sending: &Sending,
        clock: &Clock,
    ) -> Result<Made, Obstacle> {
        let absent = || Made::again(Outcome::Failure(Failure::not_found(""), None));
        let mut loader = self.loader(site, sending, lookup.blocking, clock);
        let loaded = match loader.load(target) {
            Ok(Loaded::Folder(_)) => loader.load(&[target, b"/"].concat()),
            loaded => loaded,
        };
        match loaded {
            Ok(Loaded::Made(made)) => Ok(made),
            Ok(Loaded::Folder(_) | Loaded::Listed(..) | Loaded::Unlisted) => Ok(absent()),
            Err(Obstacle::Open(OpenError::Exhausted(error))) => {
                Err(OpenError::Exhausted(error).into())
            }
            Err(Obstacle::Open(error)) => {
                if !matches!(error, OpenError::NotFound | OpenError::Refused) {
                    self.faults.file(&site.root, target, &error);
                }
                Ok(absent())
            }
            Err(wait) => Err(wait),
        }
    }
}

/// The first byte of the key of a shared entry. The key of a request begins with a slash.
const SHARED: u8 = 0;

/// The first byte of the key of an entry from the previous root; its path follows.
pub(in crate::site) const PREVIOUS: u8 = 1;

/// Folders that are searched for a `404.html`, from the root on.
const NEAREST_MAX: usize = 16;

/// The pages for a failure of a canonical path, in the order in which they are tried: the one that
/// the site configures for the status, or the `404.html` of each folder from that of the path
/// upward.
pub(in crate::site) fn error_pages(site: &Site, canonical: &[u8], status: Status) -> Vec<Vec<u8>> {
    let mut configured = site.config.error_pages.iter();
    if let Some((_, page)) = configured.find(|(code, _)| *code == status.code()) {
        return vec![page.clone().into()];
    }
    if status != Status::NotFound {
        return Vec::new();
    }
    let folders = memchr::memchr_iter(b'/', canonical).take(NEAREST_MAX);
    let mut pages: Vec<_> = folders.map(|end| [&canonical[..=end], b"404.html"].concat()).collect();
    pages.reverse();
    pages
}

/// Whether a canonical path leads to a file that is served.
pub(in crate::site) fn is_file(site: &Site, canonical: &[u8]) -> bool {
    let version = || site.root.version(&canonical[1..]);
    !site.hides(canonical) && version().is_ok_and(|version| version.kind == Kind::File)
}

fn redirect(status: Status, location: Rc<[u8]>, is_relative: bool) -> Outcome {
    Outcome::Redirect(Redirect { status, location, is_relative })
}

fn failed(failure: Failure, fallback: Fallback, policy: &Rc<Policy>) -> (Made, Rc<Policy>) {
    let is_plain = fallback.page.is_none() && fallback.navigation.is_none();
    let fallback = (!is_plain).then(|| Rc::new(fallback));
    let made = Made::again(Outcome::Failure(failure, fallback));
    (Made { is_alias: true, ..made }, Rc::clone(policy))
}

/// Where a page is to be requested that was requested by the name of its file: `about` for
/// `about.html`, `./` for an index file. Not where that would lead to a folder.
pub(in crate::site) fn clean_location(site: &Site, canonical: &[u8]) -> Option<Rc<[u8]>> {
    if site.config.clean_urls != CleanUrls::Redirect {
        return None;
    }
    let name = &canonical[name_start(canonical)..];
    let bare = name.strip_suffix(b".html").filter(|bare| !bare.is_empty())?;
    if site.config.index.iter().any(|index| index.as_bytes() == name) {
        return Some(b"./"[..].into());
    }
    let folder = [&canonical[..canonical.len() - b".html".len()], b"/"].concat();
    has_no_index(site, &folder).then(|| target::encode_path(bare).collect())
}
