//! The client behind proxies, as `Forwarded` (RFC 7239) or `X-Forwarded-For` names it.
//!
//! Each proxy appends the address of its peer, so the list is read from the right: as long as an
//! address is that of a trusted proxy, the address to its left was written by that proxy. What
//! stands further left may be forged, and is not looked at: it cannot even make the rest malformed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::body::{is_token, trim_blanks};
use super::fields::{Field, Fields};

/// What the fields say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The first address from the right that is not trusted, or the leftmost if all are. An
    /// IPv4-mapped IPv6 address is an IPv4 address here. `None`: there is no address; the peer is
    /// the client.
    pub client: Option<IpAddr>,
    /// Why the list was not read further, if an element is malformed.
    pub malformed: Option<&'static str>,
}

/// Finds the client in a request that a trusted peer has sent. `Forwarded` wins over
/// `X-Forwarded-For`. An element without an address (`unknown`, a name with `_`) or a malformed one
/// ends the search: the client is the address to its right.
pub fn client(fields: &Fields<'_, '_>, trusts: impl Fn(IpAddr) -> bool) -> Found {
    if fields.has(Field::Forwarded) {
        walk(fields.lines(Field::Forwarded), forwarded, trusts)
    } else {
        walk(fields.lines(Field::XForwardedFor), |element| node(element, Form::Plain), trusts)
    }
}

/// What an element stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Address(IpAddr),
    /// The proxy does not say.
    Hidden,
    Malformed(&'static str),
}

fn walk<'b>(
    lines: impl DoubleEndedIterator<Item = &'b [u8]>,
    parse: impl Fn(&[u8]) -> Node,
    trusts: impl Fn(IpAddr) -> bool,
) -> Found {
    let mut found = Found { client: None, malformed: None };
    for line in lines.rev() {
        let mut rest = Some(line);
        while let Some(list) = rest {
            let (before, element) = split_last(list, b',');
            rest = before;
            let element = trim_blanks(element);
            if element.is_empty() {
                continue; // RFC 9110 section 5.6.1
            }
            match parse(element) {
                Node::Address(address) => {
                    found.client = Some(address.to_canonical());
                    if !trusts(address) {
                        return found;
                    }
                }
                Node::Hidden => return found,
                Node::Malformed(why) => return Found { malformed: Some(why), ..found },
            }
        }
    }
    found
}

/// Splits at the last separator that is not in a quoted string. Quotes are counted from the right.
fn split_last(text: &[u8], separator: u8) -> (Option<&[u8]>, &[u8]) {
    let mut is_quoted = false;
    for (at, &byte) in text.iter().enumerate().rev() {
        let is_escaped =
            || text[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
        if byte == b'"' && !is_escaped() {
            is_quoted = !is_quoted;
        } else if byte == separator && !is_quoted {
            return (Some(&text[..at]), &text[at + 1..]);
        }
    }
    (None, text)
}

/// An element of `Forwarded`: pairs with semicolons between them.
fn forwarded(element: &[u8]) -> Node {
    let mut client = None;
    let mut rest = Some(element);
    while let Some(pairs) = rest {
        let (before, pair) = split_last(pairs, b';');
        rest = before;
        let pair = trim_blanks(pair);
        if pair.is_empty() {
            continue;
        }
        let Some(equals) = memchr::memchr(b'=', pair) else {
            return Node::Malformed("a parameter has no value");
        };
        let (name, value) = (&pair[..equals], &pair[equals + 1..]);
        if !str::from_utf8(name).is_ok_and(is_token) {
            return Node::Malformed("the name of a parameter is not a token");
        }
        let mut room = [0; NODE_BYTES_MAX];
        let is_for = name.eq_ignore_ascii_case(b"for");
        let Some(value) = unquote(value, &mut room) else {
            return Node::Malformed("the value of a parameter is not a token or quoted string");
        };
        if is_for
            && client.replace(value.map_or(TOO_LONG, |value| node(value, Form::Strict))).is_some()
        {
            return Node::Malformed("for= is repeated");
        }
    }
    client.unwrap_or(Node::Hidden)
}

const TOO_LONG: Node = Node::Malformed("the address is too long");

/// Bytes of a node that has escapes: more than any address with a port.
const NODE_BYTES_MAX: usize = 64;

/// The content of a token or a quoted string (RFC 9110 section 5.6.4); `None`: it is neither.
/// `Some(None)`: it has escapes and is longer than `room`.
#[expect(clippy::option_option, reason = "three outcomes of one caller")]
fn unquote<'v>(value: &'v [u8], room: &'v mut [u8; NODE_BYTES_MAX]) -> Option<Option<&'v [u8]>> {
    let Some(quoted) = value.strip_prefix(b"\"") else {
        return str::from_utf8(value).is_ok_and(is_token).then_some(Some(value));
    };
    let content = quoted.strip_suffix(b"\"")?;
    let (mut length, mut escapes, mut bytes) = (0, false, content.iter());
    while let Some(&byte) = bytes.next() {
        let byte = match byte {
            b'"' => return None,
            b'\\' => {
                escapes = true;
                *bytes.next()?
            }
            byte => byte,
        };
        if matches!(byte, 0..=8 | 10..=31 | 127) {
            return None;
        }
        if let Some(place) = room.get_mut(length) {
            *place = byte;
        }
        length += 1;
    }
    Some(if escapes { room.get(..length) } else { Some(content) })
}

/// How a node is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As RFC 7239 section 6 says: IPv6 in brackets.
    Strict,
    /// As in `X-Forwarded-For`, which has no grammar: IPv6 with or without brackets.
    Plain,
}

/// An address, perhaps with a port, or a word for none.
fn node(text: &[u8], form: Form) -> Node {
    parse_node(text, form).unwrap_or(Node::Malformed("it is not an address"))
}

fn parse_node(text: &[u8], form: Form) -> Option<Node> {
    let text = str::from_utf8(text).ok()?;
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']')?;
        let is_complete = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        let address = address.parse::<Ipv6Addr>().ok()?;
        return is_complete.then_some(Node::Address(address.into()));
    }
    if form == Form::Plain
        && let Ok(address) = text.parse::<Ipv6Addr>()
    {
        return Some(Node::Address(address.into()));
    }
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    if !port.is_none_or(is_port) {
        return None;
    }
    if name.eq_ignore_ascii_case("unknown") || is_obfuscated(name) {
        return Some(Node::Hidden);
    }
    name.parse::<Ipv4Addr>().ok().map(|address| Node::Address(address.into()))
}

fn is_port(text: &str) -> bool {
    let is_number = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number || is_obfuscated(text)
}

fn is_obfuscated(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.strip_prefix('_').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_part))
}

#[cfg(test)]
mod tests;
