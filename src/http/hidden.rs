//! Which names are never served, listed or admitted to exist.
//!
//! Owns the patterns of `hidden` and `hidden_except` and their comparison with the names of a
//! path. By default, names that begin with a dot are hidden: they tend to be repositories,
//! credentials and editor files that reach a web root by accident.

/// A pattern for one name: `*` stands for any number of characters, `?` for one. Compared with
/// case, and with the whole name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Box<[u8]>);

impl Glob {
    /// Parses a pattern.
    ///
    /// # Errors
    /// Why the pattern could never match a name: it is empty, or has a slash or a NUL.
    pub fn parse(pattern: &[u8]) -> Result<Glob, &'static str> {
        if pattern.is_empty() {
            return Err("a pattern for names must not be empty");
        }
        if pattern.contains(&b'/') {
            return Err("a pattern is compared with single names, so it must not have a slash");
        }
        if pattern.contains(&0) {
            return Err("no name has a NUL, so a pattern must not have one");
        }
        Ok(Glob(pattern.into()))
    }

    /// True if the pattern matches the whole name.
    ///
    /// When a comparison fails, only the last `*` before it can take more, so the cost is at most
    /// the product of both lengths.
    pub fn matches(&self, name: &[u8]) -> bool {
        let pattern = &self.0;
        let (mut at, mut name_at) = (0, 0);
        // The place after the last `*`, and where in the name its match ends for now.
        let mut star: Option<(usize, usize)> = None;
        while name_at < name.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    at += 1;
                    star = Some((at, name_at));
                }
                Some(b'?') => {
                    at += 1;
                    name_at += character_length(&name[name_at..]);
                }
                Some(byte) if *byte == name[name_at] => {
                    at += 1;
                    name_at += 1;
                }
                _ => {
                    let Some((after, end)) = star else { return false };
                    let end = end + character_length(&name[end..]);
                    star = Some((after, end));
                    (at, name_at) = (after, end);
                }
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

/// Bytes of the first character; a byte that is not part of valid UTF-8 counts as a character.
fn character_length(bytes: &[u8]) -> usize {
    let length = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let is_whole = bytes.get(..length).is_some_and(|bytes| str::from_utf8(bytes).is_ok());
    if is_whole { length } else { 1 }
}

/// The names that are hidden: those that match `hidden` and do not match `hidden_except`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    patterns: Box<[Glob]>,
    except: Box<[Glob]>,
}

impl Default for Hidden {
    /// Names that begin with a dot, except `/.well-known`.
    fn default() -> Hidden {
        let glob = |pattern: &[u8]| Glob(pattern.into());
        Hidden { patterns: [glob(b".*")].into(), except: [glob(WELL_KNOWN)].into() }
    }
}

impl Hidden {
    /// Hides the names that match one of `patterns` and none of `except`.
    pub fn new(patterns: Vec<Glob>, except: Vec<Glob>) -> Hidden {
        Hidden { patterns: patterns.into(), except: except.into() }
    }

    /// True if a name of a canonical path is hidden, at any depth: what is below a hidden
    /// directory is hidden, too.
    pub fn hides(&self, canonical: &[u8]) -> bool {
        let path = canonical.strip_prefix(b"/").unwrap_or(canonical);
        path.split(|byte| *byte == b'/')
            .enumerate()
            .any(|(depth, name)| !name.is_empty() && self.hides_name(name, depth == 0))
    }

    /// True if a name is absent from listings: it matches a pattern, excepted or not.
    pub fn is_unlisted(&self, name: &[u8]) -> bool {
        self.patterns.iter().any(|glob| glob.matches(name))
    }

    /// True if a single name is hidden. `at_root` says that it stands directly below the root,
    /// which is the only place where RFC 8615 gives `.well-known` a meaning: elsewhere, no
    /// exception applies to that name.
    fn hides_name(&self, name: &[u8], at_root: bool) -> bool {
        let matches = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(name));
        let may_be_excepted = at_root || name != WELL_KNOWN;
        matches(&self.patterns) && !(may_be_excepted && matches(&self.except))
    }
}

/// RFC 8615; certificate authorities look for their challenges below it.
const WELL_KNOWN: &[u8] = b".well-known";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn globs(patterns: &[&str]) -> Vec<Glob> {
        patterns.iter().map(|it| Glob::parse(it.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn names_that_begin_with_a_dot_are_hidden_by_default() {
        for (path, hidden) in [
            ("/", false),
            ("/a", false),
            ("/a.b/c.", false),
            ("/.git", true),
            ("/.git/config", true),
            ("/a/.b", true),
            ("/a/.b/", true),
            ("/a/.b/c", true),
            ("/...", true),
            ("/.well-known", false),
            ("/.well-known/", false),
            ("/.well-known/acme-challenge/x", false),
            ("/.well-known/.x", true),
            ("/.well-known/a/.x", true),
            ("/.well-known/.well-known", true),
            ("/.well-known2", true),
            ("/.well-know", true),
            ("/.Well-Known/a", true),
            ("/a/.well-known/b", true),
        ] {
            assert_eq!(Hidden::default().hides(path.as_bytes()), hidden, "{path}");
        }
    }

    #[test]
    fn names_are_hidden_by_patterns_unless_they_are_excepted() {
        let hidden = Hidden::new(globs(&[".*", "*~", "secret?.txt"]), globs(&[".treeinfo", ".n*"]));
        for (path, expected) in [
            ("/a~", true),
            ("/a~/b", true),
            ("/a~b", false),
            ("/secret1.txt", true),
            ("/d/secret\u{fc}.txt", true),
            ("/secret.txt", false),
            ("/secret12.txt", false),
            ("/.treeinfo", false),
            ("/os/.treeinfo", false),
            ("/.git/.treeinfo", true),
            ("/.treeinfo/.x", true),
            ("/.nojekyll", false),
            ("/.well-known/x", true),
        ] {
            assert_eq!(hidden.hides(path.as_bytes()), expected, "{path}");
        }
        let all = Hidden::new(globs(&["*"]), Vec::new());
        assert!(all.hides(b"/a") && all.hides(b"/a/") && !all.hides(b"/"));
        let none = Hidden::new(Vec::new(), globs(&["*"]));
        assert!(!none.hides(b"/.git/config"));
        assert!(Hidden::default().hides_name(b".well-known", false));
        assert!(!Hidden::default().hides_name(b".well-known", true));
    }

    #[test]
    fn a_star_stands_for_any_characters_and_a_question_mark_for_one() {
        for (pattern, name, matches) in [
            ("a", "a", true),
            ("a", "A", false),
            ("a", "ab", false),
            ("ab", "a", false),
            ("*", "a", true),
            ("*", "", true),
            ("**", "abc", true),
            ("?", "", false),
            ("?", "a", true),
            ("?", "ab", false),
            ("?", "\u{1f600}", true),
            ("??", "\u{fc}", false),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "abcd", false),
            ("a*c", "acbc", true),
            ("*.tar.*", "a.tar.b.tar.gz", true),
            ("*a*b", "xaxaxb", true),
            ("*a?b", "aab", true),
            ("*a?b", "ab", false),
            ("a.c", "abc", false),
            ("[a]", "a", false),
            ("\\*", "*", false),
        ] {
            let glob = Glob::parse(pattern.as_bytes()).unwrap();
            assert_eq!(glob.matches(name.as_bytes()), matches, "{pattern} {name}");
        }
        let one = Glob::parse(b"?").unwrap();
        assert!(one.matches(b"\xff") && !one.matches(b"\xff\xfe") && !one.matches(b"\xc3a"));
    }

    #[test]
    fn a_pattern_that_matches_no_name_is_refused() {
        for pattern in ["", "/", "a/b", "/.git", "a\0"] {
            assert!(Glob::parse(pattern.as_bytes()).is_err(), "{pattern:?}");
        }
    }

    /// The definition of a match, without regard to cost.
    fn slow_matches(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', rest @ ..], _) => {
                (0..=name.len()).any(|taken| slow_matches(rest, &name[taken..]))
            }
            (['?', rest @ ..], [_, name @ ..]) => slow_matches(rest, name),
            ([one, rest @ ..], [other, name @ ..]) => one == other && slow_matches(rest, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_its_definition(
            pattern in "[ab\u{fc}*?]{1,8}", name in "[ab\u{fc}]{0,10}",
        ) {
            let chars = |text: &str| text.chars().collect::<Vec<char>>();
            let found = Glob::parse(pattern.as_bytes()).unwrap().matches(name.as_bytes());
            prop_assert_eq!(found, slow_matches(&chars(&pattern), &chars(&name)));
        }

        #[test]
        fn no_bytes_make_it_panic(pattern: Vec<u8>, name: Vec<u8>, path: Vec<u8>) {
            if let Ok(glob) = Glob::parse(&pattern) {
                let _ = glob.matches(&name);
                let _ = Hidden::new(vec![glob], Vec::new()).hides(&path);
            }
        }
    }
}
