//! One connection as a client sees it: bytes out, answers in.
//!
//! The socket is non-blocking; every wait is a poll, bounded by `PATIENCE`. The server may answer
//! before everything is sent, so the client also reads while it waits to write.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::answer::Answer;
use crate::common::{Endpoint, PATIENCE};

/// Time that a `split:` gives the server to read the bytes so far. It affects the coverage, never
/// the verdict.
const SPLIT_PAUSE: Duration = Duration::from_millis(3);

/// In pieces, a script is sent in about this many writes.
const PIECES: usize = 48;

/// How the other side ended the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a FIN.
    Finished,
    /// With a reset: earlier bytes of the server may be lost.
    Reset,
}

/// The next event of a connection.
#[derive(Debug)]
pub(crate) enum Next {
    Answer(Answer),
    End(End),
    /// A timeout, or bytes that are not a response.
    Nonsense(String),
}

/// A connection, with the received bytes that are not consumed yet.
pub(crate) struct Exchange {
    stream: Stream,
    incoming: Vec<u8>,
    used: usize,
    end: Option<End>,
    in_pieces: bool,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    #[cfg(feature = "tls")]
    Tls(Box<crate::secure::Secure>),
}

impl Exchange {
    /// Connects. `in_pieces`: sends everything in many small writes. `is_secure`: with TLS.
    pub(crate) fn connect(
        endpoint: &Endpoint,
        in_pieces: bool,
        is_secure: bool,
    ) -> Result<Exchange, String> {
        let stream =
            Stream::connect(endpoint, is_secure).map_err(|error| format!("connect: {error}"))?;
        Ok(Exchange { stream, incoming: Vec::new(), used: 0, end: None, in_pieces })
    }

    /// Sends the bytes. If the server ends the connection first, the responses will show it.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let size = if self.in_pieces { bytes.len().div_ceil(PIECES) } else { bytes.len() };
        for piece in bytes.chunks(size.max(1)) {
            self.send_piece(piece)?;
        }
        Ok(())
    }

    /// Gives the server time to read the bytes so far in one receive.
    pub(crate) fn pause(&mut self) -> Result<(), String> {
        let until = Instant::now() + SPLIT_PAUSE;
        while self.wait(PollFlags::IN, until)? {
            self.receive()?;
        }
        Ok(())
    }

    /// Shuts down the sending side.
    pub(crate) fn half_close(&mut self) {
        // Fails only if the connection has ended, which the next read will report.
        let _ = self.stream.shutdown_write();
    }

    /// Waits for the next answer, or for the end of the connection.
    pub(crate) fn next(&mut self, to_head: bool) -> Next {
        let until = Instant::now() + PATIENCE;
        loop {
            match Answer::parse(&self.incoming[self.used..], to_head, self.end.is_some()) {
                Err(text) => return Next::Nonsense(text),
                Ok(Some((answer, length))) => {
                    self.used += length;
                    return Next::Answer(answer);
                }
                Ok(None) => {}
            }
            match self.end {
                Some(end) if self.rest().is_empty() => return Next::End(end),
                Some(_) => return Next::Nonsense("the answer is cut off".into()),
                None => {}
            }
            match self.wait(PollFlags::IN, until).and_then(|came| self.receive().map(|()| came)) {
                Ok(true) => {}
                Ok(false) => return Next::Nonsense("nothing was received".into()),
                Err(text) => return Next::Nonsense(text),
            }
        }
    }

    /// All received bytes, consumed or not.
    pub(crate) fn came(&self) -> &[u8] {
        &self.incoming
    }

    /// The received bytes that are not consumed yet.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.incoming[self.used..]
    }

    fn send_piece(&mut self, mut piece: &[u8]) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        while !piece.is_empty() && self.end.is_none() {
            match self.stream.write(piece) {
                Ok(count) => piece = &piece[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !self.wait(PollFlags::IN | PollFlags::OUT, until)? {
                        return Err("the server does not read".into());
                    }
                    self.receive()?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The server has closed. Earlier bytes can still be read.
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Reads all bytes that the kernel has, without waiting.
    fn receive(&mut self) -> Result<(), String> {
        let mut buffer = [0; 64 * 1024];
        while self.end.is_none() {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.end = Some(End::Finished),
                Ok(count) => self.incoming.extend_from_slice(&buffer[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => break,
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                        self.end = Some(End::Reset);
                    }
                    _ => return Err(error.to_string()),
                },
            }
        }
        Ok(())
    }

    /// Waits for one of these events; false when the time is over.
    fn wait(&mut self, flags: PollFlags, until: Instant) -> Result<bool, String> {
        if self.end.is_some() {
            return Ok(false);
        }
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(|error| error.to_string())?;
            let mut polled = [PollFd::new(&self.stream, flags)];
            match poll(&mut polled, Some(&left)) {
                Ok(count) => return Ok(count > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Stream {
    fn connect(endpoint: &Endpoint, is_secure: bool) -> std::io::Result<Stream> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, PATIENCE)?;
                stream.set_nodelay(true)?;
                #[cfg(feature = "tls")]
                if is_secure {
                    let secure = crate::secure::Secure::shake_hands(stream, PATIENCE)?;
                    return Ok(Stream::Tls(Box::new(secure)));
                }
                assert!(!is_secure, "a build with TLS");
                stream.set_nonblocking(true)?;
                Ok(Stream::Tcp(stream))
            }
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_nonblocking(true)?;
                Ok(Stream::Unix(stream))
            }
        }
    }

    fn shutdown_write(&mut self) -> std::io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.shutdown_write(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.write(bytes),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that sends these bytes to one client and closes when it has read to the end.
    fn against(bytes: &'static [u8]) -> (Exchange, thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(bytes).unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            received
        });
        (Exchange::connect(&endpoint, true, false).unwrap(), server)
    }

    #[test]
    fn answers_come_one_after_the_other_and_then_the_end() {
        let (mut exchange, server) =
            against(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 204 x\r\n\r\n");
        exchange.send(&[b'x'; 1000]).unwrap();
        exchange.pause().unwrap();
        assert!(matches!(exchange.next(false), Next::Answer(answer) if answer.body == b"a"));
        assert!(matches!(exchange.next(false), Next::Answer(answer) if answer.status == 204));
        exchange.half_close();
        assert!(matches!(exchange.next(false), Next::End(End::Finished)));
        assert_eq!(server.join().unwrap(), [b'x'; 1000]);
    }

    #[test]
    fn an_answer_that_is_cut_off_is_nonsense() {
        let (mut exchange, _server) = against(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na");
        exchange.half_close();
        assert!(matches!(exchange.next(false), Next::Nonsense(_)));
        assert!(exchange.came().ends_with(b"\r\na"));
    }
}
