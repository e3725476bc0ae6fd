//! Step four of the five: accept. And what happens when there is no room.

use std::io;

use mio::Registry;
use rustix::io::Errno;

use crate::clock::Tick;
use crate::config::{Limits, LogLevel, WhenFull};
use crate::journal::{About, Kind};
use crate::net::Transport;
use crate::net::listen::Listener;

use super::connections::Connections;
use super::listener_token;
use super::resources::Resources;
use super::turn::{Effort, Turn};

/// The listeners, and what prevents accepting.
#[derive(Debug)]
pub(super) struct Acceptor {
    listeners: Vec<Listener>,
    when_full: WhenFull,
    pause: Pause,
    /// While the server stops: how many more are accepted before the listeners are closed.
    left: Option<u32>,
}

impl Acceptor {
    /// Registers the listeners.
    pub(super) fn new(
        mut listeners: Vec<Listener>,
        when_full: WhenFull,
        registry: &Registry,
    ) -> io::Result<Acceptor> {
        for (index, listener) in listeners.iter_mut().enumerate() {
            listener.register(registry, listener_token(index))?;
        }
        Ok(Acceptor { listeners, when_full, pause: Pause::default(), left: None })
    }

    /// The poll reported a connection on this listener.
    pub(super) fn note(&mut self, index: usize) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.ready = true;
        }
    }

    /// When to try again without a new event; a tick in the past means at once.
    pub(super) fn due(&self) -> Option<Tick> {
        self.is_ready().then(|| self.pause.until.unwrap_or(Tick(0)))
    }

    fn is_ready(&self) -> bool {
        self.listeners.iter().any(|listener| listener.ready)
    }

    /// Accepts connections, as many as a turn allows on each address, and as the time allows.
    pub(super) fn accept(
        &mut self,
        connections: &mut Connections,
        resources: &mut Resources,
        turn: &Turn,
    ) {
        self.pause.update(connections.closed(), turn.now());
        if self.is_ready() {
            self.accept_ready(connections, resources, turn);
        }
        self.close_drained(resources);
    }

    fn accept_ready(
        &mut self,
        connections: &mut Connections,
        resources: &mut Resources,
        turn: &Turn,
    ) {
        let mut slice = turn.slice();
        // Another one is the first each time, so that a crowd at one address does not lock out the
        // others.
        let count = self.listeners.len();
        let first = usize::try_from(turn.clock().turn % count as u64).unwrap_or(0); // below `count`
        for offset in 0..count {
            let index = (first + offset) % count;
            for _ in 0..resources.limits.accepts_per_turn {
                self.pause.update(connections.closed(), turn.now());
                if !self.listeners[index].ready
                    || self.left == Some(0)
                    || self.pause.until.is_some()
                    || !self.has_slot(connections, resources, turn)
                {
                    break;
                }
                let effort = match self.listeners[index].accept() {
                    Ok((socket, from)) => {
                        self.left = self.left.map(|left| left - 1);
                        let opening = self.listeners[index].opening();
                        let transport = Transport::plain(socket);
                        connections.insert(transport, from, opening, resources, turn)
                    }
                    Err(error) => {
                        self.accept_failed(index, &error, connections, resources, turn);
                        Effort::default()
                    }
                };
                if slice.is_over(effort) {
                    return;
                }
            }
        }
    }

    /// Whether there is a slot for one more connection, if necessary that of an evictable one. With
    /// `--when-full refuse`, a spare slot, in which it gets a 503, is enough.
    fn has_slot(
        &mut self,
        connections: &mut Connections,
        resources: &mut Resources,
        turn: &Turn,
    ) -> bool {
        let (most, now) = (resources.limits.connections, turn.now());
        if connections.admitted() < most {
            return true;
        }
        // The search looks at every slot when it finds none: once a tick is enough.
        if self.pause.in_vain != Some(now) && connections.can_evict(resources, turn) {
            return true;
        }
        self.pause.in_vain = Some(now);
        if self.when_full == WhenFull::Refuse && connections.can_turn_away(turn) {
            return true;
        }
        self.pause.until = Some(now + FULL_PAUSE_MS);
        false
    }

    /// An accept failed. No error of a single connection may end the listener.
    fn accept_failed(
        &mut self,
        index: usize,
        error: &io::Error,
        connections: &mut Connections,
        resources: &mut Resources,
        turn: &Turn,
    ) {
        if error.kind() == io::ErrorKind::WouldBlock {
            self.listeners[index].ready = false;
            return;
        }
        let errno = Errno::from_io_error(error);
        if errno.is_some_and(|errno| LOST_BEFORE.contains(&errno)) {
            return;
        }
        // The kernel looks for a descriptor before it looks for a connection.
        if !self.listeners[index].somebody_waits() {
            self.listeners[index].ready = false;
            return;
        }
        if errno == Some(Errno::MFILE) && connections.evict_turned_away(resources, turn) {
            return;
        }
        // Cached files can be opened again, and an idle client can connect again; a client that is
        // not accepted can do nothing.
        resources.sites.close_files();
        if errno == Some(Errno::MFILE) && connections.evict(resources, turn) {
            return;
        }
        let now = turn.now();
        self.pause.until = Some(now + EXHAUSTED_PAUSE_MS);
        resources.journal.repeat(
            Kind::AcceptPaused,
            now,
            format_args!("not accepting for now: {error}"),
            &About::default().reason(error),
        );
    }

    /// The server stops: accepts what waits in the backlog, then closes the listeners. A connection
    /// in the backlog may have sent its request already.
    pub(super) fn drain(&mut self, limits: &Limits) {
        self.left = Some(limits.backlog);
        for listener in &mut self.listeners {
            listener.ready = true;
        }
    }

    /// True if all listeners are closed.
    pub(super) fn is_closed(&self) -> bool {
        self.listeners.is_empty()
    }

    /// While the server stops, closes the listeners whose backlog is empty, and all of them when as
    /// many connections were accepted as fit into a backlog: newcomers must not keep it open.
    fn close_drained(&mut self, resources: &mut Resources) {
        match self.left {
            None => {}
            Some(0) => self.close(resources),
            Some(_) => {
                let empty: Vec<Listener> =
                    self.listeners.extract_if(.., |listener| !listener.ready).collect();
                empty.into_iter().for_each(|listener| close(listener, resources));
            }
        }
    }

    /// Closes all listeners.
    pub(super) fn close(&mut self, resources: &mut Resources) {
        self.listeners.drain(..).for_each(|listener| close(listener, resources));
    }
}

fn close(listener: Listener, resources: &mut Resources) {
    if let Some(warning) = listener.close() {
        resources.journal.note(LogLevel::Warn, format_args!("{warning}"));
    }
}

/// Why no connections are accepted at the moment, and until when.
#[derive(Debug, Default)]
struct Pause {
    /// No descriptor was left, or all slots are taken and no connection could be evicted.
    until: Option<Tick>,
    /// When a search for an evictable connection last found none.
    in_vain: Option<Tick>,
    /// How many connections had been closed at the last update.
    closed: u64,
}

impl Pause {
    /// Ends it if its time is over, or if a connection was closed, because then there is a slot and
    /// a descriptor again.
    fn update(&mut self, closed: u64, now: Tick) {
        if self.closed != closed {
            self.closed = closed;
            self.until = None;
        }
        self.until = self.until.filter(|&until| until > now);
    }
}

/// Errors of accept that concern a connection that was lost before it was accepted: the network
/// errors after which accept(2) of Linux asks for another try, EPERM (a firewall), and what ends a
/// connection on other systems. Any other error is ours, and trying again at once does not help.
const LOST_BEFORE: &[Errno] = &[
    Errno::CONNABORTED,
    Errno::CONNRESET,
    Errno::INTR,
    Errno::PROTO,
    Errno::PERM,
    Errno::NETDOWN,
    Errno::NETUNREACH,
    Errno::NOPROTOOPT,
    Errno::HOSTDOWN,
    Errno::HOSTUNREACH,
    Errno::OPNOTSUPP,
    Errno::TIMEDOUT,
    #[cfg(target_os = "linux")]
    Errno::NONET,
];

/// How long accepting pauses when there is no descriptor left, unless one becomes free before.
const EXHAUSTED_PAUSE_MS: u64 = 250;

/// How long it pauses when all slots are taken by busy connections, unless one ends before.
const FULL_PAUSE_MS: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ListenAddress, SiteConfig};
    use crate::files::Door;
    use crate::net::listen::listen;
    use crate::reactor::Reactor;
    use crate::site::Sites;
    use std::net::TcpStream;

    #[test]
    fn a_crowd_at_one_address_makes_no_long_turn_and_does_not_lock_out_another() {
        let root = tempfile::tempdir().unwrap();
        let limits =
            Limits { connections: 100, slice_ms: 0, defer_accept_s: 0, ..Limits::default() };
        let sites =
            Sites::new(vec![SiteConfig::at(root.path())], &limits, Door::best(), 0).unwrap();
        let bind = || listen(&ListenAddress::Tcp("127.0.0.1:0".to_owned()), &limits).unwrap();
        let listeners: Vec<_> = bind().into_iter().chain(bind()).collect();
        let connect = |index: usize| {
            let url = listeners[index].url();
            TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap()
        };
        let _crowd: Vec<_> = (0..40).map(|_| connect(0)).collect();
        let _other = connect(1);
        let mut reactor = Reactor::new(sites, listeners, WhenFull::Wait, limits.clone()).unwrap();
        let Reactor { acceptor, connections, resources, turn, .. } = &mut reactor;
        for listener in &mut acceptor.listeners {
            listener.ready = true;
        }
        for number in 1..=2 {
            turn.begin();
            acceptor.accept(connections, resources, turn);
            assert!(connections.len() <= number * 10, "{} in turn {number}", connections.len());
        }
        assert!(acceptor.listeners[0].ready && !acceptor.listeners[1].ready);
    }
}
