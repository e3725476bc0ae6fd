//! Why a request gets its reply: the steps of the decision, for `tenkay explain`.
//!
//! Nothing here takes part in a reply. [`Sites::explain`] asks [`Sites::respond`] first; then
//! `trace` asks the same rules and the same loader one by one, in the order of `store::resolve`,
//! and its conclusion is compared with the reply.

use std::rc::Rc;

use crate::clock::Clock;
use crate::files::Blocking;
use crate::http::fields::Field;
use crate::http::negotiate::{AcceptEncoding, Choice, Coding};
use crate::http::status::{Failure, Status};

use super::reply::{Content, Detail, Reply};
use super::representation::Representation;
use super::request::Request;
use super::respond::Answer;
use super::rulebook::SECURITY;
use super::trace::{Conclusion, Trace};
use super::{Fault, Sites};

pub use super::steps::{Rule, Stage, Step};
pub use super::store::Sidecar;

/// A reply, and why the request gets it.
#[derive(Debug)]
pub struct Explanation {
    /// The reply of [`Sites::respond`].
    pub reply: Result<Reply, Failure>,
    /// The index of the site, if the request has got that far.
    pub site: Option<usize>,
    /// The canonical path, decoded, if the request has one.
    pub path: Option<Vec<u8>>,
    /// What was looked at, in order. The last one decides.
    pub steps: Vec<Step>,
    /// The blocks of fields that apply to the path, in order.
    pub headers: Vec<Rule>,
    /// The file or folder below the root whose representation is sent.
    pub source: Option<Vec<u8>>,
    /// Bytes of that representation.
    pub size: Option<u64>,
    /// That representation is kept in memory, not read from an open file.
    pub is_in_memory: bool,
    /// The forms that the path can have, if it leads to a file: the codings, and at last the file
    /// as it is.
    pub variants: Vec<Variant>,
    /// The form that a later request gets, because it is compressed in the background; its bytes.
    pub later: Option<(Coding, u64)>,
    /// The steps lead to the reply. Otherwise they are wrong: a defect of this module.
    pub is_consistent: bool,
    /// Further events, such as bad lines of rule files.
    pub faults: Vec<Fault>,
}

/// A form of a file.
#[derive(Debug)]
pub struct Variant {
    /// The content coding; `None`: the file as it is.
    pub coding: Option<Coding>,
    /// The quality that the request gives it, in thousandths; 0: not acceptable.
    pub quality: u16,
    /// Its sidecar file; `None` for the file as it is.
    pub sidecar: Option<Sidecar>,
    /// It is the one that is sent.
    pub is_sent: bool,
}

impl Explanation {
    /// A request that is refused before its site is known.
    pub fn of_failure(failure: Failure) -> Explanation {
        let (stage, rules, result) = (Stage::Request, Vec::new(), failure.why.to_owned());
        Explanation {
            reply: Err(failure),
            site: None,
            path: None,
            steps: vec![Step { stage, rules, result, decides: true }],
            headers: Vec::new(),
            source: None,
            size: None,
            is_in_memory: false,
            variants: Vec::new(),
            later: None,
            is_consistent: true,
            faults: Vec::new(),
        }
    }
}

/// The fields of the preset `security_headers`.
pub fn security_headers() -> &'static [(&'static str, &'static str)] {
    SECURITY
}

impl Sites {
    /// The reply to a request, and why it gets it. `None`: a file stays unavailable, because
    /// another process holds a lease on it.
    pub fn explain(&mut self, request: &Request<'_>, clock: &Clock) -> Option<Explanation> {
        let reply = self.settled(request, clock)?;
        let sent = reply.as_ref().ok().and_then(representation).cloned();
        let source = sent.as_ref().and_then(|sent| self.store.source_of(sent));
        let (source, form) = source.map(|(path, form)| (path.to_vec(), form)).unzip();
        let Trace { site, path, steps, headers, conclusion } = self.trace(request, clock);
        let file = source.as_deref().filter(|_| matches!(conclusion, Conclusion::File(_)));
        let variants = match (site, file) {
            (Some(site), Some(file)) => self.variants(site, file, request, form, clock),
            _ => Vec::new(),
        };
        let is_consistent = agrees(&reply, &conclusion, source.as_deref());
        let size = sent.as_ref().map(|sent| sent.size());
        let is_in_memory = sent.is_some_and(|sent| sent.file().is_none());
        let later = self.later(request, form, clock);
        let faults = std::iter::from_fn(|| self.take_fault()).collect();
        Some(Explanation {
            reply,
            site,
            path,
            steps,
            headers,
            source,
            size,
            is_in_memory,
            variants,
            later,
            is_consistent,
            faults,
        })
    }

    /// The reply, when all work for it is done.
    fn settled(&mut self, request: &Request<'_>, clock: &Clock) -> Option<Result<Reply, Failure>> {
        for _ in 0..ATTEMPTS {
            match self.respond(request, Blocking::Allowed, clock) {
                Ok(Answer::Reply(reply)) => return Some(Ok(reply)),
                Ok(Answer::Later(_)) => _ = self.work(clock, &mut || false),
                Err(failure) => return Some(Err(failure)),
            }
        }
        None
    }

    /// The form that a later request gets instead of this one, after the work in the background.
    fn later(
        &mut self,
        request: &Request<'_>,
        form: Option<Choice>,
        clock: &Clock,
    ) -> Option<(Coding, u64)> {
        while self.spare_work_due().is_some_and(|due| due <= clock.tick) {
            self.spare_work(clock);
        }
        let reply = self.settled(request, clock)?.ok()?;
        let representation = representation(&reply)?;
        match self.store.source_of(representation)? {
            (_, choice @ Choice::Coding(coding)) if form != Some(choice) => {
                Some((coding, representation.size()))
            }
            _ => None,
        }
    }

    /// The forms of a file below the root.
    fn variants(
        &mut self,
        site: usize,
        file: &[u8],
        request: &Request<'_>,
        form: Option<Choice>,
        clock: &Clock,
    ) -> Vec<Variant> {
        let canonical = [b"/", file].concat();
        let Some(looked) = self.file_at(site, &canonical, clock) else { return Vec::new() };
        let accept = AcceptEncoding::parse(request.fields.lines(Field::AcceptEncoding));
        let coded = Coding::ALL.into_iter().map(|coding| Variant {
            coding: Some(coding),
            quality: accept.quality(coding),
            sidecar: Some(looked.sidecar(coding)),
            is_sent: form == Some(Choice::Coding(coding)),
        });
        let identity = Variant {
            coding: None,
            quality: accept.identity_quality(),
            sidecar: None,
            is_sent: form == Some(Choice::Identity),
        };
        coded.chain([identity]).collect()
    }
}

/// The representation in a reply.
fn representation(reply: &Reply) -> Option<&Rc<Representation>> {
    match &reply.content {
        Content::Whole(it)
        | Content::Range(it, _)
        | Content::Ranges(it, _)
        | Content::NotModified(it) => Some(it),
        Content::Options(_) | Content::Archive(_) | Content::Page(..) => None,
    }
}

/// Whether a reply is what the steps lead to.
fn agrees(reply: &Result<Reply, Failure>, conclusion: &Conclusion, source: Option<&[u8]>) -> bool {
    let status = match reply {
        Ok(reply) => reply.status,
        Err(failure) => failure.status,
    };
    let is_whole = matches!(status, Status::Ok | Status::PartialContent | Status::NotModified);
    // Conditions, ranges and Accept-Encoding can refuse a file that exists.
    let is_refused = matches!(
        status,
        Status::PreconditionFailed | Status::RangeNotSatisfiable | Status::NotAcceptable
    );
    match conclusion {
        Conclusion::File(file) => is_whole && source == Some(file) || is_refused,
        Conclusion::Listing(folder) => {
            // A listing that the cache does not keep has no known source.
            is_whole && source.is_none_or(|source| source == folder) || is_refused
        }
        Conclusion::Redirect(expected) => {
            let is_redirect =
                |reply: &Reply| matches!(&reply.content, Content::Page(_, Detail::Location(_), _));
            status == *expected && reply.as_ref().is_ok_and(is_redirect)
        }
        Conclusion::Failure(expected, page) => status == *expected && source == page.as_deref(),
        Conclusion::Status(expected) => status == *expected,
    }
}

/// Attempts to get a reply; each attempt ends a job, and waits for a disk.
const ATTEMPTS: u32 = 1000;
