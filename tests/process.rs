//! A supervisor and its workers: reload, upgrade, workers that die, and an orderly stop.

#![allow(clippy::panic, clippy::unwrap_used)] // in a test, that is the assertion

#[path = "process/activation.rs"]
mod activation;
#[path = "wire/answer.rs"]
mod answer;
#[path = "common/client.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod client;
mod common;
#[path = "process/container.rs"]
mod container;
#[path = "process/deploy.rs"]
mod deploy;
#[path = "process/idle.rs"]
mod idle;
#[path = "process/load.rs"]
mod load;
#[path = "process/logs.rs"]
mod logs;
#[path = "process/notify.rs"]
mod notify;
#[path = "common/process.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod process;
#[path = "process/reload.rs"]
mod reload;
#[path = "process/replaced.rs"]
mod replaced;
#[path = "process/stop.rs"]
mod stop;
#[path = "process/upgrade.rs"]
mod upgrade;
#[path = "process/workers.rs"]
mod workers;

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use tempfile::TempDir;

use client::Client;
use common::{Server, Setup};
use process::{children, eventually, kill, signal, state};

/// A folder with a configuration file and a site.
struct Place {
    folder: TempDir,
}

const LARGE: usize = 32 << 20;

impl Place {
    /// A site with a small file and one that exceeds all socket buffers.
    fn new(config: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { folder };
        fs::create_dir(place.path("www")).unwrap();
        fs::write(place.path("www/a.txt"), "alpha").unwrap();
        fs::File::create(place.path("www/large")).unwrap().set_len(LARGE as u64).unwrap();
        place.write(config);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration file: the root, and these lines.
    fn write(&self, config: &str) {
        fs::write(self.path("t.toml"), format!("root = \"www\"\n{config}\n")).unwrap();
    }

    fn setup(&self) -> Setup {
        Setup::configured(&self.path("t.toml"))
    }

    fn start(&self) -> Server {
        self.setup().start().unwrap()
    }
}

/// True if it has ended, also if its parent has not reaped it.
fn has_ended(pid: u32) -> bool {
    matches!(state(pid), None | Some('Z' | 'X'))
}

/// Stops a process, and waits until it does nothing any more.
fn freeze(pid: u32) {
    kill(pid, Signal::STOP);
    eventually("the process is stopped", || state(pid) == Some('T'));
}

fn count(server: &mut Server, line: &str) -> usize {
    server.log().matches(line).count()
}

/// Asks for a reload, and waits until the log says this once more.
fn reload(server: &mut Server, outcome: &str) {
    let before = count(server, outcome);
    signal(server, Signal::HUP);
    eventually(outcome, || count(server, outcome) > before);
}

const RELOADED: &str = "reloaded: generation";
const REFUSED: &str = "reload failed: ";

fn assert_serves(mut client: Client) {
    assert_eq!(client.get("/a.txt").body, b"alpha");
}
