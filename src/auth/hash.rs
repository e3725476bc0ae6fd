//! Hashes of passwords, as text: which forms are accepted, and what each costs to verify.
//!
//! The bounds keep one verification below about two seconds and 256 MiB. The server checks them
//! when it reads a users file; the helper process checks them again.

use std::num::NonZero;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64ct::{Base64Unpadded, Encoding};
use zeroize::{Zeroize, Zeroizing};

/// A hash that can be verified.
#[derive(Clone, Debug)]
pub(super) enum Hash<'t> {
    /// `$2y$`, `$2b$` or `$2a$`, which mean the same.
    Bcrypt {
        /// All of it.
        text: &'t str,
    },
    /// `$argon2id$v=19$`.
    Argon2id { params: Params, salt: Vec<u8>, digest: Vec<u8> },
}

impl Hash<'_> {
    /// Reads a hash.
    ///
    /// # Errors
    /// Why it is not accepted, and what to do. The text does not repeat any part of the hash: it
    /// may be a password by mistake.
    pub(super) fn parse(text: &str) -> Result<Hash<'_>, String> {
        let (scheme, rest) = match text.strip_prefix('$').and_then(|rest| rest.split_once('$')) {
            Some(("2a" | "2b" | "2y", _)) => return bcrypt(text),
            Some((scheme, rest)) => (scheme, rest),
            None => ("", text),
        };
        let what = match scheme {
            "argon2id" => return argon2id(rest),
            "argon2i" | "argon2d" => "this variant of argon2 is not supported, only argon2id",
            "2x" => "this variant of bcrypt has a known error",
            "apr1" | "1" => "MD5 hashes can be broken too quickly",
            "5" | "6" | "y" | "7" => "hashes of crypt(3) are not supported",
            _ if text.starts_with("{SHA") => "SHA-1 hashes can be broken too quickly",
            _ => "this is neither a bcrypt nor an argon2id hash",
        };
        Err(format!("{what}; {ADVICE}"))
    }

    /// Whether this is the password. This is the call that takes long.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub(super) fn verify(&self, password: &[u8]) -> Result<bool, Failed> {
        match self {
            // bcrypt uses 72 bytes of a password, here as in every other program.
            Hash::Bcrypt { text } => bcrypt::verify(password, text).map_err(|_| Failed),
            Hash::Argon2id { params, salt, digest } => {
                let mut memory = Memory(Vec::new());
                memory.0.try_reserve_exact(params.block_count()).map_err(|_| Failed)?;
                memory.0.resize(params.block_count(), Block::default());
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
                let mut found = Zeroizing::new(vec![0; digest.len()]);
                argon2
                    .hash_password_into_with_memory(password, salt, &mut found, &mut memory.0)
                    .map_err(|_| Failed)?;
                // To compare the hashes of both takes the same time wherever they differ.
                Ok(blake3::hash(&found) == blake3::hash(digest))
            }
        }
    }
}

/// A hash of the same cost that no password has: the digest is replaced by zeros. `text` is a hash
/// that [`Hash::parse`] accepts.
pub(super) fn without_password(text: &str) -> String {
    let (zero, digits) = if text.starts_with("$2") {
        (".", BCRYPT_DIGEST)
    } else {
        ("A", text.len() - text.rfind('$').map_or(0, |at| at + 1))
    };
    let keep = text.len().saturating_sub(digits);
    [&text[..keep], &zero.repeat(digits)].concat()
}

/// The verification could not be made.
#[derive(Debug)]
pub(super) struct Failed;

/// The blocks that argon2 fills; overwritten when they are dropped.
struct Memory(Vec<Block>);

impl Drop for Memory {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(Zeroize::zeroize);
    }
}

fn bcrypt(text: &str) -> Result<Hash<'_>, String> {
    let malformed = |_| format!("this bcrypt hash is malformed or cut off; {ADVICE}");
    let parts: bcrypt::HashParts = text.parse().map_err(malformed)?;
    let cost = parts.get_cost();
    if !(BCRYPT_MIN..=BCRYPT_MAX).contains(&cost) {
        return Err(format!(
            "bcrypt cost {cost} is not between {BCRYPT_MIN} and {BCRYPT_MAX}, and a higher one \
             takes seconds; make a new hash with `htpasswd -B -C 10 FILE NAME`"
        ));
    }
    Ok(Hash::Bcrypt { text })
}

/// Reads what follows `$argon2id$`.
fn argon2id(rest: &str) -> Result<Hash<'_>, String> {
    let malformed = || {
        "this argon2id hash is malformed, cut off or not of version 19; make a new one".to_owned()
    };
    let mut parts = rest.split('$');
    let mut part = || parts.next();
    let (Some("v=19"), Some(costs), Some(salt), Some(digest), None) =
        (part(), part(), part(), part(), part())
    else {
        return Err(malformed());
    };
    let mut costs = costs.split(',');
    let mut cost = |name: &str| number(costs.next()?.strip_prefix(name)?);
    let (Some(memory), Some(passes), Some(lanes)) = (cost("m="), cost("t="), cost("p=")) else {
        return Err(malformed());
    };
    let bytes = |text| Base64Unpadded::decode_vec(text).map_err(|_| malformed());
    let (has_more, salt, digest) = (costs.next().is_some(), bytes(salt)?, bytes(digest)?);
    if has_more || !(8..=64).contains(&salt.len()) || !(16..=64).contains(&digest.len()) {
        return Err(malformed());
    }
    let work = u64::from(memory) * u64::from(passes);
    if memory > MEMORY_KIB_MAX || lanes > LANES_MAX || work > WORK_KIB_MAX {
        return Err(format!(
            "argon2id m={memory},t={passes},p={lanes} is too much: m is at most \
             {MEMORY_KIB_MAX}, p at most {LANES_MAX}, and m times t at most {WORK_KIB_MAX}; make a \
             new hash, for example with m=19456,t=2,p=1"
        ));
    }
    let params = Params::new(memory, passes, lanes, Some(digest.len())).map_err(|_| malformed())?;
    Ok(Hash::Argon2id { params, salt, digest })
}

/// A decimal number as argon2 writes it: no sign, no leading zero.
fn number(text: &str) -> Option<u32> {
    let is_plain = !text.starts_with(['+', '0']);
    let number: Option<NonZero<u32>> = text.parse().ok().filter(|_| is_plain);
    number.map(NonZero::get)
}

const ADVICE: &str = "make a new one with `htpasswd -B FILE NAME`";

/// 2^cost rounds. At 15, a verification takes one to two seconds.
const BCRYPT_MIN: u32 = 4;
const BCRYPT_MAX: u32 = 15;

/// Characters of the digest, the last part of a bcrypt hash.
const BCRYPT_DIGEST: usize = 31;

/// Memory of one verification, in KiB.
const MEMORY_KIB_MAX: u32 = 256 * 1024;

/// They are computed one after the other: there is one thread.
const LANES_MAX: u32 = 16;

/// Memory times passes, in KiB: one to two seconds.
const WORK_KIB_MAX: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::super::tests::MADE_BY_OTHERS;
    use super::*;

    #[test]
    fn hashes_made_by_other_programs_are_verified() {
        for (text, password) in MADE_BY_OTHERS {
            let hash = Hash::parse(text).unwrap();
            assert!(hash.verify(password.as_bytes()).unwrap(), "{text}");
            for wrong in [format!("{password} "), format!("x{password}"), "x".to_owned()] {
                assert!(!hash.verify(wrong.as_bytes()).unwrap(), "{text} {wrong}");
            }
        }
        // The same hash under its other names.
        let text = MADE_BY_OTHERS[0].0;
        for name in ["$2a$", "$2b$"] {
            let text = text.replace("$2y$", name);
            assert!(Hash::parse(&text).unwrap().verify(b"wonderland").unwrap(), "{text}");
        }
    }

    #[test]
    fn bcrypt_uses_72_bytes_of_a_password() {
        // Made by `htpasswd -nbB -C 4` from 72 times `a`.
        let hash = Hash::parse(LONG).unwrap();
        assert!(!hash.verify(&[b'a'; 71]).unwrap());
        assert!(hash.verify(&[b'a'; 72]).unwrap());
        assert!(hash.verify(&[b'a'; 700]).unwrap());
    }

    const LONG: &str = "$2y$04$XaKvnlNuQumSg/Rp8A.WQeWEqcw9Exhdf/NuJEw1R7XD2V.urHkb6";

    #[test]
    fn other_hashes_are_refused_with_a_reason_and_without_their_text() {
        let bcrypt = |cost: &str| MADE_BY_OTHERS[0].0.replace("$05$", cost);
        let argon2 = |costs: &str| MADE_BY_OTHERS[3].0.replace("m=64,t=1,p=1", costs);
        let cases = [
            ("secret".to_owned(), "neither a bcrypt nor an argon2id"),
            (String::new(), "neither"),
            ("$".to_owned(), "neither"),
            ("$secret$".to_owned(), "neither"),
            ("pBow1smb/gY9A".to_owned(), "neither"),
            ("{SHA}lcsL/Sl3x2EpjZYk5LTUxyo5l0o=".to_owned(), "SHA-1"),
            ("$apr1$HoMeYZAU$lOfW6t30X4HgreBi0TiKc/".to_owned(), "MD5"),
            ("$1$HoMeYZAU$lOfW6t30X4HgreBi0TiKc/".to_owned(), "MD5"),
            ("$6$ZTcbNYgQxguxnaae$VD5NE9amm2".to_owned(), "crypt(3)"),
            (bcrypt("$05$").replace("$2y$", "$2x$"), "known error"),
            (bcrypt("$03$"), "cost 3 is not between 4 and 15"),
            (bcrypt("$16$"), "cost 16 is not between 4 and 15"),
            (bcrypt("$5$"), "malformed"),
            (bcrypt("$05$")[..59].to_owned(), "malformed"),
            (bcrypt("$05$").replace("DMRM", "DM M"), "malformed"),
            (bcrypt("$05$").replace("DMRM", "DMüM"), "malformed"),
            (MADE_BY_OTHERS[3].0.replace("argon2id", "argon2i"), "only argon2id"),
            (MADE_BY_OTHERS[3].0.replace("v=19", "v=16"), "malformed"),
            (MADE_BY_OTHERS[3].0.replace("$v=19", ""), "malformed"),
            (MADE_BY_OTHERS[3].0.replace("c2FsdHNhbHRzYWx0", "c2FsdA"), "malformed"),
            (format!("{}=", MADE_BY_OTHERS[3].0), "malformed"),
            (format!("{}$", MADE_BY_OTHERS[3].0), "malformed"),
            (argon2("m=7,t=1,p=1"), "malformed"),
            (argon2("m=064,t=1,p=1"), "malformed"),
            (argon2("m=+64,t=1,p=1"), "malformed"),
            (argon2("m=64,t=0,p=1"), "malformed"),
            (argon2("m=64,p=1,t=1"), "malformed"),
            (argon2("m=64,t=1"), "malformed"),
            (argon2("m=64,t=1,p=1,keyid=AA"), "malformed"),
            (argon2("m=262145,t=1,p=1"), "too much"),
            (argon2("m=262144,t=5,p=1"), "too much"),
            (argon2("m=1024,t=1,p=17"), "too much"),
            (argon2("m=64,t=4294967295,p=1"), "too much"),
        ];
        for (text, expected) in cases {
            let error = Hash::parse(&text).unwrap_err();
            assert!(error.contains(expected) && error.contains("; make a new"), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_hash_without_a_password_differs_in_its_digest_only() {
        for (text, password) in MADE_BY_OTHERS {
            let other = without_password(text);
            assert_eq!(other.len(), text.len());
            let digest = if text.starts_with("$2") { 29 } else { text.rfind('$').unwrap() + 1 };
            assert_eq!(other[..digest], text[..digest]);
            assert!(!Hash::parse(&other).unwrap().verify(password.as_bytes()).unwrap(), "{other}");
        }
    }
}
