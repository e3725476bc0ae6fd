//! The language of the values of a case: escapes, repetition, and values from the running server or
//! the fixture tree (README.md, "Text").
//!
//! [`parse`] turns a value into a [`Template`] once, when the data is read; [`Template::resolve`]
//! makes its bytes when the case runs. Opens no file or socket: a [`Source`] does the lookups.

use std::time::{Duration, SystemTime};

/// A parsed value, with placeholders for values from the server or the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    /// As many of this byte as make the whole input of the case `total` bytes long.
    Fill {
        total: usize,
        byte: u8,
    },
    Etag {
        path: String,
        coding: String,
    },
    LastModified {
        path: String,
    },
    Time {
        of: Moment,
        offset_s: i64,
        form: Form,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Moment {
    Now,
    Modified(String),
}

/// The three ways to write a date (RFC 9110 section 5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    ImfFixdate,
    Rfc850,
    Asctime,
}

/// The source of the placeholders of a template.
pub(crate) trait Source {
    /// The ETag field of a GET of this path, with this Accept-Encoding unless it is empty.
    fn etag(&self, path: &str, coding: &str) -> Result<Vec<u8>, String>;
    /// The Last-Modified field of a GET of this path.
    fn last_modified(&self, path: &str) -> Result<Vec<u8>, String>;
    /// The modification time of the file behind this path.
    fn modified(&self, path: &str) -> Result<SystemTime, String>;
}

impl Template {
    /// True if it has a URL with the scheme of HTTP behind a blank.
    pub(crate) fn names_scheme(&self) -> bool {
        let is_url = |at: &[u8]| at.to_ascii_lowercase().starts_with(b" http");
        self.0.iter().any(|piece| match piece {
            Piece::Bytes(bytes) => {
                bytes.windows(8).any(is_url) && bytes.windows(3).any(|it| it == b"://")
            }
            _ => false,
        })
    }

    /// The bytes of this value; `fill` is the number of bytes that a `{fill:...}` stands for.
    pub(crate) fn resolve(&self, source: &dyn Source, fill: usize) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Bytes(text) => bytes.extend_from_slice(text),
                Piece::Fill { byte, .. } => bytes.extend(std::iter::repeat_n(*byte, fill)),
                Piece::Etag { path, coding } => bytes.extend(source.etag(path, coding)?),
                Piece::LastModified { path } => bytes.extend(source.last_modified(path)?),
                Piece::Time { of, offset_s, form } => {
                    let base = match of {
                        Moment::Now => SystemTime::now(),
                        Moment::Modified(path) => source.modified(path)?,
                    };
                    bytes.extend_from_slice(form.write(base, *offset_s)?.as_bytes());
                }
            }
        }
        Ok(bytes)
    }

    /// The total length of the input that a `{fill:...}` in this value requests.
    pub(crate) fn fill_total(&self) -> Option<usize> {
        self.0.iter().find_map(|piece| match piece {
            Piece::Fill { total, .. } => Some(*total),
            _ => None,
        })
    }

    /// Appends bytes as they are.
    pub(crate) fn push(&mut self, text: &[u8]) {
        match self.0.last_mut() {
            Some(Piece::Bytes(bytes)) => bytes.extend_from_slice(text),
            _ => self.0.push(Piece::Bytes(text.to_vec())),
        }
    }

    /// Appends another value.
    pub(crate) fn append(&mut self, other: Template) {
        for piece in other.0 {
            match piece {
                Piece::Bytes(bytes) => self.push(&bytes),
                piece => self.0.push(piece),
            }
        }
    }
}

impl Form {
    fn write(self, base: SystemTime, offset_s: i64) -> Result<String, String> {
        let offset = Duration::from_secs(offset_s.unsigned_abs());
        let moment = if offset_s < 0 { base.checked_sub(offset) } else { base.checked_add(offset) };
        let moment = moment
            .filter(|&moment| moment >= SystemTime::UNIX_EPOCH)
            .ok_or("a date before 1970 must be written out")?;
        let fixdate = httpdate::fmt_http_date(moment);
        let word = |range: std::ops::Range<usize>| &fixdate[range];
        let (day, month, year, time) = (word(5..7), word(8..11), word(12..16), word(17..25));
        Ok(match self {
            Form::ImfFixdate => fixdate,
            Form::Rfc850 => {
                let name = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
                    .into_iter()
                    .find(|name| name.starts_with(word(0..3)))
                    .unwrap_or("Saturday");
                format!("{name}, {day}-{month}-{} {time} GMT", &year[2..])
            }
            Form::Asctime => {
                let day =
                    day.strip_prefix('0').map_or(day.to_string(), |digit| format!(" {digit}"));
                format!("{} {month} {day} {time} {year}", word(0..3))
            }
        })
    }
}

/// Reads a value: text with escapes and braces.
pub(crate) fn parse(text: &str) -> Result<Template, String> {
    let mut template = Template::default();
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'{' | b'}')) {
        template.push(&rest[..at]);
        rest = &rest[at..];
        match rest[0] {
            b'\\' => {
                let (byte, used) = escape(rest)?;
                template.push(&[byte]);
                rest = &rest[used..];
            }
            b'{' => {
                let end = closing_brace(rest).ok_or("a { without its }; write \\{ for the sign")?;
                let inner =
                    std::str::from_utf8(&rest[1..end]).map_err(|error| error.to_string())?;
                template.append(braces(inner)?);
                rest = &rest[end + 1..];
            }
            _ => return Err("a } without its {; write \\} for the sign".into()),
        }
    }
    template.push(rest);
    Ok(template)
}

/// Text that must not depend on anything: paths, fixture contents.
pub(crate) fn parse_fixed(text: &str) -> Result<Vec<u8>, String> {
    match parse(text)?.0.as_slice() {
        [] => Ok(Vec::new()),
        [Piece::Bytes(bytes)] => Ok(bytes.clone()),
        _ => Err("only escapes and repetition can be used here".into()),
    }
}

/// Bytes in readable form, with the escapes of a case; at most `most` of them.
pub(crate) fn show(bytes: &[u8], most: usize) -> String {
    let mut shown: String = bytes[..bytes.len().min(most)]
        .iter()
        .map(|&byte| match byte {
            b'\r' => "\\r".into(),
            b'\n' => "\\n\n".into(),
            b'\t' => "\\t".into(),
            b'\\' => "\\\\".into(),
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        })
        .collect();
    if bytes.len() > most {
        shown += &format!("... and {} bytes more", bytes.len() - most);
    }
    shown
}

/// One escape at the beginning of `text`: the byte it means and its length.
fn escape(text: &[u8]) -> Result<(u8, usize), String> {
    let byte = match text.get(1) {
        Some(b'r') => b'\r',
        Some(b'n') => b'\n',
        Some(b't') => b'\t',
        Some(b'0') => 0,
        Some(b's') => b' ',
        Some(sign @ (b'\\' | b'{' | b'}')) => *sign,
        Some(b'x') => {
            let hex = text.get(2..4).and_then(|hex| std::str::from_utf8(hex).ok());
            let hex = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
            return hex.map(|byte| (byte, 4)).ok_or("\\x needs two hex digits".into());
        }
        _ => return Err("unknown escape; known are \\r \\n \\t \\0 \\s \\\\ \\{ \\} \\xHH".into()),
    };
    Ok((byte, 2))
}

/// The position of the brace that closes the one at position 0.
fn closing_brace(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'}' => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// The text between two braces.
fn braces(inner: &str) -> Result<Template, String> {
    if let Some((count, text)) = inner.split_once('*')
        && let Ok(count) = count.parse::<usize>()
    {
        return Ok(Template(vec![Piece::Bytes(parse_fixed(text)?.repeat(count))]));
    }
    let (name, argument) =
        inner.split_once(':').ok_or_else(|| format!("{{{inner}}} has no meaning"))?;
    let piece = match name {
        "fill" => {
            let (total, byte) = argument.split_once('*').ok_or("{fill:TOTAL*BYTE}")?;
            let total = total.parse().map_err(|_| "{fill:TOTAL*BYTE}: a number of bytes")?;
            match parse_fixed(byte)?.as_slice() {
                &[byte] => Piece::Fill { total, byte },
                _ => return Err("{fill:TOTAL*BYTE}: exactly one byte".into()),
            }
        }
        "etag" => {
            let (path, coding) = argument.split_once(' ').unwrap_or((argument, ""));
            Piece::Etag { path: path.into(), coding: coding.into() }
        }
        "last-modified" => Piece::LastModified { path: argument.into() },
        "time" => time(argument)?,
        _ => return Err(format!("{{{name}:...}} has no meaning")),
    };
    Ok(Template(vec![piece]))
}

/// `/path`, `now`, `/path+1`, `now-60 rfc850`, `/path asctime`.
fn time(argument: &str) -> Result<Piece, String> {
    let (moment, form) = match argument.split_once(' ') {
        None => (argument, Form::ImfFixdate),
        Some((moment, "rfc850")) => (moment, Form::Rfc850),
        Some((moment, "asctime")) => (moment, Form::Asctime),
        Some((_, form)) => return Err(format!("{form} is no form of date: rfc850 or asctime")),
    };
    let sign = moment.rfind(['+', '-']).unwrap_or(moment.len());
    let (moment, offset_s) = match moment[sign..].parse() {
        Ok(offset_s) => (&moment[..sign], offset_s),
        Err(_) => (moment, 0),
    };
    let of = if moment == "now" { Moment::Now } else { Moment::Modified(moment.into()) };
    Ok(Piece::Time { of, offset_s, form })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a text about the query; every file is from Sun, 06 Nov 1994 08:49:37 GMT.
    struct Echo;

    impl Source for Echo {
        fn etag(&self, path: &str, coding: &str) -> Result<Vec<u8>, String> {
            Ok(format!("\"{path}|{coding}\"").into_bytes())
        }

        fn last_modified(&self, path: &str) -> Result<Vec<u8>, String> {
            Ok(format!("when {path} changed").into_bytes())
        }

        fn modified(&self, _: &str) -> Result<SystemTime, String> {
            Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
        }
    }

    fn resolved(text: &str) -> String {
        String::from_utf8(parse(text).unwrap().resolve(&Echo, 3).unwrap()).unwrap()
    }

    #[test]
    fn escapes_stand_for_single_bytes() {
        assert_eq!(parse_fixed(r"a\r\n\t\0\s\\\{\}\x7f\xFFb").unwrap(), b"a\r\n\t\0 \\{}\x7f\xffb");
        for wrong in [r"\q", r"\x1", r"\xgg", "\\", "{", "}", "{3*a", "{mystery}", "{who:x}"] {
            assert!(parse(wrong).is_err(), "{wrong} was read as something");
        }
    }

    #[test]
    fn repetition_repeats_text_with_escapes() {
        assert_eq!(resolved(r"<{3*a\r\n}{0*b}>"), "<a\r\na\r\na\r\n>");
        assert_eq!(resolved(r"{2*\}}"), "}}");
    }

    #[test]
    fn a_fill_is_as_long_as_the_caller_says() {
        assert_eq!(resolved("a{fill:100*x}b"), "axxxb");
        assert_eq!(parse("a{fill:100*x}b").unwrap().fill_total(), Some(100));
        assert_eq!(parse("ab").unwrap().fill_total(), None);
    }

    #[test]
    fn captures_are_asked_of_the_source() {
        assert_eq!(resolved("W/{etag:/a}, {etag:/a gzip}"), "W/\"/a|\", \"/a|gzip\"");
        assert_eq!(resolved("{last-modified:/a}"), "when /a changed");
    }

    #[test]
    fn dates_are_written_in_all_three_forms() {
        assert_eq!(resolved("{time:/a}"), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(resolved("{time:/a+23}"), "Sun, 06 Nov 1994 08:50:00 GMT");
        assert_eq!(resolved("{time:/a-38 rfc850}"), "Sunday, 06-Nov-94 08:48:59 GMT");
        assert_eq!(resolved("{time:/a asctime}"), "Sun Nov  6 08:49:37 1994");
        assert_eq!(resolved("{time:/a-b+864000 asctime}"), "Wed Nov 16 08:49:37 1994");
        assert!(parse("{time:/a iso8601}").is_err());
        assert!(parse("{time:/a-999999999}").unwrap().resolve(&Echo, 0).is_err());
    }

    #[test]
    fn what_is_shown_can_be_read_and_is_cut() {
        assert_eq!(show(b"a\r\nb\\\xff", 99), "a\\r\\n\nb\\\\\\xff");
        assert_eq!(show(b"abcdef", 2), "ab... and 4 bytes more");
    }
}
