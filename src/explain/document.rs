//! A report as JSON. The names are a contract: programs read them.

use crate::site::explain::{Rule, Sidecar, Step, Variant, security_headers};

use super::json::Json;
use super::{AppliedLimit, Report, Site, coding, sidecar, source};

/// The report as one object.
pub(super) fn of(report: &Report) -> Json {
    let Report { method, asked, client, site, explanation, limits, status, head, notes } = report;
    let request = Json::Object(vec![
        ("method", text(method)),
        ("target", text(&asked.target)),
        ("host", text(&asked.host)),
        ("client", text(&client.to_string())),
    ]);
    let decisive = explanation.steps.iter().rfind(|step| step.decides);
    let later = explanation.later.map(|(coding, bytes)| {
        Json::Object(vec![("coding", text(coding.token())), ("bytes", Json::Number(bytes))])
    });
    let path = explanation.path.as_deref().map(super::text::encoded);
    Json::Object(vec![
        ("request", request),
        ("site", site.as_ref().map_or(Json::Null, of_site)),
        ("path", Json::text(path)),
        ("steps", Json::list(&explanation.steps, of_step)),
        ("decided_by", Json::text(decisive.map(|step| step.stage.name()))),
        ("headers", Json::list(&explanation.headers, of_rule)),
        ("file", Json::text(source(explanation))),
        ("bytes", Json::number(explanation.size)),
        ("variants", Json::list(&explanation.variants, of_variant)),
        ("later", later.unwrap_or(Json::Null)),
        ("security_headers", preset(site.as_ref())),
        ("limits", Json::list(limits, of_limit)),
        ("status", Json::Number(u64::from(*status))),
        ("head", Json::list(head, |line| text(line))),
        ("notes", Json::list(notes, |note| text(note))),
    ])
}

fn text(text: &str) -> Json {
    Json::Text(text.to_owned())
}

fn of_site(site: &Site) -> Json {
    Json::Object(vec![
        ("number", Json::Number(site.number as u64)), // widening
        ("hosts", Json::list(&site.hosts, |host| text(host))),
        ("root", text(&site.root)),
        ("defined", text(&site.place)),
    ])
}

fn of_step(step: &Step) -> Json {
    Json::Object(vec![
        ("step", text(step.stage.name())),
        ("result", text(&step.result)),
        ("decides", Json::Bool(step.decides)),
        ("rules", Json::list(&step.rules, of_rule)),
    ])
}

fn of_rule(rule: &Rule) -> Json {
    Json::Object(vec![
        ("place", text(&rule.place)),
        ("rule", text(&rule.text)),
        ("matches", Json::Bool(rule.matches)),
        ("decides", Json::Bool(rule.decides)),
    ])
}

fn of_variant(variant: &Variant) -> Json {
    let bytes = match variant.sidecar {
        Some(Sidecar::Usable(bytes)) => Some(bytes),
        _ => None,
    };
    Json::Object(vec![
        ("coding", text(coding(variant))),
        ("quality_thousandths", Json::Number(u64::from(variant.quality))),
        ("sidecar", Json::text(sidecar(variant))),
        ("sidecar_bytes", Json::number(bytes)),
        ("sent", Json::Bool(variant.is_sent)),
    ])
}

fn of_limit(limit: &AppliedLimit) -> Json {
    Json::Object(vec![
        ("name", text(limit.name)),
        ("value", Json::Number(limit.value)),
        ("note", text(&limit.note)),
    ])
}

fn preset(site: Option<&Site>) -> Json {
    let field = |(name, value): &(&str, &str)| {
        Json::Object(vec![("name", text(name)), ("value", text(value))])
    };
    Json::Object(vec![
        ("on", Json::Bool(site.is_some_and(|site| site.has_security_headers))),
        ("preset", Json::list(security_headers(), field)),
    ])
}
