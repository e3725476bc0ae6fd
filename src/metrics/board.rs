//! How the processes of one server see the values of each other.
//!
//! A [`Board`] is a file without a name that the supervisor and all workers share. Each worker has
//! a [`Seat`], where it writes its values several times a second and at its end; the worker that is
//! asked reads all seats. So there are no questions to wait for, and no process reads what another
//! one sends. When a worker has ended, the supervisor adds its counters to seat 0, which has those
//! of all processes of the past.
//!
//! ```text
//! | magic, moves, seats, reload | length of names | names of the cells | seat 0 | seat 1 | ...
//! ```
//!
//! A seat is a mark and the cells of a [`Snapshot`], numbers of 64 bits. Each seat has one writer.
//! Only the supervisor moves values from one seat to another; `moves` is odd meanwhile, and a
//! reader that sees it change reads again.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use super::snapshot::Snapshot;

/// How the last reload, or the start, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// The settings are used.
    pub is_success: bool,
    /// When settings were last taken over, in milliseconds since 1970.
    pub unix_ms: u64,
}

impl Default for Reload {
    fn default() -> Reload {
        Reload { is_success: true, unix_ms: 0 }
    }
}

/// The shared file.
#[derive(Debug)]
pub struct Board {
    file: File,
    /// Offset of seat 0.
    seats_at: u64,
}

/// The place of one process on the board.
#[derive(Debug)]
pub struct Seat {
    board: Board,
    number: usize,
}

const MAGIC: u64 = u64::from_le_bytes(*b"tenkay/1");
const MOVES_AT: u64 = 8;
const SEATS_AT: u64 = 16;
const RELOAD_AT: u64 = 24;
const NAMES_AT: u64 = 48;

/// Most bytes of the names of another version.
const NAMES_MOST: u64 = 1 << 20;

/// Most seats: the workers of all generations that may run at a time fit.
const SEATS_MOST: u64 = 16_384;

/// The mark of a seat whose process runs.
const TAKEN: u64 = 1;

/// Attempts to read all seats while none is moved. A move takes microseconds.
const ATTEMPTS: usize = 8;

impl Board {
    /// Makes an empty file a board.
    ///
    /// # Errors
    /// Those of the system.
    pub fn create(file: File) -> io::Result<Board> {
        let names = Snapshot::names().join("\n");
        let board = Board { file, seats_at: seats_at(names.len() as u64) }; // widening
        board.put(NAMES_AT, &[names.len() as u64])?; // widening
        board.file.write_all_at(names.as_bytes(), NAMES_AT + 8)?;
        board.write_seat(0, 0, &Snapshot::default())?;
        board.put(0, &[MAGIC, 0, 1])?;
        board.set_reload(Reload::default())?;
        Ok(board)
    }

    /// The board in this file. `Err`: it is one of another version, with its counters of the past
    /// and of all seats so far, as far as this version knows them.
    ///
    /// # Errors
    /// Those of the system; or the file is no board.
    pub fn adopt(file: File) -> io::Result<Result<Board, Snapshot>> {
        let mut board = Board { file, seats_at: 0 };
        let header = board.get(0, 3)?;
        let length = board.get(NAMES_AT, 1)?[0];
        if header[0] != MAGIC || length > NAMES_MOST || header[2] > SEATS_MOST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut names = vec![0; usize::try_from(length).unwrap_or(0)];
        board.file.read_exact_at(&mut names, NAMES_AT + 8)?;
        board.seats_at = seats_at(length);
        let own = Snapshot::names();
        if names == own.join("\n").as_bytes() {
            return Ok(Ok(board));
        }
        let names = String::from_utf8_lossy(&names);
        let names: Vec<&str> = names.lines().collect();
        let mut sum = Snapshot::default();
        for number in 0..header[2] {
            let at = board.seats_at + number * seat_bytes(names.len());
            let Ok(cells) = board.get(at + 8, names.len()) else { continue };
            let cell = |name: &String| names.iter().position(|other| other == name);
            let known = own.iter().map(|name| cell(name).map_or(0, |index| cells[index]));
            let Some(mut seat) = Snapshot::from_cells(known.collect()) else { continue };
            seat.retire();
            sum.join(&seat);
        }
        Ok(Err(sum))
    }

    /// Prepares the first free seat for a new process, and returns its number.
    ///
    /// # Errors
    /// Those of the system; or all seats are taken.
    pub fn open_seat(&self) -> io::Result<usize> {
        let seats = self.get(SEATS_AT, 1)?[0];
        let mut number = 1;
        while number < seats && self.get(self.at(number), 1)?[0] == TAKEN {
            number += 1;
        }
        if number >= SEATS_MOST {
            return Err(io::Error::other("too many workers for the metrics"));
        }
        self.write_seat(number, TAKEN, &Snapshot::default())?;
        self.put(SEATS_AT, &[seats.max(number + 1)])?;
        usize::try_from(number).map_err(io::Error::other)
    }

    /// The process of a seat has ended: its counters belong to the past.
    ///
    /// # Errors
    /// Those of the system.
    pub fn close_seat(&self, number: usize) -> io::Result<()> {
        let number = number as u64; // widening
        let (_, mut last) = self.read_seat(number)?;
        last.retire();
        self.add_to_past(&last, Some(number))
    }

    /// Adds counters of processes that have ended.
    ///
    /// # Errors
    /// Those of the system.
    pub fn add(&self, counters: &Snapshot) -> io::Result<()> {
        self.add_to_past(counters, None)
    }

    fn add_to_past(&self, counters: &Snapshot, seat: Option<u64>) -> io::Result<()> {
        let (_, mut past) = self.read_seat(0)?;
        past.join(counters);
        let moves = self.get(MOVES_AT, 1)?[0] & !1;
        self.put(MOVES_AT, &[moves + 1])?;
        let written = self.write_seat(0, 0, &past).and_then(|()| match seat {
            Some(number) => self.write_seat(number, 0, &Snapshot::default()),
            None => Ok(()),
        });
        self.put(MOVES_AT, &[moves + 2])?;
        written
    }

    /// Notes how a reload ended.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_reload(&self, reload: Reload) -> io::Result<()> {
        self.put(RELOAD_AT, &[u64::from(reload.is_success), reload.unix_ms])
    }

    /// How the last reload ended.
    ///
    /// # Errors
    /// Those of the system.
    pub fn reload(&self) -> io::Result<Reload> {
        let words = self.get(RELOAD_AT, 2)?;
        Ok(Reload { is_success: words[0] != 0, unix_ms: words[1] })
    }

    /// The sum of the past and of all seats but this one.
    fn sum_without(&self, except: usize) -> io::Result<Snapshot> {
        let mut sum = Snapshot::default();
        for _ in 0..ATTEMPTS {
            let header = self.get(MOVES_AT, 2)?;
            sum = Snapshot::default();
            for number in 0..header[1].min(SEATS_MOST) {
                if number != except as u64 {
                    let (mark, seat) = self.read_seat(number)?;
                    if mark == TAKEN || number == 0 {
                        sum.join(&seat);
                    }
                }
            }
            if header[0] & 1 == 0 && self.get(MOVES_AT, 1)?[0] == header[0] {
                break;
            }
        }
        Ok(sum)
    }

    fn write_seat(&self, number: u64, mark: u64, values: &Snapshot) -> io::Result<()> {
        self.put(self.at(number), &[&[mark], values.cells()].concat())
    }

    fn read_seat(&self, number: u64) -> io::Result<(u64, Snapshot)> {
        let words = self.get(self.at(number), 1 + Snapshot::length())?;
        let snapshot = Snapshot::from_cells(words[1..].to_vec()).unwrap_or_default();
        Ok((words[0], snapshot))
    }

    fn at(&self, number: u64) -> u64 {
        self.seats_at + number * seat_bytes(Snapshot::length())
    }

    fn put(&self, at: u64, words: &[u64]) -> io::Result<()> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.file.write_all_at(&bytes, at)
    }

    fn get(&self, at: u64, count: usize) -> io::Result<Vec<u64>> {
        let mut bytes = vec![0; count * 8];
        self.file.read_exact_at(&mut bytes, at)?;
        let words = bytes.as_chunks::<8>().0.iter();
        Ok(words.map(|word| u64::from_le_bytes(*word)).collect())
    }
}

impl AsFd for Board {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Seat {
    /// A seat that was opened for this process.
    pub fn new(board: Board, number: usize) -> Seat {
        Seat { board, number }
    }

    /// Shows the values of this process to the others.
    ///
    /// # Errors
    /// Those of the system.
    pub fn publish(&self, values: &Snapshot) -> io::Result<()> {
        self.board.write_seat(self.number as u64, TAKEN, values) // widening
    }

    /// The values of this process with those of all others, and how the last reload ended.
    ///
    /// # Errors
    /// Those of the system.
    pub fn sum(&self, own: &Snapshot) -> io::Result<(Snapshot, Reload)> {
        let mut sum = self.board.sum_without(self.number)?;
        sum.join(own);
        Ok((sum, self.board.reload()?))
    }
}

fn seats_at(names: u64) -> u64 {
    (NAMES_AT + 8 + names).next_multiple_of(8)
}

fn seat_bytes(cells: usize) -> u64 {
    8 * (1 + cells as u64) // widening
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metric;

    fn values(accepted: u64, idle: u64) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.set(Metric::Accepted, &[accepted]);
        snapshot.set(Metric::Connections, &[idle, 0, 0, 0, 0]);
        snapshot
    }

    fn seat(file: &File, number: usize) -> Seat {
        Seat::new(Board::adopt(file.try_clone().unwrap()).unwrap().unwrap(), number)
    }

    #[test]
    fn each_process_sees_the_sum_and_counters_outlive_their_process() {
        let file = tempfile::tempfile().unwrap();
        let board = Board::create(file.try_clone().unwrap()).unwrap();
        assert_eq!([board.open_seat().unwrap(), board.open_seat().unwrap()], [1, 2]);
        let (one, other) = (seat(&file, 1), seat(&file, 2));
        one.publish(&values(5, 1)).unwrap();
        other.publish(&values(7, 2)).unwrap();
        // Its own values are newer than what it has shown.
        assert_eq!(one.sum(&values(6, 1)).unwrap().0, values(13, 3));
        board.close_seat(2).unwrap();
        assert_eq!(one.sum(&values(6, 1)).unwrap().0, values(13, 1));
        assert_eq!(board.open_seat().unwrap(), 2);
        assert_eq!(other.sum(&values(0, 1)).unwrap().0, values(12, 2));
        let reload = Reload { is_success: false, unix_ms: 77 };
        board.set_reload(reload).unwrap();
        assert_eq!(one.sum(&values(0, 0)).unwrap().1, reload);
    }

    #[test]
    fn another_version_takes_over_the_counters_that_it_knows() {
        let file = tempfile::tempfile().unwrap();
        let board = Board::create(file.try_clone().unwrap()).unwrap();
        board.open_seat().unwrap();
        seat(&file, 1).publish(&values(5, 1)).unwrap();
        let names = Snapshot::names().join("\n");
        let others = names.replace("tenkay_cache_bytes", "tenkay_cache_bits_");
        file.write_all_at(others.as_bytes(), NAMES_AT + 8).unwrap();
        let known = Board::adopt(file).unwrap().unwrap_err();
        assert_eq!(known, values(5, 0));
    }

    #[test]
    fn a_file_that_is_no_board_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        assert!(Board::adopt(file.try_clone().unwrap()).is_err());
        file.write_all_at(&[7; 4096], 0).unwrap();
        assert!(Board::adopt(file).is_err());
    }

    #[test]
    fn the_number_of_seats_is_bounded() {
        let board = Board::create(tempfile::tempfile().unwrap()).unwrap();
        for number in 1..SEATS_MOST - 1 {
            board.put(board.at(number), &[TAKEN]).unwrap();
        }
        board.put(SEATS_AT, &[SEATS_MOST - 1]).unwrap();
        assert_eq!(board.open_seat().unwrap() as u64, SEATS_MOST - 1);
        assert!(board.open_seat().is_err());
    }
}
