//! A report as text, to be read from top to bottom: site, steps, file, form, limits, head.

use crate::http::target;
use crate::site::explain::{Rule, Sidecar, Step, Variant, security_headers};

use super::{Report, coding, source};

/// The report as lines.
pub(super) fn write(report: &Report) -> String {
    let mut out = Lines(String::new());
    let Report { method, asked, client, site, explanation, .. } = report;
    out.line(&format!("{method} {} for {}, from {client}", asked.target, asked.host));
    out.line("");
    match site {
        None => out.line("Site: none is asked"),
        Some(site) => {
            let hosts = match &site.hosts[..] {
                [] => "all hosts".to_owned(),
                hosts => hosts.join(", "),
            };
            out.line(&format!("Site {} ({hosts}), defined by: {}", site.number, site.place));
            out.line(&format!("Root: {}", site.root));
        }
    }
    if let Some(path) = &explanation.path {
        out.line(&format!("Path: {}", encoded(path)));
    }
    out.line("\nSteps (> decides):");
    for step in &explanation.steps {
        out.step(step);
    }
    if !explanation.headers.is_empty() {
        out.line("\nBlocks of fields that apply:");
        for Rule { place, text, .. } in &explanation.headers {
            out.line(&format!("  {place}: {text}"));
        }
    }
    out.source(report);
    let is_on = site.as_ref().is_some_and(|site| site.has_security_headers);
    let state = if is_on { "on" } else { "off; it would send" };
    out.line(&format!("\nPreset security_headers ({state}):"));
    for (name, value) in security_headers() {
        out.line(&format!("  {name}: {value}"));
    }
    out.line("\nLimits:");
    for limit in &report.limits {
        out.line(&format!("  {} = {} ({})", limit.name, limit.value, limit.note));
    }
    if !report.notes.is_empty() {
        out.line("\nNotes:");
        for note in &report.notes {
            out.line(&format!("  {note}"));
        }
    }
    out.line("\nHead of the response:");
    for line in &report.head {
        out.line(line);
    }
    out.0
}

struct Lines(String);

impl Lines {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn step(&mut self, step: &Step) {
        let mark = if step.decides { '>' } else { ' ' };
        self.line(&format!("{mark} {}: {}", step.stage.name(), step.result));
        let others = step.rules.iter().filter(|rule| !rule.matches).count();
        let shows_all = others <= SHOWN_MAX;
        for rule in step.rules.iter().filter(|rule| rule.matches || shows_all) {
            let what = match (rule.matches, rule.decides) {
                (_, true) => "matches and decides",
                (true, false) => "matches",
                (false, false) => "does not match",
            };
            self.line(&format!("    {}: {} ({what})", rule.place, rule.text));
        }
        if !shows_all {
            self.line(&format!("    ({others} rules do not match)"));
        }
    }

    /// The file, and its forms.
    fn source(&mut self, report: &Report) {
        let explanation = &report.explanation;
        let (Some(name), Some(size)) = (source(explanation), explanation.size) else { return };
        let how = if explanation.is_in_memory { "from memory" } else { "from the open file" };
        let kind = if name.ends_with('/') { "Listing of" } else { "File:" };
        self.line(&format!("\n{kind} {name} ({size} bytes are sent {how})"));
        if !explanation.variants.is_empty() {
            self.line("Forms (* is sent):");
        }
        for variant in &explanation.variants {
            let mark = if variant.is_sent { '*' } else { ' ' };
            let (coding, quality) = (coding(variant), quality(variant.quality));
            self.line(&format!("{mark} {coding}: {quality}{}", sidecar(variant, &name)));
        }
        if let Some((coding, bytes)) = explanation.later {
            let coding = coding.token();
            self.line(&format!(
                "  Later requests get {coding} ({bytes} bytes): it is compressed in the background \
                 after this one."
            ));
        }
    }
}

/// Rules that do not match are listed if there are not more.
const SHOWN_MAX: usize = 10;

fn quality(thousandths: u16) -> String {
    match thousandths {
        0 => "not acceptable".to_owned(),
        1 => "acceptable".to_owned(),
        1000 => "quality 1".to_owned(),
        _ => format!("quality 0.{thousandths:03}").trim_end_matches('0').to_owned(),
    }
}

fn sidecar(variant: &Variant, name: &str) -> String {
    let (Some(coding), Some(sidecar)) = (variant.coding, variant.sidecar) else {
        return String::new();
    };
    let file = format!("{name}.{}", coding.extension());
    match sidecar {
        Sidecar::NotLookedFor => "; sidecar files are not looked for".to_owned(),
        Sidecar::Missing => format!("; {file} does not exist"),
        Sidecar::Stale => format!("; {file} is older than the file, so it is not sent"),
        Sidecar::Empty => format!("; {file} is empty, so it is not sent"),
        Sidecar::Usable(bytes) => format!("; {file} has {bytes} bytes"),
    }
}

/// A path as it stands in a URL: ASCII, without control characters.
pub(super) fn encoded(path: &[u8]) -> String {
    String::from_utf8_lossy(&target::encode_path(path).collect::<Vec<u8>>()).into_owned()
}
