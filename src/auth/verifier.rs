//! The helper process: reads questions from its standard input, verifies, and writes answers to its
//! standard output, until the input ends.
//!
//! It needs CPU time and memory only. Before the first question it drops the right to write files,
//! to open descriptors and to start processes, disables core dumps, and lowers its priority below
//! that of the event loop. `main` adds the sandbox.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use zeroize::{Zeroize, Zeroizing};

use super::hash::Hash;
use super::question::{FAILED, FRAME_MAX, Parsed, RIGHT, WRONG, parse};

/// The first argument of the program that makes it a helper process. It is for the server alone,
/// so the help does not mention it.
pub const MODE: &str = "__verify";

/// Answers questions until the standard input ends.
///
/// # Errors
/// If input or output fails, or the input is no question.
pub fn run() -> io::Result<()> {
    // A service manager sends its signals to all processes of a service. A helper ends with its
    // input. The flags are never read: that there is a handler is enough.
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    // Not the handles of the standard library: the one for input keeps what it has read.
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    give_up_resources();
    answer(&mut input, &mut output)
}

/// These are precautions: a system that refuses one is no reason to fail.
fn give_up_resources() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    for resource in [Resource::Core, Resource::Fsize, Resource::Nofile, Resource::Nproc] {
        _ = setrlimit(resource, none);
    }
    _ = nice(NICE);
}

/// Answers each question on `input` by one byte on `output`. Each question is overwritten before
/// the next one is read.
fn answer(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    let mut buffer = Zeroizing::new(vec![0; FRAME_MAX]);
    let mut filled = 0;
    loop {
        let (reply, length) = match parse(&buffer[..filled]) {
            Parsed::Malformed => return Err(ErrorKind::InvalidData.into()),
            Parsed::Complete { hash, password, length } => (verify(hash, password), length),
            Parsed::Incomplete => match input.read(&mut buffer[filled..]) {
                Ok(0) if filled == 0 => return Ok(()),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    filled += count;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            },
        };
        buffer.copy_within(length..filled, 0);
        filled -= length;
        buffer[filled..].zeroize();
        output.write_all(&[reply])?;
    }
}

/// The answer to a question.
fn verify(hash: &[u8], password: &[u8]) -> u8 {
    let found = catch_unwind(AssertUnwindSafe(|| {
        let hash = Hash::parse(std::str::from_utf8(hash).ok()?).ok()?;
        hash.verify(password).ok()
    }));
    match found {
        Ok(Some(true)) => RIGHT,
        Ok(Some(false)) => WRONG,
        Ok(None) | Err(_) => FAILED,
    }
}

/// How far the priority is lowered: the loop gets nine times as much of a processor as a helper.
const NICE: i32 = 10;

#[cfg(test)]
mod tests {
    use super::super::tests::MADE_BY_OTHERS;
    use super::*;

    /// Gives one byte at a time.
    struct Slow<'b>(&'b [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    fn question(hash: &[u8], password: &[u8]) -> Vec<u8> {
        let length = |part: &[u8]| u16::try_from(part.len()).unwrap().to_le_bytes();
        [&length(hash)[..], &length(password), hash, password].concat()
    }

    #[test]
    fn each_question_gets_its_answer_however_the_bytes_arrive() {
        let (hash, password) = MADE_BY_OTHERS[1];
        let (hash, password) = (hash.as_bytes(), password.as_bytes());
        let input = [
            question(hash, password),
            question(hash, b""),
            question(b"no hash", password),
            question(b"\xff", password),
            question(b"", b""),
            question(hash, password),
        ]
        .concat();
        let mut output = Vec::new();
        answer(&mut &input[..], &mut output).unwrap();
        assert_eq!(output, b"RWFFFR");
        output.clear();
        answer(&mut Slow(&input), &mut output).unwrap();
        assert_eq!(output, b"RWFFFR");
    }

    #[test]
    fn input_that_is_no_question_or_ends_early_is_an_error() {
        for (input, kind) in [
            (&[255; 4][..], ErrorKind::InvalidData),
            (&[1, 0, 1, 0, b'x'][..], ErrorKind::UnexpectedEof),
            (&[1][..], ErrorKind::UnexpectedEof),
        ] {
            let error = answer(&mut &*input, &mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), kind);
        }
        assert!(answer(&mut &[][..], &mut Vec::new()).is_ok());
    }
}
