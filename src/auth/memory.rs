//! The memory of recent verdicts: a page with fifty images needs one verification.
//!
//! An entry is a keyed hash of user, password and stored hash, and the verdict. The key is random
//! and never leaves the process. Because the stored hash is part of the entry, a changed password
//! and a removed user take effect as soon as the users file is read.
//!
//! Wrong passwords are remembered as well, for a shorter time and in a table of their own. The
//! request that waits for a verdict finds it there, and repeated attempts of a browser need no
//! further verification. This locks nobody out: only the same wrong password is refused from
//! memory, for known and unknown users alike, and a flood of wrong passwords evicts no right one.

use std::collections::HashMap;
use std::fmt;
use std::io;

use zeroize::Zeroizing;

use crate::clock::Tick;
use crate::http::basic::Credentials;

use super::users::Stored;

/// The result of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is that of the user.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// It could not be verified.
    Failed,
}

/// Identifies user, password and stored hash without revealing them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

/// The verdicts remembered.
pub struct Remembered {
    key: Zeroizing<[u8; 32]>,
    right: Table,
    /// The other verdicts.
    other: Table,
    bounds: MemoryBounds,
}

/// How much is remembered, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct MemoryBounds {
    /// Right passwords, and as many wrong ones; at least 2.
    pub entries: usize,
    /// How long a right password is remembered, in milliseconds. It is then verified again.
    pub right_ms: u64,
    /// How long a wrong password is remembered, in milliseconds.
    pub wrong_ms: u64,
}

impl Remembered {
    /// An empty memory with a new key.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn new(bounds: MemoryBounds) -> io::Result<Remembered> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key)?;
        Ok(Remembered { key, right: Table::default(), other: Table::default(), bounds })
    }

    /// Identifies these credentials. The verdict depends on nothing else, so users files need not
    /// be told apart.
    pub fn fingerprint(&self, credentials: &Credentials<'_>, stored: &Stored<'_>) -> Fingerprint {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // With its length before it, no part can be continued by the next one.
        for part in [credentials.user, credentials.password, stored.hash.as_bytes()] {
            hasher.update(&part.len().to_le_bytes()).update(part);
        }
        let fingerprint = Fingerprint(*hasher.finalize().as_bytes());
        zeroize::Zeroize::zeroize(&mut hasher);
        fingerprint
    }

    /// The verdict, if it is remembered. Allocates nothing.
    pub fn look_up(&self, fingerprint: &Fingerprint, now: Tick) -> Option<Verdict> {
        let right = self.right.get(fingerprint, now);
        right.or_else(|| self.other.get(fingerprint, now))
    }

    /// Remembers a verdict. When the table is full, the older half of it is dropped.
    pub fn remember(&mut self, fingerprint: Fingerprint, verdict: Verdict, now: Tick) {
        let (table, ms) = match verdict {
            Verdict::Right => (&mut self.right, self.bounds.right_ms),
            Verdict::Wrong => (&mut self.other, self.bounds.wrong_ms),
            Verdict::Failed => (&mut self.other, FAILED_MS),
        };
        table.insert(fingerprint, (verdict, now + ms), self.bounds.entries / 2);
    }
}

/// The key is a secret.
impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remembered({} right)", self.right.len())
    }
}

/// A bounded table in two generations.
#[derive(Default)]
struct Table {
    newer: HashMap<Fingerprint, (Verdict, Tick)>,
    older: HashMap<Fingerprint, (Verdict, Tick)>,
}

impl Table {
    fn get(&self, fingerprint: &Fingerprint, now: Tick) -> Option<Verdict> {
        // The newer entry first: the older one may be over.
        let found = self.newer.get(fingerprint).or_else(|| self.older.get(fingerprint));
        found.filter(|(_, until)| now < *until).map(|(verdict, _)| *verdict)
    }

    fn insert(&mut self, fingerprint: Fingerprint, entry: (Verdict, Tick), half: usize) {
        if self.newer.len() >= half {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(fingerprint, entry);
    }

    fn len(&self) -> usize {
        self.newer.len() + self.older.len()
    }
}

/// How long a failure is remembered: long enough to reach the requests that wait for the verdict.
const FAILED_MS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::super::tests::MADE_BY_OTHERS;
    use super::super::users::Users;
    use super::*;

    const BOUNDS: MemoryBounds = MemoryBounds { entries: 8, right_ms: 100, wrong_ms: 10 };

    fn memory() -> Remembered {
        Remembered::new(BOUNDS).unwrap()
    }

    fn print(memory: &Remembered, user: &str, password: &str, users: &Users) -> Fingerprint {
        let (user, password) = (user.as_bytes(), password.as_bytes());
        memory.fingerprint(&Credentials { user, password }, &users.find(user))
    }

    fn users(hashes: &[usize]) -> Users {
        let line =
            |(name, index): (usize, &usize)| format!("u{name}:{}\n", MADE_BY_OTHERS[*index].0);
        Users::parse(hashes.iter().enumerate().map(line).collect::<String>().as_bytes()).unwrap()
    }

    #[test]
    fn each_verdict_is_remembered_for_its_time() {
        let mut memory = memory();
        let users = users(&[0]);
        let start = Tick(1000);
        for (verdict, ms) in [
            (Verdict::Right, BOUNDS.right_ms),
            (Verdict::Wrong, BOUNDS.wrong_ms),
            (Verdict::Failed, FAILED_MS),
        ] {
            let print = print(&memory, "u0", &format!("{verdict:?}"), &users);
            assert_eq!(memory.look_up(&print, start), None);
            memory.remember(print, verdict, start);
            assert_eq!(memory.look_up(&print, start + (ms - 1)), Some(verdict));
            assert_eq!(memory.look_up(&print, start + ms), None);
            memory.remember(print, verdict, start + ms);
            assert_eq!(memory.look_up(&print, start + ms), Some(verdict));
        }
    }

    #[test]
    fn a_fingerprint_stands_for_one_user_password_stored_hash_and_process() {
        let one = memory();
        let before = users(&[0, 0]);
        let (after, again, more) = (users(&[1, 0]), users(&[0, 0]), users(&[0, 0, 0]));
        let print = |user: &str, password: &str, users: &Users| print(&one, user, password, users);
        let base = print("u0", "x", &before);
        assert_eq!(base, print("u0", "x", &again));
        assert_ne!(base, print("u1", "x", &before), "another user with the same hash");
        assert_ne!(base, print("u0", "y", &before));
        assert_ne!(base, print("u0", "x", &after), "a changed password");
        assert_ne!(print("u0x", "", &before), base, "the parts are separate");
        assert_ne!(print("u2", "x", &more), print("u2", "x", &before), "a new user");
        let credentials = Credentials { user: b"u0", password: b"x" };
        assert_ne!(base, memory().fingerprint(&credentials, &before.find(b"u0")), "random key");
    }

    #[test]
    fn a_flood_of_wrong_passwords_evicts_no_right_one_and_stays_bounded() {
        let mut memory = memory();
        let (users, now) = (users(&[0]), Tick(0));
        let right = print(&memory, "u0", "right", &users);
        memory.remember(right, Verdict::Right, now);
        for number in 0..1000 {
            let wrong = print(&memory, "u0", &number.to_string(), &users);
            memory.remember(wrong, Verdict::Wrong, now);
            assert_eq!(memory.look_up(&wrong, now), Some(Verdict::Wrong));
            assert!(memory.other.len() <= BOUNDS.entries);
        }
        assert_eq!(memory.look_up(&right, now), Some(Verdict::Right));
    }

    #[test]
    fn a_look_up_allocates_nothing() {
        let mut memory = memory();
        let (users, now) = (users(&[0]), Tick(0));
        let right = print(&memory, "u0", "right", &users);
        memory.remember(right, Verdict::Right, now);
        let info = allocation_counter::measure(|| {
            let print = print(&memory, "u0", "right", &users);
            assert_eq!(memory.look_up(&print, now), Some(Verdict::Right));
        });
        assert_eq!(info.count_total, 0);
    }

    #[test]
    fn the_key_is_not_in_the_debug_output() {
        let memory = memory();
        let print = print(&memory, "u0", "x", &users(&[0]));
        assert_eq!(format!("{memory:?} {print:?}"), "Remembered(0 right) Fingerprint(..)");
    }
}
