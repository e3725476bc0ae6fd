//! What the file says about a site, at the top level or in `[[site]]`, with its rules.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::super::layer::{Replaced, SiteLayer, Sourced};
use super::super::value::{
    self, CLEAN_URLS, ENCODED_SLASH, ETAG, SYMLINKS, field_name, field_value, guard_pattern,
    network, pattern,
};
use super::super::{AccessRule, AuthRule, Cors, HeaderRule, RedirectRule, parse_media_type};
use super::aliases::alias;
use super::document::{Document, Entry, Keys, entries};

/// Reads the keys of a site.
pub(super) fn read(document: &mut Document, keys: &mut Keys) -> SiteLayer {
    let folder = document.folder();
    SiteLayer {
        table: None,
        hosts: None,
        root: path(document, keys.take("root")),
        index: document.list(keys.take("index"), value::index_name),
        listing: document.switch(keys.take("listing")),
        symlinks: document.choice(keys.take("symlinks"), &SYMLINKS),
        link_targets: document.list(keys.take("link_targets"), |text| resolve(folder, text)),
        hidden: document.list(keys.take("hidden"), glob),
        hidden_except: document.list(keys.take("hidden_except"), glob),
        encoded_slash: document.choice(keys.take("encoded_slash"), &ENCODED_SLASH),
        precompressed: document.switch(keys.take("precompressed")),
        compress: document.switch(keys.take("compress")),
        etag: document.choice(keys.take("etag"), &ETAG),
        cache_control: document.text(keys.take("cache_control"), value::cache_control),
        charset: document.text(keys.take("charset"), value::charset),
        media_types: document.table(keys.take("media_types"), |extension, media_type| {
            parse_media_type(&format!("{extension}={media_type}"))
        }),
        clean_urls: document.choice(keys.take("clean_urls"), &CLEAN_URLS),
        spa: spa(document, keys.take("spa")),
        error_pages: document.table(keys.take("error_pages"), |status, path| {
            Ok((value::error_status(status)?, value::page(path)?))
        }),
        rule_files: document.switch(keys.take("rule_files")),
        cors: cors(document, keys.take("cors")),
        security_headers: document.switch(keys.take("security_headers")),
        archives: document.list(keys.take("archives"), value::archive),
        previous_root_s: seconds(document, keys.take("previous_root_s")),
        redirects: rules(document, keys.take("redirects"), "redirects", redirect),
        headers: rules(document, keys.take("headers"), "headers", header),
        access: rules(document, keys.take("access"), "access", access),
        auth: rules(document, keys.take("auth"), "auth", auth),
    }
}

/// Reads the names of a site, each with its offset.
pub(super) fn hosts(document: &mut Document, keys: &mut Keys) -> (Replaced<Vec<String>>, Names) {
    let Some(entry) = keys.take("hosts") else { return (None, Names::new()) };
    let Some(names) = document.places(Some(entry), value::host) else {
        return (None, Names::new());
    };
    if let DeValue::Array(array) = entry.value.get_ref()
        && array.is_empty()
    {
        let what = "hosts is empty; write the names of the site, or leave hosts out to serve all \
                    other names";
        document.complain(entry.at(), what);
    }
    let list = names.iter().map(|(_, name)| name.clone()).collect();
    (Some(document.sourced(entry.at(), list)), names)
}

/// Names of sites with their offsets.
pub(super) type Names = Vec<(usize, String)>;

/// A path; a relative one begins at the folder of the file.
fn path(document: &mut Document, entry: Option<Entry>) -> Replaced<PathBuf> {
    let folder = document.folder();
    document.text(entry, |text| resolve(folder, text))
}

pub(super) fn resolve(folder: &Path, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("the path is empty; write one, such as /srv/site".to_owned());
    }
    if text.contains('\0') {
        return Err(format!("'{text}' has a NUL, which no path has; leave it out"));
    }
    Ok(folder.join(text))
}

fn spa(document: &mut Document, entry: Option<Entry>) -> Replaced<Option<String>> {
    if let Some(entry) = entry
        && matches!(entry.value.get_ref(), DeValue::Boolean(_))
    {
        let advice = "write spa = \"/index.html\" or spa = \"off\"";
        document.wrong_type(entry, "a string", advice);
        return None;
    }
    document.text(entry, value::spa)
}

/// A time in seconds.
fn seconds(document: &mut Document, entry: Option<Entry>) -> Replaced<u32> {
    let entry = entry?;
    let number = document.number(entry)?;
    match value::previous_root_s(&number.to_string()) {
        Ok(seconds) => Some(document.sourced(entry.at(), seconds)),
        Err(why) => {
            document.complain(entry.at(), &format!("{}: {why}", entry.key));
            None
        }
    }
}

/// A pattern for names; unlike that of a flag, it is not empty.
fn glob(text: &str) -> Result<String, String> {
    match value::glob(text)? {
        empty if empty.is_empty() => {
            Err("a glob must not be empty; write [] for an empty list".to_owned())
        }
        glob => Ok(glob),
    }
}

fn cors(document: &mut Document, entry: Option<Entry>) -> Replaced<Cors> {
    let entry = entry?;
    match entry.value.get_ref() {
        DeValue::Array(_) => {
            let origins = document.list(Some(entry), value::origin)?;
            let cors = match origins.value {
                none if none.is_empty() => Cors::Off,
                some => Cors::Origins(some),
            };
            Some(Sourced { value: cors, origin: origins.origin })
        }
        DeValue::String(text) if text.contains(',') => {
            document.wrong_type(entry, "\"*\" or an array of origins", "write one string for each");
            None
        }
        DeValue::String(_) => document.text(Some(entry), value::cors),
        _ => {
            document.wrong_type(entry, "\"*\" or an array of origins", "write cors = \"*\"");
            None
        }
    }
}

/// Reads an array of tables, each a rule.
fn rules<'d, T>(
    document: &mut Document,
    entry: Option<Entry<'d>>,
    name: &'static str,
    rule: fn(&mut Document, &mut Keys<'d>, String) -> Option<T>,
) -> Replaced<Vec<T>> {
    let at = entry?.at();
    let scope = match name {
        "redirects" => "[[redirects]]",
        "headers" => "[[headers]]",
        "access" => "[[access]]",
        _ => "[[auth]]",
    };
    let mut found = Vec::new();
    for (at, table) in document.tables(entry, name)? {
        let mut keys = Keys::new(at, table, scope);
        let place = document.origin(at).to_string();
        found.extend(rule(document, &mut keys, place));
        keys.finish(document, alias);
    }
    Some(document.sourced(at, found))
}

fn redirect(document: &mut Document, keys: &mut Keys, place: String) -> Option<RedirectRule> {
    let from = keys.require(document, "from", "\"/old\"");
    let from = document.text(from, pattern);
    let to = keys.require(document, "to", "\"/new\"");
    let to = document.text(to, value::destination);
    let status = keys.take("status").map(|entry| {
        let number = document.number(entry)?;
        let status = value::redirect_status(&number.to_string());
        status.map_err(|why| document.complain(entry.at(), &format!("status: {why}"))).ok()
    });
    let force = document.switch(keys.take("force"));
    Some(RedirectRule {
        from: from?.value,
        to: to?.value,
        status: status.unwrap_or(Some(value::DEFAULT_REDIRECT))?,
        force: force.is_some_and(|force| force.value),
        place,
    })
}

fn header(document: &mut Document, keys: &mut Keys, place: String) -> Option<HeaderRule> {
    let path = keys.require(document, "for", "\"/*\"");
    let path = document.text(path, pattern);
    let (values, remove) = (keys.take("values"), keys.take("remove"));
    if values.is_none() && remove.is_none() {
        keys.require(document, "values", "{ NAME = \"VALUE\" }");
    }
    if let Some(DeValue::Table(table)) = values.map(|entry| entry.value.get_ref()) {
        for entry in entries(table) {
            if let Err(why) = field_name(entry.key) {
                document.complain(entry.key_at, &format!("values: {why}"));
            }
        }
    }
    let values =
        document.table(values, |name, text| Ok((name.to_owned(), field_value(text)?.to_owned())));
    let remove = document.places(remove, field_name).unwrap_or_default();
    for (at, name) in &remove {
        if values.iter().any(|set| set.value.0.eq_ignore_ascii_case(name)) {
            let what = format!("'{name}' is both set and removed; leave one of the two out");
            document.complain(*at, &what);
        }
    }
    Some(HeaderRule {
        pattern: path?.value,
        values: values.into_iter().map(|sourced| sourced.value).collect(),
        remove: remove.into_iter().map(|(_, name)| name).collect(),
        place,
    })
}

fn access(document: &mut Document, keys: &mut Keys, place: String) -> Option<AccessRule> {
    let path = keys.require(document, "for", "\"/*\"");
    let path = document.text(path, guard_pattern);
    let (allow, deny) = (keys.take("allow"), keys.take("deny"));
    if allow.is_none() && deny.is_none() {
        keys.require(document, "allow", "[\"10.0.0.0/8\"]");
    }
    if let Some(entry) = allow
        && matches!(entry.value.get_ref(), DeValue::Array(array) if array.is_empty())
    {
        let what = "allow is empty, which would admit every client; write the networks that may \
                    read, or deny = [\"0.0.0.0/0\", \"::/0\"] to admit none";
        document.complain(entry.at(), what);
    }
    let allow = document.places(allow, network).unwrap_or_default();
    let allowed: HashSet<_> = allow.iter().map(|(_, net)| *net).collect();
    let deny = document.places(deny, network).unwrap_or_default();
    for (at, net) in deny.iter().filter(|(_, net)| allowed.contains(net)) {
        document.complain(*at, &format!("{net} is both allowed and denied; leave one out"));
    }
    Some(AccessRule {
        pattern: path?.value,
        allow: allow.into_iter().map(|(_, net)| net).collect(),
        deny: deny.into_iter().map(|(_, net)| net).collect(),
        place,
    })
}

fn auth(document: &mut Document, keys: &mut Keys, place: String) -> Option<AuthRule> {
    let path_pattern = keys.require(document, "for", "\"/*\"");
    let path_pattern = document.text(path_pattern, guard_pattern);
    let users = keys.require(document, "users", "\"/etc/tenkay/users\"");
    let users = path(document, users);
    let realm = document.text(keys.take("realm"), value::realm);
    Some(AuthRule {
        pattern: path_pattern?.value,
        users: users?.value,
        realm: realm.map_or_else(|| DEFAULT_REALM.to_owned(), |realm| realm.value),
        place,
    })
}

/// The name of a protected part that has none.
const DEFAULT_REALM: &str = "Restricted";

/// Reads a `[[site]]`. `elsewhere` says what to do with a key of another table.
pub(super) fn table<'d>(
    document: &mut Document,
    at: usize,
    table: &'d DeTable<'d>,
    elsewhere: impl Fn(&str) -> Option<String>,
) -> (SiteLayer, Names) {
    let mut keys = Keys::new(at, table, "[[site]]");
    let (hosts, names) = hosts(document, &mut keys);
    let site = read(document, &mut keys);
    keys.finish(document, elsewhere);
    (SiteLayer { table: Some(document.sourced(at, ())), hosts, ..site }, names)
}
