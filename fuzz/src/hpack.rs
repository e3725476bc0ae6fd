//! Target `hpack`: blocks of fields, compared with the decoder of another author.
//!
//! Input: the lengths of the blocks, LF, their bytes. What the decoder of tenkay accepts, the other
//! one accepts, with the same fields. (The other one also accepts changes of the size of the table
//! in wrong places, and Huffman codes with wrong padding.)

use tenkay::h2::hpack::{Decoder, Visit};

/// A field: name and value.
type Field = (Vec<u8>, Vec<u8>);

#[derive(Default)]
struct Fields(Vec<Field>);

impl Visit for Fields {
    fn field(&mut self, name: &[u8], value: &[u8]) -> bool {
        self.0.push((name.to_vec(), value.to_vec()));
        true
    }

    fn oversized(&mut self) -> bool {
        panic!("the scratch memory is large enough for any input");
    }
}

/// Says enough after some fields.
struct Impatient {
    left: usize,
}

impl Visit for Impatient {
    fn field(&mut self, _: &[u8], _: &[u8]) -> bool {
        assert!(self.left > 0, "a visitor that has enough is not called");
        self.left -= 1;
        self.left > 0
    }

    fn oversized(&mut self) -> bool {
        panic!("the scratch memory is large enough for any input");
    }
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let (line, blocks) = crate::settings(data);
    let lengths: Vec<u64> = crate::numbers(line).collect();
    let (mut ours, mut impatient) = (Decoder::default(), Decoder::default());
    let mut theirs = httlib_hpack::Decoder::default();
    let mut scratch = vec![0; 2 * data.len() + 8_192];
    for block in crate::pieces(blocks, &lengths) {
        let mut fields = Fields::default();
        if ours.decode(block, &mut scratch, &mut fields).is_err() {
            return;
        }
        let mut other = Vec::new();
        theirs.decode(&mut block.to_vec(), &mut other).expect("what is valid here is valid there");
        let other: Vec<Field> = other.into_iter().map(|(name, value, _)| (name, value)).collect();
        assert_eq!(fields.0, other);
        // The table is the same for a visitor that stops early. Only what is skipped is not
        // checked, so what was valid is valid.
        let mut visitor = Impatient { left: 2 };
        impatient.decode(block, &mut scratch, &mut visitor).expect("it was valid");
    }
}
