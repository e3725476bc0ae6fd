//! The floor: what a request costs when the server does nothing but receive and send.
//!
//! A complete program on raw mio and slab. It accepts connections and answers every `recv` with one
//! constant reply in one `send`; it parses nothing, looks nothing up and keeps no time. What it
//! costs is the kernel's share plus the smallest event loop, so the distance between a real
//! server and this one is what that server's own work costs. `scripts/compare` starts it with a
//! constant as long as the reply of tenkay, so that both move the same number of bytes.
//!
//! It is a yardstick, not a server: a request that arrives in two pieces gets two replies, and
//! nobody is ever timed out. One `recv` and one `send` for each request, a share of `epoll_wait`,
//! nothing allocated after the start.
//!
//! ```text
//! cargo run --release --example floor -- --listen 127.0.0.1:8080 --size 1024
//! ```
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use slab::Slab;
use socket2::{Domain, Protocol, Socket, Type};

/// The listener's token; a slab index never reaches it.
const LISTENER: Token = Token(usize::MAX);

/// Connections waiting in the kernel for `accept`.
const BACKLOG: i32 = 4096;

/// Slots reserved at the start, so that accepting allocates nothing. Untouched ones cost no memory.
const SLOTS: usize = 1 << 17;

/// Events taken from one poll.
const EVENTS: usize = 1024;

/// Bytes of the one receive buffer: sixteen pipelined requests of a browser fit.
const RECEIVE: usize = 16 * 1024;

/// Answers every recv with one constant by one send: the least a server can do.
#[derive(Parser)]
#[command(name = "floor")]
struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: SocketAddr,
    /// Status of the constant reply: 304 has no body
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(200..=599))]
    status: u16,
    /// Bytes of the body
    #[arg(long, default_value_t = 1024, value_name = "BYTES")]
    size: usize,
    /// Bytes of the head, reached with a padding field (the shortest one if it is smaller)
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    head: usize,
    /// Replies sent for each recv: the depth of the pipeline
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = parse_count)]
    replies: usize,
    /// Copies of the reply, of which one is sent at random: memory as that of so many files
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = parse_count)]
    copies: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let replies = Replies::new(&constant(&args), args.copies);
    match listen(args.listen).and_then(|listener| Floor::new(listener, replies)?.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {}: {error}", args.listen);
            ExitCode::FAILURE
        }
    }
}

/// The event loop and all it owns.
struct Floor {
    poll: Poll,
    listener: TcpListener,
    peers: Slab<Peer>,
    replies: Replies,
}

impl Floor {
    fn new(mut listener: TcpListener, replies: Replies) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self { poll, listener, peers: Slab::with_capacity(SLOTS), replies })
    }

    /// Turns until polling or accepting fails. New connections come after the events of a turn, so
    /// that a slot freed in it has no event left in the batch when it is used again.
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
                    self.serve(event.token(), event.is_read_closed(), &mut buffer);
                }
            }
            if arrivals {
                self.accept()?;
            }
        }
    }

    /// Accepts until it would block (`accept4`; TCP_NODELAY is inherited from the listener).
    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            let slot = self.peers.vacant_entry();
            let mut peer =
                Peer { stream, token: Token(slot.key()), at: 0, owed: 0, wants_write: false };
            self.poll.registry().register(&mut peer.stream, peer.token, Interest::READABLE)?;
            slot.insert(peer);
        }
    }

    /// Serves one event of a connection and drops the connection if it is over.
    fn serve(&mut self, token: Token, closing: bool, buffer: &mut [u8]) {
        let Some(peer) = self.peers.get_mut(token.0) else { return };
        let served = peer.answer(self.poll.registry(), &mut self.replies, buffer, closing);
        if !matches!(served, Ok(Served::Stays)) {
            self.peers.remove(token.0);
        }
    }
}

/// What is sent: copies of the constant, one behind the other. With one, it is always in the
/// processor's cache; with as many as there are files, it must come from memory as they must.
struct Replies {
    bytes: Vec<u8>,
    length: usize,
    copies: usize,
    /// State of the generator that picks one (xorshift); never 0.
    chance: u64,
}

impl Replies {
    fn new(reply: &[u8], copies: usize) -> Self {
        Self { bytes: reply.repeat(copies), length: reply.len(), copies, chance: 1 }
    }

    /// Where the next reply begins.
    fn pick(&mut self) -> usize {
        if self.copies == 1 {
            return 0;
        }
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let copies = self.copies as u64; // widening
        usize::try_from(self.chance % copies).expect("it is below `copies`") * self.length
    }
}

/// One connection.
struct Peer {
    stream: TcpStream,
    token: Token,
    /// Where in the replies the next byte to be sent stands.
    at: usize,
    /// Bytes that are still to be sent.
    owed: usize,
    /// Whether WRITABLE is registered: from the first refused send on.
    wants_write: bool,
}

/// What is left of a connection after an event.
enum Served {
    Stays,
    Over,
}

impl Peer {
    /// Sends what is owed, then answers each recv until one is short. A FIN that came with the data
    /// gives no second edge, so when the peer is `closing` it reads on to the end.
    fn answer(
        &mut self,
        registry: &Registry,
        replies: &mut Replies,
        buffer: &mut [u8],
        closing: bool,
    ) -> io::Result<Served> {
        let mut more = true;
        loop {
            if !self.send(registry, replies)? || !more {
                return Ok(Served::Stays);
            }
            let received = match self.stream.read(buffer) {
                Ok(0) => return Ok(Served::Over),
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Served::Stays),
                Err(error) => return Err(error),
            };
            self.at = replies.pick();
            self.owed = replies.length;
            more = closing || received == buffer.len();
        }
    }

    /// Sends what is owed. False: refused, and the next edge will say when it may go on.
    fn send(&mut self, registry: &Registry, replies: &Replies) -> io::Result<bool> {
        while self.owed > 0 {
            match self.stream.write(&replies.bytes[self.at..self.at + self.owed]) {
                Ok(count) => {
                    self.at += count;
                    self.owed -= count;
                }
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
        Ok(true)
    }
}

/// Creates the socket, names it and listens.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// The reply, as often as it is sent for one recv.
fn constant(args: &Args) -> Vec<u8> {
    let size = if args.status == 304 { 0 } else { args.size };
    let mut head = format!("HTTP/1.1 {} Constant\r\n", args.status);
    if args.status != 304 {
        head.push_str(&format!("Content-Length: {size}\r\n"));
    }
    let shortest = head.len() + "X: \r\n\r\n".len();
    if let Some(missing) = args.head.checked_sub(shortest) {
        head.push_str(&format!("X: {}\r\n", "x".repeat(missing)));
    }
    head.push_str("\r\n");
    let mut reply = head.into_bytes();
    reply.resize(reply.len() + size, b'x');
    reply.repeat(args.replies)
}

/// At least one reply: a recv without an answer would leave the client waiting.
fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}
