//! The metrics of all workers, as the supervisor keeps them: who has which seat on the board, and
//! the counters of workers that have ended. The supervisor itself reads and answers no request.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::metrics::{Board, Reload};

use super::channel::Fields;
use super::source::nameless_file;

/// The board and its seats.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// `None`: the system gave no memory for it, so each worker has only its own metrics.
    board: Option<Board>,
    /// Whether each seat is taken, from seat 1.
    taken: Vec<bool>,
    /// When settings were last taken over.
    reloaded_unix_ms: u64,
}

impl Ledger {
    /// With an empty board.
    pub(super) fn new() -> Ledger {
        let board = nameless_file("tenkay.metrics").and_then(Board::create);
        Ledger { board: board.ok(), ..Ledger::default() }
    }

    /// A seat for a new worker, and the descriptor of the board.
    pub(super) fn take_seat(&mut self) -> Option<usize> {
        let board = self.board.as_ref()?;
        let index = self.taken.iter().position(|taken| !taken).unwrap_or(self.taken.len());
        board.open_seat(index + 1).ok()?;
        if index == self.taken.len() {
            self.taken.push(false);
        }
        self.taken[index] = true;
        Some(index + 1)
    }

    /// The worker with this seat has ended.
    pub(super) fn leave_seat(&mut self, seat: Option<usize>) {
        let (Some(seat), Some(board)) = (seat, &self.board) else { return };
        // The file is in memory, so this does not fail; if it does, counters of the past are lost.
        _ = board.close_seat(seat);
        if let Some(taken) = self.taken.get_mut(seat - 1) {
            *taken = false;
        }
    }

    /// The descriptor of the board, for a worker with a seat.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.board.as_ref().map(AsFd::as_fd)
    }

    /// Settings were taken over, or refused.
    pub(super) fn note_reload(&mut self, is_success: bool) {
        if is_success {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.reloaded_unix_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        }
        if let Some(board) = &self.board {
            let reload = Reload { is_success, unix_ms: self.reloaded_unix_ms };
            // As in `leave_seat`.
            _ = board.set_reload(reload);
        }
    }

    /// Describes it to a later program of this process, with the seats of these workers.
    pub(super) fn describe<'l>(
        &'l self,
        seats: impl Iterator<Item = Option<usize>>,
        to: &mut Fields,
        descriptors: &mut Vec<BorrowedFd<'l>>,
    ) {
        let Some(board) = self.descriptor() else { return };
        descriptors.push(board);
        to.put_number(self.reloaded_unix_ms);
        seats.for_each(|seat| to.put_number(seat.unwrap_or(0) as u64)); // widening
    }

    /// The one that an earlier program of this process has described, with the seats of its
    /// workers, whose number is `workers`. The earlier program may be too old to have one.
    pub(super) fn adopt(
        from: &mut Fields,
        descriptors: &mut impl Iterator<Item = OwnedFd>,
        workers: usize,
    ) -> (Ledger, Vec<Option<usize>>) {
        let without_seats = |ledger| (ledger, vec![None; workers]);
        let reloaded = from.take_number::<u64>();
        let (Some(file), Some(reloaded_unix_ms)) = (descriptors.next(), reloaded) else {
            return without_seats(Ledger::new());
        };
        let mut ledger = match Board::adopt(File::from(file)) {
            Ok(Ok(board)) => Ledger { board: Some(board), ..Ledger::default() },
            Ok(Err(past)) => {
                let ledger = Ledger::new();
                if let Some(board) = &ledger.board {
                    // As in `leave_seat`.
                    _ = board.add(&past);
                }
                return without_seats(Ledger { reloaded_unix_ms, ..ledger });
            }
            Err(_) => return without_seats(Ledger::new()),
        };
        ledger.reloaded_unix_ms = reloaded_unix_ms;
        let seats = (0..workers).map(|_| from.take_number().filter(|seat| *seat > 0));
        let seats: Vec<Option<usize>> = seats.collect();
        let count = seats.iter().flatten().max().copied().unwrap_or(0);
        let is_taken = |index: usize| seats.contains(&Some(index + 1));
        // The number of a seat fits into the file, which has one for each worker.
        ledger.taken = (0..count.min(MOST)).map(is_taken).collect();
        (ledger, seats)
    }
}

/// No board has more seats.
const MOST: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Metric, Seat, Snapshot};

    fn pass_on(ledger: &Ledger, seats: &[Option<usize>]) -> (Ledger, Vec<Option<usize>>) {
        let (mut fields, mut descriptors) = (Fields::default(), Vec::new());
        ledger.describe(seats.iter().copied(), &mut fields, &mut descriptors);
        let owned = descriptors.iter().map(|it| it.try_clone_to_owned().unwrap());
        Ledger::adopt(&mut fields, &mut owned.collect::<Vec<_>>().into_iter(), seats.len())
    }

    fn sum(ledger: &Ledger) -> Snapshot {
        let file = File::from(ledger.descriptor().unwrap().try_clone_to_owned().unwrap());
        let observer = Seat::new(Board::adopt(file).unwrap().unwrap(), usize::MAX);
        observer.sum(&Snapshot::default()).unwrap().0
    }

    #[test]
    fn a_later_program_goes_on_with_the_counters_and_the_seats() {
        let mut ledger = Ledger::new();
        let seats: Vec<_> = (0..3).map(|_| ledger.take_seat()).collect();
        assert_eq!(seats, [Some(1), Some(2), Some(3)]);
        let file = File::from(ledger.descriptor().unwrap().try_clone_to_owned().unwrap());
        let mut values = Snapshot::default();
        values.set(Metric::Accepted, &[7]);
        Seat::new(Board::adopt(file).unwrap().unwrap(), 2).publish(&values).unwrap();
        ledger.leave_seat(Some(2));
        ledger.note_reload(true);
        // The worker on seat 3 is described first, as one of an older generation may be.
        let (mut later, seats) = pass_on(&ledger, &[Some(3), Some(1), None]);
        assert_eq!(seats, [Some(3), Some(1), None]);
        assert_eq!(later.reloaded_unix_ms, ledger.reloaded_unix_ms);
        assert_eq!(later.take_seat(), Some(2));
        assert_eq!(later.take_seat(), Some(4));
        assert_eq!(sum(&later), values);
    }

    #[test]
    fn after_a_program_without_metrics_the_board_is_empty() {
        let none = &mut Vec::new().into_iter();
        let (mut ledger, seats) = Ledger::adopt(&mut Fields::default(), none, 2);
        assert_eq!(seats, [None, None]);
        assert_eq!(sum(&ledger), Snapshot::default());
        assert_eq!(ledger.take_seat(), Some(1));
    }
}
