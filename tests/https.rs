//! HTTPS end to end: real clients, redirects, certificates that change, and crowds of handshakes.
//!
//! What HTTP/1.1 looks like over TLS is tested by the wire tests; what the transport does, by its
//! own tests.

#![cfg(feature = "tls")]
#![allow(clippy::panic, clippy::unwrap_used)] // in a test, that is the assertion

#[path = "wire/answer.rs"]
mod answer;
#[path = "https/clients.rs"]
mod clients;
mod common;
#[path = "https/handshakes.rs"]
mod handshakes;
#[path = "common/process.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod process;
#[path = "https/reload.rs"]
mod reload;
#[path = "https/replaced.rs"]
mod replaced;
#[path = "common/secure.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod secure;
#[path = "https/settings.rs"]
mod settings;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use tempfile::TempDir;

use answer::Answer;
use common::{Endpoint, PATIENCE, Server, Setup, numbered_lines};
use secure::Secure;

/// A folder with a site, and certificates beside it.
struct Place {
    folder: TempDir,
}

/// Bytes of the file that exceeds all socket buffers.
const LARGE: usize = 8 << 20;

impl Place {
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path("root")).unwrap();
        fs::write(place.path("root/a.txt"), "alpha").unwrap();
        fs::write(place.path("root/large"), numbered_lines(LARGE)).unwrap();
        place.certify("tls", &["localhost", "127.0.0.1", "example.org"]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes NAME.pem and NAME.key for these hosts, and returns the certificate in DER.
    fn certify(&self, name: &str, hosts: &[&str]) -> Vec<u8> {
        secure::certify(self.folder.path(), name, hosts)
    }

    /// A server with TLS at its first address, and without at its second.
    fn setup(&self) -> Setup {
        let files = secure::files(self.folder.path(), "tls");
        let setup = Setup::new(&self.path("root")).args(files);
        setup.listen(["https://127.0.0.1:0", "127.0.0.1:0"])
    }

    fn start(&self) -> Server {
        self.setup().start().unwrap()
    }
}

fn address(server: &Server, index: usize) -> SocketAddr {
    match &server.endpoints()[index] {
        Endpoint::Tcp(address) => *address,
        Endpoint::Unix(path) => panic!("{}", path.display()),
    }
}

/// An open connection to the first address, whose reads and writes block.
fn connect(server: &Server) -> Secure {
    let stream = TcpStream::connect(address(server, 0)).unwrap();
    let secure = Secure::shake_hands(stream, PATIENCE).unwrap();
    secure.block(PATIENCE).unwrap();
    secure
}

/// Sends a request, and reads the response.
fn ask(client: &mut Secure, target: &str, fields: &str) -> Answer {
    client.send(format!("GET {target} HTTP/1.1\r\n{fields}\r\n").as_bytes()).unwrap();
    let (mut came, mut piece) = (Vec::new(), [0; 65_536]);
    loop {
        if let Some((answer, _)) = Answer::parse(&came, false, false).unwrap() {
            return answer;
        }
        let count = client.read(&mut piece).unwrap();
        assert!(count > 0, "the connection ended");
        came.extend_from_slice(&piece[..count]);
    }
}

fn get(client: &mut Secure, target: &str) -> Answer {
    ask(client, target, "Host: localhost\r\n")
}

/// A request without TLS, on a connection of its own.
fn plain(address: SocketAddr, text: &str) -> Answer {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let (mut came, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        if let Some((answer, _)) = Answer::parse(&came, false, false).unwrap() {
            return answer;
        }
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "the connection ended: {}", String::from_utf8_lossy(&came));
        came.extend_from_slice(&piece[..count]);
    }
}

fn field<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.one(name).map(|value| str::from_utf8(value).unwrap())
}
