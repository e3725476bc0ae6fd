//! Each response is reported once, with the bytes of its body, when its last byte was sent or its
//! connection ended.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tenkay::config::{AccessFormat, LogTarget};
use tenkay::h1::Connection;
use tenkay::journal::{AccessLog, LogFile, Observer, Sink};
use tenkay::machine::{Event, Step};

use crate::sans_io::bench::{Afterwards, Bench, Cuts, play};
use crate::sans_io::responses;
use crate::scripts::{Settings, all};

/// Logs the requests of this bench to a new file.
fn observe(bench: &mut Bench, path: &Path) {
    _ = fs::remove_file(path);
    let file = LogFile::open(&LogTarget::Path(path.to_owned())).unwrap();
    let log = AccessLog::new(AccessFormat::Json, Sink::new(file, "log".to_owned(), 1 << 20));
    let mut observer = Observer::new(Box::new(|| 1_000_500));
    observer.log_to(log);
    bench.observer = Some(observer);
}

/// The lines since [`observe`].
fn lines(bench: &mut Bench, path: &Path) -> Vec<Value> {
    let now = bench.clock.tick;
    bench.observer.as_mut().unwrap().log().unwrap().sink().finish(now);
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_response_is_reported_once_with_the_length_of_its_body() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut benches: Vec<(Settings, Bench)> =
        Settings::ALL.into_iter().map(|settings| (settings, settings.bench())).collect();
    for script in all() {
        for (reads, writes) in [
            (Cuts::Nowhere, Cuts::Nowhere),
            (Cuts::Each(64), Cuts::Each(4096)),
            (Cuts::Nowhere, Cuts::Each(61)),
        ] {
            let place = benches.iter().position(|(settings, _)| *settings == script.settings);
            let bench = &mut benches[place.unwrap()].1;
            (bench.draining, bench.requests_left) = (script.draining, script.requests);
            observe(bench, &path);
            let whole = play(bench, &script.input, script.afterwards, reads, writes);
            let parsed =
                responses::parse(&whole.output, |index| script.heads.contains(&index)).unwrap();
            let sent: Vec<_> = parsed
                .whole
                .iter()
                .map(|it| (u64::from(it.status), it.body.len() as u64, true))
                .collect();
            let lines = lines(bench, &path);
            let logged: Vec<_> = lines.iter().map(end).collect();
            assert_eq!(logged, sent, "'{}' {reads:?} {writes:?}", script.name);
            assert!(lines.iter().all(|line| line["duration_us"] == 500), "{lines:?}");
        }
    }
}

/// Status, bytes and completeness of a line.
fn end(line: &Value) -> (u64, u64, bool) {
    let number = |name: &str| line[name].as_u64().unwrap();
    (number("status"), number("bytes"), line["complete"].as_bool().unwrap())
}

#[test]
fn a_response_that_is_cut_off_is_reported_with_the_bytes_that_were_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut bench = Settings::Defaults.bench();
    let input = "GET /tiny HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()
        + "GET /file HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0,5-9\r\n\r\n"
        + "GET /file?\"\\ HTTP/1.1\r\nHost: a\r\nReferer: \"\r\n\r\n";
    let whole = play(&mut bench, input.as_bytes(), Afterwards::Waits, Cuts::Nowhere, Cuts::Nowhere);
    let all = responses::parse(&whole.output, |_| false).unwrap().whole;
    let mut cuts = 0;
    for most in (0..whole.output.len()).step_by(37) {
        observe(&mut bench, &path);
        let mut connection = Connection::new(bench.clock.tick);
        bench.give(&mut connection, input.as_bytes());
        let mut output = Vec::new();
        while output.len() < most {
            match connection.step() {
                Step::Wait(_) => bench.event(&mut connection, Event::Retry),
                _ => output.extend(bench.take(&mut connection, most - output.len())),
            }
        }
        bench.event(&mut connection, Event::PeerLost);
        bench.end(connection);
        let lines = lines(&mut bench, &path);
        let parsed = responses::parse(&output, |_| false).unwrap();
        for (index, line) in lines.iter().enumerate() {
            let expected = match (parsed.whole.get(index), &parsed.cut) {
                (Some(it), _) => (it.body.len(), true),
                (None, Some(cut)) if index == parsed.whole.len() => {
                    (cut.begun.as_ref().map_or(0, |begun| begun.body.len()), false)
                }
                (None, _) => (0, false),
            };
            cuts += u32::from(!expected.1);
            let status = u64::from(all[index].status);
            assert_eq!(end(line), (status, expected.0 as u64, expected.1), "{most}: {line}");
        }
        assert!(lines.len() >= parsed.whole.len() + usize::from(parsed.cut.is_some()));
    }
    assert!(cuts > 0);
}

#[test]
fn a_refusal_is_reported_with_what_came_of_its_head() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut bench = Settings::Defaults.bench();
    let agent = "User-Agent: x\"}\\\r\n";
    for (input, afterwards, expected) in [
        (format!("GET /a\x1bb HTTP/1.1\r\n{agent}\r\n"), Afterwards::Waits, (400, "/a\u{1b}b")),
        (format!("GET / HTTP/3.0\r\n{agent}\r\n"), Afterwards::Waits, (505, "/")),
        ("GET /sl".to_owned(), Afterwards::Delays, (408, "GET /sl")),
        ("\x16\x03\x01".to_owned(), Afterwards::Waits, (400, "\x16\x03\x01")),
    ] {
        observe(&mut bench, &path);
        play(&mut bench, input.as_bytes(), afterwards, Cuts::Nowhere, Cuts::Nowhere);
        let lines = lines(&mut bench, &path);
        let [line] = &lines[..] else { panic!("{input:?}: {lines:?}") };
        assert_eq!(
            (line["status"].as_u64(), &line["target"]),
            (Some(expected.0), &expected.1.into())
        );
        if input.contains(agent) {
            assert_eq!(line["user_agent"], "x\"}\\");
        }
    }
}
