//! Connected sockets: what moves bytes between a peer and memory or a file.
//!
//! A [`Transport`] owns the socket of one connection and knows what the poll reported about it. It
//! knows nothing of protocols but the PROXY header that may precede them: the event loop asks it
//! whether bytes may be there, and receives or sends.

pub mod activated;
mod facts;
pub mod listen;
pub mod proxy;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
pub mod tls;
pub mod transport;
mod unsent;

pub use activated::Activated;
pub use facts::{Checked, Facts, Handshakes, Notice, Opened};
pub use transport::{Sent, Transport, is_passing};
pub use unsent::unsent_most;
