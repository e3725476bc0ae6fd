//! The access log: one line for each request that got a status, whatever clients send and whatever
//! happens to the log.

#![allow(clippy::panic, clippy::unwrap_used)] // in a test, that is the assertion

#[path = "wire/answer.rs"]
mod answer;
#[path = "common/client.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod client;
mod common;
#[path = "common/process.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod process;

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit};
use serde_json::Value;
use tempfile::TempDir;

use client::{Client, request};
use common::{Server, Setup, run_to_end};
use process::{children, eventually, kill, signal};

/// A folder with a root, and room for a log.
struct Place(TempDir);

const LARGE: usize = 8 << 20;

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("www")).unwrap();
        fs::write(place.path("www/a.txt"), "alpha").unwrap();
        File::create(place.path("www/large")).unwrap().set_len(LARGE as u64).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.path("www")
    }

    /// A server with its access log in the file `log`.
    fn start(&self, args: &[&str]) -> Server {
        let log = format!("--access-log={}", self.path("log").display());
        Setup::new(&self.root()).args([&log[..]]).args(args).start().unwrap()
    }

    fn make_fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        path
    }

    /// The lines of the log, as JSON.
    fn json(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

/// Ends the server, so that its log is complete.
fn stop(mut server: Server) -> String {
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success(), "{}", server.log());
    server.log()
}

/// Requests of each kind, with the status and the length of the body of each response.
const REQUESTS: &[(&str, u64, u64)] = &[
    ("GET /a.txt HTTP/1.1\r\nHost: example.org\r\nReferer: http://a/?\"\r\n", 200, 5),
    ("HEAD /a.txt HTTP/1.1\r\nHost: a\r\n", 200, 0),
    ("GET /a.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n", 304, 0),
    ("GET /a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=1-3\r\n", 206, 3),
    ("GET /large HTTP/1.1\r\nHost: a\r\n", 200, LARGE as u64),
    ("GET /large HTTP/1.0\r\nConnection: keep-alive\r\nRange: bytes=5-100004\r\n", 206, 100_000),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n", 204, 0),
    ("HEAD /missing HTTP/1.1\r\nHost: a\r\nUser-Agent: x \\\x22 \u{e4}\t\x22\r\n", 404, 0),
];

/// Sends each of these requests, and waits for its response.
fn play(server: &Server) {
    let mut client = Client::connect(server);
    for (head, status, _) in REQUESTS {
        client.send(format!("{head}\r\n"));
        let answer = client.next(head.starts_with("HEAD")).unwrap();
        assert_eq!(u64::from(answer.status), *status, "{head}");
    }
}

#[test]
fn a_line_of_json_has_all_fields() {
    let place = Place::new();
    let server = place.start(&["--access-log-format=json"]);
    play(&server);
    stop(server);
    let lines = place.json();
    assert_eq!(lines.len(), REQUESTS.len());
    for (line, (_, status, bytes)) in lines.iter().zip(REQUESTS) {
        let names: Vec<&String> = line.as_object().unwrap().keys().collect();
        let mut expected = [
            "time",
            "client",
            "method",
            "host",
            "target",
            "protocol",
            "status",
            "bytes",
            "duration_us",
            "complete",
            "encoding",
            "referer",
            "user_agent",
            "tls",
        ];
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert_eq!((&line["status"], &line["bytes"]), (&(*status).into(), &(*bytes).into()));
        assert_eq!((&line["client"], &line["complete"]), (&"127.0.0.1".into(), &true.into()));
        assert!(line["duration_us"].as_u64().unwrap() < 60_000_000);
    }
    let first = &lines[0];
    assert_eq!((&first["method"], &first["target"]), (&"GET".into(), &"/a.txt".into()));
    assert_eq!((&first["host"], &first["protocol"]), (&"example.org".into(), &"HTTP/1.1".into()));
    assert_eq!((&first["referer"], &first["user_agent"]), (&"http://a/?\"".into(), &Value::Null));
    assert_eq!(lines[7]["user_agent"], "x \\\" \u{e4}\t\"");
    assert_eq!(lines[5]["protocol"], "HTTP/1.0");
    let time = first["time"].as_str().unwrap();
    assert!(time.len() == "2026-01-31T12:34:56.789Z".len() && time.ends_with('Z'), "{time}");
}

/// Reads lines of the two text formats with a regular expression that others use for them.
const PARSER: &str = r#"
import re, sys
line = re.compile(r'^(?:\S+:\d+ )?(\S+) (\S+) (\S+) '
    r'\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\] '
    r'"((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?$')
for text in open(sys.argv[1], encoding='ascii', newline='\n'):
    found = line.match(text.rstrip('\n'))
    print(*(found.group(5, 6, 7, 8, 9) if found else ['malformed', repr(text)]), sep='\t')
"#;

#[test]
fn the_text_formats_are_those_of_apache() {
    for (format, has_agent) in [("common", false), ("combined", true), ("vhost_combined", true)] {
        let place = Place::new();
        let server = place.start(&["--access-log-format", format]);
        play(&server);
        stop(server);
        let mut python = Command::new("python3");
        let Ok(output) = python.args(["-c", PARSER]).arg(place.path("log")).output() else {
            println!("skipped: python3 is not installed");
            return;
        };
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!(lines.len(), REQUESTS.len(), "{text}");
        for (line, (head, status, bytes)) in lines.iter().zip(REQUESTS) {
            let bytes = if *bytes == 0 { "-".to_owned() } else { bytes.to_string() };
            assert_eq!(line[..3], [head.lines().next().unwrap(), &status.to_string(), &bytes]);
        }
        let (first, last) = (&lines[0], &lines[7]);
        if has_agent {
            assert_eq!(first[3..], ["http://a/?\\\"", "-"]);
            assert_eq!(last[3..], ["-", r#"x \\\" \xc3\xa4\t\""#]);
        } else {
            assert_eq!(first[3..], ["None", "None"]);
        }
        if format == "vhost_combined" {
            let log = fs::read_to_string(place.path("log")).unwrap();
            let hosts: Vec<&str> = log.lines().filter_map(|line| line.split(' ').next()).collect();
            assert_eq!(hosts[..2], ["example.org:80", "a:80"]);
            assert_eq!(hosts[5], "-:80", "HTTP/1.0 without Host");
        }
    }
}

#[test]
fn refusals_are_logged_and_no_client_forges_a_line() {
    let place = Place::new();
    let server = place.start(&["--access-log-format=json", "--limit=head_timeout_ms=50"]);
    let forged = "\\n{\"status\":200}\u{1b}[2J";
    for (input, status) in [
        ("GET /\r\n{\"status\":200}\r\n\r\n".to_owned(), 400),
        (format!("GET /{forged}\" HTTP/1.1\r\nHost: a\r\n\r\n"), 400),
        (format!("GET /a HTTP/1.1\r\nHost: a\r\nUser-Agent: {forged}\r\n\r\n"), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000)), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "a".repeat(17_000)), 431),
        ("GET / HTTP/1.1\r\nHost: a".to_owned(), 408),
        ("GET / HTTP/4.0\r\nHost: a\r\n\r\n".to_owned(), 505),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405),
    ] {
        let mut client = Client::connect(&server);
        client.send(&input);
        assert_eq!(client.next(false).unwrap().status, status, "{input}");
        client.half_close();
        eventually("it is logged", || place.json().len() == 1);
        let line = place.json().remove(0);
        assert_eq!((&line["status"], &line["complete"]), (&status.into(), &true.into()), "{line}");
        assert!(line["bytes"].as_u64().unwrap() > 0);
        // Each request is compared alone.
        File::create(place.path("log")).unwrap();
    }
    stop(server);
}

#[test]
fn limits_of_clients_are_logged_as_well() {
    let place = Place::new();
    let server = place.start(&[
        "--access-log-format=json",
        "--when-full=refuse",
        "--limit=requests_per_s=1",
        "--limit=requests_burst=1",
        "--limit=connections_per_client=1",
    ]);
    let mut first = Client::connect(&server);
    let statuses = [first.get("/a.txt").status, first.get("/a.txt").status];
    assert_eq!(statuses, [200, 429]);
    let mut second = Client::connect(&server);
    second.send(request("/a.txt"));
    assert_eq!(second.next(false).unwrap().status, 503);
    drop((first, second));
    stop(server);
    let statuses: Vec<_> =
        place.json().iter().map(|line| line["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 429, 503]);
    assert_eq!(place.json()[2]["method"], Value::Null);
}

#[test]
fn a_download_that_is_broken_off_is_incomplete() {
    let place = Place::new();
    let server = place.start(&["--access-log-format=json"]);
    let mut client = Client::connect_with_small_buffer(&server);
    client.send(request("/large"));
    let download = client.head();
    drop(client);
    drop(download);
    eventually("it is logged", || place.json().len() == 1);
    let line = place.json().remove(0);
    assert_eq!((&line["status"], &line["complete"]), (&200.into(), &false.into()));
    assert!((1..LARGE as u64).contains(&line["bytes"].as_u64().unwrap()), "{line}");
    stop(server);
}

#[test]
fn sigusr1_continues_in_a_new_file_and_loses_no_line() {
    let place = Place::new();
    let server = place.start(&["--access-log-format=json"]);
    let mut client = Client::connect(&server);
    for number in 0..10 {
        client.get("/a.txt?before");
        let rotated = place.path(&format!("log.{number}"));
        fs::rename(place.path("log"), &rotated).unwrap();
        signal(&server, Signal::USR1);
        eventually("there is a new file", || place.path("log").exists());
        client.get("/a.txt?after");
    }
    stop(server);
    let mut lines = 0;
    for name in (0..10).map(|number| format!("log.{number}")).chain(["log".to_owned()]) {
        let text = fs::read_to_string(place.path(&name)).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{name}: {text}");
        lines += text.lines().count();
    }
    assert_eq!(lines, 20);
}

#[test]
fn a_fifo_needs_no_reader_and_a_sleeping_one_holds_nothing_up() {
    let place = Place::new();
    let fifo = place.make_fifo("log");
    let mut server = place.start(&["--access-log-format=json", "--limit=access_log_bytes=65536"]);
    let mut client = Client::connect(&server);
    client.get("/a.txt");
    let mut reader =
        OpenOptions::new().read(true).custom_flags(rustix_nonblock()).open(&fifo).unwrap();
    // A pipe holds 64 KiB, and so does the buffer.
    let most = 2000;
    for _ in 0..most {
        assert_eq!(client.get("/a.txt").status, 200);
    }
    eventually("dropped lines are reported", || {
        client.get("/a.txt");
        server.log().contains("of the access log")
    });
    let mut text = Vec::new();
    signal(&server, Signal::TERM);
    eventually("the server ends", || {
        // At its end, it waits a moment for its reader.
        _ = reader.read_to_end(&mut text);
        server.has_ended().is_some()
    });
    _ = reader.read_to_end(&mut text);
    let text = String::from_utf8(text).unwrap();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).expect(line);
        assert_eq!(line["status"], 200);
    }
    assert!(text.lines().count() < most);
}

fn rustix_nonblock() -> i32 {
    i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap()
}

#[test]
fn a_full_disk_is_reported_and_holds_nothing_up() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: this system has no /dev/full");
        return;
    }
    let place = Place::new();
    let args = ["--access-log=/dev/full", "--limit=access_log_bytes=4096"];
    let mut server = Server::start(&place.root(), &args);
    let mut client = Client::connect(&server);
    eventually("it is reported", || {
        assert_eq!(client.get("/a.txt").status, 200);
        let log = server.log();
        log.contains("cannot write the access log /dev/full: No space left on device")
            && log.contains("line of the access log /dev/full")
    });
    assert_eq!(server.log().matches("cannot write the access log").count(), 1);
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success(), "{}", server.log());
}

/// Lets a process write no file beyond this size, like a disk that is full then.
fn limit_files(pid: u32, bytes: Option<u64>) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let limit = Rlimit { current: bytes, ..getrlimit(Resource::Fsize) };
    prlimit(Some(pid), Resource::Fsize, limit).unwrap();
}

/// The number of lines that the server has reported as dropped.
fn dropped(log: &str) -> usize {
    let reports = log.split("dropped ").skip(1);
    reports.map(|text| text.split(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_line_leaves_whole_lines() {
    let place = Place::new();
    let server = place.start(&["--access-log-format=json"]);
    limit_files(server.pid(), Some(3000));
    let mut client = Client::connect(&server);
    for _ in 0..100 {
        assert_eq!(client.get("/a.txt").status, 200);
    }
    let log = stop(server);
    let lines = place.json();
    assert!(fs::read(place.path("log")).unwrap().ends_with(b"\n"));
    assert_eq!(lines.len() + dropped(&log), 100, "{log}");
    assert!(lines.len() > 5 && log.contains("cannot write the access log"), "{log}");
}

#[test]
fn lines_of_a_worker_never_follow_a_torn_line_of_another() {
    let place = Place::new();
    let mut server = place.start(&["--access-log-format=json", "--workers=2"]);
    let workers = children(server.pid());
    let [full, other] = workers[..] else { panic!("{workers:?}") };
    // Only one worker finds the disk full: the other one writes behind its lines.
    limit_files(full, Some(3000));
    kill(other, Signal::STOP);
    let mut clients: Vec<Client> = (0..64).map(|_| Client::connect(&server)).collect();
    for client in &mut clients {
        client.send(request("/a.txt").repeat(10));
    }
    eventually("it is full", || server.log().contains("cannot write the access log"));
    let size = |place: &Place| fs::metadata(place.path("log")).unwrap().len();
    assert!((2000..=3000).contains(&size(&place)), "{}", size(&place));
    kill(other, Signal::CONT);
    for client in &mut clients {
        (0..10).for_each(|_| assert_eq!(client.answer().status, 200));
    }
    eventually("the other one writes", || size(&place) > 3000);
    limit_files(full, None);
    stop(server);
    assert_eq!(place.json().len(), 640);
}

/// Holds the lock on a file until its standard input is closed.
const HOLDER: &str = "
import fcntl, sys
with open(sys.argv[1], 'a') as log:
    fcntl.lockf(log, fcntl.LOCK_EX)
    print('locked', flush=True)
    sys.stdin.read()
";

#[test]
fn a_log_that_another_process_writes_to_just_now_is_written_later() {
    let place = Place::new();
    let server = place.start(&["--access-log-format=json"]);
    let mut python = Command::new("python3");
    python.args(["-c", HOLDER]).arg(place.path("log")).stdin(Stdio::piped());
    let Ok(mut holder) = python.stdout(Stdio::piped()).spawn() else {
        println!("skipped: python3 is not installed");
        return;
    };
    let mut said = [0; 6];
    holder.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    let mut client = Client::connect(&server);
    // More than half of the buffer: it is tried at once, again and again.
    for _ in 0..700 {
        assert_eq!(client.get("/a.txt").status, 200);
    }
    assert_eq!(fs::read(place.path("log")).unwrap(), b"");
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    eventually("it is written", || fs::metadata(place.path("log")).unwrap().len() > 0);
    stop(server);
    assert_eq!(place.json().len(), 700);
}

#[test]
fn standard_output_may_be_closed_or_lose_its_reader() {
    for (output, complaint) in [(">&-", ""), ("| true", "cannot write the access log")] {
        let place = Place::new();
        let (socket, pid) = (place.path("socket"), place.path("pid"));
        // In a pipeline, the server is a child of the shell.
        let own = format!("echo $$ >{}; exec \"$@\"", pid.display());
        let script = format!("sh -c '{own}' sh \"$@\" {output}");
        let setup = Setup::in_shell(&place.root(), &script).unix(&socket);
        let mut server = setup.args(["--access-log=stdout"]).start_silently(&socket).unwrap();
        let mut client = Client::connect(&server);
        eventually("it serves, and reports what is lost", || {
            assert_eq!(client.get("/a.txt").status, 200);
            server.log().contains(complaint)
        });
        let pid = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        kill(pid, Signal::TERM);
        assert!(server.wait_for_end().success(), "{}", server.log());
    }
}

#[test]
fn standard_output_gets_the_lines_behind_the_start_line() {
    let place = Place::new();
    let (out, socket) = (place.make_fifo("out"), place.path("socket"));
    let mut reader =
        OpenOptions::new().read(true).custom_flags(rustix_nonblock()).open(&out).unwrap();
    let script = format!("exec \"$@\" >{}", out.display());
    let setup = Setup::in_shell(&place.root(), &script).unix(&socket);
    let args = ["--access-log=stdout", "--access-log-format=json"];
    let server = setup.args(args).start_silently(&socket).unwrap();
    assert_eq!(Client::connect(&server).get("/a.txt").status, 200);
    stop(server);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let [start, line] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(start.contains("serves"), "{text}");
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["client"], &line["bytes"]), (&Value::Null, &5.into()));
}

#[test]
fn a_log_that_cannot_be_opened_is_an_error_of_start_and_check() {
    let place = Place::new();
    let log = place.path("no/folder/log");
    let setup = Setup::new(&place.root()).args([format!("--access-log={}", log.display())]);
    let (status, _, errors) = run_to_end(setup);
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("cannot open the access log") && errors.contains("no/folder"));
    let check = |path: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenkay"));
        command.arg("check").arg(place.root()).arg("--access-log").arg(path);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, errors) = check(&log);
    assert!(status == Some(1) && errors.contains("cannot open the access log"), "{errors}");
    assert_eq!(check(&place.path("new")), (Some(0), String::new()));
    assert!(!place.path("new").exists(), "a check creates nothing");
}

/// The lines on standard error as JSON.
fn diagnostics(server: &mut Server) -> Vec<Value> {
    server.log().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn the_log_on_standard_error_has_levels_and_fields() {
    let place = Place::new();
    let args = ["--log-format=json", "--log-level=debug"];
    let mut server = Server::start(&place.root(), &args);
    let mut client = Client::connect(&server);
    assert_eq!(client.get("/a.txt").status, 200);
    drop(client);
    signal(&server, Signal::USR2);
    eventually("all is logged", || {
        let log = server.log();
        log.contains("SIGUSR2: no supervisor") && log.contains("closed: PeerClosed")
    });
    let lines = diagnostics(&mut server);
    let find = |text: &str| {
        let has = |line: &&Value| line["event"].as_str().unwrap().contains(text);
        lines.iter().find(has).unwrap_or_else(|| panic!("{text}: {lines:?}"))
    };
    for (text, level, client) in [
        ("SIGUSR2: no supervisor", "info", Value::Null),
        ("connection from 127.0.0.1", "debug", "127.0.0.1".into()),
        ("\"GET /a.txt HTTP/1.1\": 200 OK, 5 bytes in ", "debug", "127.0.0.1".into()),
        ("connection of 127.0.0.1 closed: PeerClosed", "debug", "127.0.0.1".into()),
    ] {
        let line = find(text);
        assert_eq!((&line["level"], &line["client"]), (&level.into(), &client), "{line}");
        assert!(line["time"].as_str().unwrap().ends_with('Z'));
    }
    let mut quiet = Server::start(&place.root(), &["--log-level=error"]);
    signal(&quiet, Signal::USR2);
    signal(&quiet, Signal::TERM);
    assert!(quiet.wait_for_end().success());
    assert_eq!(quiet.log(), "");
}

#[test]
fn a_line_of_json_names_client_path_and_reason() {
    let place = Place::new();
    let mut server = Server::start(&place.root(), &["--log-format=json"]);
    let mut client = Client::connect_with_small_buffer(&server);
    client.send(request("/large"));
    let download = client.head();
    File::create(place.path("www/large")).unwrap();
    let download = client.finish(download, |_| {});
    assert!(download.cut_off.is_some());
    eventually("it is logged", || server.log().contains("response cut off"));
    let lines = diagnostics(&mut server);
    let line = lines.last().unwrap();
    assert_eq!((&line["level"], &line["client"]), (&"warn".into(), &"127.0.0.1".into()));
    assert_eq!(line["path"], "/large");
    assert_eq!(line["reason"], "it changed or became unreadable");
}
