//! HPACK, the compression of fields (RFC 7541).
//!
//! The [`Decoder`] keeps the table that the client fills and passes the fields of a block to a
//! visitor. The encoder has no table: each field is a literal, so a block can be prepared once and
//! sent on every connection.
//!
//! - `integer`: numbers with a prefix (section 5.1)
//! - `huffman`: strings (section 5.2, appendix B)
//! - `fixed`: the static table (appendix A)
//! - `table`: the dynamic table (sections 2.3.2 and 4)
//! - `decoder`: blocks of fields (section 6)
//! - `encoder`: fields of responses

mod decoder;
mod encoder;
mod fixed;
mod huffman;
mod integer;
mod table;

pub use decoder::{Decoder, Visit};
pub(super) use encoder::{NO_TABLE, put_date, put_line, put_status, status_length};

/// Why a block cannot be decoded: a COMPRESSION_ERROR, which ends the connection (RFC 9113 section
/// 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The size of the dynamic table of a client: the initial value, which the server does not change
/// (SETTINGS_HEADER_TABLE_SIZE).
pub const TABLE_BYTES: usize = 4096;

#[cfg(test)]
mod tests;
