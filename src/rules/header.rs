//! One block of fields: a block of `_headers`, or a `[[headers]]` table.

use super::pattern::Pattern;
use super::text::{BLANKS, without_comment};
use crate::http::body::is_token;

/// Fields for the responses to the paths of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRule {
    /// The paths that it applies to.
    pub pattern: Pattern,
    /// What it does, in order.
    pub edits: Vec<Edit>,
}

/// A change of the fields of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Sets a field, or adds to it; see [`Overlay`](super::overlay::Overlay).
    Set {
        /// A token, as it was written.
        name: Box<str>,
        /// Without blanks at its ends and without control characters; not empty.
        value: Box<str>,
    },
    /// Removes a field that the server or an earlier edit set.
    Remove {
        /// A token, as it was written.
        name: Box<str>,
    },
}

impl HeaderRule {
    /// Makes a rule from the values of a table. It removes first, so that a table can replace a
    /// field that is added to otherwise.
    ///
    /// # Errors
    /// All that is wrong, and how to fix it.
    pub fn new<'a>(
        pattern: &str,
        remove: impl IntoIterator<Item = &'a str>,
        values: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<HeaderRule, Vec<String>> {
        let mut wrong = Vec::new();
        let pattern = Pattern::parse(pattern).map_err(|what| wrong.push(what));
        let removed = remove.into_iter().map(Edit::remove);
        let set = values.into_iter().map(|(name, value)| Edit::set(name, value));
        let mut edits = Vec::new();
        for edit in removed.chain(set) {
            match edit {
                Ok(edit) => edits.push(edit),
                Err(what) => wrong.push(what),
            }
        }
        match pattern {
            Ok(pattern) if wrong.is_empty() => Ok(HeaderRule { pattern, edits }),
            _ => Err(wrong),
        }
    }

    /// Parses `PATTERN: NAME: VALUE` or `PATTERN: ! NAME`, a block in one line. A colon with a
    /// blank after it ends the pattern.
    ///
    /// # Errors
    /// What is wrong, and how to fix it.
    pub fn parse(text: &str) -> Result<HeaderRule, String> {
        let parts = BLANKS.iter().filter_map(|blank| text.split_once(&format!(":{blank}")));
        let Some((pattern, field)) = parts.min_by_key(|(pattern, _)| pattern.len()) else {
            return Err(format!("'{text}' is not a rule; write PATTERN: NAME: VALUE"));
        };
        let (pattern, edit) = (Pattern::parse(pattern.trim_matches(BLANKS))?, Edit::parse(field)?);
        Ok(HeaderRule { pattern, edits: vec![edit] })
    }
}

impl Edit {
    /// A field with a value; blanks at its ends are removed.
    ///
    /// # Errors
    /// The name is not a token or that of a field that cannot be set, or the value is empty or has
    /// a control character.
    pub fn set(name: &str, value: &str) -> Result<Edit, String> {
        refuse_name(name)?;
        let value = value.trim_matches(BLANKS);
        if value.is_empty() {
            return Err(format!(
                "{name} has no value; write one, or '! {name}' to remove the field"
            ));
        }
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(format!("the value of {name} has a control character; remove it"));
        }
        if name.eq_ignore_ascii_case("Content-Type") && value.len() > MEDIA_TYPE_BYTES_MAX {
            let bytes = value.len();
            return Err(format!(
                "the value of {name} has {bytes} bytes; write at most {MEDIA_TYPE_BYTES_MAX}"
            ));
        }
        Ok(Edit::Set { name: name.into(), value: value.into() })
    }

    /// The removal of a field.
    ///
    /// # Errors
    /// The name is not a token or that of a field that cannot be set.
    pub fn remove(name: &str) -> Result<Edit, String> {
        refuse_name(name)?;
        Ok(Edit::Remove { name: name.into() })
    }

    /// Parses `Name: value` or `! Name`, with an optional comment at the end.
    ///
    /// # Errors
    /// What is wrong, and how to fix it.
    pub fn parse(line: &str) -> Result<Edit, String> {
        let line = without_comment(line);
        if let Some(name) = line.strip_prefix('!').filter(|rest| rest.starts_with(BLANKS)) {
            return Edit::remove(name.trim_matches(BLANKS));
        }
        match line.split_once(':') {
            Some((name, value)) => Edit::set(name.trim_end_matches(BLANKS), value),
            None => Err(format!("'{line}' is not a field; write 'Name: value' or '! Name'")),
        }
    }

    /// The name of the field, as it was written.
    pub fn name(&self) -> &str {
        match self {
            Edit::Set { name, .. } | Edit::Remove { name } => name,
        }
    }
}

/// # Errors
/// The name is not a token, or that of a field that cannot be set.
fn refuse_name(name: &str) -> Result<(), String> {
    if !is_token(name) {
        let name = name.escape_debug();
        let advice = "use letters, digits and hyphens, without blanks";
        return Err(format!("'{name}' is not the name of a field; {advice}"));
    }
    match FIXED.iter().find(|(fixed, _)| fixed.eq_ignore_ascii_case(name)) {
        Some((_, why)) => Err(format!("a rule cannot change {name}: {why}; remove the line")),
        None => Ok(()),
    }
}

/// The longest media type: each part of a multipart response repeats it, in a bounded room.
const MEDIA_TYPE_BYTES_MAX: usize = 255;

/// The fields that no rule can set or remove, with the reason.
const FIXED: &[(&str, &str)] = &[
    ("Content-Length", FRAMES),
    ("Transfer-Encoding", FRAMES),
    ("Trailer", FRAMES),
    ("TE", FRAMES),
    ("Content-Range", FRAMES),
    ("Connection", CONNECTS),
    ("Keep-Alive", CONNECTS),
    ("Proxy-Connection", CONNECTS),
    ("Upgrade", CONNECTS),
    ("HTTP2-Settings", CONNECTS),
    ("Date", "it is the time of the response"),
    ("Age", "only a cache can know it"),
    ("Content-Encoding", DESCRIBES),
    ("Accept-Ranges", DESCRIBES),
    ("ETag", VALIDATES),
    ("Last-Modified", VALIDATES),
    ("Content-Digest", VALIDATES),
    ("Repr-Digest", VALIDATES),
    ("Location", "a redirect rule sets it"),
    ("Allow", "the server knows which methods it supports"),
    ("WWW-Authenticate", AUTHENTICATES),
    ("Proxy-Authenticate", AUTHENTICATES),
    ("Authentication-Info", AUTHENTICATES),
    ("Basic-Auth", "it is a login of Netlify, and would be sent to everyone; use auth"),
    ("Proxy-Authentication-Info", AUTHENTICATES),
];

const FRAMES: &str = "it frames the message";
const CONNECTS: &str = "it controls the connection";
const DESCRIBES: &str = "it describes the bytes that are sent";
const VALIDATES: &str = "the server makes it from the file, and caches rely on it";
const AUTHENTICATES: &str = "it belongs to the login; use auth";

#[cfg(test)]
mod tests;
