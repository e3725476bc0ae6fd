//! Frames (RFC 9113 sections 4 and 6): their heads, and the checks that need no state.

use crate::http::writer::Writer;

/// What a client sends first (section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of the head of a frame.
pub(super) const HEAD_BYTES: usize = 9;

/// The longest payload that is received, and the longest that every client must receive
/// (SETTINGS_MAX_FRAME_SIZE).
pub(super) const PAYLOAD_MOST: usize = 16_384;

/// The longest payload of a DATA frame that is sent: with its head, one record of TLS.
pub(super) const DATA_MOST: usize = PAYLOAD_MOST - HEAD_BYTES;

/// Up to this length, a payload is copied into the outbox: the copy costs less than the second
/// entry of a gathering write.
pub(super) const COPIED_BYTES: usize = 4096;

/// Room that responses leave in the outbox for control frames: the two steps of a GOAWAY with a
/// PING, and the RST_STREAM behind a response.
pub(super) const SPARE_BYTES: usize = 64;

/// The types (section 6, RFC 9218 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Data = 0,
    Headers = 1,
    Priority = 2,
    RstStream = 3,
    Settings = 4,
    PushPromise = 5,
    Ping = 6,
    GoAway = 7,
    WindowUpdate = 8,
    Continuation = 9,
    PriorityUpdate = 16,
    /// Any other; ignored (section 5.5).
    Unknown = 255,
}

/// The flags (section 6).
pub(super) mod flag {
    /// Of SETTINGS and PING.
    pub(crate) const ACK: u8 = 0x1;
    /// Of DATA and HEADERS.
    pub(crate) const END_STREAM: u8 = 0x1;
    /// Of HEADERS and CONTINUATION.
    pub(crate) const END_HEADERS: u8 = 0x4;
    /// Of DATA and HEADERS.
    pub(crate) const PADDED: u8 = 0x8;
    /// Of HEADERS.
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// Why a stream or the connection ends (section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Code {
    NoError = 0,
    ProtocolError = 1,
    InternalError = 2,
    FlowControlError = 3,
    StreamClosed = 5,
    FrameSizeError = 6,
    RefusedStream = 7,
    CompressionError = 9,
    EnhanceYourCalm = 11,
}

/// An error of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It ends the connection (section 5.4.1).
    Connection(Code),
    /// It ends the stream of the frame (section 5.4.2).
    Stream(Code),
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the payload.
    pub(super) length: usize,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    /// The stream; 0: the connection.
    pub(super) stream: u32,
}

impl Head {
    /// The head at the start of `bytes`, if it is complete.
    #[inline]
    pub(super) fn parse(bytes: &[u8]) -> Option<Head> {
        let &[l0, l1, l2, kind, flags, s0, s1, s2, s3, ..] = bytes else { return None };
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Headers,
            2 => Kind::Priority,
            3 => Kind::RstStream,
            4 => Kind::Settings,
            5 => Kind::PushPromise,
            6 => Kind::Ping,
            7 => Kind::GoAway,
            8 => Kind::WindowUpdate,
            9 => Kind::Continuation,
            16 => Kind::PriorityUpdate,
            _ => Kind::Unknown,
        };
        let length = usize::from(l0) << 16 | usize::from(l1) << 8 | usize::from(l2);
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & STREAM_MOST;
        Some(Head { length, kind, flags, stream })
    }

    /// Whether a flag is set.
    #[inline]
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Checks what the head alone tells, before its payload is received.
    ///
    /// # Errors
    /// Those of the section of the type.
    #[inline]
    pub(super) fn check(&self) -> Result<(), Fault> {
        let (size, protocol) = (Code::FrameSizeError, Code::ProtocolError);
        let (on_stream, length) = (self.stream != 0, self.length);
        if length > PAYLOAD_MOST {
            return Err(Fault::Connection(size)); // section 4.2
        }
        let (stream_is_right, length_is_right) = match self.kind {
            Kind::Data | Kind::Headers | Kind::Continuation => (on_stream, true),
            Kind::Priority => (on_stream, true), // its length is an error of the stream
            Kind::RstStream => (on_stream, length == 4),
            Kind::Settings if self.has(flag::ACK) => (!on_stream, length == 0),
            Kind::Settings => (!on_stream, length.is_multiple_of(6)),
            Kind::PushPromise => (false, true), // clients never send it (section 8.4)
            Kind::Ping => (!on_stream, length == 8),
            Kind::GoAway => (!on_stream, length >= 8),
            Kind::WindowUpdate => (true, length == 4),
            Kind::PriorityUpdate => (!on_stream, length >= 4),
            Kind::Unknown => (true, true),
        };
        match (stream_is_right, length_is_right) {
            (false, _) => Err(Fault::Connection(protocol)),
            (true, false) => Err(Fault::Connection(size)),
            (true, true) => Ok(()),
        }
    }

    /// The payload of DATA or HEADERS without padding and priority (sections 6.1 and 6.2).
    ///
    /// # Errors
    /// The padding is longer than the payload, or the frame is too short for its flags.
    #[inline]
    pub(super) fn content<'p>(&self, payload: &'p [u8]) -> Result<&'p [u8], Fault> {
        let mut content = payload;
        if self.has(flag::PADDED) {
            let size = Fault::Connection(Code::FrameSizeError);
            let (&padding, rest) = content.split_first().ok_or(size)?;
            let kept = rest.len().checked_sub(padding.into());
            content = &rest[..kept.ok_or(Fault::Connection(Code::ProtocolError))?];
        }
        if self.kind == Kind::Headers && self.has(flag::PRIORITY) {
            // The priorities of RFC 7540 are deprecated (section 5.3.2).
            content = content.get(5..).ok_or(Fault::Connection(Code::FrameSizeError))?;
        }
        Ok(content)
    }
}

/// The largest number of a stream.
pub(super) const STREAM_MOST: u32 = 0x7fff_ffff;

/// Writes the head of a frame.
#[inline]
pub(super) fn put_head(writer: &mut Writer<'_>, length: usize, kind: Kind, flags: u8, stream: u32) {
    let [.., l0, l1, l2] = length.to_be_bytes();
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    writer.put(&[l0, l1, l2, kind as u8, flags, s0, s1, s2, s3]); // a unit variant is its number
}

/// Writes a frame whose payload has less than 64 KiB: its length is known when it was written.
#[inline]
pub(super) fn put_frame(
    writer: &mut Writer<'_>,
    kind: Kind,
    flags: u8,
    stream: u32,
    payload: impl FnOnce(&mut Writer<'_>),
) {
    let start = writer.used();
    put_head(writer, 0, kind, flags, stream);
    payload(writer);
    let [.., l1, l2] = (writer.used() - start - HEAD_BYTES).to_be_bytes();
    writer.patch(start + 1, &[l1, l2]);
}

/// Writes a frame whose payload is one number.
pub(super) fn put_number(writer: &mut Writer<'_>, kind: Kind, stream: u32, number: u32) {
    put_head(writer, 4, kind, 0, stream);
    writer.put(&number.to_be_bytes());
}

/// Writes a GOAWAY frame (section 6.8).
pub(super) fn put_goaway(writer: &mut Writer<'_>, last: u32, code: Code) {
    put_head(writer, 8, Kind::GoAway, 0, 0);
    writer.put(&last.to_be_bytes()).put(&[0, 0, 0, code as u8]); // a unit variant is its number
}

/// The number at the start of a payload, whose length was checked; without its reserved bit.
pub(super) fn number(payload: &[u8]) -> u32 {
    let bytes = payload.first_chunk().copied().unwrap_or_default();
    u32::from_be_bytes(bytes) & STREAM_MOST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(kind: Kind, flags: u8, length: usize, stream: u32) -> Head {
        let mut room = [0; HEAD_BYTES];
        put_head(&mut Writer::new(&mut room), length, kind, flags, stream);
        Head::parse(&room).unwrap()
    }

    #[test]
    fn a_head_is_read_as_it_was_written_and_only_when_it_is_complete() {
        let written = head(Kind::Ping, 0x81, 0x01_02_03, 0x7eff_0102);
        let expected =
            Head { length: 0x01_02_03, kind: Kind::Ping, flags: 0x81, stream: 0x7eff_0102 };
        assert_eq!(written, expected);
        assert_eq!(Head::parse(&[0; HEAD_BYTES - 1]), None);
        assert_eq!(head(Kind::Data, 0, 0, u32::MAX).stream, STREAM_MOST, "a bit is reserved");
        assert_eq!(head(Kind::Unknown, 0, 0, 0).kind, Kind::Unknown);
    }

    #[test]
    fn the_head_alone_tells_wrong_sizes_and_streams() {
        let (size, protocol) = (Some(Code::FrameSizeError), Some(Code::ProtocolError));
        let ack = flag::ACK;
        for (kind, flags, length, stream, expected) in [
            (Kind::Data, 0, 16_384, 1, None),
            (Kind::Data, 0, 16_385, 1, size),
            (Kind::Data, 0, 0, 0, protocol),
            (Kind::Headers, 0, 0, 0, protocol),
            (Kind::Headers, 0, 16_385, 1, size),
            (Kind::Priority, 0, 5, 0, protocol),
            (Kind::Priority, 0, 4, 1, None),
            (Kind::RstStream, 0, 4, 1, None),
            (Kind::RstStream, 0, 5, 1, size),
            (Kind::RstStream, 0, 4, 0, protocol),
            (Kind::Settings, 0, 0, 0, None),
            (Kind::Settings, 0, 12, 0, None),
            (Kind::Settings, 0, 5, 0, size),
            (Kind::Settings, 0, 6, 1, protocol),
            (Kind::Settings, ack, 0, 0, None),
            (Kind::Settings, ack, 6, 0, size),
            (Kind::PushPromise, 0, 4, 1, protocol),
            (Kind::Ping, 0, 8, 0, None),
            (Kind::Ping, 0, 7, 0, size),
            (Kind::Ping, 0, 8, 1, protocol),
            (Kind::GoAway, 0, 8, 0, None),
            (Kind::GoAway, 0, 7, 0, size),
            (Kind::GoAway, 0, 8, 1, protocol),
            (Kind::WindowUpdate, 0, 4, 0, None),
            (Kind::WindowUpdate, 0, 4, 1, None),
            (Kind::WindowUpdate, 0, 3, 1, size),
            (Kind::Continuation, 0, 9, 0, protocol),
            (Kind::PriorityUpdate, 0, 4, 0, None),
            (Kind::PriorityUpdate, 0, 3, 0, size),
            (Kind::PriorityUpdate, 0, 4, 1, protocol),
            (Kind::Unknown, 0xff, 16_384, 7, None),
            (Kind::Unknown, 0xff, 16_385, 7, size),
        ] {
            let found = head(kind, flags, length, stream).check();
            let expected = expected.map_or(Ok(()), |code| Err(Fault::Connection(code)));
            assert_eq!(found, expected, "{kind:?} {flags} {length} {stream}");
        }
    }

    #[test]
    fn padding_and_priority_are_taken_away_if_they_fit() {
        let (size, protocol) = (Code::FrameSizeError, Code::ProtocolError);
        let (padded, priority) = (flag::PADDED, flag::PRIORITY);
        for (kind, flags, payload, expected) in [
            (Kind::Data, 0, &[1, 2][..], Ok(&[1, 2][..])),
            (Kind::Data, padded, &[1, 2, 0], Ok(&[2])),
            (Kind::Data, padded, &[0, 2], Ok(&[2])),
            (Kind::Data, padded, &[1, 2], Ok(&[])),
            (Kind::Data, padded, &[2, 2], Err(protocol)),
            (Kind::Data, padded, &[], Err(size)),
            (Kind::Headers, priority, &[0, 0, 0, 0, 9, 7], Ok(&[7])),
            (Kind::Headers, priority, &[0, 0, 0, 0], Err(size)),
            (Kind::Headers, priority | padded, &[1, 0, 0, 0, 0, 9, 7, 0], Ok(&[7])),
            (Kind::Headers, priority | padded, &[1, 0, 0, 0, 0, 9], Err(size)),
        ] {
            let found = head(kind, flags, payload.len(), 1).content(payload);
            assert_eq!(found, expected.map_err(Fault::Connection), "{kind:?} {flags} {payload:?}");
        }
    }
}
