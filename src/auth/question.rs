//! A question to a helper process, and the bytes that carry it.
//!
//! A question is the length of the hash and that of the password, each in two bytes of little
//! endian, then both. The answer is one byte.

use std::fmt;

use zeroize::Zeroizing;

use crate::http::basic::{CREDENTIALS_MAX, Credentials};

use super::memory::{Fingerprint, Verdict};
use super::users::{HASH_MAX, Stored};

/// Whether a password belongs to a hash.
pub struct Question {
    pub(super) fingerprint: Fingerprint,
    /// The client that asks; see [`super::PoolBounds::per_asker`].
    pub(super) asker: u64,
    pub(super) frame: Frame,
    /// False: the user is unknown, and the verdict is never [`Verdict::Right`].
    is_known: bool,
}

impl Question {
    /// Whether the password of these credentials belongs to this hash. For an unknown user, the
    /// hash is one that takes as long.
    pub fn new(
        fingerprint: Fingerprint,
        asker: u64,
        credentials: &Credentials<'_>,
        stored: &Stored<'_>,
    ) -> Question {
        let frame = Frame::new(&stored.hash, credentials.password);
        Question { fingerprint, asker, frame, is_known: stored.is_known }
    }

    /// The meaning of a byte from the helper; `None`: it is no answer.
    pub(super) fn verdict(&self, answer: u8) -> Option<Verdict> {
        match answer {
            RIGHT if self.is_known => Some(Verdict::Right),
            RIGHT | WRONG => Some(Verdict::Wrong),
            FAILED => Some(Verdict::Failed),
            _ => None,
        }
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Question(..)")
    }
}

/// A question as bytes; overwritten when it is dropped.
pub(super) struct Frame(Zeroizing<Vec<u8>>);

impl Frame {
    fn new(hash: &str, password: &[u8]) -> Frame {
        // Both are bounded where they are read. The cut only protects the format.
        let hash = &hash.as_bytes()[..hash.len().min(HASH_MAX)];
        let password = &password[..password.len().min(CREDENTIALS_MAX)];
        // With its capacity at once: a buffer that grows leaves a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD + hash.len() + password.len()));
        for part in [hash, password] {
            bytes.extend_from_slice(&u16::try_from(part.len()).unwrap_or(0).to_le_bytes());
        }
        bytes.extend_from_slice(hash);
        bytes.extend_from_slice(password);
        Frame(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Where the parts of a question are, in a buffer that holds its beginning.
pub(super) enum Parsed<'b> {
    /// More bytes follow.
    Incomplete,
    /// The hash and the password, and how many bytes they take with their head.
    Complete { hash: &'b [u8], password: &'b [u8], length: usize },
    /// It is no question.
    Malformed,
}

/// Reads the question at the start of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some((&[a, b, c, d], rest)) = bytes.split_first_chunk::<HEAD>() else {
        return Parsed::Incomplete;
    };
    let (hash, password) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    let (hash, password) = (usize::from(hash), usize::from(password));
    if hash > HASH_MAX || password > CREDENTIALS_MAX {
        return Parsed::Malformed;
    }
    match rest.get(..hash + password) {
        None => Parsed::Incomplete,
        Some(both) => {
            let (hash, password) = both.split_at(hash);
            Parsed::Complete { hash, password, length: HEAD + both.len() }
        }
    }
}

/// The answers.
pub(super) const RIGHT: u8 = b'R';
pub(super) const WRONG: u8 = b'W';
pub(super) const FAILED: u8 = b'F';

/// The two lengths.
const HEAD: usize = 4;

/// The longest question.
pub(super) const FRAME_MAX: usize = HEAD + HASH_MAX + CREDENTIALS_MAX;

// An empty pipe takes a question at once: the smallest capacity of a pipe is 4 KiB.
const _: () = assert!(FRAME_MAX <= 4096);

#[cfg(test)]
mod tests {
    use super::super::memory::{MemoryBounds, Remembered};
    use super::super::tests::MADE_BY_OTHERS;
    use super::super::users::Users;
    use super::*;

    fn ask(user: &str, password: &[u8]) -> Question {
        let text = format!("alice:{}\n", MADE_BY_OTHERS[0].0);
        let users = Users::parse(text.as_bytes()).unwrap();
        let memory =
            Remembered::new(MemoryBounds { entries: 2, right_ms: 1, wrong_ms: 1 }).unwrap();
        let credentials = Credentials { user: user.as_bytes(), password };
        let stored = users.find(user.as_bytes());
        let fingerprint = memory.fingerprint(&credentials, &stored);
        Question::new(fingerprint, 7, &credentials, &stored)
    }

    #[test]
    fn the_question_for_an_unknown_user_costs_the_same_and_is_never_right() {
        let (known, unknown) = (ask("alice", b"x"), ask("mallory", b"x"));
        let (known_bytes, unknown_bytes) = (known.frame.bytes(), unknown.frame.bytes());
        assert_eq!(known_bytes.len(), unknown_bytes.len());
        // The lengths, `$2y$05$` and the salt.
        let same = HEAD + 29;
        assert_eq!(known_bytes[..same], unknown_bytes[..same]);
        assert_ne!(known_bytes[same..], unknown_bytes[same..]);
        for (answer, for_known, for_unknown) in [
            (RIGHT, Some(Verdict::Right), Some(Verdict::Wrong)),
            (WRONG, Some(Verdict::Wrong), Some(Verdict::Wrong)),
            (FAILED, Some(Verdict::Failed), Some(Verdict::Failed)),
            (0, None, None),
        ] {
            assert_eq!(known.verdict(answer), for_known);
            assert_eq!(unknown.verdict(answer), for_unknown);
        }
    }

    #[test]
    fn a_question_is_read_back_however_its_bytes_arrive() {
        let question = ask("alice", b"p:ss w\xf6rd");
        let bytes = question.frame.bytes();
        for end in 0..bytes.len() {
            assert!(matches!(parse(&bytes[..end]), Parsed::Incomplete), "{end}");
        }
        let Parsed::Complete { hash, password, length } = parse(bytes) else { unreachable!() };
        assert_eq!((hash, password), (MADE_BY_OTHERS[0].0.as_bytes(), &b"p:ss w\xf6rd"[..]));
        assert_eq!(length, bytes.len());
    }

    #[test]
    fn lengths_beyond_the_bounds_are_no_question() {
        for head in [[1, 1, 0, 0], [0, 0, 1, 3], [255; 4]] {
            assert!(matches!(parse(&head), Parsed::Malformed), "{head:?}");
        }
        let longest = Frame::new(&"$".repeat(HASH_MAX + 1), &[b'x'; CREDENTIALS_MAX + 1]);
        assert_eq!(longest.bytes().len(), FRAME_MAX);
        assert!(matches!(parse(longest.bytes()), Parsed::Complete { length: FRAME_MAX, .. }));
    }

    #[test]
    fn the_password_is_not_in_the_debug_output() {
        assert_eq!(format!("{:?}", ask("alice", b"secret")), "Question(..)");
    }
}
