//! Shared by `floor` and `tls_floor`: the listening socket, and the constant response.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

/// Listen backlog.
const BACKLOG: i32 = 4096;

/// The options for the response.
#[derive(clap::Args)]
pub(crate) struct Response {
    /// Status of the response; 304 has no body
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(200..=599))]
    status: u16,
    /// Bytes of the body
    #[arg(long, default_value_t = 1024, value_name = "BYTES")]
    size: usize,
    /// Bytes of the head, reached with a padding field; too small: the shortest head
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    head: usize,
    /// Responses per recv: the depth of the pipeline
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = parse_count)]
    replies: usize,
}

impl Response {
    /// The response, repeated for one recv.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let size = if self.status == 304 { 0 } else { self.size };
        let mut head = format!("HTTP/1.1 {} Constant\r\n", self.status);
        if self.status != 304 {
            head.push_str(&format!("Content-Length: {size}\r\n"));
        }
        let shortest = head.len() + "X: \r\n\r\n".len();
        if let Some(missing) = self.head.checked_sub(shortest) {
            head.push_str(&format!("X: {}\r\n", "x".repeat(missing)));
        }
        head.push_str("\r\n");
        let mut reply = head.into_bytes();
        reply.resize(reply.len() + size, b'x');
        reply.repeat(self.replies)
    }
}

/// Creates a socket, binds it and listens.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Parses a count of at least 1: without a response the client would wait forever.
pub(crate) fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}
