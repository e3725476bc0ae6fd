//! Checks of the settings of a site.

use super::{Origin, Problem, SiteLayer};
use crate::http::hidden::Glob;

/// A table `[[site]]` without a folder would serve whatever folder the server was started in.
pub(super) fn check_root(site: &SiteLayer) -> Option<Problem> {
    let table = site.table.as_ref().filter(|_| site.root.is_none())?;
    Some(Problem {
        origin: table.origin.clone(),
        what: "the site has no root; add root = \"/PATH\" to it, or at the top level".to_owned(),
    })
}

/// An index file whose name is hidden would never be served under that name, so its folder must not
/// serve it either.
pub(super) fn check_index(layer: &SiteLayer) -> Option<Problem> {
    let site = layer.clone().into_site();
    let hides = |name: &String| {
        matching(&site.hidden_except, name).is_none().then(|| matching(&site.hidden, name))?
    };
    let (name, pattern) = site.index.iter().find_map(|name| Some((name, hides(name)?)))?;
    let origins = [&layer.index, &layer.hidden, &layer.hidden_except];
    let highest = origins.into_iter().flatten().map(|sourced| &sourced.origin).max();
    Some(Problem {
        origin: highest.cloned().unwrap_or(Origin::Default),
        what: format!(
            "index file '{name}' is never served: the pattern '{pattern}' hides it; change hidden, \
             or add the name to hidden_except"
        ),
    })
}

/// The first pattern that matches a name. [`Sites::new`](crate::site::Sites::new) reports malformed
/// ones.
fn matching<'p>(patterns: &'p [String], name: &str) -> Option<&'p String> {
    let matches = |glob: Glob| glob.matches(name.as_bytes());
    patterns.iter().find(|pattern| Glob::parse(pattern.as_bytes()).is_ok_and(matches))
}
