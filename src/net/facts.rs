//! What other parts of the program learn about TLS; also in a build without it.

use crate::config::{LogLevel, TlsVersion};
use crate::http::covered::Names;

/// What is known about an open TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The version of TLS.
    pub version: TlsVersion,
    /// The number of the certificate that the client got.
    pub certificate: u16,
    /// The client chose HTTP/2 (ALPN `h2`).
    pub is_h2: bool,
}

/// Whether a connection can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Bytes can be received and sent.
    Ready,
    /// It must wait for the socket.
    Waits,
    /// A ClientHello may have come, but this turn has no unit left for it.
    NoUnit,
    /// The peer speaks HTTP without TLS. Reported once; from then on it is [`Opened::Ready`].
    Clear,
    /// The handshake, or the session later on, has failed. Nothing but an alert can be sent.
    Failed,
}

/// How many handshakes have ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// With a signature of the server.
    pub full: u64,
    /// An earlier session was resumed.
    pub resumed: u64,
    /// By an error, or by the peer.
    pub failed: u64,
}

/// What to say about a certificate that is used nevertheless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// [`LogLevel::Error`]: clients refuse the certificate.
    pub level: LogLevel,
    /// Where the certificate is configured; empty: on the command line.
    pub place: String,
    /// The certificate, and what to do, in one line.
    pub text: String,
}

/// What was found in the files of the certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What prevents a start, a line each.
    pub problems: Vec<String>,
    /// What does not.
    pub notices: Vec<Notice>,
    /// The hosts that each certificate covers.
    pub names: Vec<Names>,
}
