//! Listening sockets that systemd has bound: socket activation, sd_listen_fds(3).
//!
//! systemd keeps such a socket open, and starts the service again when a connection waits. So
//! these sockets belong to it: no other process removes the path of one, or adds another with
//! SO_REUSEPORT.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::SocketType;
use rustix::net::sockopt::{socket_acceptconn, socket_type};
use socket2::SockRef;

use crate::config::Limits;

use super::listen::Listener;

/// The sockets that this process was started with.
#[derive(Debug, Default)]
pub struct Activated {
    sockets: Vec<Passed>,
}

#[derive(Debug)]
struct Passed {
    /// `FileDescriptorName=` in the unit of the socket.
    name: String,
    /// Why connections cannot be accepted on it, if that is so.
    socket: Result<OwnedFd, &'static str>,
}

impl Activated {
    /// Takes the sockets out of the environment; none if there is no service manager. To be called
    /// once, before anything is opened.
    ///
    /// # Errors
    /// In one line: if the environment is malformed.
    pub fn take() -> Result<Activated, String> {
        let failed = |error: &dyn std::fmt::Display| {
            format!("cannot use the sockets of systemd: {error} (LISTEN_FDS)")
        };
        // It also checks that they are open, and keeps children from inheriting them.
        _ = sd_notify::listen_fds().map_err(|error| failed(&error))?;
        let found = sd_listen_fds::get().map_err(|error| failed(&error))?;
        let passed = |(name, socket): (Option<String>, sd_listen_fds::OwnedFd)| Passed {
            name: name.unwrap_or_default(),
            socket: listening(socket.into_std()),
        };
        Ok(Activated { sockets: found.into_iter().map(passed).collect() })
    }

    /// The sockets with this name; all of them if it is empty.
    ///
    /// # Errors
    /// In one line: if there is none, or connections cannot be accepted on one of them.
    pub fn listeners(&self, name: &str, limits: &Limits) -> Result<Vec<Listener>, String> {
        let mut listeners = Vec::new();
        for Passed { name, socket } in self.named(name) {
            let socket = socket.as_ref().map_err(|why| format!("the socket '{name}' is {why}"))?;
            let listener = listener(socket, limits);
            listeners.push(listener.map_err(|error| format!("the socket '{name}': {error}"))?);
        }
        if !listeners.is_empty() {
            return Ok(listeners);
        }
        Err(match self.names() {
            Some(names) => format!(
                "systemd passed no socket of this name, only {names}; FileDescriptorName= in the \
                 socket unit sets it"
            ),
            None => "systemd passed no sockets; start the socket unit, which starts the service"
                .to_owned(),
        })
    }

    /// The names of all sockets, for a message; `None`: there are none.
    pub fn names(&self) -> Option<String> {
        let mut names: Vec<String> =
            self.sockets.iter().map(|passed| format!("'{}'", passed.name)).collect();
        names.dedup();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// Those on which connections can be accepted, for a later program of this process.
    pub fn usable(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        self.sockets.iter().filter_map(|Passed { name, socket }| {
            let socket = socket.as_ref().ok()?;
            Some((name.as_str(), socket.as_fd()))
        })
    }

    /// Adds one that an earlier program of this process has taken.
    pub fn adopt(&mut self, name: &str, socket: OwnedFd) {
        self.sockets.push(Passed { name: name.to_owned(), socket: Ok(socket) });
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Passed> {
        self.sockets.iter().filter(move |passed| name.is_empty() || passed.name == name)
    }
}

/// The descriptor, if it is a socket that listens.
fn listening(socket: OwnedFd) -> Result<OwnedFd, &'static str> {
    let (kind, listens) = (socket_type(&socket), socket_acceptconn(&socket));
    match (kind, listens) {
        (Ok(SocketType::STREAM), Ok(true)) => Ok(socket),
        (Ok(SocketType::STREAM), _) => Err("a connection; write Accept=no in its unit"),
        (Ok(SocketType::DGRAM), _) => Err("a datagram socket; write ListenStream= in its unit"),
        _ => Err("no stream socket; write ListenStream= in its unit"),
    }
}

fn listener(socket: &OwnedFd, limits: &Limits) -> io::Result<Listener> {
    fcntl_setfl(socket, fcntl_getfl(socket)? | OFlags::NONBLOCK)?;
    let address = SockRef::from(socket).local_addr()?;
    let path = match (address.is_unix(), address.as_pathname()) {
        (false, _) if address.as_socket().is_some() => None,
        (false, _) => return Err(io::Error::other("it is neither of TCP nor of Unix")),
        (true, Some(path)) => Some(path.to_owned()),
        // Its name is in no file system.
        (true, None) => {
            let name = address.as_abstract_namespace().map(String::from_utf8_lossy);
            Some(format!("@{}", name.unwrap_or_default()).into())
        }
    };
    let mut listener = Listener::inherited(socket.try_clone()?, path);
    listener.set_options(limits);
    // It listens already: this sets the backlog.
    listener.begin(limits.backlog)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixListener;

    fn passed(sockets: Vec<(&str, OwnedFd)>) -> Activated {
        let mut activated = Activated::default();
        for (name, socket) in sockets {
            activated.adopt(name, socket);
        }
        activated
    }

    #[test]
    fn a_name_stands_for_all_its_sockets_and_no_name_for_all() {
        let tcp = || TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (first, second) = (tcp(), tcp());
        let addresses = [&first, &second].map(|socket| socket.local_addr().unwrap());
        let unix = UnixListener::bind(&path).unwrap();
        let activated =
            passed(vec![("web", first.into()), ("web", second.into()), ("local", unix.into())]);
        let limits = Limits::default();
        let urls = |name| {
            let listeners = activated.listeners(name, &limits).unwrap();
            listeners.iter().map(Listener::url).collect::<Vec<_>>()
        };
        let local = format!("unix:{}", path.display());
        let web = addresses.map(|address| format!("http://{address}"));
        assert_eq!(urls("web"), web);
        assert_eq!(urls("local"), [&*local]);
        assert_eq!(urls(""), [&*web[0], &web[1], &local]);
        let error = activated.listeners("other", &limits).unwrap_err();
        assert!(error.contains("only 'web', 'local'; FileDescriptorName="), "{error}");
        let error = Activated::default().listeners("web", &limits).unwrap_err();
        assert!(error.contains("systemd passed no sockets"), "{error}");
        // None of them waits in accept, and none removes the path.
        let listener = activated.listeners("web", &limits).unwrap().remove(0);
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        TcpStream::connect(addresses[0]).unwrap();
        assert!(listener.somebody_waits());
        let listener = activated.listeners("local", &limits).unwrap().remove(0);
        assert_eq!(listener.close(), None);
        assert!(path.exists());
    }
}
