//! Patterns for paths, and what their placeholders stand for.

use super::extension::Extensions;
use super::text::{decode, name_at, refuse_controls};

/// A pattern for canonical paths: `/news/:year/*`.
///
/// Compared with case and with the whole path, byte by byte, except for a slash at the end of
/// either. To match all that is below a folder, end the pattern with `/*`: `/private` matches
/// `/private` and `/private/` only, and `/private/*` also matches both. `/private/*.css` matches
/// what is below that folder, at any depth, and has a last segment with this extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    segments: Box<[Segment]>,
    end: End,
}

/// What follows the segments of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing: the path ends as well.
    Path,
    /// `*`: the rest, which may be empty.
    Splat,
    /// `*.css`: one segment or more, the last with one of these extensions.
    Extensions(Extensions),
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// These bytes, decoded; not empty.
    Literal(Box<[u8]>),
    /// Any segment: `:name`, without the colon.
    Name(Box<str>),
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// - `//` counts as one slash, and `%2F` as a slash, as in a path that is
    ///   [decoded](crate::http::target::EncodedSlash::Decode) that way. Every other encoded
    ///   character is literal, so `%3A` and `%2A` are a colon and a star.
    /// - A name is a letter, then letters, digits and underscores. `:` is literal where it is not
    ///   the first character of a segment or where no letter follows it.
    /// - If a name occurs twice, the first one gives the placeholder its value.
    /// - An extension is compared without case; `*.{css,js}` stands for several of them.
    ///
    /// # Errors
    /// What is wrong, and how to fix it.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        Pattern::read(text, true)
    }

    /// Parses the pattern of a redirect, which selects no extension: `*` is the rest there, and
    /// stands alone.
    ///
    /// # Errors
    /// What is wrong, and how to fix it.
    pub fn parse_route(text: &str) -> Result<Pattern, String> {
        Pattern::read(text, false)
    }

    fn read(text: &str, may_have_extension: bool) -> Result<Pattern, String> {
        refuse_no_path(text)?;
        let (mut segments, mut end) = (Vec::new(), End::Path);
        for raw in text.split('/').filter(|raw| !raw.is_empty()) {
            if end != End::Path {
                return Err(misplaced_star(text, may_have_extension));
            }
            let extensions = Extensions::parse(raw).filter(|_| may_have_extension);
            if raw == "*" {
                end = End::Splat;
            } else if let Some(extensions) = extensions {
                end = End::Extensions(extensions?);
            } else if raw.contains('*') {
                return Err(misplaced_star(text, may_have_extension));
            } else if let Some(name) = whole_name(raw)? {
                segments.push(Segment::Name(name.into()));
            } else {
                push_literals(raw, &mut segments)?;
            }
        }
        let is_splat = |segment: &Segment| *segment == Segment::Name("splat".into());
        if end == End::Splat && segments.iter().any(is_splat) {
            return Err(format!("'{text}' has both * and :splat; give :splat another name"));
        }
        Ok(Pattern { text: text.into(), segments: segments.into(), end })
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The segments before the end.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// What follows the segments.
    pub fn end(&self) -> &End {
        &self.end
    }

    /// True if the pattern ends with `*`.
    pub fn has_splat(&self) -> bool {
        self.end == End::Splat
    }

    /// True if the pattern matches a canonical path.
    pub fn matches(&self, path: &[u8]) -> bool {
        let mut rest = segments(path);
        let fits = |segment: &Segment| match (segment, rest.next()) {
            (Segment::Literal(bytes), Some(found)) => **bytes == *found,
            (Segment::Name(_), found) => found.is_some(),
            (_, None) => false,
        };
        self.segments.iter().all(fits)
            && match &self.end {
                End::Path => rest.next().is_none(),
                End::Splat => true,
                End::Extensions(extensions) => {
                    rest.last().is_some_and(|name| extensions.matches(name))
                }
            }
    }

    /// The placeholder with this name; `splat` is the rest that `*` matches.
    pub fn capture(&self, name: &str) -> Option<Capture> {
        if self.has_splat() && name == "splat" {
            return Some(Capture::Rest(self.segments.len()));
        }
        let has_name = |segment: &Segment| matches!(segment, Segment::Name(one) if **one == *name);
        self.segments.iter().position(has_name).map(Capture::Segment)
    }
}

/// The error of a star that does not stand alone, nor before an extension where one may be.
fn misplaced_star(text: &str, may_have_extension: bool) -> String {
    let advice = "use it only as the last segment, as in /folder/*";
    let more = if may_have_extension { ", or before an extension, as in /*.css" } else { "" };
    format!("'{text}' has a * that does not stand alone; {advice}{more}")
}

/// # Errors
/// The text is not a path, or has a part that no path has.
fn refuse_no_path(text: &str) -> Result<(), String> {
    refuse_controls(text)?;
    if text.contains("://") && !text.starts_with('/') {
        return Err(format!(
            "the pattern '{text}' has a host; write the path only, and a site for each host"
        ));
    }
    if !text.starts_with('/') {
        return Err(format!("the pattern '{text}' does not begin with a slash; write '/{text}'"));
    }
    if text.contains('?') {
        let advice = "remove it, or write %3F for a question mark in a name";
        return Err(format!("'{text}' has a query condition, which is not supported; {advice}"));
    }
    if text.contains('#') {
        let advice = "remove it, or write %23 for a # in a name";
        return Err(format!("'{text}' has a fragment, which no client sends; {advice}"));
    }
    Ok(())
}

/// The name of a raw segment `:name`; `None` for a literal segment.
///
/// # Errors
/// There is more after the name.
fn whole_name(raw: &str) -> Result<Option<&str>, String> {
    let Some(after) = raw.strip_prefix(':') else { return Ok(None) };
    match name_at(after) {
        "" => Ok(None),
        name if name == after => Ok(Some(name)),
        name => Err(format!(
            "'{raw}' has more than the name :{name}, but a placeholder is a whole segment; write \
             :{name} alone, or %3A for a colon"
        )),
    }
}

fn push_literals(raw: &str, segments: &mut Vec<Segment>) -> Result<(), String> {
    for segment in decode(raw)?.split(|byte| *byte == b'/') {
        if is_dots(segment) {
            let advice = "write the path without '.' and '..'";
            return Err(format!("no path has the segment '{raw}'; {advice}"));
        }
        if !segment.is_empty() {
            segments.push(Segment::Literal(segment.into()));
        }
    }
    Ok(())
}

/// True for `.` and `..`, which no canonical path has.
pub(super) fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

/// The segments of a canonical path. A slash at the end adds none.
pub(super) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    path.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty())
}

/// A placeholder of a pattern: which part of a matching path it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// The segment with this index.
    Segment(usize),
    /// Everything after the slash behind this number of segments. It keeps a slash at its end.
    Rest(usize),
}

impl Capture {
    /// What it stands for in a canonical path that the pattern matches; empty if it does not match.
    pub fn of(self, path: &[u8]) -> &[u8] {
        match self {
            Capture::Segment(index) => segments(path).nth(index).unwrap_or_default(),
            Capture::Rest(skipped) => {
                let mut parts = path.splitn(skipped + 2, |byte| *byte == b'/');
                parts.nth(skipped + 1).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_pattern_matches_whole_paths_with_or_without_a_slash_at_the_end() {
        for (text, matching, others) in [
            ("/", &["/"][..], &["/a", "/a/"][..]),
            ("/*", &["/", "/a", "/a/", "/a/b"], &[]),
            ("/foo", &["/foo", "/foo/"], &["/", "/fo", "/fooo", "/foo/b", "/Foo"]),
            ("/foo/", &["/foo", "/foo/"], &["/", "/foo/b"]),
            ("//foo//", &["/foo", "/foo/"], &["/"]),
            ("/foo/*", &["/foo", "/foo/", "/foo/a", "/foo/a/b/"], &["/", "/foobar", "/b/foo"]),
            ("/foo/*/", &["/foo", "/foo/a"], &["/"]),
            ("/:a", &["/x", "/x/"], &["/", "/x/y"]),
            ("/:a/b", &["/x/b", "/b/b/"], &["/b", "/x/c", "/x/y/b"]),
            ("/:a/*", &["/x", "/x/", "/x/y/z"], &["/"]),
            ("/a%20b", &["/a b"], &["/a%20b"]),
            ("/a b", &["/a b"], &["/a+b"]),
            ("/%41", &["/A"], &["/a", "/%41"]),
            ("/%2541", &["/%41"], &["/A"]),
            ("/\u{fc}", &["/\u{fc}"], &["/u\u{308}"]),
            ("/%C3%BC", &["/\u{fc}"], &[]),
            ("/a%2Fb", &["/a/b"], &[]),
            ("/%3Aa/%2A", &["/:a/*"], &["/x/y"]),
            ("/Talk:Foo", &["/Talk:Foo"], &["/Talkx"]),
            ("/:8080/:", &["/:8080/:"], &["/x/y"]),
            ("/...", &["/..."], &["/"]),
            ("/*.css", &["/a.css", "/a.css/", "/b/c/D.CSS", "/.css"], &["/", "/css", "/a.css/b"]),
            ("/f/*.{a,b}/", &["/f/x.a", "/f/g/x.b"], &["/f", "/f.a", "/f/x.c", "/x.a", "/g/x.a"]),
            ("/:d/*.a", &["/x/y.a", "/x.a/y.a"], &["/x.a", "/x"]),
            ("/%2A.css", &["/*.css"], &["/a.css"]),
        ] {
            let pattern = pattern(text);
            for path in matching {
                assert!(pattern.matches(path.as_bytes()), "{text} matches {path}");
            }
            for path in others {
                assert!(!pattern.matches(path.as_bytes()), "{text} does not match {path}");
            }
        }
        assert!(pattern("/%FF/%0A").matches(b"/\xff/\n"));
    }

    #[test]
    fn a_placeholder_stands_for_its_part_of_the_path() {
        for (text, name, path, part) in [
            ("/:a/:b_2", "a", "/x/y", Some("x")),
            ("/:a/:b_2", "b_2", "/x/y/", Some("y")),
            ("/:a/:a", "a", "/x/y", Some("x")),
            ("/:a", "b", "/x", None),
            ("/:A", "a", "/x", None),
            ("/*", "splat", "/", Some("")),
            ("/*", "splat", "/a/b", Some("a/b")),
            ("/*", "splat", "/a/b/", Some("a/b/")),
            ("/f/*", "splat", "/f", Some("")),
            ("/f/*", "splat", "/f/", Some("")),
            ("/f/*", "splat", "/f/g", Some("g")),
            ("/f/:a/*", "splat", "/f/g/h/i", Some("h/i")),
            ("/f/:splat", "splat", "/f/g", Some("g")),
            ("/f/g", "splat", "/f/g", None),
        ] {
            let found = pattern(text).capture(name).map(|capture| capture.of(path.as_bytes()));
            assert_eq!(found, part.map(str::as_bytes), "{text} {name} {path}");
        }
    }

    #[test]
    fn a_bad_pattern_is_refused_with_advice() {
        for (text, what) in [
            ("", "slash"),
            ("foo", "write '/foo'"),
            ("https://host/a", "host"),
            ("/a?b", "query"),
            ("/a#b", "%23"),
            ("/a*", "alone"),
            ("/a*.js", "alone"),
            ("/*js", "alone"),
            ("/*.js/b", "alone"),
            ("/*/*.js", "alone"),
            ("/*.*", "alone"),
            ("/*.", "empty"),
            ("/*.css,js", "{css,js}"),
            ("/*/b", "alone"),
            ("/*/*", "alone"),
            ("/a/../b", ".."),
            ("/a/%2e", ".."),
            ("/a%2F..", ".."),
            ("/100%", "%25"),
            ("/%00", "NUL"),
            ("/a\tb", "control"),
            ("/:slug.html", "%3A"),
            ("/:splat/*", ":splat"),
            ("*.css", "write '/*.css'"),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.contains(what) && error.contains("; "), "{text}: {error}");
        }
    }

    #[test]
    fn a_redirect_has_no_extension_in_its_pattern() {
        for text in ["/a/*.php", "/*.", "/*.css,js"] {
            let error = Pattern::parse_route(text).unwrap_err();
            assert!(error.ends_with("alone; use it only as the last segment, as in /folder/*"));
        }
        assert_eq!(Pattern::parse_route("/a/*"), Pattern::parse("/a/*"));
        assert!(pattern("/*.php").capture("splat").is_none());
    }

    #[test]
    fn a_path_that_is_not_canonical_never_panics() {
        for path in [&b""[..], b"a", b"//", b"/a//b", b"/../x"] {
            for text in ["/", "/*", "/a", "/a/*", "/:a/:b", "/*.a"] {
                let pattern = pattern(text);
                let _ = pattern.matches(path);
                for name in ["a", "b", "splat"] {
                    let _ = pattern.capture(name).map(|capture| capture.of(path));
                }
            }
        }
    }
}
