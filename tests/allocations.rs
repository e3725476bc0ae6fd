//! A request that the cache answers allocates nothing: 10,000 of each kind run through connection
//! and site, from the first byte to the last, under a counting allocator.
//!
//! Three kinds do allocate, by design, and are bounded here as well: several ranges
//! (the list of them outlives the head), a redirect with a query (its location is made for this
//! request) and a body that is dropped before the response (its head is saved).

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test they are the assertion")]

#[path = "sans_io/mod.rs"]
mod sans_io;

use allocation_counter::measure;

use tenkay::config::{AccessFormat, LogTarget, SiteConfig};
use tenkay::h1::Connection;
use tenkay::journal::{AccessLog, LogFile, Observer, Sink};
use tenkay::machine::{Event, Step};
use tenkay::metrics::{Facts, Requests, Snapshot, to_text};

use sans_io::bench::{Bench, content, put};

const REQUESTS: u64 = 10_000;

fn bench() -> Bench {
    Bench::new(&[], SiteConfig::default(), |folder| {
        put(folder, "small", &content(1000, 1));
        put(folder, "memory", &content(50_000, 1));
        put(folder, "file", &content(200_000, 1));
        put(folder, "dir/index.html", b"<p>index");
        put(folder, "list/one", b"1");
        put(folder, "a b", b"2");
        put(folder, "text.css", &content(5000, 1));
        put(folder, "text.css.gz", &content(1000, 2));
        put(folder, "large.css", &content(200_000, 1));
        put(folder, "large.css.gz", &content(150_000, 2));
    })
}

/// Plays one exchange, and returns the number of bytes sent. The driver allocates nothing either.
fn exchange(bench: &mut Bench, connection: &mut Connection, mut input: &[u8]) -> u64 {
    let mut output = 0;
    loop {
        match connection.step() {
            Step::Read if input.is_empty() => {
                bench.rest(connection);
                return output;
            }
            Step::Read => {
                let count = bench.receive(connection, input).expect("there are pages enough");
                input = &input[count..];
            }
            Step::Write(first, second) => {
                let count = (first.len() + second.len()) as u64;
                output += count;
                bench.event(connection, Event::Written(count));
            }
            Step::SendFile { lead, count, .. } => {
                // In pieces, as the reactor sends them.
                let count = lead.len() as u64 + count.min(65_536);
                output += count;
                bench.event(connection, Event::Written(count));
            }
            Step::Wait { .. } => {
                bench.sites.work(&bench.clock, &mut || true);
                bench.event(connection, Event::Retry);
            }
            Step::Poll => unreachable!("HTTP/1.1 does not poll"),
            Step::ShutdownWrite => bench.event(connection, Event::ShutDown),
            Step::Close(_) => return output,
        }
    }
}

/// Allocations of this many requests, after the first few have filled the cache and the pool.
fn allocations(bench: &mut Bench, input: &[u8], requests: u64, between: fn(&mut Bench)) -> u64 {
    let mut connection = Connection::new(bench.clock.tick);
    let expected = exchange(bench, &mut connection, input);
    for _ in 0..3 {
        assert_eq!(exchange(bench, &mut connection, input), expected);
    }
    let info = measure(|| {
        for _ in 0..requests {
            between(bench);
            let output = exchange(bench, &mut connection, input);
            assert!(output == expected && output > 100);
        }
    });
    bench.end(connection);
    info.count_total
}

fn request(target: &str, lines: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: localhost:8080\r\n{lines}\r\n").into_bytes()
}

/// The fields of a browser.
const BROWSER: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101\r\n\
     Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
     Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
     Connection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\n\
     Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nPriority: u=0, i\r\n";

#[test]
fn counting_requests_allocates_nothing() {
    let mut bench = bench();
    bench.requests = Some(Requests::default());
    for input in [request("/small", ""), request("/none", ""), request("/file", BROWSER)] {
        assert_eq!(allocations(&mut bench, &input, REQUESTS, |_| {}), 0);
    }
    let mut snapshot = Snapshot::default();
    bench.requests.as_ref().unwrap().describe(&mut snapshot);
    let text = to_text(&snapshot, Facts::default());
    // Each kind is played a few times before the allocations are counted.
    let line = format!("tenkay_requests_total{{code=\"404\",method=\"GET\"}} {}\n", REQUESTS + 4);
    assert!(text.contains(&line), "{text}");
}

#[test]
fn a_request_that_the_cache_answers_allocates_nothing() {
    let mut bench = bench();
    let pipelined = request("/small", "").repeat(16);
    let mixed = [
        request("/small", BROWSER),
        request("/none", ""),
        request("/file", ""),
        request("/memory", ""),
        request("/dir", ""),
    ];
    let head = b"HEAD /small HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    for (name, input) in [
        ("a small file", request("/small", "")),
        ("as a browser asks", request("/small", BROWSER)),
        ("a file in memory", request("/memory", "")),
        ("a sidecar file", request("/text.css", BROWSER)),
        (
            "a part of a sidecar",
            request("/text.css", "Accept-Encoding: gzip\r\nRange: bytes=1-9\r\n"),
        ),
        ("a large sidecar file", request("/large.css", "Accept-Encoding: br, gzip\r\n")),
        ("a large file", request("/file", "")),
        ("HEAD", head),
        ("OPTIONS", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("an index", request("/dir/", "")),
        ("a listing", request("/list/", "")),
        ("another spelling", request("/./%73mall", "")),
        ("a name with a blank", request("/a%20b", "")),
        ("absolute form", request("http://a/small?b=c", "")),
        ("not modified", request("/small", "If-None-Match: *\r\n")),
        ("modified", request("/small", "If-None-Match: \"a\", W/\"b\"\r\n")),
        ("since", request("/small", "If-Modified-Since: Sat, 01 Jan 2022 00:00:00 GMT\r\n")),
        ("not matched", request("/small", "If-Match: \"a\"\r\n")),
        ("one range", request("/small", "Range: bytes=10-99\r\n")),
        ("one range of a file", request("/file", "Range: bytes=-70000\r\n")),
        ("a range with a condition", request("/file", "Range: bytes=0-9\r\nIf-Range: \"a\"\r\n")),
        ("no range", request("/small", "Range: bytes=1000-\r\n")),
        ("nothing there", request("/none", "")),
        ("hidden", request("/.hidden", "")),
        ("a redirect", request("/dir", "")),
        ("another method", b"PUT /small HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("HTTP/1.0", b"GET /small HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_vec()),
        ("16 at once", pipelined),
        ("different ones at once", mixed.concat()),
    ] {
        assert_eq!(allocations(&mut bench, &input, REQUESTS, |_| {}), 0, "{name}");
    }
}

/// Revalidating an unchanged file needs no memory either.
#[test]
fn a_valid_entry_is_revalidated_without_allocating() {
    let mut bench = bench();
    for name in ["/small", "/file", "/dir/", "/dir"] {
        let input = request(name, "");
        let pass = |bench: &mut Bench| bench.wait(bench.limits.revalidate_ms);
        assert_eq!(allocations(&mut bench, &input, 500, pass), 0, "{name}");
    }
}

/// Neither does a line of the access log.
#[test]
fn a_request_that_is_logged_allocates_nothing() {
    for format in [
        AccessFormat::Common,
        AccessFormat::Combined,
        AccessFormat::VhostCombined,
        AccessFormat::Json,
    ] {
        let mut bench = bench();
        let file = LogFile::open(&LogTarget::Path("/dev/null".into())).unwrap();
        let sink = Sink::new(file, "log".to_owned(), 65_536);
        let mut observer = Observer::new(Box::new(|| 0));
        observer.log_to(AccessLog::new(format, sink));
        bench.observer = Some(observer);
        let write = |bench: &mut Bench| {
            let log = bench.observer.as_mut().and_then(Observer::log).unwrap();
            log.sink().finish(bench.clock.tick);
        };
        for input in [
            request("/small", BROWSER),
            request("/file", ""),
            request("/small?\\", "Range: bytes=10-99\r\n"),
            request("/none", ""),
            request("/small", "").repeat(16),
        ] {
            assert_eq!(allocations(&mut bench, &input, 1000, write), 0, "{format:?}");
        }
    }
}

#[test]
fn a_connection_allocates_nothing() {
    let mut bench = bench();
    let input = b"GET /small HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let one = |bench: &mut Bench| {
        let mut connection = Connection::new(bench.clock.tick);
        let output = exchange(bench, &mut connection, input);
        bench.end(connection);
        output
    };
    let expected = one(&mut bench);
    let info = measure(|| {
        for _ in 0..REQUESTS {
            assert_eq!(one(&mut bench), expected);
        }
    });
    assert_eq!(info.count_total, 0);
}

#[test]
fn refusals_allocate_nothing() {
    let mut bench = bench();
    for input in [
        &b"G\0"[..],
        b"GET /\r\n\r\n",
        b"GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"\r\n\r\n\r\n",
    ] {
        let one = |bench: &mut Bench| {
            let mut connection = Connection::new(bench.clock.tick);
            let output = exchange(bench, &mut connection, input);
            bench.end(connection);
            output
        };
        assert!(one(&mut bench) > 100);
        let info = measure(|| {
            for _ in 0..1000 {
                one(&mut bench);
            }
        });
        assert_eq!(info.count_total, 0, "{:?}", String::from_utf8_lossy(input));
    }
}

#[test]
fn requests_that_allocate_by_design_allocate_little() {
    let mut bench = bench();
    for (name, input, most) in [
        ("several ranges", request("/file", "Range: bytes=0-0,5-9,20-29\r\n"), 3),
        ("a redirect with a query", request("/dir?a=b&c=\"d\"", ""), 4),
        ("a body", [request("/small", "Content-Length: 3\r\n"), b"abc".to_vec()].concat(), 1),
    ] {
        let count = allocations(&mut bench, &input, 1000, |_| {});
        assert!(count > 0, "the counter counts");
        assert!(count <= most * 1000, "{name}: {} each", count / 1000);
    }
}
