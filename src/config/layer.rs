//! Settings in layers: built-in default, file, environment, flags; the later layer wins.
//!
//! Each source fills a [`Layer`] in which every value carries its [`Origin`]. [`Layer::over`] puts
//! one layer over another, [`Layer::into_config`] adds the defaults and checks the values against
//! each other. A new setting is one line in `settings!`; a new source (a file) is one more layer.

use std::fmt;
use std::path::PathBuf;

use super::{
    Account, Config, EncodedSlash, Limits, ListenAddress, Sandbox, SiteConfig, Symlinks, WhenFull,
};
use crate::http::hidden::Glob;

/// Where a value comes from. A later variant wins over an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The built-in default.
    Default,
    /// A line of a configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
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
            Origin::File { .. } => 1,
            Origin::Environment(_) => 2,
            Origin::Flag => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Environment(name) => f.write_str(name),
            Origin::Flag => f.write_str("command line"),
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

/// Generates the layer and how one is put over another. A `replaced` setting of a higher layer
/// replaces that of a lower one; the entries of a `merged` one are added, and the last entry of a
/// name counts.
macro_rules! settings {
    (
        replaced { $($(#[doc = $one_doc:literal])+ $one:ident: $one_type:ty;)+ }
        merged { $($(#[doc = $many_doc:literal])+ $many:ident: $many_type:ty;)+ }
    ) => {
        /// The settings of one source; what it does not set is empty.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Layer {
            $($(#[doc = $one_doc])+ pub $one: Option<Sourced<$one_type>>,)+
            $($(#[doc = $many_doc])+ pub $many: Vec<Sourced<$many_type>>,)+
        }

        impl Layer {
            /// This layer over a lower one.
            #[must_use]
            pub fn over(self, lower: Layer) -> Layer {
                Layer {
                    $($one: self.$one.or(lower.$one),)+
                    $($many: lower.$many.into_iter().chain(self.$many).collect(),)+
                }
            }
        }
    };
}

settings! {
    replaced {
        /// The folder to serve.
        root: PathBuf;
        /// Addresses to listen on.
        listen: Vec<ListenAddress>;
        /// The port of the address to listen on.
        port: u16;
        /// Names of index files.
        index: Vec<String>;
        /// Whether folders without an index file are listed.
        listing: bool;
        /// What happens at a symbolic link.
        symlinks: Symlinks;
        /// Folders outside the root that links may lead into.
        link_targets: Vec<PathBuf>;
        /// Names that are neither served nor listed.
        hidden: Vec<String>;
        /// Names that are served although they are hidden.
        hidden_except: Vec<String>;
        /// What `%2F` in a path means.
        encoded_slash: EncodedSlash;
        /// Whether responses have a Server field.
        server_header: bool;
        /// The account to switch to after binding.
        user: Account;
        /// Which files the process may read after the start.
        sandbox: Sandbox;
        /// What happens to new connections at the connection limit.
        when_full: WhenFull;
    }
    merged {
        /// Media types by extension.
        media_types: (String, String);
        /// Limits by name; the values are in range.
        limits: (&'static str, u64);
    }
}

impl Layer {
    /// The settings of the run: this layer over the defaults.
    ///
    /// # Errors
    /// In one line: settings that contradict each other, and where they come from.
    pub fn into_config(self) -> Result<Config, String> {
        let listen = addresses(self.listen, self.port)?;
        let (limits, chosen_limits) = limits(&self.limits)?;
        let default = SiteConfig::default();
        let site = SiteConfig {
            root: value_or(self.root, default.root),
            index: value_or(self.index, default.index),
            listing: value_or(self.listing, default.listing),
            symlinks: value_or(self.symlinks, default.symlinks),
            link_targets: value_or(self.link_targets, default.link_targets),
            hidden: value_or(self.hidden, default.hidden),
            hidden_except: value_or(self.hidden_except, default.hidden_except),
            encoded_slash: value_or(self.encoded_slash, default.encoded_slash),
            media_types: self.media_types.into_iter().map(|sourced| sourced.value).collect(),
            server_header: value_or(self.server_header, default.server_header),
            ..SiteConfig::default()
        };
        check_index(&site)?;
        Ok(Config {
            listen,
            sites: vec![site],
            user: self.user.map(|sourced| sourced.value),
            sandbox: value_or(self.sandbox, Sandbox::On),
            when_full: value_or(self.when_full, WhenFull::Wait),
            limits,
            chosen_limits,
        })
    }
}

fn value_or<T>(sourced: Option<Sourced<T>>, default: T) -> T {
    sourced.map_or(default, |sourced| sourced.value)
}

/// The addresses to listen on: `port` replaces the port of an address from a lower layer, and is
/// itself replaced by addresses from a higher one.
fn addresses(
    listen: Option<Sourced<Vec<ListenAddress>>>,
    port: Option<Sourced<u16>>,
) -> Result<Vec<ListenAddress>, String> {
    let listen = listen.unwrap_or_else(|| {
        Sourced::new(vec![ListenAddress::loopback(DEFAULT_PORT)], &Origin::Default)
    });
    let Some(port) = port else { return Ok(listen.value) };
    if port.origin.rank() < listen.origin.rank() {
        return Ok(listen.value);
    }
    if port.origin.rank() == listen.origin.rank() {
        return Err(format!(
            "the port is set twice: port {} ({}) and listen ({}); leave one of them out",
            port.value, port.origin, listen.origin
        ));
    }
    let mut addresses = listen.value;
    let mut moved = 0;
    for address in &mut addresses {
        if let Some(other) = address.with_port(port.value) {
            *address = other;
            moved += 1;
        }
    }
    match moved {
        0 => addresses.push(ListenAddress::loopback(port.value)),
        1 => {}
        _ => {
            return Err(format!(
                "port {} ({}) cannot apply to several addresses ({}); use listen instead",
                port.value, port.origin, listen.origin
            ));
        }
    }
    Ok(addresses)
}

const DEFAULT_PORT: u16 = 8080;

/// The limits, and the names of those that are not left at their default.
fn limits(
    assignments: &[Sourced<(&'static str, u64)>],
) -> Result<(Limits, Vec<&'static str>), String> {
    let mut limits = Limits::default();
    for Sourced { value: (name, value), .. } in assignments {
        limits.assign(name, *value);
    }
    limits.check().map_err(|why| {
        let set_by = |sourced: &Sourced<(&str, u64)>| match sourced.origin {
            Origin::Flag => None,
            _ if !why.contains(sourced.value.0) => None,
            _ => Some(format!("{} is set by {}", sourced.value.0, sourced.origin)),
        };
        let origins: Vec<String> = assignments.iter().filter_map(set_by).collect();
        if origins.is_empty() { why.clone() } else { format!("{why} ({})", origins.join("; ")) }
    })?;
    let chosen = assignments.iter().map(|sourced| sourced.value.0).collect();
    Ok((limits, chosen))
}

/// An index file whose name is hidden would never be served under that name, so its folder must not
/// serve it either.
fn check_index(site: &SiteConfig) -> Result<(), String> {
    for name in &site.index {
        if let Some(pattern) = matching(&site.hidden, name)
            && matching(&site.hidden_except, name).is_none()
        {
            return Err(format!(
                "index file '{name}' is never served: the pattern '{pattern}' hides it; change \
                 --hidden, or add the name to --hidden-except"
            ));
        }
    }
    Ok(())
}

/// The first pattern that matches a name. [`Sites::new`](crate::site::Sites::new) reports malformed
/// ones.
fn matching<'p>(patterns: &'p [String], name: &str) -> Option<&'p String> {
    let matches = |glob: Glob| glob.matches(name.as_bytes());
    patterns.iter().find(|pattern| Glob::parse(pattern.as_bytes()).is_ok_and(matches))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn file(line: usize) -> Origin {
        Origin::File { path: "t.toml".into(), line }
    }

    fn environment(name: &str) -> Origin {
        Origin::Environment(name.to_owned())
    }

    fn listen(addresses: &[&str], origin: &Origin) -> Layer {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Layer { listen: Some(Sourced::new(addresses, origin)), ..Layer::default() }
    }

    fn port(port: u16, origin: &Origin) -> Layer {
        Layer { port: Some(Sourced::new(port, origin)), ..Layer::default() }
    }

    fn limit(name: &str, origin: &Origin) -> Layer {
        let limit = Limits::parse(name).unwrap();
        Layer { limits: vec![Sourced::new(limit, origin)], ..Layer::default() }
    }

    #[test]
    fn the_later_layer_wins() {
        let lower = Layer {
            listing: Some(Sourced::new(false, &file(1))),
            server_header: Some(Sourced::new(false, &file(2))),
            ..Layer::default()
        };
        let upper = Layer { listing: Some(Sourced::new(true, &Origin::Flag)), ..Layer::default() };
        let merged = upper.over(lower);
        assert_eq!(merged.listing, Some(Sourced::new(true, &Origin::Flag)));
        assert_eq!(merged.server_header.as_ref().map(|sourced| &sourced.origin), Some(&file(2)));
        let config = merged.into_config().unwrap();
        assert!(config.sites[0].listing && !config.sites[0].server_header);
    }

    #[test]
    fn lists_are_replaced_and_limits_are_merged_by_name() {
        let layer = limit("fields=7", &Origin::Flag)
            .over(listen(&["1", "2"], &environment("TENKAY_LISTEN")))
            .over(limit("fields=9", &file(1)).over(limit("head_bytes=9000", &file(2))))
            .over(listen(&["3"], &file(3)));
        let config = layer.into_config().unwrap();
        assert_eq!(config.listen.len(), 2);
        assert_eq!((config.limits.fields, config.limits.head_bytes), (7, 9000));
        assert_eq!(config.chosen_limits, ["head_bytes", "fields", "fields"]);
    }

    #[test]
    fn a_port_replaces_that_of_a_lower_layer() {
        let env = environment("TENKAY_X");
        for (layer, expected) in [
            (port(9, &Origin::Flag), Ok("127.0.0.1:9")),
            (port(9, &Origin::Flag).over(listen(&["[::]:8080"], &env)), Ok("[::]:9")),
            (listen(&[":80"], &Origin::Flag).over(port(9, &env)), Ok("*:80")),
            (port(9, &Origin::Flag).over(listen(&["unix:/x"], &env)), Ok("unix:/x 127.0.0.1:9")),
            (port(9, &Origin::Flag).over(listen(&["unix:/x", ":80"], &env)), Ok("unix:/x *:9")),
            (port(9, &Origin::Flag).over(listen(&["a:1", "a:2"], &env)), Err("several addresses")),
            (port(9, &env).over(listen(&["a:1"], &env)), Err("the port is set twice")),
        ] {
            match (layer.into_config(), expected) {
                (Ok(config), Ok(expected)) => {
                    let addresses: Vec<_> = config.listen.iter().map(ToString::to_string).collect();
                    assert_eq!(addresses.join(" "), expected);
                }
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
                (config, expected) => panic!("{config:?}, but expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_contradiction_names_the_origins() {
        let layer = limit("head_bytes=100", &environment("TENKAY_LIMIT"))
            .over(limit("target_bytes=200", &file(4)));
        let error = layer.into_config().unwrap_err();
        assert!(error.contains("cannot be larger"), "{error}");
        assert!(error.contains("head_bytes is set by TENKAY_LIMIT"), "{error}");
        assert!(error.contains("target_bytes is set by t.toml:4"), "{error}");
    }

    #[test]
    fn the_nearest_name_is_suggested_if_it_is_near() {
        let known = || ["TENKAY_LISTEN", "TENKAY_LISTING", "TENKAY_ROOT"].into_iter();
        assert_eq!(nearest("TENKAY_LISTN", known()), Some("TENKAY_LISTEN"));
        assert_eq!(nearest("TENKAY_ROTO", known()), Some("TENKAY_ROOT"));
        assert_eq!(nearest("PATH", known()), None);
    }
}
