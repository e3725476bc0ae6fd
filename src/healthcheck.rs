//! The command that asks a running server whether it is healthy: for containers without curl.
//!
//! It is a client of the admin listener, in a process of its own, with a timeout for the whole
//! exchange.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::ListenAddress;

/// A request to an admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The address of the admin listener, as it is configured.
    pub address: ListenAddress,
    /// The path, such as `/readyz`.
    pub path: String,
    /// How long the answer may take in total.
    pub timeout: Duration,
}

/// Asks. Returns a line about a status 200.
///
/// # Errors
/// In one line: another status, or why there is none.
pub fn ask(question: &Question) -> Result<String, String> {
    let Question { address, path, timeout } = question;
    let until = Instant::now() + *timeout;
    let failed = |error: &io::Error| match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            format!("unhealthy: {address} did not answer {path} in {} s", timeout.as_secs_f64())
        }
        _ => format!(
            "unhealthy: cannot ask {address} for {path}: {error}; is the server started with \
             --admin-listen {address}?"
        ),
    };
    let line = status_line(address, path, until).map_err(|error| failed(&error))?;
    let status = line.split(' ').nth(1).unwrap_or_default();
    match status {
        "200" if line.starts_with("HTTP/1.") => {
            Ok(format!("healthy: {address} answered {path} with 200"))
        }
        _ => Err(format!("unhealthy: {address} answered {path} with {}", line.escape_debug())),
    }
}

/// The status line of the response.
fn status_line(address: &ListenAddress, path: &str, until: Instant) -> io::Result<String> {
    let mut socket = connect(address, until)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    socket.set_write_timeout(Some(left(until)?))?;
    socket.write_all(request.as_bytes())?;
    let mut line = Vec::new();
    while line.len() < LINE_BYTES && !line.contains(&b'\n') {
        let mut room = [0; LINE_BYTES];
        socket.set_read_timeout(Some(left(until)?))?;
        match socket.read(&mut room) {
            Ok(0) => break,
            Ok(count) => line.extend_from_slice(&room[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line.trim_ascii()).into_owned())
}

/// Longest part of the response that is read.
const LINE_BYTES: usize = 1024;

/// The time left, which is more than zero.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Connects to the first place of an address that accepts.
fn connect(address: &ListenAddress, until: Instant) -> io::Result<Socket> {
    let places: Vec<(Domain, SockAddr)> = match address {
        ListenAddress::Unix(path) => vec![(Domain::UNIX, SockAddr::unix(path)?)],
        ListenAddress::Systemd(_) => {
            return Err(io::Error::other("systemd has bound it; give its URL instead"));
        }
        ListenAddress::Every(port) => {
            let place = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
            vec![(Domain::IPV4, place.into())]
        }
        ListenAddress::EveryIpv6(port) => {
            let place = SocketAddr::from((Ipv6Addr::LOCALHOST, *port));
            vec![(Domain::IPV6, place.into())]
        }
        ListenAddress::Tcp(text) => {
            let places = text.to_socket_addrs()?.map(reachable);
            places.map(|place| (Domain::for_address(place), place.into())).collect()
        }
    };
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for (domain, place) in places {
        let socket = Socket::new(domain, Type::STREAM, None)?;
        match socket.connect_timeout(&place, left(until)?) {
            Ok(()) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Where a listener with this address can be reached from its own machine.
fn reachable(place: SocketAddr) -> SocketAddr {
    match place {
        SocketAddr::V4(it) if it.ip().is_unspecified() => {
            (Ipv4Addr::LOCALHOST, place.port()).into()
        }
        SocketAddr::V6(it) if it.ip().is_unspecified() => {
            (Ipv6Addr::LOCALHOST, place.port()).into()
        }
        _ => place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// What a server that answers like this leads to.
    fn verdict(answer: Option<&'static [u8]>) -> Result<String, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let count = socket.read(&mut request).unwrap();
            assert!(request[..count].starts_with(b"GET /readyz HTTP/1.1\r\nHost: "));
            match answer {
                Some(bytes) => _ = socket.write_all(bytes),
                // Waits for the client to give up.
                None => _ = socket.read(&mut request),
            }
        });
        let timeout = if answer.is_some() { 60_000 } else { 20 };
        let question = Question {
            address: ListenAddress::Tcp(address),
            path: "/readyz".to_owned(),
            timeout: Duration::from_millis(timeout),
        };
        let verdict = ask(&question);
        server.join().unwrap();
        verdict
    }

    #[test]
    fn only_a_status_200_in_time_is_healthy() {
        assert!(verdict(Some(b"HTTP/1.1 200 OK\r\n\r\nok\n")).unwrap().starts_with("healthy: "));
        for (answer, why) in [
            (Some(&b"HTTP/1.1 503 Service Unavailable\r\n\r\n"[..]), "with HTTP/1.1 503 Service"),
            (Some(b"HTTP/1.1 20"), "with HTTP/1.1 20"),
            (Some(b"\x1b[2J 200"), "with \\u{1b}[2J 200"),
            (Some(b""), "answered /readyz with "),
            (None, "did not answer /readyz in 0.02 s"),
        ] {
            let verdict = verdict(answer);
            assert!(verdict.as_ref().is_err_and(|line| line.contains(why)), "{verdict:?}");
        }
    }

    #[test]
    fn a_server_that_is_not_there_is_unhealthy_and_the_line_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let question = Question {
            address: ListenAddress::Unix(folder.path().join("none")),
            path: "/healthz".to_owned(),
            timeout: Duration::from_secs(60),
        };
        let error = ask(&question).unwrap_err();
        assert!(error.contains("is the server started with --admin-listen unix:/"), "{error}");
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_by_loopback() {
        for (bound, reached) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:2", "[::1]:2"), ("10.0.0.1:3", "10.0.0.1:3")]
        {
            assert_eq!(reachable(bound.parse().unwrap()).to_string(), reached);
        }
    }
}
