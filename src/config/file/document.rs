//! A TOML document with places: typed values, and problems that are collected with line and column.
//!
//! Knows TOML and nothing of the settings. A wrong value is a problem and no value, so reading goes
//! on and finds the other problems.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::layer::{Merged, Origin, Problem, Replaced, Sourced, nearest};

/// A value in the document.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// The text of a file, and what was found wrong in it.
pub(super) struct Document<'t> {
    path: &'t Path,
    text: &'t str,
    /// The byte offsets at which lines begin.
    lines: Vec<usize>,
    problems: Vec<(usize, String)>,
    /// Problems that are only certain if the whole file has been understood.
    absences: Vec<(usize, String)>,
}

/// A key of a table with its value.
#[derive(Clone, Copy)]
pub(super) struct Entry<'d> {
    pub(super) key: &'d str,
    /// Byte offset of the key.
    pub(super) key_at: usize,
    pub(super) value: &'d Value<'d>,
}

impl Entry<'_> {
    /// Byte offset of the value.
    pub(super) fn at(&self) -> usize {
        self.value.span().start
    }
}

impl<'t> Document<'t> {
    pub(super) fn new(path: &'t Path, text: &'t str) -> Document<'t> {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes());
        let lines = std::iter::once(0).chain(ends.map(|end| end + 1)).collect();
        Document { path, text, lines, problems: Vec::new(), absences: Vec::new() }
    }

    /// Line and column, in characters, both from 1.
    pub(super) fn place(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= at);
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let end = at.min(self.text.len());
        let column = self.text.as_bytes()[start.min(end)..end]
            .iter()
            .filter(|byte| !matches!(byte, 0x80..=0xbf))
            .count();
        (line, column + 1)
    }

    /// The origin of what stands at this offset.
    pub(super) fn origin(&self, at: usize) -> Origin {
        let (line, column) = self.place(at);
        Origin::File { path: self.path.to_owned(), line, column }
    }

    /// Notes what is wrong at this offset, and how to fix it.
    pub(super) fn complain(&mut self, at: usize, what: &str) {
        self.problems.push((at, what.to_owned()));
    }

    /// Notes that something is absent that belongs at this offset.
    pub(super) fn complain_of_absence(&mut self, at: usize, what: &str) {
        self.absences.push((at, what.to_owned()));
    }

    /// Keeps only the problems before this offset: what follows was not understood.
    pub(super) fn forget_problems_from(&mut self, at: usize) {
        self.problems.retain(|(place, _)| *place < at);
        self.absences.clear();
    }

    /// All problems, in the order of their places.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        let mut found = std::mem::take(&mut self.problems);
        found.append(&mut self.absences);
        found.sort();
        found.dedup();
        let problem = |(at, what): &(usize, String)| Problem {
            origin: self.origin(*at),
            what: what.chars().flat_map(printable).collect(),
        };
        found.iter().map(problem).collect()
    }

    /// The value from this place.
    pub(super) fn sourced<T>(&self, at: usize, value: T) -> Sourced<T> {
        Sourced::new(value, &self.origin(at))
    }

    /// The folder of the file.
    pub(super) fn folder(&self) -> &'t Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// A boolean.
    pub(super) fn switch(&mut self, entry: Option<Entry>) -> Replaced<bool> {
        let entry = entry?;
        if let DeValue::Boolean(value) = entry.value.get_ref() {
            return Some(self.sourced(entry.at(), *value));
        }
        let key = entry.key;
        self.wrong_type(entry, "true or false", &format!("write {key} = true or {key} = false"));
        None
    }

    /// A string, parsed.
    pub(super) fn text<T>(
        &mut self,
        entry: Option<Entry>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Replaced<T> {
        let entry = entry?;
        let value = self.string(&format!("{} is", entry.key), entry.value, &parse)?;
        Some(self.sourced(entry.at(), value))
    }

    /// One of these words.
    pub(super) fn choice<T: Clone>(
        &mut self,
        entry: Option<Entry>,
        words: &[(&str, T)],
    ) -> Replaced<T> {
        let entry = entry?;
        let list = alternatives(words);
        let DeValue::String(text) = entry.value.get_ref() else {
            self.wrong_type(entry, &list, &format!("write {} = \"{}\"", entry.key, words[0].0));
            return None;
        };
        match words.iter().find(|(word, _)| word == text) {
            Some((_, value)) => Some(self.sourced(entry.at(), value.clone())),
            None => {
                let near = nearest(text, words.iter().map(|(word, _)| *word));
                let advice = near.map(|word| format!("did you mean \"{word}\"?"));
                let advice = advice.unwrap_or_else(|| format!("write {list}"));
                self.complain(entry.at(), &format!("{} cannot be '{text}'; {advice}", entry.key));
                None
            }
        }
    }

    /// An array of strings, each parsed.
    pub(super) fn list<T>(
        &mut self,
        entry: Option<Entry>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Replaced<Vec<T>> {
        let entry = entry?;
        let found = self.places(Some(entry), parse)?;
        Some(self.sourced(entry.at(), found.into_iter().map(|(_, value)| value).collect()))
    }

    /// The same, with the offset of each.
    pub(super) fn places<T>(
        &mut self,
        entry: Option<Entry>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<(usize, T)>> {
        let entry = entry?;
        let DeValue::Array(array) = entry.value.get_ref() else {
            let raw = self.raw(entry.value);
            let advice = format!("write {} = [{raw}]", entry.key);
            self.wrong_type(entry, "an array of strings", &advice);
            return None;
        };
        let mut found = Vec::new();
        for item in array.iter() {
            let value = self.string(&format!("{} has", entry.key), item, &parse);
            found.extend(value.map(|value| (item.span().start, value)));
        }
        Some(found)
    }

    /// A table of strings, each parsed from its key and itself.
    pub(super) fn table<T>(
        &mut self,
        entry: Option<Entry>,
        parse: impl Fn(&str, &str) -> Result<T, String>,
    ) -> Merged<T> {
        let Some(entry) = entry else { return Vec::new() };
        let DeValue::Table(table) = entry.value.get_ref() else {
            let advice = format!("write {} = {{ KEY = \"VALUE\" }}", entry.key);
            self.wrong_type(entry, "a table of strings", &advice);
            return Vec::new();
        };
        let mut found = Vec::new();
        for inner in entries(table) {
            let subject = format!("{}.{} is", entry.key, written(inner.key));
            let value = self.string(&subject, inner.value, &|text| parse(inner.key, text));
            found.extend(value.map(|value| self.sourced(inner.key_at, value)));
        }
        found
    }

    /// The keys of a table. `advice` says how the table is written, which messages call `scope`.
    pub(super) fn keys<'d>(
        &mut self,
        entry: Option<Entry<'d>>,
        scope: &'static str,
        advice: &str,
    ) -> Option<Keys<'d>> {
        let entry = entry?;
        if let DeValue::Table(table) = entry.value.get_ref() {
            return Some(Keys::new(entry.at(), table, scope));
        }
        self.wrong_type(entry, "a table", advice);
        None
    }

    /// An array of tables with this name, such as `[[site]]`; each with its offset.
    pub(super) fn tables<'d>(
        &mut self,
        entry: Option<Entry<'d>>,
        name: &str,
    ) -> Option<Vec<(usize, &'d DeTable<'d>)>> {
        let entry = entry?;
        let advice = format!("write [[{name}]] before its keys");
        let DeValue::Array(array) = entry.value.get_ref() else {
            self.wrong_type(entry, "an array of tables", &advice);
            return None;
        };
        let mut found = Vec::new();
        for item in array.iter() {
            match item.get_ref() {
                DeValue::Table(table) => found.push((item.span().start, table)),
                other => {
                    let kind = kind(other);
                    let what = format!("{} has {kind}, but must have tables; {advice}", entry.key);
                    self.complain(item.span().start, &what);
                }
            }
        }
        Some(found)
    }

    /// A number that is not negative.
    pub(super) fn number(&mut self, entry: Entry) -> Option<u64> {
        if let DeValue::Integer(number) = entry.value.get_ref() {
            let value = u64::from_str_radix(number.as_str(), number.radix());
            if value.is_err() {
                let (key, raw) = (entry.key, self.raw(entry.value));
                let what = format!("{key} cannot be {raw}; write a number from 0 upward");
                self.complain(entry.at(), &what);
            }
            return value.ok();
        }
        self.wrong_type(entry, "a whole number", &format!("write {} = NUMBER", entry.key));
        None
    }

    /// A string, parsed. `subject` is its key with the verb that its type goes with.
    pub(super) fn string<T>(
        &mut self,
        subject: &str,
        value: &Value,
        parse: &impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let at = value.span().start;
        let DeValue::String(text) = value.get_ref() else {
            let raw = match value.get_ref() {
                DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => self.raw(value),
                _ => "VALUE",
            };
            let kind = kind(value.get_ref());
            let must = if subject.ends_with(" is") { "be a string" } else { "have strings" };
            let what = format!("{subject} {kind}, but must {must}; write \"{raw}\"");
            self.complain(at, &what);
            return None;
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err(why) => {
                let key = subject.rsplit_once(' ').map_or(subject, |(key, _)| key);
                self.complain(at, &format!("{key}: {why}"));
                None
            }
        }
    }

    /// Notes that a value is of the wrong type.
    pub(super) fn wrong_type(&mut self, entry: Entry, expected: &str, advice: &str) {
        let (key, kind) = (entry.key, kind(entry.value.get_ref()));
        let what = format!("{key} is {kind}, but must be {expected}; {advice}");
        self.complain(entry.at(), &what);
    }

    /// A value as it is written.
    fn raw(&self, value: &Value) -> &'t str {
        let Range { start, end } = value.span();
        self.text.get(start..end).unwrap_or("VALUE")
    }
}

/// The words with quotes, as a sentence has them.
fn alternatives<T>(words: &[(&str, T)]) -> String {
    let quoted: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    match &quoted[..] {
        [most @ .., last] if !most.is_empty() => format!("{} or {last}", most.join(", ")),
        _ => quoted.concat(),
    }
}

/// A key as it is written: with quotes if it needs them.
fn written(key: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if !key.is_empty() && key.chars().all(is_bare) { key.to_owned() } else { format!("\"{key}\"") }
}

/// A control character as its escape, so that a problem is one line.
fn printable(letter: char) -> impl Iterator<Item = char> {
    let escaped = letter.is_control().then(|| letter.escape_default());
    let plain = escaped.is_none().then_some(letter);
    escaped.into_iter().flatten().chain(plain)
}

fn kind(value: &DeValue) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// The entries of a table in the order of the text.
pub(super) fn entries<'d>(table: &'d DeTable<'d>) -> Vec<Entry<'d>> {
    let entry = |(key, value): (&'d Spanned<std::borrow::Cow<'d, str>>, &'d Value<'d>)| Entry {
        key: key.get_ref(),
        key_at: key.span().start,
        value,
    };
    let mut entries: Vec<Entry> = table.iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.key_at);
    entries
}

/// The scope of keys outside of tables.
pub(super) const TOP_LEVEL: &str = "the top level";

/// The keys of a table: those that are known, and those that remain.
pub(super) struct Keys<'d> {
    table: &'d DeTable<'d>,
    /// Offset of the table.
    at: usize,
    /// How the table is written, for messages.
    scope: &'static str,
    known: Vec<&'static str>,
}

impl<'d> Keys<'d> {
    pub(super) fn new(at: usize, table: &'d DeTable<'d>, scope: &'static str) -> Keys<'d> {
        Keys { table, at, scope, known: Vec::new() }
    }

    /// The entry with this key, which is known from now on.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Entry<'d>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let (name, value) = self.table.get_key_value(key)?;
        Some(Entry { key: name.get_ref(), key_at: name.span().start, value })
    }

    /// The same for a key that the table must have; `example` is a value.
    pub(super) fn require(
        &mut self,
        document: &mut Document,
        key: &'static str,
        example: &str,
    ) -> Option<Entry<'d>> {
        let entry = self.take(key);
        if entry.is_none() {
            let what = format!("{} has no {key}; add {key} = {example}", self.scope);
            document.complain_of_absence(self.at, &what);
        }
        entry
    }

    /// Refuses the keys that are not known. `elsewhere` says what to do with a key that is right in
    /// another table.
    pub(super) fn finish(
        self,
        document: &mut Document,
        elsewhere: impl Fn(&str) -> Option<String>,
    ) {
        for entry in entries(self.table) {
            if self.known.contains(&entry.key) {
                continue;
            }
            let plain = entry.key.to_ascii_lowercase().replace('-', "_");
            let near = || nearest(&plain, self.known.iter().copied());
            let advice = elsewhere(entry.key)
                .or_else(|| Some(format!("did you mean '{}'?", near()?)))
                .unwrap_or_else(|| self.remedy());
            let place = match self.scope {
                TOP_LEVEL => "at the top level".to_owned(),
                scope => format!("in {scope}"),
            };
            let what = format!("unknown key '{}' {place}; {advice}", entry.key);
            document.complain(entry.key_at, &what);
        }
    }

    /// What to do with a key that resembles none.
    fn remedy(&self) -> String {
        if self.known.len() > MOST_LISTED {
            return "no key has a similar name: remove it".to_owned();
        }
        format!("the keys are {}", self.known.join(", "))
    }
}

/// The most keys that a message lists.
const MOST_LISTED: usize = 12;
