//! The hosts that a certificate covers.

use core::net::IpAddr;

/// The hosts that a certificate covers (RFC 9525 section 6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Names in lower case.
    pub exact: Vec<Box<str>>,
    /// What follows the first label of a wildcard, with its dot: `.example.org`; in lower case.
    pub wildcards: Vec<Box<str>>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
}

impl Names {
    /// Whether it covers this host, a name or an address, in brackets if it is one of IPv6. A
    /// wildcard stands for one label. A certificate without names says nothing about hosts, so it
    /// covers every one.
    pub fn cover(&self, host: &[u8]) -> bool {
        let Ok(host) = str::from_utf8(host) else { return false };
        let host = host.strip_suffix('.').unwrap_or(host);
        if self.exact.iter().any(|name| name.eq_ignore_ascii_case(host)) {
            return true;
        }
        let rest = host.find('.').filter(|&dot| dot > 0).map(|dot| &host[dot..]);
        if rest.is_some_and(|rest| {
            self.wildcards.iter().any(|wildcard| wildcard.eq_ignore_ascii_case(rest))
        }) {
            return true;
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return self.addresses.contains(&address) || self.is_empty();
        }
        self.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcards.is_empty() && self.addresses.is_empty()
    }

    /// All of them, for messages.
    pub fn list(&self) -> Vec<String> {
        let exact = self.exact.iter().map(ToString::to_string);
        let wildcards = self.wildcards.iter().map(|rest| format!("*{rest}"));
        exact.chain(wildcards).chain(self.addresses.iter().map(ToString::to_string)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_covers_its_names_and_one_label_for_a_wildcard() {
        let names = Names {
            exact: vec!["example.org".into()],
            wildcards: vec![".example.org".into()],
            addresses: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        };
        for (host, covered) in [
            ("example.org", true),
            ("EXAMPLE.org.", true),
            ("www.Example.org", true),
            ("a.b.example.org", false),
            (".example.org", false),
            ("example.com", false),
            ("org", false),
            ("", false),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("[::1]", true),
            ("[::2]", false),
        ] {
            assert_eq!(names.cover(host.as_bytes()), covered, "{host}");
        }
        assert!(Names::default().cover(b"anything"));
        assert!(!names.cover(b"\xff"));
    }
}
