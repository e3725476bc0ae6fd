//! HTTP/2 on sockets: without TLS, as a proxy speaks it (option `h2c`).
//!
//! The clients are curl, nghttp, h2load, Python's h2 and the crate of the same name, besides one of
//! our own; a program that is not installed is skipped with a message. The attacks are those of
//! SECURITY.md; each runs beside an honest client, which must be served.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test they are the assertion")]

mod common;
#[path = "h2_peer/mod.rs"]
mod peer;
#[path = "common/process.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod process;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use common::{Endpoint, PATIENCE, Server, Setup};
use peer::*;
use rustix::process::Signal;
use tempfile::TempDir;

/// A server of some files, with these arguments.
fn serve(args: &[&str]) -> (TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let content = |length: usize| common::numbered_lines(length);
    fs::write(folder.path().join("tiny"), "tiny").unwrap();
    fs::write(folder.path().join("small"), content(1000)).unwrap();
    fs::write(folder.path().join("large"), content(5_000_000)).unwrap();
    let server = Setup::new(folder.path()).args(args).start().unwrap();
    (folder, server)
}

fn connect(server: &Server) -> TcpStream {
    let Endpoint::Tcp(address) = server.endpoint() else { panic!("it listens on TCP") };
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One connection of our own client.
struct Peer {
    stream: TcpStream,
    client: Client,
}

impl Peer {
    fn new(server: &Server, settings: &[(u16, u32)]) -> Peer {
        let mut peer = Peer { stream: connect(server), client: Client::default() };
        peer.say(&hello(settings));
        peer.read_until(|client| client.settings_acks == 1);
        peer
    }

    fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Reads until this holds. False: the connection ended before.
    fn read_until(&mut self, is_so: impl Fn(&Client) -> bool) -> bool {
        let mut room = vec![0; 65_536];
        while !is_so(&self.client) {
            match self.stream.read(&mut room) {
                Ok(0) => return false,
                Ok(count) => self.client.feed(&room[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("{error}: {:?}", self.client),
            }
        }
        true
    }

    fn status(&mut self, id: u32) -> u16 {
        let is_whole = |client: &Client| {
            client.responses.get(&id).is_some_and(|response| response.is_complete)
        };
        assert!(self.read_until(is_whole), "the connection ended: {:?}", self.client);
        self.client.responses[&id].status
    }
}

#[test]
fn the_first_bytes_decide_wherever_they_are_cut() {
    let (_folder, server) = serve(&["--h2c"]);
    let input = [hello(&[]), get(1, "/tiny")].concat();
    for cut in [1, 2, 3, 10, 15, 16, 17, 23, 24, 30] {
        let mut peer = Peer { stream: connect(&server), client: Client::default() };
        peer.say(&input[..cut]);
        // The server has read the first piece when it has answered another client since.
        assert_eq!(Peer::new(&server, &[]).client.settings_acks, 1);
        peer.say(&input[cut..]);
        assert_eq!(peer.status(1), 200, "{cut}");
    }
    for (input, status) in [
        (&b"GET /tiny HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"[..], "200"),
        (b"PRI /tiny HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "501"),
        (b"P / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "501"),
    ] {
        let mut stream = connect(&server);
        stream.write_all(input).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
    }
}

#[test]
fn without_the_option_there_is_no_http_2() {
    let (_folder, server) = serve(&[]);
    let mut stream = connect(&server);
    stream.write_all(&hello(&[])).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 505 "), "{text}");
}

#[test]
fn a_stop_finishes_the_responses_in_progress_and_refuses_no_request() {
    let (_folder, mut server) = serve(&["--h2c"]);
    let mut peer = Peer::new(&server, &[(4, 10)]);
    peer.say(&get(1, "/small"));
    assert!(peer.read_until(|client| client.responses.contains_key(&1)));
    process::signal(&server, Signal::TERM);
    assert!(peer.read_until(|client| !client.goaways.is_empty()));
    assert_eq!(peer.client.goaways, [(0x7fff_ffff, 0)]);
    // A request that was on its way.
    peer.say(&get(3, "/tiny"));
    assert!(peer.read_until(|client| client.goaways.len() == 2));
    assert_eq!(peer.client.goaways[1], (3, 0));
    peer.say(&settings(&[(4, 5000)]));
    assert_eq!((peer.status(1), peer.status(3)), (200, 200));
    assert!(!peer.read_until(|_| false), "then it ends");
    drop(peer);
    assert!(server.wait_for_end().success());
}

#[test]
fn every_request_is_logged_once_with_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let (_root, mut server) = serve(&["--h2c", "--access-log", path.to_str().unwrap()]);
    let mut peer = Peer::new(&server, &[(4, 2000)]);
    let agent = [("user-agent", "tester"), ("referer", "http://a/")];
    peer.say(&request(1, "GET", "/tiny", &agent));
    assert_eq!(peer.status(1), 200);
    peer.say(&[post(3, "/tiny", &[]), frame(DATA, END_STREAM, 3, b"abc")].concat());
    assert_eq!(peer.status(3), 405);
    peer.say(&get(5, "/large")); // longer than its window
    assert!(peer.read_until(|client| {
        client.responses.get(&5).is_some_and(|response| response.body.len() == 2000)
    }));
    peer.say(&[number(RST_STREAM, 5, 8), request(7, "GET", "/", &[("A", "b")])].concat());
    assert!(peer.read_until(|client| client.resets.contains_key(&7)));
    peer.say(&get(9, "/large"));
    assert!(peer.read_until(|client| {
        client.responses.get(&9).is_some_and(|response| response.body.len() == 2000)
    }));
    drop(peer);
    process::signal(&server, Signal::TERM);
    server.wait_for_end();
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> =
        text.lines().map(|line| line.split_once("] ").expect("a date").1).collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[0], "\"GET /tiny HTTP/2.0\" 200 4 \"http://a/\" \"tester\"");
    assert!(lines[1].starts_with("\"POST /tiny HTTP/2.0\" 405 "), "{text}");
    assert_eq!(lines[2], "\"GET /large HTTP/2.0\" 200 2000 \"-\" \"-\"");
    assert_eq!(lines[3], "\"GET /large HTTP/2.0\" 200 2000 \"-\" \"-\"");
}

/// Attacks, on one connection after another, until the honest client has finished. Returns the code
/// with which the server has ended each connection, if the attacker has received it.
fn attack(server: &Server, bytes: Attack, is_finished: &AtomicBool) -> Vec<Option<u32>> {
    let mut codes = Vec::new();
    while !is_finished.load(Ordering::Relaxed) {
        codes.push(attack_once(server, bytes, is_finished));
    }
    codes
}

fn attack_once(server: &Server, bytes: Attack, is_finished: &AtomicBool) -> Option<u32> {
    let mut peer = Peer::new(server, &[]);
    let mut room = vec![0; 65_536];
    peer.stream.set_nonblocking(true).unwrap();
    let mut pending = Vec::new();
    let mut number = 0;
    while peer.client.goaways.is_empty() && !is_finished.load(Ordering::Relaxed) {
        match peer.stream.read(&mut room) {
            Ok(0) => break,
            Ok(count) => peer.client.feed(&room[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
        while pending.len() < 65_536 {
            pending.extend(bytes(number));
            number += 1;
        }
        if let Ok(count) = peer.stream.write(&pending) {
            pending.drain(..count);
        }
    }
    peer.client.goaways.last().map(|(_, code)| *code)
}

/// The frames of an attack, by number.
type Attack = fn(u32) -> Vec<u8>;

/// Attacks on a server of files.
const ATTACKS: &[(&str, Attack)] = &[
    ("Rapid Reset", |n| [get(2 * n + 1, "/large"), number(RST_STREAM, 2 * n + 1, 8)].concat()),
    ("MadeYouReset", |n| [get(2 * n + 1, "/large"), number(WINDOW_UPDATE, 2 * n + 1, 0)].concat()),
    ("CONTINUATION", |n| match n {
        0 => frame(HEADERS, END_STREAM, 1, &block(&pseudo("GET", "/"))),
        _ => frame(CONTINUATION, 0, 1, &block(&[("x", "y")])),
    }),
    ("PING", |_| frame(PING, 0, 0, &[0; 8])),
    ("SETTINGS", |_| settings(&[(4, 1)])),
    ("empty frames", |n| match n {
        0 => post(1, "/tiny", &[]),
        _ => frame(DATA, 0, 1, &[]),
    }),
    ("PRIORITY_UPDATE", |n| {
        frame(PRIORITY_UPDATE, 0, 0, &[&(2 * n + 1).to_be_bytes()[..], b"u=1"].concat())
    }),
    ("tiny windows", |n| match n {
        0 => [settings(&[(4, 0)]), get(1, "/large")].concat(),
        n if n % 2 == 0 => number(WINDOW_UPDATE, 0, 1),
        _ => frame(99, 0, 0, &[]),
    }),
    ("HPACK bomb", |n| {
        let fields = block(&pseudo("GET", "/tiny"));
        let entry = [&[0x40, 1, b'x', 0x7f, 0x81, 0x1e][..], &[b'y'; 3968]].concat();
        let bomb = [&fields[..], &entry, &[0xbe; 10_000]].concat();
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &bomb)
    }),
];

/// Ends the attacks, also when the test fails: its scope waits for them.
struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Four clients attack as fast as they can until another one has its 100 responses. That each
/// attack ends is tested in h2/bounds.rs.
#[test]
fn others_are_served_while_four_clients_attack() {
    let (_folder, mut server) = serve(&["--h2c"]);
    for &(name, bytes) in ATTACKS {
        let mut honest = Peer::new(&server, &[]);
        let is_finished = AtomicBool::new(false);
        let codes = std::thread::scope(|scope| {
            let finish = Finish(&is_finished);
            let attackers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| attack(&server, bytes, &is_finished))).collect();
            let began = Instant::now();
            for id in (1..200).step_by(2) {
                honest.say(&get(id, "/tiny"));
                assert_eq!(honest.status(id), 200, "{name}");
            }
            eprintln!("{name}: 100 requests of another client in {:?}", began.elapsed());
            drop(finish);
            attackers.into_iter().flat_map(|it| it.join().unwrap()).collect::<Vec<_>>()
        });
        // A client that goes on sending may miss the frame, because its connection is reset.
        assert!(codes.iter().flatten().all(|code| *code == 11), "{name}: {codes:?}");
    }
    assert_eq!(server.has_ended(), None);
    assert!(!server.log().contains("bug"), "{}", server.log());
}

/// Windows that stay shut, and a client that reads nothing: neither holds memory or others up.
#[test]
fn unread_responses_hold_up_no_other_client() {
    let limits = ["--limit", "write_timeout_ms=2000"];
    let (_folder, server) = serve(&[&["--h2c"][..], &limits].concat());
    let mut shut = Peer::new(&server, &[(4, 0)]);
    let mut deaf = Peer::new(&server, &[(4, 0x7fff_ffff)]);
    deaf.say(&number(WINDOW_UPDATE, 0, 0x7000_0000));
    for id in (1..200).step_by(2) {
        shut.say(&get(id, "/large"));
        deaf.say(&get(id, "/large"));
    }
    let mut honest = Peer::new(&server, &[]);
    for id in (1..100).step_by(2) {
        honest.say(&get(id, "/tiny"));
        assert_eq!(honest.status(id), 200);
    }
    assert!(process::memory(&server) < 64 << 20);
    assert!(!shut.read_until(|_| false), "it is cut off");
}

fn is_missing(program: &str) -> bool {
    let missing = Command::new(program).arg("--version").output().is_err();
    if missing {
        eprintln!("skipped: {program} is not installed");
    }
    missing
}

fn run(program: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {errors}");
    output.stdout
}

#[test]
fn curl_downloads_resumes_and_uploads() {
    if is_missing("curl") {
        return;
    }
    let (folder, server) = serve(&["--h2c"]);
    let curl = |args: &[&str], path: &str| {
        let fixed = ["-q", "-sS", "--noproxy", "*", "--max-time", "60", "--http2-prior-knowledge"];
        run("curl", &[&fixed[..], args, &[&server.url(path)]].concat())
    };
    let large = fs::read(folder.path().join("large")).unwrap();
    assert!(curl(&[], "/large") == large);
    assert!(curl(&["-r", "4000000-"], "/large") == large[4_000_000..]);
    assert!(curl(&["-I"], "/large").starts_with(b"HTTP/2 200"));
    let status = ["-o", "/dev/null", "-w", "%{http_version} %{http_code}"];
    assert_eq!(curl(&[&status[..], &["-d", "abc"]].concat(), "/tiny"), b"2 405");
    assert_eq!(curl(&status, "/none"), b"2 404");
}

/// ALPN decides.
#[cfg(feature = "tls")]
#[test]
fn over_tls_the_client_chooses_the_protocol() {
    if is_missing("curl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let content = common::numbered_lines(5_000_000);
    fs::write(folder.path().join("large"), &content).unwrap();
    let start = |more: &[&str]| {
        let setup = Setup::new(folder.path()).listen(["https://127.0.0.1:0"]);
        setup.args(["--self-signed"]).args(more.iter().copied()).start().unwrap()
    };
    let ask = |server: &Server, args: &[&str]| {
        let Endpoint::Tcp(address) = server.endpoint() else { panic!("it listens on TCP") };
        let url = format!("https://{address}/large");
        let fixed = ["-q", "-sS", "-k", "--noproxy", "*", "--max-time", "60"];
        run("curl", &[&fixed[..], args, &[&url]].concat())
    };
    let server = start(&[]);
    let curl = |args: &[&str]| ask(&server, args);
    assert!(curl(&["--http2"]) == content);
    let status = ["-o", "/dev/null", "-w", "%{http_version} %{http_code}"];
    assert_eq!(curl(&[&status[..], &["--http2"]].concat()), b"2 200");
    assert_eq!(curl(&[&status[..], &["--http1.1"]].concat()), b"1.1 200");
    let other = ["--http2", "-H", "Host: other.example"];
    assert_eq!(curl(&[&status[..], &other].concat()), b"2 421"); // of another certificate
    let old = start(&["--no-http2"]);
    assert_eq!(ask(&old, &[&status[..], &["--http2"]].concat()), b"1.1 200");
}

#[test]
fn nghttp_and_h2load_get_every_response() {
    let (_folder, server) = serve(&["--h2c"]);
    if !is_missing("nghttp") {
        let urls = [server.url("/large"), server.url("/small"), server.url("/tiny")];
        let urls = urls.each_ref().map(String::as_str);
        let text = run("nghttp", &[&["-n", "-s", "--no-dep"][..], &urls].concat());
        assert_eq!(String::from_utf8_lossy(&text).matches(" 200 ").count(), 3);
    }
    if !is_missing("h2load") {
        let text = run("h2load", &["-n", "3000", "-c", "7", "-m", "50", &server.url("/small")]);
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("3000 succeeded, 0 failed"), "{text}");
    }
}

/// What Python's h2 does with one connection: requests, a body, a change of windows.
const PYTHON: &str = r#"
import socket, sys
import h2.connection, h2.config, h2.events
connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
stream = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10)
connection.initiate_connection()
fields = lambda method, path: [(':method', method), (':path', path), (':scheme', 'http'),
                               (':authority', 'a')]
connection.send_headers(1, fields('GET', '/large'), end_stream=True)
connection.send_headers(3, fields('HEAD', '/small'), end_stream=True)
connection.send_headers(5, fields('POST', '/tiny'))
connection.send_data(5, b'x' * 10000, end_stream=True)
connection.ping(b'12345678')
stream.sendall(connection.data_to_send())
status, size, ended, pong = {}, {}, set(), False
while len(ended) < 3 or not pong:
    for event in connection.receive_data(stream.recv(65536)):
        if isinstance(event, h2.events.ResponseReceived):
            status[event.stream_id] = dict(event.headers)[b':status'].decode()
        if isinstance(event, h2.events.DataReceived):
            size[event.stream_id] = size.get(event.stream_id, 0) + len(event.data)
            connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if isinstance(event, h2.events.StreamEnded):
            ended.add(event.stream_id)
        pong = pong or isinstance(event, h2.events.PingAckReceived)
        assert not isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)), event
    stream.sendall(connection.data_to_send())
print(status[1], size[1], status[3], status[5])
"#;

#[test]
fn the_h2_of_python_gets_its_responses() {
    let program = ["/usr/bin/python3", "python3"].into_iter().find(|program| {
        let found = Command::new(program).args(["-c", "import h2"]).output();
        found.is_ok_and(|output| output.status.success())
    });
    let Some(program) = program else {
        eprintln!("skipped: the package h2 of Python is not installed");
        return;
    };
    let (_folder, server) = serve(&["--h2c"]);
    let Endpoint::Tcp(address) = server.endpoint() else { panic!("it listens on TCP") };
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let text = run(program, &["-c", PYTHON, &host, &port]);
    assert_eq!(String::from_utf8_lossy(&text), "200 5000000 200 405\n");
}

#[test]
fn the_crate_h2_gets_its_responses() {
    let (folder, server) = serve(&["--h2c"]);
    let Endpoint::Tcp(address) = server.endpoint().clone() else { panic!("it listens on TCP") };
    let large = fs::read(folder.path().join("large")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let mut responses = Vec::new();
        for path in ["large", "tiny", "small", "none"] {
            let uri = format!("http://a/{path}");
            let request = http::Request::get(uri).body(()).unwrap();
            responses.push(client.send_request(request, true).unwrap().0);
        }
        let mut bodies = Vec::new();
        for response in responses {
            let response = response.await.unwrap();
            let status = response.status().as_u16();
            let mut body = response.into_body();
            let mut bytes = Vec::new();
            while let Some(piece) = body.data().await {
                let piece = piece.unwrap();
                body.flow_control().release_capacity(piece.len()).unwrap();
                bytes.extend_from_slice(&piece);
            }
            bodies.push((status, bytes));
        }
        assert!(bodies[0].1 == large);
        let found: Vec<(u16, usize)> = bodies.iter().map(|(s, bytes)| (*s, bytes.len())).collect();
        assert_eq!(found[..3], [(200, 5_000_000), (200, 4), (200, 1000)]);
        assert_eq!(found[3].0, 404);
        drop(client);
        tokio::time::timeout(PATIENCE, connection).await.unwrap().unwrap().unwrap();
    });
}
