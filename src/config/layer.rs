//! Settings in layers: built-in default, file, environment, flags; the later layer wins.
//!
//! Each source fills a [`Layer`] in which every value carries its [`Origin`]. [`Layer::over`] puts
//! one layer over another, [`Layer::into_config`] adds the defaults and checks the values against
//! each other. A new setting is one line in `settings!` and one in the reader of each source.
//!
//! The settings of a site may stand at three places: in `[[site]]` tables of the file
//! ([`Layer::sites`]), at the top level of the file, and in the environment and the flags, which
//! describe the one site of the command line ([`Layer::site`]). [`Layer::effective_sites`] joins
//! them.

use std::fmt;
use std::path::PathBuf;

mod admin;

use super::listen::{overlaps, pair};
use super::{
    AccessRule, Account, ArchiveFormat, AuthRule, CacheControl, CertificateFiles, CleanUrls,
    Config, Cors, EncodedSlash, EtagSource, HeaderRule, Listen, ListenAddress, Places,
    RedirectRule, Sandbox, SiteConfig, Symlinks, TlsVersion, TrustedProxies, TrustedProxy,
    WhenFull, Workers,
};

/// Where a value comes from. A later variant wins over an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The built-in default.
    Default,
    /// A place in a configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, in characters, from 1.
        column: usize,
    },
    /// The environment variable of this name.
    Environment(String),
    /// The command line.
    Flag,
}

impl Origin {
    /// The number of the layer: a higher one wins.
    fn rank(&self) -> u8 {
        match self {
            Origin::Default => 0,
            Origin::File { .. } => FILE_RANK,
            Origin::Environment(_) => 2,
            Origin::Flag => 3,
        }
    }

    /// True for the environment and the command line, which describe one site.
    fn is_typed(&self) -> bool {
        self.rank() > FILE_RANK
    }
}

const FILE_RANK: u8 = 1;

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Origin::Environment(name) => f.write_str(name),
            Origin::Flag => f.write_str("command line"),
        }
    }
}

/// A setting that is refused, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where the setting comes from.
    pub origin: Origin,
    /// What is wrong, and how to fix it, in one line.
    pub what: String,
}

impl Problem {
    /// True if the configuration file is wrong, not what was typed.
    pub fn is_in_file(&self) -> bool {
        matches!(self.origin, Origin::File { .. })
    }
}

impl fmt::Display for Problem {
    /// `FILE:LINE:COLUMN: what`, `VARIABLE: what`, or `what` for the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default | Origin::Flag => f.write_str(&self.what),
            origin => write!(f, "{origin}: {}", self.what),
        }
    }
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    /// A value from this origin.
    pub fn new(value: T, origin: &Origin) -> Sourced<T> {
        Sourced { value, origin: origin.clone() }
    }
}

/// A setting whose value from a higher layer replaces that from a lower one.
pub type Replaced<T> = Option<Sourced<T>>;

/// A setting with entries that have a name each: those of all layers are kept, and the last entry
/// of a name counts.
pub type Merged<T> = Vec<Sourced<T>>;

/// What can be put over the same setting, or group of settings, of another layer.
trait Layered {
    /// This over that of a lower layer. Between the environment or flags and a file, the origin
    /// decides, whichever is `self`: a `[[site]]` is put over the layer that also has the flags.
    fn over(self, lower: Self) -> Self;

    /// The origins of all values.
    fn origins(&self) -> Vec<&Origin>;
}

impl<T> Layered for Replaced<T> {
    fn over(self, lower: Self) -> Self {
        match (self, lower) {
            (Some(one), Some(other)) if other.origin.rank() > one.origin.rank() => Some(other),
            (one, other) => one.or(other),
        }
    }

    fn origins(&self) -> Vec<&Origin> {
        self.iter().map(|sourced| &sourced.origin).collect()
    }
}

impl<T> Layered for Merged<T> {
    fn over(self, mut lower: Self) -> Self {
        lower.extend(self);
        // Stable: within one rank, the entries of `self` stay the later ones.
        lower.sort_by_key(|sourced| sourced.origin.rank());
        lower
    }

    fn origins(&self) -> Vec<&Origin> {
        self.iter().map(|sourced| &sourced.origin).collect()
    }
}

/// Generates a group of settings and how one is put over another.
macro_rules! settings {
    (
        $(#[doc = $doc:literal])+
        $name:ident { $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty;)+ }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name { $($(#[doc = $field_doc])+ pub $field: $type,)+ }

        impl $name {
            /// The names of the settings.
            pub const NAMES: &[&str] = &[$(stringify!($field)),+];

            /// These settings over those of a lower layer.
            #[must_use]
            pub fn over(self, lower: $name) -> $name {
                $name { $($field: Layered::over(self.$field, lower.$field),)+ }
            }

            /// Each value that is set: the name of its setting, and its origin.
            pub fn set(&self) -> Vec<(&'static str, &Origin)> {
                let mut set = Vec::new();
                $(set.extend(
                    Layered::origins(&self.$field)
                        .into_iter()
                        .map(|origin| (stringify!($field), origin)),
                );)+
                set
            }
        }

        impl Layered for $name {
            fn over(self, lower: $name) -> $name {
                $name::over(self, lower)
            }

            fn origins(&self) -> Vec<&Origin> {
                self.set().into_iter().map(|(_, origin)| origin).collect()
            }
        }
    };
}

mod log;

pub use log::LogLayer;

settings! {
    /// What one source says about a site; what it does not say is empty. The names are those of
    /// the file.
    SiteLayer {
        /// Where the table `[[site]]` begins.
        table: Replaced<()>;
        /// Names of the site.
        hosts: Replaced<Vec<String>>;
        /// The folder to serve.
        root: Replaced<PathBuf>;
        /// Names of index files.
        index: Replaced<Vec<String>>;
        /// Whether folders without an index file are listed.
        listing: Replaced<bool>;
        /// What happens at a symbolic link.
        symlinks: Replaced<Symlinks>;
        /// Folders outside the root that links may lead into.
        link_targets: Replaced<Vec<PathBuf>>;
        /// Names that are neither served nor listed.
        hidden: Replaced<Vec<String>>;
        /// Names that are served although they are hidden.
        hidden_except: Replaced<Vec<String>>;
        /// What `%2F` in a path means.
        encoded_slash: Replaced<EncodedSlash>;
        /// Whether sidecar files are negotiated.
        precompressed: Replaced<bool>;
        /// Whether files without a sidecar are compressed.
        compress: Replaced<bool>;
        /// What an entity-tag is made from.
        etag: Replaced<EtagSource>;
        /// The field Cache-Control.
        cache_control: Replaced<CacheControl>;
        /// The charset of text types.
        charset: Replaced<Option<String>>;
        /// Media types by extension.
        media_types: Merged<(String, String)>;
        /// Whether a path without an extension stands for an HTML file.
        clean_urls: Replaced<CleanUrls>;
        /// The page for navigations to what is not there.
        spa: Replaced<Option<String>>;
        /// Pages by status.
        error_pages: Merged<(u16, String)>;
        /// Whether `_redirects` and `_headers` are obeyed.
        rule_files: Replaced<bool>;
        /// Which origins may read the responses.
        cors: Replaced<Cors>;
        /// Whether a preset of fields for security is sent.
        security_headers: Replaced<bool>;
        /// The formats of archives.
        archives: Replaced<Vec<ArchiveFormat>>;
        /// How long the files of an earlier root are found.
        previous_root_s: Replaced<u32>;
        /// Redirects and rewrites.
        redirects: Replaced<Vec<RedirectRule>>;
        /// Fields to set and to remove.
        headers: Replaced<Vec<HeaderRule>>;
        /// Access rules by address.
        access: Replaced<Vec<AccessRule>>;
        /// Access rules by name and password.
        auth: Replaced<Vec<AuthRule>>;
    }
}

settings! {
    /// What one source says about TLS. The names are those of the file, but for `cert` and `key`,
    /// which are flags.
    TlsLayer {
        /// Certificates of the command line, in PEM.
        cert: Replaced<Vec<PathBuf>>;
        /// The key of each of them.
        key: Replaced<Vec<PathBuf>>;
        /// Certificates with their keys.
        certificates: Replaced<Vec<CertificateFiles>>;
        /// Whether a certificate is made at start.
        self_signed: Replaced<bool>;
        /// The oldest version that is accepted.
        min_version: Replaced<TlsVersion>;
        /// Whether HTTP/2 is offered.
        http2: Replaced<bool>;
        /// Whether plain HTTP is redirected to HTTPS.
        redirect_http: Replaced<bool>;
        /// The value of Strict-Transport-Security.
        hsts: Replaced<String>;
        /// The folder with the answers to ACME challenges.
        acme_webroot: Replaced<PathBuf>;
    }
}

impl Layered for Vec<SiteLayer> {
    fn over(self, lower: Self) -> Self {
        if self.is_empty() { lower } else { self }
    }

    fn origins(&self) -> Vec<&Origin> {
        self.iter().flat_map(Layered::origins).collect()
    }
}

settings! {
    /// The settings of one source; what it does not set is empty.
    Layer {
        /// The configuration file; not a setting of the file itself.
        config: Replaced<PathBuf>;
        /// Addresses to listen on.
        listen: Replaced<Vec<Listen>>;
        /// The port of the address to listen on.
        port: Replaced<u16>;
        /// The address of the admin listener.
        admin_listen: Replaced<ListenAddress>;
        /// Further names by which it answers.
        admin_hosts: Replaced<Vec<String>>;
        /// Whether a PROXY header comes first, on every address.
        proxy_protocol: Replaced<bool>;
        /// The peers that may name the client for whom they connect.
        trusted_proxies: Replaced<Vec<TrustedProxy>>;
        /// Whether responses have a Server field.
        server_header: Replaced<bool>;
        /// The account to switch to after binding.
        user: Replaced<Account>;
        /// Which files the process may read after the start.
        sandbox: Replaced<Sandbox>;
        /// What happens to new connections at the connection limit.
        when_full: Replaced<WhenFull>;
        /// Whether HTTP/2 is served without TLS.
        h2c: Replaced<bool>;
        /// How many processes serve.
        workers: Replaced<Workers>;
        /// The table `[tls]`.
        tls: TlsLayer;
        /// The logs.
        log: LogLayer;
        /// Limits by name; the values are in range.
        limits: Merged<(&'static str, u64)>;
        /// The top level of the file, and the one site of the command line.
        site: SiteLayer;
        /// The `[[site]]` tables of the file.
        sites: Vec<SiteLayer>;
    }
}

impl Layer {
    /// The settings of the run: this layer over the defaults.
    ///
    /// # Errors
    /// All settings that contradict each other.
    pub fn into_config(self) -> Result<Config, Vec<Problem>> {
        // A configuration file is there to be changed and read again: by a supervisor.
        let alone = self.config.is_some().then_some(Workers::Count(1));
        let mut problems = Vec::new();
        let layers = self.effective_sites().unwrap_or_else(|found| {
            problems.extend(found);
            Vec::new()
        });
        let server_header = value_or(self.server_header, SiteConfig::default().server_header);
        let mut sites = Vec::new();
        for layer in layers {
            problems.extend(checks::check_root(&layer));
            problems.extend(checks::check_index(&layer));
            sites.push(SiteConfig { server_header, ..layer.into_site() });
        }
        let mut keep = |problem: Problem| problems.push(problem);
        let listen_origin = self.listen.as_ref().map_or(Origin::Default, |set| set.origin.clone());
        let listen = addresses(self.listen, self.port).map_err(&mut keep);
        for (_, what) in overlaps(listen.as_deref().unwrap_or_default()) {
            keep(Problem { origin: listen_origin.clone(), what: format!("listen: {what}") });
        }
        let limits = limits::limits(&self.limits).map_err(&mut keep);
        let admin = self.admin_listen.as_ref();
        problems.extend(admin::check(admin, listen.as_deref().unwrap_or(&[])));
        problems.extend(admin::check_hosts(admin, self.admin_hosts.as_ref()));
        let is_https = listen.as_ref().map(|all| all.iter().any(|listen| listen.opening.tls));
        let tls = self
            .tls
            .into_config(is_https.ok(), listen_origin.clone())
            .map_err(|found| problems.extend(found));
        let (Ok(mut listen), Ok((limits, chosen_limits)), Ok(tls), true) =
            (listen, limits, tls, problems.is_empty())
        else {
            problems.sort();
            problems.dedup();
            return Err(problems);
        };
        pair(&mut listen);
        if let Origin::Environment(name) = &listen_origin {
            listen.iter_mut().for_each(|listen| listen.place.clone_from(name));
        }
        if let Some(Sourced { value, .. }) = self.proxy_protocol {
            listen.iter_mut().for_each(|listen| listen.opening.proxy_protocol = value);
        }
        let (access_log, log) = self.log.into_config();
        Ok(Config {
            listen,
            admin_hosts: admin::names(self.admin_listen.as_ref(), self.admin_hosts),
            admin: self.admin_listen.map(|sourced| Listen {
                place: place(Some(&sourced)),
                ..Listen::internal(sourced.value)
            }),
            trusted_proxies: TrustedProxies(value_or(self.trusted_proxies, Vec::new())),
            sites,
            user: self.user.map(|sourced| sourced.value),
            sandbox: value_or(self.sandbox, Sandbox::On),
            when_full: value_or(self.when_full, WhenFull::Wait),
            h2c: value_or(self.h2c, false),
            workers: self.workers.map(|sourced| sourced.value).or(alone),
            tls,
            access_log,
            log,
            limits,
            chosen_limits,
        })
    }

    /// Each site with what it says itself, what it inherits from the top level of the file, and
    /// what the environment and the command line say about it.
    ///
    /// # Errors
    /// Settings from the environment or the command line, if the file has several sites: such a
    /// setting is for one site.
    pub fn effective_sites(&self) -> Result<Vec<SiteLayer>, Vec<Problem>> {
        if self.sites.len() > 1 {
            let typed = self.site.set().into_iter().filter(|(_, origin)| origin.is_typed());
            let problems: Vec<Problem> = typed.map(one_site_only).collect();
            if !problems.is_empty() {
                return Err(problems);
            }
        }
        if self.sites.is_empty() {
            return Ok(vec![self.site.clone()]);
        }
        Ok(self.sites.iter().map(|site| site.clone().over(self.site.clone())).collect())
    }
}

/// Refuses a setting from the environment or the command line if there are several sites.
fn one_site_only((name, origin): (&'static str, &Origin)) -> Problem {
    let flag = match name {
        "root" => "ROOT".to_owned(),
        "media_types" => "--type".to_owned(),
        "redirects" | "headers" | "error_pages" => {
            format!("--{}", name.trim_end_matches('s').replace('_', "-"))
        }
        _ => format!("--{}", name.replace('_', "-")),
    };
    let setting = if *origin == Origin::Flag { format!("{flag}: ") } else { String::new() };
    Problem {
        origin: origin.clone(),
        what: format!(
            "{setting}the file describes several sites, and this is for one; set {name} in the file"
        ),
    }
}

impl SiteLayer {
    /// Where the site is defined: its table, or else its root.
    pub fn place(&self) -> String {
        let table = self.table.as_ref().map(|table| &table.origin);
        let origin = table.or(self.root.as_ref().map(|root| &root.origin));
        origin.unwrap_or(&Origin::Default).to_string()
    }

    /// The settings of the site: this layer over the defaults.
    pub fn into_site(self) -> SiteConfig {
        let default = SiteConfig::default();
        let places = Places {
            hosts: place(self.hosts.as_ref()),
            root: place(self.root.as_ref()),
            link_targets: place(self.link_targets.as_ref()),
            hidden: place(self.hidden.as_ref()),
            spa: place(self.spa.as_ref()),
            error_pages: Vec::new(),
        };
        let mut pages: Merged<(u16, String)> = Vec::new();
        for page in self.error_pages {
            pages.retain(|other| other.value.0 != page.value.0);
            pages.push(page);
        }
        let places =
            Places { error_pages: pages.iter().map(|page| place(Some(page))).collect(), ..places };
        SiteConfig {
            hosts: value_or(self.hosts, default.hosts),
            root: value_or(self.root, default.root),
            index: value_or(self.index, default.index),
            listing: value_or(self.listing, default.listing),
            symlinks: value_or(self.symlinks, default.symlinks),
            link_targets: value_or(self.link_targets, default.link_targets),
            hidden: value_or(self.hidden, default.hidden),
            hidden_except: value_or(self.hidden_except, default.hidden_except),
            encoded_slash: value_or(self.encoded_slash, default.encoded_slash),
            precompressed: value_or(self.precompressed, default.precompressed),
            compress: value_or(self.compress, default.compress),
            etag: value_or(self.etag, default.etag),
            cache_control: value_or(self.cache_control, default.cache_control),
            charset: value_or(self.charset, default.charset),
            media_types: self.media_types.into_iter().map(|sourced| sourced.value).collect(),
            clean_urls: value_or(self.clean_urls, default.clean_urls),
            spa: value_or(self.spa, default.spa),
            error_pages: pages.into_iter().map(|page| page.value).collect(),
            rule_files: value_or(self.rule_files, default.rule_files),
            cors: value_or(self.cors, default.cors),
            security_headers: value_or(self.security_headers, default.security_headers),
            archives: value_or(self.archives, default.archives),
            previous_root_s: value_or(self.previous_root_s, default.previous_root_s),
            redirects: value_or(self.redirects, default.redirects),
            headers: value_or(self.headers, default.headers),
            access: value_or(self.access, default.access),
            auth: value_or(self.auth, default.auth),
            server_header: default.server_header,
            places,
        }
    }
}

/// The place of a value, for a message that names the setting.
fn place<T>(sourced: Option<&Sourced<T>>) -> String {
    match sourced.map(|sourced| &sourced.origin) {
        None | Some(Origin::Default | Origin::Flag) => String::new(),
        Some(origin) => origin.to_string(),
    }
}

fn value_or<T>(sourced: Option<Sourced<T>>, default: T) -> T {
    sourced.map_or(default, |sourced| sourced.value)
}

/// The addresses to listen on: `port` replaces the port of an address from a lower layer, and is
/// itself replaced by addresses from a higher one.
fn addresses(
    listen: Option<Sourced<Vec<Listen>>>,
    port: Option<Sourced<u16>>,
) -> Result<Vec<Listen>, Problem> {
    let listen = listen.unwrap_or_else(|| {
        Sourced::new(vec![ListenAddress::loopback(DEFAULT_PORT).into()], &Origin::Default)
    });
    let Some(port) = port else { return Ok(listen.value) };
    if port.origin.rank() < listen.origin.rank() {
        return Ok(listen.value);
    }
    // With the origins in the text, the problem needs no place.
    let problem = |what: String| Problem { origin: Origin::Flag, what };
    if port.origin.rank() == listen.origin.rank() {
        return Err(problem(format!(
            "the port is set twice: port {} ({}) and listen ({}); leave one of them out",
            port.value, port.origin, listen.origin
        )));
    }
    let mut addresses = listen.value;
    let mut moved = 0;
    for listen in &mut addresses {
        if let Some(other) = listen.address.with_port(port.value) {
            listen.address = other;
            moved += 1;
        }
    }
    match moved {
        0 => addresses.push(ListenAddress::loopback(port.value).into()),
        1 => {}
        _ => {
            return Err(problem(format!(
                "port {} ({}) cannot apply to several addresses ({}); use listen instead",
                port.value, port.origin, listen.origin
            )));
        }
    }
    Ok(addresses)
}

const DEFAULT_PORT: u16 = 8080;

/// The known name that `typed` was probably meant to be, if there is one.
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (name, strsim::jaro_winkler(typed, name)))
        .filter(|(_, similarity)| *similarity >= SIMILAR)
        .max_by(|one, other| one.1.total_cmp(&other.1))
        .map(|(name, _)| name)
}

/// From this similarity on, a name is suggested: one or two wrong letters.
const SIMILAR: f64 = 0.88;

mod checks;
mod limits;
mod tls;

#[cfg(test)]
mod tests;
