//! The end of every request that got a status, in one place.
//!
//! A wire opens a [`Request`] when it writes the head of a response, and finishes it when the last
//! byte of the response was given to the kernel, or when the connection ended before. Without an
//! access log and below the log level debug, there is no observer, and a wire does neither.

use std::fmt;

use crate::clock::Clock;
use crate::http::status::Status;

use super::access::AccessLog;
use super::line::Line;
use super::request::{Asked, Finished};

/// A request whose response is not sent completely.
#[derive(Debug)]
pub struct Request {
    status: Status,
    began_us: u64,
    line: Line,
    /// For a line of the log on standard error: the client, and the request line.
    told: Option<Box<Told>>,
}

/// A request for the log on standard error.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) client: String,
    pub(super) text: String,
}

/// Logs each request that ended.
pub struct Observer {
    log: Option<AccessLog>,
    /// The requests that ended in this turn, if they are logged on standard error.
    told: Option<Vec<Told>>,
    /// Reads a clock that agrees with [`Clock::us`].
    stopwatch: Box<dyn Fn() -> u64>,
}

impl Request {
    /// Bytes of memory, besides the value itself.
    pub fn held_bytes(&self) -> usize {
        let told = self.told.as_ref().map_or(0, |told| told.client.len() + told.text.len());
        self.line.text.capacity() + told
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("log", &self.log).finish_non_exhaustive()
    }
}

impl Observer {
    /// One that reads the time with `stopwatch`, in microseconds of [`Clock::us`].
    pub fn new(stopwatch: Box<dyn Fn() -> u64>) -> Observer {
        Observer { log: None, told: None, stopwatch }
    }

    /// Writes a line to this log for each request.
    pub fn log_to(&mut self, log: AccessLog) {
        self.log = Some(log);
    }

    /// Logs each request on standard error as well.
    pub fn tell(&mut self) {
        self.told = Some(Vec::new());
    }

    /// The head of a response was written.
    pub fn open(&mut self, asked: &Asked<'_>, clock: &Clock) -> Request {
        let line = match &mut self.log {
            Some(log) => log.begin(asked, clock),
            None => Line::default(),
        };
        let told = self.told.as_ref().map(|_| Box::new(Told::of(asked)));
        Request { status: asked.status, began_us: asked.began_us, line, told }
    }

    /// The response to a request was sent, or not `complete`.
    pub fn finish(&mut self, request: Request, body_bytes: u64, complete: bool) {
        let Request { status, began_us, line, told } = request;
        let is_timed =
            self.told.is_some() || self.log.as_ref().is_some_and(AccessLog::has_duration);
        // Reading the clock is measurable beside making a line.
        let duration_us = if is_timed { (self.stopwatch)().saturating_sub(began_us) } else { 0 };
        let finished = Finished { status, body_bytes, duration_us, complete };
        if let Some(log) = &mut self.log {
            log.end(line, &finished);
        }
        if let (Some(list), Some(mut told)) = (&mut self.told, told)
            && list.len() < TOLD_MOST
        {
            told.complete(&finished);
            list.push(*told);
        }
    }

    /// The requests that ended since the last call, if they are logged on standard error.
    pub(super) fn take_told(&mut self) -> Vec<Told> {
        self.told.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The access log, if there is one.
    pub fn log(&mut self) -> Option<&mut AccessLog> {
        self.log.as_mut()
    }
}

impl Told {
    fn of(asked: &Asked<'_>) -> Told {
        let client = asked.client.map(|address| address.to_canonical().to_string());
        let end = memchr::memchr(b'\n', asked.head).unwrap_or(asked.head.len());
        let line = asked.head[..end.min(TOLD_BYTES)].trim_ascii_end();
        let client = client.unwrap_or_else(|| "a client on a Unix socket".to_owned());
        Told { client, text: line.escape_ascii().to_string() }
    }

    fn complete(&mut self, finished: &Finished) {
        let Finished { status, body_bytes, duration_us, complete } = finished;
        let (request, client) = (std::mem::take(&mut self.text), &self.client);
        let cut = if *complete { "" } else { ", cut off" };
        let status = status.text();
        self.text = format!(
            "request of {client}: \"{request}\": {status}, {body_bytes} bytes in {duration_us} \
             us{cut}"
        );
    }
}

/// Bytes of a request line that are logged on standard error.
const TOLD_BYTES: usize = 1024;

/// Requests of one turn that are logged on standard error.
const TOLD_MOST: usize = 1024;
