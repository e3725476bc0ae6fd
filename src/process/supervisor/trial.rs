//! An upgrade: the trial run of the program, and its execution.

use std::time::{Duration, Instant};

use crate::config::LogLevel;

use super::super::generation::Workshop;
use super::super::upgrade::{self, Trial};
use super::{Phase, Supervisor};

impl Supervisor {
    /// Tries the program that an upgrade would execute.
    pub(super) fn begin_trial(&mut self, now: Instant) {
        let Supervisor { program, shop, serving, sockets, draining, .. } = self;
        let Workshop { poller, source, secrets, ledger, .. } = shop;
        let (Some(program), Some(serving)) = (program.as_ref(), serving.as_ref()) else {
            return self.note(
                LogLevel::Error,
                format_args!("no upgrade: the path of the program is unknown"),
            );
        };
        let parts = (&*sockets, &*ledger, serving, &draining[..]);
        let message = upgrade::describe_all(self.last_number, parts, secrets, now);
        match Trial::start(program, &message, poller, source, now + TRIAL) {
            Ok(trial) => self.trial = Some(trial),
            Err(error) => {
                let why = format!("cannot execute it: {error}");
                self.end_trial(Err(why), now);
            }
        }
    }

    /// Executes the program if its trial has succeeded.
    pub(super) fn end_trial(&mut self, verdict: Result<String, String>, now: Instant) {
        let path = self.program.clone().unwrap_or_default();
        let shown = path.display();
        let why = match (verdict, &self.phase) {
            (_, Phase::Leaving(_) | Phase::Stopping(_)) => return,
            (Err(why), _) => why,
            (Ok(version), Phase::Running) => {
                self.note(
                    LogLevel::Info,
                    format_args!("upgrade: tenkay {version} at {shown} takes over"),
                );
                self.journal.flush();
                let Supervisor { shop, serving, sockets, draining, .. } = self;
                let Workshop { source, secrets, ledger, .. } = shop;
                let Some(serving) = serving.as_ref() else { return };
                let parts = (&*sockets, &*ledger, serving, &draining[..]);
                let message = upgrade::describe_all(self.last_number, parts, secrets, now);
                format!("cannot execute it: {}", upgrade::replace(&path, source, &message))
            }
        };
        self.note(
            LogLevel::Error,
            format_args!("no upgrade to {shown}: {why}; the running program goes on"),
        );
    }
}

/// Time for the trial run of a program.
const TRIAL: Duration = Duration::from_secs(10);
