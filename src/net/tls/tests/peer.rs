//! A client of the library, driven by hand in the thread of the test.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::super::{Material, Terminal};
use super::authority::{Authority, now};
use crate::config::{CertificateFiles, TlsConfig, TlsVersion};
use crate::inherited::Inherited;
use crate::net::{Opened, Transport};

pub(super) struct Peer {
    pub(super) client: ClientConnection,
    pub(super) stream: UnixStream,
    pub(super) received: Vec<u8>,
    /// The TCP connection has ended.
    pub(super) is_cut: bool,
}

pub(super) fn client_config(roots: RootCertStore, version: TlsVersion) -> ClientConfig {
    let versions = match version {
        TlsVersion::Tls12 => &[&TLS12],
        TlsVersion::Tls13 => &[&TLS13],
    };
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

impl Peer {
    pub(super) fn new(config: &Arc<ClientConfig>, name: &str, stream: UnixStream) -> Peer {
        stream.set_nonblocking(true).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let client = ClientConnection::new(Arc::clone(config), name).unwrap();
        Peer { client, stream, received: Vec::new(), is_cut: false }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.client.writer().write_all(bytes).unwrap();
    }

    /// Sends what the client has to send.
    pub(super) fn send(&mut self) {
        while self.client.wants_write() {
            match self.client.write_tls(&mut self.stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.is_cut = true,
                Ok(_) => {}
            }
        }
    }

    /// Receives once, at most this many bytes of ciphertext. False: nothing has come.
    pub(super) fn receive(&mut self, most: u64) -> bool {
        match self.client.read_tls(&mut (&mut self.stream).take(most)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => {
                self.is_cut = true;
                return false;
            }
            Ok(0) => {
                self.is_cut = true;
                return false;
            }
            Ok(_) => {}
        }
        let state = self.client.process_new_packets().unwrap();
        let mut piece = vec![0; state.plaintext_bytes_to_read()];
        self.client.reader().read_exact(&mut piece).unwrap();
        self.received.extend(piece);
        true
    }
}

/// A server with these certificates.
pub(super) fn terminal(certificates: Vec<CertificateFiles>, material: &Material) -> Terminal {
    let config = TlsConfig { certificates, ..TlsConfig::default() };
    let (mut terminal, _) =
        Terminal::load(&config, material, &Inherited::default(), now()).unwrap();
    terminal.begin_turn(8);
    terminal
}

/// A connection of a client with a server, both in this thread.
pub(super) struct Pair {
    pub(super) terminal: Terminal,
    pub(super) server: Transport,
    pub(super) peer: Peer,
}

impl Pair {
    /// With a certificate for localhost.
    pub(super) fn new(version: TlsVersion) -> Pair {
        let authority = Authority::new();
        let files = authority.issue("a", super::authority::good(&["localhost"]));
        let material = Material::new(now()).unwrap();
        let config = Arc::new(client_config(authority.root(), version));
        Pair::with(terminal(vec![files], &material), &config, "localhost")
    }

    pub(super) fn with(terminal: Terminal, config: &Arc<ClientConfig>, name: &str) -> Pair {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let server = Transport::secured(ours.into(), &terminal).unwrap();
        Pair { terminal, server, peer: Peer::new(config, name, theirs) }
    }

    /// Lets both work until neither has anything to do. Returns what the server says.
    pub(super) fn shake_hands(&mut self) -> Opened {
        for _ in 0..20 {
            self.peer.send();
            self.wake();
            let opened = self.server.open(&mut self.terminal).unwrap();
            while self.peer.receive(u64::MAX) {}
            if opened != Opened::Waits || self.peer.is_cut {
                return opened;
            }
        }
        Opened::Waits
    }

    /// An open connection.
    pub(super) fn open(version: TlsVersion) -> Pair {
        let mut pair = Pair::new(version);
        assert_eq!(pair.shake_hands(), Opened::Ready);
        pair.peer.send();
        while pair.peer.receive(u64::MAX) {}
        pair
    }

    /// As the poll would.
    pub(super) fn wake(&mut self) {
        self.server.receive_again();
        if let Transport::Tls(secured) = &mut self.server {
            secured.socket_mut().allow_send();
        }
    }

    /// All that the server can receive now.
    pub(super) fn received(&mut self) -> Vec<u8> {
        let (mut all, mut room) = (Vec::new(), [0; 1000]);
        self.wake();
        loop {
            match self.server.receive(&mut room, &mut self.terminal) {
                Ok(count) if count > 0 => all.extend_from_slice(&room[..count]),
                _ => return all,
            }
        }
    }
}
