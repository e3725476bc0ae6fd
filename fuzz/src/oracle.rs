//! The expected responses to the bytes of a client, computed without the server.
//!
//! Walks over the bytes of a client, request by request, and over the responses, and panics if a
//! response does not fit its request. Only conditions (`If-...`) are not evaluated: their response
//! must be one of the possible ones.

use tenkay::config::{Limits, SiteConfig, Symlinks};

use crate::chunks::{self, Body};
use crate::paths;
use crate::range::{Chosen, Heads, by_intervals};
use crate::requests::{self, Expects, Found, Framing, Request};
use crate::responses::{self, Response};
use crate::tree::{Tree, tree};

/// The surroundings of a conversation.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The limits.
    pub limits: Limits,
    /// The configuration of the site.
    pub site: SiteConfig,
    /// Requests that the client may make.
    pub quota: u32,
    /// Pages for buffers.
    pub pages: usize,
    /// What happens when the client has sent everything.
    pub ending: Ending,
}

/// How the client's side ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It shuts down its sending side.
    Eof,
    /// It sends nothing more until the server times out.
    Silence,
    /// The connection is reset.
    Lost,
}

/// How complete the responses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Complete.
    Whole,
    /// They may be cut off.
    Cut,
    /// The same, and the server was shut down meanwhile, or a wait for the disk timed out: so any
    /// response may be the last, or a 503.
    Stopped,
}

/// Compares the responses with the requests.
pub fn check(setting: &Setting, sent: &[u8], answered: &[u8], seen: Seen) {
    let mut quota = setting.quota;
    let (mut sent, mut answered) = (sent, answered);
    while let Some(due) = next(setting, sent, &mut quota) {
        let Some(response) = responses::read(answered, due.head_only) else {
            assert_ne!(seen, Seen::Whole, "{due:?} is missing: {}", answered.escape_ascii());
            return;
        };
        check_response(setting, &due, &response, seen);
        answered = &answered[response.length..];
        if response.field("connection") == Some("close") {
            assert!(
                answered.is_empty(),
                "bytes after the last response: {}",
                answered.escape_ascii()
            );
            return;
        }
        sent = &sent[due.used..];
    }
    assert!(answered.is_empty(), "a response without a request: {}", answered.escape_ascii());
}

/// The expected response.
#[derive(Debug)]
struct Due {
    /// One of these.
    statuses: Vec<u16>,
    /// A body is announced, but not sent.
    head_only: bool,
    /// It is the last one.
    closes: bool,
    /// An HTTP/1.0 client has requested keep-alive.
    says_keep_alive: bool,
    what: What,
    /// Bytes of the request.
    used: usize,
}

/// The expected body.
#[derive(Clone, Debug)]
enum What {
    /// A file, and the value of the Range field that may apply.
    File(Vec<u8>, Option<Vec<u8>>),
    Listing,
    Redirect(Vec<u8>),
    /// An error page, or nothing.
    Page,
}

/// The expected response to the next request, if there is one.
fn next(setting: &Setting, sent: &[u8], quota: &mut u32) -> Option<Due> {
    let mut rest = sent;
    for _ in 0..2 {
        rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
    }
    let last = |statuses: Vec<u16>, head_only: bool| Due {
        statuses,
        head_only,
        closes: true,
        says_keep_alive: false,
        what: What::Page,
        used: 0,
    };
    let is_head = rest.starts_with(b"HEAD ");
    if rest.is_empty() {
        return None;
    }
    if rest.starts_with(b"\r\n") {
        return Some(last(vec![400], false)); // a third empty line
    }
    let bounds = requests::Bounds {
        head: setting.limits.head_bytes,
        target: setting.limits.target_bytes,
        fields: setting.limits.fields,
    };
    let request = match requests::read(rest, bounds) {
        Found::Partial => {
            return unfinished(setting.ending).map(|status| last(vec![status], is_head));
        }
        Found::Bad(statuses) => return Some(last(statuses, is_head)),
        Found::Whole(request) => request,
    };
    let exhausted = *quota == 0;
    *quota = quota.saturating_sub(1);
    let planned = if exhausted { Ok((vec![429], What::Page)) } else { plan(setting, &request) };
    let (statuses, what) = match planned {
        Ok(planned) => planned,
        Err(status) => return Some(last(vec![status], is_head)),
    };
    let skipped = sent.len() - rest.len();
    let mut due = Due {
        statuses,
        head_only: is_head,
        closes: !request.persistent,
        says_keep_alive: request.persistent && request.old,
        what,
        used: skipped + request.length,
    };
    let body = body(setting, &request, &rest[request.length..]);
    match body {
        Absorbed::Whole(length) => due.used += length,
        Absorbed::NotWanted => due.closes = true,
        Absorbed::TooLarge => {
            due.closes = true;
            // A failure stays a failure; conditions may hold or not.
            if due.statuses.iter().any(|&status| status < 400) {
                due.statuses.retain(|&status| status >= 400);
                due.statuses.push(413);
            }
        }
        Absorbed::Bad => return Some(last(vec![400], is_head)),
        Absorbed::Part => {
            return unfinished(setting.ending).map(|status| last(vec![status], is_head));
        }
    }
    due.says_keep_alive &= !due.closes;
    Some(due)
}

/// The response to an incomplete request.
fn unfinished(ending: Ending) -> Option<u16> {
    match ending {
        Ending::Eof => Some(400),
        Ending::Silence => Some(408),
        Ending::Lost => None,
    }
}

/// The result of reading the body of a request.
enum Absorbed {
    Whole(usize),
    Part,
    Bad,
    TooLarge,
    /// The client waits for a 100, which is never sent.
    NotWanted,
}

fn body(setting: &Setting, request: &Request, rest: &[u8]) -> Absorbed {
    let limits = &setting.limits;
    match request.framing {
        Framing::None => Absorbed::Whole(0),
        Framing::Length(length) if length > limits.body_bytes => Absorbed::TooLarge,
        _ if request.expects != Expects::Nothing => Absorbed::NotWanted,
        Framing::Length(length) if length <= rest.len() as u64 => {
            Absorbed::Whole(usize::try_from(length).expect("it is there"))
        }
        Framing::Length(_) => Absorbed::Part,
        Framing::Chunked => {
            let bounds = chunks::Bounds {
                line: usize::try_from(limits.chunk_line_bytes).expect("32 bits"),
                trailer: usize::try_from(limits.trailer_bytes).expect("32 bits"),
                data: limits.body_bytes,
            };
            match chunks::read(rest, bounds) {
                Body::Whole { used, .. } => Absorbed::Whole(used),
                Body::Part { .. } => Absorbed::Part,
                Body::TooLarge => Absorbed::TooLarge,
                Body::Bad { .. } => Absorbed::Bad,
            }
        }
    }
}

/// The possible statuses and the body, or the status that ends the connection.
fn plan(setting: &Setting, request: &Request) -> Result<(Vec<u16>, What), u16> {
    let page = |status: u16| Ok((vec![status], What::Page));
    if request.expects == Expects::Other {
        return page(417);
    }
    let method = request.method.as_str();
    if method == "CONNECT" {
        return page(405);
    }
    let form = paths::split(&request.target).ok_or(400_u16)?;
    match method {
        "GET" | "HEAD" | "OPTIONS" => {}
        "POST" | "PUT" | "DELETE" | "PATCH" | "TRACE" => return page(405),
        _ => return page(501),
    }
    let raw_location = (!request.target.is_ascii()).then(|| paths::location(&form));
    let (path, query) = match form {
        paths::Form::Origin(path, query) | paths::Form::Absolute(false, _, path, query) => {
            (path, query)
        }
        paths::Form::Absolute(true, ..) => return Err(421),
        paths::Form::Asterisk if method == "OPTIONS" => return page(204),
        paths::Form::Asterisk => return Err(400),
    };
    let canonical = paths::read(&path).ok_or(400_u16)?;
    if paths::has_encoded_slash(&path) {
        return page(404);
    }
    if method == "OPTIONS" {
        return page(204);
    }
    if let Some(location) = raw_location {
        return Ok((vec![301], What::Redirect(location)));
    }
    let what = match entry(setting, tree(), &canonical) {
        Ok(what) => what,
        Err(status) => return page(status),
    };
    Ok(match what {
        What::File(file, _) => of_file(setting, request, file),
        What::Redirect(mut location) => {
            if let Some(query) = query {
                location.push(b'?');
                location.extend(paths::encoded_query(&query));
            }
            (vec![301], What::Redirect(location))
        }
        What::Listing => {
            let statuses = if is_conditional(request) { vec![200, 304, 412] } else { vec![200] };
            (with_refusal(statuses, request), what)
        }
        What::Page => unreachable!("an entry is found or not"),
    })
}

fn entry(setting: &Setting, tree: &Tree, canonical: &[u8]) -> Result<What, u16> {
    if paths::is_hidden(canonical) {
        return Err(404);
    }
    let path = &canonical[1..];
    let follow = setting.site.symlinks == Symlinks::Inside;
    let file = |path: &[u8]| {
        let place = tree.resolve(path, follow).filter(|place| !place.directory)?;
        Some(What::File(tree.bytes(&place.path).to_vec(), None))
    };
    if canonical.ends_with(b"/") {
        if let Some(index) = file(&[path, b"index.html"].concat()) {
            return Ok(index);
        }
        let folder = tree.resolve(path, follow).filter(|place| place.directory).ok_or(404_u16)?;
        // The index is a link that leads outside: it exists, but is not served.
        if follow && folder.path == b"outer-index" {
            return Err(404);
        }
        return if setting.site.listing { Ok(What::Listing) } else { Err(403) };
    }
    if tree.resolve(path, follow).is_some_and(|place| place.directory) {
        return Ok(What::Redirect(paths::directory_location(canonical)));
    }
    file(path).ok_or(404)
}

fn is_conditional(request: &Request) -> bool {
    request.fields.iter().any(|(name, _)| {
        matches!(
            name.as_str(),
            "if-match" | "if-none-match" | "if-modified-since" | "if-unmodified-since"
        )
    })
}

fn of_file(setting: &Setting, request: &Request, file: Vec<u8>) -> (Vec<u16>, What) {
    let range = match request.values("range")[..] {
        [value] if request.method == "GET" => Some(value.to_vec()),
        _ => None,
    };
    // The media type is unknown here, but its length is from 10 to 60 bytes.
    let ranged = |type_length: usize| {
        let fields = "Content-Type: \r\n".len() + type_length;
        let heads = Heads { boundary: "tenkay-0123456789abcdef".len(), fields };
        let value = range.as_deref()?;
        match by_intervals(value, file.len() as u64, setting.limits.ranges, Some(heads)) {
            Chosen::Whole => None,
            Chosen::Ranges(_) => Some(206),
            Chosen::Unsatisfiable => Some(416),
        }
    };
    let mut statuses = vec![ranged(10).unwrap_or(200), ranged(60).unwrap_or(200)];
    if !request.values("if-range").is_empty() {
        statuses.push(200);
    }
    if is_conditional(request) {
        statuses.extend([304, 412]);
    }
    (with_refusal(statuses, request), What::File(file, range))
}

/// Accept-Encoding can exclude the only form that a file or a listing has.
fn with_refusal(mut statuses: Vec<u16>, request: &Request) -> Vec<u16> {
    if !request.values("accept-encoding").is_empty() {
        statuses.push(406);
    }
    statuses
}

fn check_response(setting: &Setting, due: &Due, response: &Response, seen: Seen) {
    let status = response.status;
    let has = |name: &str| response.field(name);
    let gives_up = seen == Seen::Stopped && status == 503;
    assert!(gives_up || due.statuses.contains(&status), "{due:?} but {response:?}");
    let closes = has("connection") == Some("close");
    if seen != Seen::Stopped {
        assert_eq!(closes, due.closes, "{due:?} but {response:?}");
    }
    assert!(closes || !due.closes);
    assert_eq!(has("connection") == Some("keep-alive"), due.says_keep_alive && !closes);
    assert_eq!(has("date"), Some(DATE));
    assert_eq!(has("server"), setting.site.server_header.then_some("tenkay"));
    assert_eq!(has("x-content-type-options"), Some("nosniff"));
    assert_eq!(has("allow").is_some(), matches!(status, 204 | 405));
    assert_eq!(has("location").is_some(), status == 301);
    assert_eq!(has("retry-after").is_some(), matches!(status, 429 | 503));
    let caching = match (status, &due.what) {
        (500.., _) => Some("no-store"),
        (200 | 206 | 304, What::File(..) | What::Listing) => Some("no-cache"),
        _ => None,
    };
    assert_eq!(has("cache-control"), caching);
    assert_eq!(has("content-type").is_none(), matches!(status, 204 | 304));
    match (status, &due.what) {
        (200 | 206 | 304 | 416, What::File(file, range)) => {
            check_file(setting, due, response, file, range.as_deref());
        }
        (301, What::Redirect(location)) => {
            assert_eq!(has("location").map(str::as_bytes), Some(&location[..]));
            assert!(!location.starts_with(b"//") && !location.is_empty());
        }
        (200, What::Listing) => {
            assert!(due.head_only || response.body.starts_with(b"<!DOCTYPE html>"));
            for name in [b".hidden".as_slice(), b"to-hidden", b"outside"] {
                assert!(!contains(&response.body, name), "{due:?}");
            }
        }
        (304, What::Listing) | (204, _) => assert!(response.body.is_empty()),
        (200 | 206 | 301, _) => panic!("{due:?} but {response:?}"),
        _ => {
            assert_eq!(has("content-type"), Some("text/html; charset=utf-8"));
            assert!(due.head_only || contains(&response.body, status.to_string().as_bytes()));
        }
    }
}

/// The time of all conversations: 2024-01-01.
const DATE: &str = "Mon, 01 Jan 2024 00:00:00 GMT";

fn check_file(
    setting: &Setting,
    due: &Due,
    response: &Response,
    file: &[u8],
    range: Option<&[u8]>,
) {
    let size = file.len() as u64;
    if response.status == 416 {
        assert_eq!(response.field("content-range"), Some(format!("bytes */{size}").as_str()));
        return;
    }
    assert!(response.field("etag").is_some_and(|tag| tag.starts_with('"') && tag.len() > 2));
    assert_eq!(response.field("last-modified"), Some("Wed, 01 Jan 2020 00:00:00 GMT"));
    assert_eq!(response.field("accept-ranges"), Some("bytes"));
    match response.status {
        200 => {
            assert_eq!(response.field("content-length"), Some(size.to_string().as_str()));
            assert!(due.head_only || response.body == file);
        }
        206 => {
            let range = range.expect("asked for");
            let chosen = by_intervals(range, size, setting.limits.ranges, None);
            let Chosen::Ranges(chosen) = chosen else { panic!("206, but {chosen:?}") };
            check_ranges(response, file, &chosen);
        }
        _ => assert!(response.body.is_empty()),
    }
}

fn check_ranges(response: &Response, file: &[u8], chosen: &[(u64, u64)]) {
    let parts = match response.field("content-range") {
        Some(range) => vec![(range.to_owned(), response.body.clone())],
        None => {
            let kind = response.field("content-type").expect("checked");
            let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("parts");
            responses::parts(&response.body, boundary)
        }
    };
    assert_eq!(response.field("content-range").is_some(), chosen.len() == 1);
    assert_eq!(parts.len(), chosen.len());
    for ((text, bytes), (first, last)) in parts.iter().zip(chosen) {
        assert_eq!(*text, format!("bytes {first}-{last}/{}", file.len()));
        let span = usize::try_from(*first).unwrap()..=usize::try_from(*last).unwrap();
        assert_eq!(bytes, &file[span]);
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
