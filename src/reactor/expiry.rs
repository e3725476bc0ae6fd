//! The certificates of a loop, and when they expire.

use crate::net::Notice;
use crate::net::tls::Terminal;

use super::Reactor;

impl Reactor {
    /// Speaks TLS with these certificates, on the listeners that ask for it. The start has logged
    /// which of them expire soon.
    pub fn speak_tls(&mut self, terminal: Terminal) {
        self.resources.pools.terminal = terminal;
        self.expiry_due = Some(self.turn.now() + EXPIRY_MS);
    }

    /// Once a day, logs which certificates expire soon, or have expired.
    pub(super) fn watch_expiry(&mut self) {
        if self.expiry_due.is_none_or(|due| self.turn.now() < due) {
            return;
        }
        self.expiry_due = Some(self.turn.now() + EXPIRY_MS);
        let now = u64::try_from(self.turn.clock().unix_seconds()).unwrap_or(0);
        for Notice { level, text, .. } in self.resources.pools.terminal.notices(now) {
            self.resources.journal.note(level, format_args!("{text}"));
        }
    }
}

/// How often the expiry of the certificates is looked at: once a day.
const EXPIRY_MS: u64 = 24 * 3600 * 1000;
