//! The floor with TLS: the cost of a request when the server only decrypts, encrypts and sends.
//!
//! As `floor.rs`, but each connection is a rustls session: it answers every piece of plaintext with
//! one constant response, and parses nothing. Its cost is that of the kernel and of the library, so
//! the difference to a real server is the cost of that server's own work. `scripts/compare` starts
//! it with a response as long as tenkay's.
//!
//! ```text
//! cargo run --release --example tls_floor -- --listen 127.0.0.1:8443 --cert FILE --key FILE
//! ```
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use slab::Slab;

mod constant;
use constant::{Response, listen, parse_count};

/// The listener's token; no slab index is as large.
const LISTENER: Token = Token(usize::MAX);

/// Slots reserved at start, so that accepting allocates nothing. Untouched slots use no memory.
const SLOTS: usize = 1 << 17;

/// Most events per poll.
const EVENTS: usize = 1024;

/// Size of the only buffer for plaintext.
const RECEIVE: usize = 16 * 1024;

/// Most plaintext encrypted at once: four records.
const PIECE: usize = 64 * 1024;

/// Answers every piece of plaintext with a constant response over TLS: the minimum for a server.
#[derive(Parser)]
#[command(name = "tls_floor")]
struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: SocketAddr,
    /// Certificate chain (PEM)
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Private key (PEM)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    response: Response,
    /// Accepted, without an effect
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = parse_count)]
    copies: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let run = || -> Result<(), String> {
        let config = config(&args.cert, &args.key)?;
        let listener = listen(args.listen).map_err(|error| error.to_string())?;
        let floor = Floor::new(listener, config, args.response.bytes());
        floor.and_then(Floor::run).map_err(|error| error.to_string())
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tls_floor: {}: {error}", args.listen);
            ExitCode::FAILURE
        }
    }
}

/// The same settings of the library as tenkay has.
fn config(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(cert).map_err(|error| error.to_string())?.collect();
    let chain = chain.map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| error.to_string())?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = builder.with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.map_err(|error| error.to_string())?;
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
    Ok(Arc::new(config))
}

/// The event loop and its resources.
struct Floor {
    poll: Poll,
    listener: TcpListener,
    config: Arc<ServerConfig>,
    peers: Slab<Peer>,
    reply: Vec<u8>,
}

impl Floor {
    fn new(
        mut listener: TcpListener,
        config: Arc<ServerConfig>,
        reply: Vec<u8>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self { poll, listener, config, peers: Slab::with_capacity(SLOTS), reply })
    }

    /// Runs until polling or accepting fails. Accepts after the other events of a turn, so that no
    /// event of the turn is left for a slot that was freed in it and is used again.
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut buffer = vec![0; RECEIVE];
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            let mut arrivals = false;
            for event in &events {
                if event.token() == LISTENER {
                    arrivals = true;
                } else {
                    self.serve(event.token(), &mut buffer);
                }
            }
            if arrivals {
                self.accept()?;
            }
        }
    }

    /// Accepts until `accept4` would block. Sockets inherit TCP_NODELAY from the listener.
    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            let mut session =
                ServerConnection::new(Arc::clone(&self.config)).map_err(io::Error::other)?;
            session.set_buffer_limit(Some(PIECE));
            let slot = self.peers.vacant_entry();
            let token = Token(slot.key());
            let mut peer = Peer { stream, session, token, left: 0, wants_write: false };
            self.poll.registry().register(&mut peer.stream, peer.token, Interest::READABLE)?;
            slot.insert(peer);
        }
    }

    /// Handles one event of a connection; removes the connection if it has ended.
    fn serve(&mut self, token: Token, buffer: &mut [u8]) {
        let Some(peer) = self.peers.get_mut(token.0) else { return };
        let served = peer.answer(self.poll.registry(), &self.reply, buffer);
        if !matches!(served, Ok(Served::Open)) {
            self.peers.remove(token.0);
        }
    }
}

/// One connection.
struct Peer {
    stream: TcpStream,
    session: ServerConnection,
    token: Token,
    /// Bytes of the current response that are not encrypted yet.
    left: usize,
    /// Whether WRITABLE is registered: from the first send that would block.
    wants_write: bool,
}

/// The state of a connection after an event.
enum Served {
    Open,
    Ended,
}

impl Peer {
    /// Sends what is unsent, then answers each piece of plaintext until the socket is empty.
    fn answer(
        &mut self,
        registry: &Registry,
        reply: &[u8],
        buffer: &mut [u8],
    ) -> io::Result<Served> {
        loop {
            if !self.send(registry, reply)? {
                return Ok(Served::Open);
            }
            match self.session.reader().read(buffer) {
                Ok(0) => return Ok(Served::Ended),
                Ok(_) => {
                    self.left = reply.len();
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            match self.session.read_tls(&mut self.stream) {
                Ok(0) => return Ok(Served::Ended),
                Ok(_) => self.session.process_new_packets().map_err(io::Error::other)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Served::Open),
                Err(error) => return Err(error),
            };
        }
    }

    /// Encrypts and sends the rest of the response. False: the send would block; the next writable
    /// edge resumes it.
    fn send(&mut self, registry: &Registry, reply: &[u8]) -> io::Result<bool> {
        loop {
            if !self.session.wants_write() {
                if self.left == 0 {
                    return Ok(true);
                }
                self.left -= self.session.writer().write(&reply[reply.len() - self.left..])?;
            }
            match self.session.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !self.wants_write {
                        let both = Interest::READABLE | Interest::WRITABLE;
                        registry.reregister(&mut self.stream, self.token, both)?;
                        self.wants_write = true;
                    }
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
