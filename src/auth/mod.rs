//! Verification of passwords, without blocking the event loop.
//!
//! | module | question it answers |
//! |---|---|
//! | [`users`] | which users does a file have, with which hashes |
//! | [`memory`] | was this verified a moment ago |
//! | [`pool`] | which helper process verifies it, and when |
//! | [`question`] | what is sent to a helper |
//! | [`helper`] | how is a helper started, asked and ended |
//! | [`verifier`] | what does a helper do |
//! | `hash` | which hashes are accepted, and does a password belong to one |
//!
//! [`Authenticator`] joins them. The syntax of the fields is in [`crate::http::basic`]; which paths
//! need which users, and how the server responds, is decided elsewhere.
//!
//! # Secrets
//!
//! A password is overwritten in memory after its use. It appears in no `Debug` output and in no
//! error text, and is sent to a helper process only. The memory of verdicts holds a keyed hash.
//!
//! # Time
//!
//! The time of a response does not reveal whether a user exists: for an unknown user, a hash of the
//! same cost is verified ([`users::Users::find`]).

use std::io;

use mio::{Registry, Token};

use crate::clock::Tick;
use crate::http::basic::Credentials;

mod hash;
pub mod helper;
pub mod memory;
pub mod pool;
pub mod question;
pub mod users;
pub mod verifier;

pub use helper::Program;
pub use memory::{MemoryBounds, Verdict};
pub use pool::{PoolBounds, QuestionId};
pub use users::{Problem, Users};

use memory::Remembered;
use pool::{Refusal, Verifiers};
use question::Question;

/// Decides about credentials.
#[derive(Debug)]
pub struct Authenticator {
    remembered: Remembered,
    verifiers: Verifiers,
}

/// The state of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// They are right.
    Granted,
    /// They are wrong: 401.
    Denied,
    /// They are being verified: check again when [`Authenticator::take_answered`] returns this.
    Later(QuestionId),
    /// There are too many to verify, of this client or of all: 429, with Retry-After.
    Busy,
    /// They cannot be verified: 503.
    Failed,
}

impl Authenticator {
    /// Starts the helper processes. Call it as the user that serves, and before the sandbox is
    /// entered, which forbids to execute programs.
    ///
    /// # Errors
    /// If a process cannot be started, or the system gives no random bytes.
    pub fn start(
        program: Program,
        pool: PoolBounds,
        memory: MemoryBounds,
    ) -> io::Result<Authenticator> {
        // All verdicts that can arrive in one turn must stay until the requests ask again.
        let entries = memory.entries.max(2 * (pool.queue + pool.helpers));
        let remembered = Remembered::new(MemoryBounds { entries, ..memory })?;
        Ok(Authenticator { remembered, verifiers: Verifiers::start(program, pool)? })
    }

    /// Reports events of the helpers to `registry`; see [`Verifiers::register`].
    ///
    /// # Errors
    /// If the registry refuses.
    pub fn register(&mut self, registry: &Registry, first: Token) -> io::Result<()> {
        self.verifiers.register(registry, first)
    }

    /// How many tokens it uses.
    pub fn tokens(&self) -> usize {
        self.verifiers.tokens()
    }

    /// Whether these are the credentials of one of `users`. `asker` is the client, for example a
    /// hash of its address. An answer from memory allocates nothing if there is such a user.
    pub fn check(
        &mut self,
        users: &Users,
        credentials: &Credentials<'_>,
        asker: u64,
        now: Tick,
    ) -> Access {
        let stored = users.find(credentials.user);
        let fingerprint = self.remembered.fingerprint(credentials, &stored);
        match self.remembered.look_up(&fingerprint, now) {
            Some(Verdict::Right) => return Access::Granted,
            Some(Verdict::Wrong) => return Access::Denied,
            Some(Verdict::Failed) => return Access::Failed,
            None => {}
        }
        let question = Question::new(fingerprint, asker, credentials, &stored);
        match self.verifiers.ask(question, now) {
            Ok(id) => Access::Later(id),
            Err(Refusal::Full | Refusal::TooMany) => Access::Busy,
            Err(Refusal::NoHelper) => Access::Failed,
        }
    }

    /// Drops a question that nobody waits for any more; see [`Verifiers::forget`].
    pub fn forget(&mut self, id: QuestionId) {
        self.verifiers.forget(id);
    }

    /// Takes an event. Returns false if the token is not one of its own.
    pub fn ready(&mut self, token: Token, now: Tick) -> bool {
        self.verifiers.ready(token, now)
    }

    /// Remembers the next answer, and returns its question: the requests that wait for it can be
    /// checked again.
    pub fn take_answered(&mut self, now: Tick) -> Option<QuestionId> {
        let answered = self.verifiers.take_answer()?;
        self.remembered.remember(answered.fingerprint, answered.verdict, now);
        Some(answered.id)
    }

    /// The next line for the log.
    pub fn take_fault(&mut self) -> Option<String> {
        self.verifiers.take_fault()
    }

    /// When [`Authenticator::tend`] has something to do.
    pub fn due(&self) -> Option<Tick> {
        self.verifiers.due()
    }

    /// Kills helpers that take too long, and replaces those that ended. Answers may follow.
    pub fn tend(&mut self, now: Tick) {
        self.verifiers.tend(now);
    }

    /// The numbers of the helper processes.
    pub fn pids(&self) -> impl Iterator<Item = u32> {
        self.verifiers.pids()
    }
}

#[cfg(test)]
mod tests;
