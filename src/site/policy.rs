//! What a path's rules add to its responses.
//!
//! A policy depends on the path alone. It is decided once, when the entry of the path is made, and
//! kept with the entry, so a request that the cache answers evaluates no rule.

use crate::http::status::Status;
use crate::rules::overlay::Overlay;

/// The decisions for one path.
#[derive(Debug, Default)]
pub struct Policy {
    /// Distinguishes it from the other policies of its site.
    pub(super) id: u64,
    overlay: Overlay,
    /// The indices of the guards of the path, in order.
    pub(super) guards: Box<[usize]>,
    needs_login: bool,
    /// The field lines of pages for 3xx and 4xx, and of responses without a body.
    lines: Box<[u8]>,
    /// The field lines of pages for refusals; see [`Purpose::Refusal`].
    refusal_lines: Box<[u8]>,
    /// The field lines of pages for 5xx.
    failure_lines: Box<[u8]>,
    /// The rules set more fields than a response can hold, so none of their fields is sent.
    pub(super) is_oversized: bool,
}

/// What a representation is sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The file that the path names, or the index file of a folder.
    File,
    /// A file under another name: by a rewrite, a clean URL or as the page of a single-page
    /// application.
    Alias,
    /// The listing of a folder.
    Listing,
    /// The page of a failure of the request, or of a redirect.
    Page,
    /// The page of a failure that depends on the client or on fields of the request. No rule for
    /// the path may let a cache store it, because other requests for the path get the file.
    Refusal,
    /// The page of a failure of the server: it must never be stored.
    ServerError,
}

impl Purpose {
    /// True for the page of a failure.
    pub(super) fn is_page(self) -> bool {
        matches!(self, Purpose::Page | Purpose::Refusal | Purpose::ServerError)
    }

    /// The purpose of the page for a status.
    pub(super) fn of_status(status: Status) -> Purpose {
        match status.code() {
            401 | 403 | 406 | 412 | 416 | 417 | 429 => Purpose::Refusal,
            500.. => Purpose::ServerError,
            _ => Purpose::Page,
        }
    }
}

/// What decides which response a path gets: request fields (RFC 9110 section 12.5.5), and the
/// address of the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Vary {
    /// Accept-Encoding: it has forms with a content coding, or may get them.
    pub(super) encoding: bool,
    /// Accept: a listing has several formats.
    pub(super) accept: bool,
    /// Accept and Sec-Fetch-Mode: a navigation gets the page of a single-page application.
    pub(super) navigation: bool,
    /// Origin: some origins may read it.
    pub(super) origin: bool,
    /// Authorization: some users see more of the folder.
    pub(super) login: bool,
    /// The address of the client: some addresses see more of the folder. Vary cannot name it.
    pub(super) address: bool,
}

impl Policy {
    /// The policy of a path to which these edits and guards apply. `base` are the fields of every
    /// response.
    pub(super) fn new(
        id: u64,
        base: &[(&'static str, String)],
        overlay: Overlay,
        guards: &[usize],
        needs_login: bool,
        vary: Vary,
    ) -> Policy {
        let mut policy =
            Policy { id, overlay, guards: guards.into(), needs_login, ..Policy::default() };
        policy.lines = policy.lines(base, Purpose::Page, None, vary).into();
        if policy.lines.len() > LINES_MAX {
            policy.overlay = Overlay::default();
            policy.is_oversized = true;
            policy.lines = policy.lines(base, Purpose::Page, None, vary).into();
        }
        policy.refusal_lines = policy.lines(base, Purpose::Refusal, None, vary).into();
        policy.failure_lines = policy.lines(base, Purpose::ServerError, None, vary).into();
        policy
    }

    /// The field lines, each with its CRLF, of a representation that is sent for this purpose.
    /// They have every field but the validators and those that describe the content.
    pub(super) fn lines(
        &self,
        base: &[(&'static str, String)],
        purpose: Purpose,
        cache_control: Option<&str>,
        vary: Vary,
    ) -> Vec<u8> {
        let (mut lines, mut is_said) = (Vec::new(), false);
        for (name, value) in self.fields(base, cache_control, vary) {
            let is_caching = name.eq_ignore_ascii_case("Cache-Control");
            let value = if is_caching { self.caching(&value, purpose) } else { Some(value) };
            match value {
                Some(value) if is_caching && vary.is_private() => {
                    put(&mut lines, &name, &private(&value));
                    is_said = true;
                }
                Some(value) => put(&mut lines, &name, &value),
                None => {}
            }
        }
        if vary.is_private() && !is_said {
            put(&mut lines, "Cache-Control", "private, no-cache");
        }
        if purpose == Purpose::ServerError {
            put(&mut lines, "Cache-Control", "no-store");
        }
        lines
    }

    fn fields(
        &self,
        base: &[(&'static str, String)],
        cache_control: Option<&str>,
        vary: Vary,
    ) -> impl Iterator<Item = (String, String)> {
        let mut fields: Vec<(&str, &str)> =
            base.iter().map(|(name, value)| (*name, &**value)).collect();
        fields.extend(cache_control.map(|value| ("Cache-Control", value)));
        let members = vary.members();
        if !members.is_empty() {
            fields.push(("Vary", &members));
        }
        let mut fields = self.overlay.over(&fields);
        let is = |name: &str, other| name.eq_ignore_ascii_case(other);
        // Without its own members, a cache would send the response to clients that must not get
        // it; so a rule cannot remove them.
        let is_complete =
            |value: &str| members.split(", ").all(|it| it.is_empty() || has_directive(value, it));
        if !fields.iter().any(|(name, value)| is(name, "Vary") && is_complete(value)) {
            let own = fields.iter().position(|(name, _)| is(name, "Vary"));
            let own = own.map(|at| fields.remove(at).1);
            let all = std::iter::once(members.clone()).filter(|it| !it.is_empty()).chain(own);
            let value = all.collect::<Vec<_>>().join(", ");
            fields.extend((!value.is_empty()).then(|| ("Vary".to_owned(), value)));
        }
        fields.into_iter().filter(move |(name, _)| !is(name, "Content-Type"))
    }

    /// The value of Cache-Control, changed where it would be wrong. What is sent in place of
    /// something else must not outlive it, and a shared cache must not store what needs a login.
    fn caching(&self, value: &str, purpose: Purpose) -> Option<String> {
        match purpose {
            Purpose::Refusal | Purpose::ServerError => return None,
            Purpose::File => {}
            _ if !has_directive(value, "immutable") => {}
            Purpose::Page => return None,
            Purpose::Alias | Purpose::Listing => return Some("no-cache".to_owned()),
        }
        let is_private = self.needs_login && value.split(',').any(is_shared);
        Some(if is_private { private(value) } else { value.to_owned() })
    }

    /// True if the path needs a login.
    pub(super) fn needs_login(&self) -> bool {
        self.needs_login
    }

    /// True if the rules set or remove the field that lets an origin read the responses.
    pub(super) fn decides_origin(&self) -> bool {
        self.overlay.touches(ALLOW_ORIGIN)
    }

    /// True if the rules set or remove Retry-After.
    pub(super) fn decides_retry(&self) -> bool {
        self.overlay.touches("Retry-After")
    }

    /// The Content-Type that the rules give the path, if they say something about it; the inner
    /// `None`: they remove it.
    pub(super) fn content_type(&self) -> Option<Option<&str>> {
        self.overlay.touches("Content-Type").then(|| self.overlay.value("Content-Type"))
    }

    /// The field lines of a page with this status, each with its CRLF.
    pub fn page_lines(&self, status: Status) -> &[u8] {
        match Purpose::of_status(status) {
            Purpose::ServerError => &self.failure_lines,
            Purpose::Refusal => &self.refusal_lines,
            _ => &self.lines,
        }
    }
}

/// True for a directive that lets a shared cache store the response to a request with credentials,
/// and send it to others (RFC 9111 section 3.5).
fn is_shared(directive: &str) -> bool {
    let name = directive.split('=').next().unwrap_or_default().trim();
    ["public", "s-maxage", "must-revalidate"].iter().any(|it| name.eq_ignore_ascii_case(it))
}

/// The value of Cache-Control for a response that no shared cache may store.
fn private(value: &str) -> String {
    if has_directive(value, "no-store") {
        return value.to_owned();
    }
    let stays = |it: &&str| {
        let is_kept = !is_shared(it) || it.eq_ignore_ascii_case("must-revalidate");
        is_kept && !it.eq_ignore_ascii_case("private")
    };
    let kept = value.split(',').map(str::trim).filter(stays);
    std::iter::once("private").chain(kept).collect::<Vec<_>>().join(", ")
}

/// Whether a list has this member, such as a directive (RFC 9111 section 5.2).
fn has_directive(value: &str, name: &str) -> bool {
    value.split(',').any(|directive| directive.trim().eq_ignore_ascii_case(name))
}

fn put(lines: &mut Vec<u8>, name: &str, value: &str) {
    for piece in [name, ": ", value, "\r\n"] {
        lines.extend_from_slice(piece.as_bytes());
    }
}

impl Vary {
    /// True if the response is for some clients only, so that no shared cache may store it.
    fn is_private(self) -> bool {
        self.login || self.address
    }

    /// The value of the field; empty: the response does not vary.
    fn members(self) -> String {
        let all = [
            (self.encoding, "Accept-Encoding"),
            (self.accept, "Accept"),
            (self.navigation, "Accept, Sec-Fetch-Mode"),
            (self.origin, "Origin"),
            (self.login, "Authorization"),
        ];
        let members = all.iter().filter(|(is_member, _)| *is_member).map(|(_, member)| *member);
        members.collect::<Vec<_>>().join(", ")
    }
}

/// The field that lets an origin read a response.
pub(super) const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";

/// Bytes of field lines in a response; the room for the head of a response is bounded.
const LINES_MAX: usize = 8 * 1024;
