//! Parses responses: heads, bodies and multipart/byteranges.
//!
//! This parser shares no code with the server, and it is strict: anything that RFC 9112 does not
//! allow a server to send is an error.

use memchr::memmem::find;

/// Names as received, values without the blanks around them; in order.
pub(crate) type Fields = Vec<(String, Vec<u8>)>;

/// One complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
}

/// One part of a multipart/byteranges body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) complete: u64,
    pub(crate) content: Vec<u8>,
}

impl Answer {
    /// The first response in `bytes` and its length; `None` while it is incomplete.
    /// `ended`: nothing follows, so that a body without a length is complete.
    pub(crate) fn parse(
        bytes: &[u8],
        to_head: bool,
        ended: bool,
    ) -> Result<Option<(Answer, usize)>, String> {
        let Some(head_length) = find(bytes, b"\r\n\r\n").map(|at| at + 4) else {
            return Ok(None);
        };
        let (status, fields) = head(&bytes[..head_length - 2])?;
        let mut answer = Answer { status, fields, body: Vec::new() };
        let rest = &bytes[head_length..];
        if !to_head && answer.has("Transfer-Encoding", b"chunked") {
            let Some((body, length)) = chunks(rest)? else { return Ok(None) };
            answer.body = body;
            return Ok(Some((answer, head_length + length)));
        }
        let length = if to_head || matches!(status, 100..=199 | 204 | 304) {
            0
        } else if let Some(length) = answer.content_length()? {
            usize::try_from(length).map_err(|error| error.to_string())?
        } else if ended {
            rest.len()
        } else {
            return Ok(None);
        };
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        answer.body = body.to_vec();
        Ok(Some((answer, head_length + length)))
    }

    /// The values of all fields of this name.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// The value of the one field of this name; `None` if there is none or several.
    pub(crate) fn one<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// True if the list-valued field of this name has this member, without case.
    pub(crate) fn has(&self, name: &str, member: &[u8]) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|own| own.trim_ascii().eq_ignore_ascii_case(member))
    }

    /// True if the response has `Connection: close`.
    pub(crate) fn says_close(&self) -> bool {
        self.has("Connection", b"close")
    }

    /// The length of the body as announced.
    pub(crate) fn content_length(&self) -> Result<Option<u64>, String> {
        match self.all("Content-Length").collect::<Vec<_>>().as_slice() {
            [] => Ok(None),
            [value] => decimal(value).map(Some),
            _ => Err("more than one Content-Length".into()),
        }
    }

    /// The range of this answer or part: first, last, complete length.
    pub(crate) fn content_range(&self) -> Result<Option<(u64, u64, u64)>, String> {
        self.one("Content-Range").map(content_range).transpose()
    }

    /// The parts of a multipart/byteranges body (RFC 9110 section 14.6, RFC 2046 section 5.1).
    pub(crate) fn parts(&self) -> Result<Vec<Part>, String> {
        let media_type = self.one("Content-Type").ok_or("no Content-Type")?;
        let boundary = media_type
            .strip_prefix(b"multipart/byteranges; boundary=")
            .ok_or_else(|| format!("{} is no multipart", media_type.escape_ascii()))?;
        let boundary = boundary.strip_prefix(b"\"").unwrap_or(boundary);
        let boundary = boundary.strip_suffix(b"\"").unwrap_or(boundary);
        if !(1..=70).contains(&boundary.len()) || !boundary.iter().all(u8::is_ascii_graphic) {
            return Err(format!("{} is no boundary", boundary.escape_ascii()));
        }
        let delimiter = [b"\r\n--", boundary].concat();
        let mut rest = self.body.strip_prefix(&delimiter[..]).ok_or("no boundary at the start")?;
        let mut parts = Vec::new();
        while let Some(section) = rest.strip_prefix(b"\r\n") {
            let end = find(section, &delimiter).ok_or("a part without an end")?;
            parts.push(part(&section[..end])?);
            rest = &section[end + delimiter.len()..];
        }
        if rest == b"--\r\n" || rest == b"--" { Ok(parts) } else { Err("no closing line".into()) }
    }
}

fn part(section: &[u8]) -> Result<Part, String> {
    let head_length = find(section, b"\r\n\r\n").ok_or("a part without an empty line")? + 4;
    let fields = fields(&section[..head_length - 2])?;
    let part = Answer { status: 206, fields, body: section[head_length..].to_vec() };
    if part.one("Content-Type").is_none() {
        return Err("a part without a Content-Type".into());
    }
    let (first, last, complete) = part.content_range()?.ok_or("a part without Content-Range")?;
    if part.body.len() as u64 != last - first + 1 {
        return Err(format!("{} bytes in the part {first}-{last}", part.body.len()));
    }
    Ok(Part { first, last, complete, content: part.body })
}

/// A response head up to and with the CRLF of its last line.
fn head(head: &[u8]) -> Result<(u16, Fields), String> {
    let line_length = find(head, b"\r\n").ok_or("no status line")?;
    let line = &head[..line_length];
    let wrong = || format!("not a status line: {}", line.escape_ascii());
    let rest = line.strip_prefix(b"HTTP/1.1 ").ok_or_else(wrong)?;
    let (code, reason) = rest.split_at_checked(3).ok_or_else(wrong)?;
    let status = decimal(code).ok().and_then(|code| u16::try_from(code).ok()).ok_or_else(wrong)?;
    if !matches!(reason, [b' ', reason @ ..] if reason.iter().all(|byte| is_text(*byte))) {
        return Err(wrong());
    }
    Ok((status, fields(&head[line_length + 2..])?))
}

/// Field lines, each with its CRLF.
fn fields(mut lines: &[u8]) -> Result<Fields, String> {
    let mut fields = Vec::new();
    while !lines.is_empty() {
        let end = find(lines, b"\r\n").ok_or("a field line without its CRLF")?;
        let line = &lines[..end];
        let wrong = || format!("not a field line: {}", line.escape_ascii());
        let colon = line.iter().position(|&byte| byte == b':').ok_or_else(wrong)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return Err(wrong());
        }
        if !value.iter().all(|byte| is_text(*byte)) {
            return Err(wrong());
        }
        fields.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
        lines = &lines[end + 2..];
    }
    Ok(fields)
}

/// `bytes first-last/complete`
fn content_range(value: &[u8]) -> Result<(u64, u64, u64), String> {
    let wrong = || format!("not a Content-Range: {}", value.escape_ascii());
    let text = std::str::from_utf8(value).map_err(|_| wrong())?;
    let (range, complete) =
        text.strip_prefix("bytes ").and_then(|text| text.split_once('/')).ok_or_else(wrong)?;
    let (first, last) = range.split_once('-').ok_or_else(wrong)?;
    let number = |text: &str| decimal(text.as_bytes()).map_err(|_| wrong());
    let (first, last, complete) = (number(first)?, number(last)?, number(complete)?);
    if first <= last && last < complete { Ok((first, last, complete)) } else { Err(wrong()) }
}

/// Digits only: `str::parse` also accepts a plus sign, which is not in the grammar.
fn decimal(digits: &[u8]) -> Result<u64, String> {
    let wrong = || format!("not a number: {}", digits.escape_ascii());
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(wrong());
    }
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or_else(wrong)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t')
}

/// The content of a chunked body, and its length with the chunks; `None` while it is incomplete.
/// (RFC 9112 section 7.1; the server sends no extensions and no trailers.)
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(end) = find(&bytes[at..], b"\r\n") else { return Ok(None) };
        let digits = &bytes[at..at + end];
        let text = str::from_utf8(digits).map_err(|error| error.to_string())?;
        let length = usize::from_str_radix(text, 16).map_err(|_| format!("a chunk of {text:?}"))?;
        let start = at + end + 2;
        at = start + length + 2;
        let Some(chunk) = bytes.get(start..at) else { return Ok(None) };
        let Some(content) = chunk.strip_suffix(b"\r\n") else {
            return Err("a chunk is longer than it says".into());
        };
        if length == 0 {
            return Ok(Some((body, at)));
        }
        body.extend_from_slice(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 404";

    #[test]
    fn a_response_ends_where_its_length_says() {
        let (answer, used) = Answer::parse(PLAIN, false, false).unwrap().unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"abc"[..]));
        assert_eq!(&PLAIN[used..], b"HTTP/1.1 404");
        for cut in 0..used {
            assert_eq!(Answer::parse(&PLAIN[..cut], false, false), Ok(None));
        }
    }

    #[test]
    fn a_chunked_body_ends_with_its_last_chunk() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let whole = format!("{head}3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\nmore");
        let (answer, used) = Answer::parse(whole.as_bytes(), false, false).unwrap().unwrap();
        assert_eq!((&answer.body[..], &whole[used..]), (&b"abc0123456789"[..], "more"));
        for cut in 0..used {
            assert_eq!(Answer::parse(&whole.as_bytes()[..cut], false, true), Ok(None), "{cut}");
        }
        for wrong in ["x\r\n\r\n", "-1\r\n\r\n", "1\r\nabc\r\n0\r\n\r\n"] {
            assert!(Answer::parse(format!("{head}{wrong}").as_bytes(), false, true).is_err());
        }
    }

    #[test]
    fn answers_to_head_and_204_and_304_have_no_body() {
        let (_, used) = Answer::parse(PLAIN, true, false).unwrap().unwrap();
        assert_eq!(&PLAIN[used..], b"abcHTTP/1.1 404");
        for status in [204, 304] {
            let bytes = format!("HTTP/1.1 {status} x\r\n\r\nmore");
            let (answer, used) = Answer::parse(bytes.as_bytes(), false, false).unwrap().unwrap();
            assert_eq!((answer.body.len(), &bytes[used..]), (0, "more"));
        }
    }

    #[test]
    fn a_body_without_a_length_goes_to_the_end() {
        let bytes = b"HTTP/1.1 200 OK\r\n\r\nabc";
        assert_eq!(Answer::parse(bytes, false, false), Ok(None));
        let (answer, used) = Answer::parse(bytes, false, true).unwrap().unwrap();
        assert_eq!((&answer.body[..], used), (&b"abc"[..], bytes.len()));
    }

    #[test]
    fn a_malformed_head_is_an_error() {
        for wrong in [
            "HTTP/1.0 200 OK\r\n\r\n",
            "HTTP/1.1 200\r\n\r\n",
            "HTTP/1.1 +20 OK\r\n\r\n",
            "HTTP/1.1 200 OK\nA: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert!(Answer::parse(wrong.as_bytes(), false, true).is_err(), "{wrong:?} was read");
        }
    }

    #[test]
    fn fields_are_found_without_case_and_lists_by_member() {
        let bytes = b"HTTP/1.1 200 OK\r\nVary: A,  b\r\nvary: c\r\nConnection: Close\r\n\r\n";
        let (answer, _) = Answer::parse(bytes, false, true).unwrap().unwrap();
        assert_eq!(answer.one("vary"), None);
        assert_eq!(answer.all("VARY").count(), 2);
        assert!(answer.has("Vary", b"B") && answer.has("Vary", b"c") && !answer.has("Vary", b"d"));
        assert!(answer.says_close());
    }

    fn multipart(body: &str) -> Result<Vec<Part>, String> {
        let media_type = b"multipart/byteranges; boundary=xyz".to_vec();
        let fields = vec![("Content-Type".to_owned(), media_type)];
        Answer { status: 206, fields, body: body.as_bytes().to_vec() }.parts()
    }

    #[test]
    fn a_multipart_body_is_taken_apart() {
        let part = |range: &str, content: &str| {
            format!(
                "\r\n--xyz\r\nContent-Type: a/b\r\nContent-Range: bytes {range}/9\r\n\r\n{content}"
            )
        };
        let whole = part("0-1", "ab") + &part("4-8", "\r\n--x") + "\r\n--xyz--\r\n";
        let parts = multipart(&whole).unwrap();
        assert_eq!(parts[0], Part { first: 0, last: 1, complete: 9, content: b"ab".to_vec() });
        assert_eq!((parts[1].first, &parts[1].content[..]), (4, &b"\r\n--x"[..]));
        assert_eq!(parts.len(), 2);

        assert!(multipart(&whole[2..]).is_err(), "no CRLF before the first boundary");
        assert!(multipart(&whole[..whole.len() - 4]).is_err(), "no closing line");
        assert!(multipart(&(part("0-1", "abc") + "\r\n--xyz--\r\n")).is_err(), "too long a part");
        assert!(multipart(&(part("1-0", "") + "\r\n--xyz--\r\n")).is_err(), "a reversed range");
        assert!(
            multipart(&(part("0-9", "0123456789") + "\r\n--xyz--\r\n")).is_err(),
            "past the end"
        );
        assert!(multipart("\r\n--xyz\r\nContent-Type: a/b\r\n\r\n\r\n--xyz--\r\n").is_err());
    }
}
