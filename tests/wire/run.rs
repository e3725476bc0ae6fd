//! Runs the cases of a file against a server of their own and reports every one that fails.
//!
//! Cases run in parallel on several threads; each has its own connection, and none changes the
//! files. Each runs twice: with as few writes as it specifies, and with many. The verdict must not
//! depend on that.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::thread::sleep;
use std::time::Duration;
use std::time::SystemTime;

use crate::answer::Answer;
use crate::checks::{Files, differences};
use crate::common::{Endpoint, MAY_NOT_START, Setup};
use crate::exchange::{End, Exchange, Next};
use crate::format::{Act, Case, CaseFile, Expected, Then};
use crate::over_h2;
use crate::rules::{Facts, complaints};
use crate::text::{Source, Template, show};
use crate::tree::Tree;

/// More threads than processors: a case mostly waits.
const THREADS: usize = 8;

/// Bytes of a conversation that a report shows.
const SHOWN: usize = 1200;

/// A request that every server of these tests answers, to check that a connection is open.
const PROBE: &[u8] = b"GET /probe.txt HTTP/1.1\r\nHost: probe\r\n\r\n";
const PROBE_BODY: &[u8] = b"still here\n";

/// The state shared by the cases of one file.
struct World {
    endpoint: Endpoint,
    /// The connections have TLS.
    is_secure: bool,
    tree: Tree,
    server_header: bool,
    /// Fields captured from the server, by request.
    captured: Mutex<HashMap<String, Vec<u8>>>,
}

/// One run of one case.
struct Run<'w> {
    world: &'w World,
    case: &'w Case,
    in_pieces: bool,
    began: SystemTime,
    sent: Vec<u8>,
    wrong: Vec<String>,
}

/// Runs `tests/wire/<name>.cases`; the error is the report of all that failed. `is_secure`: over
/// TLS, without the cases that name a URL with its scheme.
pub(crate) fn case_file(name: &str, is_secure: bool) -> Result<(), String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    let read = |name: &str| {
        std::fs::read_to_string(directory.join(name)).map_err(|error| format!("{name}: {error}"))
    };
    let file_name = format!("{name}.cases");
    let file = CaseFile::parse(&read(&file_name)?).map_err(|mistakes| {
        let lines = mistakes.iter().map(|(line, text)| format!("{file_name}:{line}: {text}\n"));
        lines.collect::<String>()
    })?;
    let tree_name = if file.tree.is_empty() { "tree.txt" } else { &file.tree };
    let tree = Tree::make(&read(tree_name)?)?;
    if file.rested {
        // The files must become old enough: for two seconds after a change, a date is weak.
        sleep(Duration::from_millis(2_100));
    }
    let mut setup = if file.config.is_empty() {
        Setup::new(&tree.root())
    } else {
        let path = tree.base().join("config.toml");
        let text = file.config.replace("{base}", &tree.base().display().to_string());
        std::fs::write(&path, text).map_err(|error| error.to_string())?;
        Setup::configured(&path)
    };
    setup = setup.args(&file.server);
    if over_h2::is_run(name) {
        setup = setup.args(["--h2c"]);
    }
    if file.unix {
        setup = setup.unix(&tree.base().join("listen"));
    }
    if file.unprivileged {
        setup = setup.unprivileged();
    }
    #[cfg(feature = "tls")]
    if is_secure {
        setup = crate::secure::with_tls(setup, tree.base());
    }
    let mut server = match setup.start() {
        Err(text) if file.unprivileged && text.starts_with(MAY_NOT_START) => {
            eprintln!("skipped: the user nobody may not execute the built server; {text}");
            return Ok(());
        }
        started => started?,
    };
    let world = World {
        endpoint: server.endpoint().clone(),
        is_secure,
        tree,
        server_header: !file.server.windows(2).any(|pair| pair == ["--server-header", "off"]),
        captured: Mutex::default(),
    };
    let mut cases = file.cases;
    cases.retain(|case| !is_secure || !case.names_scheme());
    let mut report = all_failures(&world, &cases, &file_name);
    if report.is_empty() && over_h2::is_run(name) {
        let failure = |case| Run::new(&world, case, false).failure_over_h2(&file_name);
        report = cases.iter().filter_map(failure).collect();
    }
    if let Some(status) = server.has_ended() {
        report.push(format!("the server ended: {status}"));
    }
    if report.is_empty() {
        return Ok(());
    }
    report.push(format!("the log of the server:\n{}", server.log()));
    Err(format!("{} of {} cases failed\n{}", report.len() - 1, cases.len(), report.join("\n")))
}

/// Runs all cases and returns the reports of those that fail, in the order of the file.
fn all_failures(world: &World, cases: &[Case], file_name: &str) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS.min(cases.len()) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // A case that fails in one piece is not run in many: one report is enough.
                    let failure = [false, true]
                        .into_iter()
                        .find_map(|in_pieces| Run::new(world, case, in_pieces).failure(file_name));
                    if let Some(failure) = failure {
                        failures.lock().expect("no thread panics").push((case.line, failure));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no thread panics");
    failures.sort();
    failures.into_iter().map(|(_, text)| text).collect()
}

impl<'w> Run<'w> {
    fn new(world: &'w World, case: &'w Case, in_pieces: bool) -> Run<'w> {
        let began = SystemTime::now();
        Run { world, case, in_pieces, began, sent: Vec::new(), wrong: Vec::new() }
    }

    /// The report if the case fails.
    fn failure(mut self, file_name: &str) -> Option<String> {
        let came = match self.converse() {
            Ok(exchange) => exchange.came().to_vec(),
            Err(text) => {
                self.wrong.push(text);
                Vec::new()
            }
        };
        if self.wrong.is_empty() {
            return None;
        }
        let how = if self.in_pieces { " (sent in pieces)" } else { "" };
        Some(format!(
            "\ntests/wire/{file_name}:{}: {}{how}\n  sent:\n{}  came:\n{}  wrong:\n{}",
            self.case.line,
            self.case.name,
            indent(&show(&self.sent, SHOWN)),
            indent(&show(&came, SHOWN)),
            indent(&self.wrong.join("\n")),
        ))
    }

    /// The report if the case fails over HTTP/2.
    fn failure_over_h2(mut self, file_name: &str) -> Option<String> {
        for in_pieces in [false, true] {
            if let Err(text) = self.converse_over_h2(in_pieces) {
                self.wrong.push(text);
            }
        }
        let Run { case, wrong, sent, .. } = self;
        (!wrong.is_empty()).then(|| {
            format!(
                "\ntests/wire/{file_name}:{}: {} (over HTTP/2)\n  sent:\n{}  wrong:\n{}",
                case.line,
                case.name,
                indent(&show(&sent, SHOWN)),
                indent(&wrong.join("\n")),
            )
        })
    }

    /// The requests of the conversation, if HTTP/2 can say them.
    fn converse_over_h2(&mut self, in_pieces: bool) -> Result<(), String> {
        let expected: Vec<&Expected> =
            self.case.answers.iter().flat_map(|answer| vec![answer; answer.times]).collect();
        if self.case.script.contains(&Act::HalfClose) || expected.iter().any(|it| it.or_none) {
            return Ok(());
        }
        self.sent = self.resolve_script()?.concat();
        let Some(requests) = over_h2::translate(&self.sent, self.world.is_secure) else {
            return Ok(());
        };
        if requests.len() != expected.len() || requests.len() > 100 {
            return Ok(());
        }
        let how = (in_pieces, self.world.is_secure);
        let answers = over_h2::ask(&self.world.endpoint, &requests, how)?;
        for (answer, expected) in answers.iter().zip(expected) {
            let facts = Facts {
                to_head: expected.to_head,
                server_header: self.world.server_header,
                names_location: expected.names_location(),
                between: (self.began, SystemTime::now()),
            };
            self.wrong.extend(complaints(answer, &facts));
            self.wrong.extend(differences(answer, expected, self));
        }
        Ok(())
    }

    /// The whole conversation. An error ends it; violations are only noted.
    fn converse(&mut self) -> Result<Exchange, String> {
        let script = self.resolve_script()?;
        let mut exchange =
            Exchange::connect(&self.world.endpoint, self.in_pieces, self.world.is_secure)?;
        let expected: Vec<&Expected> =
            self.case.answers.iter().flat_map(|answer| vec![answer; answer.times]).collect();
        let mut expected = expected.into_iter();
        let mut answers = 0;
        let mut last = None;
        for (act, bytes) in self.case.script.iter().zip(&script) {
            match act {
                Act::Send(_) => {
                    self.sent.extend_from_slice(bytes);
                    exchange.send(bytes)?;
                }
                Act::Split => exchange.pause()?,
                Act::HalfClose => exchange.half_close(),
                Act::Await(count) => {
                    while answers < *count {
                        let expected = expected.next().ok_or("`await:` more than is expected")?;
                        last = self.take_answer(&mut exchange, expected, last);
                        answers += 1;
                        if last.is_none() {
                            return Ok(exchange);
                        }
                    }
                }
            }
        }
        for expected in expected {
            last = self.take_answer(&mut exchange, expected, last);
            if last.is_none() {
                return Ok(exchange);
            }
        }
        if let Some(last) = last {
            self.what_follows(&mut exchange, &last);
        }
        Ok(exchange)
    }

    /// The bytes of each act of the script.
    fn resolve_script(&self) -> Result<Vec<Vec<u8>>, String> {
        let resolve = |fill: usize| {
            let acts = self.case.script.iter().map(|act| match act {
                Act::Send(template) => template.resolve(self, fill),
                _ => Ok(Vec::new()),
            });
            acts.collect::<Result<Vec<_>, _>>()
        };
        let bytes = resolve(0)?;
        let total = self.case.script.iter().find_map(|act| match act {
            Act::Send(template) => Template::fill_total(template),
            _ => None,
        });
        let Some(total) = total else {
            return Ok(bytes);
        };
        let fixed: usize = bytes.iter().map(Vec::len).sum();
        resolve(total.checked_sub(fixed).ok_or("{fill:...} is shorter than the rest")?)
    }

    /// Reads one response and notes its violations. `None`: the conversation cannot continue.
    fn take_answer(
        &mut self,
        exchange: &mut Exchange,
        expected: &Expected,
        last: Option<Answer>,
    ) -> Option<Answer> {
        let answer = match exchange.next(expected.to_head) {
            Next::Answer(answer) => answer,
            Next::End(End::Finished) if expected.or_none => return None,
            Next::End(end) => {
                self.wrong.push(format!("expected a response, but the connection ended: {end:?}"));
                return None;
            }
            Next::Nonsense(text) => {
                let rest = show(exchange.rest(), SHOWN);
                self.wrong.push(format!("expected a response: {text}; unparsed: {rest}"));
                return None;
            }
        };
        if last.is_some_and(|last| last.says_close()) {
            self.wrong.push("a response after one with `Connection: close`".into());
        }
        let facts = Facts {
            to_head: expected.to_head,
            server_header: self.world.server_header,
            names_location: expected.names_location(),
            between: (self.began, SystemTime::now()),
        };
        self.wrong.extend(complaints(&answer, &facts));
        self.wrong.extend(differences(&answer, expected, self));
        Some(answer)
    }

    /// After the last response: checks that the connection stays open or ends.
    fn what_follows(&mut self, exchange: &mut Exchange, last: &Answer) {
        let half_closed = self.case.script.contains(&Act::HalfClose);
        let closing = last.says_close();
        let goes_on = match self.case.then {
            Then::AsSaid => !closing && !half_closed,
            Then::Open => true,
            Then::Closed | Then::ClosedLater => false,
            Then::Any => return,
        };
        if goes_on && closing {
            self.wrong.push("`Connection: close` where the connection should go on".into());
        } else if self.case.then == Then::Closed && !closing && !half_closed {
            self.wrong.push(
                "the connection should end, but the response has no `Connection: close`".into(),
            );
        } else if self.case.then == Then::ClosedLater && closing {
            self.wrong.push("`Connection: close` where a timeout should end the connection".into());
        } else if goes_on {
            self.probe(exchange);
        } else {
            match exchange.next(false) {
                Next::End(End::Finished) => {}
                next => {
                    self.wrong.push(format!("expected the end of the connection, got {next:?}"));
                }
            }
        }
    }

    fn probe(&mut self, exchange: &mut Exchange) {
        let sent = exchange.send(PROBE);
        match exchange.next(false) {
            Next::Answer(answer) if answer.status == 200 && answer.body == PROBE_BODY => {}
            next => {
                self.wrong
                    .push(format!("expected a response to a further request; {sent:?}, {next:?}"));
            }
        }
    }
}

impl Source for Run<'_> {
    fn etag(&self, path: &str, coding: &str) -> Result<Vec<u8>, String> {
        self.world.capture("ETag", path, coding)
    }

    fn last_modified(&self, path: &str) -> Result<Vec<u8>, String> {
        self.world.capture("Last-Modified", path, "")
    }

    fn modified(&self, path: &str) -> Result<SystemTime, String> {
        self.world.tree.modified(path)
    }
}

impl Files for Run<'_> {
    fn content(&self, path: &str) -> Result<Vec<u8>, String> {
        self.world.tree.content(path)
    }

    fn same_request(&self, method: &str) -> Result<Answer, String> {
        let method_length = self.sent.iter().position(|&byte| byte == b' ').unwrap_or(0);
        let request = [method.as_bytes(), &self.sent[method_length..]].concat();
        self.world.ask(&request, method == "HEAD")
    }
}

impl World {
    /// The field of an earlier GET, which is sent once.
    fn capture(&self, field: &str, path: &str, coding: &str) -> Result<Vec<u8>, String> {
        let key = format!("{field} {path} {coding}");
        if let Some(value) = self.captured.lock().expect("no thread panics").get(&key) {
            return Ok(value.clone());
        }
        let coding = if coding.is_empty() { "identity" } else { coding };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: capture\r\nAccept-Encoding: {coding}\r\n\
             Connection: close\r\n\r\n"
        );
        let answer = self.ask(request.as_bytes(), false)?;
        let value = answer.one(field).ok_or_else(|| format!("{path} has no {field}"))?.to_vec();
        self.captured.lock().expect("no thread panics").insert(key, value.clone());
        Ok(value)
    }

    /// One request on a separate connection.
    fn ask(&self, request: &[u8], to_head: bool) -> Result<Answer, String> {
        let mut exchange = Exchange::connect(&self.endpoint, false, self.is_secure)?;
        exchange.send(request)?;
        match exchange.next(to_head) {
            Next::Answer(answer) => Ok(answer),
            next => Err(format!("{}: {next:?}", show(request, SHOWN))),
        }
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}
