//! The access log of several workers: one file, whole lines, no line lost.

use std::fs;

use rustix::process::Signal;

use crate::load::{Load, Mix};
use crate::process::{eventually, signal};
use crate::{Place, RELOADED, children, reload};

#[test]
fn a_hundred_thousand_requests_give_as_many_lines_also_across_reloads() {
    let place = Place::new("workers = 2\naccess_log = { path = \"log\", format = \"json\" }");
    let mut server = place.start();
    let load = Load::start(&server, Mix { kept: 6, single: 0, open: 0 });
    let answered = || load.answered();
    for part in 1..=4 {
        eventually_in_parts(&answered, part * 25_000);
        if part < 4 {
            reload(&mut server, RELOADED);
        }
    }
    let requests = load.finish_counted();
    eventually("earlier generations have ended", || children(server.pid()).len() == 2);
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success(), "{}", server.log());
    let text = fs::read_to_string(place.path("log")).unwrap();
    assert!(requests >= 100_000);
    assert_eq!(text.lines().count() as u64, requests, "{}", server.log());
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        assert_eq!((&line["status"], &line["bytes"]), (&200.into(), &5.into()));
    }
}

/// Waits as long as there is progress.
fn eventually_in_parts(answered: &dyn Fn() -> u64, count: u64) {
    while answered() < count {
        let before = answered();
        eventually("requests are answered", || answered() > before);
    }
}

#[test]
fn sigusr1_to_the_supervisor_reopens_the_log_of_every_worker_in_every_generation() {
    let place = Place::new("workers = 2\naccess_log = { path = \"log\" }");
    let mut server = place.start();
    let load = Load::start(&server, Mix { kept: 2, single: 2, open: 0 });
    for number in 0..10 {
        let rotated = place.path(&format!("log.{number}"));
        fs::rename(place.path("log"), &rotated).unwrap();
        signal(&server, Signal::USR1);
        eventually("the log is there again", || place.path("log").exists());
        let before = load.answered();
        eventually("requests are answered", || load.answered() > before + 20);
        if number == 5 {
            reload(&mut server, RELOADED);
        }
    }
    let requests = load.finish_counted();
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success(), "{}", server.log());
    let names = (0..10).map(|number| format!("log.{number}")).chain(["log".to_owned()]);
    let texts: Vec<String> =
        names.map(|name| fs::read_to_string(place.path(&name)).unwrap()).collect();
    let lines: usize = texts.iter().map(|text| text.lines().count()).sum();
    assert_eq!(lines as u64, requests, "{}", server.log());
    assert!(!texts.last().unwrap().is_empty());
}

#[test]
fn workers_write_to_the_standard_output_of_their_supervisor() {
    let place = Place::new("workers = 2\naccess_log = { path = \"stdout\" }");
    let (log, socket) = (place.path("out"), place.path("socket"));
    let script = format!("exec \"$@\" >{}", log.display());
    let setup = crate::Setup::in_shell(
        &place.path("t.toml"),
        &script.replace("\"$@\"", "\"$1\" --config \"$2\" \"$3\" \"$4\""),
    );
    let server = setup.unix(&socket).start_silently(&socket).unwrap();
    crate::assert_serves(crate::Client::connect(&server));
    signal(&server, Signal::TERM);
    eventually("the line is there", || {
        fs::read_to_string(&log).unwrap().contains("\"GET /a.txt HTTP/1.1\" 200 5")
    });
}
