//! From the command line to a running server; the only place with exit codes.
//!
//! Exit status of a server: 0: all responses finished; 1: some were cut off, the configuration file
//! is wrong, or it could not start; 2: bad arguments. Standard output and error may fail at any
//! time; the exit status stays the same.

#![forbid(unsafe_code)]

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
#[cfg(feature = "compression")]
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use tenkay::auth::{Authenticator, MemoryBounds, PoolBounds, Program, verifier};
use tenkay::check;
use tenkay::cli::{self, Command, Draft, Explain, Precompress, Refusal, Settings};
use tenkay::clock::{Clock, Tick};
use tenkay::config::{Config, Limits, ListenAddress, SiteConfig};
use tenkay::explain::{self, Question, Report};
use tenkay::files::Door;
use tenkay::net::listen::{self, Listener, SocketFile};
use tenkay::reactor::{End, Reactor, signals};
use tenkay::sandbox;
use tenkay::site::Sites;
#[cfg(feature = "compression")]
use tenkay::site::media::MediaTypes;
use tenkay::system;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|mode| mode == verifier::MODE) {
        return verify();
    }
    match cli::read(std::env::args_os(), std::env::vars_os()) {
        Ok(Command::Serve(settings)) => run_server(*settings),
        Ok(Command::Explain(explain)) => run_explain(*explain),
        Ok(Command::Precompress(precompress)) => run_precompress(precompress),
        Ok(Command::Check(draft)) => run_check(*draft),
        Ok(Command::Print(text)) => write_out(&text),
        Err(Refusal::Arguments(error)) => print(&error),
        Err(Refusal::File(lines)) => {
            for line in lines {
                // Bare, so that editors find the place.
                _ = writeln!(io::stderr(), "{line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run_server(settings: Settings) -> ExitCode {
    let mut sockets = Vec::new();
    let result = serve(settings, &mut sockets);
    for socket in sockets {
        // The event loop has removed it, and logged if it could not; this is for a failed start.
        _ = socket.remove();
    }
    match result {
        Ok(End::Finished) => ExitCode::SUCCESS,
        Ok(End::CutOff(connections)) => {
            let noun = if connections == 1 { "connection" } else { "connections" };
            complain(&format!("ended with {connections} {noun} cut off"));
            ExitCode::FAILURE
        }
        Err(error) => {
            error.lines().for_each(complain);
            ExitCode::FAILURE
        }
    }
}

fn run_explain(arguments: Explain) -> ExitCode {
    let Explain { url, fields, method, client, json, settings, places } = arguments;
    let Config { sites, mut limits, chosen_limits, user, .. } = settings.config;
    // The lines are about the start of a server; they belong to its log.
    _ = system::fit(&mut limits, &chosen_limits);
    let mut notes = settings.warnings;
    notes.extend(user.map(|user| format!("the server reads the files as user {user}")));
    let question = Question { url, method, fields, client };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let settings = explain::Settings { sites, places, limits, notes };
    match Report::of(&question, settings, &Clock::new(Tick(0), now)) {
        Ok(report) => {
            let text = if json { report.to_json() + "\n" } else { report.to_text() };
            write_out(text.as_bytes())
        }
        Err(explain::Refusal::Argument(why)) => {
            complain(&why);
            ExitCode::from(2)
        }
        Err(explain::Refusal::Site(why)) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

fn write_out(text: &[u8]) -> ExitCode {
    let mut out = io::stdout();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("cannot write to standard output: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints all problems and warnings, bare, so that editors find the places.
fn run_check(draft: Draft) -> ExitCode {
    let findings = check::check(draft);
    for line in findings.warnings.iter().chain(&findings.problems) {
        _ = writeln!(io::stderr(), "{line}");
    }
    if findings.problems.is_empty() {
        return write_out(b"the settings are valid\n");
    }
    ExitCode::FAILURE
}

#[cfg(feature = "compression")]
fn run_precompress(arguments: Precompress) -> ExitCode {
    use tenkay::precompress::{self, Failure, Job};

    let Precompress { root, check, jobs, worker } = arguments;
    let result = if worker {
        precompress::work(&root)
    } else {
        let jobs = jobs.or(std::thread::available_parallelism().ok());
        let job = Job { root, is_check: check, jobs: jobs.unwrap_or(NonZeroUsize::MIN) };
        let types = MediaTypes::default();
        let media_type = |name: &[u8]| types.of(name).value.to_owned();
        precompress::run(&job, &media_type, &mut io::stdout())
    };
    match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Start(why)) => complain(&why),
        Err(Failure::Problems(_) | Failure::Stale(_)) => {}
    }
    ExitCode::FAILURE
}

#[cfg(not(feature = "compression"))]
fn run_precompress(_: Precompress) -> ExitCode {
    complain("cannot precompress: this program was built without the feature 'compression'");
    ExitCode::FAILURE
}

/// Runs as a helper process that verifies passwords. It opens no files. If this system has no
/// sandbox, the log of the server says so.
fn verify() -> ExitCode {
    _ = sandbox::lock_in(&[], &[]);
    verifier::run().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// Prints what clap has to say: the help or the version, or what is wrong with the arguments.
fn print(text: &clap::Error) -> ExitCode {
    let printed = text.print().and_then(|()| io::stdout().flush());
    match printed {
        Err(error) if !text.use_stderr() => {
            complain(&format!("cannot write to standard output: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::from(u8::try_from(text.exit_code()).unwrap_or(2)),
    }
}

/// Writes a line to standard error. If that fails, nobody can be told.
fn complain(text: &str) {
    _ = writeln!(io::stderr(), "tenkay: {text}");
}

/// Sets everything up, prints the start line, and serves until a signal ends it. `sockets` gets the
/// Unix sockets, which the caller removes.
fn serve(settings: Settings, sockets: &mut Vec<SocketFile>) -> Result<End, String> {
    let Settings { config, mut warnings } = settings;
    let Config { listen, sites, user, sandbox, when_full, mut limits, chosen_limits } = config;
    signals::ignore_file_size_signal()
        .map_err(|error| format!("cannot install a signal handler: {error}"))?;
    warnings.extend(system::fit(&mut limits, &chosen_limits));
    let listeners = bind(&listen, &limits, sockets)?;
    warnings.extend(listeners.iter().flat_map(Listener::warnings).cloned());
    warnings.extend(inapplicable_limits(&listen, &limits));
    match &user {
        Some(account) => sandbox::become_user(account)?,
        None if sandbox::is_root() => {
            warnings.push("running as root; use --user NAME to drop privileges".to_owned());
        }
        None => {}
    }
    let start_line = start_line(&sites, &listeners);
    let folders = sandbox::readable(sandbox, &sites);
    // A fresh hasher is as random as the standard library makes it.
    let chance = RandomState::new().hash_one(std::process::id());
    let mut sites = Sites::new(sites, &limits, Door::best(), chance)
        .map_err(|problems| problems.to_string())?;
    if sites.need_authenticator() {
        sites.authenticate_with(start_authenticator(&limits)?);
    }
    let mut reactor = Reactor::new(sites, listeners, when_full, limits)
        .map_err(|error| format!("cannot set up the event loop: {error}"))?;
    if let Some((folders, broad)) = folders {
        let paths: Vec<&Path> = sockets.iter().map(SocketFile::path).collect();
        warnings.extend(broad);
        warnings.extend(sandbox::lock_in(&folders, &paths));
    }
    for warning in warnings {
        reactor.note(format_args!("{warning}"));
    }
    // A closed or full standard output is no reason not to serve.
    _ = writeln!(io::stdout(), "{start_line}");
    reactor.run().map_err(|error| format!("the event loop failed: {error}"))
}

/// Starts the processes that verify passwords: as the user that serves, and before the sandbox is
/// entered.
fn start_authenticator(limits: &Limits) -> Result<Authenticator, String> {
    let pool = PoolBounds {
        helpers: limits.password_helpers,
        queue: limits.password_queue,
        per_asker: limits.passwords_per_client,
        answer_ms: limits.password_timeout_ms,
    };
    let memory = MemoryBounds {
        entries: limits.passwords_remembered,
        right_ms: limits.password_memory_ms,
        wrong_ms: limits.wrong_password_memory_ms,
    };
    let started = Program::this().and_then(|program| Authenticator::start(program, pool, memory));
    started.map_err(|error| format!("cannot start the processes that verify passwords: {error}"))
}

/// Binds every address, or says which one cannot be bound, and what to do.
fn bind(
    addresses: &[ListenAddress],
    limits: &Limits,
    sockets: &mut Vec<SocketFile>,
) -> Result<Vec<Listener>, String> {
    let mut listeners = Vec::new();
    for address in addresses {
        let bound = listen::listen(address, limits).map_err(|error| {
            let advice = match error.kind() {
                io::ErrorKind::AddrInUse if address.path().is_none_or(is_socket) => {
                    "another server listens there: stop it, or choose another address with --listen"
                }
                io::ErrorKind::PermissionDenied if address.path().is_none() => {
                    "ports below 1024 may need root: start it as root with --user, or choose \
                     another port with --listen"
                }
                _ => "choose another address with --listen",
            };
            format!("cannot listen on {address}: {error}; {advice}")
        })?;
        sockets.extend(bound.iter().filter_map(Listener::socket_file).cloned());
        listeners.extend(bound);
    }
    Ok(listeners)
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// A warning about limits per client that do not apply to clients without an address.
fn inapplicable_limits(addresses: &[ListenAddress], limits: &Limits) -> Option<String> {
    let socket = addresses.iter().find(|address| address.path().is_some())?;
    let set = [
        ("requests_per_s", limits.requests_per_s),
        ("connections_per_client", limits.connections_per_client),
    ];
    let names: Vec<&str> =
        set.iter().filter(|(_, value)| *value > 0).map(|(name, _)| *name).collect();
    let verb = if names.len() == 1 { "does" } else { "do" };
    (!names.is_empty()).then(|| {
        format!(
            "{} {verb} not apply to {socket}: its clients have no address; set such a limit in the \
             proxy",
            names.join(" and ")
        )
    })
}

/// What is served where, in one line.
fn start_line(sites: &[SiteConfig], listeners: &[Listener]) -> String {
    let machine = listen::machine_addresses();
    let links: Vec<String> =
        listeners.iter().flat_map(|listener| listener.links(&machine)).collect();
    let version = env!("CARGO_PKG_VERSION");
    let root = |site: &SiteConfig| {
        let root = site.root.canonicalize().unwrap_or_else(|_| site.root.clone());
        root.display().to_string()
    };
    let roots: Vec<String> = sites.iter().map(root).collect();
    let listings = match sites {
        [site] if site.listing => " (listings on)",
        [_] => " (listings off)",
        _ => "",
    };
    format!("tenkay {version} serves {} at {}{listings}", roots.join(" and "), links.join(" and "))
}
