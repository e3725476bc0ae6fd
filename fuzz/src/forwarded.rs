//! Target `forwarded`: compares the search for the client with one that looks at every character
//! again for each question.
//!
//! Input: `f` or `x`, LF, the values of the lines of `Forwarded` or `X-Forwarded-For`. Trusted are
//! 10.0.0.0/8 and fd00::/8.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tenkay::http::fields::Fields;
use tenkay::http::forwarded::{Found, client};

/// What an element says.
enum Node {
    Address(IpAddr),
    Hidden,
    Malformed,
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let (line, bytes) = crate::settings(data);
    let is_forwarded = line.first() == Some(&b'f');
    let name = if is_forwarded { "Forwarded" } else { "X-Forwarded-For" };
    // A field has no other control characters, and no blanks around it.
    let is_value = |line: &&[u8]| line.iter().all(|byte| *byte == 9 || !byte.is_ascii_control());
    let values: Vec<&[u8]> =
        bytes.split(|byte| *byte == b'\n').filter(is_value).map(<[u8]>::trim_ascii).collect();
    let lines: Vec<httparse::Header> =
        values.iter().take(20).map(|value| httparse::Header { name, value }).collect();
    let found = client(&Fields::collect(&lines), trusts);
    let values: Vec<&[u8]> = lines.iter().map(|line| line.value).collect();
    let (expected, is_malformed) = find(&values, is_forwarded);
    let Found { client, malformed } = found;
    assert_eq!((client, malformed.is_some()), (expected, is_malformed), "{values:?}");
}

fn trusts(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    }
}

/// The reference: the client, and whether the search ended at a malformed element.
fn find(values: &[&[u8]], is_forwarded: bool) -> (Option<IpAddr>, bool) {
    let mut client = None;
    for value in values.iter().rev() {
        for element in split(value, b',').iter().rev() {
            let element = trim(element);
            if element.is_empty() {
                continue;
            }
            let node = if is_forwarded { element_of(element) } else { node(element, true) };
            match node {
                Node::Address(address) => {
                    client = Some(address.to_canonical());
                    if !trusts(address) {
                        return (client, false);
                    }
                }
                Node::Hidden => return (client, false),
                Node::Malformed => return (client, true),
            }
        }
    }
    (client, false)
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_prefix(b" ").or(text.strip_prefix(b"\t")) {
        text = rest;
    }
    while let Some(rest) = text.strip_suffix(b" ").or(text.strip_suffix(b"\t")) {
        text = rest;
    }
    text
}

/// The parts between separators with an even number of quotes to their right.
fn split(text: &[u8], separator: u8) -> Vec<Vec<u8>> {
    let is_quote = |at: usize| {
        let mut escapes = 0;
        while escapes < at && text[at - escapes - 1] == b'\\' {
            escapes += 1;
        }
        text[at] == b'"' && escapes % 2 == 0
    };
    let is_outside = |at: usize| (at..text.len()).filter(|at| is_quote(*at)).count() % 2 == 0;
    let mut parts = vec![Vec::new()];
    for (at, &byte) in text.iter().enumerate() {
        if byte == separator && is_outside(at) {
            parts.push(Vec::new());
        } else {
            parts.last_mut().unwrap().push(byte);
        }
    }
    parts
}

fn element_of(element: &[u8]) -> Node {
    let mut clients = Vec::new();
    // From the right: the first fault is what counts, and all of them mean the same.
    for pair in split(element, b';') {
        let pair = trim(&pair);
        if pair.is_empty() {
            continue;
        }
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let (Some(name), Some(value)) = (halves.next(), halves.next()) else {
            return Node::Malformed;
        };
        let (true, Some(value)) = (is_token(name), value_of(value)) else {
            return Node::Malformed;
        };
        if name.eq_ignore_ascii_case(b"for") {
            clients.push(value);
        }
    }
    match &clients[..] {
        [] => Node::Hidden,
        [(client, has_escapes)] if *has_escapes && client.len() > 64 => Node::Malformed,
        [(client, _)] => node(client, false),
        _ => Node::Malformed,
    }
}

fn is_token(text: &[u8]) -> bool {
    let others = b"!#$%&'*+-.^_`|~";
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || others.contains(byte))
}

/// The text of a value, and whether it had escapes.
fn value_of(value: &[u8]) -> Option<(Vec<u8>, bool)> {
    if value.first() != Some(&b'"') {
        return is_token(value).then(|| (value.to_vec(), false));
    }
    let (mut text, mut has_escapes, mut at) = (Vec::new(), false, 1);
    loop {
        match value.get(at)? {
            b'"' => return (at + 1 == value.len()).then_some((text, has_escapes)),
            b'\\' => {
                has_escapes = true;
                at += 1;
                text.push(*value.get(at)?);
            }
            byte => text.push(*byte),
        }
        at += 1;
    }
}

fn node(text: &[u8], is_plain: bool) -> Node {
    let Ok(text) = str::from_utf8(text) else { return Node::Malformed };
    if is_plain && let Ok(address) = text.parse::<Ipv6Addr>() {
        return Node::Address(address.into());
    }
    let is_word = |text: &str| {
        text.len() > 1
            && text.starts_with('_')
            && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
    };
    let is_port = |text: &str| {
        is_word(text)
            || (!text.is_empty() && text.len() < 6 && text.chars().all(|it| it.is_ascii_digit()))
    };
    // Every way to take it apart: as a whole, or with a port.
    let mut ways = vec![text];
    ways.extend(text.rsplit_once(':').filter(|(_, port)| is_port(port)).map(|(name, _)| name));
    for name in ways {
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Node::Address(address.into());
        }
        let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(Ok(address)) = inner.map(str::parse::<Ipv6Addr>) {
            return Node::Address(address.into());
        }
        if name.eq_ignore_ascii_case("unknown") || is_word(name) {
            return Node::Hidden;
        }
    }
    Node::Malformed
}
