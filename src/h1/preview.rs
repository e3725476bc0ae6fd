//! The head of a response, without a connection.

use crate::clock::Clock;
use crate::http::head::{Head, Method, Version};
use crate::machine::{Outbox, Pages};
use crate::site::Reply;

use super::plan;
use super::write::{Desk, Frame, Persistence, write};

/// The head of the response to a request, with its empty line. Without the `head` of the request,
/// it is the response to a failure that ends the connection. `None`: it is longer than a page.
pub fn head_of(reply: Reply, head: Option<&Head<'_, '_>>, clock: &Clock) -> Option<Vec<u8>> {
    let persistence = head.map_or(Persistence::Linger, |head| plan::persistence(head, false));
    let takes_chunks = head.is_some_and(|head| head.version == Version::Http11);
    let method = Method::Head;
    let frame = Frame { head_only: true, method, persistence, takes_chunks, last: true };
    let (mut outbox, mut pages) = (Outbox::default(), Pages::new(1));
    let (room, pages) = (&mut outbox, &mut pages);
    write(reply, frame, &mut Desk { outbox: room, pages, clock, from_files: false }).ok()?;
    Some(outbox.bytes().to_vec())
}
