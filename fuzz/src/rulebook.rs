//! A slow, simple reading of `_redirects` and `_headers`.
//!
//! The reference of `rules`. It binds placeholders in a map by recursion, and edits a list of
//! fields step by step. Bounds on the size of a file are left to other tests.

use std::collections::BTreeMap;

use crate::paths;

/// The rules of a file with their lines, and the lines that are left out.
pub struct Book<R> {
    /// In order, each with the line that it begins with.
    pub rules: Vec<(usize, R)>,
    /// In order.
    pub bad: Vec<usize>,
}

/// A part of a pattern.
enum Part {
    Exactly(Vec<u8>),
    Any(String),
    Rest,
    /// A name with one of these extensions, after any number of segments.
    Ending(Vec<Vec<u8>>),
}

/// A line of `_redirects`.
pub struct Redirect {
    from: Vec<Part>,
    to: Template,
    status: u16,
    force: bool,
}

/// A block of `_headers`.
pub struct Block {
    pattern: Vec<Part>,
    /// Name, and value or removal.
    edits: Vec<(String, Option<String>)>,
}

/// Literals and names of placeholders.
type Tokens = Vec<Result<String, String>>;

struct Template {
    origin: String,
    path: Tokens,
    query: Option<Tokens>,
    fragment: Option<Tokens>,
}

/// What the placeholders stand for.
type Bindings = BTreeMap<String, Vec<u8>>;

/// The lines with their numbers; `None` for one that is not UTF-8.
fn lines(file: &[u8]) -> Vec<(usize, Option<String>)> {
    let file = file.strip_prefix("\u{feff}".as_bytes()).unwrap_or(file);
    let mut lines: Vec<&[u8]> = file.split(|&byte| byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    (1..)
        .zip(lines)
        .map(|(number, line)| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            (number, String::from_utf8(line.to_vec()).ok())
        })
        .collect()
}

fn blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let digits = bytes.get(at + 1..at + 3)?;
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            out.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    if out.contains(&0) { None } else { Some(out) }
}

fn has_control(text: &str) -> bool {
    text.chars().any(|c| c < ' ' || c == '\x7f')
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn pattern(text: &str) -> Option<Vec<Part>> {
    if !text.starts_with('/') || has_control(text) || text.contains(['?', '#']) {
        return None;
    }
    let mut parts = Vec::new();
    for raw in text.split('/').filter(|raw| !raw.is_empty()) {
        if matches!(parts.last(), Some(Part::Rest | Part::Ending(_))) {
            return None;
        }
        let mut chars = raw.chars();
        if raw == "*" {
            parts.push(Part::Rest);
        } else if let Some(text) = raw.strip_prefix("*.") {
            parts.push(Part::Ending(extensions(text)?));
        } else if raw.contains('*') {
            return None;
        } else if chars.next() == Some(':') && chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        {
            let name = &raw[1..];
            if !name.chars().all(is_word) {
                return None;
            }
            parts.push(Part::Any(name.to_owned()));
        } else {
            for segment in unescaped(raw)?.split(|&byte| byte == b'/') {
                match segment {
                    b"" => {}
                    b"." | b".." => return None,
                    _ => parts.push(Part::Exactly(segment.to_vec())),
                }
            }
        }
    }
    let has_rest = matches!(parts.last(), Some(Part::Rest));
    let has_splat = parts.iter().any(|part| matches!(part, Part::Any(name) if name == "splat"));
    if has_rest && has_splat { None } else { Some(parts) }
}

fn extensions(text: &str) -> Option<Vec<Vec<u8>>> {
    let is_list = text.len() > 1 && text.starts_with('{') && text.ends_with('}');
    let list = if is_list { text[1..text.len() - 1].split(',').collect() } else { vec![text] };
    let parse = |one: &str| {
        let bytes = unescaped(one)?.to_ascii_lowercase();
        let is_bad = one.contains(['*', ',', '{', '}']) || bytes.contains(&b'/');
        (!is_bad && matches!(bytes.len(), 1..=64)).then_some(bytes)
    };
    list.into_iter().map(parse).collect()
}

/// Binds the placeholders; `None` if the pattern does not match.
fn bind(parts: &[Part], path: &[u8]) -> Option<Bindings> {
    let mut segments: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
    segments.remove(0);
    bind_segments(parts, &segments)
}

/// Binds segments, of which the last one is empty if the path ends with a slash.
fn bind_segments(parts: &[Part], segments: &[&[u8]]) -> Option<Bindings> {
    let is_end = segments.iter().all(|segment| segment.is_empty());
    match parts {
        [] => is_end.then(Bindings::new),
        [Part::Rest, ..] => {
            let splat = segments.join(&b'/');
            Some(Bindings::from([("splat".to_owned(), splat)]))
        }
        [_, ..] if is_end => None,
        [Part::Ending(all), ..] => {
            let name = segments.iter().rfind(|segment| !segment.is_empty())?.to_ascii_lowercase();
            let ends =
                |end: &Vec<u8>| name.strip_suffix(&**end).is_some_and(|it| it.ends_with(b"."));
            all.iter().any(ends).then(Bindings::new)
        }
        [Part::Exactly(bytes), parts @ ..] => {
            if bytes != segments[0] {
                return None;
            }
            bind_segments(parts, &segments[1..])
        }
        [Part::Any(name), parts @ ..] => {
            let mut bindings = bind_segments(parts, &segments[1..])?;
            // The first one of a name wins; it is bound last.
            bindings.insert(name.clone(), segments[0].to_vec());
            Some(bindings)
        }
    }
}

/// Reads `_redirects`.
pub fn redirects(file: &[u8]) -> Book<Redirect> {
    let mut book = Book { rules: Vec::new(), bad: Vec::new() };
    for (number, line) in lines(file) {
        let Some(line) = line else {
            book.bad.push(number);
            continue;
        };
        let mut words: Vec<&str> = line.split(blank).filter(|word| !word.is_empty()).collect();
        if let Some(comment) = words.iter().position(|word| word.starts_with('#')) {
            words.truncate(comment);
        }
        if words.is_empty() {
            continue;
        }
        match redirect(&words) {
            Some(rule) => book.rules.push((number, rule)),
            None => book.bad.push(number),
        }
    }
    book
}

fn redirect(words: &[&str]) -> Option<Redirect> {
    let (from, to, status) = match words {
        [from, to] => (from, to, "301"),
        [from, to, status] => (from, to, *status),
        _ => return None,
    };
    let (digits, force) = match status.strip_suffix('!') {
        Some(digits) => (digits, true),
        None => (status, false),
    };
    if !digits.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    const STATUSES: &[&str] = &[
        "200", "301", "302", "303", "307", "308", "400", "403", "404", "406", "410", "429", "451",
        "503",
    ];
    if !STATUSES.contains(&digits) {
        return None;
    }
    let status: u16 = digits.parse().ok()?;
    let from = pattern(from)?;
    if matches!(from.last(), Some(Part::Ending(_))) {
        return None;
    }
    let to = template(to, &from, (300..400).contains(&status))?;
    Some(Redirect { from, to, status, force })
}

fn template(to: &str, from: &[Part], is_location: bool) -> Option<Template> {
    if has_control(to) {
        return None;
    }
    let lower = to.to_ascii_lowercase();
    let scheme = ["http://", "https://"].iter().find(|scheme| lower.starts_with(**scheme));
    let start = match scheme {
        Some(scheme) => {
            let ends = |c| matches!(c, '/' | '?' | '#');
            let end = to[scheme.len()..].find(ends).map_or(to.len(), |end| end + scheme.len());
            let host = &to[scheme.len()..end];
            if !is_location || host.is_empty() || host.starts_with(':') {
                return None;
            }
            if !paths::is_host(host.as_bytes()) {
                return None;
            }
            end
        }
        None if !to.starts_with('/') || to[1..].starts_with(['/', '\\']) => return None,
        None => 0,
    };
    let (rest, fragment) = match to[start..].split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (&to[start..], None),
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let mut names: Vec<&str> = Vec::new();
    for part in from {
        match part {
            Part::Any(name) => names.push(name),
            Part::Rest if path.ends_with("/*") => return None,
            Part::Rest => names.push("splat"),
            Part::Exactly(_) | Part::Ending(_) => {}
        }
    }
    let path = if path.is_empty() { "/" } else { path };
    let path_tokens = tokens(path, &names)?;
    if !is_location {
        let decoded = unescaped(path)?;
        if decoded.split(|&byte| byte == b'/').any(|it| it == b"." || it == b"..") {
            return None;
        }
    }
    let (query, fragment) = if is_location { (query, fragment) } else { (None, None) };
    let template = Template {
        origin: to[..start].to_owned(),
        path: path_tokens,
        query: query.map(|query| tokens(query, &names)).map_or(Some(None), |it| it.map(Some))?,
        fragment: fragment.map(|it| tokens(it, &names)).map_or(Some(None), |it| it.map(Some))?,
    };
    let all = [Some(&template.path), template.query.as_ref(), template.fragment.as_ref()];
    let count = all.iter().flatten().flat_map(|it| it.iter()).filter(|it| it.is_err()).count();
    (count <= 32).then_some(template)
}

/// Splits a text into literals (`Ok`) and placeholders (`Err`).
fn tokens(text: &str, names: &[&str]) -> Option<Tokens> {
    let mut tokens: Tokens = Vec::new();
    let mut literal = String::new();
    let mut before = ' ';
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let mut name: String = rest.chars().take_while(|c| is_word(*c)).collect();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            name.clear();
        }
        if c == ':' && names.contains(&&*name) {
            tokens.push(Ok(std::mem::take(&mut literal)));
            rest = &rest[name.len()..];
            before = name.chars().last()?;
            tokens.push(Err(name));
            continue;
        }
        if c == ':' && (name == "splat" || !name.is_empty() && !before.is_alphanumeric()) {
            return None;
        }
        literal.push(c);
        before = c;
    }
    tokens.push(Ok(literal));
    tokens.retain(|token| token.as_ref().map_or(true, |literal| !literal.is_empty()));
    Some(tokens)
}

/// The line, the status and the target of the first rule that applies.
pub fn decide(
    book: &Book<Redirect>,
    path: &[u8],
    query: Option<&[u8]>,
    forced: bool,
) -> Option<(usize, u16, Vec<u8>)> {
    book.rules.iter().filter(|(_, rule)| rule.force == forced).find_map(|(line, rule)| {
        let bindings = bind(&rule.from, path)?;
        let target = if (300..400).contains(&rule.status) {
            location(&rule.to, &bindings, path, query)?
        } else {
            file(&rule.to, &bindings)?
        };
        Some((*line, rule.status, target))
    })
}

/// Joins pieces of a path; where two meet, their slashes become one.
fn join(pieces: Vec<Vec<u8>>) -> Vec<u8> {
    pieces.into_iter().fold(Vec::new(), |mut out, mut piece| {
        while out.ends_with(b"/") && piece.starts_with(b"/") {
            piece.remove(0);
        }
        out.extend(piece);
        out
    })
}

fn location(
    to: &Template,
    bindings: &Bindings,
    path: &[u8],
    query: Option<&[u8]>,
) -> Option<Vec<u8>> {
    let pieces = |tokens: &Tokens, more: &str| -> Vec<Vec<u8>> {
        let piece = |token: &Result<String, String>| match token {
            Ok(literal) => paths::encoded_query(literal.as_bytes()),
            Err(name) => {
                let encoded = String::from_utf8(paths::encoded(&bindings[name])).unwrap();
                let escape = |c: char| {
                    if more.contains(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() }
                };
                encoded.chars().map(escape).collect::<String>().into_bytes()
            }
        };
        tokens.iter().map(piece).collect()
    };
    let own = join(pieces(&to.path, ""));
    let decoded = unescaped(str::from_utf8(&own).ok()?);
    if to.origin.is_empty() && decoded.is_some_and(|decoded| decoded == path) {
        return None;
    }
    let mut out = to.origin.clone().into_bytes();
    out.extend(own);
    let query = match (&to.query, query) {
        (Some(own), _) => pieces(own, "&=+;").concat(),
        (None, Some(query)) => paths::encoded_query(query),
        (None, None) => Vec::new(),
    };
    if !query.is_empty() || to.query.is_some() {
        out.push(b'?');
        out.extend(query);
    }
    if let Some(fragment) = &to.fragment {
        out.push(b'#');
        out.extend(pieces(fragment, "").concat());
    }
    Some(out)
}

fn file(to: &Template, bindings: &Bindings) -> Option<Vec<u8>> {
    let mut pieces = Vec::new();
    for token in &to.path {
        pieces.push(match token {
            Ok(literal) => unescaped(literal)?,
            Err(name) => bindings[name].clone(),
        });
    }
    let whole = join(pieces);
    let ends = whole.ends_with(b"/");
    let segments: Vec<&[u8]> =
        whole.split(|&byte| byte == b'/').filter(|segment| !segment.is_empty()).collect();
    if segments.iter().any(|it| *it == b"." || *it == b"..") || whole.contains(&0) {
        return None;
    }
    let mut out: Vec<u8> = segments.iter().flat_map(|it| [b"/", *it].concat()).collect();
    if ends {
        out.push(b'/');
    }
    Some(out)
}

/// Reads `_headers`.
pub fn headers(file: &[u8]) -> Book<Block> {
    let mut book = Book { rules: Vec::new(), bad: Vec::new() };
    let mut ignored = false;
    for (number, line) in lines(file) {
        let Some(line) = line else {
            book.bad.push(number);
            continue;
        };
        let line = uncommented(&line);
        let lower = line.to_ascii_lowercase();
        if line.is_empty() {
            continue;
        }
        if ["/", "http://", "https://"].iter().any(|start| lower.starts_with(start)) {
            match pattern(&line) {
                Some(pattern) => {
                    book.rules.push((number, Block { pattern, edits: Vec::new() }));
                    ignored = false;
                }
                None => {
                    book.bad.push(number);
                    ignored = true;
                }
            }
        } else if !ignored {
            match (book.rules.last_mut(), edit(&line)) {
                (Some((_, block)), Some(edit)) => block.edits.push(edit),
                _ => book.bad.push(number),
            }
        }
    }
    let empty = |(_, block): &&(usize, Block)| block.edits.is_empty();
    book.bad.extend(book.rules.iter().filter(empty).map(|(number, _)| *number));
    book.bad.sort_unstable();
    book.rules.retain(|(_, block)| !block.edits.is_empty());
    book
}

/// The line without its comment and the blanks at its ends.
fn uncommented(line: &str) -> String {
    let mut out = String::new();
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '#' && !quoted && (out.is_empty() || out.ends_with(blank)) {
            break;
        }
        out.push(c);
        if c == '"' {
            quoted = !quoted;
        } else if c == '\\' && quoted {
            out.extend(chars.next());
        }
    }
    out.trim_matches(blank).to_owned()
}

fn edit(line: &str) -> Option<(String, Option<String>)> {
    let (name, value) = match line.strip_prefix('!') {
        Some(name) if name.starts_with(blank) => (name.trim_matches(blank), None),
        _ => {
            let (name, value) = line.split_once(':')?;
            (name.trim_end_matches(blank), Some(value.trim_matches(blank)))
        }
    };
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return None;
    }
    const FIXED: &[&str] = &[
        "accept-ranges",
        "age",
        "allow",
        "authentication-info",
        "connection",
        "content-digest",
        "content-encoding",
        "content-length",
        "content-range",
        "date",
        "etag",
        "http2-settings",
        "keep-alive",
        "last-modified",
        "location",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-connection",
        "repr-digest",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
    ];
    let is_bad = |value: &str| value.is_empty() || has_control(&value.replace('\t', " "));
    if FIXED.contains(&&*name.to_ascii_lowercase()) || value.is_some_and(is_bad) {
        return None;
    }
    Some((name.to_owned(), value.map(str::to_owned)))
}

/// The values of each field, by name in lower case, after all blocks that match.
pub fn fields(
    book: &Book<Block>,
    path: &[u8],
    base: &[(&str, &str)],
) -> BTreeMap<String, Vec<String>> {
    // Each value with whether a rule set it.
    let mut fields: BTreeMap<String, Vec<(bool, String)>> = BTreeMap::new();
    for (name, value) in base {
        fields.entry(name.to_ascii_lowercase()).or_default().push((false, (*value).to_owned()));
    }
    for (_, block) in book.rules.iter().filter(|(_, block)| bind(&block.pattern, path).is_some()) {
        for (name, value) in &block.edits {
            let name = name.to_ascii_lowercase();
            let values = fields.entry(name.clone()).or_default();
            let Some(value) = value else {
                values.clear();
                continue;
            };
            if name != "vary" {
                values.retain(|(by_rule, _)| *by_rule);
            }
            match values.last_mut() {
                Some((_, last)) if name == "vary" => *last = format!("{last}, {value}"),
                Some((_, last)) if stands_once(&name) => value.clone_into(last),
                Some((_, last)) if name != "set-cookie" => *last = format!("{last}, {value}"),
                _ => values.push((true, value.clone())),
            }
        }
    }
    if let Some([(_, vary)]) = fields.get_mut("vary").map(Vec::as_mut_slice) {
        *vary = members(vary);
    }
    fields
        .into_iter()
        .map(|(name, values)| (name, values.into_iter().map(|(_, value)| value).collect()))
        .map(|(name, values): (String, Vec<String>)| {
            (name, values.into_iter().filter(|value| !value.is_empty()).collect())
        })
        .filter(|(_, values): &(String, Vec<String>)| !values.is_empty())
        .collect()
}

fn members(list: &str) -> String {
    let mut found: Vec<String> = Vec::new();
    for member in list.split(',').map(str::trim).filter(|member| !member.is_empty()) {
        if member == "*" {
            return member.to_owned();
        }
        if !found.iter().any(|it| it.eq_ignore_ascii_case(member)) {
            found.push(member.to_owned());
        }
    }
    found.join(", ")
}

/// True for the fields of which the last value counts.
fn stands_once(name: &str) -> bool {
    const ONCE: &str = "access-control-allow-credentials access-control-allow-origin \
        access-control-max-age cache-control cdn-cache-control cloudflare-cdn-cache-control \
        content-disposition content-location content-type cross-origin-embedder-policy \
        cross-origin-embedder-policy-report-only cross-origin-opener-policy \
        cross-origin-opener-policy-report-only cross-origin-resource-policy expires \
        netlify-cdn-cache-control origin-agent-cluster referrer-policy refresh retry-after server \
        service-worker-allowed sourcemap strict-transport-security surrogate-control \
        x-accel-expires x-content-type-options x-dns-prefetch-control x-download-options \
        x-frame-options x-permitted-cross-domain-policies x-powered-by x-sourcemap \
        x-ua-compatible x-xss-protection";
    ONCE.split(' ').any(|it| it == name)
}
