//! Step four of the five: accept. And what happens when there is no room.

use std::io;

use mio::Registry;
use rustix::io::Errno;

use crate::clock::Tick;
use crate::config::{Limits, LogLevel, WhenFull};
use crate::journal::{About, Kind};
use crate::net::Transport;
use crate::net::listen::Listener;

use super::connections::{Connections, Internal};
use super::counts::Limited;
use super::listener_token;
use super::resources::Resources;
use super::turn::{Effort, Turn};

/// The listeners, and what prevents accepting.
#[derive(Debug)]
pub(super) struct Acceptor {
    listeners: Vec<Listener>,
    /// The sockets of the admin listener.
    internal: Vec<Listener>,
    /// The number of the first of them in the tokens; those of visitors come before.
    internal_from: usize,
    when_full: WhenFull,
    pause: Pause,
    /// While the server stops: how many more are accepted before the listeners are closed.
    left: Option<u32>,
    /// How often accepting paused.
    pauses: u64,
}

impl Acceptor {
    /// Registers the listeners.
    pub(super) fn new(
        listeners: Vec<Listener>,
        when_full: WhenFull,
        registry: &Registry,
    ) -> io::Result<Acceptor> {
        let is_internal = |listener: &Listener| listener.opening().internal;
        let (mut internal, mut listeners): (Vec<_>, Vec<_>) =
            listeners.into_iter().partition(is_internal);
        for (index, listener) in listeners.iter_mut().chain(&mut internal).enumerate() {
            listener.register(registry, listener_token(index))?;
        }
        let internal_from = listeners.len();
        Ok(Acceptor {
            listeners,
            internal,
            internal_from,
            when_full,
            pause: Pause::default(),
            left: None,
            pauses: 0,
        })
    }

    /// How often accepting paused so far.
    pub(super) fn pauses(&self) -> u64 {
        self.pauses
    }

    /// The poll reported a connection on this listener.
    pub(super) fn note(&mut self, index: usize) {
        let listener = match index.checked_sub(self.internal_from) {
            Some(index) => self.internal.get_mut(index),
            None => self.listeners.get_mut(index),
        };
        if let Some(listener) = listener {
            listener.ready = true;
        }
    }

    /// When to try again without a new event; a tick in the past means at once.
    pub(super) fn due(&self) -> Option<Tick> {
        let internal = self.internal.iter().any(|listener| listener.ready);
        if internal && !self.pause.is_exhausted() {
            return Some(Tick(0));
        }
        (internal || self.is_ready()).then(|| self.pause.until.unwrap_or(Tick(0)))
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
        self.accept_internal(connections, resources, turn);
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
                        let transport = match opening.tls {
                            false => Some(Transport::plain(socket)),
                            true => Transport::secured(socket, &resources.pools.terminal),
                        };
                        match transport {
                            Some(it) => connections.insert(it, from, opening, resources, turn),
                            None => Effort::default(), // no memory for a session
                        }
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

    /// Accepts at the admin listener, also while all slots for visitors are taken.
    fn accept_internal(
        &mut self,
        connections: &mut Connections,
        resources: &mut Resources,
        turn: &Turn,
    ) {
        for listener in &mut self.internal {
            for _ in 0..INTERNAL_PER_TURN {
                if !listener.ready || self.pause.is_exhausted() {
                    break;
                }
                match listener.accept() {
                    Ok((socket, _)) => {
                        Internal::insert(connections, Transport::plain(socket), resources, turn);
                    }
                    Err(error) if is_lost(&error) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        listener.ready = false;
                    }
                    // Visitors notice a lack of descriptors as well, and make room.
                    Err(_) => {
                        listener.ready = listener.somebody_waits();
                        self.pauses += 1;
                        self.pause.until = Some(turn.now() + EXHAUSTED_PAUSE_MS);
                        self.pause.exhausted = true;
                    }
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
        connections.counts.limit(Limited::Connections);
        // The search looks at every slot when it finds none: once a tick is enough.
        if self.pause.in_vain != Some(now) && connections.can_evict(resources, turn) {
            return true;
        }
        self.pause.in_vain = Some(now);
        if self.when_full == WhenFull::Refuse && connections.can_turn_away(turn) {
            return true;
        }
        self.pause(now + FULL_PAUSE_MS, false);
        false
    }

    fn pause(&mut self, until: Tick, exhausted: bool) {
        self.pauses += 1;
        self.pause.until = Some(until);
        self.pause.exhausted = exhausted;
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
        if is_lost(error) {
            return;
        }
        let errno = Errno::from_io_error(error);
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
        self.pause(now + EXHAUSTED_PAUSE_MS, true);
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

    /// Another process takes the place of this one: it answers at the admin listener from now on.
    pub(super) fn leave_internal(&mut self) {
        self.internal.clear();
    }

    /// True if all listeners but the admin listener are closed.
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

    /// Closes all listeners but the admin listener, which says until the end that the server
    /// stops.
    pub(super) fn close(&mut self, resources: &mut Resources) {
        self.listeners.drain(..).for_each(|listener| close(listener, resources));
    }

    /// Closes the admin listener.
    pub(super) fn close_internal(&mut self, resources: &mut Resources) {
        self.internal.drain(..).for_each(|listener| close(listener, resources));
    }
}

/// Whether the connection was lost before it was accepted.
fn is_lost(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| LOST_BEFORE.contains(&errno))
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
    /// The reason is that no descriptor was left.
    exhausted: bool,
    /// When a search for an evictable connection last found none.
    in_vain: Option<Tick>,
    /// How many connections had been closed at the last update.
    closed: u64,
}

impl Pause {
    /// True if no descriptor was left, so that nothing can be accepted at all.
    fn is_exhausted(&self) -> bool {
        self.exhausted && self.until.is_some()
    }

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

/// Connections accepted at the admin listener in one turn.
const INTERNAL_PER_TURN: usize = 16;

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
