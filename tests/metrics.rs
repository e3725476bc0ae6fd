//! The admin listener: its responses, its bound on connections, and whether its numbers are right.

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

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use client::{Client, End, request};
use common::{Endpoint, Server, Setup};
use process::{children, eventually, kill, signal};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tenkay");

/// A folder to serve, and the socket of an admin listener.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("www")).unwrap();
        fs::write(folder.path().join("www/a.txt"), "alpha").unwrap();
        fs::File::create(folder.path().join("www/large")).unwrap().set_len(32 << 20).unwrap();
        Place { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn admin_flag(&self) -> String {
        format!("--admin-listen=unix:{}", self.path("admin").display())
    }

    /// A server in one process.
    fn start(&self, args: &[&str]) -> Server {
        let flag = self.admin_flag();
        let args: Vec<&str> = args.iter().copied().chain([&*flag]).collect();
        Server::start(&self.path("www"), &args)
    }

    /// A server with workers.
    fn start_workers(&self, count: usize) -> Server {
        self.start_configured(&format!("workers = {count}\n"))
    }

    /// A server with this in its configuration file.
    fn start_configured(&self, settings: &str) -> Server {
        let text = format!("root = \"www\"\n{settings}[admin]\nlisten = \"unix:admin\"\n");
        fs::write(self.path("t.toml"), text).unwrap();
        Setup::configured(&self.path("t.toml")).start().unwrap()
    }

    fn admin(&self) -> Client {
        Client::try_connect(&Endpoint::Unix(self.path("admin"))).unwrap()
    }

    fn metrics(&self) -> String {
        let answer = self.admin().get("/metrics");
        assert_eq!(answer.status, 200);
        String::from_utf8(answer.body).unwrap()
    }

    /// The value of a series.
    fn value(&self, series: &str) -> f64 {
        value(&self.metrics(), series)
    }
}

fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {metrics}")).parse().unwrap()
}

const GETS: &str = "tenkay_requests_total{code=\"200\",method=\"GET\"}";
const DURATIONS: &str = "tenkay_request_duration_seconds_count";

/// Every metric with its type.
const METRICS: &[(&str, &str)] = &[
    ("tenkay_build_info", "gauge"),
    ("tenkay_requests_total", "counter"),
    ("tenkay_response_bytes_total", "counter"),
    ("tenkay_request_duration_seconds", "histogram"),
    ("tenkay_connections", "gauge"),
    ("tenkay_connections_accepted_total", "counter"),
    ("tenkay_connections_closed_total", "counter"),
    ("tenkay_turn_duration_seconds", "histogram"),
    ("tenkay_cache_requests_total", "counter"),
    ("tenkay_cache_bytes", "gauge"),
    ("tenkay_cache_entries", "gauge"),
    ("tenkay_open_files", "gauge"),
    ("tenkay_accept_pauses_total", "counter"),
    ("tenkay_limited_total", "counter"),
    ("tenkay_log_dropped_total", "counter"),
    ("tenkay_tls_handshakes_total", "counter"),
    ("process_cpu_seconds_total", "counter"),
    ("process_open_fds", "gauge"),
    ("process_max_fds", "gauge"),
    ("process_virtual_memory_bytes", "gauge"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_start_time_seconds", "gauge"),
    ("tenkay_config_last_reload_success", "gauge"),
    ("tenkay_config_last_reload_timestamp_seconds", "gauge"),
];

/// A metric of servers with TLS.
const CERTIFICATE: (&str, &str) = ("tenkay_tls_certificate_expiry_timestamp_seconds", "gauge");

/// The size of `/proc/self/fd` is the number of descriptors since Linux 6.2.
fn counts_descriptors() -> bool {
    fs::metadata("/proc/self/fd").is_ok_and(|folder| folder.len() > 0)
}

#[test]
fn every_metric_has_its_name_its_type_and_a_value() {
    let place = Place::new();
    let _server = place.start(&[]);
    let metrics = place.metrics();
    let types: Vec<&str> = metrics.lines().filter_map(|it| it.strip_prefix("# TYPE ")).collect();
    let expected = METRICS.iter().filter(|it| it.0 != "process_open_fds" || counts_descriptors());
    let expected: Vec<String> = expected.map(|(name, kind)| format!("{name} {kind}")).collect();
    assert_eq!(types, expected);
    for (name, _) in METRICS.iter().filter(|it| it.0 != "process_open_fds") {
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name}");
        let has_value = |line: &str| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            rest.starts_with([' ', '{']) || rest.starts_with("_bucket{")
        };
        assert!(metrics.lines().any(has_value), "{name}: {metrics}");
    }
}

/// Runs promtool with this input; `None`: it is not installed.
fn promtool(args: &[&str], input: &str) -> Option<(bool, String)> {
    let child = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: promtool is not installed (package prometheus)");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn prometheus_accepts_the_metrics_and_the_rules_of_the_documentation() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut client = Client::connect(&server);
    for path in ["/a.txt", "/none", "/large"] {
        client.get(path);
    }
    if let Some((is_good, said)) = promtool(&["check", "metrics"], &place.metrics()) {
        assert!(is_good && said.is_empty(), "{said}");
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = fs::read_to_string(page).unwrap();
    for (info, args) in [
        ("yaml alerts", &["check", "rules"][..]),
        ("yaml scrape", &["check", "config", "--syntax-only"]),
    ] {
        let (_, rest) = page.split_once(&format!("```{info}\n")).unwrap();
        let file = place.path("file.yml");
        fs::write(&file, rest.split_once("```").unwrap().0).unwrap();
        let args: Vec<&str> = args.iter().copied().chain(file.to_str()).collect();
        if let Some((is_good, said)) = promtool(&args, "") {
            assert!(is_good, "{said}");
        }
    }
    // The alerts and the table name only metrics that exist.
    let names = page.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    for name in names.filter(|name| name.starts_with("tenkay_")) {
        let base = name.trim_end_matches("_bucket").trim_end_matches("_count");
        let base = base.trim_end_matches("_sum");
        assert!(METRICS.iter().chain([&CERTIFICATE]).any(|(known, _)| *known == base), "{name}");
    }
    for (name, _) in METRICS.iter().chain([&CERTIFICATE]) {
        assert!(page.contains(&format!("`{name}")), "{name} is not in docs/metrics.md");
    }
    for reason in tenkay::metrics::CLOSE_REASONS {
        assert!(page.contains(&format!("`{reason}`")), "{reason} is not in docs/metrics.md");
    }
}

#[test]
fn a_thousand_requests_are_counted_exactly_and_those_to_the_admin_listener_are_not() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut client = Client::connect(&server);
    for _ in 0..1000 {
        assert_eq!(client.get("/a.txt").body, b"alpha");
        place.admin().get("/healthz");
    }
    client.send("HEAD /a.txt HTTP/1.1\r\nHost: test\r\n\r\n");
    client.next(true).unwrap();
    client.send("POST / HTTP/1.1\r\nHost: test\r\n\r\n");
    let refusal = client.answer().body.len();
    let metrics = place.metrics();
    for (series, expected) in [
        (GETS, 1000.0),
        ("tenkay_requests_total{code=\"200\",method=\"HEAD\"}", 1.0),
        ("tenkay_requests_total{code=\"405\",method=\"other\"}", 1.0),
        (DURATIONS, 1002.0),
        ("tenkay_request_duration_seconds_bucket{le=\"+Inf\"}", 1002.0),
        ("tenkay_response_bytes_total", 5000.0 + refusal as f64),
        ("tenkay_connections{state=\"idle\"}", 1.0),
        ("tenkay_connections{state=\"reading\"}", 0.0),
        ("tenkay_connections_accepted_total", 1.0),
        ("tenkay_connections_closed_total{reason=\"peer_closed\"}", 0.0),
        ("tenkay_cache_requests_total{result=\"miss\"}", 1.0),
        ("tenkay_config_last_reload_success", 1.0),
    ] {
        assert_eq!(value(&metrics, series), expected, "{series} in {metrics}");
    }
    let asked = ["hit", "revalidated"].map(|result| {
        value(&metrics, &format!("tenkay_cache_requests_total{{result=\"{result}\"}}"))
    });
    assert_eq!(asked[0] + asked[1], 1000.0);
    drop(client);
    let closed = "tenkay_connections_closed_total{reason=\"peer_closed\"}";
    eventually("the connection is closed", || place.value(closed) == 1.0);
}

#[test]
fn a_connection_is_counted_in_its_state() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut reading = Client::connect(&server);
    reading.send("GET /a.txt HTTP/1.1\r\n");
    let mut writing = Client::connect_with_small_buffer(&server);
    writing.send(request("/large"));
    let _download = writing.head();
    for state in ["reading", "writing"] {
        let series = format!("tenkay_connections{{state=\"{state}\"}}");
        eventually(state, || place.value(&series) == 1.0);
    }
}

#[test]
fn the_metrics_of_all_workers_are_added_up_and_outlive_them() {
    let place = Place::new();
    let mut server = place.start_workers(3);
    let mut sent = 0.0;
    let mut send = |server: &Server, count: usize| {
        for _ in 0..count {
            // Another connection each time, so that every worker gets some.
            assert_eq!(Client::connect(server).get("/a.txt").body, b"alpha");
            sent += 1.0;
        }
        eventually("all requests are counted", || place.value(GETS) == sent);
        assert_eq!(place.value(DURATIONS), sent);
    };
    send(&server, 1000);
    let before = children(server.pid());
    kill(before[0], Signal::KILL);
    eventually("another worker is there", || {
        let now = children(server.pid());
        now.len() == 3 && !now.contains(&before[0])
    });
    send(&server, 100);
    for (number, signal_number) in [Signal::HUP, Signal::USR2, Signal::HUP].into_iter().enumerate()
    {
        signal(&server, signal_number);
        let line = format!("reloaded: generation {} serves", number + 2);
        eventually(&line, || server.log().contains(&line));
        send(&server, 100);
    }
    let idle = "tenkay_connections{state=\"idle\"}";
    eventually("gauges are those of the workers that run", || {
        let json = place.admin().get("/status.json").body;
        children(server.pid()).len() == 3
            && String::from_utf8(json).unwrap().contains("\"workers\":3,")
            && place.value(idle) == 0.0
    });
    let reloaded = place.value("tenkay_config_last_reload_timestamp_seconds");
    fs::write(place.path("t.toml"), "nonsense = 1").unwrap();
    signal(&server, Signal::HUP);
    eventually("the reload failed", || place.value("tenkay_config_last_reload_success") == 0.0);
    assert_eq!(place.value("tenkay_config_last_reload_timestamp_seconds"), reloaded);
}

#[test]
fn visitors_and_the_admin_listener_do_not_keep_each_other_out() {
    let place = Place::new();
    let server = place.start(&["--limit=connections=2"]);
    let mut visitors = [Client::connect(&server), Client::connect(&server)];
    for visitor in &mut visitors {
        visitor.send(request("/large"));
        visitor.head();
    }
    let _waiting = Client::connect(&server);
    assert_eq!(place.admin().get("/readyz").status, 200);
    assert!(place.value("tenkay_limited_total{limit=\"connections\"}") >= 1.0);
    // Idle connections are evicted for new ones.
    let mut crowd: Vec<Client> = (0..40)
        .map(|_| {
            let mut admin = place.admin();
            assert_eq!(admin.get("/healthz").status, 200);
            admin
        })
        .collect();
    assert_eq!(crowd[0].end(), End::Finished);
    assert_eq!(crowd[39].get("/healthz").status, 200);
    let states = ["idle", "reading", "waiting", "writing", "closing"];
    let metrics = place.metrics();
    let open =
        states.map(|state| value(&metrics, &format!("tenkay_connections{{state=\"{state}\"}}")));
    assert_eq!(open.iter().sum::<f64>(), 2.0, "{metrics}");
}

#[test]
fn requests_without_an_end_keep_no_probe_out() {
    let place = Place::new();
    let _server = place.start(&[]);
    let begin = |number: u32| {
        let mut client = place.admin();
        if number.is_multiple_of(2) {
            client.send("GET /metrics HTTP/1.1\r\nHost: a\r\nX-Half");
        }
        client
    };
    let _crowd: Vec<Client> = (0..34).map(begin).collect();
    assert_eq!(place.admin().get("/healthz").status, 200);
}

#[test]
fn the_server_is_alive_but_not_ready_while_it_stops() {
    for workers in [0, 2] {
        let place = Place::new();
        let mut server = if workers == 0 { place.start(&[]) } else { place.start_workers(workers) };
        let mut slow = Client::connect(&server);
        slow.send(request("/large"));
        let download = slow.head();
        let health = |path: &str| place.admin().get(path).status;
        assert_eq!((health("/readyz"), health("/healthz")), (200, 200));
        signal(&server, Signal::TERM);
        eventually("it is not ready", || health("/readyz") == 503);
        assert_eq!(health("/healthz"), 200);
        let download = slow.finish(download, |_| {});
        assert_eq!(download.cut_off, None);
        drop(slow);
        assert!(server.wait_for_end().success(), "{}", server.log());
        assert!(!place.path("admin").exists());
    }
}

#[test]
fn a_server_that_leaves_is_not_ready_and_still_accepts() {
    for workers in [0, 2] {
        // The first delay is ended by a second signal, the second one ends by itself.
        for delay_ms in [600_000, 200] {
            let place = Place::new();
            let limit = format!("drain_delay_ms = {delay_ms}");
            let mut server = match workers {
                0 => place.start(&["--limit", &limit.replace(' ', "")]),
                _ => place.start_configured(&format!("workers = {workers}\n[limits]\n{limit}\n")),
            };
            signal(&server, Signal::TERM);
            if delay_ms > 1000 {
                eventually("it is not ready", || place.admin().get("/readyz").status == 503);
                let answer = Client::connect(&server).get("/");
                assert_eq!((answer.status, answer.says_close()), (200, true));
                signal(&server, Signal::TERM);
            }
            let status = server.wait_for_end();
            assert!(delay_ms > 1000 || status.success(), "{}", server.log());
        }
    }
}

#[test]
fn a_server_leaves_in_order_also_while_workers_come_and_go() {
    let place = Place::new();
    let limit = "workers = 2\n[limits]\ndrain_delay_ms = 600_000\n";
    let mut server = place.start_configured(limit);
    signal(&server, Signal::HUP); // what it starts is given up
    signal(&server, Signal::TERM);
    let is_ready = || place.admin().get("/readyz").status == 200;
    eventually("it is not ready", || !is_ready());
    eventually("two workers are left", || children(server.pid()).len() == 2);
    let before = children(server.pid());
    kill(before[0], Signal::KILL);
    eventually("another worker is there", || {
        let now = children(server.pid());
        now.len() == 2 && !now.contains(&before[0])
    });
    for _ in 0..20 {
        assert_eq!(Client::connect(&server).get("/a.txt").body, b"alpha");
        assert!(!is_ready());
    }
    signal(&server, Signal::TERM);
    server.wait_for_end();
}

/// Status, output and errors of the command.
fn healthcheck(args: &[&str], admin: Option<&str>) -> (Option<i32>, String, String) {
    let mut command = Command::new(PROGRAM);
    command.arg("healthcheck").args(args).env_remove("TENKAY_ADMIN_LISTEN");
    if let Some(admin) = admin {
        command.env("TENKAY_ADMIN_LISTEN", admin);
    }
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_healthcheck_command_finds_the_admin_listener_in_every_source() {
    let place = Place::new();
    let mut server = place.start_workers(1);
    let address = format!("unix:{}", place.path("admin").display());
    let flag = place.admin_flag();
    let config = place.path("t.toml");
    let config = config.to_str().unwrap();
    for (args, variable) in [
        (&[&*address][..], None),
        (&[&*flag], None),
        (&["--config", config], None),
        (&[], Some(&*address)),
        (&["--live", "--timeout=30", &address], None),
    ] {
        let (status, line, errors) = healthcheck(args, variable);
        assert_eq!(status, Some(0), "{args:?}: {errors}");
        assert!(line.starts_with("healthy: ") && line.lines().count() == 1, "{line}");
    }
    assert_eq!(healthcheck(&[], None).0, Some(2));
    assert_eq!(healthcheck(&["--config", "/none.toml"], None).0, Some(1));
    let mut slow = Client::connect(&server);
    slow.send(request("/large"));
    slow.head();
    signal(&server, Signal::TERM);
    eventually("it is not ready", || healthcheck(&[&address], None).0 == Some(1));
    let (_, _, errors) = healthcheck(&[&address], None);
    assert!(errors.contains("answered /readyz with HTTP/1.1 503"), "{errors}");
    assert_eq!(healthcheck(&["--live", &address], None).0, Some(0));
    drop(slow);
    assert!(server.wait_for_end().code().is_some());
    let (status, _, errors) = healthcheck(&[&address], None);
    assert_eq!(status, Some(1));
    assert!(errors.contains("unhealthy: cannot ask"), "{errors}");
}

#[test]
fn a_listener_that_others_can_reach_is_reported() {
    let place = Place::new();
    for (address, is_open) in [("127.0.0.1:0", false), ("0.0.0.0:0", true)] {
        let mut server = Server::start(&place.path("www"), &["--admin-listen", address]);
        let line = "metrics and health at http://";
        eventually(line, || server.log().contains(line));
        let log = server.log();
        assert_eq!(log.contains("can be reached from other machines"), is_open, "{log}");
        assert_eq!(server.endpoints().len(), 1, "{}", server.greeting());
    }
}
