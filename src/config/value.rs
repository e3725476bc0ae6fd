//! Values of settings from text: the same for flags, environment and file.
//!
//! An error says in one line what is wrong and how to fix it; the caller adds the place. Only the
//! start of patterns and destinations is checked here: rules are parsed when the sites are made.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    AccessFormat, ArchiveFormat, CacheControl, CleanUrls, Cors, EncodedSlash, EtagSource,
    HeaderRule, LogFormat, LogLevel, RedirectRule, Sandbox, Symlinks, TlsVersion, WhenFull,
    Workers,
};
use crate::http::body::is_token;
use crate::http::host::Host;

/// The words for a setting, and what each means.
pub type Choice<T, const N: usize> = [(&'static str, T); N];

/// The words for `symlinks`.
pub const SYMLINKS: Choice<Symlinks, 2> = [("follow", Symlinks::Inside), ("off", Symlinks::Off)];
/// The words for `encoded_slash`.
pub const ENCODED_SLASH: Choice<EncodedSlash, 2> =
    [("refuse", EncodedSlash::Refuse), ("decode", EncodedSlash::Decode)];
/// The words for `etag`.
pub const ETAG: Choice<EtagSource, 3> =
    [("auto", EtagSource::Auto), ("content", EtagSource::Content), ("time", EtagSource::Time)];
/// The words for `clean_urls`.
pub const CLEAN_URLS: Choice<CleanUrls, 3> =
    [("off", CleanUrls::Off), ("serve", CleanUrls::Serve), ("redirect", CleanUrls::Redirect)];
/// The words for `sandbox`.
pub const SANDBOX: Choice<Sandbox, 3> =
    [("on", Sandbox::On), ("strict", Sandbox::Strict), ("off", Sandbox::Off)];
/// The words for `archives`.
pub const ARCHIVES: Choice<ArchiveFormat, 2> =
    [("tar", ArchiveFormat::Tar), ("zip", ArchiveFormat::Zip)];
/// The words for the format of the access log.
pub const ACCESS_FORMAT: Choice<AccessFormat, 4> = [
    ("common", AccessFormat::Common),
    ("combined", AccessFormat::Combined),
    ("vhost_combined", AccessFormat::VhostCombined),
    ("json", AccessFormat::Json),
];

/// The words for the level of the log.
pub const LOG_LEVEL: Choice<LogLevel, 4> = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];

/// The words for the format of the log.
pub const LOG_FORMAT: Choice<LogFormat, 2> = [("text", LogFormat::Text), ("json", LogFormat::Json)];

/// The words for `when_full`.
pub const WHEN_FULL: Choice<WhenFull, 2> = [("wait", WhenFull::Wait), ("refuse", WhenFull::Refuse)];

/// The words for `min_version`.
pub const TLS_VERSIONS: Choice<TlsVersion, 2> =
    [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];

/// The value of Strict-Transport-Security (RFC 6797 section 6.1).
///
/// # Errors
/// If it is no such value.
pub fn hsts(text: &str) -> Result<String, String> {
    let directives = || text.split(';').map(str::trim);
    let is_age = |it: &str| {
        let age = it.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("max-age"));
        age.is_some_and(|(_, age)| !age.is_empty() && age.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_other = |it: &str| {
        it.eq_ignore_ascii_case("includeSubDomains") || it.eq_ignore_ascii_case("preload")
    };
    let is_valid = directives().all(|it| is_age(it) || is_other(it));
    if text.is_empty() || is_valid && directives().filter(|it| is_age(it)).count() == 1 {
        return Ok(text.to_owned());
    }
    Err(format!(
        "'{text}' is no value of Strict-Transport-Security; write one such as max-age=31536000, or \
         max-age=31536000; includeSubDomains"
    ))
}

/// A number of workers, or `auto`.
///
/// # Errors
/// If it is neither, or too many.
pub fn workers(text: &str) -> Result<Workers, String> {
    if text == "auto" {
        return Ok(Workers::Auto);
    }
    let count = text.parse().ok().filter(|count| (1..=Workers::MOST).contains(count));
    count.map(Workers::Count).ok_or_else(|| {
        format!("'{text}' is no number of workers; write one from 1 to {}, or auto", Workers::MOST)
    })
}

/// How many seconds the files of an earlier root are found.
///
/// # Errors
/// If it is no number of seconds, or more than a week.
pub fn previous_root_s(text: &str) -> Result<u32, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= PREVIOUS_ROOT_MOST_S);
    seconds.ok_or_else(|| {
        format!(
            "'{text}' is no number of seconds; write one from 0 (off) to {PREVIOUS_ROOT_MOST_S}, a \
             week"
        )
    })
}

/// The longest time: an earlier root keeps its disk space in use.
const PREVIOUS_ROOT_MOST_S: u32 = 604_800;

/// The name of an index file.
///
/// # Errors
/// If it is no name of a file.
pub fn index_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['/', '\0']) {
        return Err(format!("'{text}' is not the name of a file; write a name without a slash"));
    }
    Ok(text.to_owned())
}

/// A glob for one name; empty: none.
///
/// # Errors
/// If it could never match.
pub fn glob(text: &str) -> Result<String, String> {
    if text.contains(['/', '\0']) {
        return Err(format!("'{text}' can match no name; write a glob with no slash"));
    }
    Ok(text.trim().to_owned())
}

/// The value of Cache-Control: `auto`, `off`, or the value itself.
///
/// # Errors
/// If it cannot be the value of a field.
pub fn cache_control(text: &str) -> Result<CacheControl, String> {
    match text {
        "auto" => Ok(CacheControl::Auto),
        "off" => Ok(CacheControl::Off),
        _ => match field_value(text)? {
            "" => Err("the value is empty; write off to send no Cache-Control".to_owned()),
            long if long.len() > FIELD_BYTES_MAX => Err(too_long(long)),
            value => Ok(CacheControl::Value(value.to_owned())),
        },
    }
}

/// The charset of text types; `off`: none.
///
/// # Errors
/// If it is not a token.
pub fn charset(text: &str) -> Result<Option<String>, String> {
    match text {
        "off" => Ok(None),
        _ if is_token(text) && text.len() <= FIELD_BYTES_MAX => Ok(Some(text.to_owned())),
        _ => Err(format!("'{text}' is not a charset; write its name, such as utf-8, or off")),
    }
}

/// The format of an archive.
///
/// # Errors
/// If it is none.
pub fn archive(text: &str) -> Result<ArchiveFormat, String> {
    let found = ARCHIVES.iter().find(|(word, _)| *word == text);
    found
        .map(|(_, format)| *format)
        .ok_or_else(|| format!("'{text}' is not the format of an archive; write tar or zip"))
}

/// The formats of archives: a list separated by commas, or `off`.
///
/// # Errors
/// If one of them is none.
pub fn archives(text: &str) -> Result<Vec<ArchiveFormat>, String> {
    match text {
        "off" => Ok(Vec::new()),
        _ => text.split(',').map(archive).collect(),
    }
}

/// The path of a page of the site.
///
/// # Errors
/// If it does not begin with a slash, names a folder, or is not canonical.
pub fn page(text: &str) -> Result<String, String> {
    let example = "write its path from the root, such as /index.html";
    if !text.starts_with('/') || text.chars().any(char::is_control) {
        return Err(format!("'{text}' is not the path of a page; {example}"));
    }
    if text.ends_with('/') {
        return Err(format!("'{text}' is a folder, but a page is a file; {example}"));
    }
    if text[1..].split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(format!("'{text}' has a segment that is empty, '.' or '..'; {example}"));
    }
    Ok(text.to_owned())
}

/// The page for navigations to what is not there; `off`: none.
///
/// # Errors
/// As [`page`].
pub fn spa(text: &str) -> Result<Option<String>, String> {
    if text == "off" {
        return Ok(None);
    }
    page(text).map(Some).map_err(|why| format!("{why}, or off"))
}

/// `STATUS=PATH`: the page for a status.
///
/// # Errors
/// As [`error_status`] and [`page`].
pub fn error_page(text: &str) -> Result<(u16, String), String> {
    let Some((status, path)) = text.split_once('=') else {
        return Err(format!("'{text}' is not STATUS=PATH, such as 404=/404.html"));
    };
    Ok((error_status(status.trim())?, page(path.trim())?))
}

/// A status that can have a page.
///
/// # Errors
/// If it is not from 400 to 599.
pub fn error_status(text: &str) -> Result<u16, String> {
    let status = three_digits(text).filter(|status| (400..=599).contains(status));
    let status = status.ok_or_else(|| {
        format!("'{text}' is not the status of an error; write one from 400 to 599, such as 404")
    })?;
    match status {
        // Rules may answer with 410 or 451.
        400..=499 if !OWN_PAGE.contains(&status) => Ok(status),
        500 | 501 | 503 => Ok(status),
        _ if OWN_PAGE.contains(&status) => {
            Err(format!("tenkay always sends its own page for status {status}; leave it out"))
        }
        _ => Err(format!("tenkay never sends status {status}; leave it out")),
    }
}

/// Malformed requests, and those for another server: they belong to no path of a site.
const OWN_PAGE: [u16; 8] = [400, 408, 413, 414, 417, 421, 431, 505];

fn three_digits(text: &str) -> Option<u16> {
    let is_status = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_status { text.parse().ok() } else { None }
}

/// Origins as one text: `*`, `off`, or a list with commas.
///
/// # Errors
/// As [`origin`].
pub fn cors(text: &str) -> Result<Cors, String> {
    match text.trim() {
        "*" => Ok(Cors::Any),
        "off" => Ok(Cors::Off),
        list => list
            .split(',')
            .map(|part| origin(part.trim()))
            .collect::<Result<_, _>>()
            .map(Cors::Origins),
    }
}

/// An origin, `scheme://host[:port]`, as browsers send it: in lower case.
///
/// # Errors
/// If no browser would send it.
pub fn origin(text: &str) -> Result<String, String> {
    let example = "write SCHEME://HOST[:PORT], such as https://example.org";
    let bad = || format!("'{text}' is not an origin; {example}");
    if text == "*" {
        return Err("'*' cannot be one of several origins; write it alone".to_owned());
    }
    let lower = text.to_ascii_lowercase();
    let (scheme, authority) = lower.split_once("://").ok_or_else(bad)?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if let Some((authority, rest)) = authority.split_once('/')
        && is_scheme
        && Host::parse(authority.as_bytes()).is_some()
    {
        let why = if rest.is_empty() { "slash at the end" } else { "path" };
        return Err(format!("an origin has no {why}; write {scheme}://{authority}"));
    }
    let host =
        Host::parse(authority.as_bytes()).filter(|host| is_scheme && !host.name().is_empty());
    let host = host.filter(|host| !host.name().contains(&b'*')).ok_or_else(bad)?;
    match (scheme, host.port()) {
        (_, Some(b"")) | ("http", Some(b"80")) | ("https", Some(b"443")) => {
            let name = String::from_utf8_lossy(host.name());
            Err(format!("browsers leave the default port out; write {scheme}://{name}"))
        }
        _ => Ok(lower),
    }
}

/// A name of a site, without a port: exact, or `*.NAME` for one more label. In lower case.
///
/// # Errors
/// If no request could have it.
pub fn host(text: &str) -> Result<String, String> {
    let bad = |why: &str| Err(format!("'{text}' {why}"));
    if !text.is_ascii() {
        return bad("is not ASCII; write the name as it is in the DNS, with xn--");
    }
    if text == "*" {
        return bad("is not a name; a site without hosts serves all other names");
    }
    let lower = text.to_ascii_lowercase();
    let name = lower.strip_prefix("*.").unwrap_or(&lower);
    let is_name = |host: &Host| !host.name().is_empty() && !host.name().contains(&b'*');
    let Some(host) = Host::parse(name.as_bytes()).filter(is_name) else {
        return bad("is not a name; write it as example.org, or *.example.org for one more label");
    };
    if host.port().is_some() {
        return bad("has a port; write the name alone: every port serves the same sites");
    }
    if name.ends_with('.') {
        return bad("ends with a dot; leave the dot out");
    }
    if name.starts_with('.') || name.contains("..") {
        return bad("has an empty label; write it as example.org");
    }
    if name != lower && (name.starts_with('[') || name.parse::<IpAddr>().is_ok()) {
        return bad("is an address, which has no names below it; leave *. out");
    }
    Ok(lower)
}

/// A pattern of paths; only its start is checked.
///
/// # Errors
/// If it is not a path.
pub fn pattern(text: &str) -> Result<String, String> {
    if !text.starts_with('/') || text.chars().any(char::is_control) {
        return Err(format!(
            "'{text}' is not a pattern of paths; begin it with a slash, as in /a/* or /*.css"
        ));
    }
    Ok(text.to_owned())
}

/// A pattern of paths that are restricted. It has a meaning of its own, but `/folder/` is refused:
/// who writes it wants to restrict what is below as well.
///
/// # Errors
/// If it is not a path, or would leave what is below a folder open.
pub fn guard_pattern(text: &str) -> Result<String, String> {
    let folder = text.trim_end_matches('/');
    if text.ends_with('/') && !folder.is_empty() && !text.contains('*') {
        return Err(format!(
            "'{text}' matches this path alone; write {folder}/* for the folder and everything \
             below"
        ));
    }
    pattern(text)
}

/// The destination of a redirect; only its start is checked.
///
/// # Errors
/// If it is neither a path nor a URL.
pub fn destination(text: &str) -> Result<String, String> {
    let has_scheme = |scheme: &str| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let is_destination = text.starts_with('/') || has_scheme("http://") || has_scheme("https://");
    if !is_destination || text.chars().any(char::is_control) {
        return Err(format!(
            "'{text}' is neither a path nor a URL; write /PATH or https://HOST/PATH"
        ));
    }
    Ok(text.to_owned())
}

/// The status of a redirect or rewrite.
///
/// # Errors
/// If it is neither.
pub fn redirect_status(text: &str) -> Result<u16, String> {
    let is_known =
        |status: &u16| matches!(status, 200 | 301 | 302 | 303 | 307 | 308 | 400..=499 | 503);
    three_digits(text).filter(is_known).ok_or_else(|| {
        format!(
            "'{text}' is not the status of a redirect; write 301, 302, 303, 307 or 308, or 200, \
             one from 400 to 499, or 503 to answer with the file"
        )
    })
}

/// `FROM TO [STATUS][!]`, as a line of `_redirects`; its place is empty.
///
/// # Errors
/// Which part is wrong.
pub fn redirect(text: &str) -> Result<RedirectRule, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (from, to, status) = match words[..] {
        [from, to] => (from, to, ""),
        [from, to, status] => (from, to, status),
        _ => return Err(format!("'{text}' is not FROM TO [STATUS][!], such as '/old /new 302'")),
    };
    let bare = status.strip_suffix('!').unwrap_or(status);
    Ok(RedirectRule {
        from: pattern(from)?,
        to: destination(to)?,
        status: if bare.is_empty() { DEFAULT_REDIRECT } else { redirect_status(bare)? },
        force: bare != status,
        place: String::new(),
    })
}

/// The status of a redirect without one.
pub const DEFAULT_REDIRECT: u16 = 301;

/// `PATTERN: NAME: VALUE` sets a field, `PATTERN: ! NAME` removes one; the place is empty.
///
/// # Errors
/// Which part is wrong.
pub fn header(text: &str) -> Result<HeaderRule, String> {
    let form = || {
        format!(
            "'{text}' is not PATTERN: NAME: VALUE, such as '/*: X-Robots-Tag: noindex', or \
             PATTERN: ! NAME"
        )
    };
    let (start, field) = text.trim().split_once(char::is_whitespace).ok_or_else(form)?;
    let path = pattern(start.strip_suffix(':').ok_or_else(form)?)?;
    let mut rule =
        HeaderRule { pattern: path, values: Vec::new(), remove: Vec::new(), place: String::new() };
    if let Some(name) = field.trim_start().strip_prefix('!') {
        rule.remove.push(field_name(name.trim())?);
        return Ok(rule);
    }
    let (name, value) = field.split_once(':').ok_or_else(form)?;
    rule.values.push((field_name(name.trim())?, field_value(value.trim())?.to_owned()));
    Ok(rule)
}

/// The name of a field.
///
/// # Errors
/// If it is not a token (RFC 9110, 5.1).
pub fn field_name(text: &str) -> Result<String, String> {
    if !is_token(text) {
        return Err(format!(
            "'{text}' is not the name of a field; write one such as Cache-Control"
        ));
    }
    Ok(text.to_owned())
}

/// The value of a field: visible ASCII with spaces and tabs inside (RFC 9110, 5.5).
///
/// # Errors
/// If it has other characters, or is too long.
pub fn field_value(text: &str) -> Result<&str, String> {
    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        let why = "has a character that no field may have";
        return Err(format!("'{text}' {why}; write visible ASCII"));
    }
    if text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']) {
        return Err(format!("'{text}' begins or ends with a blank; leave the blank out"));
    }
    Ok(text)
}

/// The name of a protected part of a site (RFC 7617). It is put between quotes as it is.
///
/// # Errors
/// If it cannot be.
pub fn realm(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['"', '\\']) {
        return Err(format!("'{text}' cannot be a realm; write text without \" and \\"));
    }
    let text = field_value(text)?;
    if text.len() > FIELD_BYTES_MAX {
        return Err(too_long(text));
    }
    Ok(text.to_owned())
}

fn too_long(text: &str) -> String {
    format!("the value has {} bytes; {FIELD_BYTES_MAX} are the most", text.len())
}

/// A network, or an address for a network of one. Bits behind the prefix are ignored.
///
/// # Errors
/// If it is neither.
pub fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or_else(|_| address()).map(|net| net.trunc()).map_err(|_| {
        format!("'{text}' is not a network; write one such as 10.0.0.0/8 or 2001:db8::/32")
    })
}

/// The longest value that every response may have to carry: its fields have a bounded room.
const FIELD_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests;
