//! The helper processes that verify passwords, and the queue before them.
//!
//! A verification takes 10 to 300 ms of CPU time. The event loop cannot wait for it, and there are
//! no threads, so helper processes verify. They live as long as the server does: a process per
//! question would have to be started while requests are served, and the sandbox of the server
//! forbids exec.
//!
//! A helper works on one question at a time; the others wait in a bounded queue. The second
//! question of a client waits until each other client in the queue had its first, and so on: a
//! flood from one client delays the others only by the questions that the helpers work on.
//!
//! A helper that ends takes its question with it: the question fails and is not sent to another
//! helper, because it may be the reason. The pool replaces the helper, with a growing pause between
//! attempts; under the sandbox this fails, and the place of the helper stays empty.
//!
//! The owner calls [`Verifiers::ready`] for each event and [`Verifiers::tend`] when
//! [`Verifiers::due`] is reached, and then takes answers and faults.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};

use mio::{Registry, Token};

use crate::clock::Tick;

use super::helper::{Helper, Program};
use super::memory::{Fingerprint, Verdict};
use super::question::Question;

/// The helper processes and their queue.
#[derive(Debug)]
pub struct Verifiers {
    program: Program,
    bounds: PoolBounds,
    seats: Vec<Seat>,
    /// In the order in which they are sent: by their rank.
    queue: VecDeque<Asked>,
    /// The rank of the question sent last.
    rank: u64,
    answers: VecDeque<Answered>,
    /// Lines for the log.
    faults: VecDeque<String>,
    /// The last number given to a question.
    last: u64,
    /// Where events are reported; `None` before [`Verifiers::register`].
    events: Option<(Registry, Token)>,
}

/// How many processes and questions there may be.
#[derive(Clone, Copy, Debug)]
pub struct PoolBounds {
    /// Helper processes; at least 1.
    pub helpers: usize,
    /// Questions in the queue.
    pub queue: usize,
    /// Questions of one client, in the queue and in progress; at least 1. So no client fills the
    /// queue.
    pub per_asker: usize,
    /// How long one verification may take before its helper is killed, in milliseconds.
    pub answer_ms: u64,
}

/// Identifies a question in progress. The highest bit is set, which tells it from the number of a
/// listing in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuestionId(u64);

impl QuestionId {
    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// The answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Which question.
    pub id: QuestionId,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// The answer.
    pub verdict: Verdict,
}

/// Why a question is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The queue is full.
    Full,
    /// This client has too many questions in progress.
    TooMany,
    /// No helper runs.
    NoHelper,
}

/// A question in progress.
#[derive(Debug)]
struct Asked {
    id: QuestionId,
    /// One more than that of the client's question before it; if it has none in progress, that of
    /// the question sent last.
    rank: u64,
    question: Question,
}

impl Asked {
    fn answered(&self, verdict: Verdict) -> Answered {
        Answered { id: self.id, fingerprint: self.question.fingerprint, verdict }
    }
}

/// The place of one helper.
#[derive(Debug)]
struct Seat {
    state: State,
    /// How long it stays empty after the helper ended.
    pause_ms: u64,
}

#[derive(Debug)]
enum State {
    /// The helper waits for a question.
    Idle(Helper),
    /// The helper verifies.
    Busy { helper: Helper, asked: Asked, since: Tick },
    /// The helper has ended; another one is started at this time.
    Empty { until: Tick },
    /// No helper can be started here any more.
    Lost,
}

impl Verifiers {
    /// Starts the helpers. Call it before the sandbox is entered, and as the user that serves.
    ///
    /// # Errors
    /// If a process cannot be started.
    pub fn start(program: Program, bounds: PoolBounds) -> io::Result<Verifiers> {
        let seat = |_| Helper::start(&program).map(Seat::of);
        let seats = (0..bounds.helpers.max(1)).map(seat).collect::<io::Result<Vec<_>>>()?;
        Ok(Verifiers {
            program,
            bounds,
            seats,
            queue: VecDeque::new(),
            rank: 0,
            answers: VecDeque::new(),
            faults: VecDeque::new(),
            last: 0,
            events: None,
        })
    }

    /// Reports answers to `registry`, under `first` and the tokens that follow it, one per helper.
    ///
    /// # Errors
    /// If the registry refuses.
    pub fn register(&mut self, registry: &Registry, first: Token) -> io::Result<()> {
        let events = (registry.try_clone()?, first);
        for (index, seat) in self.seats.iter_mut().enumerate() {
            if let State::Idle(helper) | State::Busy { helper, .. } = &mut seat.state {
                helper.register(&events.0, Token(first.0 + index))?;
            }
        }
        self.events = Some(events);
        Ok(())
    }

    /// How many tokens it uses.
    pub fn tokens(&self) -> usize {
        self.seats.len()
    }

    /// Asks a question. Its answer comes by [`Verifiers::take_answer`]. The same question asked
    /// again while it is in progress is one question.
    ///
    /// # Errors
    /// If the question is not taken.
    pub fn ask(&mut self, question: Question, now: Tick) -> Result<QuestionId, Refusal> {
        let is_same = |one: &&Asked| one.question.fingerprint == question.fingerprint;
        if let Some(same) = self.in_progress().find(is_same) {
            return Ok(same.id);
        }
        if !self.seats.iter().any(Seat::is_working) {
            return Err(Refusal::NoHelper);
        }
        let own = self.in_progress().filter(|other| other.question.asker == question.asker);
        let (count, last) =
            own.fold((0, None), |(count, last), other| (count + 1, last.max(Some(other.rank))));
        if count >= self.bounds.per_asker {
            return Err(Refusal::TooMany);
        }
        let is_idle = self.seats.iter().any(|seat| matches!(seat.state, State::Idle(_)));
        if !is_idle && self.queue.len() >= self.bounds.queue {
            return Err(Refusal::Full);
        }
        self.last += 1;
        let id = QuestionId(QUESTION | self.last);
        let rank = last.map_or(self.rank, |last| last + 1);
        let place = self.queue.partition_point(|other| other.rank <= rank);
        self.queue.insert(place, Asked { id, rank, question });
        self.dispatch(now);
        Ok(id)
    }

    /// Drops a question that nobody waits for any more, unless a helper works on it already.
    pub fn forget(&mut self, id: QuestionId) {
        self.queue.retain(|asked| asked.id != id);
    }

    /// Reads the answers of the helper with this token. Returns false if the token is not one of
    /// those given to [`Verifiers::register`].
    pub fn ready(&mut self, token: Token, now: Tick) -> bool {
        let index = self.events.as_ref().and_then(|(_, first)| token.0.checked_sub(first.0));
        let Some(index) = index.filter(|index| *index < self.seats.len()) else { return false };
        // An answer is one byte, so this ends after two rounds or with the helper.
        while let State::Idle(helper) | State::Busy { helper, .. } = &mut self.seats[index].state {
            match helper.receive() {
                Ok(None) => break,
                Ok(Some(byte)) => self.answered(index, byte, now),
                Err(error) => self.ended(index, &reason(&error), now),
            }
        }
        self.dispatch(now);
        true
    }

    /// The next answer.
    pub fn take_answer(&mut self) -> Option<Answered> {
        self.answers.pop_front()
    }

    /// The next line for the log: a helper ended, or cannot be started.
    pub fn take_fault(&mut self) -> Option<String> {
        self.faults.pop_front()
    }

    /// When [`Verifiers::tend`] has something to do.
    pub fn due(&self) -> Option<Tick> {
        let due = self.seats.iter().filter_map(|seat| match &seat.state {
            State::Busy { since, .. } => Some(*since + self.bounds.answer_ms),
            State::Empty { until } => Some(*until),
            State::Idle(_) | State::Lost => None,
        });
        due.min()
    }

    /// Kills the helpers that take too long, and starts others where it is time.
    pub fn tend(&mut self, now: Tick) {
        if self.due().is_none_or(|due| now < due) {
            return;
        }
        for index in 0..self.seats.len() {
            match &self.seats[index].state {
                State::Busy { since, .. } if now.since(*since) >= self.bounds.answer_ms => {
                    let what = format!("it took more than {} ms", self.bounds.answer_ms);
                    self.ended(index, &what, now);
                }
                State::Empty { until } if now >= *until => self.start_again(index, now),
                _ => {}
            }
        }
        self.dispatch(now);
    }

    /// The numbers of the helper processes.
    pub fn pids(&self) -> impl Iterator<Item = u32> {
        self.seats.iter().filter_map(|seat| match &seat.state {
            State::Idle(helper) | State::Busy { helper, .. } => Some(helper.pid()),
            State::Empty { .. } | State::Lost => None,
        })
    }

    /// All questions in progress: those of the helpers, then the queue.
    fn in_progress(&self) -> impl Iterator<Item = &Asked> {
        let busy = self.seats.iter().filter_map(|seat| match &seat.state {
            State::Busy { asked, .. } => Some(asked),
            _ => None,
        });
        busy.chain(&self.queue)
    }

    /// Gives questions to the idle helpers. If none works any more, all questions fail.
    fn dispatch(&mut self, now: Tick) {
        for index in 0..self.seats.len() {
            if !matches!(self.seats[index].state, State::Idle(_)) {
                continue;
            }
            let Some(asked) = self.queue.pop_front() else { break };
            let empty = State::Empty { until: now };
            let State::Idle(mut helper) = std::mem::replace(&mut self.seats[index].state, empty)
            else {
                continue;
            };
            self.rank = asked.rank;
            match helper.send(&asked.question.frame) {
                Ok(()) => self.seats[index].state = State::Busy { helper, asked, since: now },
                Err(error) => {
                    // It ended before it was asked, so the question is not the reason.
                    self.queue.push_front(asked);
                    self.seats[index].state = State::Idle(helper);
                    self.ended(index, &reason(&error), now);
                }
            }
        }
        if !self.seats.iter().any(Seat::is_working) {
            let failed = self.queue.drain(..).map(|asked| asked.answered(Verdict::Failed));
            self.answers.extend(failed);
        }
    }

    /// A helper has written a byte.
    fn answered(&mut self, index: usize, byte: u8, now: Tick) {
        let verdict = match &self.seats[index].state {
            State::Busy { asked, .. } => asked.question.verdict(byte),
            _ => None,
        };
        let Some(verdict) = verdict else {
            return self.ended(index, "it sent an invalid answer", now);
        };
        let seat = &mut self.seats[index];
        let state = std::mem::replace(&mut seat.state, State::Lost);
        if let State::Busy { helper, asked, .. } = state {
            seat.state = State::Idle(helper);
            seat.pause_ms = PAUSE_MS;
            self.answers.push_back(asked.answered(verdict));
        }
    }

    /// A helper is of no use any more: it is killed, and its question fails.
    fn ended(&mut self, index: usize, why: &str, now: Tick) {
        let seat = &mut self.seats[index];
        let until = now + seat.pause_ms;
        seat.pause_ms = (seat.pause_ms * 2).min(PAUSE_MAX_MS);
        let state = std::mem::replace(&mut seat.state, State::Empty { until });
        if let State::Busy { asked, .. } = state {
            self.answers.push_back(asked.answered(Verdict::Failed));
        }
        self.fault(&format!("{HELPER} ended: {why}"));
    }

    /// Starts another helper in place of one that ended.
    fn start_again(&mut self, index: usize, now: Tick) {
        let started = Helper::start(&self.program).and_then(|mut helper| {
            if let Some((registry, first)) = &self.events {
                helper.register(registry, Token(first.0 + index))?;
            }
            Ok(helper)
        });
        let seat = &mut self.seats[index];
        match started {
            Ok(helper) => seat.state = State::Idle(helper),
            Err(error) => {
                // The sandbox stays until the process ends; anything else may pass.
                let is_lost = error.kind() == ErrorKind::PermissionDenied;
                seat.state =
                    if is_lost { State::Lost } else { State::Empty { until: now + seat.pause_ms } };
                seat.pause_ms = (seat.pause_ms * 2).min(PAUSE_MAX_MS);
                let advice = if is_lost { "; restart the server to replace it" } else { "" };
                self.fault(&format!("cannot start a {HELPER}: {error}{advice}"));
            }
        }
    }

    fn fault(&mut self, what: &str) {
        let left = self.seats.iter().filter(|seat| seat.is_working()).count();
        let effect = if left == 0 { ": requests with credentials get 503" } else { "" };
        self.faults.truncate(FAULTS_MAX - 1);
        self.faults.push_back(format!("{what} ({left} of {} left{effect})", self.seats.len()));
    }
}

impl Seat {
    fn of(helper: Helper) -> Seat {
        Seat { state: State::Idle(helper), pause_ms: PAUSE_MS }
    }

    /// True if it answers questions.
    fn is_working(&self) -> bool {
        matches!(self.state, State::Idle(_) | State::Busy { .. })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Full => "too many passwords to verify",
            Refusal::TooMany => "too many passwords to verify from one client",
            Refusal::NoHelper => "no password helper process is left",
        })
    }
}

/// Why a helper ended.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => "it was killed or crashed".to_owned(),
        _ => error.to_string(),
    }
}

/// What a helper is called in the log.
const HELPER: &str = "password helper process";

/// The highest bit, set in the number of each question.
const QUESTION: u64 = 1 << 63;

/// How soon another helper is started after one ended; doubled each time until one answers.
const PAUSE_MS: u64 = 100;
const PAUSE_MAX_MS: u64 = 60_000;

/// Lines for the log that are kept until they are taken.
const FAULTS_MAX: usize = 16;
