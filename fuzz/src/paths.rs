//! A slow, simple parser of targets, paths and hosts.
//!
//! The reference of `http::target` and `http::host` (RFC 3986, RFC 9112 section 3.2).

/// A request target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Path, and query if there is a question mark.
    Origin(Vec<u8>, Option<Vec<u8>>),
    /// Whether it is https, then authority, path, query.
    Absolute(bool, Vec<u8>, Vec<u8>, Option<Vec<u8>>),
    /// `*`.
    Asterisk,
}

/// Splits a target; `None` if it is malformed.
pub fn split(target: &[u8]) -> Option<Form> {
    let text = str::from_utf8(target).ok()?;
    if text.chars().any(|c| c.is_ascii() && !c.is_ascii_graphic() || c == '#') {
        return None;
    }
    if text == "*" {
        return Some(Form::Asterisk);
    }
    let (before_query, query) = match text.split_once('?') {
        Some((before, query)) => (before, Some(query.as_bytes().to_vec())),
        None => (text, None),
    };
    if before_query.starts_with('/') {
        return Some(Form::Origin(before_query.as_bytes().to_vec(), query));
    }
    let (scheme, rest) = before_query.split_once("://")?;
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return None,
    };
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    if authority.is_empty() || authority.starts_with(':') || !is_host(authority.as_bytes()) {
        return None;
    }
    Some(Form::Absolute(secure, authority.as_bytes().to_vec(), path.as_bytes().to_vec(), query))
}

/// A slash that separates, as opposed to a byte of a name.
const SLASH: u16 = 256;

/// The canonical form of a path, by rewriting it until no rule applies; `None` if it is refused.
pub fn canonical(path: &[u8]) -> Option<Vec<u8>> {
    read(path).filter(|_| !has_encoded_slash(path))
}

/// True if the path has a slash that is encoded, which no name can have.
pub fn has_encoded_slash(path: &[u8]) -> bool {
    path.windows(3).any(|it| it.eq_ignore_ascii_case(b"%2f"))
}

/// As [`canonical`], with encoded slashes accepted; `None` if the path is malformed.
pub fn read(path: &[u8]) -> Option<Vec<u8>> {
    if path.first() != Some(&b'/') {
        return None;
    }
    let mut symbols = Vec::new();
    let mut at = 0;
    while at < path.len() {
        symbols.push(match path[at] {
            b'/' => SLASH,
            b'%' => {
                let digits = str::from_utf8(path.get(at + 1..at + 3)?).ok()?;
                if !digits.chars().all(|c| c.is_ascii_hexdigit()) {
                    return None;
                }
                at += 2;
                u16::from_str_radix(digits, 16).ok()?
            }
            byte => u16::from(byte),
        });
        if symbols.last() == Some(&0) {
            return None; // NUL
        }
        at += 1;
    }
    // `.` and `..` at the end name a folder.
    let dot = u16::from(b'.');
    if symbols.ends_with(&[SLASH, dot]) || symbols.ends_with(&[SLASH, dot, dot]) {
        symbols.push(SLASH);
    }
    while rewrite(&mut symbols, &[SLASH, SLASH]) || rewrite(&mut symbols, &[SLASH, dot, SLASH]) {}
    let climb = [SLASH, dot, dot, SLASH];
    while let Some(at) = find(&symbols, &climb) {
        let parent = symbols[..at].iter().rposition(|&symbol| symbol == SLASH)?;
        symbols.drain(parent..at + climb.len() - 1);
    }
    let bytes = symbols.iter().map(|&symbol| if symbol == SLASH { 47 } else { symbol });
    Some(bytes.map(|symbol| u8::try_from(symbol).expect("a byte")).collect())
}

/// Replaces the first `pattern` with a slash.
fn rewrite(symbols: &mut Vec<u16>, pattern: &[u16]) -> bool {
    let found = find(symbols, pattern);
    if let Some(at) = found {
        symbols.drain(at..at + pattern.len() - 1);
    }
    found.is_some()
}

fn find(symbols: &[u16], pattern: &[u16]) -> Option<usize> {
    symbols.windows(pattern.len()).position(|window| window == pattern)
}

/// The encoded form of a decoded path.
pub fn encoded(path: &[u8]) -> Vec<u8> {
    const PLAIN: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789\
                         -._~!$&'()*+,;=@/";
    path.iter()
        .map(|&byte| match PLAIN.as_bytes().contains(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect::<String>()
        .into_bytes()
}

/// The location for a target that is not percent-encoded: a path with one slash at its start,
/// and the query.
pub fn location(form: &Form) -> Vec<u8> {
    let (Form::Origin(path, query) | Form::Absolute(_, _, path, query)) = form else {
        return Vec::new();
    };
    let mut path = &path[..];
    while path.starts_with(b"//") {
        path = &path[1..];
    }
    let mut location = encoded_query(path);
    if let Some(query) = query {
        location.push(b'?');
        location.extend(encoded_query(query));
    }
    location
}

/// The location for a folder without its slash.
pub fn directory_location(canonical: &[u8]) -> Vec<u8> {
    let name = canonical.rsplit(|&byte| byte == b'/').next().expect("a part");
    [encoded(name), b"/".to_vec()].concat()
}

/// A query, with every byte encoded that a query may not contain. Existing encoding stays.
pub fn encoded_query(query: &[u8]) -> Vec<u8> {
    let mut result = Vec::new();
    for (at, &byte) in query.iter().enumerate() {
        let digits = query.get(at + 1..at + 3).unwrap_or_default();
        let is_encoded = digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit);
        match byte {
            b'%' if is_encoded => result.push(byte),
            b'?' | b':' => result.push(byte),
            _ => result.extend(encoded(&[byte])),
        }
    }
    result
}

/// Whether a canonical path has a name that begins with a dot, except `/.well-known`.
pub fn is_hidden(canonical: &[u8]) -> bool {
    let rest = match canonical.strip_prefix(b"/.well-known") {
        Some(rest) if rest.is_empty() || rest.starts_with(b"/") => rest,
        _ => canonical,
    };
    rest.windows(2).any(|pair| pair == b"/.")
}

/// `uri-host [ ":" port ]`; the host may be empty.
pub fn is_host(value: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(value) else { return false };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((literal, after)) = rest.split_once(']') else { return false };
            if !is_ipv6(literal) && !is_ip_future(literal) {
                return false;
            }
            match after.strip_prefix(':') {
                Some(port) => ("", port),
                None => (after, ""), // which must be empty
            }
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let literal_ends = !text.starts_with('[') || host.is_empty();
    literal_ends && is_name(host) && port.chars().all(|c| c.is_ascii_digit())
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(c)
}

fn is_name(name: &str) -> bool {
    let mut parts = name.split('%');
    let first = parts.next().unwrap_or_default();
    first.chars().all(is_name_char)
        && parts.all(|part| {
            part.len() >= 2
                && part.is_char_boundary(2)
                && part[..2].chars().all(|c| c.is_ascii_hexdigit())
                && part[2..].chars().all(is_name_char)
        })
}

fn is_ip_future(literal: &str) -> bool {
    let Some((version, rest)) = literal.split_once('.') else { return false };
    let digits = version.strip_prefix(['v', 'V']).unwrap_or_default();
    !digits.is_empty()
        && digits.chars().all(|c| c.is_ascii_hexdigit())
        && !rest.is_empty()
        && rest.chars().all(|c| c == ':' || is_name_char(c))
}

/// Eight groups of 16 bits, or fewer around one `::`; the last two may be an IPv4 address.
fn is_ipv6(literal: &str) -> bool {
    match literal.split_once("::") {
        None => groups(literal, true) == Some(8),
        Some((before, after)) => {
            let before = if before.is_empty() { Some(0) } else { groups(before, false) };
            let after = if after.is_empty() { Some(0) } else { groups(after, true) };
            matches!((before, after), (Some(before), Some(after)) if before + after <= 7)
        }
    }
}

fn groups(text: &str, may_end_in_ipv4: bool) -> Option<usize> {
    let parts: Vec<&str> = text.split(':').collect();
    let mut count = 0;
    for (at, part) in parts.iter().enumerate() {
        if may_end_in_ipv4 && at + 1 == parts.len() && is_ipv4(part) {
            count += 2;
        } else if (1..=4).contains(&part.len()) && part.chars().all(|c| c.is_ascii_hexdigit()) {
            count += 1;
        } else {
            return None;
        }
    }
    Some(count)
}

fn is_ipv4(text: &str) -> bool {
    let is_octet = |part: &str| (0..=255).any(|number: u32| number.to_string() == part);
    text.split('.').count() == 4 && text.split('.').all(is_octet)
}
