//! The metrics of all workers, as the supervisor keeps them: who has which seat on the board, and
//! the counters of workers that have ended. The supervisor itself reads and answers no request.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::metrics::{Board, Reload};

use super::channel::Fields;
use super::source::nameless_file;

/// The board, which has all that is known.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// `None`: the system gave no memory for it, so each worker has only its own metrics.
    board: Option<Board>,
}

impl Ledger {
    /// With an empty board.
    pub(super) fn new() -> Ledger {
        Ledger { board: nameless_file("tenkay.metrics").and_then(Board::create).ok() }
    }

    /// A seat for a new worker.
    pub(super) fn take_seat(&mut self) -> Option<usize> {
        self.board.as_ref()?.open_seat().ok()
    }

    /// The worker with this seat has ended.
    pub(super) fn leave_seat(&mut self, seat: Option<usize>) {
        if let (Some(seat), Some(board)) = (seat, &self.board) {
            // The file is in memory, so this does not fail; if it does, counters of the past are
            // lost.
            _ = board.close_seat(seat);
        }
    }

    /// The descriptor of the board, for a worker with a seat.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.board.as_ref().map(AsFd::as_fd)
    }

    /// Settings were taken over, or refused.
    pub(super) fn note_reload(&mut self, is_success: bool) {
        let Some(board) = &self.board else { return };
        let mut unix_ms = board.reload().unwrap_or_default().unix_ms;
        if is_success {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            unix_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        }
        // As in `leave_seat`.
        _ = board.set_reload(Reload { is_success, unix_ms });
    }

    /// Describes it to a later program of this process, with the seats of these workers.
    pub(super) fn describe<'l>(
        &'l self,
        seats: impl Iterator<Item = Option<usize>>,
        to: &mut Fields,
        descriptors: &mut Vec<BorrowedFd<'l>>,
    ) {
        let Some(board) = &self.board else { return };
        descriptors.push(board.as_fd());
        to.put_number(board.reload().unwrap_or_default().unix_ms);
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
        let (Some(file), Some(unix_ms)) = (descriptors.next(), reloaded) else {
            return without_seats(Ledger::new());
        };
        match Board::adopt(File::from(file)) {
            Ok(Ok(board)) => {
                let seats = (0..workers).map(|_| from.take_number().filter(|seat| *seat > 0));
                let seats = seats.collect();
                (Ledger { board: Some(board) }, seats)
            }
            Ok(Err(past)) => {
                let ledger = Ledger::new();
                if let Some(board) = &ledger.board {
                    // As in `leave_seat`.
                    _ = board.add(&past);
                    _ = board.set_reload(Reload { unix_ms, ..Reload::default() });
                }
                without_seats(ledger)
            }
            Err(_) => without_seats(Ledger::new()),
        }
    }
}

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
        let reload = |ledger: &Ledger| ledger.board.as_ref().unwrap().reload().unwrap();
        assert!(reload(&ledger).unix_ms > 0);
        assert_eq!(reload(&later), reload(&ledger));
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
