//! The question that a connection answers: what must be done next?

use crate::files::OpenFile;
use crate::site::Wait;

#[cfg(doc)]
use super::connection::Connection;
use super::state::Reason;

/// What the driver must do next.
#[derive(Debug)]
pub enum Step<'c> {
    /// Receive into this room, and report [`Connection::read_done`].
    Read(&'c mut [u8]),
    /// Send these two slices, one behind the other, and report [`Connection::write_done`].
    Write(&'c [u8], &'c [u8]),
    /// Send `lead`, then `count` bytes of the file from `at`; report [`Connection::write_done`].
    SendFile {
        /// Bytes that go first; may be empty.
        lead: &'c [u8],
        /// The file, and the version of it that is being sent.
        file: &'c OpenFile,
        /// Offset of the first byte of the file.
        at: u64,
        /// Bytes of the file; more than 0.
        count: u64,
    },
    /// Nothing can be done until the site has what the request asks for: report
    /// [`Connection::retry`] then.
    Wait(Wait),
    /// Shut down the sending side. Needs no report.
    ShutdownWrite,
    /// Close the socket and forget the connection.
    Close(Reason),
}
