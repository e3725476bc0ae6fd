//! The command line and the environment: flags, their help, and their errors, from one table.
//!
//! An environment variable is parsed as the flag of the same name, so both accept the same values.
//! Each source becomes a [`Layer`].

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser, Subcommand};

use crate::config::layer::{Layer, Merged, Origin, Problem, Replaced, SiteLayer, Sourced, nearest};
use crate::config::{
    Account, Config, Limits, ListenAddress, Sandbox, WhenFull, Workers, file, print,
    split_outside_quotes, value,
};
use clap_complete::Shell;
use explain::ExplainArgs;
use healthcheck::HealthcheckArgs;
use log::LogArgs;
use look::{CheckArgs, ShowArgs};
use network::NetworkArgs;
use site::SiteArgs;
use tls::TlsArgs;

mod explain;
mod healthcheck;
mod log;
mod look;
mod network;
mod precompress;
#[cfg(test)]
mod reference;
mod site;
mod switches;
mod texts;
mod tls;

pub use explain::Explain;
pub use healthcheck::Healthcheck;
pub use precompress::Precompress;

/// How to set an option without the command line; for the help.
const ENVIRONMENT: &str = "Every option except --help, --version and --no-NAME can be set in the \
    environment, too: TENKAY_LISTEN, TENKAY_LIMIT, ... (lists are comma-separated; \
    TENKAY_REDIRECT and TENKAY_HEADER have one rule a line).";

/// The command line; see [`ENVIRONMENT`].
#[derive(Debug, Parser)]
#[command(
    name = "tenkay",
    version,
    about = "Static file server: serves a folder over HTTP from one thread.",
    after_help = ENVIRONMENT,
    after_long_help = limits_help(),
    args_override_self = true,
    // Every other first word is ROOT; a folder with the name of a command is ./NAME.
    args_conflicts_with_subcommands = true,
)]
struct Args {
    #[command(subcommand)]
    command: Option<Subcommands>,

    /// Folder to serve [default: .]
    root: Option<PathBuf>,

    #[command(flatten)]
    settings: SettingsArgs,
}

/// The options of the server.
#[derive(Debug, clap::Args)]
struct SettingsArgs {
    /// Configuration file (TOML); the environment and flags win over it
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    network: NetworkArgs,

    /// Address for metrics, health and a live page, in the forms of --listen; off by default
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<ListenAddress>,

    /// Names by which the admin listener answers besides addresses and names without a dot;
    /// comma-separated, repeatable
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = host)]
    admin_hosts: Vec<String>,

    #[command(flatten)]
    site: SiteArgs,

    /// Send a Server field in responses (the default)
    #[arg(long, overrides_with = "no_server_header")]
    #[arg(value_name = "on|off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = switch)]
    server_header: Option<bool>,

    /// Send no Server field
    #[arg(long, overrides_with = "server_header")]
    no_server_header: bool,

    /// Switch to this user after binding the sockets (names or numbers); needs root
    #[arg(long, value_name = "USER[:GROUP]")]
    user: Option<Account>,

    /// Files the process may read (Landlock, Linux): on: below the folder that holds ROOT;
    /// strict: below ROOT; off: all; link targets always [default: on]
    #[arg(long, overrides_with = "no_sandbox")]
    #[arg(value_name = "on|strict|off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = sandbox)]
    sandbox: Option<Sandbox>,

    /// Same as --sandbox=off
    #[arg(long, overrides_with = "sandbox")]
    no_sandbox: bool,

    /// At the connection limit: let new connections wait, or answer 503 [default: wait]
    #[arg(long, value_name = "wait|refuse", hide_possible_values = true)]
    #[arg(value_parser = one_of(value::WHEN_FULL))]
    when_full: Option<WhenFull>,

    /// Serve HTTP/2 without TLS, too, to clients that begin with it, such as proxies [default: off]
    #[arg(long, value_name = "on|off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = switch)]
    h2c: Option<bool>,

    #[command(flatten)]
    tls: TlsArgs,

    /// Processes that serve, below a supervisor; auto: one a core; with --config [default: 1]
    #[arg(long, value_name = "N|auto", value_parser = value::workers)]
    workers: Option<Workers>,

    #[command(flatten)]
    log: LogArgs,

    /// Set a limit (--help lists all of them); repeatable
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = Limits::parse)]
    limits: Vec<(&'static str, u64)>,
}

/// The commands besides serving.
#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Answer a request without a network, and say why it gets this response
    Explain(Box<ExplainArgs>),
    /// Write compressed files (.zst, .br, .gz) beside the compressible files of a folder
    Precompress(Precompress),
    /// Report all problems of the settings, and of the files and folders that they name
    Check(Box<CheckArgs>),
    /// Ask a running server whether it is ready, by its admin listener
    Healthcheck(Box<HealthcheckArgs>),
    /// Print the effective settings as a configuration file, each with its origin
    #[command(name = "config")]
    Show(Box<ShowArgs>),
    /// Print the manual page, in the format of man
    Man,
    /// Print the completions for a shell
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
}

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Serve.
    Serve(Box<Settings>),
    /// Say why a request gets its response.
    Explain(Box<Explain>),
    /// Write compressed files beside the files of a folder.
    Precompress(Precompress),
    /// Check these settings.
    Check(Box<Draft>),
    /// Ask a running server whether it is healthy.
    Healthcheck(Healthcheck),
    /// Print this on standard output.
    Print(Vec<u8>),
}

/// Settings that may have problems.
#[derive(Debug)]
pub struct Draft {
    /// The settings without the malformed ones, over those of the file.
    pub layer: Layer,
    /// What is wrong with the others.
    pub problems: Vec<Problem>,
    /// Environment variables that have no meaning, a line each.
    pub warnings: Vec<String>,
}

/// What the command line and the environment say about serving.
#[derive(Debug)]
pub struct Settings {
    /// The settings of the run.
    pub config: Config,
    /// Lines for the log: environment variables that have no meaning.
    pub warnings: Vec<String>,
}

/// Why there are no settings.
#[derive(Debug)]
pub enum Refusal {
    /// Help or version was asked for, or the arguments or the environment are wrong.
    Arguments(clap::Error),
    /// The configuration file is wrong: one line for each problem.
    File(Vec<String>),
}

impl From<clap::Error> for Refusal {
    fn from(error: clap::Error) -> Refusal {
        Refusal::Arguments(error)
    }
}

impl From<Vec<Problem>> for Refusal {
    fn from(problems: Vec<Problem>) -> Refusal {
        let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
        if problems.iter().any(Problem::is_in_file) {
            return Refusal::File(lines);
        }
        Refusal::Arguments(invalid(&lines.join("\n")))
    }
}

/// Reads the command line `args`, with the name of the program first, the environment, and the
/// configuration file that they name.
///
/// # Errors
/// Also if help or version was asked for: see [`clap::Error::exit_code`].
pub fn read(
    args: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Command, Refusal> {
    read_with(args, environment, &mut read_file)
}

/// What reads the configuration file.
pub type ReadFile<'r> = &'r mut dyn FnMut(&Path) -> std::io::Result<Vec<u8>>;

/// Reads them with another view of the configuration file, or to keep its content.
///
/// # Errors
/// As [`read`].
pub fn read_with(
    args: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    read_file: ReadFile<'_>,
) -> Result<Command, Refusal> {
    let mut args =
        Args::try_parse_from(switches::join(args, &Args::command)).map_err(texts::two_roots)?;
    match args.command.take() {
        Some(Subcommands::Precompress(precompress)) => Ok(Command::Precompress(precompress)),
        Some(Subcommands::Explain(explain)) => {
            Ok(Command::Explain(Box::new(read_explain(*explain, environment, read_file)?)))
        }
        Some(Subcommands::Check(check)) => {
            let CheckArgs { root, settings } = *check;
            let draft =
                read_draft(settings.into_layer(root, &Origin::Flag), environment, read_file)?;
            Ok(Command::Check(Box::new(draft)))
        }
        Some(Subcommands::Healthcheck(healthcheck)) => {
            // Whatever else is wrong with the settings: the server may run with earlier ones.
            let layer = |settings: SettingsArgs| {
                let flags = settings.into_layer(None, &Origin::Flag);
                read_draft(flags, environment, read_file).map(|draft| draft.layer)
            };
            healthcheck.place(layer).map(Command::Healthcheck)
        }
        Some(Subcommands::Show(show)) => {
            let ShowArgs { root, settings } = *show;
            let draft =
                read_draft(settings.into_layer(root, &Origin::Flag), environment, read_file)?;
            if !draft.problems.is_empty() {
                return Err(draft.problems.into());
            }
            let folder = std::env::current_dir().map_err(|error| {
                invalid(&format!("cannot tell the current folder: {error}; change to another"))
            })?;
            Ok(Command::Print(print::print(&draft.layer, &folder)?.into_bytes()))
        }
        Some(Subcommands::Man) => Ok(Command::Print(texts::man(Args::command()))),
        Some(Subcommands::Completions { shell }) => {
            Ok(Command::Print(texts::completions(shell, Args::command())))
        }
        None => {
            let flags = args.into_layer(&Origin::Flag);
            let (settings, _) = read_settings(flags, environment, read_file)?;
            Ok(Command::Serve(Box::new(settings)))
        }
    }
}

fn read_explain(
    args: ExplainArgs,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    read_file: ReadFile<'_>,
) -> Result<Explain, Refusal> {
    let ExplainArgs { url, root, fields, method, client, json, settings } = args;
    let flags = settings.into_layer(root, &Origin::Flag);
    let (settings, places) = read_settings(flags, environment, read_file)?;
    Ok(Explain { url, fields, method, client, json, settings, places })
}

/// The settings of a server, flags over the environment, and where each site is defined.
fn read_settings(
    flags: Layer,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    read_file: ReadFile<'_>,
) -> Result<(Settings, Vec<String>), Refusal> {
    let Draft { layer, problems, warnings } = read_draft(flags, environment, read_file)?;
    if !problems.is_empty() {
        return Err(problems.into());
    }
    // If there is a problem, `into_config` reports it among all others.
    let sites = layer.effective_sites().unwrap_or_default();
    let places = sites.iter().map(SiteLayer::place).collect();
    let config = layer.into_config()?;
    Ok((Settings { config, warnings }, places))
}

/// Flags over the environment, and both over the configuration file that they name.
///
/// # Errors
/// The file cannot be read.
fn read_draft(
    flags: Layer,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    read_file: ReadFile<'_>,
) -> Result<Draft, Refusal> {
    let (variables, warnings, mut problems) = from_environment(environment);
    let typed = flags.over(variables);
    let Some(path) = typed.config.as_ref().map(|sourced| sourced.value.clone()) else {
        return Ok(Draft { layer: typed, problems, warnings });
    };
    let content = read_file(&path).map_err(|error| {
        Refusal::File(vec![format!("{}: cannot read it: {error}", path.display())])
    })?;
    let (layer, found) = file::parse_all(&path, &content);
    problems.extend(found);
    Ok(Draft { layer: typed.over(layer), problems, warnings })
}

/// Reads the file, but at most one byte more than a configuration file may have.
///
/// # Errors
/// Those of the system.
pub fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(file::FILE_BYTES_MAX as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// The settings of the environment, warnings about variables without a meaning, and the problems
/// of the others.
fn from_environment(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> (Layer, Vec<String>, Vec<Problem>) {
    let command = Args::command();
    let mut variables: Vec<(String, OsString)> = environment
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    variables.sort();
    let (mut layer, mut warnings, mut problems) = (Layer::default(), Vec::new(), Vec::new());
    for (name, value) in variables {
        if is_service_link(&name, &value) {
            continue;
        }
        let argument = command.get_arguments().find(|argument| has_variable(argument, &name));
        match argument {
            Some(argument) => match from_variable(argument, &name, &value) {
                Ok(variable) => layer = variable.over(layer),
                Err(what) => problems.push(Problem { origin: Origin::Environment(name), what }),
            },
            None => warnings.push(unknown(&name, &command)),
        }
    }
    (layer, warnings, problems)
}

const PREFIX: &str = "TENKAY_";

/// The variable that sets the same as this argument; empty if there is none.
fn variable(argument: &clap::Arg) -> String {
    let name = argument.get_long().unwrap_or(argument.get_id().as_str());
    if name.starts_with("no-") || matches!(name, "help" | "version") {
        return String::new();
    }
    variable_of(name)
}

fn variable_of(name: &str) -> String {
    format!("{PREFIX}{}", name.to_uppercase().replace('-', "_"))
}

/// True for the variable of the flag, and for that of another name of it.
fn has_variable(argument: &clap::Arg, name: &str) -> bool {
    let aliases = argument.get_all_aliases().unwrap_or_default();
    variable(argument) == name || aliases.iter().any(|alias| variable_of(alias) == name)
}

/// Kubernetes sets such variables in every container beside a service that is called tenkay.
fn is_service_link(name: &str, value: &OsStr) -> bool {
    name.starts_with("TENKAY_SERVICE_")
        || name.starts_with("TENKAY_PORT_")
        || (name == "TENKAY_PORT" && value.as_encoded_bytes().starts_with(b"tcp://"))
}

/// Parses a variable as the flag of the same name, which is repeated for each entry of a list.
fn from_variable(argument: &clap::Arg, name: &str, value: &OsStr) -> Result<Layer, String> {
    let mut args = vec![OsString::from("tenkay")];
    match argument.get_long() {
        None => args.extend(["--".into(), value.to_owned()]),
        Some(long) => {
            let mut add = |value: &OsStr| {
                let mut arg = OsString::from(format!("--{long}="));
                arg.push(value);
                args.push(arg);
            };
            let is_list = matches!(argument.get_action(), ArgAction::Append);
            match value.to_str().filter(|_| is_list && argument.get_value_delimiter().is_none()) {
                Some(rules) if matches!(long, "redirect" | "header") => {
                    for line in rules.lines().filter(|line| !line.trim().is_empty()) {
                        add(line.trim().as_ref());
                    }
                }
                Some(text) => {
                    for entry in split_outside_quotes(text, ',') {
                        add(entry.trim().as_ref());
                    }
                }
                None => add(value),
            }
        }
    }
    // A switch without a value would be taken as on.
    let is_switch = argument.get_num_args().is_some_and(|count| count.min_values() == 0);
    if value.is_empty() && is_switch {
        return Err("the value is missing, such as on or off".to_owned());
    }
    let parsed = Args::try_parse_from(args).map_err(|error| {
        let text = error.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        text.split("\n\n").next().unwrap_or_default().replace("\n ", "")
    })?;
    Ok(parsed.into_layer(&Origin::Environment(name.to_owned())))
}

fn unknown(name: &str, command: &clap::Command) -> String {
    let known: Vec<String> =
        command.get_arguments().map(variable).filter(|known| !known.is_empty()).collect();
    let positive = name.replacen("TENKAY_NO_", PREFIX, 1);
    let hint = if positive != name && known.contains(&positive) {
        format!("use {positive}=off")
    } else {
        // The prefix would make all names similar.
        let bare = |name| str::strip_prefix(name, PREFIX).unwrap_or(name);
        match nearest(bare(name), known.iter().map(|known| bare(known))) {
            Some(near) => format!("did you mean {PREFIX}{near}?"),
            None => "tenkay --help lists the options".to_owned(),
        }
    };
    format!("unknown environment variable {name}; {hint}")
}

fn invalid(why: &str) -> clap::Error {
    Args::command().error(ErrorKind::ValueValidation, why)
}

impl Args {
    fn into_layer(self, origin: &Origin) -> Layer {
        self.settings.into_layer(self.root, origin)
    }
}

impl SettingsArgs {
    fn into_layer(self, root: Option<PathBuf>, origin: &Origin) -> Layer {
        let layer = Layer {
            config: some(self.config, origin),
            admin_listen: some(self.admin_listen, origin),
            admin_hosts: list(self.admin_hosts, origin),
            server_header: either(self.server_header, self.no_server_header, origin),
            user: some(self.user, origin),
            sandbox: some(self.sandbox.or(self.no_sandbox.then_some(Sandbox::Off)), origin),
            when_full: some(self.when_full, origin),
            h2c: some(self.h2c, origin),
            workers: some(self.workers, origin),
            tls: self.tls.into_layer(origin),
            log: self.log.into_layer(origin),
            limits: each(self.limits, origin),
            site: self.site.into_layer(root, origin),
            ..Layer::default()
        };
        layer.over(self.network.into_layer(origin))
    }
}

fn some<T>(value: Option<T>, origin: &Origin) -> Replaced<T> {
    value.map(|value| Sourced::new(value, origin))
}

/// A name in a list of names; empty: none.
fn host(text: &str) -> Result<String, String> {
    if text.is_empty() { Ok(String::new()) } else { value::host(text) }
}

/// The setting of a switch and of the flag that negates it.
fn either(switch: Option<bool>, negation: bool, origin: &Origin) -> Replaced<bool> {
    some(switch.or(negation.then_some(false)), origin)
}

/// An empty entry stands for an empty list.
fn list<T: Default + PartialEq>(values: Vec<T>, origin: &Origin) -> Replaced<Vec<T>> {
    let is_set = !values.is_empty();
    let values = values.into_iter().filter(|value| *value != T::default()).collect();
    is_set.then(|| Sourced::new(values, origin))
}

fn each<T>(values: Vec<T>, origin: &Origin) -> Merged<T> {
    values.into_iter().map(|value| Sourced::new(value, origin)).collect()
}

/// Takes one of these words, and gives what it means.
fn one_of<T: Clone + Send + Sync + 'static, const N: usize>(
    values: value::Choice<T, N>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(values.each_ref().map(|(word, _)| *word)).try_map(move |word| {
        let found = values.iter().find(|(name, _)| *name == word);
        found.map(|(_, value)| value.clone()).ok_or("it is not among the possible values")
    })
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" | "true" | "1" => Ok(true),
        "off" | "false" | "0" => Ok(false),
        _ => Err("use on, off, true, false, 1 or 0".to_owned()),
    }
}

fn sandbox(text: &str) -> Result<Sandbox, String> {
    match (text, switch(text)) {
        ("strict", _) => Ok(Sandbox::Strict),
        (_, Ok(true)) => Ok(Sandbox::On),
        (_, Ok(false)) => Ok(Sandbox::Off),
        _ => Err("use on, strict or off".to_owned()),
    }
}

/// The table of limits, for the long help.
fn limits_help() -> String {
    let mut help = format!("{ENVIRONMENT}\n\nLimits (--limit NAME=VALUE):\n");
    for row in Limits::TABLE {
        let meaning = row.meaning.trim();
        help.push_str(&format!(
            "  {}={} ({} to {})\n      {meaning}\n",
            row.name, row.default, row.least, row.most
        ));
    }
    help
}

#[cfg(test)]
mod tests;
