//! The outcome of a path: a resource in its representations, a redirect or a failure.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use crate::clock::Clock;
use crate::files::OpenFile;
use crate::http::fields::{Field, Fields};
use crate::http::negotiate::{AcceptEncoding, Choice, Coding, CodingSet};
use crate::http::status::{Failure, Status};

use super::negotiation::Accepted;
use super::policy::Policy;
use super::representation::{Fill, Representation};
use super::visible::View;

/// A path's outcome, and the additions of its rules.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The outcome.
    pub outcome: Outcome,
    /// The additions of its rules to each response.
    pub policy: Rc<Policy>,
}

/// The outcome of a path.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A file or a listing.
    Resource(Resource),
    /// A redirect.
    Redirect(Redirect),
    /// Nothing that is served.
    Failure(Failure, Option<Rc<Fallback>>),
}

/// A redirect to another URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The status.
    pub status: Status,
    /// The value of Location.
    pub location: Rc<[u8]>,
    /// The location is a name in the folder of the path.
    pub is_relative: bool,
}

/// What is sent in place of a missing path.
#[derive(Debug)]
pub struct Fallback {
    /// The page of the failure, if the site has one.
    pub page: Option<Resource>,
    /// What a navigation gets, if the site is a single-page application.
    pub navigation: Option<Navigation>,
}

/// The page of a single-page application under the name of a missing path.
#[derive(Debug)]
pub struct Navigation {
    /// The page.
    pub resource: Resource,
    /// The policy of the path, with the guards of the page.
    pub policy: Rc<Policy>,
}

/// A file or a listing, in the representations that it has.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The one without a content coding.
    pub identity: Rc<Representation>,
    /// Those with a content coding; `None`: it has none, and gets none.
    pub(super) variants: Option<Rc<Variants>>,
    /// Which listing it is; `None`: it is a file.
    pub(super) listing: Option<Rc<View>>,
}

/// The representations of a resource with a content coding.
pub(super) struct Variants {
    /// In cells, so that the headroom of one can be filled although several entries share them.
    coded: [Cell<Option<Rc<Representation>>>; Coding::COUNT],
    /// Those that exist.
    available: Cell<CodingSet>,
    /// Those that come from sidecar files. They stay as long as the resource does; the others
    /// disappear when the cache evicts them.
    sidecars: CodingSet,
    /// The codings in which it can be encoded.
    possible: Cell<CodingSet>,
}

impl Outcome {
    /// Which listing it is, if it is one.
    pub(super) fn listing(&self) -> Option<&Rc<View>> {
        match self {
            Outcome::Resource(resource) => resource.listing.as_ref(),
            Outcome::Redirect(_) | Outcome::Failure(..) => None,
        }
    }
}

impl Entry {
    /// An outcome with this policy.
    pub(super) fn new(outcome: Outcome, policy: &Rc<Policy>) -> Entry {
        Entry { outcome, policy: Rc::clone(policy) }
    }

    /// True if a rule restricts which clients may read it.
    #[inline]
    pub(super) fn is_guarded(&self) -> bool {
        !self.policy.guards.is_empty()
    }

    /// True if it needs no open file.
    pub(super) fn is_in_memory(&self) -> bool {
        matches!(&self.outcome, Outcome::Resource(it) if it.identity.file().is_none())
    }

    /// True if a file is open for it.
    pub(super) fn holds_file(&self) -> bool {
        let holds = |resource: &Resource| resource.all().any(|it| it.file().is_some());
        match &self.outcome {
            Outcome::Resource(resource) => holds(resource),
            Outcome::Failure(_, Some(fallback)) => {
                let navigation = fallback.navigation.as_ref().map(|it| &it.resource);
                fallback.page.iter().chain(navigation).any(holds)
            }
            Outcome::Failure(_, None) | Outcome::Redirect(_) => false,
        }
    }

    /// Fills the headroom of a representation for this second, unless it is shared: with a response
    /// that is being sent, or, if it has no content coding, with an alias. Then the wire format
    /// writes the head elsewhere.
    #[inline]
    pub(super) fn fill(&mut self, choice: Choice, fill: Fill, clock: &Clock) {
        let Outcome::Resource(resource) = &mut self.outcome else { return };
        let fill_if_old = |representation: &mut Rc<Representation>| {
            if !representation.is_filled(clock)
                && let Some(representation) = Rc::get_mut(representation)
            {
                representation.fill(fill, clock);
            }
        };
        match (choice, &resource.variants) {
            (Choice::Coding(coding), Some(variants)) => {
                variants.with(coding, |it| it.as_mut().map(fill_if_old));
            }
            (Choice::Coding(_), None) => {}
            _ => fill_if_old(&mut resource.identity),
        }
    }
}

impl Resource {
    /// Which representation a request gets (RFC 9110 section 12.5.3).
    ///
    /// If the client names the entity-tag of one that it accepts, it gets that one, so that its
    /// copy stays valid although a better form has appeared since.
    pub(super) fn choose(&self, fields: &Fields<'_, '_>, accepted: &Accepted) -> Choice {
        let Some(variants) = &self.variants else { return accepted.plain };
        let accept = &accepted.meaning;
        let conditions = [Field::IfNoneMatch, Field::IfMatch, Field::IfRange, Field::Range];
        if fields.has_any(&conditions) {
            return self.choose_conditionally(variants, fields, accept);
        }
        accept.choose(variants.available())
    }

    #[cold]
    fn choose_conditionally(
        &self,
        variants: &Variants,
        fields: &Fields<'_, '_>,
        accept: &AcceptEncoding,
    ) -> Choice {
        let available = variants.available();
        let is_named = |representation: &Representation| {
            let etag = representation.validators().etag;
            let names = |field| fields.lines(field).any(|line| contains(line, etag));
            !etag.is_empty()
                && [Field::IfNoneMatch, Field::IfMatch, Field::IfRange].into_iter().any(names)
        };
        let codings = available.iter().filter(|coding| accept.quality(*coding) > 0);
        let mut named =
            codings.filter(|coding| variants.get(*coding).is_some_and(|it| is_named(&it)));
        if let Some(coding) = named.next() {
            return Choice::Coding(coding);
        }
        let plain = accept.choose(CodingSet::EMPTY);
        if plain == Choice::Identity && is_named(&self.identity) {
            return Choice::Identity;
        }
        // A form that is not from a file may be gone at the next request for a part of it.
        let stable = if fields.has(Field::Range) { variants.sidecars } else { available };
        match accept.choose(stable) {
            Choice::NotAcceptable => accept.choose(available),
            choice => choice,
        }
    }

    /// The representation that was chosen.
    #[inline]
    pub(super) fn get(&self, choice: Choice) -> Option<Rc<Representation>> {
        match choice {
            Choice::Identity => Some(Rc::clone(&self.identity)),
            Choice::Coding(coding) => self.variants.as_ref()?.get(coding),
            Choice::NotAcceptable => None,
        }
    }

    /// The form that a client gets of the page of a failure: any is better than none.
    pub(super) fn form(&self, accept: &AcceptEncoding) -> Rc<Representation> {
        let available = self.variants.as_ref().map_or(CodingSet::EMPTY, |it| it.available());
        let chosen = self.get(accept.choose(available));
        chosen.unwrap_or_else(|| Rc::clone(&self.identity))
    }

    /// A coding that the client prefers to the `choice` that it gets, and that an encoder can make.
    /// Each is returned once.
    pub(super) fn wanted(&self, accept: &AcceptEncoding, choice: Choice) -> Option<Coding> {
        let variants = self.variants.as_ref()?;
        let possible = variants.possible.get();
        if possible.is_empty() {
            return None;
        }
        let all = possible.iter().fold(variants.available(), CodingSet::with);
        match accept.choose(all) {
            Choice::Coding(coding) if Choice::Coding(coding) != choice && possible.has(coding) => {
                variants.possible.set(possible.without(coding));
                Some(coding)
            }
            _ => None,
        }
    }

    /// True if it has no sidecar files, and may be encoded.
    pub(super) fn can_be_encoded(&self) -> bool {
        self.variants.as_ref().is_some_and(|variants| variants.sidecars.is_empty())
    }

    /// An encoder can make this coding after all.
    pub(super) fn want_later(&self, coding: Coding) {
        if let Some(variants) = &self.variants {
            variants.possible.set(variants.possible.get().with(coding));
        }
    }

    /// The files of its representations whose content must be hashed.
    pub(super) fn unhashed(&self) -> impl Iterator<Item = Rc<OpenFile>> {
        self.all().filter_map(|representation| representation.unhashed().cloned())
    }

    /// All representations.
    fn all(&self) -> impl Iterator<Item = Rc<Representation>> {
        let variants = self.variants.iter();
        let coded = variants.flat_map(|it| Coding::ALL.into_iter().filter_map(|at| it.get(at)));
        std::iter::once(Rc::clone(&self.identity)).chain(coded)
    }

    /// Approximate bytes of memory, without forms that an encoder made.
    pub(super) fn weight(&self) -> usize {
        let sidecars = self.variants.iter().flat_map(|variants| variants.sidecars());
        self.identity.weight() + sidecars.map(|it| it.weight()).sum::<usize>()
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

impl fmt::Debug for Variants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variants({:?})", self.available.get())
    }
}

impl Variants {
    /// None yet; an encoder can make the `possible` ones.
    pub(super) fn new(possible: CodingSet) -> Variants {
        let coded = [const { Cell::new(None) }; Coding::COUNT];
        let available = Cell::new(CodingSet::EMPTY);
        Variants { coded, available, sidecars: CodingSet::EMPTY, possible: Cell::new(possible) }
    }

    /// Adds one from a sidecar file.
    pub(super) fn add_sidecar(&mut self, coding: Coding, representation: Representation) {
        self.add_encoded(coding, representation);
        self.sidecars = self.sidecars.with(coding);
    }

    /// Adds one that was encoded, unless there is one.
    pub(super) fn add_encoded(&self, coding: Coding, representation: Representation) {
        self.with(coding, |it| _ = it.get_or_insert_with(|| Rc::new(representation)));
        self.available.set(self.available.get().with(coding));
    }

    /// The one with this coding.
    #[inline]
    pub(super) fn get(&self, coding: Coding) -> Option<Rc<Representation>> {
        self.with(coding, |it| it.clone())
    }

    #[inline]
    fn with<T>(&self, coding: Coding, act: impl FnOnce(&mut Option<Rc<Representation>>) -> T) -> T {
        let mut it = self.coded[coding.index()].take();
        let result = act(&mut it);
        self.coded[coding.index()].set(it);
        result
    }

    /// Those that exist.
    #[inline]
    pub(super) fn available(&self) -> CodingSet {
        self.available.get()
    }

    fn sidecars(&self) -> impl Iterator<Item = Rc<Representation>> {
        self.sidecars.iter().filter_map(|coding| self.get(coding))
    }

    /// Bytes of the forms that an encoder made.
    pub(super) fn encoded_bytes(&self) -> usize {
        let is_encoded = |coding: &Coding| !self.sidecars.has(*coding);
        let encoded = Coding::ALL.into_iter().filter(is_encoded);
        encoded.filter_map(|coding| self.get(coding)).map(|form| form.weight()).sum()
    }
}
