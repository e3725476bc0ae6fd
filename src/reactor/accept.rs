//! Step four of the five: accept. And what happens when there is no room.

use std::io;

use rustix::io::Errno;

use crate::clock::Tick;
use crate::config::WhenFull;
use crate::h1::Connection;

use super::clients::Admission;
use super::leftover::Slice;
use super::peer::Peer;
use super::transport::Transport;
use super::{Phase, Reactor, SERIAL_MASK};

/// What stands in the way of new connections, and until when.
#[derive(Debug, Default)]
pub(super) struct Pause {
    /// There was no descriptor left.
    exhausted: Option<Tick>,
    /// All slots are taken, and none was idle.
    full: Option<Tick>,
    /// The last time that nobody was found who could be spared.
    in_vain: Option<Tick>,
    /// The last time that the log was told so.
    noted: Option<Tick>,
}

impl Pause {
    /// A connection has ended: there is a slot and a descriptor again.
    pub(super) fn end(&mut self) {
        self.exhausted = None;
        self.full = None;
    }

    /// When it ends by itself.
    pub(super) fn until(&self) -> Option<Tick> {
        self.exhausted.max(self.full)
    }

    fn expire(&mut self, now: Tick) {
        self.exhausted = self.exhausted.filter(|&until| until > now);
        self.full = self.full.filter(|&until| until > now);
    }
}

impl Reactor {
    /// Takes new connections, as many as a turn allows on each address, and as the time allows.
    pub(super) fn accept(&mut self) {
        self.pause.expire(self.clock.tick);
        if !self.listeners.iter().any(|listener| listener.ready) {
            return;
        }
        let mut slice = Slice::begin(self);
        // Another one is the first each time, so that a crowd at one address keeps nobody else out.
        let count = self.listeners.len();
        let first = usize::try_from(self.clock.turn % count as u64).unwrap_or(0); // below `count`
        for offset in 0..count {
            let index = (first + offset) % count;
            for _ in 0..self.limits.accepts_per_turn {
                if !self.listeners[index].ready || !self.may_accept() || !self.has_slot() {
                    break;
                }
                match self.listeners[index].accept() {
                    Ok((socket, from)) => {
                        let (limits, now) = (&self.limits, self.clock.tick);
                        let admission = self.clients.admit(from, limits, now);
                        if self.make_room(admission) {
                            self.insert(Transport::new(socket), admission);
                        }
                    }
                    Err(error) => self.accept_failed(index, &error),
                }
                if slice.is_over(self) {
                    return;
                }
            }
        }
    }

    /// True if there is no reason not to try.
    pub(super) fn may_accept(&self) -> bool {
        self.phase == Phase::Running && self.pause.until().is_none()
    }

    /// Whether there is a slot for one more connection, if need be that of an idle one. Those that
    /// are told that there is none get one of a few spare slots.
    fn has_slot(&mut self) -> bool {
        if self.peers.len() < self.limits.connections {
            return true;
        }
        // To find that nobody can be spared means to look at every slot: once a tick is enough.
        let now = self.clock.tick;
        let is_spare = |(_, peer): (usize, &Peer)| peer.connection.leisure(now).is_some();
        if self.pause.in_vain != Some(now) && self.peers.iter().any(is_spare) {
            return true;
        }
        self.pause.in_vain = Some(now);
        let spare = match self.when_full {
            WhenFull::Wait => 0,
            WhenFull::Refuse => SPARE_SLOTS,
        };
        if self.peers.len() < self.limits.connections + spare {
            return true;
        }
        self.pause.full = Some(self.clock.tick + FULL_PAUSE_MS);
        false
    }

    /// A connection has come: only now is it known that somebody needs a slot. Returns false if
    /// this one is not worth the slot of another.
    fn make_room(&mut self, admission: Admission) -> bool {
        if self.peers.len() < self.limits.connections {
            return true;
        }
        if admission == Admission::TooMany {
            return false;
        }
        self.close_idle();
        true
    }

    /// Whether one more can be told that there is no room for it; else it is just closed.
    fn may_turn_away(&self) -> bool {
        self.turned_away < SPARE_SLOTS
    }

    fn insert(&mut self, transport: Transport, admission: Admission) {
        self.serial = self.serial.wrapping_add(1) & SERIAL_MASK;
        let turned_away =
            self.peers.len() >= self.limits.connections || admission == Admission::TooMany;
        let client = match admission {
            Admission::Counted(client) => Some(client),
            Admission::Uncounted | Admission::TooMany => None,
        };
        if turned_away && !self.may_turn_away() {
            if let Some(client) = client {
                self.clients.leave(client, &self.limits, self.clock.tick);
            }
            return;
        }
        self.turned_away += usize::from(turned_away);
        let connection = Connection::new(self.clock.tick);
        let mut peer = Peer::new(transport, connection, self.serial, client);
        peer.turned_away = turned_away;
        let key = self.peers.insert(peer);
        self.work(key, |peer, cx| {
            if turned_away {
                peer.connection.turn_away(cx);
            }
            peer.drive(cx)
        });
    }

    /// An accept failed. Nothing that can go wrong with one connection may end the listener.
    fn accept_failed(&mut self, index: usize, error: &io::Error) {
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
        // Cached files can be opened again, and who is idle can come again; a client that is not
        // accepted can do nothing.
        self.site.close_files();
        if errno == Some(Errno::MFILE) && self.close_idle() > 0 {
            return;
        }
        let now = self.clock.tick;
        self.pause.exhausted = Some(now + EXHAUSTED_PAUSE_MS);
        if self.pause.noted.is_none_or(|noted| now.since(noted) >= NOTE_MS) {
            self.pause.noted = Some(now);
            self.log.note(format_args!("accepting pauses: {error}"));
        }
    }
}

/// Errors of accept that are about the connection, which was lost before it was accepted: those of
/// the network that accept(2) of Linux says to try again after, EPERM (a firewall), and what ends a
/// connection elsewhere. Any other is about us, and is not mended by trying again at once.
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

/// How long accepting rests when there is no descriptor left, unless one becomes free before.
const EXHAUSTED_PAUSE_MS: u64 = 250;

/// How long it rests when all slots are taken by busy connections, unless one ends before.
const FULL_PAUSE_MS: u64 = 100;

/// How often the log is told that accepting pauses.
const NOTE_MS: u64 = 10_000;

/// Slots beyond the bound for those that are told that there is none.
const SPARE_SLOTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Limits, ListenAddress, SiteConfig};
    use crate::files::Door;
    use crate::reactor::listen::listen;
    use crate::site::Site;
    use std::net::{IpAddr, Ipv4Addr, TcpStream};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_crowd_at_one_address_makes_no_long_turn_and_keeps_nobody_else_out() {
        let root = tempfile::tempdir().unwrap();
        let limits =
            Limits { connections: 100, slice_ms: 0, defer_accept_s: 0, ..Limits::default() };
        let site = Site::new(root.path(), SiteConfig::default(), &limits, Door::best(), 0).unwrap();
        let bind = || listen(&ListenAddress::Tcp("127.0.0.1:0".to_owned()), &limits).unwrap();
        let listeners: Vec<_> = bind().into_iter().chain(bind()).collect();
        let connect = |index: usize| {
            let url = listeners[index].url();
            TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap()
        };
        let _crowd: Vec<_> = (0..40).map(|_| connect(0)).collect();
        let _other = connect(1);
        let mut reactor = Reactor::new(site, listeners, WhenFull::Wait, limits.clone()).unwrap();
        for listener in &mut reactor.listeners {
            listener.ready = true;
        }
        for turn in 1..=2 {
            reactor.clock.next_turn();
            reactor.accept();
            assert!(reactor.peers.len() <= turn * 10, "{} in turn {turn}", reactor.peers.len());
        }
        assert!(reactor.listeners[0].ready && !reactor.listeners[1].ready);
    }

    #[test]
    fn who_is_closed_without_a_word_is_not_counted_for_its_client_any_more() {
        let root = tempfile::tempdir().unwrap();
        let limits = Limits { connections: 0, connections_per_client: 1, ..Limits::default() };
        let site = Site::new(root.path(), SiteConfig::default(), &limits, Door::best(), 0).unwrap();
        let mut reactor = Reactor::new(site, Vec::new(), WhenFull::Refuse, limits).unwrap();
        // All slots are taken, and so are the spare ones.
        reactor.turned_away = SPARE_SLOTS;
        let from = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        for _ in 0..2 {
            let admission = reactor.clients.admit(from, &reactor.limits, reactor.clock.tick);
            assert!(matches!(admission, Admission::Counted(_)));
            let (ours, _theirs) = UnixStream::pair().unwrap();
            reactor.insert(Transport::new(ours.into()), admission);
            assert!(reactor.peers.is_empty());
        }
    }
}
