//! The same cases over HTTP/2: status, fields and body must be those that HTTP/1.1 gives.
//!
//! The requests of a case are translated, if there is a request of HTTP/2 that means the same; a
//! case about lines, versions, or the connection has none, and is skipped.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
#[cfg(feature = "tls")]
use std::sync::Arc;

use crate::answer::Answer;
use crate::common::{Endpoint, PATIENCE};
use crate::peer::{
    Client, END_HEADERS, END_STREAM, HEADERS, WINDOW_UPDATE, frame, hello, number, push_field,
};
#[cfg(feature = "tls")]
use crate::secure::Secure;

/// Files whose cases are about the format of HTTP/1.1 or about its limits.
const OTHER_FORMAT: &[&str] = &[
    "chunked",
    "expect",
    "framing",
    "half_close",
    "head_timeouts",
    "heads",
    "keep_alive_timeout",
    "lengths",
    "limits",
    "persistence",
    "pipelining",
    "small_limits",
    "transfer_encoding",
    "versions",
];

/// A request of HTTP/2: whether it is a HEAD, and its block.
pub(crate) struct Request {
    is_head: bool,
    block: Vec<u8>,
}

/// Whether the cases of a file are run over HTTP/2 as well.
pub(crate) fn is_run(file: &str) -> bool {
    !OTHER_FORMAT.contains(&file)
}

/// The requests that these bytes of HTTP/1.1 are; `None`: they mean something that HTTP/2 cannot
/// say.
pub(crate) fn translate(mut bytes: &[u8], is_secure: bool) -> Option<Vec<Request>> {
    let mut requests = Vec::new();
    while !bytes.is_empty() {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
        requests.push(one(&bytes[..end], is_secure)?);
        bytes = &bytes[end + 4..];
    }
    Some(requests)
}

fn one(head: &[u8], is_secure: bool) -> Option<Request> {
    let mut lines =
        head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.next()?;
    let words: Vec<&[u8]> = first.split(|&byte| byte == b' ').collect();
    let &[method, target, b"HTTP/1.1"] = &words[..] else { return None };
    if !(target.starts_with(b"/") || target == b"*") || method == b"CONNECT" {
        return None;
    }
    let mut fields: Vec<(Vec<u8>, &[u8])> = Vec::new();
    let mut host = None;
    for line in lines {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = (line[..colon].to_ascii_lowercase(), line[colon + 1..].trim_ascii());
        match &name[..] {
            b"host" if host.is_none() => host = Some(value),
            b"host" | b"connection" | b"content-length" | b"transfer-encoding" | b"te"
            | b"expect" | b"upgrade" | b"keep-alive" => return None,
            _ => fields.push((name, value)),
        }
    }
    let mut block = Vec::new();
    let scheme: &[u8] = if is_secure { b"https" } else { b"http" };
    let pseudo: [(&[u8], &[u8]); 4] =
        [(b":method", method), (b":scheme", scheme), (b":path", target), (b":authority", host?)];
    for (name, value) in pseudo {
        push_field(&mut block, name, value);
    }
    for (name, value) in fields {
        push_field(&mut block, &name, value);
    }
    Some(Request { is_head: method == b"HEAD", block })
}

/// Sends all requests at once, and returns their responses in the same order. `in_pieces`: in many
/// writes. `is_secure`: with TLS.
pub(crate) fn ask(
    endpoint: &Endpoint,
    requests: &[Request],
    (in_pieces, is_secure): (bool, bool),
) -> Result<Vec<Answer>, String> {
    let mut bytes = [hello(&[(4, 0x0100_0000)]), number(WINDOW_UPDATE, 0, 0x0100_0000)].concat();
    let mut client = Client::default();
    let ids = (1_u32..).step_by(2);
    for (id, request) in ids.zip(requests) {
        if request.block.len() > 16_384 {
            return Err("a block of several frames".into());
        }
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, id, &request.block));
        if request.is_head {
            client.heads.push(id);
        }
    }
    let mut stream = connect(endpoint, is_secure).map_err(|error| error.to_string())?;
    let piece = if in_pieces { bytes.len().div_ceil(20) } else { bytes.len() };
    for piece in bytes.chunks(piece) {
        stream.write_all(piece).map_err(|error| error.to_string())?;
    }
    let is_done = |client: &Client| {
        let complete = client.responses.values().filter(|response| response.is_complete).count();
        complete + client.resets.len() >= requests.len() || !client.goaways.is_empty()
    };
    let mut room = vec![0; 65_536];
    while !is_done(&client) {
        let count = stream.read(&mut room).map_err(|error| format!("{error}; {client:?}"))?;
        if count == 0 {
            return Err(format!("the connection ended: {client:?}"));
        }
        client.feed(&room[..count]);
    }
    if !client.resets.is_empty() || !client.goaways.is_empty() {
        return Err(format!("resets {:?}, GOAWAY {:?}", client.resets, client.goaways));
    }
    let answers = client.responses.into_values().map(|response| {
        let is_unknown = response.status == 200 && response.field("content-length").is_empty();
        let fields = response.fields.into_iter().map(|(name, value)| (name, value.into_bytes()));
        let mut fields: Vec<_> = fields.collect();
        if is_unknown {
            // What HTTP/1.1 says about a length that is not known.
            fields.push(("transfer-encoding".to_owned(), b"chunked".to_vec()));
        }
        Answer { status: response.status, fields, body: response.body }
    });
    Ok(answers.collect())
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

fn connect(endpoint: &Endpoint, is_secure: bool) -> std::io::Result<Box<dyn Stream>> {
    Ok(match endpoint {
        #[cfg(feature = "tls")]
        Endpoint::Tcp(address) if is_secure => {
            let mut config = crate::secure::trusting();
            config.alpn_protocols = vec![b"h2".to_vec()];
            let tcp = TcpStream::connect(address)?;
            tcp.set_nodelay(true)?;
            let secure = Secure::with(&Arc::new(config), tcp, PATIENCE)?;
            secure.block(PATIENCE)?;
            Box::new(secure.into_stream())
        }
        _ if is_secure => return Err(std::io::Error::other("TLS is over TCP")),
        Endpoint::Tcp(address) => {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Box::new(stream)
        }
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Box::new(stream)
        }
    })
}
