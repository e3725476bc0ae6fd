//! Files that failed, for the log. A failing disk says the same for every request, so only the
//! first lines of an interval are logged, and the rest is counted.

use std::collections::VecDeque;

use crate::clock::Tick;
use crate::files::OpenError;

/// Lines that wait for the log.
#[derive(Debug, Default)]
pub(super) struct Faults {
    lines: VecDeque<String>,
    since: Tick,
    count: u64,
}

impl Faults {
    /// Adds a line.
    pub(super) fn say(&mut self, line: String) {
        self.lines.push_back(line);
    }

    /// Adds a line about a path that failed.
    pub(super) fn push(&mut self, path: &[u8], error: &OpenError, now: Tick) {
        if now.since(self.since) >= INTERVAL_MS {
            if self.count > LINES {
                let more = self.count - LINES;
                self.lines.push_back(format!("{more} more failures of this kind not logged"));
            }
            self.since = now;
            self.count = 0;
        }
        self.count += 1;
        if self.count <= LINES {
            let path = String::from_utf8_lossy(path);
            self.lines.push_back(format!("{}: {error}", path.escape_debug()));
        }
    }

    /// The next line.
    pub(super) fn take(&mut self) -> Option<String> {
        self.lines.pop_front()
    }
}

/// Lines logged in an interval.
const LINES: u64 = 8;

const INTERVAL_MS: u64 = 10_000;
