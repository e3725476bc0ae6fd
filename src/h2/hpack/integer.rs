//! Numbers with a prefix (RFC 7541 section 5.1).

use crate::http::writer::Writer;

use super::Malformed;

/// No number of a valid block is larger: indexes, lengths and sizes have lower bounds. So a number
/// has at most four bytes behind its prefix.
const MOST: usize = (1 << 28) - 1;

/// Reads the number at the start of `bytes`, whose prefix has `bits` bits, and advances `bytes`.
#[inline]
pub(super) fn take(bytes: &mut &[u8], bits: u32) -> Result<usize, Malformed> {
    let mask = (1_usize << bits) - 1;
    let (&first, mut rest) = bytes.split_first().ok_or(Malformed)?;
    let mut value = usize::from(first) & mask;
    if value == mask {
        let mut shift = 0;
        loop {
            let (&byte, after) = rest.split_first().ok_or(Malformed)?;
            rest = after;
            value += usize::from(byte & 0x7f) << shift;
            if value > MOST {
                return Err(Malformed);
            }
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
            if shift > 21 {
                return Err(Malformed);
            }
        }
    }
    *bytes = rest;
    Ok(value)
}

/// Writes a number with a prefix of `bits` bits; `flags` are the bits before the prefix.
#[inline]
pub(super) fn put(writer: &mut Writer<'_>, flags: u8, bits: u32, value: usize) {
    let mask = (1_usize << bits) - 1;
    if value < mask {
        writer.put(&[flags | low(value)]);
        return;
    }
    writer.put(&[flags | low(mask)]);
    let mut rest = value - mask;
    while rest >= 0x80 {
        writer.put(&[0x80 | low(rest & 0x7f)]);
        rest >>= 7;
    }
    writer.put(&[low(rest)]);
}

fn low(value: usize) -> u8 {
    u8::try_from(value).expect("the caller has masked it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(bytes: &[u8], bits: u32) -> Result<(usize, usize), Malformed> {
        let mut rest = bytes;
        let value = take(&mut rest, bits)?;
        Ok((value, bytes.len() - rest.len()))
    }

    fn written(bits: u32, value: usize) -> Vec<u8> {
        let mut room = [0; 16];
        let mut writer = Writer::new(&mut room);
        put(&mut writer, 0, bits, value);
        let length = writer.finish().unwrap();
        room[..length].to_vec()
    }

    #[test]
    fn the_examples_of_the_rfc_are_read_and_written() {
        for (bits, value, bytes) in
            [(5, 10, &[10][..]), (5, 1337, &[31, 154, 10]), (8, 42, &[42]), (5, 31, &[31, 0])]
        {
            assert_eq!(taken(bytes, bits), Ok((value, bytes.len())));
            assert_eq!(written(bits, value), bytes);
        }
    }

    #[test]
    fn a_number_that_has_no_end_or_is_too_large_is_malformed() {
        for bytes in [
            &[][..],
            &[0xff],
            &[0xff, 0x80],
            &[0xff, 0x80, 0x80, 0x80],
            &[0xff, 0x80, 0x80, 0x80, 0x80, 0x00],
            &[0xff, 0xff, 0xff, 0xff, 0x7f],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ] {
            assert_eq!(taken(bytes, 7), Err(Malformed), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bits in 1_u32..=8, value in 0_usize..=MOST) {
            let bytes = written(bits, value);
            prop_assert_eq!(taken(&bytes, bits), Ok((value, bytes.len())));
        }

        #[test]
        fn any_bytes_give_a_number_in_bounds_or_an_error(bits in 1_u32..=8, bytes: Vec<u8>) {
            if let Ok((value, used)) = taken(&bytes, bits) {
                prop_assert!(value <= MOST && (1..=5).contains(&used));
            }
        }
    }
}
