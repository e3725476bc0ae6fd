//! `tenkay check`: everything that a start reads is read, and all problems are reported at once.
//!
//! It binds no socket and needs no root rights. If root runs it, it switches to the user of the
//! settings first, as a start does, so that it reads the files with the same rights.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::cli::Draft;
use crate::config::layer::Problem;
use crate::config::{Config, Limits, LogLevel, SiteConfig};
use crate::files::Door;
use crate::inherited::Inherited;
use crate::journal::LogFile;
use crate::net::{Checked, Notice, tls};
use crate::sandbox;
use crate::site::{self, Sites, advice, advice_about_moves, uncovered};

/// What `tenkay check` found: a line each, without repetitions.
#[derive(Debug, Default)]
pub struct Findings {
    /// What prevents a start.
    pub problems: Vec<String>,
    /// What a start ignores.
    pub warnings: Vec<String>,
}

impl Findings {
    fn advise(&mut self, found: Vec<site::Problem>) {
        for site::Problem { place, what } in found {
            let place = if place.is_empty() { place } else { place + ": " };
            self.warnings.push(format!("{place}warning: {what}"));
        }
    }
}

/// Reads what the settings refer to. If the settings themselves have problems, the folders and
/// files that they name are still checked.
pub fn check(draft: Draft) -> Findings {
    let Draft { layer, problems, warnings } = draft;
    let is_whole = problems.is_empty();
    let mut findings = Findings::default();
    let warnings = warnings.iter().map(|warning| format!("warning: {warning}"));
    findings.warnings.extend(warnings);
    findings.problems.extend(problems.iter().map(ToString::to_string));
    // A start opens it with the rights that it has before it switches the user.
    if let Some(set) = &layer.log.access_log
        && let Some(target) = &set.value
        && let Err(error) = LogFile::check(target)
    {
        let what = target.cannot_open(&error);
        findings.problems.push(Problem { origin: set.origin.clone(), what }.to_string());
    }
    if is_whole {
        match layer.clone().into_config() {
            // Before the switch to another user: a start reads the keys as root, too.
            Ok(config) => check_tls(&config, &mut findings),
            Err(found) => findings.problems.extend(found.iter().map(ToString::to_string)),
        }
    }
    if let Some(user) = &layer.user {
        let found = match sandbox::is_root() {
            true => sandbox::become_user(&user.value),
            false => sandbox::look_up(&user.value),
        };
        let problem = |what| Problem { origin: user.origin.clone(), what }.to_string();
        findings.problems.extend(found.err().map(problem));
    }
    for site in layer.effective_sites().unwrap_or_default() {
        // Where the root is missing because it is malformed, there is nothing to read.
        if is_whole || site.root.is_some() {
            check_site(site.into_site(), &mut findings);
        }
    }
    findings.warnings = in_order(distinct(findings.warnings));
    findings.problems = in_order(distinct(findings.problems));
    findings
}

fn check_tls(config: &Config, findings: &mut Findings) {
    let tls = &config.tls;
    let Checked { problems, notices, names } =
        tls::check(tls, &Inherited::default(), unix_seconds());
    if problems.is_empty() && config.has_tls() && !tls.self_signed {
        findings.advise(uncovered(&config.sites, &names));
    }
    findings.problems.extend(problems);
    for Notice { level, place, text: what } in notices {
        let problem = site::Problem { place, what };
        match level {
            // A start serves it, but clients refuse it.
            LogLevel::Error => findings.problems.push(problem.to_string()),
            _ => findings.advise(vec![problem]),
        }
    }
    findings.problems.extend(tls.acme_webroot.as_deref().and_then(unreadable));
}

/// The problem of a folder for ACME challenges that cannot be read.
fn unreadable(folder: &Path) -> Option<String> {
    let error = std::fs::read_dir(folder).err()?;
    let shown = folder.display();
    Some(format!("cannot serve acme_webroot '{shown}': {error}; name a folder that can be read"))
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn check_site(config: SiteConfig, findings: &mut Findings) {
    // Its rules in the configuration do not matter for the rule files, but would hide them.
    let bare = SiteConfig {
        root: config.root.clone(),
        rule_files: config.rule_files,
        ..SiteConfig::default()
    };
    findings.advise(advice(&config, Door::best()));
    findings.advise(advice_about_moves(&config));
    if let Err(found) = open(config) {
        findings.problems.extend(found);
    }
    // A bare root that fails has been reported.
    let lines = open(bare).unwrap_or_default();
    findings.warnings.extend(lines.iter().map(|line| line.replacen(":1: ", ":1: warning: ", 1)));
}

/// Opens a site as a start does, and returns the lines that a start would log.
///
/// # Errors
/// All problems.
fn open(config: SiteConfig) -> Result<Vec<String>, Vec<String>> {
    let opened = Sites::new(vec![config], &Limits::default(), Door::best(), 0);
    let mut sites = opened
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<String>>())?;
    Ok(std::iter::from_fn(|| sites.take_fault().map(|fault| fault.to_string())).collect())
}

/// The lines by their places: first those without one, then those of each file, in the order in
/// which the files occur.
fn in_order(lines: Vec<String>) -> Vec<String> {
    let mut files: Vec<String> = Vec::new();
    let mut keyed: Vec<_> = lines
        .into_iter()
        .map(|line| {
            let Some((file, number, column)) = place(&line) else { return (0, 0, 0, line) };
            let index = files.iter().position(|known| *known == file);
            let index = index.unwrap_or_else(|| {
                files.push(file);
                files.len() - 1
            });
            (index + 1, number, column, line)
        })
        .collect();
    keyed.sort_by_key(|&(index, number, column, _)| (index, number, column));
    keyed.into_iter().map(|(.., line)| line).collect()
}

/// File, line and column of `FILE:LINE:COLUMN: WHAT`.
fn place(line: &str) -> Option<(String, u64, u64)> {
    let (place, _) = line.split_once(": ")?;
    let mut parts = place.rsplitn(3, ':');
    let (column, number) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((parts.next()?.to_owned(), number, column))
}

/// The lines in their order, without repetitions.
fn distinct(lines: Vec<String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in lines {
        if !found.contains(&line) {
            found.push(line);
        }
    }
    found
}
