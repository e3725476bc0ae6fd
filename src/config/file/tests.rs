//! Tests of the configuration file.

use proptest::prelude::*;

use super::*;
use crate::config::ArchiveFormat;
use crate::config::layer::{LogLayer, Origin, TlsLayer};
use crate::config::{
    AccessFormat, AccessRule, AuthRule, CacheControl, CleanUrls, Config, Cors, EncodedSlash,
    EtagSource, HeaderRule, LogConfig, LogFormat, LogLevel, LogTarget, RedirectRule, Sandbox,
    Symlinks, TlsVersion, WhenFull, Workers,
};

fn read(text: &str) -> Result<Layer, Vec<Problem>> {
    parse(Path::new("conf/t.toml"), text.as_bytes())
}

fn config(text: &str) -> Config {
    read(text).and_then(Layer::into_config).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// The problems without the name of the file, one a line: those of the file alone, or else those
/// of its settings together.
fn problems(text: &str) -> String {
    let problems = read(text).and_then(Layer::into_config).unwrap_err();
    let line = |problem: &Problem| {
        let line = problem.to_string();
        line.strip_prefix("conf/t.toml:").expect("every problem is placed in the file").to_owned()
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

const FULL: &str = include_str!("tests/full.toml");

#[test]
fn every_key_reaches_its_setting() {
    let config = config(FULL);
    let shown: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    let expected = [
        "0.0.0.0:80",
        "[::]:8080",
        "unix:conf/run/http",
        "systemd:web",
        "127.0.0.1:8081",
        "https://0.0.0.0:443",
    ];
    assert_eq!(shown, expected);
    assert_eq!(config.admin.as_ref().unwrap().to_string(), "unix:conf/run/admin");
    assert_eq!(config.admin_hosts, ["web1.example.org"]);
    let headed = config.listen.iter().map(|listen| listen.opening.proxy_protocol);
    assert_eq!(headed.collect::<Vec<_>>(), [false, false, false, false, true, false]);
    let proxies: Vec<String> = config.trusted_proxies.0.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.7/32", "unix"]);
    assert_eq!(config.user.as_ref().map(ToString::to_string).as_deref(), Some("www-data:www"));
    assert_eq!(
        (config.sandbox, config.when_full, config.h2c),
        (Sandbox::Strict, WhenFull::Refuse, true)
    );
    assert_eq!(config.workers, Some(Workers::Auto));
    let access_log = config.access_log.as_ref().unwrap();
    assert_eq!(access_log.target, LogTarget::Path("conf/log/access".into()));
    assert_eq!(access_log.format, AccessFormat::Common);
    let log = LogConfig { level: LogLevel::Debug, format: LogFormat::Json };
    assert_eq!(config.log, log);
    assert_eq!((config.limits.keep_alive_timeout_ms, config.limits.cache_bytes), (75_001, 65_536));
    let [files] = &config.tls.certificates[..] else { panic!("{config:?}") };
    assert_eq!(
        (&files.cert, &files.key),
        (&"conf/tls/chain.pem".into(), &"/etc/tls/key.pem".into())
    );
    assert!(files.place.starts_with("conf/t.toml:"), "{}", files.place);
    assert_eq!((config.tls.min_version, config.tls.redirect_http), (TlsVersion::Tls13, true));
    assert!(!config.tls.http2);
    assert_eq!(config.tls.hsts, "max-age=31536000; includeSubDomains");
    assert_eq!(config.tls.acme_webroot, Some("conf/acme".into()));
    let [site, other] = &config.sites[..] else { panic!("{config:?}") };
    assert_eq!(site.hosts, ["example.org", "*.example.org"]);
    assert_eq!((&site.root, &other.root), (&"conf/public".into(), &"/srv/other".into()));
    assert!(other.hosts.is_empty());
    for site in [site, other] {
        assert_eq!(site.index, ["index.htm", "default.html"]);
        assert_eq!(site.symlinks, Symlinks::Off);
        assert_eq!(site.link_targets, ["/mnt/disk", "conf/media"].map(std::path::PathBuf::from));
        assert_eq!(site.hidden, [".*", "*~"]);
        assert_eq!(site.hidden_except, [".well-known", ".x"]);
        assert_eq!(site.encoded_slash, EncodedSlash::Decode);
        assert_eq!(site.archives, [ArchiveFormat::Tar, ArchiveFormat::Zip]);
        assert_eq!(site.previous_root_s, 60);
        let switches = [site.listing, site.precompressed, site.compress, site.server_header];
        assert_eq!(switches, [false; 4]);
        assert!(site.rule_files && site.security_headers);
        assert_eq!((site.etag, site.clean_urls), (EtagSource::Content, CleanUrls::Redirect));
        assert_eq!(site.cache_control, CacheControl::Value("public, max-age=60".to_owned()));
        assert_eq!(site.charset.as_deref(), Some("iso-8859-1"));
        let types = [("foo", "application/x-foo"), ("bar", "text/x-bar; charset=utf-8")];
        assert_eq!(site.media_types, types.map(|(ext, kind)| (ext.into(), kind.into())));
        assert_eq!(site.spa.as_deref(), Some("/index.htm"));
        assert_eq!(site.error_pages, [(404, "/404.html".into()), (503, "/busy.html".into())]);
        let origins = ["https://example.org", "http://localhost:3000"];
        assert_eq!(site.cors, Cors::Origins(origins.map(str::to_owned).into()));
    }
}

#[test]
fn every_rule_has_its_place_and_those_of_a_site_replace_those_of_the_top_level() {
    let config = config(FULL);
    let line = |text: &str| FULL.lines().position(|line| line.starts_with(text)).unwrap() + 1;
    let place = |line: usize, column: usize| format!("conf/t.toml:{line}:{column}");
    let redirect = |from: &str, to: &str, status, force, place| RedirectRule {
        from: from.to_owned(),
        to: to.to_owned(),
        status,
        force,
        place,
    };
    let first = line("[[redirects]]");
    assert_eq!(
        config.sites[0].redirects,
        [
            redirect("/old/*", "/new/:splat", 301, false, place(first, 1)),
            redirect("/home", "https://example.org/", 302, true, place(first + 4, 1)),
        ]
    );
    let inline = place(line("redirects = ["), 14);
    assert_eq!(config.sites[1].redirects, [redirect("/", "/start", 303, false, inline)]);
    let values = [("X-Robots-Tag", "noindex"), ("Cache-Control", "no-store")];
    assert_eq!(
        config.sites[0].headers,
        [HeaderRule {
            pattern: "/*".to_owned(),
            values: values.map(|(name, value)| (name.into(), value.into())).into(),
            remove: vec!["Server".to_owned()],
            place: place(line("[[headers]]"), 1),
        }]
    );
    assert_eq!(config.sites[1].headers[0].remove, ["ETag"]);
    for site in &config.sites {
        let net = |text: &str| text.parse().unwrap();
        assert_eq!(
            site.access,
            [AccessRule {
                pattern: "/internal/*".to_owned(),
                allow: vec![net("10.0.0.0/8"), net("2001:db8::1/128")],
                deny: vec![net("10.1.0.0/16")],
                place: place(line("[[access]]"), 1),
            }]
        );
        assert_eq!(
            site.auth,
            [AuthRule {
                pattern: "/private/*".to_owned(),
                users: "conf/users".into(),
                realm: "Members".to_owned(),
                place: place(line("[[auth]]"), 1),
            }]
        );
    }
}

#[test]
fn every_setting_has_a_key() {
    let layer = read(FULL).unwrap();
    let top: Vec<&str> = layer.set().into_iter().map(|(name, _)| name).collect();
    for name in Layer::NAMES {
        // The file is not named by itself, and the others are part of an address.
        let is_elsewhere = ["config", "port", "proxy_protocol"].contains(name);
        assert!(top.contains(name) || is_elsewhere, "{name}: add it to FULL");
    }
    let tls: Vec<&str> = layer.tls.set().into_iter().map(|(name, _)| name).collect();
    for name in TlsLayer::NAMES {
        // The names of flags.
        assert!(tls.contains(name) || ["cert", "key"].contains(name), "{name}: add it to FULL");
    }
    let log: Vec<&str> = layer.log.set().into_iter().map(|(name, _)| name).collect();
    assert_eq!(log, LogLayer::NAMES, "add it to FULL");
    let site: Vec<&str> = layer.site.set().into_iter().map(|(name, _)| name).collect();
    for name in SiteLayer::NAMES {
        assert!(site.contains(name) || ["table", "hosts"].contains(name), "{name}: add it to FULL");
    }
    assert!(layer.sites.iter().all(|site| site.table.is_some()));
}

#[test]
fn every_key_of_the_top_level_is_known_to_be_one() {
    let file = DeTable::parse(FULL).unwrap();
    let is_of_site = |key: &str| SiteLayer::NAMES.contains(&key);
    let mut found: Vec<&str> = file.get_ref().keys().map(|key| &**key.get_ref()).collect();
    found.retain(|key| !is_of_site(key));
    let mut expected = TOP.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn a_value_has_its_place_as_origin() {
    let layer = read("# é\nlisten = '1'\n  etag = \"time\" \n[limits]\nfields = 7\n").unwrap();
    let at = |line, column| Origin::File { path: "conf/t.toml".into(), line, column };
    assert_eq!(layer.listen.unwrap().origin, at(2, 10));
    assert_eq!(layer.site.etag.unwrap().origin, at(3, 10));
    assert_eq!(layer.limits[0].origin, at(5, 10));
}

#[test]
fn the_shortest_files_are_valid() {
    for text in ["", "\n", "# nothing", "\u{feff}listing = true\r\n", "[limits]\n", "site = []"] {
        let config = config(text);
        assert_eq!(config.sites.len(), 1, "{text:?}");
        assert_eq!(config.sites[0].root, Path::new("."));
    }
}

#[test]
fn words_turn_a_setting_off() {
    let text = "spa = 'off'\ncors = 'off'\ncharset = 'off'\ncache_control = 'off'\nhidden = []\n";
    let site = config(text).sites.remove(0);
    assert_eq!((site.spa, site.charset, site.cors), (None, None, Cors::Off));
    assert_eq!(site.cache_control, CacheControl::Off);
    assert!(site.hidden.is_empty());
    assert_eq!(config("cors = []").sites[0].cors, Cors::Off);
    assert_eq!(config("cors = '*'").sites[0].cors, Cors::Any);
}

/// Wrong files, each with its problems: `TEXT`, a line `-->`, the problems, a line `=====`.
const BROKEN: &str = include_str!("tests/broken.txt");

#[test]
fn every_problem_of_a_wrong_file_has_its_place_and_the_remedy() {
    let mut count = 0;
    for case in BROKEN.split("=====\n").filter(|case| !case.is_empty()) {
        let (text, expected) = case.split_once("-->\n").unwrap();
        assert_eq!(problems(text), expected.trim_end(), "\n{text}");
        count += 1;
    }
    assert!(count >= 55, "{count}");
}

#[test]
fn content_that_is_not_utf_8_or_too_large_is_refused_with_its_place() {
    for (content, expected) in [
        (
            &b"# \xc3\xa9\nroot = \"a\xff\"\nlisen = 1\n"[..],
            "t:2:10: the file is not UTF-8 here; save it as UTF-8",
        ),
        (b"\xff\xfe", "t:1:1: the file is not UTF-8 here; save it as UTF-8"),
        (
            &[b'#'; FILE_BYTES_MAX + 1],
            "t:1:1: the file has more than 1048576 bytes; make it smaller",
        ),
    ] {
        let problems = parse(Path::new("t"), content).unwrap_err();
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    }
    assert!(parse(Path::new("t"), &[b'#'; FILE_BYTES_MAX]).is_ok());
}

#[test]
fn relative_paths_begin_at_the_folder_of_the_file() {
    for (file, root, expected) in [
        ("t.toml", "a", "a"),
        ("conf/t.toml", "a", "conf/a"),
        ("conf/t.toml", "../a", "conf/../a"),
        ("/etc/t.toml", "a", "/etc/a"),
        ("/etc/t.toml", "/a", "/a"),
    ] {
        let layer = parse(Path::new(file), format!("root = '{root}'").as_bytes()).unwrap();
        assert_eq!(layer.site.root.unwrap().value, Path::new(expected), "{file} {root}");
    }
}

/// Asserts what holds for any content: no panic, and each problem is one line with a place in it.
fn check_any(content: &[u8]) {
    let problems = match parse(Path::new("t"), content).and_then(Layer::into_config) {
        Ok(config) => return assert!(!config.sites.is_empty()),
        Err(problems) => problems,
    };
    assert!(!problems.is_empty());
    let lines = content.split(|byte| *byte == b'\n').count();
    for problem in problems {
        let Origin::File { line, column, .. } = problem.origin else { panic!("{problem:?}") };
        assert!((1..=lines).contains(&line) && column >= 1, "{problem:?}");
        assert!(!problem.what.contains(char::is_control), "{problem:?}");
        assert!(problem.what.contains(';'), "it says how to fix it: {problem:?}");
    }
}

/// Parts of files, to be put together at random.
const PARTS: &[&str] = &[
    "root",
    "listen",
    "address",
    "proxy_protocol",
    "trusted_proxies",
    "site",
    "limits",
    "fields",
    "hosts",
    "redirects",
    "headers",
    "access",
    "auth",
    "for",
    "from",
    "to",
    "values",
    "remove",
    "allow",
    "users",
    "status",
    "media_types",
    "cors",
    "error_pages",
    "404",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\n",
    "\r\n",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "\\",
    "\\u0000",
    "#",
    " ",
    "true",
    "off",
    "1",
    "-1",
    "0x1F",
    "1e3",
    "inf",
    "1979-05-27",
    "\"/a\"",
    "\"a\"",
    "\"\"",
    "\"*\"",
    "\"10.0.0.0/8\"",
    "\u{feff}",
    "\u{e9}",
    "\0",
];

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(content in prop::collection::vec(any::<u8>(), 0..200)) {
        check_any(&content);
    }

    #[test]
    fn any_text_that_resembles_toml_is_read_without_a_panic(
        parts in prop::collection::vec(prop::sample::select(PARTS), 0..60),
    ) {
        check_any(parts.concat().as_bytes());
    }

    #[test]
    fn a_file_that_is_wrong_at_one_place_is_read_without_a_panic(
        at in 0..FULL.len(),
        length in 0..20_usize,
        part in prop::sample::select(PARTS),
    ) {
        let (mut content, end) = (FULL.as_bytes().to_vec(), (at + length).min(FULL.len()));
        content.splice(at..end, part.bytes());
        check_any(&content);
    }
}

#[test]
fn deep_nesting_is_refused_and_does_not_exhaust_the_stack() {
    for text in [
        format!("x = {}", "[".repeat(100_000)),
        format!("x = {}", "{a=".repeat(100_000)),
        format!("{}x = 1", "a.".repeat(100_000)),
        format!("[{}x]", "a.".repeat(100_000)),
        "[[a]]\n".repeat(50_000),
        format!("x = {}1{}", "[".repeat(60), "]".repeat(60)),
    ] {
        check_any(text.as_bytes());
        assert!(read(&text).is_err());
    }
}

#[test]
fn a_file_with_two_sites_reads_as_it_is_meant() {
    let config = config(
        r#"
        listen = ["0.0.0.0:80", "[::]:8080", "unix:/run/tenkay/http"]
        user = "www-data"
        sandbox = "on"               # the default
        cache_control = "off"

        [limits]                     # the names of --limit
        keep_alive_timeout_ms = 60000

        [[site]]
        hosts = ["example.org", "*.example.org"]
        root = "/srv/example"
        clean_urls = "serve"
        error_pages = { 404 = "/404.html", 503 = "/busy.html" }

        [[site.redirects]]
        from = "/blog/:slug"
        to = "/posts/:slug"
        status = 308

        [[site]]                     # all other names
        root = "/srv/other"
        cache_control = "auto"
        "#,
    );
    let [example, other] = &config.sites[..] else { panic!("{config:?}") };
    assert_eq!((config.listen.len(), config.limits.keep_alive_timeout_ms), (3, 60_000));
    assert_eq!(example.hosts, ["example.org", "*.example.org"]);
    assert_eq!((example.clean_urls, other.clean_urls), (CleanUrls::Serve, CleanUrls::Off));
    assert_eq!(
        (&example.cache_control, &other.cache_control),
        (&CacheControl::Off, &CacheControl::Auto)
    );
    assert_eq!((example.error_pages.len(), example.redirects[0].status), (2, 308));
    assert!(other.hosts.is_empty() && other.redirects.is_empty());
}
