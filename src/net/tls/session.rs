//! One TLS session, without a socket: four calls around the library.
//!
//! [`Session::take`]: ciphertext in, plaintext out. [`Session::put`]: plaintext in, ciphertext out.
//! [`Session::close`] ends the sending direction, and [`Session::facts`] says what was negotiated.
//! The buffers are the caller's, so that another version of the library changes this file alone.

use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::{Error, HandshakeKind, ProtocolVersion, ServerConfig};

use crate::config::TlsVersion;

/// See the module.
pub(super) struct Session {
    connection: UnbufferedServerConnection,
    /// Ciphertext that is not a whole record, or not a whole handshake message.
    incoming: Vec<u8>,
    /// The peer will send nothing more (close_notify).
    peer_closed: bool,
    close_queued: bool,
}

/// What [`Session::write`] appends.
#[derive(Clone, Copy)]
enum Write<'p> {
    Data(&'p [u8]),
    Close,
}

/// The session has failed. If there is an alert for the peer, it is in the output.
#[derive(Debug)]
pub(super) struct Fault;

/// Ciphertext that was made, in a buffer of fixed size. By default there is none.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Box<[u8]>,
    length: usize,
}

impl Output {
    pub(super) fn new() -> Output {
        Output { bytes: vec![0; super::OUTPUT_BYTES + CONTROL_BYTES].into(), length: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.length..]
    }
}

/// Room for handshake messages and alerts.
const CONTROL_BYTES: usize = 64 * 1024;

/// How often the library is asked for its state before a write: more often than it has messages to
/// send.
const ROUNDS: usize = 64;

impl Session {
    pub(super) fn new(config: &Arc<ServerConfig>) -> Result<Session, Fault> {
        let connection =
            UnbufferedServerConnection::new(Arc::clone(config)).map_err(|_: Error| Fault)?;
        Ok(Session { connection, incoming: Vec::new(), peer_closed: false, close_queued: false })
    }

    /// Copies the ciphertext that is left over to the start of `input`, and returns its length.
    pub(super) fn load(&self, input: &mut [u8]) -> usize {
        input[..self.incoming.len()].copy_from_slice(&self.incoming);
        self.incoming.len()
    }

    /// Takes the ciphertext in `input`, which begins with what [`Session::load`] has copied there.
    /// Appends the plaintext to `plain`, and ciphertext for the peer to `output`.
    ///
    /// # Errors
    /// The session is over, by an error of one side. What was appended is still valid.
    pub(super) fn take(
        &mut self,
        input: &mut [u8],
        output: &mut Output,
        plain: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mut used = 0;
        let result = self.process(input, &mut used, output, plain);
        let rest = &input[used..];
        if rest.is_empty() {
            self.incoming = Vec::new();
        } else {
            self.incoming.clear();
            self.incoming.extend_from_slice(rest);
        }
        result
    }

    /// Each round consumes a record, or appends a message, or is the last.
    fn process(
        &mut self,
        input: &mut [u8],
        used: &mut usize,
        output: &mut Output,
        plain: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(&mut input[*used..]);
            let mut is_last = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(|_| Fault)?;
                        discard += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    output.length += data.encode(output.room()).map_err(|_| Fault)?;
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                Ok(_) => is_last = true,
                Err(_) => {
                    self.take_alert(output);
                    return Err(Fault);
                }
            }
            *used += discard;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Appends what the library has to send after an error. The input that caused it must not be
    /// processed again.
    fn take_alert(&mut self, output: &mut Output) {
        while self.connection.wants_write() {
            let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut []);
            let Ok(ConnectionState::EncodeTlsData(mut data)) = state else { return };
            let Ok(count) = data.encode(output.room()) else { return };
            output.length += count;
        }
    }

    /// Encrypts `plain` into `output`, in records as long as they may be. Only after the handshake.
    ///
    /// # Errors
    /// The session is over.
    pub(super) fn put(&mut self, plain: &[u8], output: &mut Output) -> Result<(), Fault> {
        self.write(Write::Data(plain), output)
    }

    /// Ends the sending direction (close_notify); before the end of the handshake, does nothing.
    ///
    /// # Errors
    /// The session is over.
    pub(super) fn close(&mut self, output: &mut Output) -> Result<(), Fault> {
        if !self.is_open() || std::mem::replace(&mut self.close_queued, true) {
            return Ok(());
        }
        self.write(Write::Close, output)
    }

    /// Appends this to the output, behind what else the library has to send. There is no plaintext
    /// among its states, because [`Session::take`] has processed what has come.
    fn write(&mut self, what: Write<'_>, output: &mut Output) -> Result<(), Fault> {
        for _ in 0..ROUNDS {
            let Session { connection, incoming, .. } = self;
            let UnbufferedStatus { discard, state } = connection.process_tls_records(incoming);
            match state.map_err(|_| Fault)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    let room = output.room();
                    let count = match what {
                        Write::Data(plain) => traffic.encrypt(plain, room),
                        Write::Close => traffic.queue_close_notify(room),
                    };
                    output.length += count.map_err(|_| Fault)?;
                    incoming.drain(..discard);
                    return Ok(());
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    output.length += data.encode(output.room()).map_err(|_| Fault)?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.peer_closed = true,
                _ => return Err(Fault),
            }
            incoming.drain(..discard);
        }
        Err(Fault)
    }

    /// True once application data can be sent: the handshake is complete.
    pub(super) fn is_open(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Bytes of memory for ciphertext that is left over.
    pub(super) fn buffered(&self) -> usize {
        self.incoming.capacity()
    }

    /// True if the peer has ended its direction.
    pub(super) fn is_peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Whether an earlier session was resumed; `None`: the ClientHello has not come.
    pub(super) fn is_resumed(&self) -> Option<bool> {
        self.connection.handshake_kind().map(|kind| kind == HandshakeKind::Resumed)
    }

    /// The version, and whether the client chose HTTP/2.
    pub(super) fn facts(&self) -> (TlsVersion, bool) {
        let version = match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
            _ => TlsVersion::Tls12,
        };
        (version, self.connection.alpn_protocol() == Some(b"h2"))
    }
}
