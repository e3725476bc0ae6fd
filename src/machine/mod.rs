//! The shared base of the protocol machines: the contract with their driver, and their memory.
//!
//! A machine does no I/O and reads no clock. Its driver asks what to do next (`step`, without side
//! effects), asks for a buffer to receive into (`room`), reports what happened (`report`), and asks
//! for deadlines and evictability (`standing`). So tests drive a machine byte by byte, and a fuzzer
//! at full speed.

mod behind;
mod held;
mod outbox;
mod pages;
mod quota;
mod step;

pub use behind::Behind;
pub use held::Held;
pub use outbox::{Outbox, least_rate_deadline};
pub use pages::{Buffer, Pages};
pub use quota::{Admission, ClientId, Quotas};
pub use step::{Event, Evictable, Reason, Standing, Step};

use std::net::IpAddr;

use crate::clock::Clock;
use crate::config::Limits;
use crate::files::Blocking;
use crate::http::fields::Fields;
use crate::http::status::Failure;
use crate::journal::Observer;
use crate::metrics::Requests;
use crate::site::{Answer, Channel, Request, Sites};

/// The resources of a report.
#[derive(Debug)]
pub struct Context<'a> {
    /// The source of replies.
    pub sites: &'a mut Sites,
    /// Memory for buffers.
    pub pages: &'a mut Pages,
    /// The time.
    pub clock: &'a Clock,
    /// The bounds.
    pub limits: &'a Limits,
    /// The address of the client; `None`: it has none (a Unix socket).
    pub client: Option<IpAddr>,
    /// How the requests of the connection arrive.
    pub channel: Channel,
    /// The transport sends from files without a copy.
    pub from_files: bool,
    /// The connection came to the admin listener: its requests are for the internal site.
    pub internal: bool,
    /// The server shuts down: the responses in progress are the last.
    pub draining: bool,
    /// The socket may hold unread bytes: closing it now would send a reset, and the peer might lose
    /// the end of the response.
    pub unread: bool,
    /// Counts the requests, if there are metrics.
    pub requests: Option<&'a mut Requests>,
    /// Is told how each request ends, if there is a log of requests.
    pub observer: Option<&'a mut Observer>,
    /// Requests that this client may make now. Each request decrements it; at 0, it gets a 429.
    pub requests_left: u32,
    /// How to find the client of each request, if the peer is trusted to name it.
    pub behind: Option<Behind<'a>>,
}

impl<'a> Context<'a> {
    /// The resources of a report about a plain connection whose client has no address and no quota.
    pub fn new(
        sites: &'a mut Sites,
        pages: &'a mut Pages,
        clock: &'a Clock,
        limits: &'a Limits,
    ) -> Context<'a> {
        Context {
            sites,
            pages,
            clock,
            limits,
            client: None,
            channel: Channel::Plain,
            from_files: false,
            internal: false,
            draining: false,
            unread: false,
            requests: None,
            observer: None,
            requests_left: u32::MAX,
            behind: None,
        }
    }
}

impl Context<'_> {
    /// The client of the request with these fields: that of the connection, unless the peer is
    /// trusted to name another one.
    #[inline]
    pub fn client_of(&mut self, fields: &Fields<'_, '_>) -> Option<IpAddr> {
        match self.behind {
            None => self.client,
            Some(_) => self.named_client(fields),
        }
    }

    #[inline(never)]
    fn named_client(&mut self, fields: &Fields<'_, '_>) -> Option<IpAddr> {
        let Some(behind) = &mut self.behind else { return self.client };
        let named = behind.find(fields, self.limits, self.clock.tick);
        self.requests_left = named.requests_left;
        named.client.or(self.client)
    }

    /// The client of the request whose response was written just now, for a log.
    pub fn take_client(&mut self) -> Option<IpAddr> {
        self.behind.as_mut().and_then(Behind::take_named).or(self.client)
    }

    /// Counts the current request as one of its client, if the client may make another one. Returns
    /// whether it was counted.
    #[inline]
    pub fn count_request(&mut self) -> bool {
        if self.requests_left == 0 {
            return false;
        }
        self.requests_left -= 1;
        if let Some(behind) = &mut self.behind {
            behind.spend();
            // Of the next request, the client is not known yet.
            self.requests_left = u32::MAX;
        }
        true
    }

    /// The reply to a request. `counted`: an earlier evaluation of it has charged its client.
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
        if self.internal {
            return self.sites.respond_internally(request, self.draining);
        }
        if self.requests_left == 0 && !counted {
            return Ok(Answer::Reply(self.sites.refuse_request(request, self.clock)));
        }
        self.sites.respond(request, blocking, self.clock)
    }
}
