//! The steps of a decision as data for people: names, rules, sentences.

use crate::config::{AccessRule, AuthRule};
use crate::rules::header::{Edit, HeaderRule};
use crate::rules::redirect::Redirect;

/// A step of the decision.
#[derive(Debug)]
pub struct Step {
    /// Which one.
    pub stage: Stage,
    /// The rules that were looked at, up to the one that decides.
    pub rules: Vec<Rule>,
    /// What came of it.
    pub result: String,
    /// It decides the reply.
    pub decides: bool,
}

/// The steps of the decision, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Method, target and host.
    Request,
    /// Whether the certificate covers the host, and the redirect from plain HTTP.
    Https,
    /// Access rules: by address, or by name and password.
    Access,
    /// Redirects and rewrites that win over a file.
    Forced,
    /// The file, the folder, its index file or its listing.
    File,
    /// Paths without `.html`.
    CleanUrls,
    /// The other redirects and rewrites.
    Redirects,
    /// The page of a single-page application.
    Spa,
    /// The page of a failure.
    ErrorPage,
}

/// A rule of a site.
#[derive(Debug)]
pub struct Rule {
    /// Where it is written.
    pub place: String,
    /// What it says.
    pub text: String,
    /// Its pattern matches the path.
    pub matches: bool,
    /// It decides the reply.
    pub decides: bool,
}

impl Stage {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Request => "request",
            Stage::Https => "https",
            Stage::Access => "access",
            Stage::Forced => "forced redirects",
            Stage::File => "file",
            Stage::CleanUrls => "clean URLs",
            Stage::Redirects => "redirects",
            Stage::Spa => "spa",
            Stage::ErrorPage => "error page",
        }
    }
}

impl Rule {
    /// An access rule by address.
    pub(super) fn of_access(rule: &AccessRule) -> Rule {
        let list = |name: &str, nets: &[ipnet::IpNet]| {
            let nets: Vec<String> = nets.iter().map(ToString::to_string).collect();
            let list = format!(" {name} {}", nets.join(", "));
            if nets.is_empty() { String::new() } else { list }
        };
        let (allow, deny) = (list("allow", &rule.allow), list("deny", &rule.deny));
        let text = format!("{}{allow}{deny}", rule.pattern);
        Rule { place: rule.place.clone(), text, matches: false, decides: false }
    }

    /// An access rule by name and password.
    pub(super) fn of_login(rule: &AuthRule) -> Rule {
        let text = format!("{} login '{}'", rule.pattern, rule.realm);
        Rule { place: rule.place.clone(), text, matches: false, decides: false }
    }

    /// A redirect or rewrite, as a line of `_redirects`.
    pub(super) fn of_redirect(rule: &Redirect, place: &str) -> Rule {
        let force = if rule.force { "!" } else { "" };
        let text = format!("{} {} {}{force}", rule.from.text(), rule.to, rule.status().code());
        Rule { place: place.to_owned(), text, matches: false, decides: false }
    }

    /// The field of HSTS, which responses for paths have over TLS.
    pub(super) fn of_hsts(line: &[u8]) -> Rule {
        let text = format!("/* {{ {} }}", String::from_utf8_lossy(line).trim_end());
        Rule { place: "hsts".to_owned(), text, matches: true, decides: false }
    }

    /// A block of fields that applies, in one line.
    pub(super) fn of_fields(rule: &HeaderRule, place: &str) -> Rule {
        let edit = |edit: &Edit| match edit {
            Edit::Set { name, value } => format!("{name}: {value}"),
            Edit::Remove { name } => format!("! {name}"),
        };
        let edits: Vec<String> = rule.edits.iter().map(edit).collect();
        let text = format!("{} {{ {} }}", rule.pattern.text(), edits.join("; "));
        Rule { place: place.to_owned(), text, matches: true, decides: false }
    }
}
