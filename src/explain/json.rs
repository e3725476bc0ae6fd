//! JSON (RFC 8259), written.

use std::fmt::{self, Display, Formatter, Write};

/// A value.
#[derive(Debug)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Json>),
    /// Names and values, in this order.
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    /// A text, or null.
    pub(super) fn text(text: Option<impl Into<String>>) -> Json {
        text.map_or(Json::Null, |text| Json::Text(text.into()))
    }

    /// A number, or null.
    pub(super) fn number(number: Option<u64>) -> Json {
        number.map_or(Json::Null, Json::Number)
    }

    /// A list of values.
    pub(super) fn list<T>(items: impl IntoIterator<Item = T>, make: impl Fn(T) -> Json) -> Json {
        Json::List(items.into_iter().map(make).collect())
    }
}

impl Display for Json {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Number(value) => write!(f, "{value}"),
            Json::Text(text) => write_text(text, f),
            Json::List(items) => {
                f.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", separator(index))?;
                }
                f.write_char(']')
            }
            Json::Object(members) => {
                f.write_char('{')?;
                for (index, (name, value)) in members.iter().enumerate() {
                    f.write_str(separator(index))?;
                    write_text(name, f)?;
                    write!(f, ":{value}")?;
                }
                f.write_char('}')
            }
        }
    }
}

fn separator(index: usize) -> &'static str {
    if index == 0 { "" } else { "," }
}

fn write_text(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for letter in text.chars() {
        match letter {
            '"' | '\\' => write!(f, "\\{letter}")?,
            '\0'..='\x1f' | '\x7f' => write!(f, "\\u{:04x}", u32::from(letter))?,
            _ => f.write_char(letter)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_members_keep_their_order() {
        let text = |text: &str| Json::Text(text.to_owned());
        for (value, expected) in [
            (Json::Null, "null"),
            (Json::text(None::<String>), "null"),
            (Json::number(Some(u64::MAX)), "18446744073709551615"),
            (text("a\"b\\c\r\n\u{7f}\0ü"), "\"a\\\"b\\\\c\\u000d\\u000a\\u007f\\u0000ü\""),
            (Json::List(vec![]), "[]"),
            (Json::Object(vec![]), "{}"),
            (
                Json::Object(vec![
                    ("z", Json::List(vec![Json::Bool(true), Json::Number(1)])),
                    ("a", Json::Null),
                ]),
                "{\"z\":[true,1],\"a\":null}",
            ),
        ] {
            assert_eq!(value.to_string(), expected);
        }
    }
}
