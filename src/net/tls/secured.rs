//! A TLS connection on a socket.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use super::super::facts::{Facts, Opened};
use super::super::transport::{Plain, Sent, is_passing};
use super::session::{Fault, Session};
use super::terminal::Terminal;
use super::{ADDED_BYTES, OUTPUT_BYTES, PIECE_BYTES, RECORD_BYTES};

/// A connection that begins with a handshake.
///
/// It reports plaintext as sent when the socket has accepted the ciphertext of it, in proportion.
/// So its driver, which offers the bytes again that were not reported, must not change them, or
/// insert others before them: they may be encrypted already.
pub struct Secured {
    socket: Plain,
    session: Session,
    stage: Stage,
    /// Plaintext for which the driver had no room.
    arrived: Vec<u8>,
    /// Ciphertext that the socket did not accept, from `unsent_from`.
    unsent: Vec<u8>,
    unsent_from: usize,
    batch: Batch,
    /// The output of the thread holds ciphertext of this connection that was reported as sent; see
    /// [`Secured::push`].
    holds: bool,
    /// The socket has refused ciphertext in this turn of the connection, and in the one before.
    refused: bool,
    was_refused: bool,
    certificate: u16,
    /// The sending direction is to be shut down when all was sent.
    ends: bool,
    has_ended: bool,
    /// The peer's end of the TCP connection has come.
    is_cut: bool,
    /// Something was received.
    has_begun: bool,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No ClientHello was answered yet.
    Hello,
    /// The answer was made.
    Handshake,
    Open,
    /// The peer speaks HTTP without TLS: bytes pass as they are.
    Clear,
    /// The session has failed. The peer may get an alert.
    Failed,
}

/// What was encrypted last.
#[derive(Clone, Copy, Debug, Default)]
struct Batch {
    /// Bytes of plaintext.
    plain: usize,
    /// Bytes of it that were reported as sent.
    reported: usize,
    /// Bytes of ciphertext.
    cipher: usize,
}

impl std::fmt::Debug for Secured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secured")
            .field("socket", &self.socket)
            .field("stage", &self.stage)
            .field("arrived", &self.arrived.len())
            .field("unsent", &self.unsent_bytes().len())
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

impl Secured {
    /// Takes over a connected socket in non-blocking mode, before its handshake. `None`: there are
    /// no certificates.
    pub(in super::super) fn new(socket: OwnedFd, terminal: &Terminal) -> Option<Secured> {
        Some(Secured {
            socket: Plain::new(socket),
            session: terminal.session()?,
            stage: Stage::Hello,
            arrived: Vec::new(),
            unsent: Vec::new(),
            unsent_from: 0,
            batch: Batch::default(),
            holds: false,
            refused: false,
            was_refused: false,
            certificate: 0,
            ends: false,
            has_ended: false,
            is_cut: false,
            has_begun: false,
        })
    }

    /// Its socket.
    pub(in super::super) fn socket(&self) -> &Plain {
        &self.socket
    }

    /// Its socket.
    pub(in super::super) fn socket_mut(&mut self) -> &mut Plain {
        &mut self.socket
    }

    /// What was negotiated; `None` before the end of the handshake, and without TLS.
    pub fn facts(&self) -> Option<Facts> {
        if self.stage != Stage::Open {
            return None;
        }
        let (version, is_h2) = self.session.facts();
        Some(Facts { version, certificate: self.certificate, is_h2 })
    }

    /// Sends what waits, and does the handshake, as far as possible now. The driver calls it first
    /// in each turn of the connection.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn open(&mut self, terminal: &mut Terminal) -> io::Result<Opened> {
        self.was_refused = std::mem::take(&mut self.refused);
        self.flush()?;
        if !self.unsent_bytes().is_empty() {
            return Ok(match self.stage {
                Stage::Failed => Opened::Failed,
                // The machine offers these bytes again, and then learns how many were sent.
                Stage::Open if self.batch.plain > 0 => Opened::Ready,
                _ => Opened::Waits,
            });
        }
        for _ in 0..FLIGHTS {
            match self.stage {
                Stage::Open | Stage::Clear => return Ok(Opened::Ready),
                Stage::Failed => return Ok(Opened::Failed),
                Stage::Hello | Stage::Handshake => {}
            }
            if self.is_cut {
                self.fail(terminal);
                return Ok(Opened::Failed);
            }
            if !self.socket.is_readable() || !self.unsent_bytes().is_empty() {
                return Ok(Opened::Waits);
            }
            if self.stage == Stage::Hello && !terminal.has_unit() {
                return Ok(Opened::NoUnit);
            }
            match self.receive_records(terminal) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Opened::Waits);
                }
                received => received?,
            }
            self.arrived.extend_from_slice(&terminal.plain);
            if self.stage == Stage::Clear {
                return Ok(Opened::Clear);
            }
        }
        Ok(Opened::Waits)
    }

    /// Receives once, and processes it: plaintext goes to the buffer of the thread, and ciphertext
    /// for the peer (of the handshake, or an alert) to the socket.
    fn receive_records(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        terminal.plain.clear();
        self.push(terminal)?;
        if !self.unsent_bytes().is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        terminal.output.clear();
        let kept = self.session.load(&mut terminal.input);
        let count = match terminal.input.get_mut(kept..) {
            // A handshake message is longer than INPUT_BYTES.
            None | Some([]) => {
                self.fail(terminal);
                return Ok(());
            }
            Some(room) => self.socket.receive(room)?,
        };
        self.is_cut |= count == 0;
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        if is_first && is_method(&terminal.input[..count]) {
            terminal.plain.extend_from_slice(&terminal.input[..count]);
            self.stage = Stage::Clear;
            return Ok(());
        }
        let Terminal { input, output, plain, .. } = terminal;
        let taken = self.session.take(&mut input[..kept + count], output, plain);
        self.advance(terminal);
        self.send_output(terminal)?;
        if let Err(Fault) = taken {
            self.fail(terminal);
        }
        Ok(())
    }

    /// Notes how far the handshake is, and charges it to the turn.
    fn advance(&mut self, terminal: &mut Terminal) {
        if self.stage == Stage::Hello
            && let Some(is_resumed) = self.session.is_resumed()
        {
            self.stage = Stage::Handshake;
            self.certificate = terminal.charge(is_resumed);
        }
        if self.stage == Stage::Handshake && self.session.is_open() {
            self.stage = Stage::Open;
            match self.session.is_resumed() {
                Some(true) => terminal.handshakes.resumed += 1,
                _ => terminal.handshakes.full += 1,
            }
        }
    }

    fn fail(&mut self, terminal: &mut Terminal) {
        if self.stage != Stage::Open {
            terminal.handshakes.failed += 1;
        }
        self.stage = Stage::Failed;
    }

    /// Whether a receive may return something.
    #[inline]
    pub fn is_readable(&self) -> bool {
        !self.arrived.is_empty() || (self.socket.is_readable() && self.unsent_bytes().is_empty())
    }

    /// Whether a send may make progress, or report some.
    #[inline]
    pub fn is_writable(&self) -> bool {
        self.socket.is_writable() || (self.batch.plain > 0 && self.unsent_bytes().is_empty())
    }

    /// Receives plaintext into `room`; 0: the peer has finished sending.
    ///
    /// # Errors
    /// Those of the socket; [`io::ErrorKind::InvalidData`] if the session has failed.
    pub fn receive(&mut self, room: &mut [u8], terminal: &mut Terminal) -> io::Result<usize> {
        if !self.arrived.is_empty() {
            let count = self.arrived.len().min(room.len());
            room[..count].copy_from_slice(&self.arrived[..count]);
            self.arrived.drain(..count);
            if self.arrived.is_empty() {
                self.arrived = Vec::new(); // an idle connection holds no buffer
            }
            return Ok(count);
        }
        if self.stage == Stage::Clear {
            return self.socket.receive(room);
        }
        for _ in 0..RECEIVES {
            if self.stage == Stage::Failed {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.is_cut || self.session.is_peer_closed() {
                return Ok(0);
            }
            if !self.is_readable() {
                break;
            }
            self.receive_records(terminal)?;
            let plain = &terminal.plain;
            let count = plain.len().min(room.len());
            room[..count].copy_from_slice(&plain[..count]);
            self.arrived.extend_from_slice(&plain[count..]);
            if count > 0 {
                return Ok(count);
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Receives and drops what comes after a failure; 0: the peer has finished sending.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn discard(&mut self, terminal: &mut Terminal) -> io::Result<usize> {
        self.arrived = Vec::new();
        self.socket.receive(&mut terminal.input)
    }

    /// Sends two slices, one behind the other. Returns how many of their bytes were sent, among
    /// them those of an earlier call. `follows`: other bytes follow in this turn; see
    /// [`Secured::push`].
    ///
    /// # Errors
    /// Those of the socket.
    pub fn send(
        &mut self,
        first: &[u8],
        second: &[u8],
        follows: bool,
        terminal: &mut Terminal,
    ) -> io::Result<usize> {
        if self.stage == Stage::Clear {
            return self.socket.send(first, second);
        }
        if self.batch.plain == 0 {
            self.make_room(first.len() + second.len(), terminal)?;
            let plain = self.encrypt(first, second, terminal).map_err(|_| broken())?;
            if self.may_hold(follows, terminal) {
                return Ok(plain);
            }
            // Not held back: for a body of two pieces, that costs more than a short segment.
            self.send_batch(plain, false, terminal)?;
        }
        self.report(first.len() + second.len())
    }

    /// Encrypts the first [`PIECE_BYTES`] of two slices. Only the end of the first one is copied,
    /// to fill its last record with the start of the second one.
    fn encrypt(
        &mut self,
        first: &[u8],
        second: &[u8],
        terminal: &mut Terminal,
    ) -> Result<usize, Fault> {
        let Terminal { output, piece, .. } = terminal;
        let first = &first[..first.len().min(PIECE_BYTES)];
        let second = &second[..second.len().min(PIECE_BYTES - first.len())];
        if first.is_empty() || second.is_empty() {
            self.session.put(if first.is_empty() { second } else { first }, output)?;
            return Ok(first.len() + second.len());
        }
        let whole = first.len() - first.len() % RECORD_BYTES;
        let (full, rest) = first.split_at(whole);
        let (fill, others) = second.split_at(second.len().min(RECORD_BYTES - rest.len()));
        let joined = &mut piece[..rest.len() + fill.len()];
        joined[..rest.len()].copy_from_slice(rest);
        joined[rest.len()..].copy_from_slice(fill);
        for part in [full, joined, others] {
            if !part.is_empty() {
                self.session.put(part, output)?;
            }
        }
        Ok(first.len() + second.len())
    }

    /// Sends `lead`, then up to `count` bytes of `file` from `at`. It reads at most
    /// [`PIECE_BYTES`], into the buffer of the thread; the driver has made sure that they are in
    /// memory. `follows`: as for [`Secured::send`].
    ///
    /// # Errors
    /// Those of the socket.
    pub fn send_file(
        &mut self,
        lead: &[u8],
        file: &File,
        (at, count): (u64, u64),
        follows: bool,
        terminal: &mut Terminal,
    ) -> io::Result<Sent> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let offered = lead.len().saturating_add(count);
        if self.batch.plain == 0 && self.stage != Stage::Clear {
            self.make_room(offered, terminal)?;
            let Terminal { output, piece, .. } = &mut *terminal;
            let lead = &lead[..lead.len().min(PIECE_BYTES)];
            let room = &mut piece[..PIECE_BYTES.min(lead.len().saturating_add(count))];
            room[..lead.len()].copy_from_slice(lead);
            let read = file.read_at(&mut room[lead.len()..], at).unwrap_or(0);
            let plain = lead.len() + read;
            if plain == 0 {
                return Ok(Sent { count: 0, file_ended: true });
            }
            self.session.put(&piece[..plain], output).map_err(|_| broken())?;
            if self.may_hold(follows && plain == offered, terminal) {
                return Ok(Sent { count: plain as u64, file_ended: false }); // widening
            }
            self.send_batch(plain, plain < offered, terminal)?;
        }
        let sent = self.report(offered)?;
        Ok(Sent { count: sent as u64, file_ended: false }) // widening
    }

    /// Sends the output of the session, which holds `plain` bytes of plaintext. `follows`: the
    /// driver has offered more, so that the end of it waits for that, and fills its segment.
    fn send_batch(&mut self, plain: usize, follows: bool, terminal: &Terminal) -> io::Result<()> {
        self.batch = Batch { plain, reported: 0, cipher: terminal.output.bytes().len() };
        self.send_output_before(follows, terminal)
    }

    /// How much of the current batch was sent and not reported yet, at most `most`.
    fn report(&mut self, most: usize) -> io::Result<usize> {
        self.flush()?;
        let Batch { plain, reported, cipher } = self.batch;
        let unsent = self.unsent_bytes().len();
        let sent = match unsent {
            0 => plain,
            // Never all of it before its last byte was sent.
            _ => plain * (cipher.saturating_sub(unsent)) / cipher,
        };
        let count = sent.saturating_sub(reported).min(most);
        self.batch.reported += count;
        if self.batch.reported == plain {
            self.batch = Batch::default();
        }
        if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    /// Sends a message before the socket is closed, as far as it is accepted. Returns how many of
    /// its bytes were sent.
    pub fn send_last(&mut self, message: &[u8], terminal: &mut Terminal) -> usize {
        if self.stage != Stage::Open || self.batch.plain > 0 {
            return 0;
        }
        // The connection is closed whether or not the message can be sent.
        self.send(message, &[], false, terminal).unwrap_or(0)
    }

    /// Ends the sending direction: close_notify, then FIN, when all before them was sent.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn shutdown_write(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        self.queue_close(terminal)?;
        self.ends = true;
        self.flush()
    }

    /// Tells the peer that the connection ends here, before the socket is closed.
    pub fn part(&mut self, terminal: &mut Terminal) {
        if self.unsent_bytes().is_empty() && self.batch.plain == 0 {
            // The connection is closed whether or not the alert can be sent.
            _ = self.queue_close(terminal);
        }
    }

    fn queue_close(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        self.push(terminal)?;
        if self.stage != Stage::Open {
            return Ok(());
        }
        terminal.output.clear();
        // A session that has failed has nothing more to say.
        _ = self.session.close(&mut terminal.output);
        self.send_output(terminal)
    }

    /// Whether all was sent, the end included.
    pub fn is_flushed(&self) -> bool {
        self.unsent_bytes().is_empty() && self.has_ended == self.ends
    }

    /// Bytes of memory for buffers of its own.
    pub(in super::super) fn buffered(&self) -> usize {
        self.arrived.capacity() + self.unsent.capacity() + self.session.buffered()
    }

    pub(in super::super) fn unsent_bytes(&self) -> &[u8] {
        &self.unsent[self.unsent_from..]
    }

    /// Sends the output of the session; what the socket does not accept is kept.
    fn send_output(&mut self, terminal: &Terminal) -> io::Result<()> {
        self.send_output_before(false, terminal)
    }

    fn send_output_before(&mut self, follows: bool, terminal: &Terminal) -> io::Result<()> {
        let output = terminal.output.bytes();
        if output.is_empty() {
            return Ok(());
        }
        let mut sent = 0;
        if self.unsent_bytes().is_empty() && self.socket.is_writable() {
            sent = match self.socket.send_before(output, follows) {
                Err(error) if is_passing(&error) => 0,
                sent => sent?,
            };
        }
        self.refused |= sent < output.len();
        self.unsent.extend_from_slice(&output[sent..]);
        Ok(())
    }

    /// Sends what waits, as far as the socket accepts it.
    ///
    /// # Errors
    /// Those of the socket, but not that it accepts nothing.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.unsent_bytes().is_empty() && self.socket.is_writable() {
            match self.socket.send(&self.unsent[self.unsent_from..], &[]) {
                Err(error) if is_passing(&error) => break,
                sent => self.unsent_from += sent?,
            }
        }
        self.refused |= !self.unsent_bytes().is_empty();
        if self.unsent_bytes().is_empty() {
            if self.unsent_from > 0 {
                self.unsent = Vec::new(); // an idle connection holds no buffer
                self.unsent_from = 0;
            }
            if self.ends && !self.has_ended {
                self.has_ended = true;
                self.socket.shutdown_write()?;
            }
        }
        Ok(())
    }

    /// Sends the ciphertext that was held back, as far as the socket accepts it. The driver calls
    /// this at the end of each turn of the connection, before another one uses the buffers of the
    /// thread.
    ///
    /// Bytes that others follow are encrypted and reported as sent at once, and sent with those
    /// that follow: a system call for each record costs more than the record. At most
    /// [`OUTPUT_BYTES`] are held back, and none if the socket has refused some in the last turn: a
    /// slow client would get no more at once, but more would be encrypted, and so sent before an
    /// urgent response.
    ///
    /// # Errors
    /// Those of the socket.
    #[inline]
    pub fn push(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        if !std::mem::take(&mut self.holds) {
            return Ok(());
        }
        self.send_output(terminal)
    }

    /// Whether what was encrypted waits for what follows it.
    fn may_hold(&mut self, follows: bool, terminal: &Terminal) -> bool {
        let is_fast = !self.was_refused && !self.refused && self.socket.is_writable();
        self.holds = follows && is_fast && terminal.output.bytes().len() <= ENOUGH_BYTES;
        self.holds
    }

    /// Makes room for the ciphertext of this many bytes: behind what is held back, or instead of
    /// it. Everything before that was sent.
    fn make_room(&mut self, plain: usize, terminal: &mut Terminal) -> io::Result<()> {
        let held = terminal.output.bytes().len();
        let most = plain + plain.div_ceil(RECORD_BYTES) * ADDED_BYTES;
        if self.holds && most <= OUTPUT_BYTES.saturating_sub(held) {
            return Ok(());
        }
        self.push(terminal)?;
        self.flush()?;
        if !self.unsent_bytes().is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        terminal.output.clear();
        Ok(())
    }
}

/// Ciphertext of this length is sent even if more follows: another record might not fit behind it.
const ENOUGH_BYTES: usize = OUTPUT_BYTES - RECORD_BYTES - ADDED_BYTES;

/// Most receives in a turn during a handshake: it has two flights of the client.
const FLIGHTS: usize = 4;

/// Most receives for one piece of plaintext: records may hold none.
const RECEIVES: usize = 4;

/// Whether bytes begin like a request of HTTP. A record of TLS begins with a byte below 32.
fn is_method(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_uppercase)
}

/// The session cannot encrypt any more.
fn broken() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}
