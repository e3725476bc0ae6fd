//! From requests to replies.
//!
//! [`Sites`] turns a [`Request`] into a [`Reply`] that is independent of the wire format. A
//! [`Site`] is a root and its rules; one store caches paths for all sites. This module knows
//! nothing about connections or the framing of responses.
//!
//! | module | question |
//! |---|---|
//! | `request`, `hosts` | what is requested, and of which site? |
//! | `gate` | does it go to that site, or to HTTPS, or to the ACME challenges? |
//! | [`respond`] | what is the reply to this request? |
//! | [`reply`] | what are the fields and the body of a response? |
//! | [`select`] | which part of a representation is requested? |
//! | `negotiation`, `navigation` | which form of it does the client want? |
//! | `store` | what does this path lead to, and is that still valid? |
//! | [`resource`], [`representation`] | in which forms can it be sent? |
//! | `rulebook`, [`policy`] | which rules apply to this path, and what do they add? |
//! | `access`, `login`, `cors` | may this client, or this origin, read it? |
//! | `hashed_name` | does the name of a file contain a hash of its content? |
//! | [`media`] | what is its Content-Type? |
//! | [`explain`], `trace`, `steps` | why does a request get its reply? |
//! | [`listing`], `visible` | what is in a folder, and what of it may a client see? |
//! | [`archive`] | what is in the archive of a folder? |
//! | [`page`], [`multipart`] | what is the content of another generated body? |
//! | `download`, `disposition`, `query` | what do `?download` and other parameters mean? |
//! | [`draft`] | in which memory is a long body generated? |
//! | `admin` | what does the internal site say about the server? |
//! | `problems`, `advice` | why can a site not be served, and what is probably not meant? |

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::auth::Authenticator;
use crate::clock::{Clock, Tick};
use crate::config::{Limits, SiteConfig};
use crate::files::{Blocking, Door, OpenFile, Piece, Root};
use crate::http::hidden::{Glob, Hidden};
use crate::http::status::{Failure, Status};
use crate::inherited::Inherited;
use crate::metrics::Snapshot;

mod access;
mod admin;
mod advice;
pub mod archive;
mod cors;
mod disposition;
mod download;
pub mod draft;
pub mod explain;
mod gate;
mod hashed_name;
mod hosts;
pub mod listing;
mod login;
pub mod media;
pub mod multipart;
mod navigation;
mod negotiation;
pub mod page;
mod places;
pub mod policy;
mod problems;
mod query;
pub mod reply;
pub mod representation;
mod request;
pub mod resource;
pub mod respond;
mod rulebook;
pub mod select;
mod steps;
mod store;
mod trace;
mod visible;

pub use advice::{advice, advice_about_moves, uncovered};
pub use archive::{Archive, Filled};
pub use gate::GateConfig;
pub use multipart::Multipart;
pub use policy::Policy;
pub use problems::{Problem, Problems};
pub use reply::{Content, FieldSink, Reply};
pub use representation::{Fill, HEADROOM, Representation};
pub use request::{Channel, Request};
pub use resource::{Entry, Outcome};
pub use respond::Answer;

use admin::Admin;
use cors::Origins;
use gate::Gate;
use hosts::Hosts;
use login::Login;
use media::MediaTypes;
use negotiation::Negotiation;
use places::Places;
use rulebook::{RuleFiles, Rulebook};
pub use store::Fault;
use store::{Part, RuleVersions, Store};
use visible::{Admitted, Visible};

/// The sites, and the cache of their paths.
#[derive(Debug)]
pub struct Sites {
    sites: Vec<Site>,
    hosts: Hosts,
    store: Store,
    negotiation: Negotiation,
    /// The archives that are being sent.
    places: Places,
    authenticator: Option<Authenticator>,
    /// The checks that TLS adds to requests; `None`: none.
    gate: Option<Box<Gate>>,
    /// Separates the parts of a multipart response (RFC 2046 section 5.1.1).
    boundary: Rc<[u8]>,
    ranges_max: usize,
    admin: Admin,
    /// Requests refused because their client made too many.
    refused_requests: u64,
}

/// A root and its rules.
#[derive(Debug)]
pub struct Site {
    /// Its place among the sites.
    index: usize,
    root: Rc<Root>,
    config: SiteConfig,
    rulebook: Rc<Rulebook>,
    /// The password rules, with their users.
    logins: Vec<Rc<Login>>,
    rule_versions: RuleVersions,
    /// Attempts to read the rule files, which are not in memory yet.
    rule_tries: u8,
    cors: Origins,
    hidden: Rc<Hidden>,
    media_types: MediaTypes,
    /// The part of the store for this root.
    part: Part,
    /// The root before this one, whose files are still found.
    previous: Option<Previous>,
    /// When the path of the root was last looked at.
    checked: Tick,
    /// The path of the root does not exist.
    is_gone: bool,
}

/// The root that a site had before its path was switched to another folder.
#[derive(Debug)]
struct Previous {
    root: Rc<Root>,
    /// How long files are found there that the new root lacks.
    until: Tick,
}

impl Sites {
    /// At least one site. `door` is how files are opened; `chance` makes the boundary of multipart
    /// responses hard to guess.
    ///
    /// # Errors
    /// All problems of all sites: folders and users files that cannot be read, malformed rules.
    pub fn new(
        configs: Vec<SiteConfig>,
        limits: &Limits,
        door: Door,
        chance: u64,
    ) -> Result<Sites, Problems> {
        Sites::inheriting(configs, limits, (door, chance), &Inherited::default())
    }

    /// The same with users that were read before. In a process that replaces another, the site of a
    /// root that is missing answers 503 until it is back.
    ///
    /// # Errors
    /// As [`Sites::new`].
    pub fn inheriting(
        configs: Vec<SiteConfig>,
        limits: &Limits,
        (door, chance): (Door, u64),
        inherited: &Inherited,
    ) -> Result<Sites, Problems> {
        let (mut store, hosts) = (Store::new(limits), Hosts::of(&configs));
        let admin = Admin::new(configs.iter().all(|config| config.server_header));
        let (mut sites, mut problems) = (Vec::new(), Problems::default());
        for config in configs {
            let place = (sites.len(), store.new_part());
            match Site::new(place, config, door, inherited) {
                Ok((mut site, gone)) => {
                    store.report_gone(gone);
                    store.first_rules(&mut site);
                    sites.push(site);
                }
                Err(found) => problems.extend(found),
            }
        }
        problems.none_or_all()?;
        Ok(Sites {
            sites,
            hosts,
            store,
            negotiation: Negotiation::new(),
            places: Places::new(limits),
            authenticator: None,
            gate: None,
            boundary: format!("tenkay-{chance:016x}").into_bytes().into(),
            ranges_max: limits.ranges,
            admin,
            refused_requests: 0,
        })
    }

    /// Adds the checks of TLS to requests: see [`GateConfig`]. The folder for challenges is a
    /// further site, which no host leads to; `inherited` is as for [`Sites::inheriting`].
    ///
    /// # Errors
    /// That folder cannot be read.
    pub fn guard_with(
        &mut self,
        config: GateConfig,
        door: Door,
        inherited: &Inherited,
    ) -> Result<(), Problems> {
        let GateConfig { acme_webroot, .. } = &config;
        let challenges = match acme_webroot {
            None => None,
            Some(root) => {
                let index = self.sites.len();
                let place = (index, self.store.new_part());
                let (site, gone) = Site::new(place, gate::challenge_site(root), door, inherited)?;
                self.store.report_gone(gone);
                self.sites.push(site);
                Some(index)
            }
        };
        self.gate = Some(Box::new(Gate::new(config, challenges)));
        Ok(())
    }

    /// True if a part of a site needs a login.
    pub fn need_authenticator(&self) -> bool {
        self.sites.iter().any(|site| !site.logins.is_empty())
    }

    /// Verifies passwords by `authenticator`; without one, what needs a login is answered 503.
    pub fn authenticate_with(&mut self, authenticator: Authenticator) {
        self.authenticator = Some(authenticator);
    }

    /// What verifies passwords, for its events.
    pub fn authenticator(&mut self) -> Option<&mut Authenticator> {
        self.authenticator.as_mut()
    }

    /// What the internal site shows.
    pub fn admin(&mut self) -> &mut Admin {
        &mut self.admin
    }

    /// The answer to a request for the internal site, with metrics and health. `draining`: the
    /// server stops.
    ///
    /// # Errors
    /// As for [`Sites::respond`].
    pub fn respond_internally(
        &mut self,
        request: &Request<'_>,
        draining: bool,
    ) -> Result<Answer, Failure> {
        self.admin.respond(request, draining)
    }

    /// The reply to a request of a client that makes too many: the page of the site, if it
    /// configures one for 429.
    pub fn refuse_request(&mut self, request: &Request<'_>, clock: &Clock) -> Reply {
        self.refused_requests += 1;
        let why = "too many requests from your address";
        let failure = Failure::new(Status::TooManyRequests, why);
        self.refuse_path(request, failure, clock)
    }

    /// How many requests were refused because their client made too many.
    pub fn refused_requests(&self) -> u64 {
        self.refused_requests
    }

    /// Writes what is known about the cache into a snapshot.
    pub fn describe(&self, to: &mut Snapshot) {
        self.store.describe(to);
    }

    /// Checks a piece of a large file before it is sent; see
    /// [`Disk::prepare`](crate::files::Disk::prepare).
    pub fn prepare(
        &mut self,
        file: &OpenFile,
        range: (u64, u64),
        blocking: Blocking,
        now: Tick,
    ) -> Piece {
        self.store.prepare(file, range, blocking, now)
    }

    /// When there is long work to continue, a tick in the past if at once; `None`: there is none.
    pub fn work_due(&self) -> Option<Tick> {
        self.store.work_due()
    }

    /// Continues long work that is due until `enough` returns true; it is called after each entry
    /// of a folder. Returns the number of a job that ended.
    pub fn work(&mut self, clock: &Clock, enough: &mut dyn FnMut() -> bool) -> Option<u64> {
        self.store.work(&self.sites, clock, enough)
    }

    /// When the next step of the work is due that is done between requests; `None`: there is none.
    pub fn spare_work_due(&self) -> Option<Tick> {
        self.store.spare_work_due()
    }

    /// Hashes or encodes a piece of a file, bounded in bytes. Does nothing if nothing is due.
    pub fn spare_work(&mut self, clock: &Clock) {
        self.store.spare_work(clock);
    }

    /// Measures by `stopwatch` how long the first attempt to list a folder takes; without it, only
    /// the number of entries bounds the attempt. It gives the time since some moment.
    pub fn measure_with(&mut self, stopwatch: Box<dyn Fn() -> Duration>) {
        self.store.measure_with(stopwatch);
    }

    /// When [`Sites::rest`] is due; `None` while there is nothing to close.
    pub fn due(&self) -> Option<Tick> {
        self.store.due()
    }

    /// Closes the files that were not used for a while, and drops what is known about roots that
    /// are not served any more.
    pub fn rest(&mut self, now: Tick) {
        if self.store.due().is_some_and(|due| due <= now) {
            self.store.rest(&mut self.sites, now);
        }
    }

    /// Permits this many lookups on disk until the next call; further ones wait.
    pub fn allow_lookups(&mut self, most: u32) {
        self.store.allow_lookups(most);
    }

    /// How many paths were looked up on disk so far, and the last of them, for a report about a
    /// turn that took too long.
    pub fn lookups(&self) -> (u64, &[u8]) {
        self.store.lookups()
    }

    /// The next event for the log.
    pub fn take_fault(&mut self) -> Option<Fault> {
        self.store.take_fault()
    }

    /// Closes the cached files, because other code needs their descriptors. Files that are being
    /// sent stay open until then.
    pub fn close_files(&mut self) {
        self.store.close_files();
    }
}

fn globs(patterns: &[String], place: &str, problems: &mut Problems) -> Vec<Glob> {
    let parse = |pattern: &String| {
        let glob = Glob::parse(pattern.as_bytes());
        problems.keep(place, glob.map_err(|why| format!("the hidden name '{pattern}': {why}")))
    };
    patterns.iter().filter_map(parse).collect()
}

/// The root of a site with its link targets. In a process that replaces another, those that are
/// missing are lines for the log, and no problems.
fn open_root(
    config: &SiteConfig,
    door: Door,
    (inherited, gone): (&Inherited, &mut Gone),
    problems: &mut Problems,
) -> Option<Root> {
    let SiteConfig { root, symlinks, link_targets, places, .. } = config;
    let shown = root.display();
    let opened = Root::new(root, *symlinks, door).or_else(|error| {
        if !inherited.replaces() {
            return Err(error);
        }
        gone.root = Some(error);
        Root::absent(root, *symlinks, door)
    });
    let opened = opened.map_err(|error| {
        format!("cannot serve '{shown}': {error}; name a folder that can be read")
    });
    let opened = problems.keep(&places.root, opened);
    let (mut targets, mut is_whole) = (link_targets.clone(), true);
    targets.retain(|folder| match Root::check_link_target(folder) {
        Err(error) if inherited.replaces() => {
            gone.targets.push(error.to_string());
            false
        }
        Err(error) => {
            let what = format!("cannot open the {error}; name a folder that can be read");
            problems.add(&places.link_targets, what);
            is_whole = false;
            true
        }
        Ok(()) => true,
    });
    let whole = opened.filter(|_| is_whole)?.with_link_targets(&targets);
    problems.keep(&places.link_targets, whole.map_err(|error| error.to_string()))
}

/// What was missing when a process replaced another.
#[derive(Debug, Default)]
struct Gone {
    /// Why the root cannot be opened.
    root: Option<io::Error>,
    /// The link targets, each with the reason.
    targets: Vec<String>,
}

impl Gone {
    fn lines(self, root: &Root) -> Vec<String> {
        let shown = root.path().display();
        let targets = self.targets.iter().map(|error| format!("{shown}: cannot open the {error}"));
        let root = self.root.map(|error| store::gone(root, &error));
        targets.chain(root).collect()
    }
}

impl Site {
    /// A site, and lines for the log about what is missing.
    ///
    /// # Errors
    /// All problems.
    fn new(
        (index, part): (usize, Part),
        config: SiteConfig,
        door: Door,
        inherited: &Inherited,
    ) -> Result<(Site, Vec<String>), Problems> {
        let (mut problems, mut gone) = (Problems::default(), Gone::default());
        let root = open_root(&config, door, (inherited, &mut gone), &mut problems);
        let hidden = globs(&config.hidden, &config.places.hidden, &mut problems);
        let except = globs(&config.hidden_except, &config.places.hidden, &mut problems);
        let mut logins = Vec::new();
        for rule in &config.auth {
            match Login::read(rule, inherited) {
                Ok(login) => logins.push(Rc::new(login)),
                Err(found) => problems.extend(found),
            }
        }
        let rulebook = Rulebook::new(&config, &RuleFiles::default(), &logins);
        let rulebook = rulebook.map_err(|found| problems.extend(found));
        problems.none_or_all()?;
        let (Some(root), Ok((rulebook, _))) = (root, rulebook) else {
            return Err(Problems::default());
        };
        let site = Site {
            index,
            root: Rc::new(root),
            rulebook: Rc::new(rulebook),
            logins,
            rule_versions: RuleVersions::default(),
            rule_tries: 0,
            cors: Origins::of(&config.cors),
            hidden: Rc::new(Hidden::new(hidden, except)),
            media_types: MediaTypes::new(&config.media_types),
            config,
            part,
            previous: None,
            checked: Tick(0),
            is_gone: gone.root.is_some(),
        };
        let lines = gone.lines(&site.root);
        Ok((site, lines))
    }

    /// True if the file or folder at this canonical path is not served.
    fn hides(&self, canonical: &[u8]) -> bool {
        let is_rule_file = || canonical.strip_prefix(b"/").is_some_and(rulebook::is_rule_file);
        self.hidden.hides(canonical) || (self.config.rule_files && is_rule_file())
    }

    /// The root of the entry with this key; `None`: it is not served any more.
    fn root_of(&self, key: &[u8]) -> Option<&Rc<Root>> {
        match key.starts_with(&[store::PREVIOUS]) {
            true => self.previous.as_ref().map(|previous| &previous.root),
            false => Some(&self.root),
        }
    }

    /// What a client that fulfils these guards sees of a folder, a canonical path.
    fn visible(&self, folder: &[u8], admitted: &Admitted) -> Visible {
        let without_rule_files = self.config.rule_files;
        Visible::new(&self.hidden, &self.rulebook, without_rule_files, folder, admitted)
    }

    /// The policy of responses that belong to no path.
    fn policy(&self) -> &Rc<Policy> {
        self.rulebook.plain_policy()
    }
}

/// When to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// In the next turn: the lookups of this one are used up.
    Turn,
    /// In the next turn, with more blocking: a part of the path must be read from the disk.
    Path,
    /// After [`RETRY_MS`](crate::files::RETRY_MS): the kernel reads from the disk.
    Disk,
    /// When [`Sites::work`] returns the number of this job.
    Job(u64),
}

#[cfg(test)]
mod tests;
