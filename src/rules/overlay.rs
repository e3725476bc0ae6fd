//! What all blocks that match a path do to the fields of its responses.

use super::header::Edit;

/// The edits of all matching blocks, applied in order and combined, one entry a field. Made once
/// for a path, and then laid over the fields of each of its responses.
///
/// - The first value that a rule sets replaces a value of the server.
/// - A later value of a rule is joined with a comma, or replaces the earlier one if the field may
///   stand once: Cache-Control, Content-Type, X-Frame-Options and others.
/// - Each Set-Cookie is a line of its own, because a cookie can contain commas.
/// - Vary is added to: its members are those of the server and of all rules, each once.
/// - A removal drops the value of the server and what earlier edits set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    entries: Vec<Entry>,
}

/// A field that the rules changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// As it was written first; compared without case.
    name: Box<str>,
    /// One for each line; empty if the field was removed.
    values: Vec<String>,
    /// The value of the server counts as a part of this one: Vary, until it is removed.
    adds: bool,
}

impl Overlay {
    /// Combines edits.
    pub fn new<'e>(edits: impl IntoIterator<Item = &'e Edit>) -> Overlay {
        let mut overlay = Overlay::default();
        for edit in edits {
            overlay.apply(edit);
        }
        overlay
    }

    fn apply(&mut self, edit: &Edit) {
        let kind = kind(edit.name());
        let found = self.position(edit.name()).unwrap_or_else(|| {
            let adds = kind == Kind::Members;
            self.entries.push(Entry { name: edit.name().into(), values: Vec::new(), adds });
            self.entries.len() - 1
        });
        let entry = &mut self.entries[found];
        match edit {
            Edit::Remove { .. } => {
                entry.values.clear();
                entry.adds = false;
            }
            Edit::Set { value, .. } => match (kind, entry.values.last_mut()) {
                (Kind::Lines, _) | (_, None) => entry.values.push(value.to_string()),
                (Kind::Once, Some(last)) => *last = value.to_string(),
                (Kind::List, Some(last)) => {
                    last.push_str(", ");
                    last.push_str(value);
                }
                (Kind::Members, Some(last)) => *last = union(last, value),
            },
        }
        if let (Kind::Members, Some(last)) = (kind, entry.values.last_mut()) {
            *last = union("", last);
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.name.eq_ignore_ascii_case(name))
    }

    /// True if no field changes.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True if the rules set or remove this field, so that a value of the server is not sent
    /// (except [Vary](Overlay::vary), which is combined). Compared without case.
    pub fn touches(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// The first value that the rules give this field. Compared without case.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.entries[self.position(name)?].values.first().map(String::as_str)
    }

    /// The fields that the rules set, one item a line, in the order in which they were set first.
    /// Vary is as the rules set it, without the members of the server.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .flat_map(|entry| entry.values.iter().map(|value| (&*entry.name, &**value)))
    }

    /// The value of Vary for a response whose own value is `base`; `None` if it has none.
    pub fn vary(&self, base: Option<&str>) -> Option<String> {
        let entry = self.position("Vary").map(|found| &self.entries[found]);
        let base = base.filter(|_| entry.is_none_or(|entry| entry.adds)).unwrap_or_default();
        let own = entry.and_then(|entry| entry.values.first()).map_or("", String::as_str);
        Some(union(base, own)).filter(|members| !members.is_empty())
    }

    /// The fields of a response whose own fields are `base`. A field that the rules set takes the
    /// place of its first line in `base`; new fields follow in the order of the rules.
    pub fn over(&self, base: &[(&str, &str)]) -> Vec<(String, String)> {
        let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut fields = Vec::new();
        let mut is_written = vec![false; self.entries.len()];
        let base_vary = |name: &str| name.eq_ignore_ascii_case("Vary");
        let vary = base.iter().find(|(name, _)| base_vary(name)).map(|(_, value)| *value);
        let mut write = |found: usize, fields: &mut Vec<(String, String)>| {
            let entry = &self.entries[found];
            if std::mem::replace(&mut is_written[found], true) {
                return;
            }
            if base_vary(&entry.name) {
                fields.extend(self.vary(vary).map(|value| line(&entry.name, &value)));
            } else {
                fields.extend(entry.values.iter().map(|value| line(&entry.name, value)));
            }
        };
        for (name, value) in base {
            match self.position(name) {
                Some(found) => write(found, &mut fields),
                None => fields.push(line(name, value)),
            }
        }
        for found in 0..self.entries.len() {
            write(found, &mut fields);
        }
        fields
    }
}

/// How a field that is set twice is combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Joined by a comma (RFC 9110 section 5.3).
    List,
    /// It may stand once: the later value replaces the earlier one.
    Once,
    /// A line for each value (RFC 6265 section 3).
    Lines,
    /// A set of names: Vary.
    Members,
}

fn kind(name: &str) -> Kind {
    if name.eq_ignore_ascii_case("Vary") {
        Kind::Members
    } else if name.eq_ignore_ascii_case("Set-Cookie") {
        Kind::Lines
    } else if ONCE.iter().any(|other| other.eq_ignore_ascii_case(name)) {
        Kind::Once
    } else {
        Kind::List
    }
}

/// The fields that may stand once. The grammar of most of them has no list; for the others, such as
/// Cache-Control and Referrer-Policy, a joined value would contradict itself. An unknown field is
/// taken for a list.
const ONCE: &[&str] = &[
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Origin",
    "Access-Control-Max-Age",
    "Cache-Control",
    "CDN-Cache-Control",
    "Cloudflare-CDN-Cache-Control",
    "Content-Disposition",
    "Content-Location",
    "Content-Type",
    "Cross-Origin-Embedder-Policy",
    "Cross-Origin-Embedder-Policy-Report-Only",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Opener-Policy-Report-Only",
    "Cross-Origin-Resource-Policy",
    "Expires",
    "Netlify-CDN-Cache-Control",
    "Origin-Agent-Cluster",
    "Referrer-Policy",
    "Refresh",
    "Retry-After",
    "Server",
    "Service-Worker-Allowed",
    "SourceMap",
    "Strict-Transport-Security",
    "Surrogate-Control",
    "X-Accel-Expires",
    "X-Content-Type-Options",
    "X-DNS-Prefetch-Control",
    "X-Download-Options",
    "X-Frame-Options",
    "X-Permitted-Cross-Domain-Policies",
    "X-Powered-By",
    "X-SourceMap",
    "X-UA-Compatible",
    "X-XSS-Protection",
];

/// The members of both lists, each once, compared without case. `*` stands for all others.
fn union(one: &str, other: &str) -> String {
    let mut members: Vec<&str> = Vec::new();
    for member in one.split(',').chain(other.split(',')).map(str::trim) {
        if !member.is_empty() && !members.iter().any(|it| it.eq_ignore_ascii_case(member)) {
            members.push(member);
        }
    }
    if members.contains(&"*") { "*".to_owned() } else { members.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Edits from lines.
    fn edits(lines: &str) -> Vec<Edit> {
        lines.lines().map(|line| Edit::parse(line).unwrap()).collect()
    }

    /// The fields after `lines` were applied to `base`, both one field a line.
    fn over(base: &str, lines: &str) -> String {
        let base: Vec<(&str, &str)> =
            base.lines().filter_map(|line| line.split_once(": ")).collect();
        let fields = Overlay::new(&edits(lines)).over(&base);
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        fields.join("\n")
    }

    #[test]
    fn fields_are_joined_replaced_added_and_removed() {
        for (base, lines, expected) in [
            ("", "", ""),
            ("A: 1", "", "A: 1"),
            ("A: 1", "B: 2", "A: 1\nB: 2"),
            // A field of the server is replaced, in its place; a field of a rule is joined.
            ("A: 1\nB: 2", "a: 3", "a: 3\nB: 2"),
            ("A: 1", "A: 2\na: 3", "A: 2, 3"),
            ("A: 1\nB: 2\nA: 3", "A: 4", "A: 4\nB: 2"),
            (
                "",
                "X-Robots-Tag: noindex\nX-Robots-Tag: nofollow",
                "X-Robots-Tag: noindex, nofollow",
            ),
            ("", "Link: </a>; rel=x\nLink: </b>; rel=y", "Link: </a>; rel=x, </b>; rel=y"),
            (
                "",
                "Content-Security-Policy: a\nContent-Security-Policy: b",
                "Content-Security-Policy: a, b",
            ),
            // Fields that may stand once.
            (
                "Cache-Control: no-cache",
                "Cache-Control: a, b\ncache-control: c",
                "Cache-Control: c",
            ),
            (
                "Content-Type: text/html",
                "Content-Type: a/b\nContent-Type: c/d",
                "Content-Type: c/d",
            ),
            (
                "",
                "X-Frame-Options: DENY\nx-frame-options: SAMEORIGIN",
                "X-Frame-Options: SAMEORIGIN",
            ),
            ("Server: tenkay", "Server: x", "Server: x"),
            // Cookies.
            ("", "Set-Cookie: a=1\nset-cookie: b=2", "Set-Cookie: a=1\nSet-Cookie: b=2"),
            ("", "Set-Cookie: a=1\n! Set-Cookie\nSet-Cookie: b=2", "Set-Cookie: b=2"),
            // Removal.
            ("A: 1\nB: 2", "! a", "B: 2"),
            ("A: 1", "A: 2\n! A", ""),
            ("A: 1", "! A\nA: 2\nA: 3", "A: 2, 3"),
            ("", "! A", ""),
            // Vary.
            ("Vary: Accept-Encoding", "Vary: Origin", "Vary: Accept-Encoding, Origin"),
            (
                "Vary: Accept-Encoding",
                "vary: accept-encoding, A\nVary: a,B",
                "vary: Accept-Encoding, A, B",
            ),
            ("", "Vary: A, ,a\nVary: B", "Vary: A, B"),
            ("Vary: A", "Vary: *", "Vary: *"),
            ("Vary: A", "! Vary", ""),
            ("Vary: A", "! Vary\nVary: B", "Vary: B"),
        ] {
            assert_eq!(over(base, lines), expected, "{base:?} {lines:?}");
        }
    }

    #[test]
    fn an_overlay_tells_what_it_does_without_the_fields_of_the_server() {
        let overlay = Overlay::new(&edits("A: 1\n! B\nA: 2\nVary: Origin\nSet-Cookie: c=d"));
        assert!(overlay.touches("a") && overlay.touches("B") && !overlay.touches("C"));
        assert_eq!(overlay.value("a"), Some("1, 2"));
        assert_eq!(overlay.value("b"), None);
        let lines: Vec<_> = overlay.lines().collect();
        assert_eq!(lines, [("A", "1, 2"), ("Vary", "Origin"), ("Set-Cookie", "c=d")]);
        assert_eq!(overlay.vary(Some("Accept")).as_deref(), Some("Accept, Origin"));
        assert_eq!(Overlay::default().vary(Some("Accept")).as_deref(), Some("Accept"));
        assert_eq!(Overlay::default().vary(None), None);
        assert!(Overlay::default().is_empty() && !overlay.is_empty());
    }
}
