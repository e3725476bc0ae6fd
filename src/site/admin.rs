//! The internal site for operators: metrics, health, and a live page.
//!
//! | path | response |
//! |---|---|
//! | `/` | a page that shows the metrics as they change |
//! | `/metrics` | all metrics, in the text format of Prometheus |
//! | `/status.json` | the same as JSON, for the page |
//! | `/healthz` | 200, because the loop turns |
//! | `/readyz` | 200, or 503 while the server stops |
//!
//! `/`, `/metrics` and `/status.json` are answered only if the Host of the request is an address,
//! a name without a dot, or a configured name. A page of another site could otherwise read them in
//! the browser of an operator, by a name of its own that resolves to the address of this listener
//! (DNS rebinding).
//!
//! The metrics are collected on request: the first request waits for the next turn, before which
//! the event loop provides them ([`Admin::provide`]).

use std::net::IpAddr;
use std::rc::Rc;

use crate::config::SiteConfig;
use crate::http::head::Method;
use crate::http::status::{Failure, Status};
use crate::http::target::{self, Form};
use crate::metrics::{Facts, Reload, Snapshot, to_json, to_text};
use crate::rules::overlay::Overlay;

use super::Wait;
use super::hosts::Hosts;
use super::page::Up;
use super::policy::{Policy, Vary};
use super::reply::{Content, Reply};
use super::representation::{Facts as Head, Gauge, OwnedValidators, Representation};
use super::request::Request;
use super::respond::{Answer, refusal_of};

mod live;

use live::Live;

/// The internal site.
#[derive(Debug)]
pub struct Admin {
    policy: Rc<Policy>,
    /// Names by which it answers.
    names: Hosts,
    live: Live,
    gauge: Gauge,
    /// The metrics of this turn.
    provided: Option<(Snapshot, Reload)>,
    /// A request waits for the metrics.
    is_waiting: bool,
}

impl Admin {
    /// `server_header`: responses have a field Server.
    pub(super) fn new(server_header: bool) -> Admin {
        let mut base = vec![("X-Content-Type-Options", "nosniff".to_owned())];
        if server_header {
            base.push(("Server", "tenkay".to_owned()));
        }
        let vary = Vary::default();
        let policy = Policy::new(0, &base, Overlay::default(), &[], false, vary);
        let (policy, gauge) = (Rc::new(policy), Gauge::default());
        let (names, live) = (Hosts::default(), Live::default());
        Admin { policy, names, live, gauge, provided: None, is_waiting: false }
    }

    /// Sets the names by which it answers besides addresses and names without a dot.
    pub fn answer_to(&mut self, hosts: Vec<String>) {
        self.names = Hosts::of(&[SiteConfig { hosts, ..SiteConfig::default() }]);
    }

    /// True if no other site can have this host. Public names have a dot.
    fn is_own(&self, host: &[u8]) -> bool {
        let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
        host.starts_with(b"[")
            || !host.contains(&b'.')
            || str::from_utf8(host).is_ok_and(is_address)
            || self.names.find(host).is_some()
    }

    /// True if a request waits for the metrics.
    #[inline]
    pub fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// The metrics for the requests of this turn.
    pub fn provide(&mut self, snapshot: Snapshot, reload: Reload) {
        self.provided = Some((snapshot, reload));
        self.is_waiting = false;
    }

    /// The turn has ended.
    pub fn forget(&mut self) {
        self.provided = None;
    }

    /// The answer to a request. `draining`: the server stops.
    ///
    /// # Errors
    /// The target is malformed.
    pub(super) fn respond(
        &mut self,
        request: &Request<'_>,
        draining: bool,
    ) -> Result<Answer, Failure> {
        if let Some(failure) = refusal_of(request.method) {
            return Ok(self.refuse(failure));
        }
        if request.method == Method::Options {
            let (status, content) = (Status::NoContent, Content::Options(Rc::clone(&self.policy)));
            return Ok(Answer::Reply(Reply { status, content, extra: None }));
        }
        let (path, host) = match target::split(request.target)?.form {
            Form::Origin { path, .. } => (path, request.host),
            Form::Absolute { path, host, .. } => (path, Some(host)),
            Form::Asterisk => return Err(Failure::bad("the target * is for OPTIONS alone")),
        };
        let is_open = matches!(path, b"/healthz" | b"/readyz");
        if !is_open && !host.is_none_or(|host| self.is_own(host.name())) {
            let why = "the admin listener does not answer by this name; ask by an address, or add \
                       the name to its hosts (--admin-hosts)";
            return Ok(self.refuse(Failure::new(Status::MisdirectedRequest, why)));
        }
        let plain = "text/plain; charset=utf-8";
        match path {
            b"/healthz" => Ok(self.answer(Status::Ok, plain, "", b"ok\n")),
            b"/readyz" if draining => {
                Ok(self.answer(Status::ServiceUnavailable, plain, "", b"the server stops\n"))
            }
            b"/readyz" => Ok(self.answer(Status::Ok, plain, "", b"ok\n")),
            b"/" => {
                let html = "text/html; charset=utf-8";
                let live = self.live.get();
                Ok(self.answer(Status::Ok, html, &live.policy, live.page.as_bytes()))
            }
            b"/metrics" | b"/status.json" => {
                let Some((snapshot, reload)) = &self.provided else {
                    self.is_waiting = true;
                    return Ok(Answer::Later(Wait::Turn));
                };
                let facts = Facts { reload: *reload, is_ready: !draining };
                let (kind, body) = match path {
                    b"/metrics" => ("text/plain; version=0.0.4", to_text(snapshot, facts)),
                    _ => ("application/json", to_json(snapshot, facts)),
                };
                Ok(self.answer(Status::Ok, kind, "", body.as_bytes()))
            }
            _ => {
                let why = "the paths are /, /metrics, /status.json, /healthz and /readyz";
                Ok(self.refuse(Failure::new(Status::NotFound, why)))
            }
        }
    }

    fn refuse(&self, failure: Failure) -> Answer {
        Answer::Reply(Reply::failure(failure, &self.policy, Up::None))
    }

    /// A response that is stored nowhere. `policy`: the value of Content-Security-Policy, unless it
    /// is empty.
    fn answer(&self, status: Status, media_type: &str, policy: &str, body: &[u8]) -> Answer {
        let mut lines = self.policy.page_lines(Status::Ok).to_vec();
        lines.extend(b"Cache-Control: no-store\r\n");
        if !policy.is_empty() {
            lines.extend([b"Content-Security-Policy: ", policy.as_bytes(), b"\r\n"].concat());
        }
        let (lines, validators) = (&lines[..], OwnedValidators::none());
        let facts =
            Head { lines, coding: None, media_type, charset: None, validators, ranges: false };
        match Representation::in_memory(facts, body, &self.gauge) {
            Ok(made) => {
                let content = Content::Whole(Rc::new(made));
                Answer::Reply(Reply { status, content, extra: None })
            }
            Err(_) => {
                let why = "the server has no memory for this response";
                self.refuse(Failure::new(Status::ServiceUnavailable, why))
            }
        }
    }
}

#[cfg(test)]
mod tests;
