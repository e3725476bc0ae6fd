//! `tenkay explain`: answers a request without a network, and says why it gets this response.
//!
//! The request is parsed, answered and written by the code of the server. The reasons come from
//! [`crate::site::explain`]; this module formats them, as text for people and as JSON for programs.

use std::net::IpAddr;

use crate::clock::Clock;
use crate::config::{Limits, Listen, SiteConfig, TlsConfig, TrustedProxies};
use crate::files::Door;
use crate::h1;
use crate::http::fields::Fields;
use crate::http::forwarded;
use crate::http::head::{self, Bounds, Parsed};
use crate::http::status::Failure;
use crate::inherited::Inherited;
use crate::site::explain::{Explanation, Sidecar, Variant};
use crate::site::{Request, Sites};

mod arrival;
mod document;
mod json;
mod question;
mod text;

use question::Asked;

/// A request to explain.
#[derive(Clone, Debug)]
pub struct Question {
    /// The URL, or a path.
    pub url: String,
    /// The method.
    pub method: String,
    /// Field lines, `Name: value`.
    pub fields: Vec<String>,
    /// The address of the client.
    pub client: IpAddr,
}

/// What the server would serve.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The sites; at least one.
    pub sites: Vec<SiteConfig>,
    /// Where each site is defined.
    pub places: Vec<String>,
    /// The limits.
    pub limits: Limits,
    /// Peers that may name the client in a field.
    pub trusted_proxies: TrustedProxies,
    /// The addresses.
    pub listen: Vec<Listen>,
    /// Certificates, and the redirect to HTTPS.
    pub tls: TlsConfig,
    /// Further lines for the notes.
    pub notes: Vec<String>,
}

/// Why there is no response.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An argument is wrong.
    Argument(String),
    /// A site cannot be served.
    Site(String),
}

/// A response, and why the request gets it.
#[derive(Debug)]
pub struct Report {
    method: String,
    asked: Asked,
    client: IpAddr,
    site: Option<Site>,
    explanation: Explanation,
    limits: Vec<AppliedLimit>,
    /// The status, and the lines of the head.
    status: u16,
    head: Vec<String>,
    notes: Vec<String>,
}

/// The site that is asked.
#[derive(Debug)]
struct Site {
    /// From 1.
    number: usize,
    hosts: Vec<String>,
    root: String,
    place: String,
    has_security_headers: bool,
}

/// A limit, and what it means for this request.
#[derive(Debug)]
struct AppliedLimit {
    name: &'static str,
    value: u64,
    note: String,
}

impl Report {
    /// Answers a request.
    ///
    /// # Errors
    /// An argument is no part of a request, or a site cannot be served.
    pub fn of(question: &Question, settings: Settings, clock: &Clock) -> Result<Report, Refusal> {
        let asked = Asked::of(question).map_err(Refusal::Argument)?;
        let Settings { sites: mut configs, mut places, limits, trusted_proxies, .. } = settings;
        let Settings { listen, tls, mut notes, .. } = settings;
        let mut client = question.client;
        let gate = arrival::gate(&listen, &tls, &mut notes);
        let is_proxied = trusted_proxies.trusts(Some(client));
        let channel = arrival::channel(&asked, gate.as_ref(), is_proxied);
        let served = Sites::new(configs.clone(), &limits, Door::best(), 0);
        let mut sites = served.map_err(|problems| Refusal::Site(problems.to_string()))?;
        if let Some(gate) = gate {
            let challenges = gate.acme_webroot.clone();
            let guarded = sites.guard_with(gate, Door::best(), &Inherited::default());
            guarded.map_err(|problems| Refusal::Site(problems.to_string()))?;
            configs.extend(challenges.map(|root| SiteConfig { root, ..SiteConfig::default() }));
            places.resize(configs.len(), "acme_webroot".to_owned());
        }
        let (head_bytes, target_bytes) = (limits.head_bytes, limits.target_bytes);
        let bounds = Bounds { head_bytes, target_bytes, fields: limits.fields };
        let mut space = head::space();
        let (mut explanation, head) = match head::parse(&asked.head, &mut space, &bounds) {
            Ok(Parsed::Complete(head)) => {
                client = named_client(&head.fields, client, &trusted_proxies);
                let request = Request { channel, ..Request::of(&head, Some(client), None) };
                let why = "a file stays unavailable: another process holds a lease on it";
                let explained = sites.explain(&request, clock);
                (explained.ok_or_else(|| Refusal::Site(why.to_owned()))?, Some(head))
            }
            Ok(Parsed::Partial | Parsed::LaterMinor { .. }) => {
                let failure = Failure::bad("the request line is malformed");
                (Explanation::of_failure(failure), None)
            }
            Err(failure) => (Explanation::of_failure(failure), None),
        };
        let failure = |failure: &Failure| Failure::new(failure.status, failure.why);
        let (reply, head) = match std::mem::replace(&mut explanation.reply, Err(Failure::bad(""))) {
            Ok(reply) => (reply, head.as_ref()),
            // The connection ends.
            Err(why) => (sites.fail(failure(&why)), None),
        };
        let status = reply.status.code();
        let Some(head) = h1::head_of(reply, head, clock) else {
            return Err(Refusal::Site("the head of the response does not fit a page".to_owned()));
        };
        notes.extend(explanation.faults.iter().map(ToString::to_string));
        if !explanation.is_consistent {
            notes.push("the steps do not lead to this response; please report this".to_owned());
        }
        let index = explanation.site;
        let site = index.map(|index| Site::of(index, &configs[index], &places));
        let limits = applied(&explanation, &asked, index.map(|index| &configs[index]), &limits);
        let head = lines(&head);
        let method = question.method.clone();
        Ok(Report { method, asked, client, site, explanation, limits, status, head, notes })
    }

    /// As text for people.
    pub fn to_text(&self) -> String {
        text::write(self)
    }

    /// As a JSON object in one line, with the names in a fixed order.
    pub fn to_json(&self) -> String {
        document::of(self).to_string()
    }
}

impl Site {
    fn of(index: usize, config: &SiteConfig, places: &[String]) -> Site {
        let root = config.root.canonicalize().unwrap_or_else(|_| config.root.clone());
        Site {
            number: index + 1,
            hosts: config.hosts.clone(),
            root: root.display().to_string(),
            place: places.get(index).cloned().unwrap_or_default(),
            has_security_headers: config.security_headers,
        }
    }
}

/// The lines of a head, without its empty line.
fn lines(head: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(head);
    text.split("\r\n").filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The client that the fields name, if `peer` is trusted to name it.
fn named_client(fields: &Fields<'_, '_>, peer: IpAddr, proxies: &TrustedProxies) -> IpAddr {
    if !proxies.trusts(Some(peer)) {
        return peer;
    }
    forwarded::client(fields, |address| proxies.trusts(Some(address))).client.unwrap_or(peer)
}

/// The limits that apply to a request.
fn applied(
    explanation: &Explanation,
    asked: &Asked,
    site: Option<&SiteConfig>,
    limits: &Limits,
) -> Vec<AppliedLimit> {
    let mut applied = Vec::new();
    let mut add = |name, value, note: String| applied.push(AppliedLimit { name, value, note });
    let wide = |value: usize| value as u64; // widening
    let target = asked.target.len();
    add("target_bytes", wide(limits.target_bytes), format!("of this request: {target}"));
    let head = asked.head.len();
    add("head_bytes", wide(limits.head_bytes), format!("of this request: {head}"));
    let count = asked.head.split(|byte| *byte == b'\n').count().saturating_sub(3);
    add("fields", wide(limits.fields), format!("of this request: {count}"));
    if let Some(bytes) = explanation.size {
        let how = if explanation.is_in_memory { "from memory" } else { "from the open file" };
        let note = format!("{bytes} bytes are sent {how}");
        add("cached_body_bytes", wide(limits.cached_body_bytes), note);
    }
    if site.is_some_and(|site| site.compress) && !explanation.variants.is_empty() {
        let what = "file that is compressed in the background".to_owned();
        add("compress_least_bytes", limits.compress_least_bytes, format!("smallest {what}"));
        add("compress_most_bytes", limits.compress_most_bytes, format!("largest {what}"));
    }
    if explanation.source.is_some() {
        add("ranges", wide(limits.ranges), "with more ranges, the whole is sent".to_owned());
    }
    if explanation.source.as_ref().is_some_and(|it| it.is_empty() || it.ends_with(b"/")) {
        add("listing_entries", wide(limits.listing_entries), "entries of the listing".to_owned());
    }
    add("revalidate_ms", limits.revalidate_ms, "a change on disk is seen after this".to_owned());
    for (name, value, note) in [
        ("requests_per_s", limits.requests_per_s.into(), "for each client"),
        ("connections_per_client", limits.connections_per_client.into(), "for each client"),
        ("connection_bytes_per_s", limits.connection_bytes_per_s, "for each connection"),
    ] {
        if value > 0 {
            add(name, value, note.to_owned());
        }
    }
    applied
}

/// The name of the file or folder below the root, without control characters.
fn source(explanation: &Explanation) -> Option<String> {
    let name = String::from_utf8_lossy(explanation.source.as_deref()?).into_owned();
    let clean = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    let name: String = name.chars().map(clean).collect();
    Some(if name.is_empty() { "./".to_owned() } else { name })
}

/// The name of a form.
fn coding(variant: &Variant) -> &'static str {
    variant.coding.map_or("identity", |coding| coding.token())
}

/// The state of the sidecar file of a form: a word for programs.
fn sidecar(variant: &Variant) -> Option<&'static str> {
    Some(match variant.sidecar? {
        Sidecar::NotLookedFor => "off",
        Sidecar::Missing => "missing",
        Sidecar::Stale => "stale",
        Sidecar::Empty => "empty",
        Sidecar::Usable(_) => "usable",
    })
}
