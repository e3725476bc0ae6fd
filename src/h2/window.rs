//! Windows of the flow control (RFC 9113 section 5.2).

/// The largest window (section 6.9.1).
pub(super) const WINDOW_MOST: i32 = i32::MAX;

/// How many bytes may be sent; below 0 after the client has lowered the initial size (section
/// 6.9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window(i32);

/// A window would be larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl Window {
    pub(super) fn new(size: i32) -> Window {
        Window(size)
    }

    /// Bytes that may be sent now.
    #[inline]
    pub(super) fn left(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// True if nothing may be sent.
    #[inline]
    pub(super) fn is_shut(self) -> bool {
        self.0 <= 0
    }

    /// Bytes were sent, as many as were left at most.
    #[inline]
    pub(super) fn take(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.left(), "the client has not allowed it");
        self.0 -= i32::try_from(bytes).unwrap_or(WINDOW_MOST);
    }

    /// Adds bytes, or takes some away.
    pub(super) fn give(&mut self, bytes: i64) -> Result<(), Overflow> {
        let sum = i64::from(self.0) + bytes;
        self.0 = i32::try_from(sum.max(i64::from(i32::MIN))).map_err(|_| Overflow)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_be_negative_but_not_overflow() {
        let mut window = Window::new(10);
        window.take(10);
        assert!(window.is_shut());
        window.give(-5).unwrap();
        assert_eq!((window.left(), window.is_shut()), (0, true));
        window.give(6).unwrap();
        assert_eq!((window.left(), window.is_shut()), (1, false));
        assert_eq!(window.give(i64::from(WINDOW_MOST)), Err(Overflow));
        window.give(i64::from(WINDOW_MOST - 1)).unwrap();
        assert_eq!(window.left(), 0x7fff_ffff);
    }
}
