//! The settings of a run: what `main` hands to the rest of the program.
//!
//! [`crate::cli`] reads flags and environment into a [`layer::Layer`] each, and the configuration
//! file, whose text [`mod@file`] parses into another; [`layer`] merges the layers into a
//! [`Config`]. Nothing here does I/O.

use std::str::FromStr;

pub mod file;
mod fit;
pub mod layer;
mod limits;
mod listen;
mod log;
mod media_type;
pub mod print;
mod site;
mod tls;
mod trust;
pub mod value;

pub use crate::http::target::EncodedSlash;
pub use fit::{CONNECTION_BYTES, EXCHANGE_BYTES, MemoryLimit, PAGE_BYTES, SESSION_BYTES};
pub use limits::{Limit, Limits};
pub use listen::{Listen, ListenAddress, Opening};
pub use log::{AccessFormat, AccessLogConfig, LogConfig, LogFormat, LogLevel, LogTarget};
pub use media_type::parse_media_type;
pub(crate) use media_type::split_outside_quotes;
pub use site::{
    AccessRule, ArchiveFormat, AuthRule, CacheControl, CleanUrls, Cors, EtagSource, HeaderRule,
    Places, RedirectRule, SiteConfig, Symlinks,
};
pub use tls::{CertificateFiles, TlsConfig, TlsVersion};
pub use trust::{TrustedProxies, TrustedProxy};

/// Everything a run needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses to listen on; at least one.
    pub listen: Vec<Listen>,
    /// Where metrics and health are served, if anywhere.
    pub admin: Option<Listen>,
    /// Names by which it answers besides addresses and names without a dot.
    pub admin_hosts: Vec<String>,
    /// The peers that may name the client for whom they connect.
    pub trusted_proxies: TrustedProxies,
    /// What is served, and how; at least one site.
    pub sites: Vec<SiteConfig>,
    /// The account to switch to after binding.
    pub user: Option<Account>,
    /// Which files the process may read after the start.
    pub sandbox: Sandbox,
    /// What happens to new connections at the connection limit.
    pub when_full: WhenFull,
    /// HTTP/2 is served without TLS, to clients with prior knowledge (RFC 9113 section 3.3).
    pub h2c: bool,
    /// The processes that serve, below a supervisor; `None`: this process serves alone.
    pub workers: Option<Workers>,
    /// TLS.
    pub tls: TlsConfig,
    /// The access log, if there is one.
    pub access_log: Option<AccessLogConfig>,
    /// What is logged on standard error, and how.
    pub log: LogConfig,
    /// The limits.
    pub limits: Limits,
    /// Names of the limits that were set explicitly: only the others are lowered to fit into the
    /// memory of the machine.
    pub chosen_limits: Vec<&'static str>,
}

impl Config {
    /// True if an address is served with TLS.
    pub fn has_tls(&self) -> bool {
        self.listen.iter().any(|listen| listen.opening.tls)
    }

    /// Every address to listen on, that of the admin listener last.
    pub fn listeners(&self) -> Vec<Listen> {
        self.listen.iter().chain(&self.admin).cloned().collect()
    }
}

/// What happens to new connections at the connection limit, if no connection can be evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// They wait in the backlog.
    Wait,
    /// They are answered 503.
    Refuse,
}

/// How many processes serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// One for each core that the supervisor may run on.
    Auto,
    /// This many: from 1 to [`Workers::MOST`].
    Count(usize),
}

impl Workers {
    /// The most that can be asked for.
    pub const MOST: usize = 256;
}

/// Which files the process may read after the start, enforced by Landlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// What holds the root, so that a root that is made anew can be opened, and the link targets.
    /// The root is held by the folder above it, by the one above the target if it is a link, and
    /// by those of the links further up in its path.
    On,
    /// The root and the link targets alone.
    Strict,
    /// Every file that the user may read.
    Off,
}

/// An account to run as: `USER` or `USER:GROUP`, names or numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// A user name, or a user number if there is no such name.
    pub user: String,
    /// A group name or number; `None`: the user's own group.
    pub group: Option<String>,
}

impl FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Account, String> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        if user.is_empty() || group.is_some_and(|group| group.is_empty() || group.contains(':')) {
            return Err("give USER or USER:GROUP".to_owned());
        }
        Ok(Account { user: user.to_owned(), group: group.map(str::to_owned) })
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.user)?;
        self.group.as_ref().map_or(Ok(()), |group| write!(f, ":{group}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_user_and_perhaps_a_group() {
        let account = |user: &str, group: Option<&str>| {
            Ok(Account { user: user.to_owned(), group: group.map(str::to_owned) })
        };
        assert_eq!("www".parse(), account("www", None));
        assert_eq!("4711:site".parse(), account("4711", Some("site")));
        for bad in ["", ":", "a:", ":a", "a:b:c"] {
            assert!(bad.parse::<Account>().is_err(), "{bad}");
        }
    }
}
