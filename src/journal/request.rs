//! The facts about a request that a log writes: those of its start, and those of its end.

use std::net::IpAddr;

use crate::http::status::Status;

/// A response that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'r> {
    /// The head of the request as it was received; of a head that was refused, the bytes that were
    /// received, which may go on behind it.
    pub head: &'r [u8],
    /// The client that the request was decided with; `None`: it has no address.
    pub client: Option<IpAddr>,
    /// The status of the response.
    pub status: Status,
    /// The content coding of its body.
    pub coding: Option<&'static str>,
    /// The version of TLS; `None`: it came without.
    pub tls: Option<&'static str>,
    /// When the first byte of the head was received, by [`Clock::us`](crate::clock::Clock::us).
    pub began_us: u64,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The status of the response.
    pub status: Status,
    /// Bytes that were given to the kernel after the head of the response: the body, with the
    /// framing of the chunked transfer coding.
    pub body_bytes: u64,
    /// From the first byte of the request's head to the last byte given to the kernel; 0 if no log
    /// has it.
    pub duration_us: u64,
    /// The response was sent to its end.
    pub complete: bool,
}
