//! Shared by the benches: request heads, a folder with files, and a stopped clock.
//!
//! How to run and read the benches: `main.rs`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tenkay::clock::{Clock, Tick};
use tenkay::config::{Limits, SiteConfig};
use tenkay::files::Door;
use tenkay::site::Sites;

/// The request that wrk sends for `/file`.
pub(crate) const WRK: &str = "GET /file HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// The request that a browser sends for `/file`, with fifteen fields.
pub(crate) const BROWSER: &str = "GET /file HTTP/1.1\r\n\
    Host: 127.0.0.1:8080\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    sec-ch-ua: \"Chromium\";v=\"128\", \"Not;A=Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/128.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,\
    */*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Dest: document\r\n\
    Referer: http://127.0.0.1:8080/\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n\r\n";

/// Adds field lines at the end of a head.
pub(crate) fn with_fields(head: &str, lines: &str) -> String {
    let start = head.strip_suffix("\r\n").expect("a head ends with an empty line");
    format!("{start}{lines}\r\n")
}

/// A stopped clock, so far in the future that the ETags of all files are strong.
pub(crate) fn clock() -> Clock {
    Clock::new(Tick(1_000), Duration::from_secs(4_000_000_000))
}

/// Limits with which nothing is evicted from the cache.
pub(crate) fn limits() -> Limits {
    Limits { cache_failures: 200_000, ..Limits::default() }
}

/// An empty temporary folder, deleted on drop.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("temporary folders can be created")
}

/// Creates a file of `bytes` bytes in a folder.
pub(crate) fn put_file(folder: &Path, name: &str, bytes: usize) {
    fs::write(folder.join(name), vec![b'x'; bytes]).expect("the temporary folder is writable");
}

/// A site that serves a folder.
pub(crate) fn site(folder: &Path) -> Sites {
    Sites::new(vec![SiteConfig::at(folder)], &limits(), Door::best(), 0)
        .expect("the folder was just created")
}
