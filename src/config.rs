//! What is meant: the settings of a run, after [`crate::cli`] has read what was typed.
//!
//! Every bound, timeout and size that an operator may have reason to set is one field of
//! [`Limits`], with its unit in its name, its default and the range it may have in one table.
//! Nothing here does I/O.

use std::fmt;
use std::path::{Path, PathBuf};

/// Everything a run needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder that is served.
    pub root: PathBuf,
    /// Where connections are awaited; at least one.
    pub listen: Vec<ListenAddress>,
    /// What is served, and how it is presented.
    pub site: SiteConfig,
    /// Whom to become after binding, if not oneself.
    pub user: Option<String>,
    /// Whether the process locks itself in.
    pub sandbox: bool,
    /// What new connections get when there is no room for them.
    pub when_full: WhenFull,
    /// Every bound of the program.
    pub limits: Limits,
}

/// What new connections get while all slots are taken and none of them is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// They wait in the kernel's backlog.
    Wait,
    /// They are told so at once: 503.
    Refuse,
}

/// How the files of the root are presented.
#[derive(Clone, Debug)]
pub struct SiteConfig {
    /// Names of the files that stand for their directory, in order of preference.
    pub index: Vec<String>,
    /// Whether a directory without an index file is listed.
    pub listing: bool,
    /// What happens at a symbolic link.
    pub symlinks: Symlinks,
    /// Whether answers name the server.
    pub server_header: bool,
}

impl Default for SiteConfig {
    fn default() -> SiteConfig {
        SiteConfig {
            index: vec!["index.html".to_owned()],
            listing: true,
            symlinks: Symlinks::Inside,
            server_header: true,
        }
    }
}

/// What becomes of symbolic links below the root. The root's own path may always be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symlinks {
    /// It is followed as long as it stays inside the root.
    Inside,
    /// It is treated as absent.
    Off,
}

/// One place where connections are awaited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `host:port`; the name is looked up once, at start.
    Tcp(String),
    /// `unix:/path`.
    Unix(PathBuf),
}

impl ListenAddress {
    /// The path of the socket, if it has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            ListenAddress::Tcp(_) => None,
            ListenAddress::Unix(path) => Some(path),
        }
    }
}

impl std::str::FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<ListenAddress, String> {
        const FORMS: &str = "give host:port, [::]:port or unix:/path";
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return Err(format!("the path is missing; {FORMS}"));
            }
            return Ok(ListenAddress::Unix(PathBuf::from(path)));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(format!("the port is missing; {FORMS}"));
        };
        if port.is_empty() || port.parse::<u16>().is_err() {
            return Err(format!("'{port}' is not a port from 0 to 65535; {FORMS}"));
        }
        if host.is_empty() {
            return Err(format!("the host is missing (0.0.0.0 means every IPv4 address); {FORMS}"));
        }
        if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
            return Err(format!("an IPv6 address stands in brackets; {FORMS}"));
        }
        Ok(ListenAddress::Tcp(text.to_owned()))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(text) => f.write_str(text),
            ListenAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One row of the table of limits.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The name, with the unit last.
    pub name: &'static str,
    /// What it bounds.
    pub meaning: &'static str,
    /// The value when nothing is said.
    pub default: u64,
    /// The least value allowed.
    pub least: u64,
    /// The greatest value allowed.
    pub most: u64,
}

/// Makes the struct, its defaults, the table for the help, and the setter from one list, so that
/// they cannot disagree.
macro_rules! limits {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $type:ty = $default:literal, $least:literal..=$most:literal;
    )+) => {
        /// Every bound, timeout and size of the program. Read-only once the server runs.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits { $($(#[doc = $doc])+ pub $name: $type,)+ }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// Name, meaning, default and range of every limit.
            pub const TABLE: &[Limit] = &[$(Limit {
                name: stringify!($name),
                meaning: concat!($($doc),+),
                default: $default,
                least: $least,
                most: $most,
            },)+];

            /// Stores a value that [`Limits::set`] has found to be in range.
            fn store(&mut self, name: &str, value: u64) -> Result<(), std::num::TryFromIntError> {
                match name {
                    $(stringify!($name) => self.$name = value.try_into()?,)+
                    _ => {}
                }
                Ok(())
            }
        }
    };
}

limits! {
    /// From the accept until the first byte of the first request.
    first_request_timeout_ms: u64 = 10_000, 10..=3_600_000;
    /// From the first byte of a head until it is complete; drips do not extend it.
    head_timeout_ms: u64 = 10_000, 10..=3_600_000;
    /// From the end of a head until its body is absorbed.
    body_timeout_ms: u64 = 30_000, 10..=3_600_000;
    /// How long a connection may stay without a request after an answer.
    keep_alive_timeout_ms: u64 = 75_000, 10..=86_400_000;
    /// How long a write may make no progress.
    write_timeout_ms: u64 = 30_000, 10..=3_600_000;
    /// An answer that is taken slower than this is cut off (after the allowance); 0: never.
    least_bytes_per_s: u64 = 500, 0..=1_000_000_000;
    /// How long an answer may be slower than that, so that a slow start is no offence.
    slow_allowance_ms: u64 = 60_000, 0..=3_600_000;
    /// How long a closed connection absorbs what the peer still sends.
    linger_timeout_ms: u64 = 5_000, 10..=600_000;
    /// How long running answers may take to finish after the first signal to stop.
    drain_timeout_ms: u64 = 30_000, 0..=3_600_000;
    /// After a signal to stop, how long an idle connection may still send a request.
    drain_idle_ms: u64 = 1_000, 0..=60_000;
    /// The longest request target.
    target_bytes: usize = 8_192, 16..=32_768;
    /// The longest request head, from the request line to the empty line.
    head_bytes: usize = 16_384, 64..=32_768;
    /// The most fields in a head.
    fields: usize = 100, 1..=256;
    /// The longest request body that is absorbed before the answer.
    body_bytes: u64 = 65_536, 0..=1_073_741_824;
    /// The longest line with the size of a chunk, its extensions included.
    chunk_line_bytes: u32 = 256, 16..=65_536;
    /// The longest trailer section of a chunked body.
    trailer_bytes: u32 = 8_192, 0..=1_048_576;
    /// How much a closed connection absorbs of what the peer still sends.
    linger_bytes: u64 = 1_048_576, 0..=1_073_741_824;
    /// The most ranges in one request; a request for more gets the whole file.
    ranges: usize = 256, 1..=256;
    /// The most connections at a time; 0: as many as the limit on open files allows.
    connections: usize = 0, 0..=10_000_000;
    /// Connections at a time from one address (IPv6: one /64); 0: as many as there are.
    connections_per_client: u32 = 0, 0..=10_000_000;
    /// Requests per second from one address (IPv6: one /64), more get 429; 0: no bound.
    requests_per_s: u32 = 0, 0..=10_000_000;
    /// Requests that one address may make at once before requests_per_s holds.
    requests_burst: u32 = 50, 1..=10_000_000;
    /// Addresses that are kept in mind for these two bounds.
    clients: usize = 65_536, 16..=10_000_000;
    /// Bytes per second sent to one connection; 0: no bound.
    connection_bytes_per_s: u64 = 0, 0..=1_000_000_000_000;
    /// Bytes sent at once to one connection before connection_bytes_per_s holds.
    connection_burst_bytes: u64 = 65_536, 1..=1_000_000_000_000;
    /// A turn of the loop that takes longer is reported in the log.
    stall_ms: u64 = 100, 1..=60_000;
    /// Large files kept open by the cache.
    open_files: usize = 512, 1..=1_000_000;
    /// Files and listings known to the cache.
    cache_entries: usize = 131_072, 1..=10_000_000;
    /// Redirects and failures known to the cache.
    cache_failures: usize = 8_192, 1..=10_000_000;
    /// Bodies kept in memory, in total.
    cache_bytes: usize = 67_108_864, 0..=1_099_511_627_776;
    /// Bodies in memory, kept or still being sent; beyond it, files are sent from disk.
    resident_bytes: usize = 134_217_728, 0..=1_099_511_627_776;
    /// How long a large file stays open after its last use.
    file_rest_ms: u64 = 2_000, 0..=3_600_000;
    /// The longest body that is kept in memory; a longer one is sent from its file.
    cached_body_bytes: usize = 262_144, 0..=16_777_216;
    /// How long an answer from the cache is used before its file is looked at again.
    revalidate_ms: u64 = 1_000, 0..=3_600_000;
    /// How long a listing is used while its directory does not change.
    listing_age_ms: u64 = 10_000, 0..=3_600_000;
    /// The most entries in a listing.
    listing_entries: usize = 100_000, 1..=10_000_000;
    /// Buffers of 32 KiB for heads and answers under way, in total.
    pages: usize = 8_192, 2..=10_000_000;
    /// Connections the kernel may hold before they are accepted; the kernel has its own bound.
    backlog: u32 = 4_096, 1..=65_535;
    /// How long the kernel keeps a new connection that has not asked yet (Linux); 0: not at all.
    defer_accept_s: u32 = 1, 0..=60;
    /// Connections accepted on one address in one turn of the loop.
    accepts_per_turn: usize = 256, 1..=65_536;
    /// Paths looked up on disk for one connection in one turn of the loop.
    lookups_per_turn: u32 = 1, 1..=65_536;
    /// How long each stage of a turn may take before the rest waits for the next turn.
    slice_ms: u64 = 4, 1..=10_000;
    /// Bytes that the kernel holds for one connection beyond what is on its way; 0: as it likes.
    unsent_bytes: u32 = 262_144, 0..=1_073_741_824;
    /// Steps of one connection each time it is its turn: a receive, a send, or a piece of a file.
    steps_per_turn: usize = 16, 1..=65_536;
    /// Bytes sent to one connection in one turn of the loop.
    bytes_per_turn: u64 = 524_288, 4_096..=1_073_741_824;
    /// Bytes asked of one sendfile call.
    sendfile_bytes: u64 = 524_288, 4_096..=1_073_741_824;
}

impl Limits {
    /// Sets one limit from `NAME=VALUE`. The error says what is wrong and what would be right.
    pub fn set(&mut self, assignment: &str) -> Result<(), String> {
        let Some((name, value)) = assignment.split_once('=') else {
            let example = "such as keep_alive_timeout_ms=5000";
            return Err(format!("'{assignment}' is not NAME=VALUE, {example}"));
        };
        let Some(row) = Limits::TABLE.iter().find(|row| row.name == name) else {
            return Err(format!("there is no limit '{name}'; tenkay --help lists all of them"));
        };
        let range = format!("{name} is a whole number from {} to {}", row.least, row.most);
        let Ok(number) = value.parse::<u64>() else {
            return Err(format!("'{value}' is not a number; {range}"));
        };
        if !(row.least..=row.most).contains(&number) {
            return Err(format!("{number} is out of range; {range}"));
        }
        self.store(name, number).map_err(|_| format!("{number} is too large for this machine"))
    }

    /// Finds limits that contradict each other.
    pub fn check(&self) -> Result<(), String> {
        if self.target_bytes > self.head_bytes {
            return Err(format!(
                "target_bytes ({}) is part of head_bytes ({}) and cannot be larger",
                self.target_bytes, self.head_bytes
            ));
        }
        let (most, least) = (self.connection_bytes_per_s, self.least_bytes_per_s);
        if most != 0 && most < 2 * least {
            return Err(format!(
                "connection_bytes_per_s ({most}) must be twice least_bytes_per_s ({least}) or \
                 more, or every long answer is cut off as too slow"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_lies_in_its_range_and_is_what_the_table_says() {
        let defaults = Limits::default();
        let mut limits = Limits::default();
        for row in Limits::TABLE {
            assert!((row.least..=row.most).contains(&row.default), "{}", row.name);
            limits.set(&format!("{}={}", row.name, row.default)).unwrap();
        }
        assert_eq!(limits, defaults);
        assert_eq!(defaults.check(), Ok(()));
    }

    #[test]
    fn a_limit_is_set_at_its_borders_and_refused_beyond_them() {
        for row in Limits::TABLE {
            let set = |value: u128| Limits::default().set(&format!("{}={value}", row.name));
            assert_eq!(set(row.least.into()), Ok(()), "{}", row.name);
            assert_eq!(set(row.most.into()), Ok(()), "{}", row.name);
            assert!(set(u128::from(row.most) + 1).is_err(), "{}", row.name);
            assert!(row.least == 0 || set(u128::from(row.least) - 1).is_err(), "{}", row.name);
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_and_what_would_be_right() {
        let error = |text: &str| Limits::default().set(text).unwrap_err();
        assert!(error("fields").contains("NAME=VALUE"));
        assert!(error("feilds=3").contains("there is no limit 'feilds'; tenkay --help"));
        assert!(error("fields=many").contains("'many' is not a number"));
        assert!(error("fields=257").contains("from 1 to 256"));
        assert!(error("fields=-1").contains("not a number"));
    }

    #[test]
    fn a_listen_address_is_host_and_port_or_a_socket_path() {
        let tcp = |text: &str| Ok(ListenAddress::Tcp(text.to_owned()));
        for good in ["127.0.0.1:8080", "[::]:0", "localhost:65535", "[::1]:80"] {
            assert_eq!(good.parse(), tcp(good));
        }
        assert_eq!("unix:/run/x".parse(), Ok(ListenAddress::Unix(PathBuf::from("/run/x"))));
        for bad in ["8080", ":8080", "a:", "a:65536", "a:-1", "unix:", "::1:80", ""] {
            assert!(bad.parse::<ListenAddress>().is_err(), "{bad}");
        }
    }
}
