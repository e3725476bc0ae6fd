//! Priorities of responses (RFC 9218).

use crate::http::body::trim_blanks;

/// What a client says about a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Priority {
    /// 0, the most urgent, to 7.
    pub(super) urgency: u8,
    /// The response is useful in parts, so it shares the connection with others of its urgency.
    pub(super) incremental: bool,
}

/// The levels of urgency.
pub(super) const LEVELS: usize = 8;

/// The urgency of a response about which nothing is said (section 4.1).
const URGENCY: u8 = 3;

impl Priority {
    /// Nothing is said: old clients and tools expect their responses to share the connection.
    pub(super) const NONE: Priority = Priority { urgency: URGENCY, incremental: true };

    /// Parses the value of the field, a dictionary (RFC 8941 section 3.2). Members that are unknown
    /// or malformed are ignored.
    pub(super) fn parse(value: &[u8]) -> Priority {
        let mut found = Priority { urgency: URGENCY, incremental: false };
        for member in value.split(|&byte| byte == b',') {
            let item = member.split(|&byte| byte == b';').next().unwrap_or_default();
            match trim_blanks(item) {
                [b'u', b'=', digit @ b'0'..=b'7'] => found.urgency = digit - b'0',
                b"i" | b"i=?1" => found.incremental = true,
                b"i=?0" => found.incremental = false,
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgency_and_incremental_are_found_and_the_rest_is_ignored() {
        for (value, urgency, incremental) in [
            ("", 3, false),
            ("u=0", 0, false),
            ("u=7, i", 7, true),
            ("i,u=1", 1, true),
            ("i=?1", 3, true),
            ("i, i=?0", 3, false),
            ("u=2;x=1 , i;y", 2, true),
            ("u=8, u=-1, u, u=11", 3, false),
            ("x=?1, u=5, y=\"a\"", 5, false),
        ] {
            let expected = Priority { urgency, incremental };
            assert_eq!(Priority::parse(value.as_bytes()), expected, "{value}");
        }
    }
}
