//! Blocks of fields (RFC 7541 section 6).

use super::huffman::{self, Fault};
use super::table::Table;
use super::{Malformed, fixed, integer};

/// Receives the fields of a block.
pub trait Visit {
    /// One field. False: enough; the rest of the block is decoded for the table only.
    fn field(&mut self, name: &[u8], value: &[u8]) -> bool;
    /// A field that does not fit into the scratch memory, and is dropped. False: enough.
    fn oversized(&mut self) -> bool;
}

/// Decodes the blocks of one connection, in their order.
#[derive(Debug)]
pub struct Decoder {
    pub(super) table: Table,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { table: Table::new() }
    }
}

/// Where a string is.
#[derive(Clone, Copy)]
enum Place<'b> {
    /// In the block, or in the static table.
    Outside(&'b [u8]),
    /// At the start of the scratch memory: this many bytes.
    Scratch(usize),
    /// In the dynamic table: the name of this entry.
    Entry(usize),
    /// It does not fit into the scratch memory.
    Oversized,
}

impl Decoder {
    /// Bytes of memory, besides the value itself.
    pub fn held_bytes(&self) -> usize {
        self.table.held_bytes()
    }

    /// Decodes a whole block. Strings are decoded into `scratch`; a name and its value must fit
    /// into it, or the field is dropped. A visitor that has said *enough* is not called again.
    ///
    /// # Errors
    /// The state of the table is unknown from then on.
    pub fn decode(
        &mut self,
        mut block: &[u8],
        scratch: &mut [u8],
        visitor: &mut impl Visit,
    ) -> Result<(), Malformed> {
        let (mut started, mut more) = (false, true);
        while let Some(&first) = block.first() {
            match first {
                0x80.. => {
                    let index = integer::take(&mut block, 7)?;
                    if more {
                        let (name, value) = self.entry(index)?;
                        more = visitor.field(name, value);
                    // Only checked: a block may have 16,000 of these.
                    } else if index == 0 || index > fixed::ENTRIES.len() + self.table.len() {
                        return Err(Malformed);
                    }
                }
                0x40..=0x7f => {
                    let name = self.name(&mut block, 6, scratch)?;
                    more = self.literal(&mut block, name, scratch, true, more, visitor)?;
                }
                0x20..=0x3f => {
                    // Only at the start of a block (section 4.2).
                    if started || !self.table.set_most(integer::take(&mut block, 5)?) {
                        return Err(Malformed);
                    }
                    continue;
                }
                0..=0x1f => {
                    let name = self.name(&mut block, 4, scratch)?;
                    more = self.literal(&mut block, name, scratch, false, more, visitor)?;
                }
            }
            started = true;
        }
        // A change of size belongs to the fields that follow it.
        Ok(())
    }

    /// An entry of either table.
    #[inline]
    fn entry(&self, index: usize) -> Result<(&[u8], &[u8]), Malformed> {
        let index = index.checked_sub(1).ok_or(Malformed)?;
        match fixed::ENTRIES.get(index) {
            Some((name, value)) => Ok((name.as_bytes(), value.as_bytes())),
            None => self.table.get(index - fixed::ENTRIES.len()).ok_or(Malformed),
        }
    }

    /// The name of a literal field: that of an entry, or a string.
    fn name<'b>(
        &self,
        block: &mut &'b [u8],
        bits: u32,
        scratch: &mut [u8],
    ) -> Result<Place<'b>, Malformed> {
        let index = integer::take(block, bits)?;
        let Some(index) = index.checked_sub(1) else { return string(block, scratch) };
        if let Some((name, _)) = fixed::ENTRIES.get(index) {
            return Ok(Place::Outside(name.as_bytes()));
        }
        let index = index - fixed::ENTRIES.len();
        match self.table.get(index) {
            Some(_) => Ok(Place::Entry(index)),
            None => Err(Malformed),
        }
    }

    /// The value of a literal field, and the field. Returns whether the visitor wants more.
    fn literal(
        &mut self,
        block: &mut &[u8],
        name: Place<'_>,
        scratch: &mut [u8],
        indexed: bool,
        more: bool,
        visitor: &mut impl Visit,
    ) -> Result<bool, Malformed> {
        if !more && !indexed {
            skip_string(block)?;
            return Ok(false);
        }
        // The name of an entry is copied, because the entry may be evicted.
        let name_length = match name {
            Place::Scratch(length) => Some(length),
            Place::Entry(index) => {
                let (name, _) = self.table.get(index).ok_or(Malformed)?;
                scratch.get_mut(..name.len()).map(|room| {
                    room.copy_from_slice(name);
                    name.len()
                })
            }
            Place::Outside(_) => Some(0),
            Place::Oversized => None,
        };
        let Some(name_length) = name_length else {
            string(block, &mut [])?;
            return Ok(self.oversized(indexed, more, visitor));
        };
        let (named, rest) = scratch.split_at_mut(name_length);
        let name = match name {
            Place::Outside(name) => name,
            _ => named,
        };
        let value = match string(block, rest)? {
            Place::Outside(value) => value,
            Place::Scratch(length) => &rest[..length],
            Place::Entry(_) | Place::Oversized => {
                return Ok(self.oversized(indexed, more, visitor));
            }
        };
        let more = more && visitor.field(name, value);
        if indexed {
            self.table.insert(name, value);
        }
        Ok(more)
    }

    /// A field that is larger than the scratch memory, and so than the table.
    fn oversized(&mut self, indexed: bool, more: bool, visitor: &mut impl Visit) -> bool {
        if indexed {
            self.table.clear();
        }
        more && visitor.oversized()
    }
}

/// Reads a string, into `scratch` if it is coded.
fn string<'b>(block: &mut &'b [u8], scratch: &mut [u8]) -> Result<Place<'b>, Malformed> {
    let (coded, bytes) = raw_string(block)?;
    if !coded {
        return Ok(Place::Outside(bytes));
    }
    match huffman::decode(bytes, scratch) {
        Ok(length) => Ok(Place::Scratch(length)),
        Err(Fault::Full) => Ok(Place::Oversized),
        Err(Fault::Malformed) => Err(Malformed),
    }
}

fn skip_string(block: &mut &[u8]) -> Result<(), Malformed> {
    raw_string(block).map(|_| ())
}

/// A string as it is sent, and whether it is coded.
#[inline]
fn raw_string<'b>(block: &mut &'b [u8]) -> Result<(bool, &'b [u8]), Malformed> {
    let coded = block.first().is_some_and(|byte| byte & 0x80 != 0);
    let length = integer::take(block, 7)?;
    let (bytes, rest) = block.split_at_checked(length).ok_or(Malformed)?;
    *block = rest;
    Ok((coded, bytes))
}
