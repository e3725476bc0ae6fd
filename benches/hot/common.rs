//! What the benches share: request heads, a folder with files, and a clock that stands still.
//!
//! To run and to read them: see `main.rs`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tenkay::clock::{Clock, Tick};
use tenkay::config::{Limits, SiteConfig};
use tenkay::files::Door;
use tenkay::site::Site;

/// What wrk sends for `/file`.
pub(crate) const WRK: &str = "GET /file HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// What a browser sends for `/file`: fifteen fields.
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

/// A head with more field lines before its end.
pub(crate) fn with_fields(head: &str, lines: &str) -> String {
    let start = head.strip_suffix("\r\n").expect("a head ends with an empty line");
    format!("{start}{lines}\r\n")
}

/// A clock that stands still, so far in the future that no file of a bench is young.
pub(crate) fn clock() -> Clock {
    Clock::new(Tick(1_000), Duration::from_secs(4_000_000_000))
}

/// The bounds of a server in which nothing has to be dropped from the cache.
pub(crate) fn limits() -> Limits {
    Limits { cache_failures: 200_000, ..Limits::default() }
}

/// An empty temporary folder; gone when dropped.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// Puts a file of `bytes` bytes into a folder.
pub(crate) fn put_file(folder: &Path, name: &str, bytes: usize) {
    fs::write(folder.join(name), vec![b'x'; bytes]).expect("a file can be written");
}

/// The site that serves a folder.
pub(crate) fn site(folder: &Path) -> Site {
    Site::new(folder, SiteConfig::default(), &limits(), Door::best(), 0)
        .expect("a folder that was just made can be served")
}
