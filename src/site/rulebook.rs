//! The rules of a site: which of them apply to a path, and which fields they give its responses.
//!
//! The rules of the configuration come before those of `_redirects` and `_headers`, the files that
//! travel with a site. Everything here depends on the path alone; the result is a [`Policy`], which
//! is kept with the entry of the path.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::config::{self, AccessRule, CacheControl, CleanUrls, Cors, RedirectRule, SiteConfig};
use crate::http::negotiate::Coding;
use crate::http::target::name_start;
use crate::rules::file::{Parsed, Problem};
use crate::rules::header::HeaderRule;
use crate::rules::overlay::Overlay;
use crate::rules::pattern::Pattern;
use crate::rules::redirect::{Answer, Redirect};
use crate::rules::table::{Headers, PatternSet, Reach, Redirects};

use super::hashed_name::has_content_hash;
use super::login::Login;
use super::policy::{ALLOW_ORIGIN, Policy, Purpose, Vary};
use super::problems::Problems;

/// The compiled rules of a site.
#[derive(Debug)]
pub(super) struct Rulebook {
    redirects: Redirects,
    /// Where each redirect is written.
    redirect_places: Vec<String>,
    headers: Headers,
    /// Where each block of fields is written.
    header_places: Vec<String>,
    guarded: PatternSet,
    guards: Vec<Guard>,
    /// Sidecars are negotiated, so the guards of a file apply to its sidecars as well.
    guards_sidecars: bool,
    /// `/about` is a name of `/about.html`.
    clean_urls: bool,
    /// A folder is a name of its index file.
    index: Vec<String>,
    cache_control: CacheControl,
    /// Names and values of the fields of every response.
    base: Vec<(&'static str, String)>,
    varies_by_origin: bool,
    /// A rule sets or removes Access-Control-Allow-Origin.
    edits_origin: bool,
    /// The policy of paths that no rule applies to.
    plain: Rc<Policy>,
    /// Policies by the rules that apply: paths with the same rules share one.
    policies: RefCell<HashMap<Key, Rc<Policy>>>,
    /// The number of the last policy.
    last_id: Cell<u64>,
}

/// The indices of the blocks of fields and of the guards that apply to a path.
type Key = (Box<[usize]>, Box<[usize]>);

/// An access rule: a restriction to some clients.
#[derive(Debug)]
pub(super) enum Guard {
    /// By address.
    Access(AccessRule),
    /// By name and password.
    Login(Rc<Login>),
}

/// The files in the root that hold rules, as far as they exist.
#[derive(Debug, Default)]
pub(super) struct RuleFiles {
    pub(super) redirects: Option<Vec<u8>>,
    pub(super) headers: Option<Vec<u8>>,
}

/// The names of the files that hold rules, in the root.
pub(super) const REDIRECTS_FILE: &[u8] = b"_redirects";
/// See [`REDIRECTS_FILE`].
pub(super) const HEADERS_FILE: &[u8] = b"_headers";

/// True for the name of a file that holds rules.
pub(super) fn is_rule_file(name: &[u8]) -> bool {
    name == REDIRECTS_FILE || name == HEADERS_FILE
}

impl Rulebook {
    /// The rules of a configuration and of the files in the root; `logins` are its password rules,
    /// with their users. The bad lines of the files are left out, and returned with the name of the
    /// file.
    ///
    /// # Errors
    /// All malformed rules of the configuration.
    pub(super) fn new(
        config: &SiteConfig,
        files: &RuleFiles,
        logins: &[Rc<Login>],
    ) -> Result<(Rulebook, Vec<String>), Problems> {
        let mut wrong = Problems::default();
        let (mut redirects, mut headers, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        let places = |rule: &RedirectRule| rule.place.clone();
        let mut redirect_places: Vec<String> = config.redirects.iter().map(places).collect();
        let places = |rule: &config::HeaderRule| rule.place.clone();
        let mut header_places: Vec<String> = config.headers.iter().map(places).collect();
        for rule in &config.redirects {
            let made = Redirect::new(&rule.from, &rule.to, rule.status, rule.force);
            redirects.extend(wrong.keep(&rule.place, made));
        }
        for rule in &config.headers {
            let remove = rule.remove.iter().map(String::as_str);
            let values = rule.values.iter().map(|(name, value)| (&**name, &**value));
            let made = HeaderRule::new(&rule.pattern, remove, values);
            headers.extend(wrong.keep_whole(&rule.place, made));
        }
        if let Some(file) = &files.redirects {
            let parsed = crate::rules::file::parse_redirects(file);
            redirect_places.extend(places_in(REDIRECTS_FILE, &parsed));
            redirects.extend(take(parsed, REDIRECTS_FILE, &mut problems));
        }
        if let Some(file) = &files.headers {
            let parsed = crate::rules::file::parse_headers(file);
            header_places.extend(places_in(HEADERS_FILE, &parsed));
            headers.extend(take(parsed, HEADERS_FILE, &mut problems));
        }
        let (mut patterns, mut guards) = (Vec::new(), Vec::new());
        for rule in &config.access {
            patterns.extend(wrong.keep(&rule.place, Pattern::parse(&rule.pattern)));
            guards.push(Guard::Access(rule.clone()));
        }
        for rule in &config.auth {
            patterns.extend(wrong.keep(&rule.place, Pattern::parse(&rule.pattern)));
        }
        guards.extend(logins.iter().map(|login| Guard::Login(Rc::clone(login))));
        wrong.none_or_all()?;
        let (base, varies_by_origin) =
            (base_fields(config), matches!(config.cors, Cors::Origins(_)));
        let vary = Vary { origin: varies_by_origin, ..Vary::default() };
        let plain = Policy::new(0, &base, Overlay::default(), &[], false, vary);
        let rulebook = Rulebook {
            redirects: Redirects::new(redirects),
            redirect_places,
            header_places,
            guarded: PatternSet::new(&patterns),
            guards,
            guards_sidecars: config.precompressed,
            clean_urls: config.clean_urls != CleanUrls::Off,
            index: config.index.clone(),
            cache_control: config.cache_control.clone(),
            base,
            varies_by_origin,
            edits_origin: headers.iter().any(|rule| {
                let name = ALLOW_ORIGIN;
                rule.edits.iter().any(|edit| edit.name().eq_ignore_ascii_case(name))
            }),
            plain: Rc::new(plain),
            policies: RefCell::default(),
            last_id: Cell::new(0),
            headers: Headers::new(headers),
        };
        Ok((rulebook, problems))
    }

    /// The policy of a canonical path, decoded. `file` is the canonical path of the file that is
    /// sent, if it has another one: its guards apply as well, so that no second name of a file
    /// leads around them.
    pub(super) fn policy(&self, path: &[u8], file: Option<&[u8]>) -> Rc<Policy> {
        if self.guards.is_empty() && self.headers.rules().is_empty() {
            return Rc::clone(&self.plain);
        }
        let mut guards = self.guards_of(path);
        if let Some(file) = file {
            guards.extend(self.guards_of(file));
            guards.sort_unstable();
            guards.dedup();
        }
        let key = (self.headers.matches(path).into(), guards.into());
        let mut policies = self.policies.borrow_mut();
        if let Some(policy) = policies.get(&key) {
            return Rc::clone(policy);
        }
        let policy = Rc::new(self.new_policy(&key));
        // A crawler can combine rules in many ways; then, paths share no policy.
        if policies.len() < POLICIES_MAX {
            policies.insert(key, Rc::clone(&policy));
        }
        policy
    }

    /// True if the rules decide which origins may read the responses for a path, a canonical one:
    /// they set or remove the field, so that the settings of `cors` do not.
    pub(super) fn decides_origin(&self, path: &[u8]) -> bool {
        self.edits_origin && self.policy(path, None).decides_origin()
    }

    /// The policy of paths that no rule applies to, and of responses that belong to no path.
    pub(super) fn plain_policy(&self) -> &Rc<Policy> {
        &self.plain
    }

    fn new_policy(&self, (blocks, guards): &Key) -> Policy {
        self.last_id.set(self.last_id.get() + 1);
        let overlay = Overlay::new(self.headers.edits(blocks));
        let is_login = |guard: &usize| matches!(self.guards[*guard], Guard::Login(_));
        let needs_login = guards.iter().any(is_login);
        let vary = Vary { origin: self.varies_by_origin, ..Vary::default() };
        Policy::new(self.last_id.get(), &self.base, overlay, guards, needs_login, vary)
    }

    /// The indices of the guards of a path, in order: those that match it, and those that match
    /// another name of the same file, which would otherwise lead around them.
    pub(super) fn guards_of(&self, path: &[u8]) -> Vec<usize> {
        if self.guards.is_empty() {
            return Vec::new();
        }
        let mut found = self.guarded.matches(path);
        let original = Coding::original_of(path).filter(|_| self.guards_sidecars);
        found.extend(original.into_iter().flat_map(|original| self.guarded.matches(original)));
        let file = original.unwrap_or(path);
        let (folder, name) = file.split_at(name_start(file));
        if self.index.iter().any(|index| index.as_bytes() == name) {
            found.extend(self.guarded.matches(folder));
        }
        if let Some(page) = file.strip_suffix(b".html").filter(|_| self.clean_urls) {
            found.extend(self.guarded.matches(page));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The guards that can restrict what is below a folder, besides those of the folder itself, in
    /// order. Patterns decide, not what exists, so nothing that depends on these guards shows
    /// whether a guarded path exists.
    pub(super) fn guards_below(&self, folder: &[u8], reach: Reach) -> Vec<usize> {
        if self.guards.is_empty() {
            return Vec::new();
        }
        // Other names of the same file, which have its guards as well, are in the same folder; or
        // they are the folder.
        let mut below = self.guarded.below(folder, reach);
        let own = self.guards_of(folder);
        below.retain(|guard| !own.contains(guard));
        below
    }

    /// On what a response depends that leaves out what these guards restrict.
    pub(super) fn vary_by(&self, guards: &[usize]) -> Vary {
        let any = |is: fn(&Guard) -> bool| guards.iter().any(|guard| is(self.guard(*guard)));
        Vary {
            login: any(|guard| matches!(guard, Guard::Login(_))),
            address: any(|guard| matches!(guard, Guard::Access(_))),
            ..Vary::default()
        }
    }

    /// The guard with this index.
    pub(super) fn guard(&self, index: usize) -> &Guard {
        &self.guards[index]
    }

    /// True if any path has a guard.
    pub(super) fn has_guards(&self) -> bool {
        !self.guards.is_empty()
    }

    /// True if every client that the guards of `folder` admit is admitted by those of `path`.
    pub(super) fn is_open_to_readers_of(&self, path: &[u8], folder: &[u8]) -> bool {
        let folder = self.guards_of(folder);
        self.guards_of(path).iter().all(|guard| folder.contains(guard))
    }

    /// The answer of the first redirect or rewrite that applies to a canonical path: of the forced
    /// ones, or of the others.
    pub(super) fn redirect(&self, path: &[u8], forced: bool) -> Option<Answer> {
        let (_, answer) = self.deciding_redirect(path, forced)?;
        Some(answer)
    }

    /// The index of the rule that [`Rulebook::redirect`] takes, and its answer.
    pub(super) fn deciding_redirect(&self, path: &[u8], forced: bool) -> Option<(usize, Answer)> {
        self.redirects.decide(path, None, forced, LOCATION_BYTES_MAX)
    }

    /// The redirects and rewrites in their order, and where each is written.
    pub(super) fn redirects(&self) -> impl Iterator<Item = (&Redirect, &str)> {
        self.redirects.rules().iter().zip(self.redirect_places.iter().map(String::as_str))
    }

    /// The blocks of fields that match a canonical path, in their order, and where each is written.
    pub(super) fn headers_of(&self, path: &[u8]) -> impl Iterator<Item = (&HeaderRule, &str)> {
        let indices = self.headers.matches(path).into_iter();
        indices.map(|index| (&self.headers.rules()[index], &*self.header_places[index]))
    }

    /// The guards in their order.
    pub(super) fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// The field lines of a representation that is sent for a path with this policy. `file` is the
    /// canonical path of the file.
    pub(super) fn lines(
        &self,
        policy: &Policy,
        purpose: Purpose,
        file: &[u8],
        vary: Vary,
    ) -> Vec<u8> {
        let cache_control = match (&self.cache_control, purpose) {
            (_, page) if page.is_page() => None,
            (_, Purpose::Listing) => Some("no-cache"),
            (CacheControl::Off, _) => None,
            (CacheControl::Value(value), _) => Some(&**value),
            (CacheControl::Auto, Purpose::File) if has_content_hash(&file[name_start(file)..]) => {
                Some(IMMUTABLE)
            }
            (CacheControl::Auto, _) => Some("no-cache"),
        };
        let vary = Vary { origin: self.varies_by_origin, ..vary };
        policy.lines(&self.base, purpose, cache_control, vary)
    }
}

/// A year, the longest time that makes sense (RFC 9111 section 5.2.2.1, RFC 8246).
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Policies that are shared; each takes about a kilobyte.
const POLICIES_MAX: usize = 1024;

/// A longer location is not sent.
const LOCATION_BYTES_MAX: usize = 4096;

/// Where the rules of a file are written: `FILE:LINE`.
fn places_in<R>(file: &[u8], parsed: &Parsed<R>) -> impl Iterator<Item = String> {
    let file = String::from_utf8_lossy(file).into_owned();
    parsed.lines.iter().map(move |line| format!("{file}:{line}"))
}

fn take<R>(parsed: Parsed<R>, file: &[u8], problems: &mut Vec<String>) -> Vec<R> {
    let file = String::from_utf8_lossy(file);
    let text = |problem: &Problem| format!("{file}:{}:1: {}", problem.line, problem.what);
    problems.extend(parsed.problems.iter().map(text));
    parsed.rules
}

/// The fields that every response of a site has.
fn base_fields(config: &SiteConfig) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    if config.server_header {
        fields.push(("Server", "tenkay".to_owned()));
    }
    fields.push(("X-Content-Type-Options", "nosniff".to_owned()));
    if config.security_headers {
        fields.extend(SECURITY.iter().map(|(name, value)| (*name, (*value).to_owned())));
    }
    if config.cors == Cors::Any {
        fields.push((ALLOW_ORIGIN, "*".to_owned()));
    }
    if config.cors != Cors::Off {
        fields.push(("Access-Control-Expose-Headers", "*".to_owned()));
    }
    fields
}

/// The preset of `security_headers`. It restricts what other sites can do with the pages, and not
/// what the pages can do, so that it breaks no site that works without it.
pub(super) const SECURITY: &[(&str, &str)] = &[
    ("Content-Security-Policy", "frame-ancestors 'self'"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin-allow-popups"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
];
