//! What a client sees of a folder: what it may read, and nothing else.
//!
//! A listing or archive is made for a set of access rules (guards) that its client fulfils, among
//! those that can restrict a part of the folder: [`Admitted`]. Clients with the same set share one
//! listing, which is cached under a key of its own, with an entity-tag of its own content; the
//! cache bounds the number of such listings, and a site without guards has one for each form.
//! The set of an archive is determined when it begins.
//!
//! Which guards can restrict a part of a folder depends on their patterns alone
//! ([`Rulebook::guards_below`]). So neither Vary nor Cache-Control, nor the time in which a
//! client's password is verified, show whether a path that is guarded exists.

use std::borrow::Cow;
use std::rc::Rc;

use crate::http::hidden::Hidden;

use super::listing::ListingForm;
use super::rulebook::{Rulebook, is_rule_file};

/// The guards that a client fulfils, of those that can restrict a part of a folder: their indices,
/// in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Admitted(pub(super) Box<[usize]>);

/// A listing of a folder: each is a resource of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) form: ListingForm,
    pub(super) admitted: Admitted,
}

impl View {
    /// The key under which the cache keeps this listing of the folder whose path has this `key`.
    /// Only the default listing is found by the path of a request, because no path has a NUL.
    pub(super) fn key<'k>(&self, key: &'k [u8]) -> Cow<'k, [u8]> {
        if *self == View::default() {
            return Cow::Borrowed(key);
        }
        let mut own = [key, &[0], &self.form.code()].concat();
        own.extend(self.admitted.0.iter().flat_map(|guard| guard.to_le_bytes()));
        Cow::Owned(own)
    }
}

/// The names that a client sees.
#[derive(Clone, Debug, Default)]
pub struct Visible {
    hidden: Rc<Hidden>,
    /// `None`: no rule hides a name.
    rules: Option<Rc<Rulebook>>,
    /// The guards that the client fulfils; those of the top folder among them.
    admitted: Rc<[usize]>,
    /// The rule files are obeyed, and not served.
    without_rule_files: bool,
}

impl Visible {
    /// What is seen of `folder`, a canonical path, by a client that may read it and fulfils these
    /// guards.
    pub(super) fn new(
        hidden: &Rc<Hidden>,
        rules: &Rc<Rulebook>,
        without_rule_files: bool,
        folder: &[u8],
        admitted: &Admitted,
    ) -> Visible {
        let guards = rules.guards_of(folder).into_iter().chain(admitted.0.iter().copied());
        let admitted = guards.collect();
        let rules = rules.has_guards().then(|| Rc::clone(rules));
        Visible { hidden: Rc::clone(hidden), rules, admitted, without_rule_files }
    }

    /// Whether the client sees `name` in `folder`, a canonical path with a slash at its end: it is
    /// served, and the client may read it.
    pub(super) fn shows(&self, folder: &[u8], name: &[u8]) -> bool {
        if self.hidden.is_unlisted(name) {
            return false;
        }
        if self.without_rule_files && folder == b"/" && is_rule_file(name) {
            return false;
        }
        self.rules.as_ref().is_none_or(|rules| {
            let guards = rules.guards_of(&[folder, name].concat());
            guards.iter().all(|guard| self.admitted.contains(guard))
        })
    }
}
