//! From the command line to a running server; the only place with exit codes.
//!
//! Exit status of a server: 0: all responses finished; 1: some were cut off, the configuration file
//! is wrong, or it could not start; 2: bad arguments. Standard output and error may fail at any
//! time; the exit status stays the same.

#![forbid(unsafe_code)]

use std::io::{self, Write};
#[cfg(feature = "compression")]
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use tenkay::auth::verifier;
use tenkay::check;
use tenkay::cli::{self, Command, Draft, Explain, Healthcheck, Precompress, Refusal, Settings};
use tenkay::clock::{Clock, Tick};
use tenkay::config::Config;
use tenkay::explain::{self, Question, Report};
use tenkay::healthcheck;
use tenkay::process;
use tenkay::reactor::End;
use tenkay::sandbox;
#[cfg(feature = "compression")]
use tenkay::site::media::MediaTypes;
use tenkay::system;

fn main() -> ExitCode {
    match std::env::args_os().nth(1).as_deref().and_then(|mode| mode.to_str()) {
        Some(verifier::MODE) => return verify(),
        Some(process::WORKER_MODE) => return exit_code(process::work()),
        Some(process::TRIAL_MODE) => return exit_code(process::try_out().map(finished)),
        _ => {}
    }
    if let Some(result) = process::take_over() {
        return exit_code(result.map(finished));
    }
    match cli::read(std::env::args_os(), std::env::vars_os()) {
        Ok(Command::Serve(settings)) if settings.config.workers.is_some() => {
            exit_code(process::supervise().map(finished))
        }
        Ok(Command::Serve(settings)) => run_server(*settings),
        Ok(Command::Explain(explain)) => run_explain(*explain),
        Ok(Command::Precompress(precompress)) => run_precompress(precompress),
        Ok(Command::Check(draft)) => run_check(*draft),
        Ok(Command::Healthcheck(healthcheck)) => run_healthcheck(healthcheck),
        Ok(Command::Print(text)) => write_out(&text),
        Err(Refusal::Arguments(error)) => print(&error),
        Err(Refusal::File(lines)) => {
            print_bare(&lines);
            ExitCode::FAILURE
        }
    }
}

fn run_server(settings: Settings) -> ExitCode {
    let mut sockets = Vec::new();
    let result = process::serve_alone(settings, &mut sockets);
    for socket in sockets {
        // The event loop has removed it, and logged if it could not; this is for a failed start.
        _ = socket.remove();
    }
    exit_code(result)
}

fn finished(_: ()) -> End {
    End::Finished
}

fn exit_code(result: Result<End, String>) -> ExitCode {
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
    let Config { sites, mut limits, chosen_limits, user, trusted_proxies, listen, tls, .. } =
        settings.config;
    // The lines are about the start of a server; they belong to its log.
    _ = system::fit(&mut limits, tls.has_certificates(), &chosen_limits);
    let mut notes = settings.warnings;
    notes.extend(user.map(|user| format!("the server reads the files as user {user}")));
    let question = Question { url, method, fields, client };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let settings = explain::Settings { sites, places, limits, trusted_proxies, listen, tls, notes };
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

fn run_check(draft: Draft) -> ExitCode {
    let findings = check::check(draft);
    print_bare(findings.warnings.iter().chain(&findings.problems));
    if findings.problems.is_empty() {
        return write_out(b"the settings are valid\n");
    }
    ExitCode::FAILURE
}

fn run_healthcheck(arguments: Healthcheck) -> ExitCode {
    let Healthcheck { address, path, timeout } = arguments;
    match healthcheck::ask(&healthcheck::Question { address, path, timeout }) {
        Ok(line) => write_out(format!("{line}\n").as_bytes()),
        Err(line) => {
            complain(&line);
            ExitCode::FAILURE
        }
    }
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
    _ = sandbox::lock_in(&[], &[], None);
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

/// Writes lines to standard error without a prefix, so that editors find the places in them.
fn print_bare<'l>(lines: impl IntoIterator<Item = &'l String>) {
    for line in lines {
        _ = writeln!(io::stderr(), "{line}");
    }
}

/// Writes a line to standard error. If that fails, nobody can be told.
fn complain(text: &str) {
    _ = writeln!(io::stderr(), "tenkay: {text}");
}
