//! The listening sockets of all workers. The supervisor keeps them open, so that no connection
//! that waits in a backlog is lost while a worker is replaced.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::config::{Limits, Listen, ListenAddress, Opening};
use crate::net::Activated;
use crate::net::listen::{self, Listener, SocketFile};

use super::channel::Fields;

/// Every address, each with its sockets.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    addresses: Vec<Address>,
    /// Those that systemd has bound, also those that no address names at the moment.
    activated: Rc<Activated>,
}

/// An address as it is configured; a name may stand for several places.
#[derive(Debug)]
struct Address {
    name: ListenAddress,
    places: Vec<Place>,
}

/// The sockets that listen on one address of the machine: one for each worker, or one for all.
#[derive(Clone, Debug)]
struct Place {
    sockets: Vec<Rc<Listener>>,
}

impl Sockets {
    /// None yet but those that systemd has bound.
    pub(super) fn new(activated: Activated) -> Sockets {
        Sockets { addresses: Vec::new(), activated: Rc::new(activated) }
    }

    /// Sockets for these addresses and this number of workers: those of `old` where it has some.
    /// Also returns warnings.
    ///
    /// # Errors
    /// In one line: the first address that cannot be bound. Then `old` is as it was.
    pub(super) fn bind(
        entries: &[Listen],
        workers: usize,
        limits: &Limits,
        old: &Sockets,
    ) -> Result<(Sockets, Vec<String>), String> {
        let mut kept: Vec<Option<&Address>> = old.addresses.iter().map(Some).collect();
        let activated = Rc::clone(&old.activated);
        let (mut sockets, mut warnings) =
            (Sockets { addresses: Vec::new(), activated }, Vec::new());
        for entry in entries {
            let Listen { address: name, opening, .. } = entry;
            let is_same = |slot: &&mut Option<&Address>| slot.is_some_and(|it| it.name == *name);
            let mut places = match kept.iter_mut().find(is_same).and_then(Option::take) {
                Some(address) => address.places.clone(),
                None => match bound(entry, limits, &old.activated, listen::bind_shared, &|| {
                    let own = sockets.addresses.iter().map(|it| &it.name);
                    taken_by_itself(name, own).or_else(|| taken_before(name, old))
                }) {
                    Ok(listeners) => {
                        warnings.extend(listeners.iter().flat_map(Listener::warnings).cloned());
                        let place = |listener| Place { sockets: vec![Rc::new(listener)] };
                        listeners.into_iter().map(place).collect()
                    }
                    Err(why) => {
                        sockets.remove_files(old);
                        return Err(why);
                    }
                },
            };
            if let Some(other) = sockets.overlapping(&places) {
                sockets.remove_files(old);
                let advice = taken_by_itself(name, std::iter::once(other)).unwrap_or_default();
                return Err(format!("{}cannot listen on {name}: {advice}", prefix(entry)));
            }
            for place in &mut places {
                place.sockets.iter().for_each(|socket| socket.set_opening(*opening));
                let is_ours = !matches!(name, ListenAddress::Systemd(_));
                if is_ours && let Err(error) = place.grow(workers, limits) {
                    // One socket is enough for all.
                    warnings.push(format!("{name}: no further socket: {error}"));
                }
            }
            sockets.addresses.push(Address { name: name.clone(), places });
        }
        Ok((sockets, warnings))
    }

    /// Those of worker `index` out of `workers`. There may be more sockets than workers, after a
    /// reload with fewer of them, and fewer; every socket has a worker that accepts.
    pub(super) fn of_worker(&self, index: usize, workers: usize) -> Vec<&Listener> {
        let of_place = |place: &Place| {
            let count = place.sockets.len();
            let is_own = move |socket: &usize| serves(index, workers, *socket, count);
            (0..count).filter(is_own).collect::<Vec<_>>()
        };
        let own = |place| of_place(place).into_iter().map(|socket| &*place.sockets[socket]);
        self.places().flat_map(own).collect()
    }

    /// The first socket of each place, for the start line.
    pub(super) fn first(&self) -> impl Iterator<Item = &Listener> {
        self.places().filter_map(|place| place.sockets.first()).map(|socket| &**socket)
    }

    /// Sets the options that depend on limits, which may have changed since the sockets were made.
    pub(super) fn adjust(&self, limits: &Limits) {
        self.places().flat_map(|place| &place.sockets).for_each(|socket| socket.adjust(limits));
    }

    /// Those of the admin listener alone.
    pub(super) fn internal(&self) -> Sockets {
        let is_internal =
            |place: &&Place| place.sockets.first().is_some_and(|socket| socket.opening().internal);
        let addresses = self.addresses.iter().map(|Address { name, places }| {
            let places = places.iter().filter(is_internal).cloned().collect();
            Address { name: name.clone(), places }
        });
        Sockets { addresses: addresses.collect(), activated: Rc::clone(&self.activated) }
    }

    /// A warning about sockets of systemd when no address asks for any.
    pub(super) fn unused(&self, entries: &[Listen]) -> Option<String> {
        unused(entries, &self.activated)
    }

    /// The address that has a socket where one of these places is: SO_REUSEPORT permits it, but the
    /// kernel would decide who gets a connection.
    fn overlapping(&self, places: &[Place]) -> Option<&ListenAddress> {
        let first = |place: &Place| place.sockets.first().map(Rc::clone);
        let overlaps = |known: &Place| {
            let known = first(known);
            let new = places.iter().filter_map(first);
            known.is_some_and(|known| new.into_iter().any(|new| new.overlaps(&known)))
        };
        let other = self.addresses.iter().find(|address| address.places.iter().any(overlaps));
        other.map(|address| &address.name)
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        self.addresses.iter().flat_map(|address| &address.places)
    }

    /// The names of the Unix sockets.
    pub(super) fn files(&self) -> impl Iterator<Item = &SocketFile> {
        self.places().flat_map(|place| &place.sockets).filter_map(|socket| socket.socket_file())
    }

    /// Removes the names of the Unix sockets that are not among those of `other`, and returns a
    /// line for each that cannot be removed.
    pub(super) fn remove_files(&self, other: &Sockets) -> Vec<String> {
        let kept: HashSet<&Path> = other.files().map(SocketFile::path).collect();
        let dropped = self.files().filter(|file| !kept.contains(file.path()));
        let failed = dropped.filter_map(|file| Some((file.path(), file.remove().err()?)));
        let line = |(path, error): (&Path, io::Error)| {
            let path = path.display();
            format!("cannot remove unix:{path}: {error}; the next start on it removes it")
        };
        failed.map(line).collect()
    }

    /// Describes them to a later program of this process, and adds their descriptors in order.
    pub(super) fn describe<'s>(&'s self, to: &mut Fields, descriptors: &mut Vec<BorrowedFd<'s>>) {
        to.put_number(self.activated.usable().count() as u64);
        for (name, socket) in self.activated.usable() {
            to.put(name);
            descriptors.push(socket);
        }
        to.put_number(self.addresses.len() as u64);
        for Address { name, places } in &self.addresses {
            to.put(bytes_of(name));
            to.put_number(places.len() as u64);
            for Place { sockets } in places {
                let file = sockets.iter().find_map(|socket| socket.socket_file());
                to.put(file.map(|file| file.path().as_os_str().as_encoded_bytes()).unwrap_or(b""));
                to.put(file.map(SocketFile::mark).unwrap_or_default());
                to.put_number(sockets.len() as u64);
                descriptors.extend(sockets.iter().map(|socket| socket.as_fd()));
            }
        }
    }

    /// Describes how the connections of each address begin: earlier versions did not.
    pub(super) fn describe_openings(&self, to: &mut Fields) {
        for place in self.places() {
            let opening = place.sockets.first().map(|socket| socket.opening());
            to.put_number(opening.unwrap_or_default().bits().into());
        }
    }

    /// What [`Sockets::describe_openings`] has described: without it, a worker of the generation
    /// that an upgrade keeps would answer in clear on an address with TLS.
    pub(super) fn adopt_openings(&self, from: &mut Fields) {
        for place in self.places() {
            let Some(bits) = from.take_number() else { return };
            let opening = Opening::from_bits(bits);
            place.sockets.iter().for_each(|socket| socket.set_opening(opening));
        }
    }

    /// Those that an earlier program of this process has described.
    pub(super) fn adopt(
        from: &mut Fields,
        descriptors: &mut impl Iterator<Item = OwnedFd>,
    ) -> Option<Sockets> {
        let mut activated = Activated::default();
        for _ in 0..from.take_number::<usize>()? {
            activated.adopt(from.take_text()?, descriptors.next()?);
        }
        let mut addresses = Vec::new();
        for _ in 0..from.take_number::<usize>()? {
            let name = name_of(from.take()?)?;
            let mut places = Vec::new();
            for _ in 0..from.take_number::<usize>()? {
                let path = path_of(from.take()?);
                let file = SocketFile::marked(&path, from.take_text()?);
                let is_path = !path.as_os_str().is_empty();
                let mut sockets = Vec::new();
                for _ in 0..from.take_number::<usize>()? {
                    let path = is_path.then(|| (path.clone(), file.clone()));
                    sockets.push(Rc::new(Listener::adopted(descriptors.next()?, path)));
                }
                places.push(Place { sockets });
            }
            addresses.push(Address { name, places });
        }
        Some(Sockets { addresses, activated: Rc::new(activated) })
    }
}

impl Place {
    /// Adds sockets until there is one for each worker, if each can have its own.
    fn grow(&mut self, workers: usize, limits: &Limits) -> io::Result<()> {
        while self.sockets.len() < workers {
            let Some(first) = self.sockets.first() else { return Ok(()) };
            match first.sibling(limits)? {
                Some(socket) => self.sockets.push(Rc::new(socket)),
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

/// Whether worker `index` of `workers` accepts on socket number `socket` of `sockets`.
fn serves(index: usize, workers: usize, socket: usize, sockets: usize) -> bool {
    socket % workers == index || index % sockets == socket
}

/// An address, so that [`name_of`] gives the same one.
fn bytes_of(name: &ListenAddress) -> Vec<u8> {
    match name {
        ListenAddress::Tcp(text) => [b"tcp:", text.as_bytes()].concat(),
        ListenAddress::Every(port) => format!("all:{port}").into_bytes(),
        ListenAddress::EveryIpv6(port) => format!("all6:{port}").into_bytes(),
        ListenAddress::Unix(path) => [b"unix:", path.as_os_str().as_encoded_bytes()].concat(),
        ListenAddress::Systemd(name) => [b"systemd:", name.as_bytes()].concat(),
    }
}

fn name_of(bytes: &[u8]) -> Option<ListenAddress> {
    if let Some(path) = bytes.strip_prefix(b"unix:") {
        return Some(ListenAddress::Unix(path_of(path)));
    }
    match std::str::from_utf8(bytes).ok()?.split_once(':')? {
        ("tcp", text) => Some(ListenAddress::Tcp(text.to_owned())),
        ("systemd", name) => Some(ListenAddress::Systemd(name.to_owned())),
        ("all", port) => port.parse().ok().map(ListenAddress::Every),
        ("all6", port) => port.parse().ok().map(ListenAddress::EveryIpv6),
        _ => None,
    }
}

/// The path with these bytes.
pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

/// The sockets of an address: bound by `bind`, or by systemd. `own`: what to do if the address is
/// taken by this program itself, if it is.
///
/// # Errors
/// In one line: why there are none, and what to do.
pub(super) fn bound(
    listen: &Listen,
    limits: &Limits,
    activated: &Activated,
    bind: fn(&ListenAddress, &Limits) -> io::Result<Vec<Listener>>,
    own: &dyn Fn() -> Option<String>,
) -> Result<Vec<Listener>, String> {
    let (address, place) = (&listen.address, prefix(listen));
    match address {
        ListenAddress::Systemd(name) => activated
            .listeners(name, limits)
            .map_err(|why| format!("{place}cannot listen on {address}: {why}")),
        _ => bind(address, limits).map_err(|error| {
            let taken = (error.kind() == io::ErrorKind::AddrInUse).then(own).flatten();
            let advice = taken.unwrap_or_else(|| advice(address, &error).to_owned());
            format!("{place}cannot listen on {address}: {error}; {advice}")
        }),
    }
}

/// The place of an address, in front of a message.
fn prefix(listen: &Listen) -> String {
    if listen.place.is_empty() { String::new() } else { format!("{}: ", listen.place) }
}

/// What to do if one of these addresses, which were bound before, is why another cannot be bound:
/// names of hosts overlap only when they are looked up.
pub(super) fn taken_by_itself<'a>(
    address: &ListenAddress,
    mut before: impl Iterator<Item = &'a ListenAddress>,
) -> Option<String> {
    let other = before.find(|other| other.may_overlap(address))?;
    Some(format!("tenkay itself listens there, at {other}: leave one of the two out"))
}

/// The same for the addresses of the running workers.
fn taken_before(address: &ListenAddress, old: &Sockets) -> Option<String> {
    let other = &old.addresses.iter().find(|other| other.name.may_overlap(address))?.name;
    Some(format!("the running workers listen there, at {other}: restart to change that"))
}

/// A warning about sockets of systemd when no address asks for any.
pub(super) fn unused(entries: &[Listen], activated: &Activated) -> Option<String> {
    let is_asked_for = |entry: &Listen| matches!(entry.address, ListenAddress::Systemd(_));
    let names = activated.names().filter(|_| !entries.iter().any(is_asked_for))?;
    Some(format!("systemd passed sockets ({names}) that are not used; add --listen systemd:"))
}

/// What to do about an address that cannot be bound.
fn advice(address: &ListenAddress, error: &io::Error) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = |path: &Path| {
        path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
    };
    match (error.kind(), address.path()) {
        (io::ErrorKind::AddrInUse, path) if path.is_none_or(is_socket) => {
            "another server listens there: stop it, or choose another address with --listen"
        }
        (io::ErrorKind::PermissionDenied, None) => {
            "ports below 1024 may need root: start it as root with --user, or choose another port \
             with --listen"
        }
        (io::ErrorKind::PermissionDenied, Some(_)) => {
            "let the user that starts the server write to the folder of the socket"
        }
        (io::ErrorKind::NotFound, Some(_)) => "create the folder of the socket",
        _ => "choose another address with --listen",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;

    use super::super::channel::{Message, receive_message, send_message};

    #[test]
    fn every_socket_has_a_worker_and_every_worker_a_socket() {
        for workers in 1..9 {
            for sockets in 1..9 {
                let serves = |index, socket| serves(index, workers, socket, sockets);
                for socket in 0..sockets {
                    let count = (0..workers).filter(|&index| serves(index, socket)).count();
                    assert!(count >= 1, "{workers} {sockets}");
                    assert!(count == 1 || sockets < workers, "{workers} {sockets}");
                }
                assert!((0..workers).all(|index| (0..sockets).any(|it| serves(index, it))));
            }
        }
    }

    fn names(texts: &[&str]) -> Vec<Listen> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_reload_keeps_the_sockets_of_its_addresses_and_drops_the_others() {
        let (limits, folder) = (Limits::default(), tempfile::tempdir().unwrap());
        let [kept, dropped, new] = ["kept", "dropped", "new"].map(|name| folder.path().join(name));
        let unix = |path: &Path| format!("unix:{}", path.display());
        let bind = |texts: &[&str], workers, old: &Sockets| {
            Sockets::bind(&names(texts), workers, &limits, old)
        };
        let urls = |sockets: &Sockets| sockets.first().map(Listener::url).collect::<Vec<_>>();
        let (old, _) =
            bind(&["127.0.0.1:0", &unix(&kept), &unix(&dropped)], 1, &Sockets::default()).unwrap();
        let (now, _) = bind(&[&unix(&new), "127.0.0.1:0", &unix(&kept)], 3, &old).unwrap();
        assert_eq!(urls(&now)[1..], urls(&old)[..2]);
        if cfg!(target_os = "linux") {
            assert_eq!([0, 1, 2].map(|index| now.of_worker(index, 3).len()), [3; 3]);
            let counts = now.places().map(|place| place.sockets.len()).collect::<Vec<_>>();
            assert_eq!(counts, [1, 3, 1]);
        }
        assert_eq!(old.remove_files(&now), Vec::<String>::new());
        assert!(kept.exists() && new.exists() && !dropped.exists());
        // A place that is taken leaves everything as it was.
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = taken.local_addr().unwrap().to_string();
        let error = bind(&[&unix(&dropped), &taken], 1, &now).unwrap_err();
        assert!(error.contains("another server listens there"), "{error}");
        assert!(kept.exists() && !dropped.exists());
    }

    #[test]
    fn an_address_inside_one_of_the_running_workers_needs_a_restart() {
        let limits = Limits::default();
        let bind = |text: &str, old: &Sockets| {
            Sockets::bind(&names(&[text]), 1, &limits, old).map(|it| it.0)
        };
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let old = bind(&format!("0.0.0.0:{free}"), &Sockets::default()).unwrap();
        old.of_worker(0, 1)[0].begin(8).unwrap();
        let error = bind(&format!("127.0.0.1:{free}"), &old).unwrap_err();
        let what = format!("workers listen there, at 0.0.0.0:{free}: restart to change that");
        assert!(error.contains(&what), "{error}");
        assert!(bind(&format!("0.0.0.0:{free}"), &old).is_ok());
    }

    #[test]
    fn sockets_survive_a_change_of_the_program() {
        let (limits, folder) = (Limits::default(), tempfile::tempdir().unwrap());
        let path = folder.path().join("s");
        let texts = [&format!("unix:{}", path.display()), "127.0.0.1:0"];
        let (old, _) = Sockets::bind(&names(&texts), 2, &limits, &Sockets::default()).unwrap();
        let (mut fields, mut descriptors) = (Fields::default(), Vec::new());
        old.describe(&mut fields, &mut descriptors);
        let (here, there) = UnixStream::pair().unwrap();
        send_message(&here, &fields, &descriptors).unwrap();
        let url = old.first().nth(1).unwrap().url();
        drop(old);
        let Message { mut fields, descriptors } = receive_message(&there).unwrap();
        let new = Sockets::adopt(&mut fields, &mut descriptors.into_iter()).unwrap();
        assert_eq!(new.first().nth(1).unwrap().url(), url);
        for socket in new.of_worker(0, 1) {
            socket.begin(8).unwrap();
        }
        UnixStream::connect(&path).unwrap();
        TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        assert_eq!(new.remove_files(&Sockets::default()), Vec::<String>::new());
        assert!(!path.exists());
    }
}
