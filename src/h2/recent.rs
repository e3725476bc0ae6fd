//! The streams that the server has reset lately.

/// Frames of these streams may be on their way (RFC 9113 section 5.1): they are no error.
#[derive(Debug, Default)]
pub(super) struct Recent {
    ids: [u32; KEPT],
    next: usize,
}

/// Streams that are remembered.
const KEPT: usize = 16;

impl Recent {
    /// A stream was reset.
    pub(super) fn add(&mut self, id: u32) {
        self.ids[self.next] = id;
        self.next = (self.next + 1) % KEPT;
    }

    /// Whether a stream was reset.
    pub(super) fn has(&self, id: u32) -> bool {
        self.ids.contains(&id)
    }
}
