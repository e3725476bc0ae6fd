//! SIGINT and SIGTERM as bytes in a socket, so that the loop can poll for them like for anything
//! else. (A signal handler may do next to nothing; writing a byte is allowed.)

use std::io::{self, Read};
use std::os::unix::net::UnixStream as StdStream;

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// The reading end.
#[derive(Debug)]
pub(super) struct Signals {
    stream: UnixStream,
}

impl Signals {
    /// Takes over the signals to stop, and reports them under `token`.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Signals> {
        let (read, write) = StdStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        pipe::register(SIGINT, write.try_clone()?)?;
        pipe::register(SIGTERM, write)?;
        let mut stream = UnixStream::from_std(read);
        registry.register(&mut stream, token, Interest::READABLE)?;
        Ok(Signals { stream })
    }

    /// How many signals came since the last call.
    pub(super) fn take(&mut self) -> usize {
        let mut bytes = [0; 16];
        let mut signals = 0;
        while let Ok(count @ 1..) = self.stream.read(&mut bytes) {
            signals += count;
        }
        signals
    }
}
