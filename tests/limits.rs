//! Hostile clients, full tables and broken files: tests of the limits.
//!
//! | module | question |
//! |---|---|
//! | [`time`] | how long may a client take? |
//! | [`room`] | what happens when slots or descriptors run out? |
//! | [`share`] | how many connections, requests and bytes may one client have? |
//! | [`files`] | what if a file changes while it is sent, or is no regular file? |
//! | [`ends`] | what if a client leaves, at any point? |
//!
//! Upper bounds on times only limit a failing test: a test asserts that something took at least as
//! long as it must, and waits at most `PATIENCE`.

#![allow(clippy::panic, clippy::unwrap_used)] // in a test, that is the assertion

#[path = "wire/answer.rs"]
mod answer;
#[path = "common/client.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod client;
mod common;
#[path = "limits/ends.rs"]
mod ends;
#[path = "limits/files.rs"]
mod files;
#[path = "common/process.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod process;
#[path = "limits/room.rs"]
mod room;
#[path = "limits/share.rs"]
mod share;
#[path = "limits/time.rs"]
mod time;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use client::Client;
use common::{Server, Setup};

/// A folder with a small file, and a large one that exceeds all socket buffers.
struct Site {
    root: TempDir,
    /// For a Unix socket, whose buffer has a fixed size.
    place: TempDir,
}

impl Site {
    fn new() -> Site {
        let (root, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(root.path().join("a.txt"), "alpha").unwrap();
        fs::write(root.path().join("large"), text('a', LARGE)).unwrap();
        Site { root, place }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    /// A server with these limits on TCP.
    fn serve(&self, limits: &[&str]) -> Server {
        self.setup(limits).start().unwrap()
    }

    /// A server with these limits on a Unix socket: its buffers do not grow, so that the server
    /// notices at once that the client does not read.
    fn serve_unix(&self, limits: &[&str]) -> Server {
        self.setup(limits).unix(&self.place.path().join("s")).start().unwrap()
    }

    /// As [`serve`](Site::serve), without sidecars: no path needs a lookup for the names of them.
    fn serve_plain(&self, limits: &[&str]) -> Server {
        self.setup(limits).args(["--no-precompressed"]).start().unwrap()
    }

    fn setup(&self, limits: &[&str]) -> Setup {
        Setup::new(self.path()).args(limits.iter().flat_map(|limit| ["--limit", limit]))
    }
}

const LARGE: usize = 4 << 20;

/// `length` bytes of numbered lines, so that no two pieces are equal.
fn text(first: char, length: usize) -> Vec<u8> {
    let lines = (0_usize..).flat_map(|line| format!("{first}{line:014}\n").into_bytes());
    lines.take(length).collect()
}

/// Asserts that the server still answers a new connection, and has logged no bug.
fn assert_lives(server: &mut Server) {
    assert_eq!(Client::connect(server).get("/a.txt").body, b"alpha");
    let log = server.log();
    assert!(!log.contains("bug"), "{log}");
}
