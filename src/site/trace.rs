//! The steps of a decision, one by one: the same order as in `store::resolve`, with the same rules
//! and the same loader, and a sentence for each.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::clock::Clock;
use crate::config::{CleanUrls, Symlinks};
use crate::files::{Kind, OpenError};
use crate::http::head::{Expectation, Method};
use crate::http::host::Host;
use crate::http::status::{Failure, Status};
use crate::http::target::{self, Form, name_start};
use crate::rules::redirect::Answer;

use super::gate::Way;
use super::login::Denial;
use super::navigation::is_navigation;
use super::request::{Channel, Request};
use super::respond::{named, no_path, refusal_of};
use super::rulebook::Guard;
use super::steps::{Rule, Stage, Step};
use super::store::{Located, Look, Looked, clean_location, error_pages, is_file};
use super::{Site, Sites};

/// What the steps lead to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Conclusion {
    /// This file below the root, as far as conditions and codings permit.
    File(Vec<u8>),
    /// The listing of this folder below the root.
    Listing(Vec<u8>),
    /// A redirect with this status.
    Redirect(Status),
    /// A failure, with this file below the root as its page.
    Failure(Status, Option<Vec<u8>>),
    /// This status, whatever the page is.
    Status(Status),
}

/// The steps, and what they lead to.
pub(super) struct Trace {
    pub(super) site: Option<usize>,
    /// The canonical path.
    pub(super) path: Option<Vec<u8>>,
    pub(super) steps: Vec<Step>,
    pub(super) headers: Vec<Rule>,
    pub(super) conclusion: Conclusion,
}

impl Sites {
    /// The steps of the decision about a request.
    pub(super) fn trace(&mut self, request: &Request<'_>, clock: &Clock) -> Trace {
        let conclusion = Conclusion::Status(Status::Ok);
        let (steps, headers) = (Vec::new(), Vec::new());
        let mut trace = Trace { site: None, path: None, steps, headers, conclusion };
        let (host, path, is_raw) = match named_path(request) {
            Ok(named) => named,
            Err(failure) => {
                trace.refuse(failure);
                return trace;
            }
        };
        let (index, result, end) = self.pass_gate(host, path, request.channel);
        trace.site = Some(index);
        if !result.is_empty() {
            trace.pass(Stage::Https, result.to_owned());
        }
        if let Some(end) = end {
            trace.decide(end);
            return trace;
        }
        let located = self.store.locate(&self.sites[index], path);
        if let Ok(Located { canonical, .. }) = &located {
            trace.path = Some(canonical.clone());
            let blocks = self.sites[index].rulebook.headers_of(canonical);
            trace.headers = blocks.map(|(rule, place)| Rule::of_fields(rule, place)).collect();
            let sent = self.gate.as_ref().and_then(|gate| gate.lines(request.channel));
            trace.headers.extend(sent.map(|line| Rule::of_hsts(&line)));
        }
        let is_options = request.method == Method::Options;
        let is_preflight = is_options && self.sites[index].cors.preflight(request.fields).is_some();
        let located = match (refusal_of(request.method), located) {
            (Some(failure), _) => {
                trace.refuse(failure);
                return trace;
            }
            (None, Err(failure)) if !is_preflight || failure.status != Status::NotFound => {
                trace.refuse(failure);
                return trace;
            }
            (None, Ok(located)) if !is_options => located,
            (None, _) => {
                let result = "OPTIONS is answered without a file; no rule about access applies";
                trace.end(result.to_owned(), Conclusion::Status(Status::NoContent));
                return trace;
            }
        };
        if is_raw {
            let result = "the target has characters that must be percent-encoded: redirect";
            trace.end(result.to_owned(), Conclusion::Redirect(Status::MovedPermanently));
            return trace;
        }
        let result = format!("the canonical path is {}", encoded(&located.canonical));
        trace.pass(Stage::Request, result);
        let steps = std::mem::take(&mut trace.steps);
        let mut walk = Walk { sites: self, index, located, request, path, clock, steps };
        trace.conclusion = walk.decide();
        trace.steps = walk.steps;
        trace
    }

    /// The site of a request, a sentence about how it passes the gate (empty: there is nothing to
    /// say), and what it leads to if it does not.
    fn pass_gate(
        &mut self,
        host: Option<Host<'_>>,
        path: &[u8],
        channel: Channel,
    ) -> (usize, &'static str, Option<Conclusion>) {
        let index = self.site_of(host);
        let Sites { gate, store, sites, .. } = self;
        let Some(gate) = gate else { return (index, "", None) };
        let site = &sites[index];
        match gate.way(channel, host, || store.decode(site, path).ok()) {
            Err(Failure { status, why, .. }) => (index, why, Some(Conclusion::Status(status))),
            Ok(Way::Site) if channel.tls().is_some() => {
                (index, "the certificate of the connection covers this host", None)
            }
            Ok(Way::Site) => (index, "this request is not redirected to HTTPS", None),
            Ok(Way::Challenges(index)) => {
                (index, "an ACME challenge, served from acme_webroot", None)
            }
            Ok(Way::Https) => {
                let end = Conclusion::Redirect(Status::PermanentRedirect);
                (index, "plain HTTP is redirected to HTTPS (redirect_http)", Some(end))
            }
        }
    }

    /// The file that is loaded for a canonical path; a folder stands for its index file.
    pub(super) fn file_at(&mut self, index: usize, path: &[u8], clock: &Clock) -> Option<Looked> {
        let site = &self.sites[index];
        let policy = site.policy();
        let look = match self.store.look(site, path, policy, clock) {
            Look::Folder { .. } => self.store.look(site, &[path, b"/"].concat(), policy, clock),
            look => look,
        };
        match look {
            Look::File(looked) => Some(looked),
            _ => None,
        }
    }
}

/// Host, path, and whether the target has bytes that must be encoded.
type Named<'r> = (Option<Host<'r>>, &'r [u8], bool);

/// What a request names, if it is a path.
fn named_path<'r>(request: &Request<'r>) -> Result<Named<'r>, Failure> {
    if request.expectation == Expectation::Other {
        return Err(Failure::new(Status::ExpectationFailed, "only 100-continue is supported"));
    }
    if request.method == Method::Connect {
        return Err(Failure::new(Status::MethodNotAllowed, "CONNECT names no path"));
    }
    let split = target::split(request.target)?;
    if let Some((host, path, _)) = named(request, &split.form) {
        return Ok((host, path, split.is_raw));
    }
    if let Some(failure) = refusal_of(request.method) {
        return Err(failure);
    }
    match (split.form, request.method) {
        (Form::Asterisk, Method::Options) => {
            Err(Failure::new(Status::NoContent, "OPTIONS * is about the server as a whole"))
        }
        (form, _) => Err(no_path(&form)),
    }
}

impl Trace {
    fn refuse(&mut self, failure: Failure) {
        self.end(failure.why.to_owned(), Conclusion::Status(failure.status));
    }

    fn end(&mut self, result: String, conclusion: Conclusion) {
        self.pass(Stage::Request, result);
        self.decide(conclusion);
    }

    /// The last step decides.
    fn decide(&mut self, conclusion: Conclusion) {
        if let Some(step) = self.steps.last_mut() {
            step.decides = true;
        }
        self.conclusion = conclusion;
    }

    fn pass(&mut self, stage: Stage, result: String) {
        self.steps.push(Step { stage, rules: Vec::new(), result, decides: false });
    }
}

/// The steps for a path of a site.
struct Walk<'w> {
    sites: &'w mut Sites,
    index: usize,
    located: Located,
    request: &'w Request<'w>,
    /// As the client sent it.
    path: &'w [u8],
    clock: &'w Clock,
    steps: Vec<Step>,
}

impl Walk<'_> {
    fn decide(&mut self) -> Conclusion {
        if let Some(refused) = self.guard(None) {
            return refused;
        }
        let (rules, answer) = self.redirects(true);
        match answer {
            Some(answer) => return self.answer(Stage::Forced, rules, answer),
            None => self.pass_rules(Stage::Forced, rules),
        }
        let status = match self.look() {
            Look::File(looked) => return self.file(looked),
            Look::Folder { has_index } => return self.folder(has_index),
            Look::Listed => {
                let folder = self.located.canonical[1..].to_vec();
                let result = "a folder without an index file, which is listed".to_owned();
                return self.end(Stage::File, Vec::new(), result, Conclusion::Listing(folder));
            }
            Look::Failed(failure, error) => {
                let result = format!("it cannot be served: {error}");
                self.pass(Stage::File, Vec::new(), result);
                return self.error_page(failure.status);
            }
            Look::Unlisted => {
                let result = "a folder without an index file; folders are not listed";
                self.pass(Stage::File, Vec::new(), result.to_owned());
                Status::Forbidden
            }
            Look::Missing => {
                let result = self.why_missing();
                self.pass(Stage::File, Vec::new(), result);
                Status::NotFound
            }
        };
        if let Some(found) = self.clean_url() {
            return found;
        }
        let (rules, answer) = self.redirects(false);
        match answer {
            Some(answer) => self.answer(Stage::Redirects, rules, answer),
            None => {
                self.pass_rules(Stage::Redirects, rules);
                self.missing(status)
            }
        }
    }

    fn site(&self) -> &Site {
        &self.sites.sites[self.index]
    }

    fn look(&mut self) -> Look {
        let Located { canonical, policy } = &self.located;
        self.sites.store.look(&self.sites.sites[self.index], canonical, policy, self.clock)
    }

    fn why_missing(&self) -> String {
        let (site, canonical) = (self.site(), &self.located.canonical);
        let below = &canonical[1..];
        let file = site.root.path().join(OsStr::from_bytes(below));
        let what = match site.root.version(below) {
            _ if site.hides(canonical) => "is hidden",
            // Symbolic links are refused as if nothing was there, but for those that lead outside.
            Err(OpenError::Refused) => {
                "is, or goes through, a link that leads out of the root to no folder of \
                 link_targets"
            }
            Err(_) if site.config.symlinks == Symlinks::Off && file.is_symlink() => {
                "is a link, and links are not followed (symlinks)"
            }
            Err(_) if file.is_symlink() => "is a link to something that does not exist",
            Ok(version) if version.kind == Kind::Other => "is neither a file nor a folder",
            _ => "does not exist, or is not a file that may be served",
        };
        format!("{} {what}", encoded(canonical))
    }

    /// The access rules of the path, or of a file that is sent for it. `Some`: one of them refuses
    /// the client.
    fn guard(&mut self, file: Option<&[u8]>) -> Option<Conclusion> {
        let rulebook = &self.site().rulebook;
        if !rulebook.has_guards() {
            return None;
        }
        let matching = rulebook.guards_of(file.unwrap_or(&self.located.canonical));
        let what = match file {
            Some(file) => format!(" the file {}", encoded(file)),
            None => String::new(),
        };
        let mut rules = Vec::new();
        for (index, guard) in rulebook.guards().iter().enumerate() {
            let matches = matching.contains(&index);
            let (rule, refused) = self.ask_guard(index, guard, matches);
            rules.push(rule);
            if let Some(failure) = refused {
                let result = format!("this client may not read{what}: {}", failure.why);
                let refused = Conclusion::Status(failure.status);
                return Some(self.end(Stage::Access, rules, result, refused));
            }
        }
        self.pass(Stage::Access, rules, format!("this client may read{what}"));
        None
    }

    /// An access rule, and the failure of a client that it refuses.
    fn ask_guard(&self, index: usize, guard: &Guard, matches: bool) -> (Rule, Option<Failure>) {
        let (request, config) = (self.request, &self.site().config);
        let (rule, refused) = match guard {
            Guard::Access(rule) => {
                let failure = Failure::new(Status::Forbidden, "by its address");
                let refused = (!rule.admits(request.client)).then_some(failure);
                (Rule::of_access(rule), refused)
            }
            Guard::Login(login) => {
                // The login rules follow those by address.
                let rule = Rule::of_login(&config.auth[index - config.access.len()]);
                let asked = login.admit(None, request.fields, request.client, self.clock.tick);
                let refused = match asked {
                    Err(Denial::Refused(Failure { status: Status::Unauthorized, why }, _)) => {
                        Some(Failure::new(Status::Unauthorized, why))
                    }
                    Ok(()) => None,
                    // Nothing can verify it here.
                    Err(Denial::Refused(..) | Denial::Later(_)) => {
                        Some(Failure::new(Status::ServiceUnavailable, UNVERIFIED))
                    }
                };
                (rule, refused)
            }
        };
        let refused = refused.filter(|_| matches);
        (Rule { matches, decides: refused.is_some(), ..rule }, refused)
    }

    /// The rules up to the one that applies, and its answer.
    fn redirects(&self, forced: bool) -> (Vec<Rule>, Option<Answer>) {
        let (rulebook, canonical) = (&self.site().rulebook, &self.located.canonical);
        let (deciding, answer) = rulebook.deciding_redirect(canonical, forced).unzip();
        let mut rules = Vec::new();
        for (index, (rule, place)) in rulebook.redirects().enumerate() {
            if rule.force != forced {
                continue;
            }
            let (matches, decides) = (rule.from.matches(canonical), deciding == Some(index));
            rules.push(Rule { matches, decides, ..Rule::of_redirect(rule, place) });
            if decides {
                break;
            }
        }
        (rules, answer)
    }

    fn answer(&mut self, stage: Stage, rules: Vec<Rule>, answer: Answer) -> Conclusion {
        let (status, file) = match answer {
            Answer::Location(status, location) => {
                let location = String::from_utf8_lossy(&location).into_owned();
                let result = format!("{} to {location}", status.code());
                return self.end(stage, rules, result, Conclusion::Redirect(status));
            }
            Answer::File(status, file) => (status, file),
        };
        let found = self.sites.file_at(self.index, &file, self.clock);
        let name = encoded(&file);
        match found {
            Some(Looked { path, .. }) if status.is_error() => {
                let canonical = [b"/", &path[..]].concat();
                let readers = &self.located.canonical;
                if self.site().rulebook.is_open_to_readers_of(&canonical, readers) {
                    let result = format!("{} with {name}", status.code());
                    return self.end(stage, rules, result, Conclusion::Failure(status, Some(path)));
                }
                let why = "not every reader of the path may read it";
                let result = format!("{}; {name} is not sent: {why}", status.code());
                self.end(stage, rules, result, Conclusion::Failure(status, None))
            }
            None if status.is_error() => {
                let result = format!("{}; {name} does not exist", status.code());
                self.end(stage, rules, result, Conclusion::Failure(status, None))
            }
            Some(Looked { path, .. }) => self.alias(stage, rules, path),
            None => {
                self.pass(stage, rules, format!("{name} does not exist"));
                self.missing(Status::NotFound)
            }
        }
    }

    /// A file that is sent under the name of the path, if the client may read it.
    fn alias(&mut self, stage: Stage, rules: Vec<Rule>, file: Vec<u8>) -> Conclusion {
        let canonical = [b"/", &file[..]].concat();
        let result = format!("{} is sent", encoded(&canonical));
        if self.site().rulebook.guards_of(&canonical).is_empty() {
            return self.end(stage, rules, result, Conclusion::File(file));
        }
        self.pass(stage, rules, format!("{} is found", encoded(&canonical)));
        match self.guard(Some(&canonical)) {
            Some(refused) => refused,
            None => self.end(stage, Vec::new(), result, Conclusion::File(file)),
        }
    }

    fn file(&mut self, looked: Looked) -> Conclusion {
        let Looked { path, absent, .. } = looked;
        if path != self.located.canonical[1..] {
            let names = &self.site().config.index[..usize::from(absent)];
            if !names.is_empty() {
                let result = format!("a folder without {}", names.join(", "));
                self.pass(Stage::File, Vec::new(), result);
            }
            return self.alias(Stage::File, Vec::new(), path);
        }
        if let Some(location) = clean_location(self.site(), &self.located.canonical) {
            self.pass(Stage::File, Vec::new(), "it exists, and has a clean URL".to_owned());
            let result = format!("308 to {}", String::from_utf8_lossy(&location));
            let redirect = Conclusion::Redirect(Status::PermanentRedirect);
            return self.end(Stage::CleanUrls, Vec::new(), result, redirect);
        }
        let result = format!("{} is sent", encoded(&self.located.canonical));
        self.end(Stage::File, Vec::new(), result, Conclusion::File(path))
    }

    /// A folder that is named without its slash.
    fn folder(&mut self, has_index: bool) -> Conclusion {
        if self.site().config.clean_urls != CleanUrls::Off && !has_index {
            let page = [&self.located.canonical, &b".html"[..]].concat();
            if let Some(Looked { path, .. }) = self.sites.file_at(self.index, &page, self.clock) {
                let result = "a folder without an index file".to_owned();
                self.pass(Stage::File, Vec::new(), result);
                return self.alias(Stage::CleanUrls, Vec::new(), path);
            }
        }
        let result = "a folder, which is named with a slash at its end: 301".to_owned();
        let redirect = Conclusion::Redirect(Status::MovedPermanently);
        self.end(Stage::File, Vec::new(), result, redirect)
    }

    fn clean_url(&mut self) -> Option<Conclusion> {
        let canonical = self.located.canonical.clone();
        if self.site().config.clean_urls == CleanUrls::Off || canonical.len() == 1 {
            return None;
        }
        let Some(folder) = canonical.strip_suffix(b"/") else {
            let page = [&canonical, &b".html"[..]].concat();
            if let Some(Looked { path, .. }) = self.sites.file_at(self.index, &page, self.clock) {
                return Some(self.alias(Stage::CleanUrls, Vec::new(), path));
            }
            let result = format!("{} does not exist", encoded(&page));
            self.pass(Stage::CleanUrls, Vec::new(), result);
            return None;
        };
        let page = [folder, b".html"].concat();
        if is_file(self.site(), &page) {
            let name = encoded(&folder[name_start(folder)..]);
            let result = format!("308 to ../{name}: the slash is one too many");
            let redirect = Conclusion::Redirect(Status::PermanentRedirect);
            return Some(self.end(Stage::CleanUrls, Vec::new(), result, redirect));
        }
        let result = format!("{} does not exist", encoded(&page));
        self.pass(Stage::CleanUrls, Vec::new(), result);
        None
    }

    /// The single-page application, then the error page.
    fn missing(&mut self, status: Status) -> Conclusion {
        if let Some(spa) = self.site().config.spa.clone() {
            let page = self.sites.file_at(self.index, spa.as_bytes(), self.clock);
            let is_navigation = is_navigation(self.request.fields, self.path);
            match page {
                Some(Looked { path, .. }) if is_navigation => {
                    return self.alias(Stage::Spa, Vec::new(), path);
                }
                Some(_) => {
                    let result = "the request is not a navigation (Sec-Fetch-Mode: navigate; or \
                                  text/html in Accept, and no extension)";
                    self.pass(Stage::Spa, Vec::new(), result.to_owned());
                }
                None => self.pass(Stage::Spa, Vec::new(), format!("{spa} does not exist")),
            }
        }
        self.error_page(status)
    }

    fn error_page(&mut self, status: Status) -> Conclusion {
        for page in error_pages(self.site(), &self.located.canonical, status) {
            let Some(looked) = self.sites.file_at(self.index, &page, self.clock) else { continue };
            let file = [b"/", &looked.path[..]].concat();
            if self.site().rulebook.is_open_to_readers_of(&file, &self.located.canonical) {
                let result = format!("{} with {}", status.code(), encoded(&file));
                let failure = Conclusion::Failure(status, Some(looked.path));
                return self.end(Stage::ErrorPage, Vec::new(), result, failure);
            }
        }
        let result = format!("{} with the built-in page", status.code());
        self.end(Stage::ErrorPage, Vec::new(), result, Conclusion::Failure(status, None))
    }

    fn pass(&mut self, stage: Stage, rules: Vec<Rule>, result: String) {
        self.steps.push(Step { stage, rules, result, decides: false });
    }

    fn pass_rules(&mut self, stage: Stage, rules: Vec<Rule>) {
        let result = none_applies(&rules);
        self.pass(stage, rules, result);
    }

    fn end(
        &mut self,
        stage: Stage,
        rules: Vec<Rule>,
        result: String,
        conclusion: Conclusion,
    ) -> Conclusion {
        self.steps.push(Step { stage, rules, result, decides: true });
        conclusion
    }
}

/// Why a login gets no answer here.
const UNVERIFIED: &str =
    "passwords are not verified here; the server would, and answer 401 or go on";

fn none_applies(rules: &[Rule]) -> String {
    match rules {
        [] => "there are none".to_owned(),
        rules if rules.iter().any(|rule| rule.matches) => {
            // See `Redirect::answer`.
            "those that match do not apply: they lead back to this path, or are too long".to_owned()
        }
        _ => "none matches".to_owned(),
    }
}

/// A path as it stands in a URL: ASCII, without control characters.
pub(super) fn encoded(path: &[u8]) -> String {
    String::from_utf8_lossy(&target::encode_path(path).collect::<Vec<u8>>()).into_owned()
}
