//! From a request to a reply: the decisions that all wire formats share.

use std::rc::Rc;

use crate::clock::Clock;
use crate::files::Blocking;
use crate::http::conditional::{self, Verdict};
use crate::http::fields::Field;
use crate::http::head::{Expectation, Method};
use crate::http::host::Host;
use crate::http::negotiate::Choice;
use crate::http::status::{Failure, Status};
use crate::http::target::{self, Form, Target};
use crate::rules::table::Reach;

use super::cors::Extra;
use super::listing::ListingForm;
use super::multipart::Multipart;
use super::navigation;
use super::page::Up;
use super::policy::Policy;
use super::reply::{Content, Detail, Reply};
use super::representation::Representation;
use super::request::Request;
use super::resource::{Fallback, Navigation, Outcome};
use super::select::{Selection, select};
use super::store::{At, Found};
use super::visible::{Admitted, View};
use super::{Sites, Wait};

/// The result of [`Sites::respond`].
#[derive(Debug)]
pub enum Answer {
    /// The reply to the request.
    Reply(Reply),
    /// It takes longer than the caller may wait: call again after this.
    Later(Wait),
}

impl Answer {
    /// Adds field lines to a reply.
    pub(super) fn with(self, lines: Option<Extra>) -> Answer {
        match (self, lines) {
            (Answer::Reply(mut reply), Some(lines)) => {
                reply.add(lines);
                Answer::Reply(reply)
            }
            (answer, _) => answer,
        }
    }
}

/// A well-formed request for a path.
#[derive(Clone, Copy)]
pub(super) struct Asked<'r> {
    pub(super) request: &'r Request<'r>,
    pub(super) path: &'r [u8],
    pub(super) query: Option<&'r [u8]>,
    pub(super) blocking: Blocking,
    pub(super) clock: &'r Clock,
}

impl Sites {
    /// The reply to a request.
    ///
    /// # Errors
    /// The request is malformed or misdirected. HTTP/1.1, which cannot tell where the next request
    /// begins, ends the connection after the [page](Sites::fail) of the failure.
    #[inline]
    pub fn respond(
        &mut self,
        request: &Request<'_>,
        blocking: Blocking,
        clock: &Clock,
    ) -> Result<Answer, Failure> {
        if request.expectation == Expectation::Other {
            let why = "only 100-continue is supported";
            return Ok(self.failure(request, Status::ExpectationFailed, why));
        }
        if request.method == Method::Connect {
            // Its target is no path.
            return Ok(self.failure(request, Status::MethodNotAllowed, NOT_ALLOWED));
        }
        let target = target::split(request.target)?;
        let Some((host, path, query)) = named(request, &target.form) else {
            return self.respond_to_no_path(request.method, &target.form);
        };
        let index = self.site_of(host);
        let asked = Asked { request, path, query, blocking, clock };
        if self.gate.is_some() {
            return self.answer_at_gate(index, host, asked, &target);
        }
        self.answer(index, asked, &target)
    }

    /// The answer to a request for a path of a site.
    #[inline(always)]
    pub(super) fn answer(
        &mut self,
        index: usize,
        asked: Asked<'_>,
        target: &Target<'_>,
    ) -> Result<Answer, Failure> {
        if self.sites[index].cors.depends_on_request() {
            return self.answer_to_origin(index, asked, target);
        }
        self.answer_to_any(index, asked, target)
    }

    /// As [`Sites::answer`], without a field that depends on the origin of the request.
    #[inline(always)]
    fn answer_to_any(
        &mut self,
        index: usize,
        asked: Asked<'_>,
        target: &Target<'_>,
    ) -> Result<Answer, Failure> {
        match asked.request.method {
            Method::Get | Method::Head if !target.is_raw => self.look_up(index, asked),
            _ => self.respond_without_file(index, asked, target),
        }
    }

    /// As [`Sites::answer_to_any`], with the field that lets the origin of the request read the
    /// reply.
    #[cold]
    fn answer_to_origin(
        &mut self,
        index: usize,
        asked: Asked<'_>,
        target: &Target<'_>,
    ) -> Result<Answer, Failure> {
        let answer = self.answer_to_any(index, asked, target)?;
        let site = &self.sites[index];
        let path = self.store.decode(site, asked.path);
        if path.is_ok_and(|path| site.rulebook.decides_origin(path)) {
            return Ok(answer);
        }
        Ok(answer.with(site.cors.line(asked.request.fields)))
    }

    /// The site for a host.
    #[inline]
    pub(super) fn site_of(&self, host: Option<Host<'_>>) -> usize {
        if self.sites.len() == 1 {
            return 0;
        }
        self.hosts.site(host.map(|host| host.name()))
    }

    /// The answer to a request whose target is not a path of this server.
    #[cold]
    fn respond_to_no_path(&self, method: Method, form: &Form<'_>) -> Result<Answer, Failure> {
        if let Some(failure) = refusal_of(method) {
            return Ok(Answer::Reply(self.fail(failure)));
        }
        match (method, form) {
            (Method::Options, Form::Asterisk) => {
                let content = Content::Options(Rc::clone(self.sites[0].policy()));
                Ok(Answer::Reply(Reply { status: Status::NoContent, content, extra: None }))
            }
            _ => Err(no_path(form)),
        }
    }

    /// The answer to a request for a path that needs no file: for its method, or its spelling.
    #[cold]
    fn respond_without_file(
        &mut self,
        index: usize,
        asked: Asked<'_>,
        target: &Target<'_>,
    ) -> Result<Answer, Failure> {
        let Asked { request, path, .. } = asked;
        let refused = refusal_of(request.method);
        let site = &self.sites[index];
        let preflight = match request.method {
            Method::Options => site.cors.preflight(request.fields),
            _ => None,
        };
        let policy = match self.store.decode(site, path) {
            Ok(canonical) => site.rulebook.policy(canonical, None),
            Err(_) if refused.is_some() => Rc::clone(site.policy()),
            // A preflight is answered for a path that does not exist, too.
            Err(failure) if failure.status == Status::NotFound && preflight.is_some() => {
                Rc::clone(site.policy())
            }
            Err(failure) => return self.unfit(index, failure),
        };
        if let Some(failure) = refused {
            return Ok(self.refuse(index, asked, &policy, failure));
        }
        if request.method == Method::Options {
            let (status, content) = (Status::NoContent, Content::Options(policy));
            return Ok(Answer::Reply(Reply { status, content, extra: preflight }));
        }
        // RFC 9112 section 3: a target with bytes that must be encoded may be redirected.
        let location = target.encoded().collect();
        Ok(Answer::Reply(Reply::redirect(Status::MovedPermanently, location, &policy)))
    }

    /// Checks that a request is well-formed, without looking up a file.
    ///
    /// # Errors
    /// Those of [`Sites::respond`].
    pub fn check(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        if request.method == Method::Connect {
            return Ok(());
        }
        let target = target::split(request.target)?;
        if refusal_of(request.method).is_some() {
            return Ok(()); // whatever the path is
        }
        let Some((host, path, _)) = named(request, &target.form) else { return Ok(()) };
        let index = self.site_of(host);
        match self.store.decode(&self.sites[index], path) {
            Err(failure) if failure.status != Status::NotFound => Err(failure),
            _ => Ok(()),
        }
    }

    #[inline(always)] // one caller, for each request
    fn look_up(&mut self, index: usize, asked: Asked<'_>) -> Result<Answer, Failure> {
        let Asked { path, clock, .. } = asked;
        let Sites { sites, store, .. } = self;
        store.refresh(&mut sites[index], clock);
        let at = match store.recall(&sites[index], path, clock) {
            Some(at) => at,
            None => match self.find(index, asked)? {
                Ok(at) => at,
                Err(answer) => return Ok(answer),
            },
        };
        let entry = self.store.entry(at);
        if entry.is_guarded() {
            let policy = Rc::clone(&entry.policy);
            if let Some(answer) = self.guard(index, asked, &policy) {
                return Ok(answer);
            }
        }
        match &self.store.entry(at).outcome {
            Outcome::Resource(it) if it.listing.is_none() && asked.query.is_none() => {
                Ok(self.whole(index, asked, at))
            }
            Outcome::Resource(_) => self.in_form(index, asked, at),
            _ => Ok(self.without_resource(index, asked, at)),
        }
    }

    /// The reply with the resource that was found, in the form that the client gets.
    #[inline(always)]
    pub(super) fn whole(&mut self, index: usize, asked: Asked<'_>, at: At) -> Answer {
        let Asked { request, .. } = asked;
        let choice = if request.fields.has(Field::AcceptEncoding) {
            self.negotiate(request, at)
        } else {
            Choice::Identity
        };
        self.send(index, asked, at, choice)
    }

    /// The form in which a client gets the resource that was found.
    #[inline(never)]
    fn negotiate(&mut self, request: &Request<'_>, at: At) -> Choice {
        let Outcome::Resource(resource) = &self.store.entry(at).outcome else {
            return Choice::Identity;
        };
        let accept = self.negotiation.of(request.fields);
        let choice = resource.choose(request.fields, &accept);
        if choice != accept.favourite {
            self.store.want(at, &accept.meaning, choice);
        }
        choice
    }

    /// The answer for a path that leads to a redirect or a failure.
    #[inline(never)]
    pub(super) fn without_resource(&mut self, index: usize, asked: Asked<'_>, at: At) -> Answer {
        let entry = self.store.entry(at).clone();
        match entry.outcome {
            Outcome::Redirect(redirect) => {
                let location = with_query(&redirect.location, asked.query);
                Answer::Reply(Reply::redirect(redirect.status, location, &entry.policy))
            }
            Outcome::Failure(failure, fallback) => {
                self.failed(index, asked, failure, fallback.as_deref(), &entry.policy)
            }
            Outcome::Resource(_) => self.send(index, asked, at, Choice::Identity),
        }
    }

    /// The reply with the chosen representation of the resource that was found.
    #[inline(always)]
    fn send(&mut self, index: usize, asked: Asked<'_>, at: At, choice: Choice) -> Answer {
        let Asked { request, clock, .. } = asked;
        let found = self.store.representation(at, choice, request.fill, clock);
        let Some(representation) = found else {
            let policy = Rc::clone(&self.store.entry(at).policy);
            let why = "no form of this file has a coding that the request accepts";
            let failure = Failure::new(Status::NotAcceptable, why);
            return self.refuse(index, asked, &policy, failure);
        };
        let ranges = request.method == Method::Get;
        let limits = (self.ranges_max, &*self.boundary);
        match select(&representation, request.fields, ranges, limits, clock) {
            Selection::Whole => {
                self.store.share(&representation, request);
                let content = Content::Whole(representation);
                Answer::Reply(Reply { status: Status::Ok, content, extra: None })
            }
            selection => {
                let policy = Rc::clone(&self.store.entry(at).policy);
                self.selected(index, asked, &representation, selection, &policy)
            }
        }
    }

    /// Finds a path that the cache does not know in this spelling. Guards are checked before the
    /// lookup on disk, so a client that they refuse does not learn whether the path exists.
    #[inline(never)]
    fn find(&mut self, index: usize, asked: Asked<'_>) -> Result<Result<At, Answer>, Failure> {
        let Asked { path, blocking, clock, .. } = asked;
        self.store.refresh_for_unknown(&mut self.sites[index], clock);
        match self.store.recall_canonical(&self.sites[index], path, clock) {
            Ok(Some(at)) => return Ok(Ok(at)),
            Ok(None) => {}
            Err(failure) => return self.unfit(index, failure).map(Err),
        }
        let located = self.store.locate(&self.sites[index], path)?;
        if let Some(answer) = self.guard(index, asked, &located.policy) {
            return Ok(Err(answer));
        }
        let mut view = View::default();
        if located.canonical.ends_with(b"/") && self.sites[index].config.listing {
            view.form = ListingForm::of(asked.query, asked.request.fields);
            view.admitted = match self.admitted(index, asked, Reach::Entries)? {
                Ok(admitted) => admitted,
                Err(Answer::Later(wait)) => return Ok(Err(Answer::Later(wait))),
                // It concerns a listing only, and this may be another resource.
                Err(Answer::Reply(_)) => Admitted::default(),
            };
        }
        let found = if view == View::default() {
            let site = &self.sites[index];
            self.store.find(site, path, &located, (blocking, &view), clock)
        } else {
            self.find_listing(index, asked, &located, &view)
        };
        Ok(match found {
            Found::At(at) => Ok(at),
            Found::Wait(wait) => Err(Answer::Later(wait)),
        })
    }

    /// A failure of a request for a path, with the page that the site configures for it.
    #[cold]
    pub(super) fn refuse(
        &mut self,
        index: usize,
        asked: Asked<'_>,
        policy: &Rc<Policy>,
        failure: Failure,
    ) -> Answer {
        let detail = Detail::Failure(failure.why);
        self.explained(index, asked, policy, failure.status, detail)
    }

    /// A failure of a request for a path, with its details.
    #[cold]
    fn explained(
        &mut self,
        index: usize,
        asked: Asked<'_>,
        policy: &Rc<Policy>,
        status: Status,
        detail: Detail,
    ) -> Answer {
        let Asked { request, path, clock, .. } = asked;
        let page = self.store.configured_page(&self.sites[index], path, status, clock);
        let accept = self.negotiation.of(request.fields);
        Answer::Reply(match page {
            Some((page, policy)) => {
                Reply::site_page(status, &detail, page.form(&accept.meaning), &policy)
            }
            None => {
                let content = Content::Page(Rc::clone(policy), detail, Up::from(path));
                Reply { status, content, extra: None }
            }
        })
    }

    /// The reply for anything but a whole representation.
    #[cold]
    fn selected(
        &mut self,
        index: usize,
        asked: Asked<'_>,
        it: &Rc<Representation>,
        selection: Selection,
        policy: &Rc<Policy>,
    ) -> Answer {
        let (status, content) = match selection {
            Selection::PreconditionFailed => {
                let status = Status::PreconditionFailed;
                return self.explained(index, asked, policy, status, Detail::Failure(""));
            }
            Selection::NotSatisfiable => {
                let (status, detail) = (Status::RangeNotSatisfiable, Detail::Size(it.size()));
                return self.explained(index, asked, policy, status, detail);
            }
            Selection::Whole => (Status::Ok, Content::Whole(Rc::clone(it))),
            Selection::Part(range) => {
                (Status::PartialContent, Content::Range(Rc::clone(it), range))
            }
            Selection::Parts(ranges) => {
                let multipart = Box::new(Multipart::new(ranges, &self.boundary));
                (Status::PartialContent, Content::Ranges(Rc::clone(it), multipart))
            }
            Selection::NotModified => (Status::NotModified, Content::NotModified(Rc::clone(it))),
        };
        Answer::Reply(Reply { status, content, extra: None })
    }

    /// The reply for a path that leads to nothing.
    fn failed(
        &mut self,
        index: usize,
        asked: Asked<'_>,
        failure: Failure,
        fallback: Option<&Fallback>,
        policy: &Rc<Policy>,
    ) -> Answer {
        let Asked { request, path, clock, .. } = asked;
        let accept = self.negotiation.of(request.fields);
        let navigation = fallback.and_then(|fallback| fallback.navigation.as_ref());
        if let Some(Navigation { resource, policy }) = navigation
            && navigation::is_navigation(request.fields, path)
        {
            if let Some(answer) = self.guard(index, asked, policy) {
                return answer;
            }
            let form = resource.form(&accept.meaning);
            let validators = form.validators();
            let verdict = conditional::evaluate(request.fields, &validators, clock.unix_seconds());
            let (status, content) = match verdict {
                Verdict::NotModified => (Status::NotModified, Content::NotModified(form)),
                Verdict::Failed => {
                    let failure = Failure::new(Status::PreconditionFailed, "");
                    return self.refuse(index, asked, policy, failure);
                }
                Verdict::Proceed => (Status::Ok, Content::Whole(form)),
            };
            return Answer::Reply(Reply { status, content, extra: None });
        }
        if let Some(page) = fallback.and_then(|fallback| fallback.page.as_ref()) {
            let detail = Detail::Failure(failure.why);
            return Answer::Reply(Reply::site_page(
                failure.status,
                &detail,
                page.form(&accept.meaning),
                policy,
            ));
        }
        let mut reply = Reply::failure(failure, policy, Up::from(path));
        if navigation.is_some() {
            reply.extra = Some(Rc::new(b"Vary: Accept, Sec-Fetch-Mode\r\n".to_vec()));
        }
        Answer::Reply(reply)
    }

    /// A path that no file can have is an ordinary 404; all other failures are malformed requests.
    #[cold]
    fn unfit(&self, index: usize, failure: Failure) -> Result<Answer, Failure> {
        match failure.status {
            Status::NotFound => {
                let policy = self.sites[index].policy();
                Ok(Answer::Reply(Reply::failure(failure, policy, Up::None)))
            }
            _ => Err(failure),
        }
    }

    /// The page for a request that is refused before its path is looked up.
    #[cold]
    pub(super) fn refuse_path(
        &mut self,
        request: &Request<'_>,
        failure: Failure,
        clock: &Clock,
    ) -> Reply {
        let target = target::split(request.target).ok();
        if let Some((host, path, _)) = target.and_then(|target| named(request, &target.form)) {
            let index = self.site_of(host);
            let site = &self.sites[index];
            let page = self.store.configured_page(site, path, failure.status, clock);
            if let Some((page, policy)) = page {
                let accept = self.negotiation.of(request.fields);
                let detail = Detail::Failure(failure.why);
                let page = page.form(&accept.meaning);
                let mut reply = Reply::site_page(failure.status, &detail, page, &policy);
                if let Some(line) = self.sites[index].cors.line(request.fields) {
                    reply.add(line);
                }
                return reply;
            }
        }
        self.fail_request(request, failure)
    }

    /// The page for a request that fails before its site is known.
    pub fn fail(&self, failure: Failure) -> Reply {
        Reply::failure(failure, self.sites[0].policy(), Up::None)
    }

    /// The page for a request that fails whatever its path leads to.
    #[cold]
    pub fn fail_request(&self, request: &Request<'_>, failure: Failure) -> Reply {
        let target = target::split(request.target).ok();
        let named = target.as_ref().and_then(|target| named(request, &target.form));
        let site = &self.sites[self.site_of(named.map_or(request.host, |(host, ..)| host))];
        let mut reply = Reply::failure(failure, site.policy(), Up::None);
        if let Some(line) = site.cors.line(request.fields) {
            reply.add(line);
        }
        reply
    }

    #[cold]
    fn failure(&self, request: &Request<'_>, status: Status, why: &'static str) -> Answer {
        Answer::Reply(self.fail_request(request, Failure::new(status, why)))
    }
}

/// What a request names: the host, the path and the query.
type Named<'r> = (Option<Host<'r>>, &'r [u8], Option<&'r [u8]>);

/// What a request names, if that is a path of this server.
#[inline(always)]
pub(super) fn named<'r>(request: &Request<'r>, form: &Form<'r>) -> Option<Named<'r>> {
    match *form {
        Form::Origin { path, query } => Some((request.host, path, query)),
        Form::Absolute { scheme, host, path, query } if scheme == request.channel.scheme() => {
            Some((Some(host), path, query))
        }
        Form::Absolute { .. } | Form::Asterisk => None,
    }
}

/// The failure of a request whose target is no path of this server.
pub(super) fn no_path(form: &Form<'_>) -> Failure {
    match form {
        Form::Asterisk => Failure::bad("the target * is for OPTIONS alone"),
        Form::Origin { .. } | Form::Absolute { .. } => {
            let why = "this address does not serve the scheme of this URL";
            Failure::new(Status::MisdirectedRequest, why)
        }
    }
}

/// The failure of a request with this method, if no path supports it.
pub(super) fn refusal_of(method: Method) -> Option<Failure> {
    match method {
        Method::Unknown => Some(Failure::new(Status::NotImplemented, "unknown method")),
        Method::NotServed | Method::Connect => {
            Some(Failure::new(Status::MethodNotAllowed, NOT_ALLOWED))
        }
        Method::Get | Method::Head | Method::Options => None,
    }
}

/// The location of a redirect with the query of the request, if it has none of its own: before the
/// fragment. A query of its own that is empty only drops that of the request. Neither part can hold
/// a CR or LF: both were encoded.
pub(super) fn with_query(location: &Rc<[u8]>, query: Option<&[u8]>) -> Rc<[u8]> {
    let end = memchr::memchr(b'#', location).unwrap_or(location.len());
    let (start, fragment) = location.split_at(end);
    if let Some(bare) = start.strip_suffix(b"?") {
        return [bare, fragment].concat().into();
    }
    let Some(query) = query else { return Rc::clone(location) };
    if start.contains(&b'?') {
        return Rc::clone(location);
    }
    let query = std::iter::once(b'?').chain(target::encode_query(query));
    start.iter().copied().chain(query).chain(fragment.iter().copied()).collect()
}

/// Why a method gets 405; the field Allow names those that are supported.
const NOT_ALLOWED: &str = "only GET, HEAD and OPTIONS are supported";
