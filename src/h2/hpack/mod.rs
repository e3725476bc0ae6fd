//! HPACK, the compression of fields (RFC 7541).
//!
//! The [`Decoder`] keeps the table that the client fills and passes the fields of a block to a
//! visitor. The encoder refers to the table of the client by a [`SentTable`]; lines of a file are
//! [`Prepared`] once for all connections.
//!
//! - `integer`: numbers with a prefix (section 5.1)
//! - `huffman`: strings (section 5.2, appendix B)
//! - `fixed`: the static table (appendix A)
//! - `table`: the dynamic table (sections 2.3.2 and 4)
//! - `decoder`: blocks of fields (section 6)
//! - `encoder`: fields of responses as literals
//! - `prepared`: field lines that were encoded once
//! - `sent`: the dynamic table of the client

mod decoder;
mod encoder;
mod fixed;
mod huffman;
mod integer;
mod prepared;
mod sent;
mod table;

pub use decoder::{Decoder, Visit};
pub(super) use encoder::{put_line, put_status};
pub(super) use prepared::{Prepared, prepare};
pub(super) use sent::SentTable;

/// Why a block cannot be decoded: a COMPRESSION_ERROR, which ends the connection (RFC 9113 section
/// 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The size of the dynamic tables: that of a client has the initial value, which the server does
/// not change (SETTINGS_HEADER_TABLE_SIZE), and the server uses no more of its own.
pub const TABLE_BYTES: usize = 4096;

#[cfg(test)]
mod tests;
