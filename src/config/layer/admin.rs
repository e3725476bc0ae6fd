//! The address of the admin listener, beside those of the sites.

use super::{Listen, ListenAddress, Problem, Sourced};

/// Refuses an address that is listed in `listen` as well: visitors would get there, too.
pub(super) fn check(admin: Option<&Sourced<ListenAddress>>, listen: &[Listen]) -> Option<Problem> {
    let Sourced { value, origin } = admin?;
    // Port 0 is another port each time.
    let picks_port = value.with_port(0).as_ref() == Some(value);
    let is_taken = listen.iter().any(|other| other.address == *value) && !picks_port;
    is_taken.then(|| Problem {
        origin: origin.clone(),
        what: format!(
            "the admin listener cannot be at {value}, where the sites are served; choose another \
             port or path for it"
        ),
    })
}
