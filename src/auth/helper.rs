//! The handle of one helper process, and its two pipes.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mio::unix::pipe::{Receiver, Sender};
use mio::{Interest, Registry, Token};

use super::question::Frame;
use super::verifier::MODE;

/// The program that is started as a helper.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
}

impl Program {
    /// The program that runs now.
    ///
    /// # Errors
    /// If its path is unknown.
    pub fn this() -> io::Result<Program> {
        // The link leads to this program even if another version was installed since.
        let link = Path::new("/proc/self/exe");
        let path = if link.exists() { link.to_owned() } else { std::env::current_exe()? };
        Ok(Program::at(path))
    }

    /// The program at this path.
    pub fn at(path: impl Into<PathBuf>) -> Program {
        Program { path: path.into() }
    }
}

/// A helper process. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Helper {
    child: Child,
    questions: Sender,
    answers: Receiver,
}

impl Helper {
    /// Starts one. All descriptors of this process but the two pipes are closed on exec, the
    /// listening sockets included.
    pub(super) fn start(program: &Program) -> io::Result<Helper> {
        let mut child = Command::new(&program.path)
            // The name in the list of processes; the path may be a link in /proc.
            .arg0("tenkay")
            .arg(MODE)
            .env_clear()
            .current_dir("/")
            // Not in the process group of the server: Ctrl-C in a terminal is for the server.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // So that no message of a library about a password gets into a log.
            .stderr(Stdio::null())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.expect("both are piped");
        let helper = Helper { child, questions: stdin.into(), answers: stdout.into() };
        helper.questions.set_nonblocking(true)?;
        helper.answers.set_nonblocking(true)?;
        Ok(helper)
    }

    /// Reports the answers of this helper under `token`.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.answers, token, Interest::READABLE)
    }

    /// Sends a question. The helper must have answered the last one: then its pipe is empty and
    /// takes the whole question at once.
    pub(super) fn send(&mut self, frame: &Frame) -> io::Result<()> {
        match self.questions.write(frame.bytes())? {
            count if count == frame.bytes().len() => Ok(()),
            _ => Err(ErrorKind::WriteZero.into()),
        }
    }

    /// The next byte of an answer; `None` if there is none yet.
    ///
    /// # Errors
    /// If the helper has ended.
    pub(super) fn receive(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        loop {
            return match self.answers.read(&mut byte) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => Ok(Some(byte[0])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
        }
    }

    /// The number of the process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Helper {
    /// Kills the process, which may be in the middle of a verification, and waits for its end, so
    /// that no zombie is left. The wait is short: the kernel only frees its memory.
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
