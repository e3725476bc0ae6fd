//! What does a request cost, from request bytes to response bytes?
//!
//! Unit: one request on a persistent connection, through the protocol state machine and the site.
//! This is the user-space cost of a request without the event loop. Purpose: shows how a change of
//! the hot path affects its cost, and which kinds of requests cost more than the plain one.
//! `pipelined_16` answers 16 requests from one read; its `thrpt` counts requests.
//! How to run and read it: `main.rs`.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use tenkay::clock::{Clock, Tick};
use tenkay::config::Limits;
use tenkay::h1::{Connection, Exchanges};
use tenkay::machine::{Context, Event, Pages, Step};
use tenkay::site::Sites;

use super::common::{BROWSER, WRK, clock, folder, limits, put_file, site, with_fields};

pub(crate) fn bench(criterion: &mut Criterion) {
    let root = folder();
    put_file(root.path(), "file", 1024);
    let mut client = Client::new(site(root.path()));
    let etag = client.etag(WRK);
    let cases = [
        ("small", WRK.to_owned(), "200"),
        ("browser", BROWSER.to_owned(), "200"),
        ("head", WRK.replacen("GET", "HEAD", 1), "200"),
        ("not_modified", with_fields(WRK, &format!("If-None-Match: {etag}\r\n")), "304"),
        ("one_range", with_fields(WRK, "Range: bytes=100-199\r\n"), "206"),
        ("missing", WRK.replacen("file", "absent", 1), "404"),
    ];
    let mut group = criterion.benchmark_group("exchange");
    for (name, request, status) in &cases {
        let answer = client.answer(request.as_bytes());
        assert!(answer.starts_with(format!("HTTP/1.1 {status}").as_bytes()), "{name}");
        group.bench_function(*name, |bencher| {
            bencher.iter(|| client.exchange(black_box(request.as_bytes()), see));
        });
    }
    let pipelined = WRK.repeat(16);
    group.throughput(Throughput::Elements(16));
    group.bench_function("pipelined_16", |bencher| {
        bencher.iter(|| client.exchange(black_box(pipelined.as_bytes()), see));
    });
    group.finish();
}

/// Keeps the compiler from removing the creation of the bytes.
fn see(bytes: &[u8]) {
    black_box(bytes);
}

/// One connection and its context.
struct Client {
    connection: Connection,
    sites: Sites,
    exchanges: Exchanges,
    pages: Pages,
    clock: Clock,
    limits: Limits,
}

impl Client {
    fn new(sites: Sites) -> Client {
        let limits = limits();
        let pages = Pages::new(limits.pages);
        let (connection, exchanges) = (Connection::new(Tick(0)), Exchanges::default());
        Client { connection, sites, exchanges, pages, clock: clock(), limits }
    }

    /// Does the work of the event loop for one event, without the system calls. `sent` is called
    /// with each slice to send.
    fn exchange(&mut self, request: &[u8], mut sent: impl FnMut(&[u8])) {
        let Client { connection, sites, exchanges, pages, clock, limits } = self;
        let mut cx = Context::new(sites, pages, clock, limits);
        let mut unread = Some(request);
        loop {
            match connection.step() {
                Step::Read => {
                    let Some(bytes) = unread.take() else { break };
                    let room =
                        connection.room(exchanges, cx.pages).expect("there are pages enough");
                    room[..bytes.len()].copy_from_slice(bytes);
                    connection.report(Event::Read(bytes.len()), &mut cx);
                }
                Step::Write(first, second) => {
                    sent(first);
                    sent(second);
                    let count = first.len() + second.len();
                    connection.report(Event::Written(count as u64), &mut cx); // widening
                }
                // Before the file is cached.
                Step::Wait { .. } => connection.report(Event::Retry, &mut cx),
                step => unreachable!("a small file needs no other step: {step:?}"),
            }
        }
        connection.rest(exchanges, cx.pages);
    }

    /// The bytes of the response.
    fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        self.exchange(request, |bytes| answer.extend_from_slice(bytes));
        answer
    }

    /// The ETag in the response to a request.
    fn etag(&mut self, request: &str) -> String {
        let answer = String::from_utf8_lossy(&self.answer(request.as_bytes())).into_owned();
        let field = answer.lines().find_map(|line| line.strip_prefix("ETag: "));
        field.expect("every file has an ETag").to_owned()
    }
}
