//! The admin listener: its address beside those of the sites, and its names.

use super::{Listen, ListenAddress, Problem, Replaced, Sourced, value_or};

/// Refuses an address that is in `listen` as well: visitors would get there, too.
pub(super) fn check(admin: Option<&Sourced<ListenAddress>>, listen: &[Listen]) -> Option<Problem> {
    let Sourced { value, origin } = admin?;
    let is_taken =
        |other: &&Listen| other.address.overlap(value).is_some() || other.address.pairs_with(value);
    let other = &listen.iter().find(is_taken)?.address;
    let taken = if other == value { String::new() } else { format!(" ({other})") };
    Some(Problem {
        origin: origin.clone(),
        what: format!(
            "the admin listener cannot be at {value}, where the sites are served{taken}; choose \
             another port or path for it"
        ),
    })
}

/// Refuses names without a listener.
pub(super) fn check_hosts(
    admin: Option<&Sourced<ListenAddress>>,
    hosts: Option<&Sourced<Vec<String>>>,
) -> Option<Problem> {
    let Sourced { value, origin } = hosts.filter(|_| admin.is_none())?;
    (!value.is_empty()).then(|| Problem {
        origin: origin.clone(),
        what: "there are names for an admin listener, but no address; add --admin-listen ADDRESS"
            .to_owned(),
    })
}

/// The names by which it answers: those in the settings, and that of its address.
pub(super) fn names(
    admin: Option<&Sourced<ListenAddress>>,
    hosts: Replaced<Vec<String>>,
) -> Vec<String> {
    let own = admin.and_then(|admin| admin.value.host()).map(str::to_owned);
    value_or(hosts, Vec::new()).into_iter().chain(own).collect()
}
