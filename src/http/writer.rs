//! Writing heads into a bounded buffer.
//!
//! A [`Writer`] never writes beyond its room. [`Writer::finish`] reports if something did not fit;
//! the caller then drops everything that was written, so that no partial head is sent.

use super::status::Status;

/// Fills a slice from its start.
#[derive(Debug)]
pub struct Writer<'r> {
    room: &'r mut [u8],
    used: usize,
    full: bool,
}

impl<'r> Writer<'r> {
    /// A writer that fills `room` from its start.
    pub fn new(room: &'r mut [u8]) -> Writer<'r> {
        Writer { room, used: 0, full: false }
    }

    /// Appends bytes unchanged.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> &mut Self {
        match self.room.get_mut(self.used..self.used + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.used += bytes.len();
            }
            None => self.full = true,
        }
        self
    }

    /// Appends the start of every response: the status line (RFC 9112 section 4) and the Date line.
    #[inline]
    pub fn lead(&mut self, status: Status, date_line: &[u8]) -> &mut Self {
        self.put(b"HTTP/1.1 ").put(status.text().as_bytes()).put(b"\r\n").put(date_line)
    }

    /// Appends a number in decimal.
    pub fn put_number(&mut self, number: u64) -> &mut Self {
        let (digits, start) = decimal(number);
        self.put(&digits[start..])
    }

    /// Appends a field line whose value is a number.
    pub fn number_field(&mut self, name: &str, number: u64) -> &mut Self {
        self.put(name.as_bytes()).put(b": ").put_number(number).put(b"\r\n")
    }

    /// Appends a field line. The value must not contain CR or LF: every value is a text of the
    /// server or encoded.
    pub fn field(&mut self, name: &str, value: &[u8]) -> &mut Self {
        debug_assert!(!value.iter().any(|&byte| byte == b'\r' || byte == b'\n'));
        self.put(name.as_bytes()).put(b": ").put(value).put(b"\r\n")
    }

    /// The number of bytes written, of those that did fit.
    #[inline]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Overwrites bytes that were written.
    #[inline]
    pub fn patch(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.room[..self.used].get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    /// The number of bytes written, or `None` if something did not fit.
    pub fn finish(&self) -> Option<usize> {
        (!self.full).then_some(self.used)
    }
}

/// The decimal digits of `number`, at the end of the array from the returned index on.
pub(crate) fn decimal(mut number: u64) -> ([u8; DIGITS], usize) {
    let mut digits = [b'0'; DIGITS];
    let mut start = DIGITS;
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8; // less than 10
        number /= 10;
        if number == 0 {
            return (digits, start);
        }
    }
}

/// The number of decimal digits of `number`.
pub fn decimal_length(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1) // widening
}

/// Digits of `u64::MAX`.
pub(crate) const DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal_with_the_length_that_was_announced() {
        for number in [0, 9, 10, 99, 100, 65_535, 1_234_567_890, u64::MAX] {
            let mut room = [0; 32];
            let length = Writer::new(&mut room).put_number(number).finish().unwrap();
            assert_eq!(&room[..length], number.to_string().as_bytes());
            assert_eq!(length, decimal_length(number));
        }
    }

    #[test]
    fn bytes_that_just_fit_are_written_and_one_more_is_reported() {
        let mut room = [0; 8];
        assert_eq!(Writer::new(&mut room).field("a", b"bcd").finish(), Some(8));
        assert_eq!(&room, b"a: bcd\r\n");
        assert_eq!(Writer::new(&mut room).field("a", b"bcde").finish(), None);
    }
}
