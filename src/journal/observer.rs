//! The end of every request that got a status, in one place.
//!
//! A wire opens a [`Request`] when it writes the head of a response, and finishes it when the last
//! byte of the response was given to the kernel, or when the connection ended before. Without
//! anybody who wants to know, there is no observer, and a wire does neither.

use std::fmt;

use crate::clock::Clock;
use crate::http::head::Method;
use crate::http::status::Status;

use super::access::AccessLog;
use super::line::Line;
use super::request::{Asked, Finished};

/// A request whose response is not sent completely.
#[derive(Debug)]
pub struct Request {
    status: Status,
    method: Method,
    began_us: u64,
    line: Line,
}

/// What is done with each request that ended.
pub struct Observer {
    log: Option<AccessLog>,
    /// Reads a clock that agrees with [`Clock::us`].
    stopwatch: Box<dyn Fn() -> u64>,
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("log", &self.log).finish_non_exhaustive()
    }
}

impl Observer {
    /// One that reads the time with `stopwatch`, in microseconds of [`Clock::us`].
    pub fn new(log: Option<AccessLog>, stopwatch: Box<dyn Fn() -> u64>) -> Observer {
        Observer { log, stopwatch }
    }

    /// The head of a response was written.
    pub fn open(&mut self, asked: &Asked<'_>, clock: &Clock) -> Request {
        let line = match &mut self.log {
            Some(log) => log.begin(asked, clock),
            None => Line::default(),
        };
        let method = Method::of(asked.head);
        Request { status: asked.status, method, began_us: asked.began_us, line }
    }

    /// The response to a request was sent, or not `complete`.
    pub fn finish(&mut self, request: Request, body_bytes: u64, complete: bool) {
        let Request { status, method, began_us, line } = request;
        let duration_us = (self.stopwatch)().saturating_sub(began_us);
        let finished = Finished { status, method, body_bytes, duration_us, complete };
        if let Some(log) = &mut self.log {
            log.end(line, &finished);
        }
    }

    /// The access log, if there is one.
    pub fn log(&mut self) -> Option<&mut AccessLog> {
        self.log.as_mut()
    }
}
