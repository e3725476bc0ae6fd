//! A client that can misbehave: it reads as slowly as a test likes, stops in the middle, resets.
//!
//! Reads and writes block, with [`PATIENCE`] as the bound on failure. Received bytes are kept, and
//! parsed by the strict parser of the wire tests.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::answer::Answer;
use crate::common::{Endpoint, PATIENCE, Server};

/// One connection to the server.
pub(crate) struct Client {
    socket: Socket,
    came: Vec<u8>,
}

/// How a connection ended, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a FIN.
    Finished,
    /// With a reset.
    Reset,
}

/// A response whose body was received in part or as a whole.
#[derive(Debug)]
pub(crate) struct Download {
    /// The head, with no body in it.
    pub(crate) head: Answer,
    /// The received part of the body.
    pub(crate) body: Vec<u8>,
    /// How the connection ended before the announced length was received; `None`: it is complete.
    pub(crate) cut_off: Option<End>,
}

impl Client {
    /// Connects to the first address of the server.
    pub(crate) fn connect(server: &Server) -> Client {
        Client::try_connect(server.endpoint()).expect("the server takes the connection")
    }

    /// Connects with a receive buffer that is as small as the kernel allows, so that the server
    /// soon notices that the client does not read.
    pub(crate) fn connect_with_small_buffer(server: &Server) -> Client {
        let (socket, address) = Client::socket(server.endpoint()).expect("a socket");
        socket.set_recv_buffer_size(1).expect("a smaller buffer");
        Client::open(socket, &address).expect("the server takes the connection")
    }

    /// Connects as another client would, from this address of this machine.
    pub(crate) fn connect_from(address: Ipv4Addr, server: &Server) -> Client {
        Client::connect_to_from(address, server.endpoint())
    }

    /// The same to any server.
    pub(crate) fn connect_to_from(address: Ipv4Addr, endpoint: &Endpoint) -> Client {
        let (socket, to) = Client::socket(endpoint).expect("a socket");
        socket.bind(&SocketAddr::from((address, 0)).into()).expect("an address of this machine");
        Client::open(socket, &to).expect("the server takes the connection")
    }

    pub(crate) fn try_connect(endpoint: &Endpoint) -> std::io::Result<Client> {
        let (socket, address) = Client::socket(endpoint)?;
        Client::open(socket, &address)
    }

    /// Sets the timeouts after the connect: with a timeout, Linux fails an interrupted connect with
    /// EINTR instead of restarting it.
    fn open(socket: Socket, address: &SockAddr) -> std::io::Result<Client> {
        socket.connect(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { socket, came: Vec::new() })
    }

    pub(crate) fn try_connect_to(address: SocketAddr) -> std::io::Result<Client> {
        Client::try_connect(&Endpoint::Tcp(address))
    }

    fn socket(endpoint: &Endpoint) -> std::io::Result<(Socket, SockAddr)> {
        let (domain, address) = match endpoint {
            Endpoint::Tcp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
            Endpoint::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
        };
        let socket = Socket::new(domain, Type::STREAM, None)?;
        if domain != Domain::UNIX {
            socket.set_tcp_nodelay(true)?;
        }
        Ok((socket, address))
    }

    /// The port of this end of a TCP connection.
    pub(crate) fn port(&self) -> u16 {
        let address = self.socket.local_addr().expect("a socket has an address");
        address.as_socket().expect("a connection of TCP").port()
    }

    /// Sends all of it.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("the server reads");
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Sends a byte as TCP urgent data.
    pub(crate) fn send_urgent(&mut self, byte: u8) {
        self.socket.send_out_of_band(&[byte]).expect("the server reads");
    }

    /// Requests a path and waits for the response.
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send(request(path));
        self.answer()
    }

    /// The next answer; the connection must not end before it.
    pub(crate) fn answer(&mut self) -> Answer {
        self.next(false).unwrap_or_else(|end| {
            panic!("{end:?} instead of an answer, after {:?}", self.came.escape_ascii().to_string())
        })
    }

    /// The next answer, to HEAD if `to_head`; or how the connection ended before it was complete.
    pub(crate) fn next(&mut self, to_head: bool) -> Result<Answer, End> {
        loop {
            match Answer::parse(&self.came, to_head, false).expect("an answer by RFC 9112") {
                Some((answer, length)) => {
                    self.came.drain(..length);
                    return Ok(answer);
                }
                None => self.receive(64 * 1024)?,
            }
        }
    }

    /// The head of a response with a body, and the bytes received behind it.
    pub(crate) fn head(&mut self) -> Download {
        loop {
            match Answer::parse(&self.came, true, false).expect("a head by RFC 9112") {
                Some((head, length)) => {
                    let body = self.came.split_off(length);
                    self.came.clear();
                    return Download { head, body, cut_off: None };
                }
                None => self.receive(4096).expect("the connection lives until the head is there"),
            }
        }
    }

    /// The rest of a body, or the part of it that arrives. `pace` is called before each read with
    /// the length so far, and may wait.
    pub(crate) fn finish(&mut self, download: Download, pace: impl FnMut(usize)) -> Download {
        let length = download.head.content_length().expect("one length").expect("a length");
        let length = usize::try_from(length).expect("a length that fits this machine");
        self.read_until(download, length, pace)
    }

    /// The same, until the body has this length.
    pub(crate) fn read_until(
        &mut self,
        mut download: Download,
        length: usize,
        mut pace: impl FnMut(usize),
    ) -> Download {
        while download.body.len() < length {
            pace(download.body.len());
            match self.receive(PIECE.min(length - download.body.len())) {
                Ok(()) => download.body.append(&mut self.came),
                Err(end) => {
                    download.cut_off = Some(end);
                    break;
                }
            }
        }
        download
    }

    /// Waits for the end of the connection; any bytes before it are an error.
    pub(crate) fn end(&mut self) -> End {
        match self.receive(4096) {
            Ok(()) => panic!("unexpected bytes: {:?}", self.came.escape_ascii().to_string()),
            Err(end) => end,
        }
    }

    /// Shuts down the sending side.
    pub(crate) fn half_close(&self) {
        self.socket.shutdown(Shutdown::Write).expect("the connection is open");
    }

    /// Closes with a reset, even during a response.
    pub(crate) fn reset(self) {
        self.socket.set_linger(Some(Duration::ZERO)).expect("an open socket");
    }

    /// True if bytes arrive or the connection ends within this time. Reads nothing.
    pub(crate) fn stirs_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).expect("a short time");
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&left)) {
                Ok(count) => return count > 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("poll: {error}"),
            }
        }
    }

    /// One read of at most this many bytes.
    fn receive(&mut self, most: usize) -> Result<(), End> {
        let mut room = vec![0; most];
        loop {
            match self.socket.read(&mut room) {
                Ok(0) => return Err(End::Finished),
                Ok(count) => {
                    self.came.extend_from_slice(&room[..count]);
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => return Err(End::Reset),
                    ErrorKind::WouldBlock => panic!("nothing was received for {PATIENCE:?}"),
                    _ => panic!("read: {error}"),
                },
            }
        }
    }
}

/// GET with keep-alive.
pub(crate) fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// Bytes per read.
const PIECE: usize = 64 * 1024;
