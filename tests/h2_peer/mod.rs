//! A client of HTTP/2 as functions over bytes, written independently of the server: frames by hand,
//! fields decoded by another author's HPACK. It is strict: whatever RFC 9113 does not allow a
//! server to send is a panic.

#![allow(dead_code, reason = "each crate of tests uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test they are the assertion")]

use std::collections::BTreeMap;

use httlib_hpack::Decoder;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const PRIORITY_UPDATE: u8 = 16;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A frame whose payload is one number.
pub(crate) fn number(kind: u8, stream: u32, number: u32) -> Vec<u8> {
    frame(kind, 0, stream, &number.to_be_bytes())
}

/// A SETTINGS frame.
pub(crate) fn settings(list: &[(u16, u32)]) -> Vec<u8> {
    let each = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &list.iter().flat_map(each).collect::<Vec<u8>>())
}

/// The start of a connection.
pub(crate) fn hello(list: &[(u16, u32)]) -> Vec<u8> {
    [PREFACE, &settings(list)].concat()
}

/// A block of fields: literals without indexing and without Huffman code.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        push_field(&mut bytes, name.as_bytes(), value.as_bytes());
    }
    bytes
}

/// One field of a block.
pub(crate) fn push_field(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let low = |number: usize| u8::try_from(number % 128).expect("below 128");
    block.push(0);
    for text in [name, value] {
        block.push(low(text.len().min(127)));
        if let Some(mut rest) = text.len().checked_sub(127) {
            while rest >= 128 {
                block.push(low(rest) | 128);
                rest /= 128;
            }
            block.push(low(rest));
        }
        block.extend(text);
    }
}

/// The pseudo-fields of a request.
pub(crate) fn pseudo<'t>(method: &'t str, path: &'t str) -> Vec<(&'t str, &'t str)> {
    vec![(":method", method), (":scheme", "http"), (":path", path), (":authority", "a")]
}

/// A request in one HEADERS frame.
pub(crate) fn request(id: u32, method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let all = [pseudo(method, path), fields.to_vec()].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, id, &block(&all))
}

/// A GET.
pub(crate) fn get(id: u32, path: &str) -> Vec<u8> {
    request(id, "GET", path, &[])
}

/// A request that a body follows.
pub(crate) fn post(id: u32, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let all = [pseudo("POST", path), fields.to_vec()].concat();
    frame(HEADERS, END_HEADERS, id, &block(&all))
}

/// A received frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// One response.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) is_complete: bool,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (length, end) = (self.body.len(), if self.is_complete { "" } else { ", cut" });
        write!(f, "{} {:?} and {length} bytes{end}", self.status, self.fields)
    }
}

impl Response {
    /// The value of the one field of this name; the empty string if there is none.
    pub(crate) fn field(&self, name: &str) -> &str {
        let mut values = self.fields.iter().filter(|(own, _)| own == name);
        let value = values.next().map_or("", |(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} occurs twice in {:?}", self.fields);
        value
    }
}

/// What a client has received.
#[derive(Default)]
pub(crate) struct Client {
    decoder: Decoder<'static>,
    rest: Vec<u8>,
    /// Streams whose responses have no body, because they answer a HEAD.
    pub(crate) heads: Vec<u32>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) responses: BTreeMap<u32, Response>,
    pub(crate) resets: BTreeMap<u32, u32>,
    /// Last stream and code of each GOAWAY.
    pub(crate) goaways: Vec<(u32, u32)>,
    pub(crate) pongs: Vec<Vec<u8>>,
    pub(crate) settings_acks: usize,
    /// A block that is not complete: its stream, whether it ends it, and its bytes.
    partial: Option<(u32, bool, Vec<u8>)>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (responses, resets) = (&self.responses, &self.resets);
        write!(f, "{responses:?} {resets:?} {:?}", self.goaways)
    }
}

impl Client {
    /// A client that has sent a HEAD on these streams.
    pub(crate) fn for_heads(heads: &[u32]) -> Client {
        Client { heads: heads.to_vec(), ..Client::default() }
    }

    /// Takes bytes of the server.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.rest.extend(bytes);
        while let Some(head) = self.rest.first_chunk::<9>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            assert!(length <= 16_384, "a frame of {length} bytes");
            if self.rest.len() < 9 + length {
                return;
            }
            let payload = self.rest[9..9 + length].to_vec();
            self.rest.drain(..9 + length);
            let frame = Frame { kind, flags, stream, payload };
            self.take(&frame);
            self.frames.push(frame);
        }
    }

    /// True if no part of a frame is left.
    pub(crate) fn is_at_border(&self) -> bool {
        self.rest.is_empty() && self.partial.is_none()
    }

    /// The response on a stream, which must be complete.
    pub(crate) fn whole(&self, id: u32) -> &Response {
        let response = self.responses.get(&id);
        let response = response.unwrap_or_else(|| panic!("no response on {id}: {self:?}"));
        assert!(response.is_complete, "the response on {id} is not complete");
        response
    }

    /// The status of each response, by stream.
    pub(crate) fn statuses(&self) -> Vec<(u32, u16)> {
        self.responses.iter().map(|(id, response)| (*id, response.status)).collect()
    }

    fn take(&mut self, frame: &Frame) {
        let Frame { kind, flags, stream, ref payload } = *frame;
        assert!(self.frames.is_empty() == (kind == SETTINGS && flags == 0), "SETTINGS come first");
        assert!(self.partial.is_none() || kind == CONTINUATION, "{frame:?} inside a block");
        match kind {
            DATA => {
                assert_eq!(flags & !END_STREAM, 0);
                let response = self.responses.get_mut(&stream).expect("HEADERS come first");
                assert!(!response.is_complete && !self.resets.contains_key(&stream), "{frame:?}");
                assert!(!payload.is_empty() || flags & END_STREAM != 0, "an empty frame");
                response.body.extend(payload);
                if flags & END_STREAM != 0 {
                    self.end(stream);
                }
            }
            HEADERS => {
                assert_eq!(flags & !(END_STREAM | END_HEADERS), 0);
                assert!(!self.responses.contains_key(&stream), "two responses on {stream}");
                let ends = flags & END_STREAM != 0;
                self.partial = Some((stream, ends, payload.clone()));
            }
            CONTINUATION => {
                let partial = self.partial.as_mut().expect("a block has begun");
                assert_eq!(partial.0, stream);
                partial.2.extend(payload);
            }
            RST_STREAM => {
                let code = u32::from_be_bytes(payload[..].try_into().unwrap());
                assert_eq!(self.resets.insert(stream, code), None, "{stream} is reset twice");
            }
            SETTINGS if flags == ACK => self.settings_acks += 1,
            SETTINGS => assert!(stream == 0 && payload.len().is_multiple_of(6)),
            PING if flags == ACK => self.pongs.push(payload.clone()),
            PING => assert_eq!((stream, payload.len()), (0, 8)),
            GOAWAY => {
                let number =
                    |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
                self.goaways.push((number(0), number(4)));
            }
            WINDOW_UPDATE => assert_ne!(payload[..], [0; 4]),
            other => panic!("a server does not send frames of type {other}"),
        }
        if matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0 {
            let (stream, ends, block) = self.partial.take().expect("a block has begun");
            self.take_block(stream, ends, block);
        }
    }

    fn take_block(&mut self, stream: u32, ends: bool, mut block: Vec<u8>) {
        let mut fields = Vec::new();
        self.decoder.decode(&mut block, &mut fields).expect("a block that can be decoded");
        let mut response = Response::default();
        for (at, (name, value, _)) in fields.into_iter().enumerate() {
            let (name, value) =
                (String::from_utf8(name).unwrap(), String::from_utf8(value).unwrap());
            assert_eq!(name == ":status", at == 0, "the status is the first field");
            assert_eq!(name, name.to_lowercase());
            assert!(!["connection", "transfer-encoding", "keep-alive"].contains(&&*name), "{name}");
            match at {
                0 => response.status = value.parse().unwrap(),
                _ => response.fields.push((name, value)),
            }
        }
        self.responses.insert(stream, response);
        if ends {
            self.end(stream);
        }
    }

    fn end(&mut self, stream: u32) {
        let is_head = self.heads.contains(&stream);
        let response = self.responses.get_mut(&stream).expect("it has begun");
        response.is_complete = true;
        let length = response.field("content-length");
        if !length.is_empty() && !is_head {
            assert_eq!(length, response.body.len().to_string(), "Content-Length of {stream}");
        }
    }
}
