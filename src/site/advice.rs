//! Settings of a site that are valid, but probably not meant: a line each, for `tenkay check` and
//! the log of a start.

use crate::config::SiteConfig;
use crate::files::{Door, Kind, Root};
use crate::http::covered::Names;
use crate::rules::pattern::{End, Pattern, Segment};

use super::problems::{Problem, Problems};

/// What is probably not meant in the settings of a site. `door` is how its root is opened; if that
/// fails, which a start reports, what depends on its files is left out.
pub fn advice(config: &SiteConfig, door: Door) -> Vec<Problem> {
    let mut found = Problems::default();
    let root = Root::new(&config.root, config.symlinks, door);
    let root = root.and_then(|root| root.with_link_targets(&config.link_targets)).ok();
    let access = config.access.iter().map(|rule| (&*rule.pattern, &*rule.place));
    let auth = config.auth.iter().map(|rule| (&*rule.pattern, &*rule.place));
    if let Some(root) = &root {
        guarded_folders(access, root, &mut found);
        guarded_folders(auth, root, &mut found);
    }
    if let Some(root) = &root {
        missing_pages(config, root, &mut found);
    }
    for rule in config.redirects.iter().filter(|rule| rule.to.contains('$')) {
        found.add(&rule.place, literal_dollar(&rule.to));
    }
    for rule in &config.headers {
        let pattern = &*rule.pattern;
        if let Some(folder) = folder_alone(pattern) {
            let what = format!(
                "'{pattern}' matches this path alone; write {folder}/* for the folder and \
                 everything below, or {folder} for this path"
            );
            found.add(&rule.place, what);
        }
    }
    found.iter().cloned().collect()
}

/// Redirects that probably should win over the files of the site: to another host, for all paths,
/// but without `force`. For `tenkay check` alone: that files win can be meant, while a site moves.
pub fn advice_about_moves(config: &SiteConfig) -> Vec<Problem> {
    let mut found = Problems::default();
    for rule in &config.redirects {
        let is_for_all = Pattern::parse(&rule.from)
            .is_ok_and(|from| from.has_splat() && from.segments().is_empty());
        let is_redirect = (300..400).contains(&rule.status);
        if is_for_all && is_redirect && rule.to.contains("://") {
            if rule.force {
                break; // it decides for all paths
            }
            let (from, to) = (&rule.from, &rule.to);
            let what = format!(
                "'{from}' is redirected to '{to}' only where nothing exists in the root; set force \
                 = true to redirect every path"
            );
            found.add(&rule.place, what);
        }
    }
    found.iter().cloned().collect()
}

/// What to do about a destination that was written for another server.
fn literal_dollar(to: &str) -> String {
    let is_https = to.starts_with("https://$host") || to.starts_with("https://$server_name");
    let advice = match is_https {
        true => "to redirect to HTTPS, set redirect_http below [tls]",
        false => ":splat stands for what the * of the pattern matches, :NAME for a segment",
    };
    format!("'{to}' has a $, which is sent as it is; {advice}")
}

/// Adds the pages of the settings that do not exist: the server sends its own instead.
fn missing_pages(config: &SiteConfig, root: &Root, found: &mut Problems) {
    let shown = config.root.display();
    let is_missing = |page: &str| {
        let version = root.version(page.trim_start_matches('/').as_bytes());
        !version.is_ok_and(|version| version.kind == Kind::File)
    };
    if let Some(page) = config.spa.as_ref().filter(|page| is_missing(page)) {
        let what = format!("spa: there is no file '{page}' in '{shown}'; navigations get 404");
        found.add(&config.places.spa, what);
    }
    let mut places = config.places.error_pages.iter();
    for (status, page) in &config.error_pages {
        let place = places.next().map_or("", |place| place);
        if is_missing(page) {
            let what = format!(
                "error_pages: there is no file '{page}' in '{shown}'; {status} gets the page of \
                 the server"
            );
            found.add(place, what);
        }
    }
}

/// The names of sites that none of these certificates covers: over TLS, their requests get 421.
pub fn uncovered(sites: &[SiteConfig], certificates: &[Names]) -> Vec<Problem> {
    let mut found = Problems::default();
    for site in sites {
        let is_covered = |host: &str| certificates.iter().any(|names| names.cover(host.as_bytes()));
        let bare: Vec<String> =
            site.hosts.iter().filter(|host| !is_covered(host)).cloned().collect();
        if bare.is_empty() {
            continue;
        }
        let shown: Vec<String> =
            bare.iter().take(MOST_NAMED).map(|host| format!("'{host}'")).collect();
        let more = match bare.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let what = format!(
            "no certificate covers {}{more}: over TLS, requests get 421; add a certificate for it",
            shown.join(", ")
        );
        found.add(&site.places.hosts, what);
    }
    found.iter().cloned().collect()
}

/// Most hosts in a line.
const MOST_NAMED: usize = 3;

/// The path without the slash of a pattern such as `/folder/`, which people write when they mean
/// everything below as well.
fn folder_alone(pattern: &str) -> Option<&str> {
    let folder = pattern.strip_suffix('/').filter(|_| !pattern.contains('*'))?;
    let folder = folder.trim_end_matches('/');
    (!folder.is_empty()).then_some(folder)
}

/// Adds the guards of one kind that match a folder, but nothing below it. `rules`: their patterns
/// and places.
fn guarded_folders<'r>(
    rules: impl Iterator<Item = (&'r str, &'r str)>,
    root: &Root,
    found: &mut Problems,
) {
    let parsed = rules.filter_map(|(text, place)| Some((Pattern::parse(text).ok()?, place)));
    let parsed: Vec<(Pattern, &str)> = parsed.collect();
    for (pattern, place) in &parsed {
        let Some(path) = literal_path(pattern) else { continue };
        let is_covered = |(other, _): &(Pattern, &str)| other.has_splat() && other.matches(&path);
        let version = root.version(path.strip_prefix(b"/").unwrap_or(&path));
        if parsed.iter().any(is_covered) || !version.is_ok_and(|it| it.kind == Kind::Directory) {
            continue;
        }
        let what = match pattern.text().trim_end_matches('/') {
            "" => "'/' matches this path alone; write /* for the whole site".to_owned(),
            text => format!(
                "'{text}' matches this path alone, but it is a folder; write {text}/* for the \
                 folder and everything below"
            ),
        };
        found.add(place, what);
    }
}

/// The one path that a pattern without placeholders matches, without a slash at its end; `/` for
/// the root.
fn literal_path(pattern: &Pattern) -> Option<Vec<u8>> {
    let mut path = Vec::new();
    for segment in pattern.segments() {
        let Segment::Literal(bytes) = segment else { return None };
        path.push(b'/');
        path.extend_from_slice(bytes);
    }
    if *pattern.end() != End::Path {
        return None;
    }
    Some(if path.is_empty() { vec![b'/'] } else { path })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AccessRule, AuthRule, HeaderRule, Places, RedirectRule};

    fn lines(config: &SiteConfig) -> Vec<String> {
        advice(config, Door::best()).iter().map(ToString::to_string).collect()
    }

    fn access(pattern: &str) -> AccessRule {
        let (pattern, place) = (pattern.to_owned(), format!("t.toml:{pattern}"));
        AccessRule { pattern, allow: Vec::new(), deny: Vec::new(), place }
    }

    fn auth(pattern: &str) -> AuthRule {
        let (pattern, realm) = (pattern.to_owned(), String::new());
        AuthRule { pattern, users: "users".into(), realm, place: String::new() }
    }

    #[test]
    fn a_guard_that_matches_a_folder_alone_is_named_unless_another_one_covers_the_rest() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a b/c")).unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        let with = |patterns: &[&str]| SiteConfig {
            access: patterns.iter().map(|pattern| access(pattern)).collect(),
            ..SiteConfig::at(root.path())
        };
        for pattern in ["/a b", "/a%20b", "/a b/c", "/a%20b%2Fc"] {
            let expected = format!(
                "t.toml:{pattern}: '{pattern}' matches this path alone, but it is a folder; write \
                 {pattern}/* for the folder and everything below"
            );
            assert_eq!(lines(&with(&[pattern])), [expected]);
        }
        let whole = lines(&with(&["/"]));
        assert_eq!(whole, ["t.toml:/: '/' matches this path alone; write /* for the whole site"]);
        for patterns in [
            &["/file"][..],
            &["/missing"],
            &["/:name"],
            &["/a b/*"],
            &["/a b", "/a b/*"],
            &["/*"],
            &["/*.css"],
        ] {
            assert_eq!(lines(&with(patterns)), [""; 0], "{patterns:?}");
        }
        let config = SiteConfig { auth: vec![auth("/a b/c")], ..with(&["/*"]) };
        assert_eq!(lines(&config).len(), 1, "a guard of another kind covers nothing");
        let gone = SiteConfig { root: root.path().join("gone"), ..config };
        assert_eq!(lines(&gone), [""; 0]);
    }

    #[test]
    fn a_move_to_another_host_that_leaves_the_files_is_named() {
        let with = |rules: &[(&str, &str, u16, bool)]| SiteConfig {
            redirects: rules
                .iter()
                .map(|(from, to, status, force)| RedirectRule {
                    from: (*from).to_owned(),
                    to: (*to).to_owned(),
                    status: *status,
                    force: *force,
                    place: "t.toml:1:1".to_owned(),
                })
                .collect(),
            ..SiteConfig::default()
        };
        let found = advice_about_moves(&with(&[("/*", "https://a.org/:splat", 301, false)]));
        let expected = "t.toml:1:1: '/*' is redirected to 'https://a.org/:splat' only where \
                        nothing exists in the root; set force = true to redirect every path";
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
        for rules in [
            &[("/*", "https://a.org/:splat", 301, true)][..],
            &[("/*", "https://a.org/", 301, true), ("/*", "https://b.org/", 302, false)],
            &[("/old/*", "https://a.org/:splat", 301, false)],
            &[("/*", "/index.html", 200, false)],
            &[("/*", "/new/:splat", 302, false)],
        ] {
            assert_eq!(advice_about_moves(&with(rules)), [], "{rules:?}");
        }
    }

    #[test]
    fn a_dollar_in_a_destination_is_named() {
        let root = tempfile::tempdir().unwrap();
        let lines = |to: &str| {
            let mut site = SiteConfig::at(root.path());
            let (from, place) = ("/a/*".to_owned(), "t.toml:1:1".to_owned());
            let to = to.to_owned();
            site.redirects = vec![RedirectRule { from, to, status: 301, force: false, place }];
            lines(&site)
        };
        let expected = "t.toml:1:1: '/b/$1' has a $, which is sent as it is; :splat stands for \
                        what the * of the pattern matches, :NAME for a segment";
        assert_eq!(lines("/b/$1"), [expected]);
        let expected = "t.toml:1:1: 'https://$host$request_uri' has a $, which is sent as it is; \
                        to redirect to HTTPS, set redirect_http below [tls]";
        assert_eq!(lines("https://$host$request_uri"), [expected]);
        assert_eq!(lines("/b/:splat"), [""; 0]);
    }

    #[test]
    fn a_page_that_does_not_exist_is_named() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("folder")).unwrap();
        std::fs::write(root.path().join("folder/a.html"), "").unwrap();
        let with = |page: &str| SiteConfig {
            spa: Some(page.to_owned()),
            error_pages: vec![(404, "/folder/a.html".to_owned()), (503, page.to_owned())],
            places: Places {
                spa: "t.toml:1:1".to_owned(),
                error_pages: vec!["t.toml:2:1".to_owned(), "t.toml:2:9".to_owned()],
                ..Places::default()
            },
            ..SiteConfig::at(root.path())
        };
        let shown = root.path().display();
        for page in ["/nope.html", "/folder"] {
            let expected = [
                format!(
                    "t.toml:1:1: spa: there is no file '{page}' in '{shown}'; navigations get 404"
                ),
                format!(
                    "t.toml:2:9: error_pages: there is no file '{page}' in '{shown}'; 503 gets the \
                     page of the server"
                ),
            ];
            assert_eq!(lines(&with(page)), expected);
        }
        assert_eq!(lines(&with("/folder/a.html")), [""; 0]);
    }

    #[test]
    fn a_host_that_no_certificate_covers_is_named() {
        let names = |exact: &str, wildcard: &str| Names {
            exact: vec![exact.into()],
            wildcards: vec![wildcard.into()],
            addresses: Vec::new(),
        };
        let certificates =
            [names("example.org", ".example.org"), names("example.net", ".a.example.net")];
        let lines = |hosts: &[&str]| {
            let mut site = SiteConfig::at(".");
            site.hosts = hosts.iter().map(ToString::to_string).collect();
            site.places.hosts = "t.toml:1:1".to_owned();
            let found = uncovered(&[site], &certificates);
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let covered = ["example.org", "*.example.org", "b.example.org", "example.net"];
        assert_eq!(lines(&covered), [""; 0]);
        assert_eq!(lines(&[]), [""; 0]);
        let expected = "t.toml:1:1: no certificate covers 'b.example.net': over TLS, requests get \
                        421; add a certificate for it";
        assert_eq!(lines(&["b.example.net", "example.org"]), [expected]);
        let many = lines(&["*.example.net", "1.test", "2.test", "3.test", "4.test"]);
        assert!(many[0].contains("'*.example.net', '1.test', '2.test' and 2 more: "), "{many:?}");
    }

    #[test]
    fn fields_for_a_folder_alone_are_named() {
        let root = tempfile::tempdir().unwrap();
        let with = |pattern: &str| SiteConfig {
            headers: vec![HeaderRule {
                pattern: pattern.to_owned(),
                values: Vec::new(),
                remove: Vec::new(),
                place: "t.toml:1:1".to_owned(),
            }],
            ..SiteConfig::at(root.path())
        };
        let expected = "t.toml:1:1: '/a/' matches this path alone; write /a/* for the folder and \
                        everything below, or /a for this path";
        assert_eq!(lines(&with("/a/")), [expected]);
        for pattern in ["/", "/*", "/a", "/a/*", "/a/*/"] {
            assert_eq!(lines(&with(pattern)), [""; 0], "{pattern}");
        }
    }
}
