//! The end of a pattern that selects files by their extension: `*.css`, `*.{css,js}`.

use super::text::decode;

/// The most bytes of an extension, without the dot in front. It bounds how many ends of a name are
/// looked up, whatever a client sends.
pub const MAX_BYTES: usize = 64;

/// The extensions of a pattern, in lower case, each once. A name matches if it ends with a dot and
/// one of them, compared without the case of ASCII letters, as media types are found. What is
/// before the dot may be empty, as what `*` matches elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extensions(Box<[Box<[u8]>]>);

impl Extensions {
    /// Parses the last segment of a pattern. `None`: it does not have the form `*.EXTENSION`.
    ///
    /// # Errors
    /// What is wrong, and how to fix it.
    pub(super) fn parse(raw: &str) -> Option<Result<Extensions, String>> {
        let text = raw.strip_prefix("*.").filter(|text| !text.contains('*'))?;
        let list = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let parse = |text: &str| parse_one(text).map_err(|what| format!("'{raw}' {what}"));
        let found: Result<Vec<_>, String> = match list {
            Some(list) => list.split(',').map(parse).collect(),
            None => parse(text).map(|one| vec![one]),
        };
        Some(found.map(|mut all| {
            all.sort_unstable();
            all.dedup();
            Extensions(all.into())
        }))
    }

    /// Each of them, without the dot.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|extension| &**extension)
    }

    /// True if a name ends with one of them.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let end = End::of(name);
        end.after_dots().any(|after| self.iter().any(|extension| *extension == *after))
    }
}

/// # Errors
/// What is wrong with an extension, and how to fix it.
fn parse_one(text: &str) -> Result<Box<[u8]>, String> {
    if text.contains([',', '{', '}']) {
        let advice = "write several as in /*.{css,js}, or percent-encode it";
        return Err(format!("has a comma or a brace in an extension; {advice}"));
    }
    let bytes = decode(text)?;
    match bytes.len() {
        0 => Err("has an empty extension; name it after the dot, as in /*.css".to_owned()),
        length if length > MAX_BYTES => {
            Err(format!("has an extension of more than {MAX_BYTES} bytes; shorten it"))
        }
        _ if bytes.contains(&b'/') => {
            Err("has a slash in an extension, but no name has one; remove it".to_owned())
        }
        _ => Ok(bytes.to_ascii_lowercase().into()),
    }
}

/// The end of a name in lower case: as many bytes as an extension can have, and the dot.
pub(super) struct End(Vec<u8>);

impl End {
    /// The end of this name.
    pub(super) fn of(name: &[u8]) -> End {
        End(name[name.len().saturating_sub(MAX_BYTES + 1)..].to_ascii_lowercase())
    }

    /// What follows each dot, at most [`MAX_BYTES`] long: the extensions of the name.
    pub(super) fn after_dots(&self) -> impl Iterator<Item = &[u8]> {
        let dots = self.0.iter().enumerate().filter(|(_, byte)| **byte == b'.');
        dots.map(|(at, _)| &self.0[at + 1..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_is_what_follows_a_dot_of_the_name_without_case() {
        let long = format!("*.{}", "x".repeat(MAX_BYTES));
        for (raw, matching, others) in [
            ("*.css", &["a.css", "A.CSS", "a.b.css", ".css"][..], &["css", "a.css.gz", "acss"][..]),
            ("*.CSS", &["a.css", "a.Css"], &["a.js"]),
            ("*.tar.gz", &["a.tar.gz", "a.b.tar.gz", ".tar.gz"], &["a.gz", "tar.gz", "a.xtar.gz"]),
            ("*.{js,css,js}", &["a.js", "a.css"], &["a.mjs", "a.{js,css,js}"]),
            ("*.{gz,tar.gz}", &["a.gz", "a.tar.gz"], &["a"]),
            ("*.c%2Cv", &["main.c,v"], &["main.c"]),
            ("*.%FF", &[], &["a.\u{ff}"]),
            ("*.\u{fc}", &["a.\u{fc}"], &["a.\u{dc}"]),
            (&*long, &[], &["a.x"]),
        ] {
            let extensions = Extensions::parse(raw).unwrap().unwrap();
            for name in matching {
                assert!(extensions.matches(name.as_bytes()), "{raw} matches {name}");
            }
            for name in others {
                assert!(!extensions.matches(name.as_bytes()), "{raw} does not match {name}");
            }
        }
        let extensions = Extensions::parse(&long).unwrap().unwrap();
        assert!(extensions.matches(format!("a{}", &long[1..]).as_bytes()));
        assert!(!extensions.matches(format!("a{}x", &long[1..]).as_bytes()));
    }

    #[test]
    fn a_segment_of_another_form_is_none_and_a_bad_extension_is_refused_with_advice() {
        for raw in ["*", "a", "*css", "a*.css", "a.css", "*.*", "*.css*", ""] {
            assert!(Extensions::parse(raw).is_none(), "{raw}");
        }
        let long = format!("*.{}", "x".repeat(MAX_BYTES + 1));
        for (raw, what) in [
            ("*.", "empty"),
            ("*.{}", "empty"),
            ("*.{css,}", "empty"),
            ("*.css,js", "{css,js}"),
            ("*.{css", "brace"),
            ("*.{a{b}}", "brace"),
            ("*.a%2Fb", "slash"),
            ("*.a%", "%25"),
            (&*long, "64"),
        ] {
            let error = Extensions::parse(raw).unwrap().unwrap_err();
            assert!(error.contains(what) && error.contains("; "), "{raw}: {error}");
        }
    }
}
