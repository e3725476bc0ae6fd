//! From the host of a request to a site.

use std::collections::HashMap;

use crate::config::SiteConfig;

/// The names of all sites.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// Names in lower case.
    exact: HashMap<Box<[u8]>, usize>,
    /// What follows the first label of a wildcard, with its dot: `.example.org`.
    wildcards: HashMap<Box<[u8]>, usize>,
    /// The site for all other hosts.
    default: usize,
}

impl Hosts {
    /// The names of these sites. A site without names is the default, otherwise the first one is.
    pub(super) fn of(configs: &[SiteConfig]) -> Hosts {
        let mut hosts = Hosts::default();
        let nameless = configs.iter().position(|config| config.hosts.is_empty());
        hosts.default = nameless.unwrap_or(0);
        for (index, config) in configs.iter().enumerate() {
            for host in &config.hosts {
                let host = host.to_ascii_lowercase();
                let (names, name) = match host.strip_prefix('*') {
                    Some(rest) => (&mut hosts.wildcards, rest),
                    None => (&mut hosts.exact, &*host),
                };
                names.entry(name.as_bytes().into()).or_insert(index);
            }
        }
        hosts
    }

    /// The site for a host, given without its port; `None`: the request names no host.
    pub(super) fn site(&self, host: Option<&[u8]>) -> usize {
        host.and_then(|host| self.find(host)).unwrap_or(self.default)
    }

    /// The site that has this name. Names are compared without case and without the dot of an
    /// absolute name; an exact name wins over a wildcard, which stands for one label.
    pub(super) fn find(&self, host: &[u8]) -> Option<usize> {
        let host = host.strip_suffix(b".").unwrap_or(host);
        let mut room = [0; NAME_BYTES];
        let lower = room.get_mut(..host.len())?;
        lower.copy_from_slice(host);
        lower.make_ascii_lowercase();
        let host = &*lower;
        if let Some(&site) = self.exact.get(host) {
            return Some(site);
        }
        let dot = host.iter().position(|&byte| byte == b'.').filter(|&dot| dot > 0)?;
        self.wildcards.get(&host[dot..]).copied()
    }
}

/// No longer name exists (RFC 1035 section 2.3.4).
const NAME_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&[&str]]) -> Hosts {
        let config = |names: &&[&str]| SiteConfig {
            hosts: names.iter().map(ToString::to_string).collect(),
            ..SiteConfig::default()
        };
        Hosts::of(&names.iter().map(config).collect::<Vec<_>>())
    }

    #[test]
    fn an_exact_name_wins_over_a_wildcard_and_that_over_the_default() {
        let hosts = hosts(&[
            &["*.example.org"],
            &["example.org", "Docs.Example.org"],
            &[],
            &["*.docs.example.org", "[::1]", "127.0.0.1"],
        ]);
        for (host, site) in [
            (Some("example.org"), 1),
            (Some("EXAMPLE.ORG"), 1),
            (Some("example.org."), 1),
            (Some("docs.example.org"), 1),
            (Some("www.example.org"), 0),
            (Some("a.docs.example.org"), 3),
            (Some("a.b.example.org"), 2),
            (Some("[::1]"), 3),
            (Some("127.0.0.1"), 3),
            (Some(".example.org"), 2),
            (Some("org"), 2),
            (Some(""), 2),
            (None, 2),
        ] {
            assert_eq!(hosts.site(host.map(str::as_bytes)), site, "{host:?}");
        }
    }

    #[test]
    fn without_a_nameless_site_the_first_is_the_default() {
        let hosts = hosts(&[&["a"], &["b"]]);
        assert_eq!(hosts.site(Some(b"b")), 1);
        assert_eq!(hosts.site(Some(b"c")), 0);
        assert_eq!(hosts.site(None), 0);
    }
}
