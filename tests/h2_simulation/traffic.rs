//! What a simulated client sends, frame by frame.

use std::collections::VecDeque;

use crate::peer::*;
use crate::requests::Request;
use crate::sans_io::random::Random;

/// One frame, or several that belong together, as the oracle knows them.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    /// The fields of a request; true: the whole request.
    Request(u32, Box<Request>, bool),
    /// The end of its body.
    End(u32),
    /// A window; stream 0: that of the connection.
    Window(u32, u32),
    /// SETTINGS with the initial window.
    Settings(u32),
    Ping(Vec<u8>),
    Reset(u32),
    /// An error on a stream, for which the server may reset it.
    Fault(u32),
    /// Anything else that is valid.
    Useless,
    /// Not what RFC 9113 allows: from here on, the connection may end.
    Spoiled,
}

/// The stream of bytes of a client.
#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) bytes: Vec<u8>,
    /// What was sent, and where it ends.
    pub(crate) sent: VecDeque<(usize, Sent)>,
    /// The frames that are left of bodies.
    bodies: Vec<(u32, VecDeque<Vec<u8>>)>,
    last: u32,
    pub(crate) is_spoiled: bool,
}

impl Traffic {
    /// The preface and the first SETTINGS.
    pub(crate) fn hello(random: &mut Random) -> Traffic {
        let mut traffic = Traffic::default();
        let window = window(random);
        traffic.put(&hello(&[(4, window)]), Sent::Settings(window));
        if random.once_in(2) {
            traffic.put(&number(WINDOW_UPDATE, 0, 1 << 20), Sent::Window(0, 1 << 20));
        }
        traffic
    }

    fn put(&mut self, bytes: &[u8], what: Sent) {
        self.bytes.extend(bytes);
        self.sent.push_back((self.bytes.len(), what));
    }

    /// A random frame or request.
    pub(crate) fn any(&mut self, random: &mut Random) {
        let some = u32::try_from(1 + random.below(20_000)).unwrap();
        let id = 1 + 2 * u32::try_from(random.below(self.last as usize / 2 + 1)).unwrap();
        let known = id <= self.last;
        match random.below(40) {
            0..16 => self.request(random),
            16..21 => self.body(random),
            21..23 => self.put(&number(WINDOW_UPDATE, 0, some), Sent::Window(0, some)),
            23..27 if known => self.put(&number(WINDOW_UPDATE, id, some), Sent::Window(id, some)),
            27 => {
                let (window, table) = (window(random), table(random));
                self.put(&settings(&[(1, table), (4, window)]), Sent::Settings(window));
            }
            28 => {
                let payload = some.to_be_bytes().repeat(2);
                self.put(&frame(PING, 0, 0, &payload), Sent::Ping(payload));
            }
            29 | 30 if known => {
                self.bodies.retain(|(other, _)| *other != id);
                self.put(&number(RST_STREAM, id, 8), Sent::Reset(id));
            }
            31 => {
                let id = id + 2 * u32::try_from(random.below(3)).unwrap();
                let value = random.pick(&["u=0", "u=7, i", "i", "nonsense"]);
                let payload = [&id.to_be_bytes()[..], value.as_bytes()].concat();
                self.put(&frame(PRIORITY_UPDATE, 0, 0, &payload), Sent::Useless);
            }
            32 => self.put(&frame(PRIORITY, 0, id, &[0, 0, 0, 0, 7]), Sent::Useless),
            33 => self.put(&frame(99, 0xff, id, b"unknown"), Sent::Useless),
            34 if known && random.once_in(3) => {
                self.put(&number(WINDOW_UPDATE, id, 0), Sent::Fault(id));
            }
            35 if random.once_in(8) => self.spoil(random),
            _ => {}
        }
    }

    /// A frame of which one byte is changed. From then on, no HEAD: it could be taken for a GET.
    fn spoil(&mut self, random: &mut Random) {
        let id = self.last + 2;
        let mut bytes = match random.below(4) {
            0 => get(id, "/tiny"),
            1 => number(WINDOW_UPDATE, 0, 100),
            2 => frame(PING, 0, 0, &[0; 8]),
            _ => [post(id, "/tiny", &[]), frame(DATA, END_STREAM, id, b"abc")].concat(),
        };
        self.last = id;
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        self.is_spoiled = true;
        // The change has an effect with its first byte.
        self.sent.push_back((self.bytes.len() + 1, Sent::Spoiled));
        self.bytes.extend(bytes);
    }

    /// A new request, in one piece or in several frames.
    fn request(&mut self, random: &mut Random) {
        let mut request = Request::any(random, self.is_spoiled);
        while !request.is_clear() {
            request = Request::any(random, self.is_spoiled);
        }
        let id = (self.last + 2 * u32::try_from(1 + random.below(12) / 11).unwrap()) | 1;
        self.last = id;
        let (mut fields, body) = converted(&request);
        if random.once_in(3) {
            let value = *random.pick(&["u=0", "u=2, i", "u=7", "i"]);
            fields.extend(block(&[("priority", value)]));
        }
        let is_whole = body.is_empty();
        let ends = if is_whole { END_STREAM } else { 0 };
        let frames = headers(id, ends, &fields, random);
        self.put(&frames, Sent::Request(id, Box::new(request), is_whole));
        if !is_whole {
            self.bodies.push((id, pieces(id, &body, random)));
            if random.once_in(2) {
                while self.bodies.iter().any(|(other, _)| *other == id) {
                    self.body(random);
                }
            }
        }
    }

    /// The next frame of some body.
    fn body(&mut self, random: &mut Random) {
        if self.bodies.is_empty() {
            return;
        }
        let at = random.below(self.bodies.len());
        let (id, frames) = &mut self.bodies[at];
        let (id, frame) = (*id, frames.pop_front().unwrap());
        let what = if frames.is_empty() { Sent::End(id) } else { Sent::Useless };
        if frames.is_empty() {
            self.bodies.swap_remove(at);
        }
        self.put(&frame, what);
    }

    /// The server has reset a stream: no more of its body is sent.
    pub(crate) fn stop(&mut self, id: u32) {
        self.bodies.retain(|(other, _)| *other != id);
    }

    /// All bodies, and windows for all responses.
    pub(crate) fn complete(&mut self, random: &mut Random) {
        while !self.bodies.is_empty() {
            self.body(random);
        }
        self.put(&settings(&[(4, 0x1000_0000)]), Sent::Settings(0x1000_0000));
        self.put(&number(WINDOW_UPDATE, 0, 0x1000_0000), Sent::Window(0, 0x1000_0000));
    }
}

fn window(random: &mut Random) -> u32 {
    *random.pick(&[0, 1, 100, 5_000, 65_535, 65_535, 1 << 20])
}

/// The size of the dynamic table for responses.
fn table(random: &mut Random) -> u32 {
    *random.pick(&[0, 60, 200, 4_096, 4_096, 65_536])
}

/// A block in one frame or several, with or without padding and priority.
fn headers(id: u32, flags: u8, block: &[u8], random: &mut Random) -> Vec<u8> {
    let (start, rest) =
        block.split_at(if random.once_in(6) { block.len() / 2 } else { block.len() });
    let flags = flags | if rest.is_empty() { END_HEADERS } else { 0 };
    let mut bytes = match random.below(6) {
        0 => frame(HEADERS, flags | 8, id, &[&[3][..], start, &[0; 3]].concat()),
        1 => frame(HEADERS, flags | 0x20, id, &[&[0, 0, 0, 0, 9][..], start].concat()),
        _ => frame(HEADERS, flags, id, start),
    };
    if !rest.is_empty() {
        bytes.extend(frame(CONTINUATION, END_HEADERS, id, rest));
    }
    bytes
}

/// The frames of a body.
fn pieces(id: u32, body: &[u8], random: &mut Random) -> VecDeque<Vec<u8>> {
    let mut frames: VecDeque<_> = body.chunks(10).map(|piece| frame(DATA, 0, id, piece)).collect();
    frames.push_back(match random.below(3) {
        0 => frame(DATA, END_STREAM, id, b""),
        1 => frame(DATA, END_STREAM | 8, id, &[2, 0, 0]),
        _ => frame(HEADERS, END_HEADERS | END_STREAM, id, &block(&[("x", "y")])),
    });
    frames
}

/// A request of HTTP/1.1 as a block and a body.
fn converted(request: &Request) -> (Vec<u8>, Vec<u8>) {
    let text = str::from_utf8(&request.bytes).unwrap().trim_start();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap().split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut fields = vec![(":method", method), (":scheme", "http"), (":path", path)];
    let lines: Vec<(String, &str)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect();
    let has = |wanted: &str| lines.iter().any(|(name, _)| name == wanted);
    if has("host") {
        fields.push((":authority", "a"));
    }
    for (name, value) in &lines {
        if !["host", "connection", "transfer-encoding"].contains(&&**name) {
            fields.push((name, value));
        }
    }
    let body = if has("transfer-encoding") { "of any length" } else { body };
    (block(&fields), body.as_bytes().to_vec())
}
