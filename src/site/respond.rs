//! From a request to a reply: the decisions that all wire formats share.

use std::rc::Rc;

use crate::clock::Clock;
use crate::files::Blocking;
use crate::http::fields::Fields;
use crate::http::head::{Expectation, Head, Method};
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

/// A request, independent of the wire format.
#[derive(Debug)]
pub struct Request<'r> {
    /// The method.
    pub method: Method,
    /// The request target as the client sent it; not validated yet.
    pub target: &'r [u8],
    /// What the client expects before it sends a body.
    pub expectation: Expectation,
    /// The fields.
    pub fields: &'r Fields<'r, 'r>,
    /// How the wire format fills the headroom of a representation; `None` if it does not use it.
    pub fill: Option<Fill>,
}

impl<'r> Request<'r> {
    /// The request of a head in HTTP/1.1, with its method, target and fields as they are.
    #[inline]
    pub fn of(head: &'r Head<'r, 'r>, fill: Option<Fill>) -> Request<'r> {
        Request {
            method: head.method,
            target: head.target,
            expectation: head.expectation,
            fields: &head.fields,
            fill,
        }
    }
}

/// The result of [`Sites::respond`].
#[derive(Debug)]
pub enum Answer {
    /// The reply to the request.
    Reply(Reply),
    /// It takes longer than the caller may wait: call again after this.
    Later(Wait),
}

impl Sites {
    /// The reply to a request.
    ///
    /// # Errors
    /// The request is malformed or misdirected. HTTP/1.1, which cannot tell where the next request
    /// begins, ends the connection after the [page](Sites::fail) of the failure.
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
        let target = target::split(request.target)?;
        match request.method {
            Method::Unknown => return Ok(self.failure(Status::NotImplemented, "unknown method")),
            Method::NotServed => return Ok(self.failure(Status::MethodNotAllowed, NOT_ALLOWED)),
            Method::Get | Method::Head | Method::Options | Method::Connect => {}
        }
        let (path, query) = match target.form {
            Form::Origin { path, query }
            | Form::Absolute { scheme: Scheme::Http, path, query, .. } => (path, query),
            Form::Absolute { scheme: Scheme::Https, .. } => {
                let why = "this address does not serve https";
                return Err(Failure::new(Status::MisdirectedRequest, why));
            }
            Form::Asterisk if request.method == Method::Options => return Ok(self.options()),
            Form::Asterisk => return Err(Failure::bad("the target * is for OPTIONS alone")),
        };
        if request.method == Method::Options {
            return match self.store.check(&self.sites[0], path) {
                Ok(()) => Ok(self.options()),
                Err(failure) => self.unfit(failure),
            };
        }
        if target.is_raw {
            // RFC 9112 section 3: a target with bytes that must be encoded may be redirected.
            return match self.store.check(&self.sites[0], path) {
                Ok(()) => Ok(self.moved(target.encoded().collect())),
                Err(failure) => self.unfit(failure),
            };
        }
        self.look_up(request, path, query, blocking, clock)
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
        if matches!(request.method, Method::Unknown | Method::NotServed) {
            return Ok(()); // refused for its method, whatever the path is
        }
        let checked = match target.form {
            Form::Origin { path, .. } | Form::Absolute { scheme: Scheme::Http, path, .. } => {
                self.store.check(&self.sites[0], path)
            }
            Form::Absolute { .. } | Form::Asterisk => Ok(()),
        };
        checked.or_else(|failure| self.unfit(failure).map(drop))
    }

    #[inline(always)]
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
                let limits = (*ranges_max, &**boundary);
                match select(identity, request.fields, ranges, limits, clock) {
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
                Reply::redirect(location, &entry.policy)
            }
            Outcome::Failure(failure) => Reply::failure(*failure, &entry.policy, Up::from(path)),
        };
        Ok(Answer::Reply(reply))
    }

    /// A path that no file can have is an ordinary 404; all other failures are malformed requests.
    fn unfit(&self, failure: Failure) -> Result<Answer, Failure> {
        match failure.status {
            Status::NotFound => Ok(Answer::Reply(self.fail(failure))),
            _ => Err(failure),
        }
    }

    fn moved(&self, location: Rc<[u8]>) -> Answer {
        Answer::Reply(Reply::redirect(location, &self.sites[0].policy))
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
            let multipart = Box::new(Multipart::new(ranges, boundary));
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
