//! The checks that TLS adds to requests: the certificate must cover the host, and plain HTTP is
//! redirected to HTTPS or leads to the answers to ACME challenges.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::config::{CacheControl, SiteConfig, Symlinks, TlsConfig};
use crate::http::covered::Names;
use crate::http::host::Host;
use crate::http::status::{Failure, Status};
use crate::http::target::Target;

use super::Sites;
use super::cors::Extra;
use super::reply::Reply;
use super::request::Channel;
use super::respond::{Answer, Asked};

/// The settings of a gate.
#[derive(Clone, Debug, Default)]
pub struct GateConfig {
    /// The hosts that each certificate covers.
    pub names: Vec<Names>,
    /// The value of Strict-Transport-Security over TLS; empty: the field is not sent.
    pub hsts: String,
    /// The port of HTTPS to which plain HTTP is redirected; `None`: it is not.
    pub redirect_port: Option<u16>,
    /// The folder with the answers to ACME challenges, for plain HTTP.
    pub acme_webroot: Option<PathBuf>,
}

impl GateConfig {
    /// The gate for these settings, on a server with certificates for these names that listens with
    /// TLS on these ports; `None`: there are neither certificates nor challenges.
    pub fn of(
        tls: &TlsConfig,
        names: Vec<Names>,
        mut ports: impl Iterator<Item = u16>,
    ) -> Option<GateConfig> {
        if names.is_empty() && tls.acme_webroot.is_none() {
            return None;
        }
        let first = ports.next();
        // The port that browsers take for https, if it is among them.
        let port = ports.find(|port| *port == 443).or(first);
        Some(GateConfig {
            names,
            hsts: tls.hsts.clone(),
            redirect_port: port.filter(|_| tls.redirect_http),
            acme_webroot: tls.acme_webroot.clone(),
        })
    }
}

/// See [`GateConfig`].
#[derive(Debug)]
pub(super) struct Gate {
    names: Vec<Names>,
    hsts: Option<Extra>,
    redirect_port: Option<u16>,
    /// The site of the challenges.
    challenges: Option<usize>,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To its site.
    Site,
    /// To the site of the challenges.
    Challenges(usize),
    /// To the same URL with https.
    Https,
}

/// The path below which plain HTTP is not redirected (RFC 8615).
const WELL_KNOWN: &[u8] = b"/.well-known/";

/// Where certificate authorities look for answers (RFC 8555 section 8.3).
const CHALLENGES: &[u8] = b"/.well-known/acme-challenge/";

impl Gate {
    pub(super) fn new(config: GateConfig, challenges: Option<usize>) -> Gate {
        let GateConfig { names, hsts, redirect_port, .. } = config;
        let line = || Rc::new(format!("Strict-Transport-Security: {hsts}\r\n").into_bytes());
        let hsts = (!hsts.is_empty()).then(line);
        Gate { names, hsts, redirect_port, challenges }
    }

    /// The field lines of the responses for paths: over TLS that of HSTS (RFC 6797 section 7.2).
    pub(super) fn lines(&self, channel: Channel) -> Option<Extra> {
        match channel {
            Channel::Plain | Channel::Proxied => None,
            Channel::Tls { .. } => self.hsts.clone(),
        }
    }

    /// Where a request goes. `path` is its canonical path; `None`: it is malformed.
    ///
    /// # Errors
    /// 421: the certificate of the connection does not cover the host (RFC 9110 section 7.4).
    pub(super) fn way<'p>(
        &self,
        channel: Channel,
        host: Option<Host<'_>>,
        path: impl FnOnce() -> Option<&'p [u8]>,
    ) -> Result<Way, Failure> {
        if let Channel::Tls { certificate, .. } = channel {
            let names = self.names.get(usize::from(certificate));
            return match (host, names) {
                (Some(host), Some(names)) if !names.cover(host.name()) => {
                    let why = "the certificate of this connection does not cover this host";
                    Err(Failure::new(Status::MisdirectedRequest, why))
                }
                _ => Ok(Way::Site),
            };
        }
        // A proxy decides itself whether it redirects.
        let redirects = channel == Channel::Plain && self.redirect_port.is_some();
        if !redirects && self.challenges.is_none() {
            return Ok(Way::Site);
        }
        let Some(path) = path() else { return Ok(Way::Site) }; // which answers with the reason
        Ok(match self.challenges {
            Some(index) if path.starts_with(CHALLENGES) => Way::Challenges(index),
            _ if redirects && !path.starts_with(WELL_KNOWN) => Way::Https,
            _ => Way::Site,
        })
    }

    /// The URL of a request with https.
    ///
    /// # Errors
    /// 400: the request names no host.
    pub(super) fn https(
        &self,
        host: Option<Host<'_>>,
        target: &Target<'_>,
    ) -> Result<Rc<[u8]>, Failure> {
        let why = "only HTTPS is served here, and the request names no host to redirect it to";
        let host = host.filter(|host| !host.name().is_empty()).ok_or(Failure::bad(why))?;
        let port = match self.redirect_port {
            None | Some(443) => String::new(),
            Some(port) => format!(":{port}"),
        };
        let url = b"https://".iter().chain(host.name()).chain(port.as_bytes()).copied();
        Ok(url.chain(target.encoded()).collect())
    }
}

impl Sites {
    /// The answer to a request for a path of a site, on a server that has a gate.
    #[inline(never)]
    pub(super) fn answer_at_gate(
        &mut self,
        index: usize,
        host: Option<Host<'_>>,
        asked: Asked<'_>,
        target: &Target<'_>,
    ) -> Result<Answer, Failure> {
        let Sites { gate, store, sites, .. } = self;
        let Some(gate) = gate else { return self.answer(index, asked, target) };
        let channel = match asked.request.channel {
            Channel::Plain if asked.request.client.is_none() => Channel::Proxied, // a Unix socket
            channel => channel,
        };
        let lines = gate.lines(channel);
        let site = &sites[index];
        let index = match gate.way(channel, host, || store.decode(site, asked.path).ok())? {
            Way::Site => index,
            Way::Challenges(index) => index,
            Way::Https => {
                let location = gate.https(host, target)?;
                let reply = Reply::redirect(Status::PermanentRedirect, location, site.policy());
                return Ok(Answer::Reply(reply));
            }
        };
        Ok(self.answer(index, asked, target)?.with(lines))
    }
}

/// The site of the challenges: only files, without listings, compression or caching.
pub(super) fn challenge_site(root: &Path) -> SiteConfig {
    SiteConfig {
        root: root.to_owned(),
        index: Vec::new(),
        listing: false,
        symlinks: Symlinks::Off,
        precompressed: false,
        compress: false,
        cache_control: CacheControl::Value("no-store".to_owned()),
        ..SiteConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TlsVersion;
    use crate::http::target;

    const TLS: Channel = Channel::Tls { version: TlsVersion::Tls13, certificate: 1 };

    fn gate(redirect_port: Option<u16>, challenges: Option<usize>) -> Gate {
        let covers = |name: &str| Names { exact: vec![name.into()], ..Names::default() };
        let names = vec![covers("first.example"), covers("example.org")];
        let config =
            GateConfig { names, hsts: "max-age=1".to_owned(), redirect_port, acme_webroot: None };
        Gate::new(config, challenges)
    }

    #[test]
    fn over_tls_the_certificate_of_the_connection_must_cover_the_host() {
        let gate = gate(Some(443), None);
        let way = |host: Option<&str>| {
            let host = host.map(|host| Host::parse(host.as_bytes()).unwrap());
            gate.way(TLS, host, || panic!("the path does not matter")).map_err(|it| it.status)
        };
        assert_eq!(way(Some("Example.org:8443")), Ok(Way::Site));
        assert_eq!(way(None), Ok(Way::Site));
        assert_eq!(way(Some("first.example")), Err(Status::MisdirectedRequest));
        assert!(gate.lines(TLS).is_some() && gate.lines(Channel::Plain).is_none());
    }

    #[test]
    fn plain_requests_are_redirected_except_those_of_authorities_and_of_local_proxies() {
        for (redirects, has_challenges, path, expected) in [
            (true, false, "/a", Way::Https),
            (true, false, "/.well-known/security.txt", Way::Site),
            (true, true, "/.well-known/acme-challenge/token", Way::Challenges(7)),
            (true, true, "/.well-known/acme-challenge", Way::Site),
            (true, true, "/.well-knownx/", Way::Https),
            (true, false, "/.well-known/acme-challenge/token", Way::Site),
            (false, true, "/.well-known/acme-challenge/token", Way::Challenges(7)),
            (false, true, "/a", Way::Site),
        ] {
            let gate = gate(redirects.then_some(443), has_challenges.then_some(7));
            let way = |channel| gate.way(channel, None, || Some(path.as_bytes())).ok();
            assert_eq!(way(Channel::Plain), Some(expected), "{path}");
            let behind = if expected == Way::Https { Way::Site } else { expected };
            assert_eq!(way(Channel::Proxied), Some(behind), "{path}");
        }
        let open = gate(None, None);
        let way = open.way(Channel::Plain, None, || panic!("the path does not matter"));
        assert_eq!(way.ok(), Some(Way::Site));
    }

    #[test]
    fn a_redirect_keeps_the_host_without_its_port_and_the_target() {
        for (port, host, asked, url) in [
            (443, "example.org:80", "/a?b", "https://example.org/a?b"),
            (8443, "example.org", "/", "https://example.org:8443/"),
            (443, "[::1]:8080", "//evil.example/", "https://[::1]/evil.example/"),
        ] {
            let gate = gate(Some(port), None);
            let target = target::split(asked.as_bytes()).unwrap();
            let host = Host::parse(host.as_bytes());
            let found = gate.https(host, &target).unwrap();
            assert_eq!(str::from_utf8(&found).unwrap(), url);
            assert!(gate.https(None, &target).is_err());
        }
    }
}
