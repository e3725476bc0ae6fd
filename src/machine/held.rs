//! What connections hold besides their pages.

/// Bytes that all connections together hold besides their pages and fixed parts: heads of requests
/// that wait, streams of HTTP/2, responses that are made while they are sent, log lines of
/// unfinished responses, and TLS records that are not complete or not sent.
#[derive(Debug)]
pub struct Held {
    bytes: usize,
    most: usize,
}

impl Held {
    /// Nothing is held, and `most` bytes may be.
    pub fn new(most: usize) -> Held {
        Held { bytes: 0, most }
    }

    /// Bytes that are held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A connection that held `before` bytes now holds `now`.
    #[inline]
    pub fn change(&mut self, before: usize, now: usize) {
        self.bytes = self.bytes - before + now;
    }

    /// Whether so many more bytes are within the limit.
    #[inline]
    pub fn has_room(&self, bytes: usize) -> bool {
        bytes == 0 || bytes <= self.most.saturating_sub(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_until_the_limit_is_reached() {
        let mut held = Held::new(100);
        held.change(0, 60);
        assert!(held.has_room(40) && !held.has_room(41));
        held.change(60, 150);
        assert!(held.has_room(0) && !held.has_room(1));
        held.change(150, 10);
        assert_eq!((held.bytes(), held.has_room(90)), (10, true));
    }
}
