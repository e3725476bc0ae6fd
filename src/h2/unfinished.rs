//! The responses that an observer waits for. Without one, there are none.

use crate::journal::{Observer, Request};

/// The responses that the kernel has not taken completely.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// As many as streams, and those that end in the outbox.
    responses: Vec<Response>,
    /// Bytes of memory of their requests.
    requests_bytes: usize,
}

#[derive(Debug)]
struct Response {
    id: u32,
    request: Request,
    body_bytes: u64,
    /// Its last byte is in the outbox.
    has_ended: bool,
}

impl Unfinished {
    /// True if there is none.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.responses.is_empty()
    }

    /// The fields of a response are in the outbox.
    pub(super) fn push(&mut self, id: u32, request: Request) {
        self.requests_bytes += request.held_bytes();
        self.responses.push(Response { id, request, body_bytes: 0, has_ended: false });
    }

    /// Bytes of memory, besides the value itself.
    #[inline]
    pub(super) fn held_bytes(&self) -> usize {
        self.responses.capacity() * size_of::<Response>() + self.requests_bytes
    }

    fn find(&mut self, id: u32) -> Option<&mut Response> {
        self.responses.iter_mut().find(|response| response.id == id)
    }

    /// Bytes of its body were put into the outbox, or sent.
    pub(super) fn add(&mut self, id: u32, bytes: usize) {
        if let Some(response) = self.find(id) {
            response.body_bytes += bytes as u64; // widening
        }
    }

    /// Its end is in the outbox, or was sent.
    pub(super) fn end(&mut self, id: u32) {
        if let Some(response) = self.find(id) {
            response.has_ended = true;
        }
    }

    /// It will not be sent completely.
    pub(super) fn abort(&mut self, id: u32, observer: Option<&mut Observer>) {
        let found = self.responses.iter().position(|it| it.id == id && !it.has_ended);
        if let (Some(at), Some(observer)) = (found, observer) {
            let Response { request, body_bytes, .. } = self.responses.remove(at);
            self.requests_bytes -= request.held_bytes();
            observer.finish(request, body_bytes, false);
        }
    }

    /// The outbox was sent.
    pub(super) fn sent(&mut self, observer: Option<&mut Observer>) {
        self.finish(observer, |response| response.has_ended, true);
    }

    /// The connection has ended.
    pub(super) fn give_up(&mut self, observer: Option<&mut Observer>) {
        self.finish(observer, |_| true, false);
    }

    fn finish(
        &mut self,
        observer: Option<&mut Observer>,
        which: fn(&Response) -> bool,
        complete: bool,
    ) {
        let Some(observer) = observer else { return };
        for Response { request, body_bytes, .. } in
            self.responses.extract_if(.., |response| which(response))
        {
            self.requests_bytes -= request.held_bytes();
            observer.finish(request, body_bytes, complete);
        }
    }
}
