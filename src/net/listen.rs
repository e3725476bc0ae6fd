//! Create a socket, bind it, listen: steps one to three of the five of a TCP server. Step four is
//! in the reactor, and calls [`Listener::accept`].

mod options;
mod socket_file;

use std::cell::Cell;
use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use nix::net::if_::InterfaceFlags;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::config::{Limits, ListenAddress, Opening};

use options::{adjust, set_options, set_tcp_options};
pub use socket_file::SocketFile;

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: Listening,
    /// A reload can change it for a socket that is kept.
    opening: Cell<Opening>,
    /// A connection may be waiting. Edge-triggered: the poll reports it only once.
    pub ready: bool,
    /// Problems that do not prevent serving.
    warnings: Vec<String>,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    /// With its path, and what removes it, if that is for this process to do.
    Unix(UnixListener, PathBuf, Option<SocketFile>),
}

/// Who accepts at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    /// The one socket that is made for it.
    Alone,
    /// Several sockets (SO_REUSEPORT), each for a process, which takes step three.
    Several,
}

/// Creates, binds and listens, on every address that the name stands for. Addresses of the name
/// that cannot be used are a warning, if there is one that can.
///
/// # Errors
/// If none of the addresses can be used: that of the first.
pub fn listen(address: &ListenAddress, limits: &Limits) -> io::Result<Vec<Listener>> {
    make(address, limits, Sharing::Alone)
}

/// Creates and binds, as [`listen`], sockets for other processes: each must call
/// [`Listener::begin`], which is step three. Until then a client that connects is refused, so no
/// connection is lost if no process gets that far. [`Listener::sibling`] makes more of them.
///
/// # Errors
/// As [`listen`], also if another program listens on the address with SO_REUSEPORT.
pub fn bind_shared(address: &ListenAddress, limits: &Limits) -> io::Result<Vec<Listener>> {
    make(address, limits, Sharing::Several)
}

fn make(address: &ListenAddress, limits: &Limits, sharing: Sharing) -> io::Result<Vec<Listener>> {
    match address {
        ListenAddress::Unix(path) => Ok(vec![listen_unix(path, limits.backlog, sharing)?]),
        // Those are bound already: see `Activated`.
        ListenAddress::Systemd(_) => Err(io::ErrorKind::Unsupported.into()),
        ListenAddress::Tcp(name) => {
            let addresses: Vec<SocketAddr> = name.to_socket_addrs()?.collect();
            listen_all(&addresses, |address| listen_tcp(address, limits, sharing))
        }
        ListenAddress::EveryIpv6(port) => {
            let address = (Ipv6Addr::UNSPECIFIED, *port).into();
            Ok(vec![listen_at((address, true), limits, sharing)?])
        }
        ListenAddress::Every(port) => {
            // [::] takes IPv4 clients as well; without IPv6 in the kernel there is only 0.0.0.0.
            listen_tcp((Ipv6Addr::UNSPECIFIED, *port).into(), limits, sharing)
                .or_else(|error| match error.kind() {
                    io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
                    _ => listen_tcp((Ipv4Addr::UNSPECIFIED, *port).into(), limits, sharing),
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

/// Of the addresses of IPv6, `[::]` takes IPv4 clients as well.
fn listen_tcp(address: SocketAddr, limits: &Limits, sharing: Sharing) -> io::Result<Listener> {
    let only_v6 = address.is_ipv6() && !address.ip().is_unspecified();
    listen_at((address, only_v6), limits, sharing)
}

/// An address, and whether its socket takes clients of IPv6 only.
type Spot = (SocketAddr, bool);

fn listen_at(spot: Spot, limits: &Limits, sharing: Sharing) -> io::Result<Listener> {
    if sharing == Sharing::Several {
        check_free(spot)?;
    }
    // 1. Create.
    let (address, _) = spot;
    let (socket, mut warnings) = create_tcp(spot, limits)?;
    if sharing == Sharing::Several {
        warnings.extend(share_port(&socket, address));
    }
    // 2. Bind.
    socket.bind(&address.into())?;
    let listener = Listener {
        socket: Listening::Tcp(TcpListener::from_std(socket.into())),
        opening: Cell::default(),
        ready: false,
        warnings,
    };
    // 3. Listen.
    if sharing == Sharing::Alone {
        listener.begin(limits.backlog)?;
    }
    Ok(listener)
}

fn create_tcp(spot: Spot, limits: &Limits) -> io::Result<(Socket, Vec<String>)> {
    let (address, _) = spot;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    let warnings = set_options(&socket, spot, limits);
    Ok((socket, warnings))
}

/// Sockets with SO_REUSEPORT could join those of another program of the same user, and take a part
/// of its connections. A bind without the option shows whether there is one.
fn check_free((address, only_v6): Spot) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let probe = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    probe.set_reuse_address(true)?;
    if address.is_ipv6() {
        probe.set_only_v6(only_v6)?;
    }
    probe.bind(&address.into())
}

/// Lets several sockets listen on the address; the kernel spreads connections over them. Elsewhere
/// than on Linux it does not, and all processes use one socket.
#[cfg(target_os = "linux")]
fn share_port(socket: &Socket, address: SocketAddr) -> Option<String> {
    let error = socket.set_reuse_port(true).err()?;
    Some(format!("{address}: SO_REUSEPORT cannot be set ({error}): all workers use one socket"))
}

#[cfg(not(target_os = "linux"))]
fn share_port(_: &Socket, _: SocketAddr) -> Option<String> {
    None
}

fn listen_unix(path: &Path, backlog: u32, sharing: Sharing) -> io::Result<Listener> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile::new(path)?;
    let socket = UnixListener::from_std(OwnedFd::from(socket).into());
    let socket = Listening::Unix(socket, path.to_owned(), Some(file));
    let listener =
        Listener { socket, opening: Cell::default(), ready: false, warnings: Vec::new() };
    if sharing == Sharing::Alone {
        listener.begin(backlog)?;
    }
    // The permissions of the folder decide who may connect, as with nginx: a proxy runs as another
    // user.
    fs::set_permissions(path, Permissions::from_mode(0o666))?;
    Ok(listener)
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

impl Listener {
    /// A socket that another process has bound; for a Unix socket, with its path. That process
    /// removes the path.
    pub fn inherited(socket: OwnedFd, path: Option<PathBuf>) -> Listener {
        Listener::adopted(socket, path.map(|path| (path, None)))
    }

    /// A socket that an earlier program of this process has bound; for a Unix socket, with its
    /// path, and with what removes that.
    pub fn adopted(socket: OwnedFd, path: Option<(PathBuf, Option<SocketFile>)>) -> Listener {
        let socket = match path {
            None => Listening::Tcp(TcpListener::from_std(socket.into())),
            Some((path, file)) => {
                Listening::Unix(UnixListener::from_std(socket.into()), path, file)
            }
        };
        Listener { socket, opening: Cell::default(), ready: false, warnings: Vec::new() }
    }

    /// Another socket on the same address, for another process; see [`bind_shared`]. `None`: all
    /// processes must use the one that there is.
    ///
    /// # Errors
    /// If it cannot be bound.
    #[cfg(target_os = "linux")]
    pub fn sibling(&self, limits: &Limits) -> io::Result<Option<Listener>> {
        let Some(address) = self.address().filter(|_| self.shares_port()) else { return Ok(None) };
        let (socket, mut warnings) = create_tcp((address, self.is_only_v6()), limits)?;
        warnings.extend(share_port(&socket, address));
        socket.bind(&address.into())?;
        let socket = Listening::Tcp(TcpListener::from_std(socket.into()));
        Ok(Some(Listener { socket, opening: self.opening.clone(), ready: false, warnings }))
    }

    /// All processes use the one socket.
    #[cfg(not(target_os = "linux"))]
    pub fn sibling(&self, _: &Limits) -> io::Result<Option<Listener>> {
        Ok(None)
    }

    /// Whether it takes no clients of IPv4.
    fn is_only_v6(&self) -> bool {
        let is_v6 = self.address().is_some_and(|address| address.is_ipv6());
        is_v6 && SockRef::from(self).only_v6().unwrap_or(false)
    }

    #[cfg(target_os = "linux")]
    fn shares_port(&self) -> bool {
        rustix::net::sockopt::socket_reuseport(self).unwrap_or(false)
    }

    /// What precedes the first request of its connections: nothing, unless
    /// [`Listener::set_opening`] said otherwise.
    pub fn opening(&self) -> Opening {
        self.opening.get()
    }

    /// Sets what precedes the first request of the connections that are accepted from now on.
    pub fn set_opening(&self, opening: Opening) {
        self.opening.set(opening);
    }

    /// Step three: listen. On a socket that listens already, it only changes the backlog.
    ///
    /// # Errors
    /// Those of listen(2).
    pub fn begin(&self, backlog: u32) -> io::Result<()> {
        Ok(rustix::net::listen(self, i32::try_from(backlog).unwrap_or(i32::MAX))?)
    }

    /// Sets the options of a TCP socket that another program has bound. What the kernel refuses
    /// is a warning.
    pub(super) fn set_options(&mut self, limits: &Limits) {
        let Some(address) = self.address() else { return };
        self.warnings = set_tcp_options(&SockRef::from(&*self), address, limits);
    }

    /// Sets the options of a TCP socket that depend on limits once more, after a change of those.
    /// What the kernel refuses was a warning when the socket was made.
    pub fn adjust(&self, limits: &Limits) {
        if self.path().is_none() {
            adjust(&SockRef::from(self), limits);
        }
    }

    /// Accepts one connection, in non-blocking mode, with the address of the client.
    pub fn accept(&self) -> io::Result<(OwnedFd, Option<IpAddr>)> {
        match &self.socket {
            Listening::Tcp(listener) => {
                listener.accept().map(|(stream, from)| (stream.into(), Some(from.ip())))
            }
            Listening::Unix(listener, ..) => {
                listener.accept().map(|(stream, _)| (stream.into(), None))
            }
        }
    }

    /// Whether a connection is waiting, without accepting it.
    pub fn somebody_waits(&self) -> bool {
        let mut fds = [match &self.socket {
            Listening::Tcp(listener) => PollFd::new(listener, PollFlags::IN),
            Listening::Unix(listener, ..) => PollFd::new(listener, PollFlags::IN),
        }];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        !matches!(poll(&mut fds, Some(&at_once)), Ok(0))
    }

    /// Asks the poll to report connections under `token`.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Listening::Tcp(listener) => listener.register(registry, token, Interest::READABLE),
            Listening::Unix(listener, ..) => listener.register(registry, token, Interest::READABLE),
        }
    }

    /// Problems that do not prevent serving, for the log.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The path of a Unix socket.
    pub fn path(&self) -> Option<&Path> {
        match &self.socket {
            Listening::Tcp(_) => None,
            Listening::Unix(_, path, _) => Some(path),
        }
    }

    /// What removes the name of the socket in the file system, if that is for this process to do.
    pub fn socket_file(&self) -> Option<&SocketFile> {
        match &self.socket {
            Listening::Tcp(_) => None,
            Listening::Unix(_, _, file) => file.as_ref(),
        }
    }

    /// The bound address, with its real port.
    fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Listening::Tcp(listener) => listener.local_addr().ok(),
            Listening::Unix(..) => None,
        }
    }

    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        self.address().is_none_or(|address| address.ip().to_canonical().is_loopback())
    }

    /// Whether connections to an address of one can arrive at the other.
    pub fn overlaps(&self, other: &Listener) -> bool {
        let (Some(one), Some(two)) = (self.address(), other.address()) else { return false };
        let includes = |wide: &Listener, ip: IpAddr, other: IpAddr| {
            let family = ip.is_ipv4() == other.is_ipv4() || ip.is_ipv6() && !wide.is_only_v6();
            ip == other || ip.is_unspecified() && family
        };
        let (one_ip, two_ip) = (one.ip(), two.ip());
        let is_one = includes(self, one_ip, two_ip) || includes(other, two_ip, one_ip);
        one.port() == two.port() && is_one
    }

    /// The bound port; `None`: it is no socket of TCP.
    pub fn port(&self) -> Option<u16> {
        self.address().map(|address| address.port())
    }

    /// The bound address as a URL; of a Unix socket, its path.
    pub fn url(&self) -> String {
        match &self.socket {
            Listening::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("{}://{address}", self.opening().scheme()),
                Err(error) => format!("{}://unknown ({error})", self.opening().scheme()),
            },
            Listening::Unix(_, path, _) => format!("unix:{}", path.display()),
        }
    }

    /// URLs that a browser can open: for a socket that is bound to all addresses, `localhost` and
    /// some addresses of the machine, out of `machine`.
    pub fn links(&self, machine: &[IpAddr]) -> Vec<String> {
        let Some(address) = self.address() else { return vec![self.url()] };
        let scheme = self.opening().scheme();
        if !address.ip().is_unspecified() {
            return vec![format!("{scheme}://{address}/")];
        }
        let port = address.port();
        let (has_v4, has_v6) = (!self.is_only_v6(), address.is_ipv6());
        let reachable = machine.iter().filter(|ip| if ip.is_ipv4() { has_v4 } else { has_v6 });
        let named = reachable.take(MOST_LINKS).map(|&ip| SocketAddr::new(ip, port));
        std::iter::once(format!("{scheme}://localhost:{port}/"))
            .chain(named.map(|address| format!("{scheme}://{address}/")))
            .collect()
    }

    /// Stops listening. Returns a warning if the file of a Unix socket could not be removed.
    pub fn close(self) -> Option<String> {
        let file = self.socket_file()?;
        let error = file.remove().err()?;
        let path = file.path().display();
        Some(format!("cannot remove unix:{path}: {error}; the next start on it removes it"))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Listening::Tcp(listener) => listener.as_fd(),
            Listening::Unix(listener, ..) => listener.as_fd(),
        }
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
