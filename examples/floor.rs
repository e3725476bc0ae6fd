//! The floor: the cost of a request when the server only receives and sends.
//!
//! A complete program on mio and slab. It accepts connections and answers every `recv` with one
//! constant response in one `send`; it parses nothing, looks nothing up and has no timers. Its cost
//! is the kernel's share plus a minimal event loop, so the difference to a real server is the cost
//! of that server's own work. `scripts/compare` starts it with a response as long as tenkay's, so
//! that both send the same number of bytes.
//!
//! It is a baseline, not a server: a request that arrives in two pieces gets two responses, and no
//! connection ever times out. A request costs one `recv`, one `send` and a share of an
//! `epoll_wait`; nothing is allocated after the start.
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

mod constant;
use constant::{Response, listen, parse_count};

/// The listener's token; no slab index is as large.
const LISTENER: Token = Token(usize::MAX);

/// Slots reserved at start, so that accepting allocates nothing. Untouched slots use no memory.
const SLOTS: usize = 1 << 17;

/// Most events per poll.
const EVENTS: usize = 1024;

/// Size of the only receive buffer: sixteen pipelined requests of a browser fit.
const RECEIVE: usize = 16 * 1024;

/// Answers every recv with one send of a constant response: the minimum for a server.
#[derive(Parser)]
#[command(name = "floor")]
struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: SocketAddr,
    #[command(flatten)]
    response: Response,
    /// Copies of the response; a random one is sent, to access as much memory as COUNT files
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = parse_count)]
    copies: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let replies = Replies::new(&args.response.bytes(), args.copies);
    match listen(args.listen).and_then(|listener| Floor::new(listener, replies)?.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {}: {error}", args.listen);
            ExitCode::FAILURE
        }
    }
}

/// The event loop and its resources.
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
                    self.serve(event.token(), event.is_read_closed(), &mut buffer);
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
            let slot = self.peers.vacant_entry();
            let mut peer =
                Peer { stream, token: Token(slot.key()), at: 0, unsent: 0, wants_write: false };
            self.poll.registry().register(&mut peer.stream, peer.token, Interest::READABLE)?;
            slot.insert(peer);
        }
    }

    /// Handles one event of a connection; removes the connection if it has ended.
    fn serve(&mut self, token: Token, closing: bool, buffer: &mut [u8]) {
        let Some(peer) = self.peers.get_mut(token.0) else { return };
        let served = peer.answer(self.poll.registry(), &mut self.replies, buffer, closing);
        if !matches!(served, Ok(Served::Open)) {
            self.peers.remove(token.0);
        }
    }
}

/// Contiguous copies of the constant response. A single copy stays in the processor's cache; as
/// many copies as a server has files must be read from memory, like the files.
struct Replies {
    bytes: Vec<u8>,
    length: usize,
    copies: usize,
    /// State of the random generator (xorshift); never 0.
    chance: u64,
}

impl Replies {
    fn new(reply: &[u8], copies: usize) -> Self {
        Self { bytes: reply.repeat(copies), length: reply.len(), copies, chance: 1 }
    }

    /// The offset of the next response.
    fn pick(&mut self) -> usize {
        if self.copies == 1 {
            return 0;
        }
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let copies = self.copies as u64; // widening
        usize::try_from(self.chance % copies).expect("below `copies`") * self.length
    }
}

/// One connection.
struct Peer {
    stream: TcpStream,
    token: Token,
    /// Offset of the next byte to send.
    at: usize,
    /// Unsent bytes of the current response.
    unsent: usize,
    /// Whether WRITABLE is registered: from the first send that would block.
    wants_write: bool,
}

/// The state of a connection after an event.
enum Served {
    Open,
    Ended,
}

impl Peer {
    /// Sends the unsent bytes, then answers each recv until one does not fill the buffer. A FIN
    /// that arrived with the data causes no further edge, so if the peer is `closing`, it reads to
    /// the end.
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
                return Ok(Served::Open);
            }
            let received = match self.stream.read(buffer) {
                Ok(0) => return Ok(Served::Ended),
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Served::Open),
                Err(error) => return Err(error),
            };
            self.at = replies.pick();
            self.unsent = replies.length;
            more = closing || received == buffer.len();
        }
    }

    /// Sends the unsent bytes. False: the send would block; the next writable edge resumes it.
    fn send(&mut self, registry: &Registry, replies: &Replies) -> io::Result<bool> {
        while self.unsent > 0 {
            match self.stream.write(&replies.bytes[self.at..self.at + self.unsent]) {
                Ok(count) => {
                    self.at += count;
                    self.unsent -= count;
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
