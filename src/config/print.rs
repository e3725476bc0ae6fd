//! The effective settings as a configuration file, each with a comment that says where it comes
//! from.
//!
//! What a site inherits is written into its table. Limits that nobody has set are comments: a limit
//! that is set is not lowered to fit into the memory of the machine.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::layer::{Layer, LogLayer, Merged, Origin, Problem, Replaced, SiteLayer, TlsLayer};
use super::value::{self, Choice};
use super::{AccessFormat, LogTarget};
use super::{AccessRule, AuthRule, CacheControl, Config, Cors, HeaderRule, Limits, ListenAddress};
use super::{CertificateFiles, Opening, RedirectRule, SiteConfig, TlsConfig, Workers};

/// Prints `layer`, whose settings are those of the run. Relative paths begin at `folder`, which is
/// absolute.
///
/// # Errors
/// Settings that contradict each other, or a path that is not UTF-8, which TOML cannot have.
pub fn print(layer: &Layer, folder: &Path) -> Result<String, Vec<Problem>> {
    let config = layer.clone().into_config()?;
    let sites = layer.effective_sites()?;
    let mut page = Page { text: String::new(), folder, problems: Vec::new() };
    page.general(layer, &config);
    let is_top_level = layer.sites.is_empty();
    if is_top_level {
        for (site, values) in sites.iter().zip(&config.sites) {
            page.site(site, values);
        }
    }
    page.admin(layer);
    page.logs(layer, &config);
    page.limits(layer);
    page.tls(&layer.tls, &config.tls);
    if is_top_level {
        for (site, values) in sites.iter().zip(&config.sites) {
            page.tables("", site, values);
        }
    } else {
        for (site, values) in sites.iter().zip(&config.sites) {
            let origin = site.table.as_ref().map_or(&Origin::Default, |table| &table.origin);
            page.header("[[site]]", &origin.to_string());
            page.hosts(site);
            page.site(site, values);
            page.tables("site.", site, values);
        }
    }
    if page.problems.is_empty() { Ok(page.text) } else { Err(page.problems) }
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

fn array<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| quoted(value.as_ref())).collect();
    format!("[{}]", values.join(", "))
}

/// The word for a value, quoted.
fn word<T: PartialEq, const N: usize>(words: &Choice<T, N>, value: &T) -> String {
    quoted(bare_word(words, value))
}

fn bare_word<T: PartialEq, const N: usize>(words: &Choice<T, N>, value: &T) -> &'static str {
    words.iter().find(|(_, meaning)| meaning == value).map_or("", |(word, _)| word)
}

/// The origin of a value, for its comment.
fn origin<T>(setting: &Replaced<T>) -> String {
    setting.as_ref().map_or(&Origin::Default, |sourced| &sourced.origin).to_string()
}

/// An entry of `listen`.
fn entry(opening: Opening, address: &str) -> String {
    let scheme = if opening.tls { "https://" } else { "" };
    let address = quoted(&format!("{scheme}{address}"));
    if opening.proxy_protocol {
        format!("{{ address = {address}, proxy_protocol = true }}")
    } else {
        address
    }
}

struct Page<'f> {
    text: String,
    folder: &'f Path,
    problems: Vec<Problem>,
}

impl Page<'_> {
    fn line(&mut self, key: &str, value: &str, origin: &str) {
        self.commented(&format!("{key} = {value}"), origin);
    }

    fn header(&mut self, header: &str, origin: &str) {
        self.commented(&format!("\n{header}"), origin);
    }

    /// A line with its origin as a comment, without the control characters that the name of the
    /// file may have: they would end the comment.
    fn commented(&mut self, line: &str, origin: &str) {
        let origin: String = origin.chars().filter(|letter| !letter.is_control()).collect();
        // Writing to memory does not fail.
        _ = writeln!(self.text, "{line}  # {origin}");
    }

    /// A path as text, absolute.
    fn path(&mut self, path: &Path, origin: &Origin) -> String {
        let Some(text) = self.folder.join(path).to_str().map(str::to_owned) else {
            let what = format!(
                "the path '{}' is not UTF-8, which a configuration file cannot have; rename it",
                path.display()
            );
            self.problems.push(Problem { origin: origin.clone(), what });
            return String::new();
        };
        text
    }

    fn general(&mut self, layer: &Layer, config: &Config) {
        let set_by = |port: &Origin| format!("port: {port}; address: {}", origin(&layer.listen));
        let listen_origin = match &layer.port {
            Some(port) if layer.listen.as_ref().is_none_or(|set| set.origin < port.origin) => {
                set_by(&port.origin)
            }
            _ => origin(&layer.listen),
        };
        let addresses: Vec<String> = config
            .listen
            .iter()
            .map(|listen| entry(listen.opening, &self.address(&listen.address, &Origin::Default)))
            .collect();
        self.line("listen", &format!("[{}]", addresses.join(", ")), &listen_origin);
        let proxies = array(config.trusted_proxies.0.iter().map(ToString::to_string));
        self.line("trusted_proxies", &proxies, &origin(&layer.trusted_proxies));
        if let Some(user) = &layer.user {
            self.line("user", &quoted(&user.value.to_string()), &user.origin.to_string());
        }
        self.line("sandbox", &word(&value::SANDBOX, &config.sandbox), &origin(&layer.sandbox));
        let when_full = word(&value::WHEN_FULL, &config.when_full);
        self.line("when_full", &when_full, &origin(&layer.when_full));
        self.line("h2c", &config.h2c.to_string(), &origin(&layer.h2c));
        let workers = match config.workers {
            None => "1".to_owned(),
            Some(Workers::Count(count)) => count.to_string(),
            Some(Workers::Auto) => quoted("auto"),
        };
        self.line("workers", &workers, &origin(&layer.workers));
        let default = SiteConfig::default().server_header;
        let server_header = layer.server_header.as_ref().map_or(default, |set| set.value);
        self.line("server_header", &server_header.to_string(), &origin(&layer.server_header));
    }

    /// The table `[tls]`.
    fn tls(&mut self, layer: &TlsLayer, config: &TlsConfig) {
        self.text.push_str("\n[tls]\n");
        let files = match &layer.cert {
            Some(_) => origin(&layer.cert),
            None => origin(&layer.certificates),
        };
        let mut pairs = Vec::new();
        for CertificateFiles { cert, key, .. } in &config.certificates {
            let cert = quoted(&self.path(cert, &Origin::Default));
            let key = quoted(&self.path(key, &Origin::Default));
            pairs.push(format!("{{ cert = {cert}, key = {key} }}"));
        }
        self.line("certificates", &format!("[{}]", pairs.join(", ")), &files);
        self.line("self_signed", &config.self_signed.to_string(), &origin(&layer.self_signed));
        let version = word(&value::TLS_VERSIONS, &config.min_version);
        self.line("min_version", &version, &origin(&layer.min_version));
        self.line("http2", &config.http2.to_string(), &origin(&layer.http2));
        let redirect = config.redirect_http.to_string();
        self.line("redirect_http", &redirect, &origin(&layer.redirect_http));
        self.line("hsts", &quoted(&config.hsts), &origin(&layer.hsts));
        if let Some(folder) = &config.acme_webroot {
            let folder = quoted(&self.path(folder, &Origin::Default));
            self.line("acme_webroot", &folder, &origin(&layer.acme_webroot));
        }
    }

    /// An address; the path of a socket is absolute.
    fn address(&mut self, address: &ListenAddress, origin: &Origin) -> String {
        match address {
            ListenAddress::Unix(path) => format!("unix:{}", self.path(path, origin)),
            _ => address.to_string(),
        }
    }

    fn admin(&mut self, layer: &Layer) {
        let Some(listen) = &layer.admin_listen else { return };
        let address = quoted(&self.address(&listen.value, &listen.origin));
        self.text.push_str("\n[admin]\n");
        self.line("listen", &address, &listen.origin.to_string());
        if let Some(hosts) = &layer.admin_hosts {
            self.line("hosts", &array(&hosts.value), &hosts.origin.to_string());
        }
    }

    fn logs(&mut self, layer: &Layer, config: &Config) {
        let LogLayer { access_log, access_log_format, log_level, log_format } = &layer.log;
        self.text.push_str("\n[log]\n");
        self.line("level", &word(&value::LOG_LEVEL, &config.log.level), &origin(log_level));
        self.line("format", &word(&value::LOG_FORMAT, &config.log.format), &origin(log_format));
        self.text.push_str("\n[access_log]\n");
        let path = match access_log.as_ref().and_then(|set| set.value.as_ref()) {
            None => "off".to_owned(),
            Some(LogTarget::Stdout) => "stdout".to_owned(),
            Some(LogTarget::Stderr) => "stderr".to_owned(),
            Some(LogTarget::Path(path)) => {
                let at = access_log.as_ref().map_or(&Origin::Default, |set| &set.origin);
                self.path(path, at)
            }
        };
        self.line("path", &quoted(&path), &origin(access_log));
        let format = access_log_format.as_ref().map_or(AccessFormat::default(), |set| set.value);
        self.line("format", &word(&value::ACCESS_FORMAT, &format), &origin(access_log_format));
    }

    fn limits(&mut self, layer: &Layer) {
        self.text.push_str("\n[limits]\n");
        for limit in Limits::TABLE {
            match layer.limits.iter().rev().find(|set| set.value.0 == limit.name) {
                Some(set) => {
                    self.line(limit.name, &set.value.1.to_string(), &set.origin.to_string());
                }
                None => {
                    let key = format!("# {}", limit.name);
                    self.line(&key, &limit.default.to_string(), &Origin::Default.to_string());
                }
            }
        }
    }

    fn hosts(&mut self, site: &SiteLayer) {
        if let Some(hosts) = &site.hosts {
            self.line("hosts", &array(&hosts.value), &hosts.origin.to_string());
        }
    }

    /// The settings of a site that have one value.
    fn site(&mut self, site: &SiteLayer, values: &SiteConfig) {
        let at = site.root.as_ref().map_or(&Origin::Default, |root| &root.origin);
        let root = quoted(&self.path(&values.root, at));
        let at = site.link_targets.as_ref().map_or(&Origin::Default, |set| &set.origin);
        let targets: Vec<String> =
            values.link_targets.iter().map(|target: &PathBuf| self.path(target, at)).collect();
        let cache_control = match &values.cache_control {
            CacheControl::Auto => "auto",
            CacheControl::Off => "off",
            CacheControl::Value(value) => value,
        };
        let cors = match &values.cors {
            Cors::Off => quoted("off"),
            Cors::Any => quoted("*"),
            Cors::Origins(origins) => array(origins),
        };
        let archives = values.archives.iter().map(|format| bare_word(&value::ARCHIVES, format));
        let or_off = |value: &Option<String>| quoted(value.as_deref().unwrap_or("off"));
        for (key, value, origin) in [
            ("root", root, origin(&site.root)),
            ("index", array(&values.index), origin(&site.index)),
            ("listing", values.listing.to_string(), origin(&site.listing)),
            ("symlinks", word(&value::SYMLINKS, &values.symlinks), origin(&site.symlinks)),
            ("archives", array(archives), origin(&site.archives)),
            ("link_targets", array(targets), origin(&site.link_targets)),
            ("hidden", array(&values.hidden), origin(&site.hidden)),
            ("hidden_except", array(&values.hidden_except), origin(&site.hidden_except)),
            (
                "encoded_slash",
                word(&value::ENCODED_SLASH, &values.encoded_slash),
                origin(&site.encoded_slash),
            ),
            ("precompressed", values.precompressed.to_string(), origin(&site.precompressed)),
            ("compress", values.compress.to_string(), origin(&site.compress)),
            ("etag", word(&value::ETAG, &values.etag), origin(&site.etag)),
            ("cache_control", quoted(cache_control), origin(&site.cache_control)),
            ("charset", or_off(&values.charset), origin(&site.charset)),
            ("clean_urls", word(&value::CLEAN_URLS, &values.clean_urls), origin(&site.clean_urls)),
            ("spa", or_off(&values.spa), origin(&site.spa)),
            ("previous_root_s", values.previous_root_s.to_string(), origin(&site.previous_root_s)),
            ("rule_files", values.rule_files.to_string(), origin(&site.rule_files)),
            ("cors", cors, origin(&site.cors)),
            (
                "security_headers",
                values.security_headers.to_string(),
                origin(&site.security_headers),
            ),
        ] {
            self.line(key, &value, &origin);
        }
    }

    /// The settings of a site that are tables. `prefix` is the table of the site.
    fn tables(&mut self, prefix: &str, site: &SiteLayer, values: &SiteConfig) {
        self.entries(&format!("[{prefix}media_types]"), &site.media_types, |key| quoted(key));
        self.entries(&format!("[{prefix}error_pages]"), &site.error_pages, u16::to_string);
        values.redirects.iter().for_each(|rule| self.redirect(prefix, rule));
        values.headers.iter().for_each(|rule| self.fields(prefix, rule));
        values.access.iter().for_each(|rule| self.access(prefix, rule));
        values.auth.iter().for_each(|rule| self.auth(prefix, rule));
    }

    /// The last entry of each key.
    fn entries<K: PartialEq>(
        &mut self,
        header: &str,
        entries: &Merged<(K, String)>,
        key: impl Fn(&K) -> String,
    ) {
        for (index, entry) in entries.iter().enumerate() {
            if index == 0 {
                _ = writeln!(self.text, "\n{header}");
            }
            let (name, value) = &entry.value;
            if entries[index + 1..].iter().all(|later| later.value.0 != *name) {
                self.line(&key(name), &quoted(value), &entry.origin.to_string());
            }
        }
    }

    fn redirect(&mut self, prefix: &str, rule: &RedirectRule) {
        self.header(&format!("[[{prefix}redirects]]"), &rule.place);
        let (from, to) = (quoted(&rule.from), quoted(&rule.to));
        let RedirectRule { status, force, .. } = rule;
        _ = writeln!(self.text, "from = {from}\nto = {to}\nstatus = {status}\nforce = {force}");
    }

    fn fields(&mut self, prefix: &str, rule: &HeaderRule) {
        self.header(&format!("[[{prefix}headers]]"), &rule.place);
        let set =
            |(name, value): &(String, String)| format!("{} = {}", quoted(name), quoted(value));
        let values: Vec<String> = rule.values.iter().map(set).collect();
        let (pattern, values) = (quoted(&rule.pattern), values.join(", "));
        let remove = array(&rule.remove);
        _ = writeln!(self.text, "for = {pattern}\nvalues = {{ {values} }}\nremove = {remove}");
    }

    fn access(&mut self, prefix: &str, rule: &AccessRule) {
        self.header(&format!("[[{prefix}access]]"), &rule.place);
        _ = writeln!(self.text, "for = {}", quoted(&rule.pattern));
        for (key, networks) in [("allow", &rule.allow), ("deny", &rule.deny)] {
            if !networks.is_empty() {
                let networks = array(networks.iter().map(ToString::to_string));
                _ = writeln!(self.text, "{key} = {networks}");
            }
        }
    }

    fn auth(&mut self, prefix: &str, rule: &AuthRule) {
        self.header(&format!("[[{prefix}auth]]"), &rule.place);
        let users = quoted(&self.path(&rule.users, &Origin::Default));
        let (pattern, realm) = (quoted(&rule.pattern), quoted(&rule.realm));
        _ = writeln!(self.text, "for = {pattern}\nusers = {users}\nrealm = {realm}");
    }
}
