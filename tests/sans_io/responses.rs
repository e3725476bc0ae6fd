//! A strict parser of responses (RFC 9112), written independently of the code that writes them, so
//! that both are unlikely to have the same bug.

/// One complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of the one field of this name; the empty string if there is none.
    pub(crate) fn field(&self, name: &str) -> &str {
        let mut values =
            self.fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        let value = values.next().map_or("", String::as_str);
        assert!(values.next().is_none(), "{name} occurs twice in {:?}", self.fields);
        value
    }
}

/// The responses in a stream of bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// The complete responses.
    pub(crate) whole: Vec<Response>,
    /// The incomplete next one: its head, if that is complete, and the bytes after it.
    pub(crate) cut: Option<Cut>,
}

/// The beginning of a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Status and fields, with the body so far; `None` while the head is incomplete.
    pub(crate) begun: Option<Response>,
    pub(crate) bytes: usize,
}

/// Parses responses to the end of the bytes. `is_head` tells which requests, counted from 0, were
/// HEAD.
///
/// # Errors
/// Anything that a server must not send.
pub(crate) fn parse(
    mut bytes: &[u8],
    mut is_head: impl FnMut(usize) -> bool,
) -> Result<Parsed, String> {
    let mut whole = Vec::new();
    while !bytes.is_empty() {
        let Some(end) = find(bytes, b"\r\n\r\n") else {
            return Ok(Parsed { whole, cut: Some(Cut { begun: None, bytes: bytes.len() }) });
        };
        let mut response = head(&bytes[..end + 2])?;
        let rest = &bytes[end + 4..];
        let length = body_length(&response, is_head(whole.len()))?;
        response.body = rest[..rest.len().min(length)].to_vec();
        if rest.len() < length {
            let cut = Cut { begun: Some(response), bytes: bytes.len() };
            return Ok(Parsed { whole, cut: Some(cut) });
        }
        whole.push(response);
        bytes = &rest[length..];
    }
    Ok(Parsed { whole, cut: None })
}

/// A status line and field lines, each with its CRLF.
fn head(bytes: &[u8]) -> Result<Response, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a head that is not UTF-8".to_owned())?;
    let complain = |what: &str| Err(format!("{what} in {text:?}"));
    let mut lines = text.strip_suffix("\r\n").ok_or("a head without an end")?.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let mut parts = status_line.splitn(3, ' ');
    let (version, code, reason) = (parts.next(), parts.next(), parts.next());
    let status = code.filter(|code| code.len() == 3).and_then(|code| code.parse().ok());
    let (Some("HTTP/1.1"), Some(status), Some(_)) = (version, status, reason) else {
        return complain("a malformed status line");
    };
    let mut fields = Vec::new();
    for line in lines {
        let Some((name, value)) = line.split_once(": ") else {
            return complain("a line that is no field");
        };
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || !name.bytes().all(is_token) {
            return complain("a malformed field name");
        }
        if value.trim() != value || value.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return complain("a malformed field value");
        }
        fields.push((name.to_owned(), value.to_owned()));
    }
    let response = Response { status, fields, body: Vec::new() };
    for name in ["Date", "X-Content-Type-Options"] {
        if response.field(name).is_empty() {
            return complain(&format!("no {name}"));
        }
    }
    Ok(response)
}

/// The length of the body after this head.
fn body_length(response: &Response, is_head: bool) -> Result<usize, String> {
    let announced = response.field("Content-Length");
    if matches!(response.status, 204 | 304) {
        let silent = announced.is_empty();
        return if silent { Ok(0) } else { Err(format!("a length in {response:?}")) };
    }
    let digits = !announced.is_empty() && announced.bytes().all(|byte| byte.is_ascii_digit());
    let length: usize =
        announced.parse().ok().filter(|_| digits).ok_or(format!("no length in {response:?}"))?;
    Ok(if is_head { 0 } else { length })
}

/// The first position of `needle`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
