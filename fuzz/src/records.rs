//! TLS: any bytes on the socket of a connection, before and after its handshake.
//!
//! The settings are a mode, then the lengths of the pieces in which the bytes arrive:
//!
//! - 0: the bytes come instead of a handshake. They must lead to no plaintext, unless they begin
//!   like HTTP: then they pass as they are.
//! - 1: they come after a handshake, in clear. They must lead to no plaintext.
//! - 2: they come after a handshake, encrypted by the client. The plaintext must be the same bytes.
//!
//! In each of them, every call must end without waiting, and a connection that has failed must stay
//! failed.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tenkay::config::TlsConfig;
use tenkay::inherited::Inherited;
use tenkay::net::tls::{Material, Terminal};
use tenkay::net::{Opened, Transport};

use crate::{numbers, pieces, settings};

#[path = "../../tests/common/trusting.rs"]
mod trusting;
use trusting::trusting;

/// Most bytes of an input that are used: they fit into the buffer of a socket.
const BYTES_MAX: usize = 100_000;

static MATERIAL: LazyLock<Material> = LazyLock::new(|| {
    let mut material = Material::new(now()).unwrap();
    material.make_certificate(vec!["localhost".to_owned()], now()).unwrap();
    material
});

static CLIENT: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| Arc::new(trusting()));

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A connection of a server with the stream of a peer.
struct Bench {
    terminal: Terminal,
    server: Transport,
    peer: UnixStream,
    plain: Vec<u8>,
    has_failed: bool,
    is_clear: bool,
}

/// Runs an input.
pub fn run(data: &[u8]) {
    let (line, bytes) = settings(data);
    let mut line = numbers(line);
    let mode = line.next().unwrap_or(0) % 3;
    let lengths: Vec<u64> = line.collect();
    let bytes = &bytes[..bytes.len().min(BYTES_MAX)];
    let mut bench = Bench::new();
    if mode == 0 {
        bench.take(&pieces(bytes, &lengths));
        let is_http = bytes.first().is_some_and(u8::is_ascii_uppercase);
        assert_eq!(bench.is_clear, is_http);
        assert_eq!(bench.plain, if is_http { bytes } else { b"" });
        return;
    }
    let mut client = bench.shake_hands();
    if mode == 1 {
        bench.take(&pieces(bytes, &lengths));
        assert!(bench.plain.is_empty(), "nobody has encrypted it");
        return;
    }
    client.set_buffer_limit(None);
    client.writer().write_all(bytes).unwrap();
    let mut sent = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut sent).unwrap();
    }
    bench.take(&pieces(&sent, &lengths));
    assert!(bench.plain == bytes && !bench.has_failed);
}

impl Bench {
    fn new() -> Bench {
        let config = TlsConfig { self_signed: true, ..TlsConfig::default() };
        let (terminal, _) =
            Terminal::load(&config, &MATERIAL, &Inherited::default(), now()).unwrap();
        let (ours, peer) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        peer.set_nonblocking(true).unwrap();
        let server = Transport::secured(ours.into(), &terminal).unwrap();
        Bench { terminal, server, peer, plain: Vec::new(), has_failed: false, is_clear: false }
    }

    /// The pieces arrive, one after the other.
    fn take(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            // The server may have ended the connection.
            _ = self.peer.write_all(piece);
            self.work();
            // An alert must not fill the socket.
            _ = self.peer.read(&mut [0; 4096]);
        }
    }

    /// As the event loop does after an event.
    fn work(&mut self) {
        self.server.receive_again();
        self.terminal.begin_turn(8);
        let mut room = [0; 3000];
        loop {
            match self.server.open(&mut self.terminal) {
                Ok(Opened::Failed) => {
                    self.has_failed = true;
                    _ = self.server.shutdown_write(&mut self.terminal);
                    while self.server.discard(&mut self.terminal).is_ok_and(|count| count > 0) {}
                    return;
                }
                Ok(Opened::Clear) => self.is_clear = true,
                Ok(Opened::Ready) => {}
                Ok(Opened::Waits) => return,
                Ok(Opened::NoUnit) => self.terminal.begin_turn(8),
                Err(_) => return,
            }
            assert!(!self.has_failed, "a failed connection stays failed");
            if !self.server.is_readable() {
                return;
            }
            match self.server.receive(&mut room, &mut self.terminal) {
                Ok(0) => return,
                Ok(count) => self.plain.extend_from_slice(&room[..count]),
                Err(error) if error.kind() == ErrorKind::InvalidData => {}
                Err(_) => return,
            }
        }
    }

    /// A client whose handshake is done.
    fn shake_hands(&mut self) -> ClientConnection {
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::clone(&CLIENT), name).unwrap();
        while client.is_handshaking() || client.wants_write() {
            while client.wants_write() {
                client.write_tls(&mut self.peer).unwrap();
            }
            self.work();
            while client.read_tls(&mut self.peer).is_ok_and(|count| count > 0) {
                client.process_new_packets().unwrap();
            }
        }
        assert!(self.plain.is_empty());
        client
    }
}
