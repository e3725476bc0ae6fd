//! Addresses to listen on, as people type them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// One entry of `listen`: an address, and how its connections begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address.
    pub address: ListenAddress,
    /// What precedes the first request.
    pub opening: Opening,
    /// Where it is configured, for messages; empty: on the command line.
    pub place: String,
}

/// What precedes the first request of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// A PROXY header, if the peer is trusted to send one.
    pub proxy_protocol: bool,
    /// A TLS handshake, after the PROXY header if there is one.
    pub tls: bool,
    /// Nothing; and its requests are for the internal site, with metrics and health.
    pub internal: bool,
}

impl Opening {
    /// All of it in one number, for [`Opening::from_bits`].
    pub fn bits(self) -> u8 {
        u8::from(self.proxy_protocol) | u8::from(self.tls) << 1 | u8::from(self.internal) << 2
    }

    /// The opening with these [`Opening::bits`].
    pub fn from_bits(bits: u8) -> Opening {
        Opening { proxy_protocol: bits & 1 != 0, tls: bits & 2 != 0, internal: bits & 4 != 0 }
    }

    /// The scheme of the URLs of its listener.
    pub fn scheme(self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

impl Listen {
    /// The admin listener at this address.
    pub fn internal(address: ListenAddress) -> Listen {
        let opening = Opening { internal: true, ..Opening::default() };
        Listen { opening, ..Listen::from(address) }
    }
}

/// Makes one socket of `[::]` and one of `0.0.0.0` with the same port: by itself, the first takes
/// clients of IPv4 as well.
pub(super) fn pair(all: &mut [Listen]) {
    let port = |listen: &Listen| match listen.address.tcp() {
        Some((Host::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), port)) => Some(port),
        _ => None,
    };
    let paired: Vec<u16> = all.iter().filter_map(port).collect();
    for listen in all {
        if let Some((Host::Address(IpAddr::V6(Ipv6Addr::UNSPECIFIED)), port)) = listen.address.tcp()
            && paired.contains(&port)
        {
            listen.address = ListenAddress::EveryIpv6(port);
        }
    }
}

/// The entries that get connections of an earlier one, each with its index: with two sockets in one
/// place, the kernel decides which one gets a connection.
pub(super) fn overlaps(all: &[Listen]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, Listen { address, .. }) in all.iter().enumerate() {
        let others = all[..index].iter().map(|other| &other.address);
        found.extend(
            others
                .filter(|other| !address.pairs_with(other))
                .find_map(|other| address.overlap(other))
                .map(|what| (index, what)),
        );
    }
    found
}

impl From<ListenAddress> for Listen {
    /// Plain HTTP at this address.
    fn from(address: ListenAddress) -> Listen {
        Listen { address, opening: Opening::default(), place: String::new() }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Listen, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("https") {
            return text.parse::<ListenAddress>().map(Listen::from);
        }
        if !cfg!(feature = "tls") {
            return Err("this program was built without TLS (feature 'tls')".to_owned());
        }
        let opening = Opening { tls: true, ..Opening::default() };
        let address = match rest.starts_with("systemd:") {
            true => rest.parse(),
            false => from_authority("https", rest, 443),
        };
        address.map(|address| Listen { opening, ..Listen::from(address) })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.opening.tls {
            write!(f, "https://")?;
        }
        self.address.fmt(f)
    }
}

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `host:port`; the name is looked up once, at start.
    Tcp(String),
    /// A port on every address of the machine, IPv4 and IPv6.
    Every(u16),
    /// A port on every address of IPv6; only beside one on every address of IPv4.
    EveryIpv6(u16),
    /// `unix:/path`.
    Unix(PathBuf),
    /// `systemd:NAME`: sockets that systemd has bound; without a name, all of them.
    Systemd(String),
}

impl ListenAddress {
    /// The path of the socket, if it has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            ListenAddress::Unix(path) => Some(path),
            ListenAddress::Tcp(_)
            | ListenAddress::Every(_)
            | ListenAddress::EveryIpv6(_)
            | ListenAddress::Systemd(_) => None,
        }
    }

    /// Whether both stand for the same sockets of systemd, or one for some of the other.
    fn shares_systemd(&self, other: &ListenAddress) -> bool {
        match (self, other) {
            (ListenAddress::Systemd(one), ListenAddress::Systemd(two)) => {
                one == two || one.is_empty() || two.is_empty()
            }
            _ => false,
        }
    }

    /// Why there cannot be sockets at both, and what to do; `None`: there can. Names of hosts are
    /// not looked up.
    pub fn overlap(&self, other: &ListenAddress) -> Option<String> {
        // Port 0 is another port each time.
        let picks_port = self.with_port(0).as_ref() == Some(self);
        if self == other && !picks_port {
            return Some(format!("{self} is listed already; leave one of the two out"));
        }
        if self.shares_systemd(other) {
            return Some(format!(
                "{self} and {other} stand for the same sockets; leave one of the two out"
            ));
        }
        let ((one, port), (two, other_port)) = (self.tcp()?, other.tcp()?);
        if port != other_port || port == 0 {
            return None;
        }
        let (wider, narrower) = match (one.includes(two), two.includes(one)) {
            (true, _) => (self, other),
            (_, true) => (other, self),
            (false, false) => return None,
        };
        let what = match (wider.tcp()?.0, narrower.tcp()?.0) {
            (Host::Address(IpAddr::V6(_)), Host::Address(IpAddr::V4(_))) => "IPv4, and so ",
            _ => "",
        };
        Some(format!("{wider} includes {what}{narrower}; leave {narrower} out"))
    }

    /// True for `[::]` and `0.0.0.0` with the same port, which can be one socket each.
    pub fn pairs_with(&self, other: &ListenAddress) -> bool {
        let (Some((one, port)), Some((two, other_port))) = (self.tcp(), other.tcp()) else {
            return false;
        };
        let is_wildcard = |host: &Host| matches!(host, Host::Address(ip) if ip.is_unspecified());
        port == other_port && is_wildcard(&one) && is_wildcard(&two) && one != two
    }

    /// Whether a socket at one can be why there is none at the other. The addresses of a name are
    /// not looked up: it can have any.
    pub fn may_overlap(&self, other: &ListenAddress) -> bool {
        let (Some((one, port)), Some((two, other_port))) = (self.tcp(), other.tcp()) else {
            return false;
        };
        let is_name = |host| matches!(host, Host::Name(_));
        let is_one = one.includes(two) || two.includes(one) || is_name(one) || is_name(two);
        port == other_port && port > 0 && (is_one || self.pairs_with(other))
    }

    /// The host and the port of a socket of TCP.
    fn tcp(&self) -> Option<(Host<'_>, u16)> {
        match self {
            ListenAddress::Tcp(text) => {
                let (host, port) = text.rsplit_once(':')?;
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                let host = bare.parse().map_or(Host::Name(host), Host::Address);
                Some((host, port.parse().ok()?))
            }
            ListenAddress::Every(port) => Some((Host::Every, *port)),
            ListenAddress::EveryIpv6(port) => {
                Some((Host::Address(Ipv6Addr::UNSPECIFIED.into()), *port))
            }
            ListenAddress::Unix(_) | ListenAddress::Systemd(_) => None,
        }
    }

    /// The name or address in it, if it is only one; an address of IPv6 has its brackets.
    pub fn host(&self) -> Option<&str> {
        match self {
            ListenAddress::Tcp(text) => text.rsplit_once(':').map(|(host, _)| host),
            _ => None,
        }
    }

    /// The same address with another port; `None` if it has no port.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Option<ListenAddress> {
        match self {
            ListenAddress::Tcp(text) => {
                let host = text.rsplit_once(':').map_or(text.as_str(), |(host, _)| host);
                Some(ListenAddress::Tcp(format!("{host}:{port}")))
            }
            ListenAddress::Every(_) => Some(ListenAddress::Every(port)),
            ListenAddress::EveryIpv6(_) => Some(ListenAddress::EveryIpv6(port)),
            ListenAddress::Unix(_) | ListenAddress::Systemd(_) => None,
        }
    }

    /// A port on the loopback address.
    pub fn loopback(port: u16) -> ListenAddress {
        ListenAddress::Tcp(format!("127.0.0.1:{port}"))
    }
}

/// The host of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host<'a> {
    Every,
    Address(IpAddr),
    Name(&'a str),
}

impl Host<'_> {
    /// True if a socket for it also gets the connections to `other`, another host.
    fn includes(self, other: Host<'_>) -> bool {
        match (self, other) {
            (Host::Every, _) => true,
            // [::] includes IPv4; a name has addresses of either kind.
            (Host::Address(IpAddr::V6(Ipv6Addr::UNSPECIFIED)), other) => other != Host::Every,
            (Host::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), Host::Address(other)) => {
                other.is_ipv4()
            }
            (one, other) => one == other,
        }
    }
}

const FORMS: &str =
    "use PORT, :PORT (all addresses), HOST:PORT, [IPv6]:PORT, unix:/PATH or systemd:NAME";

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<ListenAddress, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return Err(format!("the path is missing; {FORMS}"));
            }
            return Ok(ListenAddress::Unix(PathBuf::from(path)));
        }
        if let Some(name) = text.strip_prefix("systemd:") {
            return Ok(ListenAddress::Systemd(name.to_owned()));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return from_url(scheme, rest);
        }
        if text.contains('/') {
            return Err(format!("'{text}' is a path; for a Unix socket, write unix:{text}"));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return parse_port(text).map(ListenAddress::loopback);
        }
        from_host_and_port(text)
    }
}

/// `http://host[:port][/]`, copied from a browser or from the start line.
fn from_url(scheme: &str, rest: &str) -> Result<ListenAddress, String> {
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(format!("'{scheme}' is not supported, only http and https; {FORMS}"));
    }
    from_authority("http", rest, 80)
}

/// What stands behind the scheme, with the port of the scheme if it has none.
fn from_authority(scheme: &str, rest: &str, port: u16) -> Result<ListenAddress, String> {
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '@']) {
        return Err(format!(
            "the URL has a path; an address is {scheme}://HOST:PORT/ without a path"
        ));
    }
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
    if has_port || authority.is_empty() {
        from_host_and_port(authority)
    } else {
        from_host_and_port(&format!("{authority}:{port}"))
    }
}

fn from_host_and_port(text: &str) -> Result<ListenAddress, String> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("the port is missing; {FORMS}"));
    };
    // An IPv6 address with or without a port: its brackets tell where it ends.
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err(if text.starts_with('[') && text.ends_with(']') {
            format!("the port is missing; {FORMS}")
        } else {
            format!("'{text}' has many colons; put IPv6 addresses in brackets: [::1]:8080")
        });
    }
    let port = parse_port(port)?;
    match host {
        "" | "*" => Ok(ListenAddress::Every(port)),
        _ => Ok(ListenAddress::Tcp(format!("{host}:{port}"))),
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = if is_number { text.parse().ok() } else { None };
    port.ok_or_else(|| format!("'{text}' is not a port from 0 to 65535; {FORMS}"))
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(text) => f.write_str(text),
            ListenAddress::Every(port) => write!(f, "*:{port}"),
            ListenAddress::EveryIpv6(port) => write!(f, "[::]:{port}"),
            ListenAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            ListenAddress::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_people_type() {
        let tcp = |text: &str| Ok(ListenAddress::Tcp(text.to_owned()));
        for good in ["127.0.0.1:8080", "[::]:0", "localhost:65535", "[::1]:80"] {
            assert_eq!(good.parse(), tcp(good));
        }
        for (typed, meant) in [
            ("8081", "127.0.0.1:8081"),
            ("0", "127.0.0.1:0"),
            ("http://localhost:8080", "localhost:8080"),
            ("http://localhost:8080/", "localhost:8080"),
            ("HTTP://[::1]:8080/", "[::1]:8080"),
            ("http://example.org/", "example.org:80"),
            ("http://[::1]", "[::1]:80"),
        ] {
            assert_eq!(typed.parse(), tcp(meant), "{typed}");
        }
        for every in [":8081", "*:8081", "http://*:8081/"] {
            assert_eq!(every.parse(), Ok(ListenAddress::Every(8081)), "{every}");
        }
        assert_eq!("unix:/run/x".parse(), Ok(ListenAddress::Unix(PathBuf::from("/run/x"))));
        for name in ["web", "tenkay.socket", ""] {
            let address: ListenAddress = format!("systemd:{name}").parse().unwrap();
            assert_eq!(address, ListenAddress::Systemd(name.to_owned()));
            assert_eq!(address.to_string(), format!("systemd:{name}"));
        }
    }

    #[test]
    fn an_error_says_what_to_type_instead() {
        for (bad, hint) in [
            ("", "the port is missing"),
            ("localhost", "the port is missing"),
            ("[::1]", "the port is missing"),
            ("a:", "'' is not a port"),
            ("a:65536", "from 0 to 65535"),
            ("65536", "from 0 to 65535"),
            ("a:-1", "from 0 to 65535"),
            ("a:+1", "from 0 to 65535"),
            ("unix:", "the path is missing"),
            ("::1:80", "put IPv6 addresses in brackets: [::1]:8080"),
            ("::1", "put IPv6 addresses in brackets"),
            ("/run/x.sock", "write unix:/run/x.sock"),
            ("./x", "write unix:./x"),
            ("ftp://a:21", "'ftp' is not supported, only http and https"),
            ("http://a:80/b", "without a path"),
            ("http:///", "the port is missing"),
        ] {
            let error = bad.parse::<ListenAddress>().unwrap_err();
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn an_address_with_https_is_served_with_tls() {
        for (typed, shown) in [
            ("https://example.org", "https://example.org:443"),
            ("HTTPS://127.0.0.1:8443/", "https://127.0.0.1:8443"),
            ("https://[::1]", "https://[::1]:443"),
            ("https://:443", "https://*:443"),
            ("https://systemd:web", "https://systemd:web"),
            ("http://a:1", "a:1"),
        ] {
            let listen: Listen = typed.parse().unwrap();
            assert_eq!(listen.opening.tls, shown.starts_with("https"), "{typed}");
            assert_eq!(listen.to_string(), shown);
            assert_eq!(shown.parse(), Ok(listen));
        }
        for (bad, hint) in [
            ("https://a:443/b", "https://HOST:PORT/ without a path"),
            ("https://unix:/run/x", "without a path"),
            ("https://", "the port is missing"),
        ] {
            let error = bad.parse::<Listen>().unwrap_err();
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }

    #[test]
    fn two_sockets_in_one_place_are_an_overlap() {
        let parse = |text: &str| text.parse::<Listen>().unwrap();
        let found = |texts: &[&str]| -> Vec<String> {
            let all: Vec<Listen> = texts.iter().map(|text| parse(text)).collect();
            overlaps(&all).into_iter().map(|(index, what)| format!("{index} {what}")).collect()
        };
        let none: Vec<String> = Vec::new();
        for (texts, expected) in [
            (["80", "127.0.0.1:80"], "127.0.0.1:80 is listed already; leave one of the two out"),
            ([":80", "http://*:80"], "*:80 is listed already; leave one of the two out"),
            ([":80", "0.0.0.0:80"], "*:80 includes 0.0.0.0:80; leave 0.0.0.0:80 out"),
            (["[::]:80", ":80"], "*:80 includes [::]:80; leave [::]:80 out"),
            ([":80", "localhost:80"], "*:80 includes localhost:80; leave localhost:80 out"),
            (
                ["127.0.0.1:80", "0.0.0.0:80"],
                "0.0.0.0:80 includes 127.0.0.1:80; leave 127.0.0.1:80 out",
            ),
            (
                ["[::]:80", "127.0.0.1:80"],
                "[::]:80 includes IPv4, and so 127.0.0.1:80; leave 127.0.0.1:80 out",
            ),
            (["[::]:80", "[::1]:80"], "[::]:80 includes [::1]:80; leave [::1]:80 out"),
            (["[::]:80", "[::0]:80"], "[::0]:80 includes [::]:80; leave [::]:80 out"),
            (["unix:/a", "unix:/a"], "unix:/a is listed already; leave one of the two out"),
            (
                ["systemd:", "systemd:a"],
                "systemd:a and systemd: stand for the same sockets; leave one of the two out",
            ),
        ] {
            assert_eq!(found(&texts), [format!("1 {expected}")], "{texts:?}");
        }
        for texts in [
            &["0.0.0.0:80", "[::]:80"][..],
            &["[::]:80", "0.0.0.0:80"],
            &[":80", ":81"],
            &["127.0.0.1:80", "127.0.0.2:80", "[::1]:80", "localhost:80"],
            &["0.0.0.0:80", "[::1]:80", "localhost:80"],
            &["127.0.0.1:0", "127.0.0.1:0", ":0", "0.0.0.0:0"],
            &["unix:/a", "unix:/b"],
        ] {
            assert_eq!(found(texts), none, "{texts:?}");
        }
        if cfg!(feature = "tls") {
            let expected = ["1 *:443 includes 0.0.0.0:443; leave 0.0.0.0:443 out"];
            assert_eq!(found(&[":443", "https://0.0.0.0"]), expected);
        }
    }

    #[test]
    fn an_address_can_be_taken_by_one_that_includes_it_or_by_a_name() {
        let parse = |text: &str| text.parse::<ListenAddress>().unwrap();
        for (one, other, expected) in [
            ("127.0.0.1:80", "localhost:80", true),
            ("127.0.0.1:80", ":80", true),
            ("[::]:80", "0.0.0.0:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", ":81", false),
            ("localhost:0", "127.0.0.1:0", false),
            ("unix:/a", ":80", false),
        ] {
            let (one, other) = (parse(one), parse(other));
            assert_eq!(one.may_overlap(&other), expected, "{one} {other}");
            assert_eq!(other.may_overlap(&one), expected, "{other} {one}");
        }
    }

    #[test]
    fn the_two_wildcards_are_one_socket_each() {
        let listen = |texts: &[&str]| {
            let mut all: Vec<Listen> = texts.iter().map(|text| text.parse().unwrap()).collect();
            pair(&mut all);
            all.into_iter().map(|listen| listen.address).collect::<Vec<_>>()
        };
        let tcp = |text: &str| ListenAddress::Tcp(text.to_owned());
        assert_eq!(
            listen(&["[::]:80", "0.0.0.0:80", "[::]:81", "[::0]:80"]),
            [
                ListenAddress::EveryIpv6(80),
                tcp("0.0.0.0:80"),
                tcp("[::]:81"),
                ListenAddress::EveryIpv6(80)
            ]
        );
        assert_eq!(ListenAddress::EveryIpv6(80).to_string(), "[::]:80");
    }

    #[test]
    fn another_port_keeps_the_host() {
        let moved = |text: &str| {
            let address: ListenAddress = text.parse().unwrap();
            address.with_port(9).map(|address| address.to_string())
        };
        assert_eq!(moved("[::1]:80").as_deref(), Some("[::1]:9"));
        assert_eq!(moved("a:80").as_deref(), Some("a:9"));
        assert_eq!(moved(":80").as_deref(), Some("*:9"));
        assert_eq!(moved("unix:/x"), None);
    }
}
