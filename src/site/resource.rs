//! The outcome of a path: a file, a listing, a redirect or a failure.

use std::rc::Rc;

use crate::clock::Clock;
use crate::http::status::Failure;

use super::policy::Policy;
use super::representation::{Fill, Representation};

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
    /// A redirect, and the location it names.
    Redirect(Rc<[u8]>),
    /// Nothing that is served.
    Failure(Failure),
}

/// A file or a listing, in the representations that it has.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The one without a content coding.
    pub identity: Rc<Representation>,
}

impl Outcome {
    /// A resource with one representation.
    pub(super) fn resource(representation: Representation) -> Outcome {
        Outcome::Resource(Resource { identity: Rc::new(representation) })
    }
}

impl Entry {
    /// True if it needs no open file.
    pub(super) fn is_in_memory(&self) -> bool {
        matches!(&self.outcome, Outcome::Resource(it) if it.identity.file().is_none())
    }

    /// Fills the headroom of its representation for this second, unless it is being sent; then the
    /// wire format writes the head elsewhere.
    #[inline]
    pub(super) fn fill(&mut self, fill: Fill, clock: &Clock) {
        if let Outcome::Resource(resource) = &mut self.outcome
            && !resource.identity.is_filled(clock)
            && let Some(identity) = Rc::get_mut(&mut resource.identity)
        {
            identity.fill(fill, clock);
        }
    }
}
