//! The commands that serve nothing: `check`, `config`, `man` and `completions`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test they are the assertion")]

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Runs tenkay in a folder: its exit status, stdout and stderr.
fn run(folder: &Path, args: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenkay"));
    command.current_dir(folder).args(args).envs(environment.iter().copied());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

const BROKEN: &str = "\
rot = 1
root = 'pub'
link_targets = ['gone']
etag = 'md5'
[[redirects]]
from = '/a/*/b'
to = '/c'
[[headers]]
for = '/*/c'
values = { Content-Length = '5' }
[[auth]]
for = '/x*y'
users = 'users'
[[site]]
hosts = ['a']
[[site]]
root = 'missing'
";

#[test]
fn check_reports_all_problems_at_once_with_their_places() {
    let folder =
        folder(&[("t.toml", BROKEN), ("users", "bob:plain\n\neve\n"), ("pub/_redirects", "/a\n")]);
    let environment = [("TENKAY_USER", ":"), ("TENKAY_CHARSET", "a b")];
    let (status, out, errors) = run(folder.path(), &["check", "-c", "t.toml"], &environment);
    assert_eq!((status, &*out), (1, ""), "{errors}");
    let expected = [
        "TENKAY_CHARSET: ",
        "TENKAY_USER: ",
        "t.toml:1:1: unknown key 'rot' at the top level; did you mean 'root'?",
        "t.toml:3:16: cannot open the link target 'gone'",
        "t.toml:4:8: etag cannot be 'md5'",
        "t.toml:5:1: '/a/*/b'",
        "t.toml:8:1: '/*/c' has a * that does not stand alone",
        "t.toml:8:1: a rule cannot change Content-Length",
        "t.toml:11:1: '/x*y'",
        "t.toml:17:8: cannot serve 'missing'",
        "users:1:1: user 'bob'",
        "users:3:1: expected name:hash",
    ];
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{errors}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{expected}: {errors}");
    }
}

#[test]
fn a_start_reports_the_problems_of_all_sites_as_well() {
    let text = BROKEN.replace("rot = 1", "").replace("etag = 'md5'", "listen = '127.0.0.1:0'");
    let folder = folder(&[("t.toml", &text), ("users", "bob:plain\n"), ("pub/index.html", "")]);
    let (status, _, errors) = run(folder.path(), &["-c", "t.toml"], &[]);
    assert_eq!(status, 1, "{errors}");
    for (place, count) in [
        ("t.toml:3:16", 1),
        ("users:1:1", 1),
        ("t.toml:5:1", 1),
        ("t.toml:8:1", 2),
        ("t.toml:17:8", 1),
    ] {
        let line = format!("tenkay: {place}: ");
        let found = errors.lines().filter(|found| found.starts_with(&line)).count();
        assert_eq!(found, count, "{errors}");
    }
}

#[test]
fn check_ends_with_0_if_there_are_only_warnings_and_needs_no_port() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("--listen={}", taken.local_addr().unwrap());
    let folder = folder(&[("_redirects", "/ok /b\n/a\n")]);
    let args = ["check", &listen, "--rule-files"];
    let (status, out, errors) = run(folder.path(), &args, &[("TENKAY_ROOTS", "x")]);
    assert_eq!((status, &*out), (0, "the settings are valid\n"), "{errors}");
    let [variable, line] = errors.lines().collect::<Vec<_>>()[..] else { panic!("{errors}") };
    assert!(variable.starts_with("warning: unknown environment variable"), "{errors}");
    assert!(line.contains("/_redirects:2:1: warning: '/a' has no destination"), "{errors}");
}

/// The files of the root win over a rule without `force`; a start accepts that in silence.
#[test]
fn a_move_to_another_host_without_force_is_named() {
    let text = "[[redirects]]\nfrom = '/*'\nto = 'https://example.org/:splat'\n";
    let folder = folder(&[("t.toml", text)]);
    let (status, out, errors) = run(folder.path(), &["check", "-c", "t.toml"], &[]);
    assert_eq!((status, &*out), (0, "the settings are valid\n"), "{errors}");
    assert!(errors.starts_with("t.toml:1:1: warning: '/*' is redirected"), "{errors}");
    fs::write(folder.path().join("t.toml"), format!("{text}force = true\n")).unwrap();
    let (_, _, errors) = run(folder.path(), &["check", "-c", "t.toml"], &[]);
    assert_eq!(errors, "");
}

/// `/private/` matches this path alone, and left everything below it open.
#[test]
fn a_guard_of_a_folder_alone_is_refused_or_named() {
    let text = "[[auth]]\nfor = '/private/'\nusers = 'users'\n";
    let folder = folder(&[("t.toml", text), ("users", ""), ("private/a", ""), ("b/c", "")]);
    let expected = "t.toml:2:7: for: '/private/' matches this path alone; write /private/* for the \
                    folder and everything below";
    for args in [&["check", "-c", "t.toml"][..], &["-c", "t.toml"]] {
        let (status, out, errors) = run(folder.path(), args, &[]);
        assert_eq!((status, &*out), (1, ""), "{args:?}: {errors}");
        assert!(errors.lines().any(|line| line == expected), "{args:?}: {errors}");
    }
    let text = "[[access]]\nfor = '/private'\ndeny = ['10.0.0.0/8']\n[[headers]]\nfor = '/b/'\n\
                remove = ['X-Frame-Options']\n";
    fs::write(folder.path().join("t.toml"), text).unwrap();
    let (status, out, errors) = run(folder.path(), &["check", "-c", "t.toml"], &[]);
    assert_eq!((status, &*out), (0, "the settings are valid\n"), "{errors}");
    let expected = [
        "t.toml:1:1: warning: '/private' matches this path alone, but it is a folder; write \
         /private/* for the folder and everything below",
        "t.toml:4:1: warning: '/b/' matches this path alone; write /b/* for the folder and \
         everything below, or /b for this path",
    ];
    assert_eq!(errors.lines().collect::<Vec<_>>(), expected);
}

/// Sockets that overlap were refused or served, depending on whether there was a supervisor.
#[test]
fn addresses_that_overlap_are_refused_by_check_and_by_every_start() {
    let admin = "listen = ['0.0.0.0:9']\n[admin]\nlisten = '127.0.0.1:9'";
    for (flags, text, expected) in [
        (
            &["-l", "9", "-l", "127.0.0.1:9"][..],
            "",
            "listen: 127.0.0.1:9 is listed already; leave one of the two out",
        ),
        (
            &["-l", ":9", "-l", "0.0.0.0:9"],
            "",
            "listen: *:9 includes 0.0.0.0:9; leave 0.0.0.0:9 out",
        ),
        (
            &["-c", "t.toml"],
            "listen = [':9', '[::1]:9']",
            "t.toml:1:17: listen: *:9 includes [::1]:9; leave [::1]:9 out",
        ),
        (
            &["-c", "t.toml"],
            admin,
            "t.toml:3:10: the admin listener cannot be at 127.0.0.1:9, where the sites are served \
             (0.0.0.0:9); choose another port or path for it",
        ),
        (&["-c", "t.toml", "-l", "0.0.0.0:9"], admin, "t.toml:3:10: the admin listener cannot be"),
    ] {
        let folder = folder(&[("index.html", ""), ("t.toml", text)]);
        let status = if text.is_empty() { 2 } else { 1 };
        for (args, status) in [([&["check"], flags].concat(), 1), (flags.to_vec(), status)] {
            let (found, _, errors) = run(folder.path(), &args, &[]);
            assert_eq!(found, status, "{args:?}: {errors}");
            assert!(errors.contains(expected), "{args:?}: {errors}");
        }
    }
}

/// The advice was to choose another address, whatever was wrong, and without the line.
#[test]
fn an_address_that_cannot_be_used_has_its_place_and_what_to_do() {
    let text = "listen = ['unix:/no/such/folder/s']\n";
    let folder = folder(&[("t.toml", text), ("index.html", "")]);
    let (status, _, errors) = run(folder.path(), &["-c", "t.toml"], &[]);
    assert_eq!(status, 1, "{errors}");
    let line = "tenkay: t.toml:1:11: cannot listen on unix:/no/such/folder/s: No such file or \
                directory (os error 2); create the folder of the socket\n";
    assert!(errors.contains(line), "{errors}");
    let environment = [("TENKAY_LISTEN", "unix:/no/such/folder/s")];
    let (_, _, errors) = run(folder.path(), &[], &environment);
    assert!(errors.contains("tenkay: TENKAY_LISTEN: cannot listen on unix:"), "{errors}");
}

#[test]
fn what_check_is_told_can_be_wrong_in_many_ways() {
    let folder =
        folder(&[("a.txt", ""), ("syntax.toml", "root = \n"), ("ok.toml", "root = '.'\n")]);
    for (args, status, expected) in [
        (&["check", "missing"][..], 1, "cannot serve 'missing'"),
        (&["check", "a.txt"], 1, "Not a directory"),
        (&["check", "--user=no-such-user"], 1, "no such user 'no-such-user'"),
        (&["check", "-c", "syntax.toml"], 1, "syntax.toml:1:"),
        (&["check", "-c", "absent.toml"], 1, "absent.toml: cannot read it"),
        (&["check", "--limit=head_bytes=100", "--limit=target_bytes=101"], 1, "cannot be larger"),
        (&["check", "--nonsense"], 2, "--nonsense"),
        (&["check", "-c", "ok.toml"], 0, ""),
    ] {
        let (found, _, errors) = run(folder.path(), args, &[]);
        assert_eq!(found, status, "{args:?}: {errors}");
        assert!(errors.contains(expected), "{args:?}: {errors}");
    }
}

#[test]
fn the_manual_page_and_the_completions_have_all_options_and_nothing_hidden() {
    let here = Path::new(".");
    let (_, help, _) = run(here, &["--help"], &[]);
    let flags: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim_start().split_once("--"))
        .filter(|(before, _)| before.is_empty() || before.ends_with(", "))
        .map(|(_, rest)| rest.split([' ', '[', '=']).next().unwrap())
        .collect();
    assert!(flags.len() > 35 && flags.contains(&"cache-control"), "{flags:?}");
    for args in
        [&["man"][..], &["completions", "bash"], &["completions", "zsh"], &["completions", "fish"]]
    {
        let (status, text, errors) = run(here, args, &[]);
        assert_eq!((status, &*errors), (0, ""), "{args:?}");
        let text = text.replace("\\-", "-");
        for flag in &flags {
            assert!(text.contains(flag), "{args:?}: {flag}");
        }
        for word in ["check", "explain", "precompress", "completions"] {
            assert!(text.contains(word), "{args:?}: {word}");
        }
        for hidden in ["__verify", "__worker", "__trial"] {
            assert!(!text.contains(hidden), "{args:?}: {hidden}");
        }
    }
    assert_eq!(run(here, &["completions", "sh"], &[]).0, 2);
}

/// Every key of the file.
const FULL: &str = include_str!("../src/config/file/tests/full.toml");

#[test]
fn the_output_of_config_is_a_file_with_the_same_settings() {
    let one_site = &FULL[..FULL.find("[[site]]").unwrap()];
    for (text, environment, flags) in [
        (FULL, &[][..], &[][..]),
        (one_site, &[("TENKAY_SPA", "/a\"b")], &["--type=foo=x/y", "--header=/a: X: \"\\"]),
        ("", &[("TENKAY_PORT", "81")], &["--redirect=/a /b 302!", "--limit=fields=7"]),
        ("listen = '0.0.0.0:80'", &[], &["-p", "82", "--no-listing", "--cors=*"]),
    ] {
        let folder = folder(&[("t.toml", text)]);
        let args = [&["config", "-c", "t.toml"], flags].concat();
        let (status, out, errors) = run(folder.path(), &args, environment);
        assert_eq!((status, &*errors), (0, ""));
        fs::create_dir(folder.path().join("other")).unwrap();
        fs::write(folder.path().join("other/u.toml"), &out).unwrap();
        let (status, again, errors) = run(folder.path(), &["config", "-c", "other/u.toml"], &[]);
        assert_eq!((status, &*errors), (0, ""), "{out}");
        let bare = |text: &str| -> Vec<String> {
            let cut =
                |line: &str| line.rsplit_once("  # ").map_or(line, |(rest, _)| rest).to_owned();
            text.lines().map(cut).collect()
        };
        assert_eq!(bare(&out), bare(&again));
    }
}

#[test]
fn config_says_where_each_setting_comes_from() {
    let folder = folder(&[("t.toml", FULL), ("one.toml", "etag = 'time'\n[limits]\nfields = 5\n")]);
    let environment = [("TENKAY_CHARSET", "off"), ("TENKAY_PORT", "81")];
    let args = ["config", "-c", "one.toml", "--spa=/a", "--redirect=/a /b"];
    let (_, out, _) = run(folder.path(), &args, &environment);
    for line in [
        "listen = [\"127.0.0.1:81\"]  # port: TENKAY_PORT; address: default",
        "sandbox = \"on\"  # default",
        "etag = \"time\"  # one.toml:1:8",
        "charset = \"off\"  # TENKAY_CHARSET",
        "spa = \"/a\"  # command line",
        "fields = 5  # one.toml:3:10",
        "# ranges = 256  # default",
        "[[redirects]]  # --redirect 1",
    ] {
        assert!(out.lines().any(|found| found == line), "{line}: {out}");
    }
    let (_, out, _) = run(folder.path(), &["config", "-c", "t.toml"], &[]);
    // A site has what it inherits.
    assert_eq!(out.lines().filter(|line| line.starts_with("spa = \"/index.htm\"")).count(), 2);
    let lines = FULL.lines().filter(|line| !line.starts_with(' ')); // within an array
    for key in lines.filter_map(|line| line.split_once(" = ")).map(|(key, _)| key) {
        let heads = ["[{}]", "[site.{}]", "[[site.{}]]"].map(|head| head.replace("{}", key));
        let is_there = out.contains(&format!("{key} =")) || heads.iter().any(|it| out.contains(it));
        assert!(is_there, "{key}");
    }
}

#[test]
fn config_refuses_what_a_start_refuses() {
    let folder = folder(&[("t.toml", "rot = 1\netag = 'md5'\n")]);
    let (status, out, errors) = run(folder.path(), &["config", "-c", "t.toml"], &[]);
    assert_eq!((status, &*out, errors.lines().count()), (1, "", 2), "{errors}");
    let conflict = ["config", "--limit=head_bytes=100", "--limit=target_bytes=101"];
    assert_eq!(run(folder.path(), &conflict, &[]).0, 2);
}
