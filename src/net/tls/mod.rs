//! TLS, the only module that names the library for it (rustls).
//!
//! | module | question it answers |
//! |---|---|
//! | `session` | what do the bytes of one connection mean? four calls around the library |
//! | `secured` | how do they get to and from a socket? |
//! | `terminal` | what do all connections of a thread share? |
//! | `certificates` | which certificate does a client get, and is it valid? |
//! | `names` | which hosts does a certificate cover, and until when is it valid? |
//! | `tickets` | how does a client resume a session, in whichever worker? |
//! | `material` | what do all workers share: the keys of tickets, the self-signed certificate |
//!
//! # Bounds
//!
//! A connection holds no buffer while it is idle: ciphertext is received and made in buffers of the
//! thread. What remains is at most a part of a record or of a handshake message ([`INPUT_BYTES`]),
//! the plaintext of one receive for which the machine had no room, and [`OUTPUT_BYTES`] of
//! ciphertext that the socket did not accept. While such ciphertext waits, nothing is received.
//! Ciphertext that others follow waits for them in the buffer of the thread, until the end of the
//! turn at most.
//!
//! # Handshakes
//!
//! The call that completes a ClientHello does the key exchange and the signature, 0.1 to 5 ms that
//! cannot be divided. So each turn of the loop has a number of units for them, and a handshake
//! costs as many as its key: see [`Terminal::begin_turn`]. A connection whose ClientHello may have
//! arrived is not read while no unit is left.

mod certificates;
mod material;
mod names;
mod secured;
mod session;
mod terminal;
mod tickets;

pub use certificates::{check, covered};
pub use material::Material;
pub use secured::Secured;
pub use terminal::Terminal;

/// Most bytes received at once, and so most ciphertext that is kept for later: the longest record
/// has 18,437 bytes.
const INPUT_BYTES: usize = 32 * 1024;

/// Most plaintext encrypted at once: four full records.
const PIECE_BYTES: usize = 4 * RECORD_BYTES;

/// Most ciphertext made at once.
const OUTPUT_BYTES: usize = PIECE_BYTES + 4 * ADDED_BYTES;

/// What a record adds to its plaintext, at most.
const ADDED_BYTES: usize = 32;

/// The plaintext of a full record.
const RECORD_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests;
