//! Watchdog pings: while the loop turns, and only then.

use std::fmt;

use crate::clock::Tick;

/// What the loop reports to its watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It turns.
    Alive,
    /// It accepts no new connections, and ends when it has finished the responses in progress.
    Stopping,
}

/// Takes the signs; it must not block.
pub type Watcher = Box<dyn FnMut(Sign)>;

/// The watcher, and when the next ping is due.
#[derive(Default)]
pub(super) struct Vital {
    watcher: Option<Watcher>,
    every_ms: u64,
    due: Option<Tick>,
}

impl Vital {
    /// The first ping is sent in the next turn, the others every `every_ms`; `None`: none.
    pub(super) fn new(every_ms: Option<u64>, watcher: Watcher) -> Vital {
        let (due, every_ms) = (every_ms.map(|_| Tick(0)), every_ms.unwrap_or_default());
        Vital { watcher: Some(watcher), every_ms, due }
    }

    /// When the next one is due.
    pub(super) fn due(&self) -> Option<Tick> {
        self.due
    }

    /// Sends a ping, if one is due.
    #[inline]
    pub(super) fn beat(&mut self, now: Tick) {
        if self.due.is_some_and(|due| due <= now) {
            self.due = Some(now + self.every_ms);
            self.tell(Sign::Alive);
        }
    }

    /// Reports that the loop stops.
    pub(super) fn stopping(&mut self) {
        self.tell(Sign::Stopping);
    }

    #[cold]
    fn tell(&mut self, sign: Sign) {
        if let Some(watcher) = &mut self.watcher {
            watcher(sign);
        }
    }
}

impl fmt::Debug for Vital {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vital").field("due", &self.due).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[test]
    fn a_ping_is_sent_once_in_each_interval_in_which_the_loop_turns() {
        for (every_ms, expected) in [(Some(10), vec![5, 15, 40, 50]), (None, vec![])] {
            let signs = Rc::new(RefCell::new(Vec::new()));
            let mut vital = {
                let signs = Rc::clone(&signs);
                Vital::new(every_ms, Box::new(move |sign| signs.borrow_mut().push(sign)))
            };
            let mut at = Vec::new();
            for now in [5, 6, 14, 15, 40, 49, 50] {
                let before = signs.borrow().len();
                vital.beat(Tick(now));
                at.extend((signs.borrow().len() > before).then_some(now));
            }
            assert_eq!(at, expected);
            assert_eq!(vital.due(), every_ms.map(|_| Tick(60)));
            vital.stopping();
            assert_eq!(signs.borrow().last(), Some(&Sign::Stopping));
        }
    }
}
