//! Messages between two processes of this program: a list of texts, and descriptors.
//!
//! A channel is a pair of connected Unix sockets. Descriptors travel as SCM_RIGHTS, so that no
//! number of a descriptor has to be kept free, and none is inherited by accident.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, send, sendmsg,
};

/// One message.
#[derive(Debug, Default)]
pub(super) struct Message {
    /// Texts, numbers among them in decimal.
    pub(super) fields: Fields,
    /// Descriptors, in the order that the texts imply.
    pub(super) descriptors: Vec<OwnedFd>,
}

/// A list of byte strings.
#[derive(Debug, Default)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    /// Where the next one to take begins.
    at: usize,
}

impl Fields {
    /// Adds one at the end.
    pub(super) fn put(&mut self, field: impl AsRef<[u8]>) {
        let field = field.as_ref();
        let length = u32::try_from(field.len()).expect("no path or number has 4 GiB");
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(field);
    }

    /// Adds a number.
    pub(super) fn put_number(&mut self, number: u64) {
        self.put(number.to_string());
    }

    /// Takes the next one; `None`: there is no other, or the list is malformed.
    pub(super) fn take(&mut self) -> Option<&[u8]> {
        let length = self.bytes.get(self.at..)?.first_chunk().copied().map(u32::from_le_bytes)?;
        let start = self.at + size_of::<u32>();
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        let field = self.bytes.get(start..end)?;
        self.at = end;
        Some(field)
    }

    /// Takes the next one as text.
    pub(super) fn take_text(&mut self) -> Option<&str> {
        std::str::from_utf8(self.take()?).ok()
    }

    /// Takes the next one as a number.
    pub(super) fn take_number<N: std::str::FromStr>(&mut self) -> Option<N> {
        self.take_text()?.parse().ok()
    }

    /// Adds whether there is a file, and its descriptor behind the others.
    pub(super) fn put_file<'f>(
        &mut self,
        file: Option<BorrowedFd<'f>>,
        descriptors: &mut Vec<BorrowedFd<'f>>,
    ) {
        self.put_number(u64::from(file.is_some()));
        descriptors.extend(file);
    }

    /// What [`Fields::put_file`] has added. The outer `None`: it is malformed.
    pub(super) fn take_file(
        &mut self,
        descriptors: &mut impl Iterator<Item = OwnedFd>,
    ) -> Option<Option<OwnedFd>> {
        match self.take_number::<u8>()? {
            0 => Some(None),
            _ => descriptors.next().map(Some),
        }
    }
}

/// Most bytes of texts in a message: they must fit into the buffer of a socket.
const BYTES_MOST: usize = 128 * 1024;

/// Most descriptors in a message.
const DESCRIPTORS_MOST: usize = 8_192;

/// Descriptors sent with one byte; Linux takes up to 253.
const BATCH: usize = 64;

/// Sends a message without waiting.
///
/// # Errors
/// Those of the system; also if the message does not fit into the buffer of the socket.
pub(super) fn send_message(
    stream: &UnixStream,
    fields: &Fields,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    if fields.bytes.len() > BYTES_MOST || descriptors.len() > DESCRIPTORS_MOST {
        return Err(io::Error::other("too many sockets and workers for one message"));
    }
    // Both fit: see above.
    let [length, count] =
        [fields.bytes.len(), descriptors.len()].map(|number| u32::try_from(number).unwrap_or(0));
    send_all(stream, &[length.to_le_bytes(), count.to_le_bytes()].concat())?;
    for batch in descriptors.chunks(BATCH) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(batch));
        sendmsg(stream, &[IoSlice::new(&[0])], &mut control, FLAGS)?;
    }
    send_all(stream, &fields.bytes)
}

/// The standard library has SIGPIPE ignored.
const FLAGS: SendFlags = SendFlags::DONTWAIT;

fn send_all(stream: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = send(stream, bytes, FLAGS)?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

/// Sends one byte with a descriptor, without waiting.
///
/// # Errors
/// Those of the system.
pub(super) fn send_with_descriptor(
    stream: impl AsFd,
    byte: u8,
    descriptor: BorrowedFd<'_>,
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(stream, &[IoSlice::new(&[byte])], &mut control, FLAGS)?;
    Ok(())
}

/// Receives a message, and waits for it.
///
/// # Errors
/// Those of the system; also if what comes is no message.
pub(super) fn receive_message(mut stream: &UnixStream) -> io::Result<Message> {
    let mut head = [[0; 4]; 2];
    for number in &mut head {
        stream.read_exact(number)?;
    }
    let [length, count] =
        head.map(|number| usize::try_from(u32::from_le_bytes(number)).unwrap_or(usize::MAX));
    if length > BYTES_MOST || count > DESCRIPTORS_MOST {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut descriptors = Vec::with_capacity(count);
    while descriptors.len() < count {
        let before = descriptors.len();
        receive_batch(stream, &mut descriptors)?;
        if descriptors.len() == before {
            return Err(ErrorKind::InvalidData.into());
        }
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(Message { fields: Fields { bytes, at: 0 }, descriptors })
}

fn receive_batch(stream: &UnixStream, descriptors: &mut Vec<OwnedFd>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let buffers = &mut [IoSliceMut::new(&mut byte)];
    loop {
        match recvmsg(stream, buffers, &mut control, CLOSE_ON_EXEC) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => break,
        }
    }
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    Ok(())
}

#[cfg(not(target_vendor = "apple"))]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::CMSG_CLOEXEC;
/// Every descriptor is closed by the processes that these systems start, or is harmless there.
#[cfg(target_vendor = "apple")]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::empty();

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_message_arrives_with_its_texts_and_descriptors() {
        let (here, there) = UnixStream::pair().unwrap();
        let mut fields = Fields::default();
        fields.put("a\0b\n");
        fields.put_number(u64::MAX);
        fields.put("");
        let (one, other) = UnixStream::pair().unwrap();
        let many: Vec<_> = (0..2 * BATCH).map(|_| one.as_fd()).chain([other.as_fd()]).collect();
        send_message(&here, &fields, &many).unwrap();
        send_message(&here, &Fields::default(), &[]).unwrap();
        let Message { mut fields, descriptors } = receive_message(&there).unwrap();
        assert_eq!(fields.take(), Some(&b"a\0b\n"[..]));
        assert_eq!(fields.take_number(), Some(u64::MAX));
        assert_eq!(fields.take_text(), Some(""));
        assert_eq!(fields.take(), None);
        assert_eq!(descriptors.len(), 2 * BATCH + 1);
        let (mut first, mut last) = (
            UnixStream::from(descriptors[0].try_clone().unwrap()),
            UnixStream::from(descriptors.last().unwrap().try_clone().unwrap()),
        );
        first.write_all(b"x").unwrap();
        last.read_exact(&mut [0]).unwrap();
        assert!(receive_message(&there).unwrap().descriptors.is_empty());
    }

    #[test]
    fn a_malformed_message_is_an_error() {
        for bytes in
            [&b"nonsense"[..], &[1, 0, 0, 0, 0, 0, 0, 0], &[0, 0, 0, 0, 1, 0, 0, 0, 7], b""]
        {
            let (mut here, there) = UnixStream::pair().unwrap();
            here.write_all(bytes).unwrap();
            drop(here);
            assert!(receive_message(&there).is_err(), "{bytes:?}");
        }
        let mut cut = Fields { bytes: vec![5, 0, 0, 0, b'a'], at: 0 };
        assert_eq!(cut.take(), None);
        assert_eq!(cut.take_number::<u64>(), None);
    }
}
