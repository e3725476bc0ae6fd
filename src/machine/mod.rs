//! What the protocol machines of all wires share: the contract with their driver, and their memory.
//!
//! A machine does no I/O and reads no clock. Its driver asks what to do next (`step`, without side
//! effects), gives it room to receive into (`room`), reports what happened (`report`), and asks how
//! it stands (`standing`). So tests drive a machine byte by byte, and a fuzzer at full speed.

mod outbox;
mod pages;
mod step;

pub use outbox::Outbox;
pub use pages::{Buffer, PAGE_BYTES, Pages};
pub use step::{Event, Evictable, Reason, Standing, Step};

use crate::clock::Clock;
use crate::config::Limits;
use crate::files::Blocking;
use crate::http::status::{Failure, Status};
use crate::site::{Answer, Request, Sites};

/// What a report may use.
#[derive(Debug)]
pub struct Context<'a> {
    /// What to answer.
    pub sites: &'a mut Sites,
    /// Memory for buffers.
    pub pages: &'a mut Pages,
    /// The time.
    pub clock: &'a Clock,
    /// The bounds.
    pub limits: &'a Limits,
    /// The server stops: the responses in progress are the last.
    pub draining: bool,
    /// The socket may hold bytes that were not received yet: to close it now would reset it, and
    /// the peer might lose the end of the response.
    pub unread: bool,
    /// Requests that this client may make now; each one takes one, and without one it gets 429.
    pub requests_left: u32,
}

impl Context<'_> {
    /// What a request gets. `counted`: an earlier look at it has charged its client.
    ///
    /// # Errors
    /// As for [`Sites::respond`].
    #[inline]
    pub fn respond(
        &mut self,
        request: &Request<'_>,
        blocking: Blocking,
        counted: bool,
    ) -> Result<Answer, Failure> {
        if self.requests_left == 0 && !counted {
            let why = "too many requests from your address";
            let failure = Failure::new(Status::TooManyRequests, why);
            return Ok(Answer::Reply(self.sites.fail(failure)));
        }
        self.sites.respond(request, blocking, self.clock)
    }
}
