//! Behind proxies: PROXY headers, `Forwarded`, `X-Forwarded-For`, and real proxies in front.
//!
//! `proxy/header.rs` sends PROXY headers, `proxy/forwarded.rs` the fields; `proxy/real.rs` puts
//! HAProxy and nginx in front, with the configurations of the documentation, and
//! `proxy/restart.rs` restarts two servers behind HAProxy under load.

#![allow(clippy::panic, clippy::unwrap_used)] // in a test, that is the assertion

#[path = "wire/answer.rs"]
mod answer;
#[path = "common/client.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod client;
mod common;
#[path = "proxy/forwarded.rs"]
mod forwarded;
#[path = "proxy/header.rs"]
mod header;
#[path = "process/load.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod load;
#[path = "common/process.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod process;
#[path = "proxy/real.rs"]
mod real;
#[path = "proxy/restart.rs"]
mod restart;

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use tempfile::TempDir;

use client::Client;
use common::{Server, Setup};

/// A site in which the files below `/for/ADDRESS/` are for this client alone.
struct Place {
    folder: TempDir,
}

/// The clients that have files.
const CLIENTS: &[&str] =
    &["127.0.0.1", "127.0.0.2", "192.0.2.1", "192.0.2.2", "2001:db8::1", "10.0.0.3"];

/// The trusted proxies: this machine, by its first loopback address only.
const TRUSTED: &str = "trusted_proxies = ['127.0.0.1', '10.0.0.0/8', 'unix']";

impl Place {
    /// The configuration file begins with these lines.
    fn new(lines: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { folder };
        let mut config = format!("root = 'www'\n{lines}\n");
        for client in CLIENTS {
            let of_client = place.path(&format!("www/for/{client}"));
            fs::create_dir_all(&of_client).unwrap();
            fs::write(of_client.join("x"), client).unwrap();
            config += &format!("[[access]]\nfor = '/for/{client}/*'\nallow = ['{client}']\n");
        }
        fs::write(place.path("www/a.txt"), "alpha").unwrap();
        fs::write(place.path("t.toml"), config).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn setup(&self) -> Setup {
        Setup::configured(&self.path("t.toml"))
    }

    /// A server with these options.
    fn start(&self, options: &[&str]) -> Server {
        self.setup().args(options).start().unwrap()
    }
}

/// A request for the file of a client, with these field lines.
fn request_for(client: &str, lines: &str) -> String {
    format!("GET /for/{client}/x HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

/// Asserts that the server takes this connection for one of `expected`, by requests with these
/// field lines.
fn assert_is_for(client: &mut Client, lines: &str, expected: &str) {
    let others = CLIENTS.iter().filter(|other| **other != expected).take(2);
    for (asked, status) in others.map(|other| (*other, 403)).chain([(expected, 200)]) {
        client.send(request_for(asked, lines));
        assert_eq!(client.answer().status, status, "{asked} for {expected}: {lines:?}");
    }
}

/// A connection from a peer that is not trusted.
fn stranger(server: &Server) -> Client {
    Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), server)
}
