//! The base of all end-to-end tests: the built server as a child process.
//!
//! A [`Server`] listens on port 0 or on a socket in a temporary directory, so that tests can
//! run in parallel. It is killed through its own handle when it is dropped, however the test ends.

#![allow(clippy::panic)] // in a test, that is the assertion
#![expect(dead_code, reason = "this crate uses a part of it")]

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The timeout of a failing test; a passing test never waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// An unprivileged user, for tests of permissions, which do not apply to root.
const NOBODY: u32 = 65534;

/// Start of the error if the user of [`Setup::unprivileged`] cannot execute the program.
pub(crate) const MAY_NOT_START: &str = "cannot start: Permission denied";

/// An address of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A running server. Dropping it ends the process.
pub(crate) struct Server {
    child: Child,
    endpoint: Endpoint,
    greeting: String,
    errors: File,
}

/// How to start a server.
pub(crate) struct Setup {
    command: Command,
    listen: Vec<String>,
}

impl Setup {
    /// The built server, to serve this directory.
    pub(crate) fn new(root: &Path) -> Setup {
        Setup::by(Command::new(env!("CARGO_BIN_EXE_tenkay")), root)
    }

    /// The built server, with at most this many descriptors.
    pub(crate) fn with_descriptors(root: &Path, most: u32) -> Setup {
        Setup::in_shell(root, &format!("ulimit -n {most} && exec \"$@\""))
    }

    /// The built server, started by a shell that prepares something: its script ends in
    /// `exec "$@"`.
    pub(crate) fn in_shell(root: &Path, script: &str) -> Setup {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_tenkay")]);
        Setup::by(command, root)
    }

    /// The built server, which gets the folders to serve from a configuration file.
    pub(crate) fn configured(file: &Path) -> Setup {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenkay"));
        command.arg("--config");
        Setup::by(command, file)
    }

    /// The same, with the server at this path.
    pub(crate) fn installed(program: &Path, file: &Path) -> Setup {
        let mut command = Command::new(program);
        command.arg("--config");
        Setup::by(command, file)
    }

    /// The server that another program starts, with these arguments of that program.
    pub(crate) fn started_by<S: AsRef<OsStr>>(
        program: &str,
        args: impl IntoIterator<Item = S>,
        path: &Path,
    ) -> Setup {
        let mut command = Command::new(program);
        command.args(args);
        Setup::by(command, path)
    }

    /// The server that this command starts once its arguments are added; the next one is this path.
    fn by(mut command: Command, path: &Path) -> Setup {
        command.arg(path).stdin(Stdio::null()).stdout(Stdio::piped());
        Setup { command, listen: vec!["127.0.0.1:0".to_owned()] }
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Setup {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Setup {
        self.command.env(name, value);
        self
    }

    /// Listens on a Unix socket instead of a TCP port.
    pub(crate) fn unix(self, socket: &Path) -> Setup {
        self.listen([format!("unix:{}", socket.display())])
    }

    /// Listens on these addresses and no others.
    pub(crate) fn listen<S: Into<String>>(
        mut self,
        addresses: impl IntoIterator<Item = S>,
    ) -> Setup {
        self.listen = addresses.into_iter().map(Into::into).collect();
        self
    }

    /// Runs without the privileges of root: if root runs the tests, as the user `nobody`.
    pub(crate) fn unprivileged(mut self) -> Setup {
        if rustix::process::geteuid().is_root() {
            self.command.uid(NOBODY).gid(NOBODY);
        }
        self
    }

    /// Starts the server and waits until it has printed its addresses.
    pub(crate) fn start(mut self) -> Result<Server, String> {
        let (mut child, errors) = self.spawn()?;
        let lines = lines_of(&mut child);
        let mut server = Server {
            child,
            endpoint: Endpoint::Unix(PathBuf::new()),
            greeting: String::new(),
            errors,
        };
        server.greeting = lines
            .recv_timeout(PATIENCE)
            .map_err(|_| format!("the server printed no start line; its log: {}", server.log()))?;
        server.endpoint = endpoints(&server.greeting)
            .next()
            .ok_or_else(|| format!("no address in the greeting {:?}", server.greeting))?;
        Ok(server)
    }

    /// Starts a server that cannot print its start line, and waits until this socket accepts.
    pub(crate) fn start_silently(mut self, socket: &Path) -> Result<Server, String> {
        let (child, errors) = self.spawn()?;
        let endpoint = Endpoint::Unix(socket.to_owned());
        let mut server = Server { child, endpoint, greeting: String::new(), errors };
        let until = Instant::now() + PATIENCE;
        while UnixStream::connect(socket).is_err() {
            if let Some(end) = server.has_ended() {
                return Err(format!("it ended: {end}; its log: {}", server.log()));
            }
            if Instant::now() > until {
                return Err(format!("it does not listen; its log: {}", server.log()));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(server)
    }

    /// Starts the process. The file receives what it writes to stderr.
    fn spawn(&mut self) -> Result<(Child, File), String> {
        self.add_addresses();
        let errors = tempfile::tempfile().map_err(|error| error.to_string())?;
        self.command.stderr(errors.try_clone().map_err(|error| error.to_string())?);
        let child = self.command.spawn().map_err(|error| format!("cannot start: {error}"))?;
        Ok((child, errors))
    }

    fn add_addresses(&mut self) {
        for address in &self.listen {
            self.command.args(["--listen", address]);
        }
    }
}

impl Server {
    /// A server of this directory with these arguments.
    pub(crate) fn start(root: &Path, args: &[&str]) -> Server {
        Setup::new(root).args(args).start().expect("the server starts")
    }

    /// The first address.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// All addresses, in the order of the start line.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        endpoints(&self.greeting).collect()
    }

    /// The URL of a path; the host of a Unix socket is `localhost`.
    pub(crate) fn url(&self, path: &str) -> String {
        match &self.endpoint {
            Endpoint::Tcp(address) => format!("http://{address}{path}"),
            Endpoint::Unix(_) => format!("http://localhost{path}"),
        }
    }

    /// The line that it printed when it was ready.
    pub(crate) fn greeting(&self) -> &str {
        &self.greeting
    }

    /// The process number, to send signals to.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to stderr so far.
    pub(crate) fn log(&mut self) -> String {
        let (mut text, mut piece) = (Vec::new(), [0; 4096]);
        // The child writes at the position that the file shares with it, so that must not move.
        loop {
            match self.errors.read_at(&mut piece, text.len() as u64) {
                Ok(0) => return String::from_utf8_lossy(&text).into_owned(),
                Ok(count) => text.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.to_string(),
            }
        }
    }

    /// Waits until it has ended.
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        wait(&mut self.child).unwrap_or_else(|| panic!("it does not end; its log: {}", self.log()))
    }

    /// How it ended, if it did.
    pub(crate) fn has_ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process has already ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a server that is expected to end by itself: its exit status, stdout and stderr.
pub(crate) fn run_to_end(mut setup: Setup) -> (ExitStatus, String, String) {
    setup.add_addresses();
    let mut child =
        setup.command.stderr(Stdio::piped()).spawn().expect("the server can be started");
    let status = wait(&mut child);
    // Fails only if the process has already ended, which is fine.
    let _ = child.kill();
    let output = child.wait_with_output().expect("its output");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    let status = status.unwrap_or_else(|| panic!("it does not end: {out}{errors}"));
    (status, out, errors)
}

/// `length` bytes of lines of eight, each with its own offset: 0000000, 0000008, 0000016 ...
pub(crate) fn numbered_lines(length: usize) -> Vec<u8> {
    (0..length).step_by(8).flat_map(|at| format!("{at:07}\n").into_bytes()).take(length).collect()
}

/// Waits until a child has ended; `None`: it does not.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let until = Instant::now() + PATIENCE;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(2)),
            Ok(status) => return status,
            Err(error) => panic!("cannot wait for the server: {error}"),
        }
    }
}

/// The lines of the child's stdout, read by a thread that ends with the child.
fn lines_of(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            // The receiver is dropped after the start line; the pipe must be drained nevertheless.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
    }
    receiver
}

/// Every `http://ADDRESS/`, `https://ADDRESS/` and `unix:/path` of the greeting; `localhost` is
/// taken as 127.0.0.1.
fn endpoints(greeting: &str) -> impl Iterator<Item = Endpoint> {
    greeting.split_whitespace().map(|word| word.trim_end_matches([',', '/'])).filter_map(|word| {
        match word.strip_prefix("http://").or(word.strip_prefix("https://")) {
            Some(address) => {
                address.replace("localhost", "127.0.0.1").parse().ok().map(Endpoint::Tcp)
            }
            None => word.strip_prefix("unix:").map(|path| Endpoint::Unix(path.into())),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_says_where_to_connect() {
        let of = |greeting| endpoints(greeting).collect::<Vec<_>>();
        let tcp = of("tenkay 0.1.0 serves /srv at http://127.0.0.1:4123/ (listings on)");
        assert_eq!(tcp, [Endpoint::Tcp(([127, 0, 0, 1], 4123).into())]);
        let both = of("tenkay 0.1.0 serves /srv at unix:/tmp/s and http://127.0.0.1:80 (");
        assert_eq!(
            both,
            [Endpoint::Unix("/tmp/s".into()), Endpoint::Tcp(([127, 0, 0, 1], 80).into())]
        );
        let every = of("tenkay 0.1.0 serves /srv at http://localhost:81/ and http://[::1]:81/ (");
        assert_eq!(every[0], Endpoint::Tcp(([127, 0, 0, 1], 81).into()));
        assert_eq!(every.len(), 2);
        assert_eq!(of("tenkay: cannot listen"), []);
    }
}
