//! TLS for tests: a server that speaks it, and a client that accepts every certificate.
//!
//! The client is rustls, in non-blocking mode over a socket. The certificate names no host, so that
//! a case may use any.

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

use crate::common::Setup;

#[path = "trusting.rs"]
mod trusting;
pub(crate) use trusting::trusting;

/// Lets the server listen with TLS, with a certificate in this folder.
pub(crate) fn with_tls(setup: Setup, folder: &Path) -> Setup {
    certify(folder, "tls", &[]);
    setup.args(files(folder, "tls")).listen(["https://127.0.0.1:0"])
}

/// The arguments for a certificate of [`certify`].
pub(crate) fn files(folder: &Path, name: &str) -> [OsString; 4] {
    let path = |extension| folder.join(format!("{name}.{extension}")).into_os_string();
    ["--cert".into(), path("pem"), "--key".into(), path("key")]
}

/// Writes NAME.pem and NAME.key for these hosts, and returns the certificate in DER.
pub(crate) fn certify(folder: &Path, name: &str, hosts: &[&str]) -> Vec<u8> {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(hosts).expect("names of hosts");
    let certificate = params.self_signed(&key).expect("a certificate");
    let write = |extension, text| {
        std::fs::write(folder.join(format!("{name}.{extension}")), text).expect("a file");
    };
    write("pem", certificate.pem());
    write("key", key.serialize_pem());
    certificate.der().to_vec()
}

/// A connection whose handshake is done.
pub(crate) struct Secure {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Secure {
    /// Does the handshake, and leaves the socket in non-blocking mode.
    pub(crate) fn shake_hands(tcp: TcpStream, patience: Duration) -> std::io::Result<Secure> {
        Secure::with(&Arc::new(trusting()), tcp, patience)
    }

    /// The same with settings that remember sessions.
    pub(crate) fn with(
        config: &Arc<ClientConfig>,
        mut tcp: TcpStream,
        patience: Duration,
    ) -> std::io::Result<Secure> {
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(Arc::clone(config), name);
        let mut client = client.map_err(std::io::Error::other)?;
        tcp.set_read_timeout(Some(patience))?;
        while client.is_handshaking() {
            client.complete_io(&mut tcp)?;
        }
        tcp.set_nonblocking(true)?;
        Ok(Secure { stream: StreamOwned::new(client, tcp) })
    }

    /// From now on, reads and writes wait, at most for this time.
    pub(crate) fn block(&self, patience: Duration) -> std::io::Result<()> {
        self.stream.sock.set_read_timeout(Some(patience))?;
        self.stream.sock.set_nonblocking(false)
    }

    /// The stream itself.
    pub(crate) fn into_stream(self) -> StreamOwned<ClientConnection, TcpStream> {
        self.stream
    }

    /// Sends all of it.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// The certificate of the server, in DER.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        let chain = self.stream.conn.peer_certificates();
        chain.and_then(|chain| chain.first()).map(|it| it.to_vec()).unwrap_or_default()
    }

    /// Whether a session was resumed.
    pub(crate) fn kind(&self) -> Option<HandshakeKind> {
        self.stream.conn.handshake_kind()
    }

    /// close_notify, then FIN.
    pub(crate) fn shutdown_write(&mut self) -> std::io::Result<()> {
        self.stream.conn.send_close_notify();
        while self.stream.conn.wants_write() {
            match self.stream.conn.write_tls(&mut self.stream.sock) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => _ = written?,
            }
        }
        self.stream.sock.shutdown(Shutdown::Write)
    }

    /// An end without close_notify is an error of its own.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(buffer)
    }

    /// Takes some bytes, and sends what the socket accepts of them.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        while self.stream.conn.wants_write() {
            self.stream.conn.write_tls(&mut self.stream.sock)?;
        }
        let count = self.stream.conn.writer().write(bytes)?;
        match self.stream.conn.write_tls(&mut self.stream.sock) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(count),
        }
    }
}

impl AsFd for Secure {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.sock.as_fd()
    }
}
