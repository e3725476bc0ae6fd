//! A request that the cache answers allocates nothing on a connection that is open.

use allocation_counter::measure;
use tenkay::h2::Connection;
use tenkay::machine::{Event, Step};

use crate::peer::*;
use crate::sans_io::bench::Bench;
use crate::session::bench;

/// Lets a connection do what it can, without an allocation of the driver. Returns bytes sent.
fn drive(bench: &mut Bench, connection: &mut Connection, mut input: &[u8]) -> u64 {
    let mut sent = 0;
    bench.clock.next_turn();
    loop {
        match connection.step() {
            Step::Read | Step::Poll if input.is_empty() => {
                connection.rest(&mut bench.pages);
                return sent;
            }
            Step::Read | Step::Poll => {
                let room = connection.room(&mut bench.pages).expect("there are pages enough");
                let count = room.len().min(input.len());
                room[..count].copy_from_slice(&input[..count]);
                input = &input[count..];
                bench.report(|cx| connection.report(Event::Read(count), cx));
            }
            Step::Write(first, second) => {
                let count = (first.len() + second.len()) as u64;
                sent += count;
                bench.report(|cx| connection.report(Event::Written(count), cx));
            }
            Step::SendFile { lead, count, .. } => {
                let count = lead.len() as u64 + count;
                sent += count;
                bench.report(|cx| connection.report(Event::Written(count), cx));
            }
            Step::Wait(_) => {
                bench.sites.work(&bench.clock, &mut || true);
                bench.wait(2);
                bench.report(|cx| connection.report(Event::Retry, cx));
            }
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn a_request_that_the_cache_answers_allocates_nothing() {
    for (name, path, fields, count) in [
        ("a small file", "/small", &[][..], 1),
        ("a file in memory", "/memory", &[], 1),
        ("a large file", "/file", &[], 1),
        ("an index", "/dir/", &[], 1),
        ("not modified", "/small", &[("if-none-match", "*")], 1),
        ("a range", "/file", &[("range", "bytes=10-70000")], 1),
        ("100 at once", "/small", &[], 100),
    ] {
        let mut bench = bench(&["requests_per_connection=1000000000"]);
        let mut connection = Connection::new(bench.clock.tick);
        let wide = [hello(&[(4, 0x10_0000)]), number(WINDOW_UPDATE, 0, 0x7000_0000)].concat();
        drive(&mut bench, &mut connection, &wide);
        let rounds = 1000 / count;
        let mut next = 1;
        let mut inputs = Vec::new();
        for _ in 0..rounds + 10 {
            let mut input = number(WINDOW_UPDATE, 0, 1);
            for _ in 0..count {
                input.extend(request(next, "GET", path, fields));
                next += 2;
            }
            inputs.push(input);
        }
        let (warm, measured) = inputs.split_at(10);
        for input in warm {
            drive(&mut bench, &mut connection, input);
        }
        let info = measure(|| {
            for input in measured {
                assert!(drive(&mut bench, &mut connection, input) > 10);
            }
        });
        let allowed = match name {
            // Its number and range are formatted.
            "a range" => 4 * rounds,
            // An idle connection gives back the memory of many streams.
            "100 at once" => 8 * rounds,
            _ => 0,
        };
        assert!(info.count_total <= allowed, "{name}: {} allocations", info.count_total);
    }
}

#[test]
fn a_connection_with_100_streams_takes_6_kilobytes() {
    let mut bench = bench(&[]);
    drive_once(&mut bench);
    let mut bytes = 0;
    let mut taken = 0;
    let info = measure(|| {
        let mut connection = Box::new(Connection::new(bench.clock.tick));
        drive(&mut bench, &mut connection, &hello(&[(4, 0)]));
        for number in 0..100 {
            let mut input = [0; 64];
            let request = get(2 * number + 1, "/small");
            input[..request.len()].copy_from_slice(&request);
            drive(&mut bench, &mut connection, &request);
        }
        taken = bench.pages.taken();
        bytes = size_of_val(&*connection);
        std::mem::forget(connection);
    });
    assert_eq!(taken, 0, "no page is held");
    assert!(bytes <= 512);
    // The box, 100 streams of 56 bytes, and what is known of the table of the client.
    assert!(info.bytes_current <= 6_300, "{}", info.bytes_current);
}

/// A client that reads nothing makes the server keep what it has asked for.
#[test]
fn whatever_is_asked_for_the_memory_of_a_connection_has_a_bound() {
    let many: Vec<String> = (0..256).map(|n| format!("{}-{}", 2 * n, 2 * n)).collect();
    let many = format!("bytes={}", many.join(","));
    let long = "x".repeat(8000);
    let cases = [
        ("small files", "GET", "/small", ("x", "y"), 6_500),
        ("large files", "GET", "/file", ("x", "y"), 6_500),
        ("pages", "GET", "/missing", ("x", "y"), 6_500),
        ("redirects", "GET", "/dir", ("x", "y"), 6_500),
        ("many ranges", "GET", "/file", ("range", &many), 140_000),
        ("bodies that do not come", "POST", "/tiny", ("x", "y"), 140_000),
        ("large requests", "POST", "/tiny", ("if-none-match", &long), 140_000),
        ("archives", "GET", "/list/?archive=tar", ("x", "y"), 140_000),
    ];
    for (name, method, path, field, most) in cases {
        let mut bench = bench(&["aborted_streams=1000"]);
        drive_once(&mut bench);
        let inputs: Vec<Vec<u8>> = (0..100)
            .map(|n| match method {
                "POST" => post(2 * n + 1, path, &[field]),
                _ => request(2 * n + 1, method, path, &[field]),
            })
            .collect();
        drive_all(&mut bench, &inputs[..1]); // the cache is filled
        let (mut held, mut fixed) = (0, 0);
        let info = measure(|| {
            let connection = drive_all(&mut bench, &inputs);
            (held, fixed) = (connection.held_bytes(), size_of_val(&*connection));
            std::mem::forget(connection);
        });
        let bytes = usize::try_from(info.bytes_current).unwrap();
        assert!(bytes <= most, "{name}: {bytes}");
        let counted = held + fixed;
        assert!(bytes <= counted + counted / 8, "{name}: {bytes}, but {counted} are counted");
    }
}

/// A connection with these requests, whose windows are shut.
fn drive_all(bench: &mut Bench, inputs: &[Vec<u8>]) -> Box<Connection> {
    let mut connection = Box::new(Connection::new(bench.clock.tick));
    drive(bench, &mut connection, &hello(&[(4, 0)]));
    for input in inputs {
        drive(bench, &mut connection, input);
    }
    connection
}

fn drive_once(bench: &mut Bench) {
    let mut connection = Connection::new(bench.clock.tick);
    drive(bench, &mut connection, &[hello(&[]), get(1, "/small")].concat());
    connection.end(&mut bench.pages, None);
}
