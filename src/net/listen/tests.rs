//! Tests of listening sockets.

use super::*;
use std::os::unix::net::UnixListener as StdUnixListener;

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn bind(address: SocketAddr) -> io::Result<Listener> {
    listen_tcp(address, &Limits::default(), Sharing::Alone)
}

fn unavailable() -> io::Error {
    io::ErrorKind::AddrNotAvailable.into()
}

#[test]
fn an_option_that_the_kernel_lacks_is_a_warning_that_says_what_is_weaker() {
    let address = ListenAddress::Tcp("127.0.0.1:0".to_owned());
    let listener = listen(&address, &Limits::default()).unwrap().remove(0);
    assert_eq!(listener.warnings(), [""; 0]);
    // A Unix socket knows none of the options of TCP.
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    let warnings = set_options(&socket, (loopback(80), false), &Limits::default());
    for (option, weaker) in [
        ("TCP_NODELAY", "wait for an acknowledgement"),
        ("TCP_NOTSENT_LOWAT", "more than unsent_bytes"),
        ("TCP_USER_TIMEOUT", "longer than write_timeout_ms"),
        ("TCP_DEFER_ACCEPT", "take a slot"),
    ] {
        let start = format!("127.0.0.1:80: {option} cannot be set (");
        let warning = warnings.iter().find(|warning| warning.starts_with(&start));
        assert!(warning.is_some_and(|warning| warning.contains(weaker)), "{option}: {warnings:?}");
    }
    let none = Limits { unsent_bytes: 0, defer_accept_s: 0, ..Limits::default() };
    assert_eq!(set_options(&socket, (loopback(80), false), &none).len(), 2);
}

#[test]
fn an_address_of_a_name_that_cannot_be_used_is_a_warning() {
    let missing: SocketAddr = (Ipv6Addr::LOCALHOST, 0).into();
    let listen = |address| if address == missing { Err(unavailable()) } else { bind(address) };
    for addresses in [[missing, loopback(0)], [loopback(0), missing]] {
        let listen = |address: SocketAddr| listen(SocketAddr::new(address.ip(), 0));
        let listeners = listen_all(&addresses, listen).unwrap();
        let [listener] = &listeners[..] else { panic!("{listeners:?}") };
        let [warning] = listener.warnings() else { panic!("{listener:?}") };
        assert!(warning.starts_with("cannot listen on [::1]:"), "{warning}");
    }
    let error = listen_all(&[missing, missing], |_| Err(unavailable())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    assert!(listen_all(&[], bind).is_err());
}

#[test]
fn an_address_that_a_name_has_twice_is_bound_once() {
    let listeners = listen_all(&[loopback(0), loopback(0)], bind).unwrap();
    assert_eq!(listeners.len(), 1);
    assert_eq!(listeners[0].warnings(), [""; 0]);
}

#[test]
fn port_0_is_one_port_for_all_addresses_of_a_name() {
    let [one, two] = [1, 2].map(|last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)));
    // The first port that is picked turns out to be taken at the second address.
    let mut taken = None;
    let mut tries = Vec::new();
    let listeners = listen_all(&[one, two], |address| {
        if address.ip() == two.ip() && taken.is_none() {
            taken = Some(address.port());
            return Err(io::ErrorKind::AddrInUse.into());
        }
        tries.push(address);
        bind(address)
    })
    .unwrap();
    let ports: Vec<_> = listeners.iter().filter_map(Listener::port).collect();
    assert!(ports.len() == 2 && ports[0] == ports[1] && ports[0] != 0, "{ports:?}");
    assert_eq!(tries.len(), 3);
    assert!(listeners.iter().all(|listener| listener.warnings().is_empty()));
}

#[test]
fn all_addresses_are_shown_as_links() {
    let machine: [IpAddr; 2] = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
    let all = listen(&ListenAddress::Every(0), &Limits::default()).unwrap().remove(0);
    let port = all.port().unwrap();
    let mut expected = vec![
        format!("http://localhost:{port}/"),
        format!("http://192.0.2.7:{port}/"),
        format!("http://[2001:db8::7]:{port}/"),
    ];
    if all.address().unwrap().is_ipv4() {
        expected.pop();
    }
    assert_eq!(all.links(&machine), expected);

    let v4 = bind((Ipv4Addr::UNSPECIFIED, 0).into()).unwrap();
    assert_eq!(v4.links(&machine).len(), 2);
    let crowd: Vec<IpAddr> = (0..100).map(|last| Ipv4Addr::new(192, 0, 2, last).into()).collect();
    assert_eq!(v4.links(&crowd).len(), 1 + MOST_LINKS);
    let one = bind(loopback(0)).unwrap();
    assert_eq!(one.links(&machine), [format!("http://127.0.0.1:{}/", one.port().unwrap())]);
}

#[test]
fn addresses_of_the_machine_can_be_used_by_others() {
    for ip in machine_addresses() {
        assert!(!ip.is_loopback() && !ip.is_unspecified(), "{ip}");
    }
}

#[test]
fn a_socket_file_is_removed_only_if_it_is_still_the_same() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("s");
    let address = ListenAddress::Unix(path.clone());
    let file = |listener: &Listener| {
        let file = listener.socket_file().unwrap();
        SocketFile::marked(file.path(), &file.mark()).unwrap()
    };
    let first = listen(&address, &Limits::default()).unwrap().remove(0);
    fs::rename(&path, place.path().join("moved")).unwrap();
    file(&first).remove().unwrap(); // it is no error that it is gone
    let second = listen(&address, &Limits::default()).unwrap().remove(0);
    let file_of_first = file(&first);
    drop(first);
    file_of_first.remove().unwrap();
    assert!(path.exists(), "it is the socket of another server");
    let file_of_second = file(&second);
    drop(second);
    assert!(path.exists(), "dropping a listener removes nothing");
    file_of_second.remove().unwrap();
    assert!(!path.exists());
    fs::write(&path, "precious").unwrap();
    file_of_second.remove().unwrap();
    assert!(path.exists(), "a file is no socket");
}

/// The file system may give the number of a removed socket to the next one.
#[test]
fn a_socket_with_the_inode_number_of_an_earlier_one_is_not_the_same() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("s");
    let bound = StdUnixListener::bind(&path).unwrap();
    let file = SocketFile::new(&path).unwrap();
    drop(bound);
    let mut other = file.clone();
    other.identity.3 += 1;
    other.remove().unwrap();
    assert!(path.exists());
    file.remove().unwrap();
    assert!(!path.exists());
}

#[test]
fn a_live_server_with_a_full_backlog_is_not_waited_for() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("s");
    let live = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    live.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    live.listen(0).unwrap();
    let mut waiting = Vec::new();
    loop {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        match socket.connect(&SockAddr::unix(&path).unwrap()) {
            Ok(()) => waiting.push(socket),
            Err(_) => break, // the backlog is full
        }
    }
    let error = listen_unix(&path, 1, Sharing::Alone).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(path.exists());
}
