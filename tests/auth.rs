//! Passwords are verified by helper processes: the built program, driven by a real poll.
//!
//! Time is an argument of everything here, and no test waits for anything but an event of a helper.

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::collections::HashMap;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::{Events, Poll, Token};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, test_kill_process, waitid,
};

use tenkay::auth::{Access, Authenticator, MemoryBounds, PoolBounds, Program, QuestionId, Users};
use tenkay::clock::Tick;
use tenkay::http::basic::Credentials;

const TENKAY: &str = env!("CARGO_BIN_EXE_tenkay");
const FIRST: Token = Token(1000);
const NOW: Tick = Tick(5000);

/// The timeout of a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Made by `htpasswd -nbB -C 4` and `argon2`.
const USERS: &str = "\
bob:$2y$04$Z5l5hTg5a3kgR5LRjphxy.JzVyvDQ7UW5bY9pKwth714btNnqS4qK
nobody:$2y$04$cPuyB7EBoPeB7lc60N/Uy.4cdZuEt3vBRkVMXwOjjgEw0zQRH6Qz6
carol:$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$Kw3/ZjLNvvrvmWv7DSmJdvIaVuO5yzpUAyMmNiCnHLI
";
const RIGHT: [(&str, &str); 3] = [("bob", "p:ss wörd"), ("nobody", ""), ("carol", "correct horse")];

/// Held by each test: a process that another thread starts has, for a moment, the pipes of all
/// helpers that are being started, which delays their end.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An authenticator with its poll.
struct Bench {
    auth: Authenticator,
    users: Users,
    poll: Poll,
    /// The questions that were answered.
    answered: Vec<QuestionId>,
    _alone: MutexGuard<'static, ()>,
}

impl Bench {
    fn new(bounds: PoolBounds) -> Bench {
        Bench::with(Program::at(TENKAY), bounds)
    }

    fn with(program: Program, bounds: PoolBounds) -> Bench {
        let alone = alone();
        let mut auth = Authenticator::start(program, bounds, MEMORY).unwrap();
        let poll = Poll::new().unwrap();
        auth.register(poll.registry(), FIRST).unwrap();
        assert_eq!(auth.tokens(), bounds.helpers);
        let users = Users::parse(USERS.as_bytes()).unwrap();
        Bench { auth, users, poll, answered: Vec::new(), _alone: alone }
    }

    fn check(&mut self, user: &str, password: &str, asker: u64) -> Access {
        let credentials = Credentials { user: user.as_bytes(), password: password.as_bytes() };
        self.auth.check(&self.users, &credentials, asker, NOW)
    }

    /// The question that this check asks.
    fn question(&mut self, user: &str, password: &str, asker: u64) -> QuestionId {
        match self.check(user, password, asker) {
            Access::Later(id) => id,
            other => unreachable!("{other:?}"),
        }
    }

    /// Waits for an event, and takes all answers.
    fn turn(&mut self) {
        let mut events = Events::with_capacity(16);
        while let Err(error) = self.poll.poll(&mut events, Some(PATIENCE)) {
            assert_eq!(error.kind(), ErrorKind::Interrupted);
        }
        assert!(!events.is_empty(), "timeout");
        for event in &events {
            assert!(self.auth.ready(event.token(), NOW));
        }
        self.take();
    }

    fn take(&mut self) {
        let auth = &mut self.auth;
        self.answered.extend(std::iter::from_fn(|| auth.take_answered(NOW)));
    }

    /// What the check finds in the end.
    fn found(&mut self, user: &str, password: &str) -> Access {
        loop {
            match self.check(user, password, 1) {
                Access::Later(_) => self.turn(),
                found => return found,
            }
        }
    }

    fn pids(&self) -> Vec<Pid> {
        self.auth.pids().map(pid).collect()
    }

    fn faults(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.auth.take_fault()).collect()
    }
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

const ANSWER_MS: u64 = 30_000;
const MEMORY: MemoryBounds = MemoryBounds { entries: 4096, right_ms: 300_000, wrong_ms: 10_000 };

fn bounds(helpers: usize, queue: usize, per_asker: usize) -> PoolBounds {
    PoolBounds { helpers, queue, per_asker, answer_ms: ANSWER_MS }
}

#[test]
fn two_hundred_questions_get_their_own_answers() {
    let mut bench = Bench::new(bounds(2, 200, 200));
    let mut expected = HashMap::new();
    let mut ask = |user: &str, password: &str, access| {
        let id = bench.question(user, password, 1);
        expected.insert(id.number(), (user.to_owned(), password.to_owned(), access));
    };
    for (user, password) in RIGHT {
        ask(user, password, Access::Granted);
        ask(user, &format!("{password} "), Access::Denied);
        ask("unknown", password, Access::Denied);
    }
    for number in 0..191 {
        let user = ["bob", "carol", "nobody", "unknown", ""][number % 5];
        ask(user, &format!("wrong {number}"), Access::Denied);
    }
    assert_eq!(expected.len(), 200);
    while bench.answered.len() < 200 {
        bench.turn();
    }
    for id in std::mem::take(&mut bench.answered) {
        let (user, password, access) = expected.remove(&id.number()).unwrap();
        assert_eq!(bench.check(&user, &password, 1), access, "{user}:{password}");
    }
    assert_eq!(bench.faults(), Vec::<String>::new());
}

#[test]
fn the_same_question_in_progress_is_one_question() {
    let mut bench = Bench::new(bounds(1, 1, 9));
    let one = bench.question("bob", "x", 1);
    let two = bench.question("bob", "y", 1);
    assert_ne!(one, two);
    for asker in [1, 2] {
        assert_eq!(bench.question("bob", "x", asker), one);
        assert_eq!(bench.question("bob", "y", asker), two);
    }
    while bench.answered.len() < 2 {
        bench.turn();
    }
    assert_eq!(bench.answered, [one, two]);
}

#[test]
fn a_full_queue_refuses_until_a_question_is_forgotten_or_answered() {
    let mut bench = Bench::new(bounds(1, 2, 9));
    let running = bench.question("bob", "0", 1);
    let queued = bench.question("bob", "1", 2);
    bench.question("bob", "2", 3);
    assert_eq!(bench.check("bob", "3", 4), Access::Busy);
    bench.auth.forget(running); // it is not in the queue any more
    assert_eq!(bench.check("bob", "3", 4), Access::Busy);
    bench.auth.forget(queued);
    bench.question("bob", "3", 4);
    assert_eq!(bench.check("bob", "4", 5), Access::Busy);
    bench.turn();
    assert_eq!(bench.answered, [running]);
    bench.question("bob", "4", 5);
}

#[test]
fn a_client_has_a_bounded_share_of_the_queue_and_lets_others_pass() {
    let mut bench = Bench::new(bounds(1, 64, 3));
    let flood: Vec<QuestionId> =
        ["0", "1", "2"].iter().map(|word| bench.question("bob", word, 1)).collect();
    assert_eq!(bench.check("bob", "3", 1), Access::Busy);
    let other = bench.question("bob", "p:ss wörd", 2);
    while bench.answered.len() < 4 {
        bench.turn();
    }
    // The first was sent before the other client came; its second waits for the other's first.
    assert_eq!(bench.answered, [flood[0], other, flood[1], flood[2]]);
    assert_eq!(bench.check("bob", "p:ss wörd", 2), Access::Granted);
    bench.question("bob", "3", 1);
}

#[test]
fn a_killed_helper_fails_its_question_only_and_is_started_again() {
    let mut bench = Bench::new(bounds(1, 9, 9));
    let killed = bench.pids()[0];
    kill_process(killed, Signal::STOP).unwrap();
    let running = bench.question("bob", "p:ss wörd", 1);
    let due = bench.auth.due().unwrap();
    assert_eq!(due, NOW + ANSWER_MS);
    kill_process(killed, Signal::KILL).unwrap();
    bench.turn();
    assert_eq!(bench.answered, [running]);
    assert_eq!(bench.check("bob", "p:ss wörd", 1), Access::Failed);
    assert_eq!(bench.check("carol", "x", 1), Access::Failed, "at once");
    let faults = bench.faults();
    assert!(faults[0].contains("ended: it was killed or crashed (0 of 1 left"), "{faults:?}");
    assert_eq!(test_kill_process(killed).ok(), None, "no zombie");

    let due = bench.auth.due().unwrap();
    bench.auth.tend(Tick(due.0 - 1));
    assert_eq!(bench.pids(), []);
    bench.auth.tend(due);
    assert_eq!(bench.pids().len(), 1);
    assert_eq!(bench.auth.due(), None);
    assert_eq!(bench.found("carol", "correct horse"), Access::Granted);
}

#[test]
fn a_helper_that_takes_too_long_is_killed() {
    let mut bench = Bench::new(bounds(2, 9, 9));
    let stuck = bench.pids()[0];
    kill_process(stuck, Signal::STOP).unwrap();
    let running = bench.question("bob", "p:ss wörd", 1);
    assert_eq!(bench.found("carol", "correct horse"), Access::Granted, "by the other one");
    let due = bench.auth.due().unwrap();
    bench.auth.tend(Tick(due.0 - 1));
    bench.take();
    assert!(!bench.answered.contains(&running));
    bench.auth.tend(due);
    bench.take();
    assert!(bench.answered.contains(&running));
    assert_eq!(bench.check("bob", "p:ss wörd", 1), Access::Failed);
    assert_eq!(test_kill_process(stuck).ok(), None, "no zombie");
    assert!(bench.faults()[0].ends_with("it took more than 30000 ms (1 of 2 left)"));
}

#[test]
fn without_a_program_to_start_all_questions_fail_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("tenkay");
    std::os::unix::fs::symlink(TENKAY, &link).unwrap();
    let mut bench = Bench::with(Program::at(&link), bounds(1, 9, 9));
    let killed = bench.pids()[0];
    kill_process(killed, Signal::STOP).unwrap();
    let asked = [bench.question("bob", "x", 1), bench.question("bob", "y", 1)];
    fs::remove_file(&link).unwrap();
    kill_process(killed, Signal::KILL).unwrap();
    bench.turn();
    assert_eq!(bench.answered, asked);
    assert_eq!(bench.check("bob", "z", 1), Access::Failed);
    bench.faults();

    // It is not there: that may pass. The pauses grow.
    let first = bench.auth.due().unwrap();
    bench.auth.tend(first);
    let second = bench.auth.due().unwrap();
    assert!(second.since(first) > first.since(NOW), "{first:?} {second:?}");
    assert!(bench.faults()[0].contains("cannot start a password helper process"));

    // It may not be executed, as in the sandbox: that stays so.
    fs::write(&link, "").unwrap();
    fs::set_permissions(&link, fs::Permissions::from_mode(0o600)).unwrap();
    bench.auth.tend(second);
    assert_eq!(bench.auth.due(), None);
    let faults = bench.faults();
    assert!(faults[0].contains("; restart the server to replace it (0 of 1 left"), "{faults:?}");
    assert_eq!(bench.check("bob", "z", 1), Access::Failed);
}

#[test]
fn no_process_is_left_when_the_pool_is_dropped() {
    let mut bench = Bench::new(bounds(3, 9, 9));
    let pids = bench.pids();
    assert_eq!(pids.len(), 3);
    bench.question("bob", "x", 1);
    drop(bench);
    for pid in pids {
        assert_eq!(test_kill_process(pid).ok(), None);
    }
}

#[test]
fn tokens_of_others_are_left_alone() {
    let mut bench = Bench::new(bounds(2, 9, 9));
    for (token, own) in [(999, false), (1000, true), (1001, true), (1002, false), (0, false)] {
        assert_eq!(bench.auth.ready(Token(token), NOW), own, "{token}");
    }
    assert!(bench.faults().is_empty());
}

#[test]
fn a_program_that_is_no_helper_fails_and_harms_nothing() {
    let mut bench = Bench::with(Program::at("/bin/echo"), bounds(1, 9, 9));
    bench.turn();
    assert_eq!(bench.check("bob", "p:ss wörd", 1), Access::Failed);
    assert!(!bench.faults().is_empty());
}

/// A helper without a pool.
fn helper() -> Child {
    let mut command = Command::new(TENKAY);
    command.arg("__verify").stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// Asks it a question whose answer is no, and waits for the answer.
fn answers(helper: &mut Child) -> u8 {
    let hash = USERS.lines().next().unwrap().split_once(':').unwrap().1;
    let head = [u8::try_from(hash.len()).unwrap(), 0, 1, 0];
    let question = [&head[..], hash.as_bytes(), b"x"].concat();
    helper.stdin.as_mut().unwrap().write_all(&question).unwrap();
    let mut answer = [0];
    helper.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
    answer[0]
}

#[test]
fn a_helper_ignores_the_signals_of_the_server_and_ends_with_its_input() {
    let _alone = alone();
    let mut helper = helper();
    assert_eq!(answers(&mut helper), b'W');
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2]
    {
        kill_process(pid(helper.id()), signal).unwrap();
        assert_eq!(answers(&mut helper), b'W', "{signal:?}");
    }
    drop(helper.stdin.take());
    assert!(helper.wait().unwrap().success());
}

#[test]
fn a_helper_ends_if_its_input_is_no_question() {
    let _alone = alone();
    let mut helper = helper();
    helper.stdin.as_mut().unwrap().write_all(&[255; 4]).unwrap();
    assert_eq!(helper.wait().unwrap().code(), Some(1));
}

#[cfg(target_os = "linux")]
#[test]
fn a_helper_has_nothing_but_its_pipes_a_low_priority_and_no_way_to_more() {
    let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bench = Bench::new(bounds(2, 9, 9));
    let helper = bench.pids()[0].as_raw_nonzero();
    assert_eq!(bench.found("carol", "correct horse"), Access::Granted, "it is ready");
    let proc = format!("/proc/{helper}");
    let read = |file: &str| fs::read_to_string(format!("{proc}/{file}")).unwrap();
    for entry in fs::read_dir(format!("{proc}/fd")).unwrap() {
        let link = fs::read_link(entry.unwrap().path()).unwrap();
        let link = link.to_string_lossy();
        assert!(link.starts_with("pipe:") || link == "/dev/null", "{link}");
    }
    // The lowest priority there is, if the tests themselves run with a low one.
    let nice = |fields: &[String]| fields[19 - 3].parse::<i32>().unwrap();
    let own = stat_fields(&fs::read_to_string("/proc/self/stat").unwrap());
    let fields = stat_fields(&read("stat"));
    assert_eq!(nice(&fields), (nice(&own) + 10).min(19));
    assert_eq!(fields[5 - 3], helper.to_string(), "a process group of its own");
    assert!(read("status").contains("NoNewPrivs:\t1"));
    let limits = read("limits");
    for name in ["Max core file size", "Max open files", "Max processes", "Max file size"] {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        let values: Vec<&str> = line[name.len()..].split_whitespace().take(2).collect();
        assert_eq!(values, ["0", "0"], "{line}");
    }
    assert_eq!(read("environ"), "");
}

#[test]
fn the_help_does_not_mention_the_helpers() {
    let _alone = alone();
    let output = Command::new(TENKAY).arg("--help").output().unwrap();
    assert!(output.status.success());
    assert!(!String::from_utf8_lossy(&output.stdout).contains("__verify"));
}

#[test]
fn a_helper_that_ended_before_it_was_asked_fails_no_question() {
    let mut bench = Bench::new(bounds(2, 9, 9));
    let killed = bench.pids()[0];
    kill_process(killed, Signal::KILL).unwrap();
    // It is a zombie then, and its pipes are closed.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(killed), options).unwrap();
    assert_eq!(bench.found("bob", "p:ss wörd"), Access::Granted);
    assert_eq!(bench.faults().len(), 1);
}

/// The fields of `/proc/PID/stat` from the third on (proc(5)).
fn stat_fields(stat: &str) -> Vec<String> {
    stat.rsplit(')').next().unwrap().split_whitespace().map(str::to_owned).collect()
}
