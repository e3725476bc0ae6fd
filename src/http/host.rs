//! `uri-host [ ":" port ]`: the value of a Host field and the authority of a request target
//! (RFC 9110 section 7.2, RFC 3986 section 3.2.2).
//!
//! Owns the grammar of hosts and ports. Which site a host selects, and whether a request needs one,
//! is decided elsewhere. A host never takes part in the path of a file.

use core::net::Ipv6Addr;

/// A valid host with an optional port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'v> {
    value: &'v [u8],
    /// Where the name ends: at the colon before the port, or at the end of the value.
    name_end: usize,
}

impl<'v> Host<'v> {
    /// Parses a whole value; `None` if it is not `uri-host [ ":" port ]`.
    ///
    /// The host is a registered name (which includes IPv4 addresses), an IPv6 address in brackets,
    /// or an address of a future version in brackets. The grammar allows an empty host, an empty
    /// port after the colon, and a port of any number of digits; a port above 65535 is therefore
    /// valid. Zone identifiers (RFC 6874) are refused, because they have a meaning only on the
    /// machine that sends them.
    #[inline]
    pub fn parse(value: &'v [u8]) -> Option<Host<'v>> {
        let digits = value.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let name = value[..value.len() - digits].strip_suffix(b":").unwrap_or(value);
        // One table lookup for each byte, and no branch: names are short.
        let is_plain = name.iter().fold(true, |is, &byte| is & REG_NAME[usize::from(byte)]);
        let name_end = if is_plain { name.len() } else { unusual_name_end(value)? };
        Some(Host { value, name_end })
    }

    /// The host without its port, as the client sent it. An IPv6 address has its brackets.
    pub fn name(&self) -> &'v [u8] {
        &self.value[..self.name_end]
    }

    /// The digits after the colon, if there is a colon; they may be empty.
    pub fn port(&self) -> Option<&'v [u8]> {
        self.value[self.name_end..].strip_prefix(b":")
    }
}

/// Where the name of a valid host ends that is percent-encoded or in brackets.
#[cold]
fn unusual_name_end(value: &[u8]) -> Option<usize> {
    let end = match value {
        [b'[', ..] => literal_end(value)?,
        _ => encoded_name_end(value)?,
    };
    match &value[end..] {
        [] => Some(end),
        [b':', port @ ..] if is_port(port) => Some(end),
        _ => None,
    }
}

/// Where `reg-name = *( unreserved / pct-encoded / sub-delims )` ends.
fn encoded_name_end(value: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match value[at..] {
            [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => at += 3,
            [byte, ..] if REG_NAME[usize::from(byte)] => at += 1,
            [b'%', ..] => return None,
            _ => return Some(at),
        }
    }
}

/// Where `IP-literal = "[" ( IPv6address / IPvFuture ) "]"` ends.
fn literal_end(value: &[u8]) -> Option<usize> {
    let end = value.iter().position(|byte| *byte == b']')?;
    let address = &value[1..end];
    (is_ipv6(address) || is_ipv_future(address)).then_some(end + 1)
}

/// The parser of `core` implements exactly the grammar of RFC 3986, which the tests verify.
fn is_ipv6(address: &[u8]) -> bool {
    str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// `IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`
fn is_ipv_future(address: &[u8]) -> bool {
    let [b'v' | b'V', rest @ ..] = address else {
        return false;
    };
    let Some(dot) = rest.iter().position(|byte| *byte == b'.') else {
        return false;
    };
    let (version, content) = (&rest[..dot], &rest[dot + 1..]);
    !version.is_empty()
        && version.iter().all(u8::is_ascii_hexdigit)
        && !content.is_empty()
        && content.iter().all(|byte| *byte == b':' || REG_NAME[usize::from(*byte)])
}

/// `port = *DIGIT`
fn is_port(port: &[u8]) -> bool {
    port.iter().all(u8::is_ascii_digit)
}

/// `unreserved / sub-delims` (RFC 3986 sections 2.2 and 2.3): a byte that a name may contain
/// without percent-encoding.
pub(super) const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~')
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        )
}

/// [`is_name_byte`] as a table: one load per byte of the Host of every request.
static REG_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = is_name_byte(byte);
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_valid(value: &[u8]) -> bool {
        Host::parse(value).is_some()
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        for (value, valid) in [
            ("example.com", true),
            ("example.com:80", true),
            ("example.com:", true),
            ("EXAMPLE.com.", true),
            ("localhost:8080", true),
            ("127.0.0.1", true),
            ("127.0.0.1:8000", true),
            ("999.999.999.999", true), // no IPv4 address, but a name
            ("", true),
            (":80", true),
            (":", true),
            ("a-b_c~d.e", true),
            ("!$&'()*+,;=", true),
            ("xn--bcher-kva.example", true),
            ("example.com:65535", true),
            ("example.com:65536", true), // valid by the grammar
            ("example.com:00000000000000000000000000000080", true),
            ("example.com:8a", false),
            ("example.com:-80", false),
            ("example.com:+80", false),
            ("example.com: 80", false),
            ("example.com:80:80", false),
            ("example.com::80", false),
            ("example.com/", false),
            ("example.com/path", false),
            ("example.com?query", false),
            ("example.com#fragment", false),
            ("user@example.com", false),
            ("user:secret@example.com", false),
            ("http://example.com", false),
            ("a b", false),
            (" a", false),
            ("a ", false),
            ("a\t", false),
            ("a\"b", false),
            ("a\\b", false),
            ("a<b>", false),
            ("a{b}", false),
            ("a|b", false),
            ("a^b", false),
            ("a`b", false),
            ("a\0", false),
            ("a\r\nb", false),
            ("a\u{7f}", false),
            ("b\u{fc}cher.example", false),
            ("a[::1]", false),
            ("a]", false),
        ] {
            assert_eq!(is_valid(value.as_bytes()), valid, "{value:?}");
        }
    }

    #[test]
    fn a_name_may_be_percent_encoded() {
        for (value, valid) in [
            ("%41", true),
            ("b%C3%BCcher.example:80", true),
            ("%zz", false),
            ("%4", false),
            ("%4g", false),
            ("%", false),
            ("a%", false),
            ("a%41%", false),
            ("a%41:8%30", false),
            ("a%41@b", false),
            ("a%41[::1]", false),
            ("a%00", true), // the grammar does not forbid it, and nothing decodes it
        ] {
            assert_eq!(is_valid(value.as_bytes()), valid, "{value:?}");
        }
    }

    #[test]
    fn an_address_in_brackets_is_ipv6_or_of_the_future() {
        for (address, valid) in [
            ("::", true),
            ("::1", true),
            ("1::", true),
            ("1:2:3:4:5:6:7:8", true),
            ("1:2:3:4:5:6:7::", true),
            ("::2:3:4:5:6:7:8", true),
            ("1::3:4:5:6:7:8", true),
            ("1:2:3::8", true),
            ("2001:DB8::abcd", true),
            ("::ffff:192.0.2.1", true),
            ("::192.0.2.1", true),
            ("1:2:3:4:5:6:192.0.2.1", true),
            ("1:2:3:4:5::192.0.2.1", true),
            ("0001::", true),
            ("", false),
            (":", false),
            (":::", false),
            ("1", false),
            ("1:", false),
            (":1", false),
            ("1:2:3:4:5:6:7", false),
            ("1:2:3:4:5:6:7:8:9", false),
            ("1:2:3:4:5:6:7:8::", false),
            ("1:2:3:4:5:6:7::8", false),
            ("::1:2:3:4:5:6:7:8", false),
            ("1::2::3", false),
            ("1:::2", false),
            ("00001::", false),
            ("g::", false),
            ("::192.0.2", false),
            ("::192.0.2.256", false),
            ("::192.0.2.01", false),
            ("::192.0.2.1:1", false),
            ("192.0.2.1::", false),
            ("192.0.2.1", false),
            ("1:2:3:4:5:6:7:192.0.2.1", false),
            ("fe80::1%eth0", false),
            ("fe80::1%25eth0", false),
            ("::1/64", false),
            (" ::1", false),
            ("::1 ", false),
            ("[::1", false),
            ("v1.x", true),
            ("V1f.a:b!~", true),
            ("v1.", false),
            ("v.x", false),
            ("vg.x", false),
            ("v1", false),
            ("v1.%41", false),
            ("v1.a/b", false),
        ] {
            for (value, valid) in [
                (format!("[{address}]"), valid),
                (format!("[{address}]:8080"), valid),
                (format!("[{address}]:"), valid),
                (format!("[{address}]8080"), false),
                (format!("[{address}]:x"), false),
                (format!("[{address}"), false),
                (format!("[{address}]]"), false),
                (format!("[{address}]."), false),
            ] {
                assert_eq!(is_valid(value.as_bytes()), valid, "{value:?}");
            }
        }
    }

    #[test]
    fn a_host_is_split_at_the_colon_before_its_port() {
        for (value, name, port) in [
            ("", "", None),
            (":", "", Some("")),
            ("a", "a", None),
            ("A.b.:80", "A.b.", Some("80")),
            ("a:", "a", Some("")),
            ("a%3A:0", "a%3A", Some("0")),
            ("a%3Ab", "a%3Ab", None),
            ("[::1]", "[::1]", None),
            ("[::1]:8080", "[::1]", Some("8080")),
            ("[v1.a:b]:", "[v1.a:b]", Some("")),
        ] {
            let host = Host::parse(value.as_bytes()).unwrap();
            assert_eq!(host.name(), name.as_bytes(), "{value}");
            assert_eq!(host.port(), port.map(str::as_bytes), "{value}");
        }
    }

    #[test]
    fn without_both_brackets_there_is_no_address() {
        assert!(!is_valid(b"::1"));
        assert!(!is_valid(b"["));
        assert!(!is_valid(b"]"));
        assert!(!is_valid(b"[\xff]"));
    }

    proptest! {
        #[test]
        fn a_valid_host_holds_nothing_that_ends_an_authority(
            value: Vec<u8>, junk in "[ -~]{0,12}",
        ) {
            for value in [&value[..], junk.as_bytes()] {
                if let Some(host) = Host::parse(value) {
                    let port = host.port().map_or(0, |port| port.len() + 1);
                    prop_assert_eq!(host.name().len() + port, value.len());
                    prop_assert!(value.iter().all(|byte| matches!(byte, 0x21..=0x7e)));
                    prop_assert!(!value.iter().any(|byte| b"/?#@\\\"<>".contains(byte)));
                }
            }
        }

        #[test]
        fn every_name_of_the_grammar_is_valid(
            value in "([A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}){0,20}(:[0-9]{0,8})?",
        ) {
            prop_assert!(is_valid(value.as_bytes()));
        }
    }
}
