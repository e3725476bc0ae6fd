//! A naive, literal parser of request heads (RFC 9112 sections 2 to 6).
//!
//! The reference of targets `head` and `machine`. If a head has several faults, it does not decide
//! which is found first: it collects the statuses of all of them.

use crate::chunks::is_token_byte;
use crate::paths;

/// The limits of a head.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of the head.
    pub head: usize,
    /// Bytes of the target.
    pub target: usize,
    /// Field lines.
    pub fields: usize,
}

/// The result for the start of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The beginning of a head, or nothing.
    Partial,
    /// Malformed; the response has one of these statuses.
    Bad(Vec<u16>),
    /// A head.
    Whole(Request),
}

/// A valid head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target.
    pub target: Vec<u8>,
    /// True for HTTP/1.0.
    pub old: bool,
    /// Names in lower case, and values.
    pub fields: Vec<(String, Vec<u8>)>,
    /// How the body ends.
    pub framing: Framing,
    /// Whether the connection persists.
    pub persistent: bool,
    /// Whether a 100 is expected: none, that, or something else.
    pub expects: Expects,
    /// Bytes of the head.
    pub length: usize,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After this many bytes.
    Length(u64),
    /// After a chunk of size 0.
    Chunked,
}

/// The value of Expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// Nothing.
    Nothing,
    /// 100-continue.
    Continue,
    /// Anything else.
    Other,
}

impl Request {
    /// The values of all lines of this name.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(it, _)| it == name).map(|(_, value)| &value[..]).collect()
    }

    /// The elements of a list of tokens, in lower case.
    fn tokens(&self, name: &str) -> Vec<String> {
        let joined = self.values(name).join(&b","[..]);
        let items = joined.split(|&byte| byte == b',').map(|item| trimmed(item).to_vec());
        let items = items.filter(|item| !item.is_empty());
        items
            .map(|item| item.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect())
            .collect()
    }
}

/// Parses the head at the start of `bytes`; empty lines before it were skipped.
pub fn read(bytes: &[u8], bounds: Bounds) -> Found {
    let window = &bytes[..bytes.len().min(bounds.head)];
    let end = window.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
    let head = &window[..end.unwrap_or(window.len())];
    if has_stray_byte(head) {
        return Found::Bad(vec![400]);
    }
    match end {
        Some(_) => whole(head, bounds),
        None if window.len() < bounds.head => Found::Partial,
        None => Found::Bad(vec![414, 431]),
    }
}

/// A control byte, a CR without LF or an LF without CR. A CR at the end may get its LF yet.
fn has_stray_byte(head: &[u8]) -> bool {
    (0..head.len()).any(|at| match head[at] {
        b'\r' => head.get(at + 1).is_some_and(|&next| next != b'\n'),
        b'\n' => at == 0 || head[at - 1] != b'\r',
        b'\t' => false,
        byte => byte.is_ascii_control(),
    })
}

fn whole(head: &[u8], bounds: Bounds) -> Found {
    let text = &head[..head.len() - 4];
    let mut flaws = Vec::new();
    let mut lines = lines(text).into_iter();
    let (method, target, old) = request_line(lines.next().expect("one"), bounds, &mut flaws);
    let mut fields = Vec::new();
    for line in lines {
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(0);
        let name = &line[..colon];
        if name.is_empty() || !name.iter().all(|&byte| is_token_byte(byte)) {
            flaws.push(400);
            continue;
        }
        let name = str::from_utf8(name).expect("a token").to_ascii_lowercase();
        fields.push((name, trimmed(&line[colon + 1..]).to_vec()));
    }
    if text.windows(2).filter(|pair| pair == b"\r\n").count() > bounds.fields {
        flaws.push(431);
    }
    let mut request = Request {
        method,
        target,
        old,
        fields,
        framing: Framing::None,
        persistent: false,
        expects: Expects::Nothing,
        length: head.len(),
    };
    let hosts = request.values("host");
    let needed = usize::from(!old);
    if hosts.len() > 1 || hosts.len() < needed || !hosts.iter().all(|host| paths::is_host(host)) {
        flaws.push(400);
    }
    request.framing = framing(&request, &mut flaws);
    let options = request.tokens("connection");
    let has = |option: &str| options.iter().any(|it| it == option);
    request.persistent = !has("close") && (!old || has("keep-alive"));
    let expected = if old { Vec::new() } else { request.tokens("expect") };
    request.expects = match (expected.is_empty(), expected.iter().all(|it| it == "100-continue")) {
        (true, _) => Expects::Nothing,
        (false, true) => Expects::Continue,
        (false, false) => Expects::Other,
    };
    if flaws.is_empty() { Found::Whole(request) } else { Found::Bad(flaws) }
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = vec![&text[..0]];
    let mut start = 0;
    for at in 0..text.len() {
        if text[at..].starts_with(b"\r\n") {
            start = at + 2;
            lines.push(&text[start..start]);
        } else if at >= start {
            *lines.last_mut().expect("at least one") = &text[start..=at];
        }
    }
    lines
}

fn request_line(line: &[u8], bounds: Bounds, flaws: &mut Vec<u16>) -> (String, Vec<u8>, bool) {
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let [method, target, version] = words[..] else {
        flaws.push(400);
        // The parsed parts may have further faults.
        if words.iter().any(|word| word.len() > bounds.target) {
            flaws.push(414);
        }
        return (String::new(), Vec::new(), true);
    };
    // Other faults of a target are checked later, except for CONNECT, whose target is not checked.
    let is_text = str::from_utf8(target).is_ok_and(|text| !text.contains('\t'));
    if method.is_empty() || !method.iter().all(|&byte| is_token_byte(byte)) || !is_text {
        flaws.push(400);
    }
    if target.is_empty() {
        flaws.push(400);
    }
    if target.len() > bounds.target {
        flaws.push(414);
    }
    match version {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            if *major != b'1' {
                flaws.push(505);
            }
        }
        _ => flaws.push(400),
    }
    let method = String::from_utf8_lossy(method).into_owned();
    (method, target.to_vec(), version.ends_with(b".0"))
}

fn framing(request: &Request, flaws: &mut Vec<u16>) -> Framing {
    let codings = request.values("transfer-encoding");
    let lengths = request.values("content-length");
    if !codings.is_empty() {
        if request.old || !lengths.is_empty() {
            flaws.push(400);
        } else if codings.len() > 1 || !codings[0].eq_ignore_ascii_case(b"chunked") {
            flaws.extend([400, 501]);
        }
        return Framing::Chunked;
    }
    match lengths[..] {
        [] => Framing::None,
        [digits] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            let digits = str::from_utf8(digits).expect("digits").trim_start_matches('0');
            match digits.parse() {
                Ok(length) => Framing::Length(length),
                Err(_) if digits.is_empty() => Framing::None,
                Err(_) => Framing::Length(u64::MAX),
            }
        }
        _ => {
            flaws.push(400);
            Framing::None
        }
    }
}

/// Without spaces and tabs at its ends.
fn trimmed(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().take_while(|byte| blank(byte)).count();
    let end = value.iter().rev().take_while(|byte| blank(byte)).count();
    value.get(start..value.len() - end).unwrap_or_default()
}
