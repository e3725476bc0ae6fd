//! What the two sides have set (RFC 9113 section 6.5).

use crate::config::Limits;
use crate::http::writer::Writer;

use super::frame::{Code, DATA_MOST, Fault, Kind, PAYLOAD_MOST, put_head};
use super::hpack::SentTable;
use super::window::WINDOW_MOST;

/// What the client has set, as far as it matters to a server that pushes nothing. The size of its
/// table is in the [`SentTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// The window of a new stream.
    pub(super) window: i32,
}

/// The window of streams and connections before it is changed, in both directions.
pub(super) const INITIAL_WINDOW: i32 = 65_535;

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;
const NO_RFC7540_PRIORITIES: u16 = 9; // RFC 9218 section 2.1

const _: () = assert!(DATA_MOST <= PAYLOAD_MOST, "no client can set a lower limit for a frame");

impl Default for Settings {
    fn default() -> Settings {
        Settings { window: INITIAL_WINDOW }
    }
}

impl Settings {
    /// Applies a frame, whose length is a multiple of six.
    ///
    /// # Errors
    /// A value is not allowed.
    pub(super) fn apply(&mut self, payload: &[u8], table: &mut SentTable) -> Result<(), Fault> {
        for setting in payload.as_chunks::<6>().0 {
            let [i0, i1, value @ ..] = *setting;
            let value = u32::from_be_bytes(value);
            let protocol = Err(Fault::Connection(Code::ProtocolError));
            match u16::from_be_bytes([i0, i1]) {
                HEADER_TABLE_SIZE => table.allow(value),
                ENABLE_PUSH | NO_RFC7540_PRIORITIES if value > 1 => return protocol,
                INITIAL_WINDOW_SIZE => match i32::try_from(value) {
                    Ok(window) => self.window = window,
                    Err(_) => return Err(Fault::Connection(Code::FlowControlError)),
                },
                MAX_FRAME_SIZE if !(16_384..1 << 24).contains(&value) => return protocol,
                // A client may receive longer frames, which are not sent. The rest does not matter.
                _ => {}
            }
        }
        Ok(())
    }
}

/// Writes the settings of the server. Tables and windows keep their initial sizes.
pub(super) fn put_own(writer: &mut Writer<'_>, limits: &Limits) {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let settings = [
        (MAX_CONCURRENT_STREAMS, u32::from(limits.streams)),
        (MAX_HEADER_LIST_SIZE, number(limits.head_bytes)),
        (NO_RFC7540_PRIORITIES, 1),
    ];
    put_head(writer, 6 * settings.len(), Kind::Settings, 0, 0);
    for (setting, value) in settings {
        writer.put(&setting.to_be_bytes()).put(&value.to_be_bytes());
    }
}

const _: () = assert!(INITIAL_WINDOW < WINDOW_MOST, "a window begins below its bound");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_applied_in_order_and_checked() {
        let (protocol, flow) = (Code::ProtocolError, Code::FlowControlError);
        let list = |settings: &[(u16, u32)]| {
            let each =
                |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
            settings.iter().flat_map(each).collect::<Vec<u8>>()
        };
        for (settings, expected) in [
            (&[][..], Ok(INITIAL_WINDOW)),
            (&[(4, 5), (4, 6)], Ok(6)),
            (&[(4, 0x7fff_ffff)], Ok(0x7fff_ffff)),
            (&[(4, 0x8000_0000)], Err(flow)),
            (&[(2, 0), (2, 1)], Ok(INITIAL_WINDOW)),
            (&[(2, 2)], Err(protocol)),
            (&[(5, 16_384), (5, 0xff_ffff)], Ok(INITIAL_WINDOW)),
            (&[(5, 16_383)], Err(protocol)),
            (&[(5, 0x100_0000)], Err(protocol)),
            (&[(9, 2)], Err(protocol)),
            (&[(1, 0), (3, 0), (6, 0), (0, 7), (0xffff, u32::MAX)], Ok(INITIAL_WINDOW)),
        ] {
            let mut found = Settings::default();
            let result =
                found.apply(&list(settings), &mut SentTable::default()).map(|()| found.window);
            assert_eq!(result, expected.map_err(Fault::Connection), "{settings:?}");
        }
    }
}
