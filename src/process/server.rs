//! One process that serves: set up from the settings, alone or as a worker.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::Path;

use crate::auth::{Authenticator, MemoryBounds, PoolBounds, Program};
use crate::cli::Settings;
use crate::config::{
    AccessLogConfig, Config, Limits, Listen, LogLevel, SiteConfig, TlsConfig, TrustedProxies,
};
use crate::files::Door;
use crate::inherited::Inherited;
use crate::journal::{AccessLog, LogFile, Sink};
use crate::metrics::{Process, Seat};
use crate::net::Activated;
use crate::net::listen::{self, Listener, SocketFile};
use crate::net::tls::{Material, Terminal};
use crate::reactor::{End, Reactor, Sign, signals};
use crate::sandbox;
use crate::site::{GateConfig, Sites, advice, uncovered};
use crate::system;

use super::access_log::OpenLog;
use super::notify::{Notifier, beat_ms};
use super::secrets::{Secrets, unix_seconds};
use super::sockets::{bound, taken_by_itself, unused};

/// Serves alone: sets everything up, prints the start line, and serves until a signal ends it.
/// `sockets` gets the Unix sockets, which the caller removes.
///
/// # Errors
/// In one line: why it cannot start, or cannot go on.
pub fn serve_alone(settings: Settings, sockets: &mut Vec<SocketFile>) -> Result<End, String> {
    let Settings { mut config, mut warnings } = settings;
    ignore_file_size_signal()?;
    let has_tls = config.tls.has_certificates();
    warnings.extend(system::fit(&mut config.limits, has_tls, &config.chosen_limits));
    let activated = Activated::take()?;
    let entries = config.listeners();
    let listeners = bind(&entries, &config.limits, &activated, sockets)?;
    warnings.extend(unused(&entries, &activated));
    // A descriptor that is left open here would keep a socket open that is closed.
    drop(activated);
    warnings.extend(listeners.iter().flat_map(Listener::warnings).cloned());
    let start_line = start_line(&config.sites, listeners.iter(), "");
    let admin_line = admin_line(&listeners);
    let paths: Vec<&Path> = sockets.iter().map(SocketFile::path).collect();
    let log = OpenLog::open(config.access_log.as_ref())?.map(OpenLog::into_file);
    let (mut secrets, inherited) = (Secrets::default(), Inherited::default());
    secrets.prepare(&config, &inherited)?;
    let shared = Shared { secrets: &secrets, seat: None, inherited };
    let (mut reactor, more) = set_up(config, listeners, log, Some(&paths), shared)?;
    for (level, line) in warnings.into_iter().map(warning).chain(more) {
        reactor.note(level, format_args!("{line}"));
    }
    if let Some(line) = admin_line {
        reactor.note(LogLevel::Info, format_args!("{line}"));
    }
    // A closed or full standard output is no reason not to serve.
    _ = writeln!(io::stdout(), "{start_line}");
    let notifier = Notifier::new();
    // Without the name and the version of the program.
    notifier.ready(start_line.splitn(3, ' ').last().unwrap_or_default());
    // Twice as often as it must.
    let every_ms = notifier.watchdog().map(|time| beat_ms(time / 2));
    let watcher = move |sign| match sign {
        Sign::Alive => notifier.alive(),
        Sign::Stopping => notifier.stopping(),
    };
    reactor.watch(every_ms, Box::new(watcher));
    run(&mut reactor)
}

/// Runs the loop until a signal or an order ends it.
pub(super) fn run(reactor: &mut Reactor) -> Result<End, String> {
    reactor.run().map_err(|error| format!("the event loop failed: {error}"))
}

/// A write to a log file beyond RLIMIT_FSIZE must fail, not end the process.
pub(super) fn ignore_file_size_signal() -> Result<(), String> {
    signals::ignore_file_size_signal()
        .map_err(|error| format!("cannot install a signal handler: {error}"))
}

/// What a process shares with others that serve with the same settings.
pub(super) struct Shared<'s> {
    pub(super) secrets: &'s Secrets,
    /// Where its metrics are shown to the other workers.
    pub(super) seat: Option<Seat>,
    /// What it has in place of files.
    pub(super) inherited: Inherited,
}

/// A line for the log, and its level.
pub(super) type Line = (LogLevel, String);

/// A line at the level of warnings.
pub(super) fn warning(text: String) -> Line {
    (LogLevel::Warn, text)
}

/// From settings to a loop that can run: switches the user, opens the roots, starts the processes
/// that verify passwords, and enters the sandbox. `log` is the access log. A process that serves
/// `alone` has to remove its Unix sockets, which are these, and to open its log anew; the sandbox
/// allows that. Returns lines for the log, too.
pub(super) fn set_up(
    config: Config,
    listeners: Vec<Listener>,
    log: Option<LogFile>,
    alone: Option<&[&Path]>,
    Shared { secrets, seat, inherited }: Shared<'_>,
) -> Result<(Reactor, Vec<Line>), String> {
    let has_tls = config.has_tls();
    let Config { listen, admin, admin_hosts, trusted_proxies, sites, user, tls, .. } = config;
    let Config { sandbox, when_full, h2c, limits, access_log, log: lines, .. } = config;
    let mut warnings = Vec::new();
    if !trusted_proxies.trusts(None) {
        warnings.extend(inapplicable_limits(&listeners, &limits));
    }
    warnings.extend(unused_proxy_protocol(&listen, &trusted_proxies));
    // Before privileges are dropped: the keys may be readable by root alone.
    let material = secrets.material().filter(|_| has_tls);
    let (terminal, notices) = load_tls(&tls, material, &inherited)?;
    let gate = gate(&tls, terminal.as_ref(), &listeners);
    warnings.extend(open_admin(&listeners));
    match &user {
        Some(account) => sandbox::become_user(account)?,
        None if sandbox::is_root() => {
            warnings.push("running as root; use --user NAME to drop privileges".to_owned());
        }
        None => {}
    }
    let folders = sandbox::readable(sandbox, &sites, tls.acme_webroot.as_deref());
    // A fresh hasher is as random as the standard library makes it.
    let chance = RandomState::new().hash_one(std::process::id());
    warnings.extend(advice_of(&sites, terminal.as_ref().filter(|_| !tls.self_signed)));
    let mut sites = open_sites(sites, gate, &limits, (chance, &inherited))?;
    if sites.need_authenticator() {
        sites.authenticate_with(start_authenticator(&limits)?);
    }
    sites.admin().answer_to(admin_hosts);
    let most = limits.access_log_bytes;
    let mut reactor = Reactor::new(sites, listeners, when_full, limits)
        .map_err(|error| format!("cannot set up the event loop: {error}"))?;
    if h2c {
        reactor.accept_h2c();
    }
    if let Some(terminal) = terminal {
        reactor.speak_tls(terminal);
    }
    reactor.trust(trusted_proxies);
    if admin.is_some() {
        // Before the sandbox hides the files of /proc.
        reactor.measure(Process::open(), seat);
    }
    reactor.configure_log(lines);
    if let (Some(AccessLogConfig { target, format }), Some(file)) = (&access_log, log) {
        let log = AccessLog::new(*format, Sink::new(file, target.to_string(), most));
        reactor.log_requests(log, alone.and(Some(target.clone())));
    }
    if let Some((folders, broad)) = folders {
        warnings.extend(broad);
        let log = alone.and(access_log.as_ref()).and_then(|log| log.target.path());
        warnings.extend(sandbox::lock_in(&folders, alone.unwrap_or_default(), log));
    }
    Ok((reactor, notices.into_iter().chain(warnings.into_iter().map(warning)).collect()))
}

/// Where metrics are served, for the log.
pub(super) fn admin_line(listeners: &[Listener]) -> Option<String> {
    let listener = listeners.iter().find(|listener| listener.opening().internal)?;
    Some(format!("metrics and health at {}", listener.url()))
}

/// A warning if other machines can reach the admin listener.
fn open_admin(listeners: &[Listener]) -> Option<String> {
    let is_open = |it: &&Listener| it.opening().internal && !it.is_local();
    let url = listeners.iter().find(is_open)?.url();
    Some(format!(
        "the admin listener at {url} can be reached from other machines, without a password; use a \
         loopback address, a Unix socket or a firewall"
    ))
}

/// Reads the certificates; nothing, if there is no material, because no address has TLS. Returns
/// lines for the log, too.
fn load_tls(
    tls: &TlsConfig,
    material: Option<&Material>,
    inherited: &Inherited,
) -> Result<(Option<Terminal>, Vec<Line>), String> {
    let Some(material) = material else { return Ok((None, Vec::new())) };
    let loaded = Terminal::load(tls, material, inherited, unix_seconds());
    let (terminal, notices) = loaded.map_err(|problems| problems.join("\n"))?;
    let mut lines: Vec<Line> = notices.into_iter().map(|it| (it.level, it.text)).collect();
    lines.extend(material.describe().filter(|_| tls.self_signed).map(warning));
    Ok((Some(terminal), lines))
}

/// What is probably not meant in the settings of the sites; once, if several inherit it.
/// `terminal`: has the certificates that were configured, if some were.
fn advice_of(sites: &[SiteConfig], terminal: Option<&Terminal>) -> Vec<String> {
    let bare = terminal.map(|terminal| uncovered(sites, &terminal.names())).unwrap_or_default();
    let all = sites.iter().flat_map(|site| advice(site, Door::best())).chain(bare);
    let mut lines: Vec<String> = all.map(|advice| advice.to_string()).collect();
    let mut seen = HashSet::new();
    lines.retain(|line| seen.insert(line.clone()));
    lines
}

/// Opens the roots. `chance` is random.
fn open_sites(
    sites: Vec<SiteConfig>,
    gate: Option<GateConfig>,
    limits: &Limits,
    (chance, inherited): (u64, &Inherited),
) -> Result<Sites, String> {
    let sites = Sites::inheriting(sites, limits, (Door::best(), chance), inherited);
    let mut sites = sites.map_err(|problems| problems.to_string())?;
    if let Some(gate) = gate {
        let guarded = sites.guard_with(gate, Door::best(), inherited);
        guarded.map_err(|problems| problems.to_string())?;
    }
    Ok(sites)
}

/// The gate of these listeners.
fn gate(
    tls: &TlsConfig,
    terminal: Option<&Terminal>,
    listeners: &[Listener],
) -> Option<GateConfig> {
    let secure = listeners.iter().filter(|listener| listener.opening().tls);
    let names = terminal.map(Terminal::names).unwrap_or_default();
    GateConfig::of(tls, names, secure.filter_map(Listener::port))
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
    entries: &[Listen],
    limits: &Limits,
    activated: &Activated,
    sockets: &mut Vec<SocketFile>,
) -> Result<Vec<Listener>, String> {
    let mut listeners = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let own = || {
            let before = entries[..index].iter().map(|entry| &entry.address);
            taken_by_itself(&entry.address, before)
        };
        let bound = bound(entry, limits, activated, listen::listen, &own)?;
        bound.iter().for_each(|listener| listener.set_opening(entry.opening));
        sockets.extend(bound.iter().filter_map(Listener::socket_file).cloned());
        listeners.extend(bound);
    }
    Ok(listeners)
}

/// A warning about limits per client that do not apply to clients without an address.
fn inapplicable_limits(listeners: &[Listener], limits: &Limits) -> Option<String> {
    let socket = {
        let is_plain = |it: &&Listener| it.path().is_some() && !it.opening().internal;
        listeners.iter().find(is_plain)?.url()
    };
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

/// A warning about an address with `proxy_protocol` if there are no trusted proxies.
fn unused_proxy_protocol(entries: &[Listen], proxies: &TrustedProxies) -> Option<String> {
    let listen = entries.iter().find(|listen| listen.opening.proxy_protocol)?;
    proxies.is_empty().then(|| {
        format!(
            "proxy_protocol has no effect on {listen}: nobody may send a PROXY header; set \
             trusted_proxies to the addresses of the proxies"
        )
    })
}

/// The start line: the roots and where they are served; `more` is added at its end.
pub(super) fn start_line<'l>(
    sites: &[SiteConfig],
    listeners: impl Iterator<Item = &'l Listener>,
    more: &str,
) -> String {
    let machine = listen::machine_addresses();
    let listeners = listeners.filter(|listener| !listener.opening().internal);
    let mut links: Vec<String> = listeners.flat_map(|listener| listener.links(&machine)).collect();
    // [::] and 0.0.0.0 both have localhost.
    let mut seen = HashSet::new();
    links.retain(|link| seen.insert(link.clone()));
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
    let (roots, links) = (roots.join(" and "), links.join(" and "));
    format!("tenkay {version} serves {roots} at {links}{listings}{more}")
}
