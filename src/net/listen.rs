//! Create a socket, bind it, listen: steps one to three of the five of a TCP server. Step four is
//! in the reactor, and calls [`Listener::accept`].

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use nix::net::if_::InterfaceFlags;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::config::{Limits, ListenAddress};

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: Listening,
    /// A connection may be waiting. Edge-triggered: the poll reports it only once.
    pub ready: bool,
    /// What is not as it was asked for, though the server can serve without it.
    warnings: Vec<String>,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// Creates, binds and listens, on every address that the name stands for. Addresses of the name
/// that cannot be used are a warning, if there is one that can.
///
/// # Errors
/// If none of the addresses can be used: that of the first.
pub fn listen(address: &ListenAddress, limits: &Limits) -> io::Result<Vec<Listener>> {
    match address {
        ListenAddress::Unix(path) => Ok(vec![listen_unix(path, limits.backlog)?]),
        ListenAddress::Tcp(name) => {
            let addresses: Vec<SocketAddr> = name.to_socket_addrs()?.collect();
            listen_all(&addresses, |address| listen_tcp(address, limits))
        }
        ListenAddress::Every(port) => {
            // [::] takes IPv4 clients as well; without IPv6 in the kernel there is only 0.0.0.0.
            listen_tcp((Ipv6Addr::UNSPECIFIED, *port).into(), limits)
                .or_else(|error| match error.kind() {
                    io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
                    _ => listen_tcp((Ipv4Addr::UNSPECIFIED, *port).into(), limits),
                })
                .map(|listener| vec![listener])
        }
    }
}

/// Listens on all addresses of one name. With port 0 the kernel picks one port for all of them.
fn listen_all(
    addresses: &[SocketAddr],
    mut listen: impl FnMut(SocketAddr) -> io::Result<Listener>,
) -> io::Result<Vec<Listener>> {
    for attempt in 1.. {
        let (mut listeners, mut failures) = (Vec::<Listener>::new(), Vec::new());
        let mut done = Vec::new();
        let mut picked = None;
        for &(mut address) in addresses {
            if done.contains(&address) {
                continue; // /etc/hosts may name one twice
            }
            done.push(address);
            if let (0, Some(port)) = (address.port(), picked) {
                address.set_port(port);
            }
            match listen(address) {
                Ok(listener) => {
                    picked = picked.or(listener.port());
                    listeners.push(listener);
                }
                Err(error) => failures.push((address, error)),
            }
        }
        let is_taken = |(address, error): &(SocketAddr, io::Error)| {
            error.kind() == io::ErrorKind::AddrInUse && Some(address.port()) == picked
        };
        let picks = addresses.iter().all(|address| address.port() == 0);
        if picks && attempt < PORT_ATTEMPTS && failures.iter().any(is_taken) {
            continue; // this port is free on one address and taken on another: try the next one
        }
        if let Some(first) = listeners.first_mut() {
            first.warnings.extend(failures.iter().map(|(address, error)| {
                format!(
                    "cannot listen on {address}, only on the other addresses of the name: {error}"
                )
            }));
            return Ok(listeners);
        }
        let nothing = || io::Error::other("the name has no address");
        return Err(failures.into_iter().next().map_or_else(nothing, |(_, error)| error));
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// How often a port is picked that must be free on several addresses.
const PORT_ATTEMPTS: u32 = 16;

fn listen_tcp(address: SocketAddr, limits: &Limits) -> io::Result<Listener> {
    // 1. Create.
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    let warnings = set_options(&socket, address, limits);
    // 2. Bind.
    socket.bind(&address.into())?;
    // 3. Listen.
    socket.listen(i32::try_from(limits.backlog).unwrap_or(i32::MAX))?;
    let socket = Listening::Tcp(TcpListener::from_std(socket.into()));
    Ok(Listener { socket, ready: false, warnings })
}

/// Sets the options of a listening socket; accepted sockets inherit those of TCP. A kernel may lack
/// any of them: then the server serves without, and a warning tells what is weaker.
fn set_options(socket: &Socket, address: SocketAddr, limits: &Limits) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut set = |option: &str, result: io::Result<()>, weaker: &str| {
        if let Err(error) = result {
            warnings.push(format!("{address}: {option} cannot be set ({error}): {weaker}"));
        }
    };
    set(
        "SO_REUSEADDR",
        socket.set_reuse_address(true),
        "after a stop, a start on this address may fail for a minute",
    );
    if address.is_ipv6() {
        // [::] means every address of the machine; IPv4 clients appear as ::ffff:a.b.c.d.
        let only = !address.ip().is_unspecified();
        let weaker = if only {
            "IPv4 clients may be able to connect, too"
        } else {
            "IPv4 clients may not be able to connect; add --listen 0.0.0.0:PORT"
        };
        set("IPV6_V6ONLY", socket.set_only_v6(only), weaker);
    }
    // A response leaves in as few sends as possible, so waiting for more gains nothing.
    set(
        "TCP_NODELAY",
        socket.set_tcp_nodelay(true),
        "the end of a response may wait for an acknowledgement, 40 ms and more",
    );
    set(
        "TCP_NOTSENT_LOWAT",
        limit_unsent(socket, limits.unsent_bytes),
        "the kernel may buffer more than unsent_bytes per connection; set --limit unsent_bytes=0 \
         to do without",
    );
    set(
        "TCP_USER_TIMEOUT",
        limit_unacknowledged(socket, limits.write_timeout_ms),
        "after a close, the kernel may keep unread response bytes longer than write_timeout_ms",
    );
    set(
        "TCP_DEFER_ACCEPT",
        defer_accept(socket, limits.defer_accept_s),
        "connections without a request take a slot; set --limit defer_accept_s=0 to do without",
    );
    warnings
}

/// Limits the bytes that the kernel buffers before it can send them. This saves megabytes for each
/// slow client, and shows its progress earlier: there is room again after half of the limit, not
/// after a third of several megabytes. A receiver that gets small steady pieces is also given a
/// larger window than one that gets a megabyte at once and then waits for its next turn.
#[cfg(target_os = "linux")]
fn limit_unsent(socket: &Socket, bytes: u32) -> io::Result<()> {
    if bytes == 0 { Ok(()) } else { socket.set_tcp_notsent_lowat(bytes) }
}

#[cfg(not(target_os = "linux"))]
fn limit_unsent(_: &Socket, _: u32) -> io::Result<()> {
    Ok(())
}

/// Lets the kernel end a connection whose peer acknowledges nothing for this time, also after a
/// close. Otherwise a peer that keeps its window shut could make the kernel keep the rest of a
/// response for minutes, and no limit of this program would apply.
#[cfg(target_os = "linux")]
fn limit_unacknowledged(socket: &Socket, ms: u64) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(Duration::from_millis(ms)))
}

#[cfg(not(target_os = "linux"))]
fn limit_unacknowledged(_: &Socket, _: u64) -> io::Result<()> {
    Ok(())
}

/// Lets the kernel hold back a new connection until its first request is there, or until this time
/// is over. A connection with one request then costs four system calls: accept, receive, send,
/// close. Otherwise it also costs a receive that gets nothing, a registration, and a wait; and a
/// connection that a browser opens in advance takes a slot.
#[cfg(target_os = "linux")]
fn defer_accept(socket: &Socket, seconds: u32) -> io::Result<()> {
    if seconds > 0 {
        nix::sys::socket::setsockopt(socket, linux::DeferAccept, &seconds)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn defer_accept(_: &Socket, _: u32) -> io::Result<()> {
    Ok(())
}

/// A socket option that neither socket2 nor nix names.
#[cfg(target_os = "linux")]
mod linux {
    use nix::{libc, setsockopt_impl, sockopt_impl};

    sockopt_impl!(
        /// How many seconds the kernel waits for data before it hands a connection over (tcp(7)).
        DeferAccept,
        SetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_DEFER_ACCEPT,
        u32
    );
}

fn listen_unix(path: &Path, backlog: u32) -> io::Result<Listener> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile::new(path)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    // The permissions of the folder decide who may connect, as with nginx: a proxy runs as another
    // user.
    fs::set_permissions(path, Permissions::from_mode(0o666))?;
    let socket = UnixListener::from_std(OwnedFd::from(socket).into());
    Ok(Listener { socket: Listening::Unix(socket, file), ready: false, warnings: Vec::new() })
}

/// Removes a socket that nobody listens on, as a killed server leaves it behind.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        _ => return Ok(()), // nothing, or something that bind reports
    }
    // A live server may have a full backlog; only a non-blocking connect does not wait for it.
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// The name of a Unix socket in the file system. Its owner removes it by a call, not by dropping
/// it: a process that inherited the socket must leave it.
#[derive(Clone, Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64, i64, i64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<SocketFile> {
        let identity = SocketFile::identity(&fs::symlink_metadata(path)?);
        Ok(SocketFile { path: path.to_owned(), identity })
    }

    /// What tells this socket from a later one at the same path. The number of an inode is used
    /// again once the socket is closed, so the time of its creation is part of it.
    fn identity(metadata: &Metadata) -> (u64, u64, i64, i64) {
        (metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
    }

    /// Removes the name, unless it has come to mean something else: another server may listen there
    /// by now.
    ///
    /// # Errors
    /// If it cannot be removed. It is no error if it is gone.
    pub fn remove(&self) -> io::Result<()> {
        let is_own = match fs::symlink_metadata(&self.path) {
            Ok(metadata) => SocketFile::identity(&metadata) == self.identity,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if is_own { fs::remove_file(&self.path) } else { Ok(()) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Listener {
    /// Accepts one connection, in non-blocking mode, with the address of the client.
    pub fn accept(&self) -> io::Result<(OwnedFd, Option<IpAddr>)> {
        match &self.socket {
            Listening::Tcp(listener) => {
                listener.accept().map(|(stream, from)| (stream.into(), Some(from.ip())))
            }
            Listening::Unix(listener, _) => {
                listener.accept().map(|(stream, _)| (stream.into(), None))
            }
        }
    }

    /// Whether a connection is waiting, without accepting it.
    pub fn somebody_waits(&self) -> bool {
        let mut fds = [match &self.socket {
            Listening::Tcp(listener) => PollFd::new(listener, PollFlags::IN),
            Listening::Unix(listener, _) => PollFd::new(listener, PollFlags::IN),
        }];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        !matches!(poll(&mut fds, Some(&at_once)), Ok(0))
    }

    /// Asks the poll to report connections under `token`.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Listening::Tcp(listener) => listener.register(registry, token, Interest::READABLE),
            Listening::Unix(listener, _) => listener.register(registry, token, Interest::READABLE),
        }
    }

    /// What is not as it was asked for, though the server can serve without it; for the log.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The name of the socket in the file system, if it has one.
    pub fn socket_file(&self) -> Option<&SocketFile> {
        match &self.socket {
            Listening::Tcp(_) => None,
            Listening::Unix(_, file) => Some(file),
        }
    }

    /// The bound address, with its real port.
    fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Listening::Tcp(listener) => listener.local_addr().ok(),
            Listening::Unix(..) => None,
        }
    }

    fn port(&self) -> Option<u16> {
        self.address().map(|address| address.port())
    }

    /// The bound address as a URL; of a Unix socket, its path.
    pub fn url(&self) -> String {
        match &self.socket {
            Listening::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("http://{address}"),
                Err(error) => format!("http://unknown ({error})"),
            },
            Listening::Unix(_, file) => format!("unix:{}", file.path.display()),
        }
    }

    /// URLs that a browser can open: for a socket that is bound to all addresses, `localhost` and
    /// some addresses of the machine, out of `machine`.
    pub fn links(&self, machine: &[IpAddr]) -> Vec<String> {
        let Some(address) = self.address() else { return vec![self.url()] };
        if !address.ip().is_unspecified() {
            return vec![format!("http://{address}/")];
        }
        let port = address.port();
        let reachable = machine.iter().filter(|ip| ip.is_ipv4() || address.is_ipv6());
        let named = reachable.take(MOST_LINKS).map(|&ip| SocketAddr::new(ip, port));
        std::iter::once(format!("http://localhost:{port}/"))
            .chain(named.map(|address| format!("http://{address}/")))
            .collect()
    }

    /// Stops listening. Returns what remains of it that should not, for the log.
    pub fn close(self) -> Option<String> {
        let file = self.socket_file()?;
        let error = file.remove().err()?;
        let path = file.path.display();
        Some(format!("cannot remove unix:{path}: {error}; the next start on it removes it"))
    }
}

/// Most addresses of the machine in the start line; a host of containers has hundreds.
const MOST_LINKS: usize = 4;

/// The addresses of this machine that other machines can use, IPv4 first. Empty if the system does
/// not tell.
pub fn machine_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let mut addresses: Vec<IpAddr> = interfaces
        .filter(|interface| {
            interface.flags.contains(InterfaceFlags::IFF_UP)
                && !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK)
        })
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
        })
        // A link-local address needs the name of an interface, which no browser accepts.
        .filter(|ip| match ip {
            IpAddr::V4(ip) => !ip.is_link_local(),
            IpAddr::V6(ip) => !ip.is_unicast_link_local(),
        })
        .collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests;
