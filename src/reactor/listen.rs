//! Create a socket, bind it, listen: steps one to three of the five of a TCP server. And accept.

use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{Limits, ListenAddress};

/// A socket that awaits connections.
#[derive(Debug)]
pub struct Listener {
    socket: Listening,
    /// A connection may be waiting. Edge-triggered: nobody says so twice.
    pub(super) ready: bool,
    /// Why the kernel will not keep connections back until they ask, if it was asked to.
    undeferred: Option<io::Error>,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// Creates, binds and listens, on every address that the name stands for.
pub fn listen(address: &ListenAddress, limits: &Limits) -> io::Result<Vec<Listener>> {
    match address {
        ListenAddress::Unix(path) => Ok(vec![listen_unix(path, limits.backlog)?]),
        ListenAddress::Tcp(name) => {
            name.to_socket_addrs()?.map(|address| listen_tcp(address, limits)).collect()
        }
    }
}

fn listen_tcp(address: SocketAddr, limits: &Limits) -> io::Result<Listener> {
    // 1. Create.
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A restart need not wait until the last connections of its forerunner are forgotten.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // [::] means every address of the machine; IPv4 clients appear as ::ffff:a.b.c.d.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // Every answer leaves in as few sends as can be, so there is nothing to be gained by waiting
    // for more. Accepted sockets inherit it.
    socket.set_tcp_nodelay(true)?;
    bound_unsent(&socket, limits.unsent_bytes)?;
    bound_unacknowledged(&socket, limits.write_timeout_ms)?;
    let undeferred = await_request(&socket, limits.defer_accept_s).err();
    // 2. Bind.
    socket.bind(&address.into())?;
    // 3. Listen.
    socket.listen(i32::try_from(limits.backlog).unwrap_or(i32::MAX))?;
    let socket = Listening::Tcp(TcpListener::from_std(socket.into()));
    Ok(Listener { socket, ready: false, undeferred })
}

/// Bounds what the kernel takes from us before it can send it. That saves megabytes for each client
/// that is slow, and a slow client's progress shows: there is room again after half of it, not
/// after a third of several megabytes. And the kernel widens the window of a receiver that is
/// served steadily, not of one that gets a megabyte at a time and then waits for its turn.
/// Accepted sockets inherit it.
#[cfg(target_os = "linux")]
fn bound_unsent(socket: &Socket, bytes: u32) -> io::Result<()> {
    if bytes == 0 { Ok(()) } else { socket.set_tcp_notsent_lowat(bytes) }
}

#[cfg(not(target_os = "linux"))]
fn bound_unsent(_: &Socket, _: u32) -> io::Result<()> {
    Ok(())
}

/// Has the kernel end a connection whose peer takes nothing for so long, also one that we have
/// closed already, with what we left to be sent. Otherwise it would keep that for minutes, for a
/// peer that keeps its window shut, and no limit of ours would hold. Accepted sockets inherit it.
#[cfg(target_os = "linux")]
fn bound_unacknowledged(socket: &Socket, ms: u64) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(Duration::from_millis(ms)))
}

#[cfg(not(target_os = "linux"))]
fn bound_unacknowledged(_: &Socket, _: u64) -> io::Result<()> {
    Ok(())
}

/// Has the kernel keep a new connection to itself until its first request is there, for so long at
/// most. Then a connection that brings one request costs four system calls: accept, receive, send,
/// close. Otherwise it is accepted too early, so that it is received from in vain, registered with
/// the poll, and waited for; and one that is opened on suspicion, as browsers do, takes a slot.
#[cfg(target_os = "linux")]
fn await_request(socket: &Socket, seconds: u32) -> io::Result<()> {
    if seconds > 0 {
        nix::sys::socket::setsockopt(socket, linux::DeferAccept, &seconds)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn await_request(_: &Socket, _: u32) -> io::Result<()> {
    Ok(())
}

/// A socket option that the crates we have do not name.
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
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    // Who may connect is for the folder's permissions to say, as with nginx: a proxy has a user of
    // its own.
    fs::set_permissions(path, Permissions::from_mode(0o666))?;
    let socket = UnixListener::from_std(OwnedFd::from(socket).into());
    let socket = Listening::Unix(socket, path.to_owned());
    Ok(Listener { socket, ready: false, undeferred: None })
}

/// Removes a socket that nobody listens on, which a server that was killed leaves behind.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        _ => return Ok(()), // nothing there; or something that bind will complain about
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}

impl Listener {
    /// Accepts one connection, in non-blocking mode, and says who it is from.
    pub(super) fn accept(&self) -> io::Result<(OwnedFd, Option<IpAddr>)> {
        match &self.socket {
            Listening::Tcp(listener) => {
                listener.accept().map(|(stream, from)| (stream.into(), Some(from.ip())))
            }
            Listening::Unix(listener, _) => {
                listener.accept().map(|(stream, _)| (stream.into(), None))
            }
        }
    }

    /// Whether there is a connection to be accepted, asked without accepting it.
    pub(super) fn somebody_waits(&self) -> bool {
        let mut fds = [match &self.socket {
            Listening::Tcp(listener) => PollFd::new(listener, PollFlags::IN),
            Listening::Unix(listener, _) => PollFd::new(listener, PollFlags::IN),
        }];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        !matches!(poll(&mut fds, Some(&at_once)), Ok(0))
    }

    /// Asks the poll to report connections under `token`.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Listening::Tcp(listener) => listener.register(registry, token, Interest::READABLE),
            Listening::Unix(listener, _) => listener.register(registry, token, Interest::READABLE),
        }
    }

    /// What was asked for and cannot be had, though the server can do without it; for the log.
    pub fn warning(&self) -> Option<String> {
        let error = self.undeferred.as_ref()?;
        Some(format!(
            "{}: connections are accepted before they ask, because TCP_DEFER_ACCEPT cannot be set \
             here ({error}); --limit defer_accept_s=0 does not ask for it",
            self.url(),
        ))
    }

    /// Where it listens, as a person would type it; the port is the real one.
    pub fn url(&self) -> String {
        match &self.socket {
            Listening::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("http://{address}"),
                Err(error) => format!("http://unknown ({error})"),
            },
            Listening::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }
}

impl Listener {
    /// Takes no more connections. Returns what remains of it that should not, for the log.
    pub(super) fn close(self) -> Option<String> {
        let error = self.remove_name().err()?;
        let url = self.url();
        Some(format!("{url} stays behind: {error}; the next start on it removes it"))
    }

    /// Removes the name of a Unix socket.
    fn remove_name(&self) -> io::Result<()> {
        let Listening::Unix(_, path) = &self.socket else { return Ok(()) };
        match fs::remove_file(path) {
            // That it is gone is what was wanted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        _ = self.remove_name(); // who wants to know asks by `close`
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_will_not_defer_is_reported_and_used_all_the_same() {
        let address = ListenAddress::Tcp("127.0.0.1:0".to_owned());
        let mut listener = listen(&address, &Limits::default()).unwrap().remove(0);
        assert_eq!(listener.warning(), None);
        listener.undeferred = Some(io::ErrorKind::Unsupported.into());
        let warning = listener.warning().unwrap();
        assert!(warning.starts_with("http://127.0.0.1:"), "{warning}");
        assert!(warning.ends_with("--limit defer_accept_s=0 does not ask for it"), "{warning}");
    }
}
