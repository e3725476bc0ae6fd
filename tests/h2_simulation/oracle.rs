//! What a server may send, by RFC 9113 and by what the client has sent.

use std::collections::BTreeMap;

use tenkay::config::Limits;

use crate::Tally;
use crate::files::Files;
use crate::peer::*;
use crate::requests::Request;
use crate::sans_io::responses;
use crate::traffic::Sent;

/// Codes of errors.
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// A request that the server has received.
struct Asked {
    request: Box<Request>,
    /// The request has ended.
    ended: bool,
    /// The client has reset it.
    reset: bool,
    /// The client has made an error on it.
    faulty: bool,
    /// Bytes that the client has allowed beyond the initial window, and that it has received.
    allowed: i64,
    received: i64,
    checked: bool,
}

/// What one client expects.
#[derive(Default)]
pub(crate) struct Oracle {
    asked: BTreeMap<u32, Asked>,
    /// The initial windows of all SETTINGS, the default first.
    initial: Vec<i64>,
    allowed: i64,
    received: i64,
    pings: Vec<Vec<u8>>,
    /// Frames of the client that were received, and resets by either side.
    frames: usize,
    resets: usize,
    is_spoiled: bool,
    /// Frames of the server that were looked at.
    looked: usize,
}

impl Oracle {
    pub(crate) fn new() -> Oracle {
        Oracle { initial: vec![65_535], allowed: 65_535, ..Oracle::default() }
    }

    /// The server has received this.
    pub(crate) fn deliver(&mut self, sent: Sent) {
        self.frames += 1;
        match sent {
            Sent::Request(id, request, ended) => {
                let asked = Asked {
                    request,
                    ended,
                    reset: false,
                    faulty: false,
                    allowed: 0,
                    received: 0,
                    checked: false,
                };
                self.asked.insert(id, asked);
            }
            Sent::Window(0, bytes) => self.allowed += i64::from(bytes),
            Sent::Settings(window) => self.initial.push(window.into()),
            Sent::Ping(payload) => self.pings.push(payload),
            Sent::Spoiled => self.is_spoiled = true,
            Sent::Useless => {}
            Sent::End(id) | Sent::Window(id, _) | Sent::Reset(id) | Sent::Fault(id) => {
                self.on_stream(id, &sent);
            }
        }
    }

    fn on_stream(&mut self, id: u32, sent: &Sent) {
        // A number that was skipped has no request.
        let Some(asked) = self.asked.get_mut(&id) else { return };
        match sent {
            Sent::End(_) => asked.ended = true,
            Sent::Window(_, bytes) => asked.allowed += i64::from(*bytes),
            Sent::Reset(_) => {
                asked.reset = true;
                self.resets += 1;
            }
            _ => asked.faulty = true,
        }
    }

    /// Looks at what the server has sent. Returns the streams that it has reset.
    pub(crate) fn look(&mut self, peer: &Client, limits: &Limits) -> Vec<u32> {
        let mut stopped = Vec::new();
        let acks = |frames: &[Frame]| {
            frames.iter().filter(|frame| frame.kind == SETTINGS && frame.flags == ACK).count()
        };
        let mut acknowledged = acks(&peer.frames[..self.looked]);
        for frame in &peer.frames[self.looked..] {
            match frame.kind {
                SETTINGS if frame.flags == ACK => acknowledged += 1,
                DATA => self.data(frame, acknowledged),
                HEADERS if !self.is_spoiled => {
                    assert!(self.asked.contains_key(&frame.stream), "a response before a request");
                }
                RST_STREAM => {
                    stopped.push(frame.stream);
                    self.reset(frame, peer);
                }
                GOAWAY => self.goaway(frame, limits),
                _ => {}
            }
        }
        self.looked = peer.frames.len();
        if !self.is_spoiled {
            assert!(acknowledged < self.initial.len(), "more SETTINGS acknowledged than sent");
            assert!(self.pings.starts_with(&peer.pongs), "a PING is answered in order");
        }
        stopped
    }

    fn data(&mut self, frame: &Frame, acknowledged: usize) {
        let bytes = i64::try_from(frame.payload.len()).unwrap();
        if self.is_spoiled {
            return;
        }
        let asked = self.asked.get_mut(&frame.stream).expect("a response is for a request");
        asked.received += bytes;
        self.received += bytes;
        if bytes == 0 {
            return;
        }
        // One of those that were sent since the last one that was acknowledged.
        let initial = self.initial[acknowledged..].iter().max().unwrap();
        let (stream, connection) = (asked.allowed + initial, self.allowed);
        assert!(asked.received <= stream, "{} of {stream} on {}", asked.received, frame.stream);
        assert!(self.received <= connection, "{} of {connection} bytes", self.received);
    }

    fn reset(&mut self, frame: &Frame, peer: &Client) {
        let code = peer.resets[&frame.stream];
        if code != NO_ERROR {
            self.resets += 1;
        }
        if self.is_spoiled {
            return;
        }
        let asked = &self.asked[&frame.stream];
        let is_complete = peer.responses.get(&frame.stream).is_some_and(|it| it.is_complete);
        match code {
            NO_ERROR => assert!(is_complete, "NO_ERROR follows a response"),
            REFUSED_STREAM => {
                assert!(!peer.responses.contains_key(&frame.stream), "it was processed");
            }
            INTERNAL_ERROR => assert!(!is_complete, "a file that changes cuts a response"),
            code => assert!(asked.faulty, "{code} on {}", frame.stream),
        }
    }

    fn goaway(&self, frame: &Frame, limits: &Limits) {
        let code = u32::from_be_bytes(frame.payload[4..8].try_into().unwrap());
        match code {
            // There was no page.
            NO_ERROR | INTERNAL_ERROR => {}
            _ if self.is_spoiled => {}
            ENHANCE_YOUR_CALM => {
                let aborted = usize::try_from(limits.aborted_streams).unwrap();
                let useless = usize::try_from(limits.useless_frames).unwrap();
                assert!(self.resets > aborted || self.frames > useless, "it was not much");
            }
            code => panic!("the client has made no error, and the connection ends with {code}"),
        }
    }

    /// Checks the responses that are complete.
    pub(crate) fn check(&mut self, peer: &Client, files: &Files, tally: &mut Tally) {
        for (id, asked) in &mut self.asked {
            let Some(response) = peer.responses.get(id).filter(|it| it.is_complete) else {
                continue;
            };
            if std::mem::replace(&mut asked.checked, true) || self.is_spoiled {
                continue;
            }
            *tally.statuses.entry(response.status).or_default() += 1;
            tally.answers += 1;
            let mut fields = response.fields.clone();
            if matches!(response.status, 408 | 503) {
                // The request was not to blame: HTTP/1.1 says so by an end of the connection.
                fields.push(("connection".to_owned(), "close".to_owned()));
            }
            let (status, body) = (response.status, response.body.clone());
            asked.request.check(&responses::Response { status, fields, body }, files);
        }
    }

    /// Streams whose request is complete and that have no outcome, though nothing is missing.
    pub(crate) fn forgotten(&self, peer: &Client) -> Vec<u32> {
        let last = peer.goaways.iter().map(|(last, _)| *last).min().unwrap_or(u32::MAX);
        let asked = self.asked.iter().filter(|(id, asked)| {
            let response = peer.responses.get(id);
            let has_outcome = response.is_some_and(|it| it.is_complete)
                || peer.resets.contains_key(id)
                || asked.reset
                || **id > last;
            asked.ended && !has_outcome
        });
        asked.map(|(id, _)| *id).collect()
    }
}
