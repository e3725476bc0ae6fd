//! What a site is made from, looked at again: the folder of its root, and its rule files.

use std::io;
use std::rc::Rc;

use crate::clock::{Clock, Tick};
use crate::files::{Blocking, COLD_TRIES, OpenError, Opened, Root, Version};
use crate::rules::file::MAX_BYTES;
use crate::site::rulebook::{HEADERS_FILE, REDIRECTS_FILE, RuleFiles, Rulebook};
use crate::site::{Previous, Site};

use super::Store;
use super::faults::forbidden;
use super::resolve::PREVIOUS;

/// The versions of the rule files that the rules of a site were read from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::site) struct RuleVersions([Option<Version>; 2]);

impl Store {
    /// Checks the path of the root and opens the folder that it names now; then the rule files.
    pub(super) fn check_site(&mut self, site: &mut Site, clock: &Clock) {
        site.checked = clock.tick;
        match site.root.reopen() {
            Ok(None) if site.is_gone => self.root_is_back(site),
            Ok(None) => {}
            Ok(Some(root)) => {
                let root = std::mem::replace(&mut site.root, Rc::new(root));
                self.keep_previous(site, root, clock.tick);
                self.renew_part(site);
                self.root_is_back(site);
            }
            Err(error) => {
                if !site.is_gone {
                    self.faults.root(gone(&site.root, &error));
                    site.is_gone = true;
                    self.renew_part(site);
                }
                return;
            }
        }
        if site.config.rule_files {
            self.check_rules(site);
        }
    }

    /// Reads the rule files again if one of them has changed. While that must wait for a disk, the
    /// rules stay as they are.
    fn check_rules(&mut self, site: &mut Site) {
        if RuleVersions::of(&site.root) == site.rule_versions {
            return;
        }
        let blocking = Blocking::after(site.rule_tries);
        let read = match self.read_rules(&site.root, blocking) {
            Ok(Some(read)) => read,
            Ok(None) => {
                // To be tried again with the next request.
                site.rule_tries = site.rule_tries.saturating_add(1).min(COLD_TRIES);
                site.checked = Tick(0);
                return;
            }
            Err(text) => {
                self.faults.root(format!("{}: {text}", site.root.path().display()));
                // Once, until one of them changes.
                site.rule_versions = RuleVersions::of(&site.root);
                return;
            }
        };
        site.rule_tries = 0;
        let (files, versions) = read;
        match Rulebook::new(&site.config, &files, &site.logins) {
            Ok((rulebook, problems)) => {
                for problem in problems {
                    self.faults.root(format!("{}/{problem}", site.root.path().display()));
                }
                site.rulebook = Rc::new(rulebook);
                site.rule_versions = versions;
                self.renew_part(site);
            }
            Err(problems) => self.faults.root(problems.to_string()),
        }
    }

    /// The rule files of a root, and their versions; `None`: they are not in memory yet.
    ///
    /// # Errors
    /// In one line: the file and the reason.
    fn read_rules(
        &mut self,
        root: &Root,
        blocking: Blocking,
    ) -> Result<Option<(RuleFiles, RuleVersions)>, String> {
        let mut texts = [None, None];
        let mut versions = RuleVersions::default();
        for (at, name) in NAMES.into_iter().enumerate() {
            let failed = |error: &dyn std::fmt::Display| {
                let name = String::from_utf8_lossy(name);
                format!("{name} cannot be read: {error}; its rules stay as they were")
            };
            let (file, version) = match root.open(name, blocking) {
                Ok(Opened::File(file, version)) => (file, version),
                Ok(Opened::Directory(..)) | Err(OpenError::NotFound | OpenError::Refused) => {
                    continue;
                }
                Err(OpenError::Cold | OpenError::Leased) => return Ok(None),
                Err(error) => return Err(failed(&error)),
            };
            let size = usize::try_from(version.size).unwrap_or(usize::MAX);
            // One byte more than allowed shows that the file is too long.
            let mut text = vec![0; size.min(MAX_BYTES + 1)];
            match self.disk.read(&file, &version, &mut text, blocking) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                // It is being written.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(failed(&error)),
            }
            texts[at] = Some(text);
            versions.0[at] = Some(version);
        }
        let [redirects, headers] = texts;
        Ok(Some((RuleFiles { redirects, headers }, versions)))
    }

    /// Logs what was missing when a site was made.
    pub(in crate::site) fn report_gone(&mut self, lines: Vec<String>) {
        lines.into_iter().for_each(|line| self.faults.root(line));
    }

    /// Reads the rule files of a site that starts, and returns its rules and problems.
    pub(in crate::site) fn first_rules(&mut self, site: &mut Site) {
        if site.config.rule_files {
            site.rule_tries = COLD_TRIES;
            self.check_rules(site);
        }
    }

    /// Keeps the root that a site had until now, if its files are to be found for a while.
    fn keep_previous(&mut self, site: &mut Site, root: Rc<Root>, now: Tick) {
        if site.config.previous_root_s > 0 {
            let until = now + u64::from(site.config.previous_root_s) * 1000;
            site.previous = Some(Previous { root, until });
            self.previous_until = self.previous_until.into_iter().chain([until]).min();
        }
    }

    /// Looks at the root now, before a path is looked up there that is not known: a page of the new
    /// root, from another process, may refer to it.
    pub(in crate::site) fn refresh_for_unknown(&mut self, site: &mut Site, clock: &Clock) {
        if site.config.previous_root_s > 0 && site.checked != clock.tick {
            self.check_site(site, clock);
        }
    }

    /// Closes the files that were not used for a while, forgets earlier roots whose time is over,
    /// and drops, a piece at a time, the entries of roots that are not served any more.
    pub(in crate::site) fn rest(&mut self, sites: &mut [Site], now: Tick) {
        self.close_resting(now);
        if self.previous_until.is_some_and(|until| until <= now) {
            for site in &mut *sites {
                site.previous = site.previous.take().filter(|previous| previous.until > now);
            }
            let times = sites.iter().filter_map(|site| Some(site.previous.as_ref()?.until));
            self.previous_until = times.min();
            self.unswept = Some(0);
        }
        if let Some(from) = self.unswept {
            self.unswept = self.cache.sweep(from, SWEPT_AT_ONCE, |part, key| {
                let mut sites = sites.iter();
                let site = sites.find(|site| site.part == part);
                site.is_none_or(|site| key.starts_with(&[PREVIOUS]) && site.previous.is_none())
            });
        }
    }

    /// Ends the jobs of the site's root, and gives the site a new part, so that the entries of that
    /// root are never found again.
    fn renew_part(&mut self, site: &mut Site) {
        self.jobs.drop_part(site.part);
        self.kept.drop_part(site.part);
        self.encodings.drop_part(site.part);
        site.part = self.new_part();
        self.unswept = Some(0);
    }

    fn root_is_back(&mut self, site: &mut Site) {
        if std::mem::take(&mut site.is_gone) {
            self.faults.root(format!("{}: is back", site.root.path().display()));
        }
    }
}

/// The line of the log about a root that is missing, for this reason.
pub(in crate::site) fn gone(root: &Root, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::PermissionDenied => format!(" ({})", forbidden("enter it")),
        _ => String::new(),
    };
    format!("{}: {error}{why}; answering 503 until it is back", root.path().display())
}

/// Entries looked at in a turn, to drop those of earlier roots.
const SWEPT_AT_ONCE: usize = 4096;

const NAMES: [&[u8]; 2] = [REDIRECTS_FILE, HEADERS_FILE];

impl RuleVersions {
    /// Those that are in the root now.
    fn of(root: &Root) -> RuleVersions {
        RuleVersions(NAMES.map(|name| root.version(name).ok()))
    }
}
