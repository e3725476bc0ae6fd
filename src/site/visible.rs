//! Which names of a folder a listing shows.

use std::rc::Rc;

use crate::http::hidden::Hidden;

use super::rulebook::{Rulebook, is_rule_file};

/// The names that a listing shows.
#[derive(Clone, Debug, Default)]
pub struct Visible {
    hidden: Rc<Hidden>,
    /// `None`: no rule hides a name.
    rules: Option<Rc<Rulebook>>,
    /// The rule files are obeyed, and not served.
    without_rule_files: bool,
}

impl Visible {
    pub(super) fn new(
        hidden: &Rc<Hidden>,
        rules: &Rc<Rulebook>,
        without_rule_files: bool,
    ) -> Visible {
        let rules = rules.has_guards().then(|| Rc::clone(rules));
        Visible { hidden: Rc::clone(hidden), rules, without_rule_files }
    }

    /// Whether the listing of `folder`, a canonical path with a slash at its end, shows `name`: it
    /// is served, to every client that may read the folder.
    pub(super) fn shows(&self, folder: &[u8], name: &[u8]) -> bool {
        if self.hidden.is_unlisted(name) {
            return false;
        }
        if self.without_rule_files && folder == b"/" && is_rule_file(name) {
            return false;
        }
        self.rules.as_ref().is_none_or(|rules| {
            let path = [folder, name].concat();
            rules.is_open_to_readers_of(&path, folder)
        })
    }
}
