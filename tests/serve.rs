//! The life of the process: start, errors at start, and end.
//!
//! `serve/crowd.rs` opens ten thousand connections; `serve/settings.rs` tests flags and the
//! environment, `serve/start.rs` starts under difficult conditions, `serve/signals.rs` signals.

#![allow(clippy::panic, clippy::unwrap_used)] // in a test, that is the assertion

#[path = "wire/answer.rs"]
mod answer;
#[path = "common/client.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod client;
mod common;
#[path = "serve/crowd.rs"]
mod crowd;
#[path = "serve/login.rs"]
mod login;
#[path = "common/process.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod process;
#[path = "serve/settings.rs"]
mod settings;
#[path = "serve/signals.rs"]
mod signals;
#[path = "serve/start.rs"]
mod start;

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use client::{Client, End, request};
use common::{Endpoint, Server, Setup, run_to_end};
use process::{eventually, signal, threads};

/// A folder with one small file.
fn small_root() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a.txt"), "alpha").unwrap();
    root
}

/// A folder with a file that exceeds all socket buffers.
fn large_root() -> TempDir {
    let root = small_root();
    fs::write(root.path().join("large"), vec![b'x'; LARGE]).unwrap();
    root
}

const LARGE: usize = 32 << 20;

fn assert_serves(mut client: Client) {
    assert_eq!(client.get("/a.txt").body, b"alpha");
}

#[test]
fn the_start_line_names_the_folder_and_the_address() {
    let root = small_root();
    let server = Server::start(root.path(), &["--no-listing"]);
    let Endpoint::Tcp(address) = server.endpoint() else { panic!("it listens on TCP") };
    let expected = format!(
        "tenkay {} serves {} at http://{address}/ (listings off)",
        env!("CARGO_PKG_VERSION"),
        root.path().canonicalize().unwrap().display(),
    );
    assert_eq!(server.greeting(), expected);
    assert_ne!(address.port(), 0, "the port is the real one");
    assert_serves(Client::connect(&server));
}

#[test]
fn several_addresses_are_all_named_and_all_served() {
    let (root, place) = (small_root(), tempfile::tempdir().unwrap());
    let socket = place.path().join("s");
    let addresses = ["127.0.0.1:0".to_owned(), format!("unix:{}", socket.display())];
    let server = Setup::new(root.path()).listen(addresses).start().unwrap();
    let endpoints = server.endpoints();
    assert!(matches!(endpoints[..], [Endpoint::Tcp(_), Endpoint::Unix(_)]), "{endpoints:?}");
    for endpoint in &endpoints {
        assert_serves(Client::try_connect(endpoint).unwrap());
    }
}

#[test]
fn the_unspecified_ipv6_address_serves_ipv4_as_well() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let root = small_root();
    let server = Setup::new(root.path()).listen(["[::]:0"]).start().unwrap();
    let Endpoint::Tcp(address) = *server.endpoint() else { panic!("an address") };
    for local in [SocketAddr::from((Ipv6Addr::LOCALHOST, 0)), (Ipv4Addr::LOCALHOST, 0).into()] {
        let address = SocketAddr::new(local.ip(), address.port());
        assert_serves(Client::try_connect_to(address).unwrap());
    }
}

#[test]
fn a_socket_file_is_replaced_if_stale_left_alone_if_live_and_removed_at_the_end() {
    let (root, place) = (small_root(), tempfile::tempdir().unwrap());
    let path = place.path().join("s");
    // Dropping a server kills it, so it cannot remove its socket.
    drop(Setup::new(root.path()).unix(&path).start().unwrap());
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());

    let mut server = Setup::new(root.path()).unix(&path).start().unwrap();
    assert_serves(Client::connect(&server));
    let (status, _, errors) = run_to_end(Setup::new(root.path()).unix(&path));
    assert_eq!(status.code(), Some(1), "{errors}");
    assert_serves(Client::connect(&server));

    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success(), "{}", server.log());
    assert!(!path.exists(), "the socket is left behind");
}

#[test]
fn a_file_that_is_no_socket_is_never_replaced() {
    let (root, place) = (small_root(), tempfile::tempdir().unwrap());
    let path = place.path().join("s");
    fs::write(&path, "precious").unwrap();
    let (status, _, errors) = run_to_end(Setup::new(root.path()).unix(&path));
    assert_eq!(status.code(), Some(1), "{errors}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

/// Asserts that standard error has exactly one line, which names the program and the failure.
fn assert_one_line(setup: Setup, trouble: &[&str]) {
    let (status, out, errors) = run_to_end(setup);
    assert_eq!(status.code(), Some(1), "{errors}");
    assert_eq!(out, "", "nothing is announced");
    let [line] = errors.lines().collect::<Vec<_>>()[..] else { panic!("not one line: {errors}") };
    assert!(line.starts_with("tenkay: "), "{line}");
    for word in trouble {
        assert!(line.contains(word), "'{word}' is not in: {line}");
    }
}

#[test]
fn a_root_that_cannot_be_served_is_an_error_of_one_line() {
    let root = small_root();
    let missing = root.path().join("missing");
    assert_one_line(Setup::new(&missing), &["cannot serve", "missing", "No such file"]);
    let file = root.path().join("a.txt");
    assert_one_line(Setup::new(&file), &["cannot serve", "a.txt", "Not a directory"]);
    let closed = root.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o0)).unwrap();
    let setup = Setup::new(&closed).unprivileged();
    assert_one_line(setup, &["cannot serve", "closed", "Permission denied"]);
}

#[test]
fn an_address_that_cannot_be_bound_is_an_error_of_one_line() {
    let root = small_root();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup = Setup::new(root.path()).listen([&address]);
    let trouble = ["cannot listen on", &address, "in use", "another server listens", "--listen"];
    assert_one_line(setup, &trouble);
    // An address for documentation, which no machine has (RFC 5737).
    let setup = Setup::new(root.path()).listen(["192.0.2.1:0"]);
    assert_one_line(setup, &["cannot listen on 192.0.2.1:0", "--listen"]);
    let setup = Setup::new(root.path()).unix(&root.path().join("missing/s"));
    assert_one_line(setup, &["cannot listen on unix:", "missing/s", "No such file"]);
    let setup = Setup::new(root.path()).unix(Path::new(&format!("/{}", "x".repeat(200))));
    assert_one_line(setup, &["cannot listen on unix:"]);
}

#[test]
fn bad_arguments_are_explained_with_exit_status_2() {
    for (wrong, trouble) in [
        (&["--nonsense"][..], "--nonsense"),
        (&["second-root"], "second-root"),
        (&["--symlinks", "maybe"], "maybe"),
        (&["--listen", "127.0.0.1:99999"], "99999"),
        (&["--listen", "localhost"], "the port is missing"),
        (&["--listen", "::1:80"], "put IPv6 addresses in brackets: [::1]:8080"),
        (&["--listen", "/run/s"], "write unix:/run/s"),
        (&["--index", "a/b"], "without a slash"),
        (&["--limit", "nonsense=1"], "unknown limit 'nonsense' (see tenkay --help)"),
        (&["--limit", "fields=0"], "from 1 to 256"),
        (&["--limit", "fields=x"], "not a number"),
        (&["--limit", "fields"], "NAME=VALUE"),
        (&["--limit", "target_bytes=10000", "--limit", "head_bytes=9000"], "cannot be larger"),
    ] {
        let (status, out, errors) = run_to_end(Setup::new(Path::new(".")).args(wrong));
        assert_eq!((status.code(), &out[..]), (Some(2), ""), "{wrong:?}: {errors}");
        assert!(errors.contains(trouble), "{wrong:?}: {errors}");
        assert!(errors.contains("--help"), "{errors}");
    }
}

#[test]
fn version_and_help_are_printed_and_nothing_is_served() {
    for flag in ["--version", "-V"] {
        let (status, out, _) = run_to_end(Setup::new(Path::new("missing")).args([flag]));
        assert!(status.success());
        assert_eq!(out, format!("tenkay {}\n", env!("CARGO_PKG_VERSION")));
    }
    let (status, short, _) = run_to_end(Setup::new(Path::new("missing")).args(["-h"]));
    assert!(status.success() && short.contains("--listen"));
    let (status, long, _) = run_to_end(Setup::new(Path::new("missing")).args(["--help"]));
    assert!(status.success() && long.len() > short.len());
    for row in tenkay::config::Limits::TABLE {
        let limit = format!("{}={} ({} to {})", row.name, row.default, row.least, row.most);
        assert!(long.contains(&limit), "{limit} is not in the help");
    }
}

#[test]
fn a_signal_lets_responses_finish_and_closes_idle_connections() {
    for stop in [Signal::TERM, Signal::INT] {
        let root = large_root();
        // Otherwise, a connection without a request would stay in the kernel, which drops it
        // silently.
        let mut server = Server::start(root.path(), &["--limit", "defer_accept_s=0"]);
        let mut idle = Client::connect(&server);
        idle.get("/a.txt");
        let mut fresh = Client::connect(&server);
        let mut slow = Client::connect(&server);
        slow.send(request("/large"));
        let download = slow.head();

        signal(&server, stop);
        assert_eq!(idle.end(), End::Finished, "an idle connection is closed at once");
        assert_eq!(fresh.end(), End::Finished, "and so is one without a request");
        eventually("new connections are refused", || {
            Client::try_connect(server.endpoint()).is_err()
        });
        assert_eq!(server.has_ended(), None, "the download is still in progress");
        let download = slow.finish(download, |_| {});
        assert_eq!((download.body.len(), download.cut_off), (LARGE, None));
        assert_eq!(slow.end(), End::Finished);
        assert!(server.wait_for_end().success(), "{}", server.log());
    }
}

/// The server closes them in slices; none may be left.
#[test]
fn a_crowd_of_idle_connections_is_closed_at_a_signal() {
    let root = small_root();
    let mut server = Server::start(root.path(), &[]);
    let mut crowd: Vec<Client> = (0..300).map(|_| Client::connect(&server)).collect();
    for client in &mut crowd {
        client.get("/a.txt");
    }
    signal(&server, Signal::TERM);
    for client in &mut crowd {
        assert_eq!(client.end(), End::Finished);
    }
    assert!(server.wait_for_end().success(), "{}", server.log());
    assert!(
        !server.log().contains("shutting down"),
        "no response was in progress: {}",
        server.log()
    );
}

#[test]
fn a_refusal_says_why() {
    let root = small_root();
    let server = Server::start(root.path(), &[]);
    for (request, reason) in [
        ("GET / HTTP/1.1\r\n\r\n", "the request has no Host field"),
        ("GET /../a.txt HTTP/1.1\r\nHost: a\r\n\r\n", "the path climbs above its root"),
        ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "unknown method"),
        ("GET / HTTP/1.1\nHost: a\n\n", "a line of the request ends with LF instead of CRLF"),
    ] {
        let mut client = Client::connect(&server);
        client.send(request);
        let page = String::from_utf8(client.answer().body).unwrap();
        assert!(page.contains(&format!("<p>Reason: {reason}</p>")), "{request:?}: {page}");
    }
}

#[test]
fn a_unix_socket_has_permissions_for_all_users() {
    let (root, place) = (small_root(), tempfile::tempdir().unwrap());
    let socket = place.path().join("s");
    let server = Setup::new(root.path()).unix(&socket).start().unwrap();
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    drop(server);
}

#[test]
fn a_request_in_progress_at_a_signal_is_answered_as_the_last_one() {
    let root = small_root();
    let mut server = Server::start(root.path(), &[]);
    let mut client = Client::connect(&server);
    client.get("/a.txt");
    let (first, rest) = ("GET /a.txt HTTP/1.1\r\nHo", "st: test\r\n\r\n");
    client.send(first);
    // The server sees these bytes no later than any bytes on a later connection.
    assert_serves(Client::connect(&server));
    signal(&server, Signal::TERM);
    eventually("new connections are refused", || Client::try_connect(server.endpoint()).is_err());
    client.send(rest);
    let answer = client.answer();
    assert_eq!(answer.body, b"alpha");
    assert!(answer.says_close());
    assert_eq!(client.end(), End::Finished);
    drop(client);
    assert!(server.wait_for_end().success(), "{}", server.log());
}

#[test]
fn a_response_beyond_the_drain_timeout_is_cut_off_with_exit_status_1() {
    let root = large_root();
    let mut server = Server::start(root.path(), &["--limit", "drain_timeout_ms=200"]);
    let mut slow = Client::connect(&server);
    slow.send(request("/large"));
    let download = slow.head();
    let began = Instant::now();
    signal(&server, Signal::TERM);
    assert_eq!(server.wait_for_end().code(), Some(1));
    assert!(
        began.elapsed() >= Duration::from_millis(200),
        "it waited for less than drain_timeout_ms"
    );
    let log = server.log();
    assert!(
        log.contains("shutting down: waiting up to 1 s for 1 response; signal again to stop now"),
        "{log}"
    );
    assert!(log.contains("ended with 1 connection cut off"), "{log}");
    let download = slow.finish(download, |_| {});
    assert!(download.cut_off.is_some() && download.body.len() < LARGE);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for second in [Signal::TERM, Signal::INT] {
        let root = large_root();
        let mut server = Server::start(root.path(), &[]);
        let mut slow = Client::connect(&server);
        slow.send(request("/large"));
        slow.head();
        let mut idle = Client::connect(&server);
        idle.get("/a.txt");
        signal(&server, Signal::INT);
        assert_eq!(idle.end(), End::Finished, "the first signal has arrived");
        signal(&server, second);
        // Without the second signal, this would take 30 s, which is longer than PATIENCE.
        assert_eq!(server.wait_for_end().code(), Some(1));
    }
}

#[test]
fn standard_output_and_error_may_be_closed() {
    let (root, place) = (small_root(), tempfile::tempdir().unwrap());
    let socket = place.path().join("s");
    let setup = Setup::in_shell(root.path(), "exec \"$@\" >&- 2>&-").unix(&socket);
    let mut server = setup.start_silently(&socket).unwrap();
    assert_serves(Client::connect(&server));
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success());
}

#[test]
fn one_thread_does_all_work_at_any_load() {
    let root = large_root();
    let server = Server::start(root.path(), &[]);
    let mut clients: Vec<Client> = (0..50).map(|_| Client::connect(&server)).collect();
    for client in &mut clients[..10] {
        client.send(request("/large"));
    }
    for client in &mut clients[10..] {
        client.send(request("/a.txt"));
        client.send(request("/"));
        assert_eq!(threads(&server), 1);
    }
    for client in &mut clients[10..] {
        assert_eq!(client.answer().status, 200);
        assert_eq!(client.answer().status, 200);
    }
    assert_eq!(threads(&server), 1);
}
