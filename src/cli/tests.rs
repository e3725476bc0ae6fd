//! Tests of the command line and the environment.

use std::num::NonZeroUsize;

use super::*;
use crate::config::ArchiveFormat;
use crate::config::layer::{LogLayer, SiteLayer, TlsLayer};
use crate::config::{
    AccessFormat, CacheControl, CleanUrls, Cors, EncodedSlash, EtagSource, HeaderRule, LogConfig,
    LogFormat, LogLevel, LogTarget, RedirectRule, Symlinks, TlsVersion,
};

mod page;
mod same;

use same::SAME;

fn read_command(args: &[&str], environment: &[(&str, &str)]) -> Result<Command, String> {
    let args = std::iter::once("tenkay").chain(args.iter().copied()).map(OsString::from);
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
    read(args, environment).map_err(|refusal| match refusal {
        Refusal::Arguments(error) => error.to_string(),
        Refusal::File(lines) => lines.join("\n"),
    })
}

fn read_all(args: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
    match read_command(args, environment)? {
        Command::Serve(settings) => Ok(*settings),
        other => panic!("not a server: {other:?}"),
    }
}

#[test]
fn a_command_is_the_first_word_and_a_folder_of_its_name_is_a_path() {
    let precompress = |args: &[&str]| match read_command(args, &[("TENKAY_ROOT", "/env")]) {
        Ok(Command::Precompress(precompress)) => precompress,
        other => panic!("not precompress: {other:?}"),
    };
    let plain = precompress(&["precompress", "/srv"]);
    assert_eq!(plain.root, PathBuf::from("/srv"));
    assert!(!plain.check && !plain.worker && plain.jobs.is_none());
    let all = precompress(&["precompress", "--check", "--jobs=3", "./precompress"]);
    assert!(all.check && all.jobs == NonZeroUsize::new(3));
    for bad in [&["precompress"][..], &["precompress", "a", "b"], &["precompress", "--jobs=0", "a"]]
    {
        assert!(read_command(bad, &[]).is_err(), "{bad:?}");
    }
    for root in ["./precompress", "precompres", "check/", "Precompress"] {
        assert_eq!(flags(&[root]).unwrap().sites[0].root, PathBuf::from(root));
    }
    assert_eq!(flags(&["--", "precompress"]).unwrap().sites[0].root, PathBuf::from("precompress"));
    assert_eq!(
        variables(&[("TENKAY_ROOT", "precompress")]).unwrap().sites[0].root,
        PathBuf::from("precompress")
    );
}

#[test]
fn a_request_to_explain_has_the_settings_of_a_server() {
    let explain = |args: &[&str]| match read_command(args, &[("TENKAY_CHARSET", "off")]) {
        Ok(Command::Explain(explain)) => *explain,
        other => panic!("not explain: {other:?}"),
    };
    let plain = explain(&["explain", "/a"]);
    let (url, method, client) = (&*plain.url, &*plain.method, plain.client.to_string());
    assert_eq!((url, method, &*client, plain.json), ("/a", "GET", "127.0.0.1", false));
    assert_eq!((&plain.places[..], plain.fields.len()), (&["default".to_owned()][..], 0));
    assert_eq!(plain.settings.config.sites[0].charset, None);
    let all = ["explain", "-X", "HEAD", "-H", "A: b", "-HC: d", "--client", "::1", "--json"];
    let all = explain(&[&all[..], &["http://a/", "/srv", "--sandbox", "off", "--spa=/a"]].concat());
    let (url, method, client) = (&*all.url, &*all.method, all.client.to_string());
    assert_eq!((url, method, &*client, all.json), ("http://a/", "HEAD", "::1", true));
    assert_eq!(all.fields, ["A: b", "C: d"]);
    assert_eq!(all.places, ["command line"]);
    assert_eq!(all.settings.config.sites[0].root, PathBuf::from("/srv"));
    assert_eq!(all.settings.config.sites[0].spa.as_deref(), Some("/a"));
    for bad in [&["explain"][..], &["explain", "/", "--client=x"], &["explain", "/", "a", "b"]] {
        assert!(read_command(bad, &[]).is_err(), "{bad:?}");
    }
    assert_eq!(flags(&["./explain"]).unwrap().sites[0].root, PathBuf::from("./explain"));
}

fn flags(args: &[&str]) -> Result<Config, String> {
    read_all(args, &[]).map(|settings| settings.config)
}

fn variables(environment: &[(&str, &str)]) -> Result<Config, String> {
    read_all(&[], environment).map(|settings| settings.config)
}

fn shown<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

#[test]
fn the_table_of_arguments_is_sound() {
    Args::command().debug_assert();
}

#[test]
fn every_option_reaches_its_setting_from_both_sources() {
    let (args, environment) = SAME;
    for config in [flags(args).unwrap(), variables(environment).unwrap()] {
        assert_eq!(config.sites[0].root, PathBuf::from("/srv"));
        assert_eq!(shown(&config.listen), ["[::]:80", "unix:/run/t", "https://a:443"]);
        assert_eq!(config.admin.unwrap().to_string(), "unix:/run/a");
        assert_eq!(config.admin_hosts, ["a.example.org", "*.b.example"]);
        assert!(config.listen.iter().all(|listen| listen.opening.proxy_protocol));
        let proxies: Vec<_> = config.trusted_proxies.0.iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.0/8", "unix", "::1/128"]);
        let site = config.sites[0].clone();
        assert_eq!(site.index, ["a.html", "b.html"]);
        assert!(!site.listing && !site.server_header);
        assert_eq!(site.symlinks, Symlinks::Off);
        assert_eq!(site.link_targets, [PathBuf::from("/mnt/a"), PathBuf::from("/mnt/b")]);
        assert_eq!(site.hidden, ["*~", ".*"]);
        assert_eq!(site.hidden_except, [".x"]);
        assert_eq!(site.encoded_slash, EncodedSlash::Decode);
        let types = [("foo", "text/x-foo; a=\"b,c\""), ("bar", "text/x-bar")];
        assert_eq!(site.media_types, types.map(|(ext, media)| (ext.into(), media.into())));
        assert_eq!(config.user.unwrap().to_string(), "www:site");
        assert_eq!(config.sandbox, Sandbox::Strict);
        assert_eq!((config.when_full, config.h2c), (WhenFull::Refuse, true));
        let access_log = config.access_log.unwrap();
        assert_eq!(access_log.target, LogTarget::Path("/log".into()));
        assert_eq!(access_log.format, AccessFormat::Json);
        assert_eq!(config.log, LogConfig { level: LogLevel::Warn, format: LogFormat::Json });
        assert_eq!(config.workers, Some(Workers::Count(3)));
        let files: Vec<_> =
            config.tls.certificates.into_iter().map(|it| (it.cert, it.key)).collect();
        let expected = [("/tls/a.pem", "/tls/a.key"), ("b.pem", "b.key")];
        assert_eq!(files, expected.map(|(cert, key)| (cert.into(), key.into())));
        assert_eq!((config.tls.self_signed, config.tls.redirect_http), (false, true));
        assert!(!config.tls.http2);
        assert_eq!(
            (config.tls.min_version, &*config.tls.hsts),
            (TlsVersion::Tls13, "max-age=1; preload")
        );
        assert_eq!(config.tls.acme_webroot, Some("/acme".into()));
        assert_eq!((config.limits.fields, config.limits.head_bytes), (7, 9000));
        assert_eq!(config.chosen_limits, ["fields", "head_bytes"]);
    }
}

#[test]
fn every_option_of_what_is_sent_reaches_its_setting_from_both_sources() {
    let (args, environment) = SAME;
    for (config, source) in
        [(flags(args).unwrap(), "--"), (variables(environment).unwrap(), "TENKAY_")]
    {
        let site = config.sites[0].clone();
        assert!(!site.precompressed && !site.compress && site.rule_files && site.security_headers);
        let expected = (EtagSource::Content, CleanUrls::Serve, 60);
        assert_eq!((site.etag, site.clean_urls, site.previous_root_s), expected);
        assert_eq!(site.cache_control, CacheControl::Value("public, max-age=60".into()));
        assert_eq!((site.charset, site.spa.as_deref()), (None, Some("/index.html")));
        assert_eq!(site.error_pages, [(404, "/a.html".into()), (503, "/b.html".into())]);
        assert_eq!(site.archives, [ArchiveFormat::Zip, ArchiveFormat::Tar]);
        assert_eq!(site.cors, Cors::Origins(vec!["https://a".into(), "https://b:1".into()]));
        let name = |flag: &str| match source {
            "--" => format!("--{flag}"),
            _ => format!("TENKAY_{}", flag.to_uppercase()),
        };
        let redirect = |from: &str, to: &str, status, force, number| RedirectRule {
            from: from.to_owned(),
            to: to.to_owned(),
            status,
            force,
            place: format!("{} {number}", name("redirect")),
        };
        assert_eq!(
            site.redirects,
            [
                redirect("/a", "/b", 301, false, 1),
                redirect("/c/*", "https://d/:splat", 302, true, 2)
            ]
        );
        let header = |values: &[(&str, &str)], remove: &[&str], number| HeaderRule {
            pattern: "/*".to_owned(),
            values: values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            remove: remove.iter().map(|name| (*name).to_owned()).collect(),
            place: format!("{} {number}", name("header")),
        };
        let values = [("Cache-Control", "no-store, private")];
        assert_eq!(site.headers, [header(&values, &[], 1), header(&[], &["Server"], 2)]);
    }
}

#[test]
fn every_setting_has_a_flag() {
    let command = Args::command();
    let has_flag = |name: &str| {
        let long = name.replace('_', "-");
        command.get_arguments().any(|argument| {
            let aliases = argument.get_all_aliases().unwrap_or_default();
            argument.get_id() == name
                || argument.get_long() == Some(&long)
                || aliases.contains(&long.as_str())
        })
    };
    let for_the_file =
        ["table", "hosts", "access", "auth", "site", "sites", "log", "tls", "certificates"];
    let all = [SiteLayer::NAMES, Layer::NAMES, LogLayer::NAMES, TlsLayer::NAMES];
    for &name in all.into_iter().flatten() {
        assert_eq!(has_flag(name), !for_the_file.contains(&name), "{name}");
    }
}

#[test]
fn a_list_has_the_name_that_it_has_in_the_file_as_well() {
    let config = flags(&["--media-types=a=b/c", "--error-pages=404=/a", "--redirects=/a /b"]);
    let site = config.unwrap().sites.remove(0);
    assert_eq!((site.media_types.len(), site.error_pages.len(), site.redirects.len()), (1, 1, 1));
    let config =
        variables(&[("TENKAY_MEDIA_TYPES", "a=b/c,d=e/f"), ("TENKAY_HEADERS", "/: A: b, c")]);
    let site = config.unwrap().sites.remove(0);
    assert_eq!((site.media_types.len(), site.headers.len()), (2, 1));
}

/// A folder with a configuration file, and the path of the file.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn the_file_is_below_the_environment_and_that_below_the_flags() {
    let (folder, path) = file(
        "root = 'site'\nlisten = ':80'\netag = 'time'\ncharset = 'off'\nclean_urls = 'serve'\n\
         media_types = { a = 'b/file' }\n[limits]\nfields = 5\nranges = 50\n\
         [[redirects]]\nfrom = '/a'\nto = '/b'\n",
    );
    let environment = [
        ("TENKAY_CONFIG", path.as_str()),
        ("TENKAY_CHARSET", "x"),
        ("TENKAY_CLEAN_URLS", "redirect"),
        ("TENKAY_LIMIT", "fields=6"),
        ("TENKAY_TYPE", "a=b/environment"),
    ];
    let config = read_all(&["--clean-urls=off", "-p", "9"], &environment).unwrap().config;
    let site = &config.sites[0];
    assert_eq!(site.root, folder.path().join("site"));
    assert_eq!(shown(&config.listen), ["*:9"]);
    assert_eq!((site.etag, site.charset.as_deref()), (EtagSource::Time, Some("x")));
    assert_eq!(site.clean_urls, CleanUrls::Off);
    assert_eq!(site.media_types.last().unwrap().1, "b/environment");
    assert_eq!((config.limits.fields, config.limits.ranges), (6, 50));
    assert_eq!(site.redirects[0].place, format!("{path}:10:1"));

    let (_folder, other) = file("listing = false");
    let config = read_all(&["--config", &other], &environment[..1]).unwrap().config;
    assert!(!config.sites[0].listing && config.limits.fields == 100);
    let config = read_all(&["--redirect=/c /d", "-c", &path], &[]).unwrap().config;
    assert_eq!(
        (config.sites[0].redirects.len(), config.sites[0].redirects[0].from.as_str()),
        (1, "/c")
    );
}

#[test]
fn a_flag_for_one_site_is_refused_if_the_file_has_several() {
    let (_folder, path) = file("[[site]]\nroot = 'a'\nhosts = ['a']\n[[site]]\nroot = 'b'\n");
    let why = "the file describes several sites, and this is for one";
    let error = read_all(&["-c", &path, "/x", "--spa=/a"], &[("TENKAY_ETAG", "time")]).unwrap_err();
    let expected = [
        format!("TENKAY_ETAG: {why}; set etag in the file"),
        format!("--spa: {why}; set spa in the file"),
        format!("ROOT: {why}; set root in the file"),
    ];
    assert!(error.starts_with(&format!("error: {}\n", expected.join("\n"))), "{error}");
    let general =
        ["-c", &path, "-p", "1", "--limit=fields=5", "--sandbox=off", "--no-server-header"];
    let config = read_all(&general, &[("TENKAY_USER", "x")]).unwrap().config;
    assert!(config.sites.iter().all(|site| !site.server_header));
    assert_eq!((config.sites.len(), config.limits.fields), (2, 5));
}

#[test]
fn a_bad_file_is_refused_with_all_its_problems() {
    let (folder, path) = file("rot = 'x'\netag = 'md5'\n");
    assert_eq!(
        read_all(&["-c", &path], &[]).unwrap_err(),
        format!(
            "{path}:1:1: unknown key 'rot' at the top level; did you mean 'root'?\n\
             {path}:2:8: etag cannot be 'md5'; write \"auto\", \"content\" or \"time\""
        )
    );
    let absent = folder.path().join("absent.toml");
    let error = read_all(&["-c", absent.to_str().unwrap()], &[]).unwrap_err();
    assert!(error.contains("absent.toml: cannot read it: No such file"), "{error}");
}

#[test]
fn every_flag_has_a_variable() {
    let command = Args::command();
    for argument in command.get_arguments() {
        let name = variable(argument);
        let is_tested = SAME.1.iter().any(|(tested, _)| *tested == name);
        let long = argument.get_long().unwrap_or_default();
        let has_none = long.starts_with("no-") || ["help", "version", "config"].contains(&long);
        assert!(is_tested || has_none || long == "port", "{name}: add it to SAME");
    }
}

#[test]
fn flags_win_over_variables() {
    let both =
        |args: &[&str], environment: &[(&str, &str)]| read_all(args, environment).unwrap().config;
    let config = both(&["--listing", "b"], &[("TENKAY_LISTING", "off"), ("TENKAY_ROOT", "a")]);
    assert!(config.sites[0].listing);
    assert_eq!(config.sites[0].root, PathBuf::from("b"));
    let config = both(&["--no-listing"], &[("TENKAY_LISTING", "on")]);
    assert!(!config.sites[0].listing);
    let limits = [("TENKAY_LIMIT", "fields=7,head_bytes=9000")];
    let config = both(&["--limit", "fields=8"], &limits);
    assert_eq!((config.limits.fields, config.limits.head_bytes), (8, 9000));
    let config = both(&["-p", "9"], &[("TENKAY_LISTEN", ":8080")]);
    assert_eq!(shown(&config.listen), ["*:9"]);
    let config = both(&["-l", ":8080"], &[("TENKAY_PORT", "9")]);
    assert_eq!(shown(&config.listen), ["*:8080"]);
    assert_eq!(shown(&variables(&[("TENKAY_PORT", "9")]).unwrap().listen), ["127.0.0.1:9"]);
}

#[test]
fn a_switch_has_many_forms_and_the_last_one_counts() {
    for (args, expected) in [
        (&["--server-header"][..], true),
        (&["--no-server-header"], false),
        (&["--server-header", "on"], true),
        (&["--server-header", "off"], false),
        (&["--server-header=off"], false),
        (&["--server-header=true"], true),
        (&["--server-header=false"], false),
        (&["--server-header=1"], true),
        (&["--server-header=0"], false),
        (&["--no-server-header", "--server-header"], true),
        (&["--server-header", "--no-server-header"], false),
        (&["--server-header=on", "--server-header=off"], false),
        (&["--server-header", "on", "--no-server-header"], false),
    ] {
        assert_eq!(flags(args).unwrap().sites[0].server_header, expected, "{args:?}");
    }
    for (args, expected) in [
        (&["--sandbox", "off"][..], Sandbox::Off),
        (&["--sandbox", "on"], Sandbox::On),
        (&["--sandbox", "strict"], Sandbox::Strict),
        (&["--sandbox=0"], Sandbox::Off),
        (&["--sandbox"], Sandbox::On),
        (&["--no-sandbox"], Sandbox::Off),
        (&["--no-sandbox", "--sandbox=strict"], Sandbox::Strict),
    ] {
        assert_eq!(flags(args).unwrap().sandbox, expected, "{args:?}");
    }
    assert!(flags(&["--listing"]).unwrap().sites[0].listing);
    assert!(!flags(&["--listing=off"]).unwrap().sites[0].listing);
    assert!(flags(&["--no-listing", "--listing"]).unwrap().sites[0].listing);
    assert!(!flags(&["--listing", "--no-listing"]).unwrap().sites[0].listing);
}

/// A ROOT may follow a switch, so clap would take the value for one.
#[test]
fn the_value_of_every_switch_may_be_a_word_of_its_own() {
    let mut count = 0;
    for flag in Args::command().get_arguments().filter(|flag| flag.is_require_equals_set()) {
        let name = format!("--{}", flag.get_long().unwrap());
        for value in ["on", "off"] {
            let joined = format!("{name}={value}");
            let [one, two] = [&["folder", &name, value][..], &["folder", &joined]]
                .map(|args| flags(args).map_err(|error| format!("{error:?}")));
            assert_eq!(format!("{one:?}"), format!("{two:?}"), "{joined}");
        }
        count += 1;
    }
    assert!(count >= 12, "{count}");
    let config = flags(&["--h2c", "on", "folder"]).unwrap();
    assert!(config.h2c && config.sites[0].root == Path::new("folder"));
    // Other words are no values.
    assert_eq!(flags(&["--h2c", "./on"]).unwrap().sites[0].root, PathBuf::from("./on"));
}

#[test]
fn a_root_may_follow_a_switch() {
    for args in [
        &["--server-header", "folder"][..],
        &["--sandbox", "folder"],
        &["--listing", "folder"],
        &["--", "folder"],
    ] {
        assert_eq!(flags(args).unwrap().sites[0].root, PathBuf::from("folder"), "{args:?}");
    }
    assert_eq!(flags(&["--listing", "--", "off"]).unwrap().sites[0].root, PathBuf::from("off"));
    assert_eq!(flags(&["--", "--sandbox"]).unwrap().sites[0].root, PathBuf::from("--sandbox"));
}

#[test]
fn an_empty_list_is_a_list() {
    let config = flags(&["--hidden="]).unwrap();
    assert!(config.sites[0].hidden.is_empty());
    assert_eq!(config.sites[0].hidden_except, [".well-known"]);
    assert!(variables(&[("TENKAY_HIDDEN", "")]).unwrap().sites[0].hidden.is_empty());
    assert!(variables(&[("TENKAY_LINK_TARGETS", "")]).unwrap().sites[0].link_targets.is_empty());
}

#[test]
fn an_index_file_must_not_be_hidden() {
    assert!(flags(&["--hidden=*.html"]).unwrap_err().contains("'*.html' hides it"));
    assert!(flags(&["--hidden=*.html", "--hidden-except=index.*"]).is_ok());
    assert!(flags(&["--index=.i"]).unwrap_err().contains("'.i' is never served"));
    assert!(flags(&["--index=.i", "--hidden="]).is_ok());
    assert!(flags(&["--index=.i", "--hidden-except=.i"]).is_ok());
}

#[test]
fn an_error_says_what_is_wrong() {
    for (args, expected) in [
        (&["--listen", "localhost"][..], "the port is missing"),
        (&["--listen", "/run/x"], "write unix:/run/x"),
        (&["--listen", "::1:80"], "put IPv6 addresses in brackets"),
        (&["--port", "65536"], "65536"),
        (&["-p", "1", "-l", "2"], "cannot be used with"),
        (&["--limit", "fields=0"], "from 1 to 256"),
        (&["--limit", "x=0"], "unknown limit 'x' (see tenkay --help)"),
        (&["--limit", "head_bytes=100", "--limit", "target_bytes=101"], "cannot be larger"),
        (&["--index", "a/b"], "without a slash"),
        (&["--hidden", "a/b"], "no slash"),
        (&["--symlinks", "maybe"], "follow"),
        (&["--encoded-slash", "keep"], "decode"),
        (&["--listing=maybe"], "use on, off, true, false, 1 or 0"),
        (&["--sandbox=maybe"], "use on, strict or off"),
        (&["--type", "foo"], "EXT=TYPE"),
        (&["--type", "foo=bar"], "TYPE/SUBTYPE"),
        (&["--user", ":"], "USER:GROUP"),
        (&["--etag", "md5"], "content"),
        (&["--cache-control", "a\nb"], "no field may have"),
        (&["--spa", "folder"], "is not the path of a page"),
        (&["--error-page", "200=/a"], "from 400 to 599"),
        (&["--cors", "a"], "is not an origin"),
        (&["--archives", "tar,rar"], "write tar or zip"),
        (&["--previous-root-s", "604801"], "write one from 0 (off) to 604800, a week"),
        (&["--redirect", "/a"], "is not FROM TO"),
        (&["--header", "/a"], "is not PATTERN"),
        (&["--trusted-proxies=10.0.0.0/8,proxy"], "'proxy' is not a proxy"),
        (&["--hosts", "a"], "--hosts"),
        (&["--admin-hosts", "a"], "add --admin-listen ADDRESS"),
        (&["--admin-listen", ":0", "--admin-hosts", "a:1"], "has a port"),
        (&["--nonsense"], "--nonsense"),
        (&["a", "b"], "'b' is one word too many: tenkay serves one folder"),
        (&["a", "check"], "the command 'check' must be the first word"),
        (&["--error-page", "502=/a"], "tenkay never sends status 502"),
        (&["--error-page", "413=/a"], "tenkay always sends its own page for status 413"),
    ] {
        let error = flags(args).unwrap_err();
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}

#[test]
fn a_bad_variable_is_named() {
    for (name, value, expected) in [
        ("TENKAY_LISTEN", "localhost", "the port is missing"),
        ("TENKAY_LISTEN", "8080,", "the port is missing"),
        ("TENKAY_LISTING", "maybe", "use on, off"),
        ("TENKAY_LISTING", "", "the value is missing"),
        ("TENKAY_ROOT", "", "a value is required"),
        ("TENKAY_PORT", "x", "invalid digit"),
        ("TENKAY_PORT", "", ""),
        ("TENKAY_SYMLINKS", "maybe", "follow"),
        ("TENKAY_LIMIT", "fields=7,x=1", "unknown limit 'x'"),
        ("TENKAY_TYPE", "foo=bar", "TYPE/SUBTYPE"),
    ] {
        let error = variables(&[(name, value)]).unwrap_err();
        let start = format!("error: {name}: ");
        assert!(error.starts_with(&start) && error.contains(expected), "{name}={value}: {error}");
        assert!(error.contains("--help"), "{error}");
    }
    let error = variables(&[("TENKAY_LIMIT", "head_bytes=100,target_bytes=101")]).unwrap_err();
    assert!(error.contains("cannot be larger") && error.contains("TENKAY_LIMIT"), "{error}");
}

#[test]
fn an_unknown_variable_is_a_warning_with_the_nearest_name() {
    for (name, expected) in [
        ("TENKAY_LISTN", "unknown environment variable TENKAY_LISTN; did you mean TENKAY_LISTEN?"),
        (
            "TENKAY_NO_LISTING",
            "unknown environment variable TENKAY_NO_LISTING; use TENKAY_LISTING=off",
        ),
        (
            "TENKAY_QQQQ",
            "unknown environment variable TENKAY_QQQQ; tenkay --help lists the options",
        ),
        ("TENKAY_FOO", "unknown environment variable TENKAY_FOO; tenkay --help lists the options"),
    ] {
        let settings = read_all(&[], &[(name, "x"), ("PATH", "y")]).unwrap();
        assert_eq!(settings.warnings, [expected]);
    }
}

#[test]
fn the_variables_of_a_kubernetes_service_called_tenkay_mean_nothing() {
    let environment = [
        ("TENKAY_PORT", "tcp://10.0.0.1:80"),
        ("TENKAY_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("TENKAY_SERVICE_HOST", "10.0.0.1"),
    ];
    let settings = read_all(&[], &environment).unwrap();
    assert_eq!(shown(&settings.config.listen), ["127.0.0.1:8080"]);
    assert!(settings.warnings.is_empty());
}

#[test]
fn the_words_in_the_help_are_those_that_are_accepted() {
    for argument in Args::command().get_arguments() {
        let words: Vec<String> = argument
            .get_possible_values()
            .iter()
            .map(|value| value.get_name().to_owned())
            .collect();
        let is_choice = argument.is_hide_possible_values_set();
        if is_choice {
            assert_eq!(argument.get_value_names().unwrap()[0].as_str(), words.join("|"));
        }
    }
}

mod defaults;
