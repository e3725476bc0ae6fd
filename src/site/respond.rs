//! From a request to a reply: the decisions that every wire shares.

use std::rc::Rc;

use crate::clock::Clock;
use crate::files::Blocking;
use crate::http::head::{Expectation, Fields, Method};
use crate::http::status::{Failure, Status};
use crate::http::target::{self, Form, Scheme};

use super::multipart::Multipart;
use super::page::Up;
use super::reply::{Content, Detail, Reply};
use super::representation::{Fill, Representation};
use super::resource::Outcome;
use super::select::{Selection, select};
use super::store::{Found, Query};
use super::{Sites, Wait};

/// A request, independent of the wire that it came on.
#[derive(Debug)]
pub struct Request<'r> {
    /// The method.
    pub method: Method,
    /// The request target as it came; not validated yet.
    pub target: &'r [u8],
    /// What the client expects before it sends a body.
    pub expectation: Expectation,
    /// The fields.
    pub fields: &'r Fields<'r, 'r>,
    /// How the wire fills the headroom of a representation; `None` if it does not use it.
    pub fill: Option<Fill>,
}

/// The answer of [`Sites::respond`].
#[derive(Debug)]
pub enum Answer {
    /// This is what the request gets.
    Reply(Reply),
    /// It takes longer than the caller may wait: ask again after this.
    Later(Wait),
}

impl Sites {
    /// What a request gets.
    ///
    /// # Errors
    /// The request is malformed or misdirected. A wire that cannot tell what follows such a request
    /// ends the connection after the [page](Sites::fail) of the failure.
    pub fn respond(
        &mut self,
        request: &Request<'_>,
        blocking: Blocking,
        clock: &Clock,
    ) -> Result<Answer, Failure> {
        if request.expectation == Expectation::Other {
            return Ok(self.failure(Status::ExpectationFailed, "only 100-continue is supported"));
        }
        if request.method == Method::Connect {
            return Ok(self.failure(Status::MethodNotAllowed, NOT_ALLOWED)); // its target is no path
        }
        let form = target::split(request.target).map_err(Failure::bad)?;
        match request.method {
            Method::Unknown => return Ok(self.failure(Status::NotImplemented, "unknown method")),
            Method::NotServed => return Ok(self.failure(Status::MethodNotAllowed, NOT_ALLOWED)),
            Method::Get | Method::Head | Method::Options | Method::Connect => {}
        }
        let (path, query) = match form {
            Form::Origin { path, query } => (path, query),
            Form::Absolute { scheme: Scheme::Http, path, query, .. } => (path, query),
            Form::Absolute { scheme: Scheme::Https, .. } => {
                let why = "this address does not serve https";
                return Err(Failure::new(Status::MisdirectedRequest, why));
            }
            Form::Asterisk if request.method == Method::Options => return Ok(self.options()),
            Form::Asterisk => return Err(Failure::bad("the target * is for OPTIONS alone")),
        };
        if request.method == Method::Options {
            self.store.check(path)?;
            return Ok(self.options());
        }
        self.look_up(request, path, query, blocking, clock)
    }

    /// Whether a request is well-formed, as far as that can be told without looking at a file.
    ///
    /// # Errors
    /// Those of [`Sites::respond`].
    pub fn check(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        if request.method == Method::Connect {
            return Ok(());
        }
        match target::split(request.target).map_err(Failure::bad)? {
            Form::Origin { path, .. } => self.store.check(path),
            Form::Absolute { scheme: Scheme::Http, path, .. } => self.store.check(path),
            Form::Absolute { .. } | Form::Asterisk => Ok(()),
        }
    }

    fn look_up(
        &mut self,
        request: &Request<'_>,
        path: &[u8],
        query: Option<&[u8]>,
        blocking: Blocking,
        clock: &Clock,
    ) -> Result<Answer, Failure> {
        let Sites { sites, store, boundary, ranges_max, .. } = self;
        let site = &mut sites[0];
        let place = match store.find(site, Query { path, blocking, fill: request.fill }, clock)? {
            Found::At(place) => place,
            Found::Wait(wait) => return Ok(Answer::Later(wait)),
        };
        let entry = store.entry(place);
        let reply = match &entry.outcome {
            Outcome::Resource(resource) => {
                let (ranges, identity) = (request.method == Method::Get, &resource.identity);
                match select(identity, request.fields, ranges, *ranges_max, clock) {
                    Selection::Whole => {
                        let content = Content::Whole(Rc::clone(identity));
                        Reply { status: Status::Ok, content }
                    }
                    selection => selected(identity, selection, boundary, &entry.policy),
                }
            }
            Outcome::Redirect(location) => {
                let location = match query {
                    Some(query) => location_with_query(location, query),
                    None => Rc::clone(location),
                };
                let content =
                    Content::Page(Rc::clone(&entry.policy), Detail::Location(location), Up::None);
                Reply { status: Status::MovedPermanently, content }
            }
            Outcome::Failure(failure) => Reply::failure(*failure, &entry.policy, Up::from(path)),
        };
        Ok(Answer::Reply(reply))
    }

    /// The page for a request that fails before its site is known.
    pub fn fail(&self, failure: Failure) -> Reply {
        Reply::failure(failure, &self.sites[0].policy, Up::None)
    }

    fn failure(&self, status: Status, why: &'static str) -> Answer {
        Answer::Reply(self.fail(Failure::new(status, why)))
    }

    fn options(&self) -> Answer {
        let content = Content::Options(Rc::clone(&self.sites[0].policy));
        Answer::Reply(Reply { status: Status::NoContent, content })
    }
}

/// The reply for anything but a whole representation.
fn selected(
    representation: &Rc<Representation>,
    selection: Selection,
    boundary: &Rc<[u8]>,
    policy: &Rc<super::Policy>,
) -> Reply {
    let it = Rc::clone(representation);
    let page = |detail| Content::Page(Rc::clone(policy), detail, Up::None);
    let (status, content) = match selection {
        Selection::Whole => (Status::Ok, Content::Whole(it)),
        Selection::Part(range) => (Status::PartialContent, Content::Range(it, range)),
        Selection::Parts(ranges) => {
            let multipart = Box::new(Multipart::new(*ranges, boundary));
            (Status::PartialContent, Content::Ranges(it, multipart))
        }
        Selection::NotModified => (Status::NotModified, Content::NotModified(it)),
        Selection::PreconditionFailed => (Status::PreconditionFailed, page(Detail::Failure(""))),
        Selection::NotSatisfiable => {
            (Status::RangeNotSatisfiable, page(Detail::Size(representation.size())))
        }
    };
    Reply { status, content }
}

/// The location of a redirect with the query of the request behind it. Neither part can hold a CR
/// or LF: both were encoded.
pub(super) fn location_with_query(location: &[u8], query: &[u8]) -> Rc<[u8]> {
    location
        .iter()
        .copied()
        .chain(std::iter::once(b'?'))
        .chain(target::encode_query(query))
        .collect()
}

/// Why a method gets 405; the field Allow names those that are supported.
const NOT_ALLOWED: &str = "only GET, HEAD and OPTIONS are supported";
