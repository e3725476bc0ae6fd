//! A users file: lines of `name:hash`, as `htpasswd -B` writes them.
//!
//! A file is accepted as a whole or not at all: a user whose line is wrong would be locked out
//! without notice.

use std::borrow::Cow;
use std::fmt;

use super::hash::{Hash, without_password};

/// The users of one file.
pub struct Users {
    /// In the order of their names.
    users: Vec<User>,
    /// Chooses the hash for an unknown name. It is made from the file, so no client knows it, and
    /// it changes only with the file.
    key: [u8; 32],
}

#[derive(Debug)]
struct User {
    name: Box<[u8]>,
    hash: Box<str>,
}

/// The hash that the password of a user is compared with.
pub struct Stored<'u> {
    /// The hash.
    pub(super) hash: Cow<'u, str>,
    /// False if there is no such user: no password is right.
    pub(super) is_known: bool,
}

/// An error in a users file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The number of the line, counted from 1; 0 if the file as a whole is wrong.
    pub line: usize,
    /// What is wrong, and how to fix it. It contains no hash, and no password that stands in the
    /// place of one.
    pub what: String,
}

impl Users {
    /// Reads a users file. Blank lines, lines that begin with `#`, blanks around a line, and a byte
    /// order mark are ignored.
    ///
    /// # Errors
    /// The problems, at most [`PROBLEMS_MAX`].
    pub fn parse(text: &[u8]) -> Result<Users, Vec<Problem>> {
        let problem = |line, what: &str| Problem { line, what: what.to_owned() };
        if text.len() > FILE_MAX {
            let what = format!("the file has more than {FILE_MAX} bytes; split it");
            return Err(vec![Problem { line: 0, what }]);
        }
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            match User::parse(line) {
                Ok(user) => found.push((user, index + 1)),
                Err(what) => problems.push(Problem { line: index + 1, what }),
            }
        }
        if found.len() > USERS_MAX {
            let what = format!("the file has more than {USERS_MAX} users; split it");
            problems.push(Problem { line: 0, what });
        }
        // Stable: of two lines with one name, the later one is reported.
        found.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        for pair in found.windows(2) {
            let [(one, _), (other, line)] = pair else { continue };
            if one.name == other.name {
                let what = format!(
                    "user '{}' is there twice; remove one of the lines",
                    other.name.escape_ascii()
                );
                problems.push(Problem { line: *line, what });
            }
        }
        if found.is_empty() && problems.is_empty() {
            problems.push(problem(0, "there is no user; add one with `htpasswd -B FILE NAME`"));
        }
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.line);
            problems.truncate(PROBLEMS_MAX);
            return Err(problems);
        }
        let users = found.into_iter().map(|(user, _)| user).collect();
        Ok(Users { users, key: *blake3::hash(text).as_bytes() })
    }

    /// The hash to compare the password of this user with. An unknown user gets the hash of a user
    /// with its digest replaced: to verify it takes as long. If the hashes of the file differ in
    /// cost, so do those of unknown users, in the same proportion, and one name always has the same
    /// cost. So the time of a verification does not reveal whether the user exists.
    pub fn find(&self, name: &[u8]) -> Stored<'_> {
        match self.users.binary_search_by(|user| (*user.name).cmp(name)) {
            Ok(index) => Stored { hash: Cow::Borrowed(&self.users[index].hash), is_known: true },
            Err(_) => {
                let chance = blake3::keyed_hash(&self.key, name);
                let chance =
                    u64::from_le_bytes(*chance.as_bytes().first_chunk().unwrap_or(&[0; 8]));
                let model = &self.users[index_below(chance, self.users.len())];
                Stored { hash: Cow::Owned(without_password(&model.hash)), is_known: false }
            }
        }
    }
}

/// Keeps names and hashes out of logs.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.users.len())
    }
}

impl fmt::Debug for Stored<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stored(..)")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.what),
            line => write!(f, "line {line}: {}", self.what),
        }
    }
}

impl User {
    /// Reads a line that is neither blank nor a comment.
    fn parse(line: &[u8]) -> Result<User, String> {
        let Some(colon) = memchr::memchr(b':', line) else {
            return Err("expected name:hash; add the user with `htpasswd -B FILE NAME`".to_owned());
        };
        let (name, hash) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || name.len() > NAME_MAX || name.iter().any(u8::is_ascii_control) {
            return Err(format!(
                "the name is empty, longer than {NAME_MAX} bytes, or has a control character; \
                 choose another name"
            ));
        }
        // A text that is too long or not in UTF-8 is no hash; the parser says so.
        let hash = std::str::from_utf8(hash).ok().filter(|hash| hash.len() <= HASH_MAX);
        let hash = hash.unwrap_or_default();
        Hash::parse(hash).map_err(|what| format!("user '{}': {what}", name.escape_ascii()))?;
        Ok(User { name: name.into(), hash: hash.into() })
    }
}

/// An index below `count`, as evenly as `chance` is distributed.
fn index_below(chance: u64, count: usize) -> usize {
    let product = u128::from(chance) * count as u128; // widening
    usize::try_from(product >> 64).unwrap_or(0)
}

/// The most bytes of a users file.
const FILE_MAX: usize = 1024 * 1024;

/// The most users of a file.
const USERS_MAX: usize = 10_000;

/// The most bytes of a name.
const NAME_MAX: usize = 255;

/// The most bytes of a hash. Those that are accepted are shorter.
pub(super) const HASH_MAX: usize = 256;

/// The most problems that are reported for a file.
pub const PROBLEMS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::super::tests::MADE_BY_OTHERS;
    use super::*;

    fn line(name: &str, index: usize) -> String {
        format!("{name}:{}\n", MADE_BY_OTHERS[index].0)
    }

    fn parse(text: &str) -> Result<Users, Vec<Problem>> {
        Users::parse(text.as_bytes())
    }

    #[test]
    fn a_file_may_have_comments_blank_lines_a_byte_order_mark_and_carriage_returns() {
        let text = format!(
            "\u{feff}# people\r\n\r\n  {}\r\n\t# more\n{}",
            line("zoë", 0).trim_end(),
            line("al ice", 3).trim_end()
        );
        let users = parse(&text).unwrap();
        assert_eq!(users.users.len(), 2);
        for (name, index) in [("zoë", 0), ("al ice", 3)] {
            let found = users.find(name.as_bytes());
            assert!(found.is_known);
            assert_eq!(found.hash, MADE_BY_OTHERS[index].0);
        }
        for name in ["", "zoe", "al", "# people", "Zoë"] {
            assert!(!users.find(name.as_bytes()).is_known, "{name}");
        }
    }

    #[test]
    fn a_wrong_line_is_reported_with_its_number_and_without_its_secret() {
        let long_name = "n".repeat(NAME_MAX + 1);
        let long_hash = "$".repeat(HASH_MAX + 1);
        let cases = [
            (String::new(), 0, "there is no user"),
            ("# nobody\n".to_owned(), 0, "there is no user"),
            (format!("{}secret", line("a", 0)), 2, "expected name:hash"),
            (format!("{}b:secret", line("a", 0)), 2, "user 'b': this is neither"),
            ("a:$apr1$secret$secret".to_owned(), 1, "user 'a': MD5"),
            ("a:{SHA}secret".to_owned(), 1, "user 'a': SHA-1"),
            (format!("{}{}{}", line("b", 0), line("a", 1), line("b", 2)), 3, "'b' is there twice"),
            (format!(":{}", MADE_BY_OTHERS[0].0), 1, "the name is empty"),
            (line("a\u{7f}b", 0), 1, "a control character"),
            (line(&long_name, 0), 1, "longer than 255 bytes"),
            (format!("a:{long_hash}"), 1, "user 'a': this is neither"),
            ("a:b\r\n".repeat(FILE_MAX), 0, "more than 1048576 bytes"),
        ];
        for (text, line, what) in cases {
            let problems = parse(&text).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].line, line, "{problems:?}");
            let shown = problems[0].to_string();
            assert!(shown.contains(what) && shown.contains("; "), "{shown}");
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn the_number_of_users_and_of_reported_problems_is_bounded() {
        let many: String = (0..=USERS_MAX).map(|number| line(&number.to_string(), 2)).collect();
        assert!(parse(&many).unwrap_err()[0].what.contains("more than 10000 users"));
        let problems = parse(&"secret\n".repeat(PROBLEMS_MAX + 1)).unwrap_err();
        assert_eq!(problems.len(), PROBLEMS_MAX);
        assert_eq!(problems[0].to_string().split(':').next(), Some("line 1"));
    }

    #[test]
    fn an_unknown_user_gets_a_hash_of_the_same_cost_in_the_proportion_of_the_file() {
        // Two users with bcrypt at cost 5, one with argon2id.
        let text = [line("a", 0), line("b", 0), line("c", 3)].concat();
        let users = parse(&text).unwrap();
        let names: Vec<String> = (0..300).map(|number| format!("user{number}")).collect();
        let hashes: Vec<_> = names.iter().map(|name| users.find(name.as_bytes())).collect();
        let count = |cost: &str| hashes.iter().filter(|found| found.hash.starts_with(cost)).count();
        let (bcrypt, argon2) = (count("$2y$05$"), count("$argon2id$v=19$m=64,t=1,p=1$"));
        assert!((180..220).contains(&bcrypt), "{bcrypt} of 300");
        assert_eq!(bcrypt + argon2, 300);
        assert!(!hashes.iter().any(|found| found.is_known));
        let again = parse(&text).unwrap();
        for (name, hash) in names.iter().zip(&hashes) {
            assert_eq!(again.find(name.as_bytes()).hash, hash.hash, "one name, one cost");
        }
    }

    #[test]
    fn names_and_hashes_are_not_in_the_debug_output() {
        let users = parse(&line("alice", 0)).unwrap();
        assert_eq!(format!("{users:?} {:?}", users.find(b"alice")), "Users(1) Stored(..)");
    }
}
