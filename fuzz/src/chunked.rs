//! Target `chunked`: compares the reader of bodies, in any pieces, with a whole-buffer decoder.
//!
//! Input: `LINE-LIMIT TRAILER-LIMIT LENGTHS...`, LF, the body. The lengths are those of the pieces
//! in which it is delivered.

use tenkay::http::body::{Absorbed, BodyReader, Bounds};

use crate::chunks::{self, Body};

/// Runs one input.
pub fn run(data: &[u8]) {
    let (line, bytes) = crate::settings(data);
    let mut numbers = crate::numbers(line);
    let mut bound = |usual| u32::try_from(numbers.next().unwrap_or(usual)).unwrap_or(u32::MAX);
    let bounds = Bounds { line_bytes: bound(16), trailer_bytes: bound(32) };
    let lengths: Vec<u64> = numbers.collect();

    let expected = chunks::read(
        bytes,
        chunks::Bounds {
            line: as_usize(bounds.line_bytes),
            trailer: as_usize(bounds.trailer_bytes),
            data: u64::MAX,
        },
    );
    for lengths in [&lengths[..], &[], &[1]] {
        let found = absorb(BodyReader::chunked(), bytes, lengths, &bounds);
        match (expected, found) {
            (Body::Bad { data }, Err(of_fault)) => assert_eq!(of_fault, data),
            (Body::Part { data }, Ok(found)) => {
                assert_eq!(found, Absorbed { used: bytes.len(), data, done: false });
            }
            (Body::Whole { used, data }, Ok(found)) => {
                assert_eq!(found, Absorbed { used, data, done: true });
            }
            _ => panic!("expected {expected:?}, found {found:?}"),
        }
    }
    // A body of known length ends after that length, whatever it contains.
    let length = u64::from(bounds.line_bytes).max(1);
    let found = absorb(BodyReader::length(length), bytes, &lengths, &bounds).expect("no grammar");
    let there = length.min(bytes.len() as u64);
    assert_eq!((found.used as u64, found.data, found.done), (there, there, there == length));
}

/// Feeds the pieces, and returns the sums of all counts. The error is the amount of data before the
/// fault.
fn absorb(
    mut reader: BodyReader,
    bytes: &[u8],
    lengths: &[u64],
    bounds: &Bounds,
) -> Result<Absorbed, u64> {
    let mut all = Absorbed { used: 0, data: 0, done: false };
    for piece in crate::pieces(bytes, lengths) {
        let found = reader.absorb(piece, bounds).map_err(|fault| all.data + fault.data)?;
        assert!(
            found.done || found.used == piece.len(),
            "it stops early only at the end of the body"
        );
        all.used += found.used;
        all.data += found.data;
        all.done = found.done;
        if all.done {
            break;
        }
    }
    Ok(all)
}

fn as_usize(number: u32) -> usize {
    usize::try_from(number).expect("at least 32 bits")
}
