//! Connected sockets: what moves bytes between a peer and memory or a file.
//!
//! A [`Transport`] owns the socket of one connection and knows what the poll reported about it. It
//! knows nothing of protocols but the PROXY header that may precede them: the event loop asks it
//! whether bytes may be there, and receives or sends.

pub mod activated;
pub mod listen;
pub mod proxy;
pub mod transport;

pub use activated::Activated;
pub use transport::{Sent, Transport, is_passing};
