//! From the command line to a running server; the only place with exit codes.

#![forbid(unsafe_code)]

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use tenkay::cli::Args;
use tenkay::config::{Config, Limits, ListenAddress};
use tenkay::files::Door;
use tenkay::journal::Level;
use tenkay::reactor::listen::{self, Listener};
use tenkay::reactor::{End, Reactor};
use tenkay::sandbox;
use tenkay::site::Sites;

fn main() -> ExitCode {
    let config = Args::parse().into_config().unwrap_or_else(|error| error.exit());
    match serve(config) {
        Ok(End::Finished) => ExitCode::SUCCESS,
        Ok(End::CutOff(connections)) => {
            let noun = if connections == 1 { "connection" } else { "connections" };
            eprintln!("tenkay: ended with {connections} {noun} cut off");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("tenkay: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sets everything up, says so in one line, and serves until a signal ends it.
fn serve(config: Config) -> Result<End, String> {
    let Config { root, listen, site, user, sandbox, when_full, mut limits } = config;
    let mut warnings: Vec<String> = fit_to_descriptors(&mut limits).into_iter().collect();
    let listing = site.listing;
    let listeners = bind(&listen, &limits)?;
    warnings.extend(listeners.iter().filter_map(Listener::warning));
    match &user {
        Some(name) => sandbox::become_user(name)?,
        None if sandbox::is_root() => {
            warnings.push("running as root; --user NAME gives its rights up".to_owned());
        }
        None => {}
    }
    // A fresh hasher is as random as the standard library makes it.
    let chance = RandomState::new().hash_one(std::process::id());
    let sites = Sites::new(&root, site, &limits, Door::best(), chance).map_err(|error| {
        format!("cannot serve '{}': {error}; name a folder that can be read", root.display())
    })?;
    let urls: Vec<String> = listeners.iter().map(Listener::url).collect();
    let mut reactor = Reactor::new(sites, listeners, when_full, limits)
        .map_err(|error| format!("cannot set up the event loop: {error}"))?;
    let shown = root.canonicalize().unwrap_or_else(|_| root.clone());
    if sandbox {
        let sockets: Vec<&Path> = listen.iter().filter_map(ListenAddress::path).collect();
        warnings.extend(sandbox::lock_in(&root, &sockets));
    }
    for warning in warnings {
        reactor.note(Level::Warn, format_args!("{warning}"));
    }
    // Who started us may have closed standard output; that is no reason not to serve.
    _ = writeln!(
        std::io::stdout(),
        "tenkay {} serves {} at {} (listings {})",
        env!("CARGO_PKG_VERSION"),
        shown.display(),
        urls.join(" and "),
        if listing { "on" } else { "off" },
    );
    reactor.run().map_err(|error| format!("the event loop failed: {error}"))
}

/// Binds every address, or says which one cannot be bound.
fn bind(addresses: &[ListenAddress], limits: &Limits) -> Result<Vec<Listener>, String> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.extend(listen::listen(address, limits).map_err(|error| {
            format!("cannot listen on {address}: {error}; choose another with --listen")
        })?);
    }
    Ok(listeners)
}

/// Raises the soft limit on open files to the hard one, and makes the bounds on connections and
/// cached files fit into it. Returns a warning if less is possible than was asked for.
fn fit_to_descriptors(limits: &mut Limits) -> Option<String> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // If it is refused, the soft limit is what there is.
        _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    let descriptors = getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
        .min(MOST_CONNECTIONS);
    // Files get at most a quarter, so that a small limit still leaves room for clients.
    limits.open_files = limits.open_files.min((descriptors / 4).max(1));
    let possible = descriptors.saturating_sub(limits.open_files + OWN_DESCRIPTORS).max(1);
    let asked = limits.connections;
    limits.connections = if asked == 0 { possible } else { asked.min(possible) };
    (asked > possible).then(|| {
        format!(
            "{asked} connections were asked for, but the limit on open files allows {possible}; \
             raise it (ulimit -Hn, LimitNOFILE=)"
        )
    })
}

/// Descriptors for the poll, the listeners, the signals, the standard streams, the root, and files
/// that are being opened.
const OWN_DESCRIPTORS: usize = 64;

/// Where the limit on open files is infinite, this bounds the table of connections.
const MOST_CONNECTIONS: usize = 1 << 20;
