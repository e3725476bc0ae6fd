//! The examples of the documentation are accepted by the program, and its commands can be run.
//!
//! A fenced block marked `toml` is a configuration file, `redirects` and `headers` are rule files.
//! Blocks marked `sh` are commands: those of a page run in order, in one shell, in a folder with
//! what [`tenkay_sites`] makes. Absolute paths lead into that folder. A command that would serve is
//! replaced by `tenkay check` with the same arguments. The blocks of a page that begins with
//! [`NEEDS_SYSTEMD`] are run by `scripts/package-test`.

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tenkay::config::file;
use tenkay::config::layer::{Layer, SiteLayer, TlsLayer};
use tenkay::rules::file::{parse_headers, parse_redirects};

const NEEDS_SYSTEMD: &str = "<!-- The commands of this page are run on a booted systemd. -->";

/// All pages, and README.md, with their texts.
fn pages() -> Vec<(String, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(top.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    paths.push(top.join("README.md"));
    paths.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The code blocks of a text in this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_examples_of_a_configuration_file_are_accepted() {
    let mut count = 0;
    for (page, text) in pages() {
        for example in blocks(&text, "toml") {
            let parsed = file::parse(Path::new("/etc/tenkay.toml"), example.as_bytes());
            let problems = parsed.err().unwrap_or_default();
            assert!(problems.is_empty(), "{page}: {problems:?}\n{example}");
            count += 1;
        }
    }
    assert!(count >= 5, "{count}");
}

/// Words in code spans that look like a name of a setting: with an underscore, and nothing else.
fn names_in(text: &str) -> Vec<&str> {
    let spans = text.split('`').skip(1).step_by(2);
    let is_name = |word: &&str| {
        word.contains('_')
            && !word.starts_with('_')
            && word.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
    };
    spans.filter_map(|span| span.split([' ', '=']).next()).filter(is_name).collect()
}

#[test]
fn the_settings_that_the_pages_name_exist() {
    let known =
        concat!(include_str!("../docs/reference.md"), include_str!("../docs/configuration.md"));
    let mut count = 0;
    for (page, text) in pages() {
        // The first words of their rows are names of other servers, or of metrics.
        if page.starts_with("from-") || page == "metrics.md" {
            continue;
        }
        for name in names_in(&text).into_iter().filter(|name| !OTHER_NAMES.contains(name)) {
            let option = format!("`--{}`", name.replace('_', "-"));
            let is_known = known.contains(&format!("`{name}`")) || known.contains(&option);
            assert!(is_known, "{page}: there is no {name}");
            count += 1;
        }
    }
    assert!(count >= 20, "{count}");
}

/// Names in the pages that are not settings: system calls and the like.
const OTHER_NAMES: &[&str] = &["epoll_wait", "listen_tcp"];

#[test]
fn the_table_of_keys_is_complete() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = fs::read_to_string(path).unwrap();
    // Those that are no key of the file, and those that have another name there.
    let others =
        ["table", "config", "port", "proxy_protocol", "admin_listen", "admin_hosts", "sites"];
    let keys = [SiteLayer::NAMES, Layer::NAMES, TlsLayer::NAMES].into_iter().flatten();
    for key in keys.filter(|key| !others.contains(key)) {
        let is_listed = text.lines().any(|line| {
            let cell = line.strip_prefix("| ").and_then(|line| line.split(" | ").next());
            let names = [format!("`{key}`"), format!("`[{key}]`"), format!("`[[{key}]]`")];
            cell.is_some_and(|cell| names.iter().any(|name| cell.contains(name)))
        });
        assert!(is_listed, "{key} is not in docs/configuration.md");
    }
}

#[test]
fn the_options_that_the_readme_names_exist() {
    // Options of cargo, of subcommands, and of all programs; and a form of options.
    const OTHERS: [&str; 8] = [
        "--help",
        "--release",
        "--path",
        "--open",
        "--no-default-features",
        "--check",
        "--version",
        "--no-",
    ];
    const NO_OPTIONS: [&str; 2] = ["--", "---"];
    let reference = include_str!("../docs/reference.md");
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let words = include_str!("../README.md").split(|letter| !is_word(letter));
    let mut count = 0;
    for option in words.filter(|word| word.starts_with("--") && !NO_OPTIONS.contains(word)) {
        let is_known = reference.contains(&format!("| `{option}` |"));
        assert!(is_known || OTHERS.contains(&option), "there is no {option}");
        count += 1;
    }
    assert!(count >= 40, "{count}");
}

/// Words in code spans that are paths in the repository.
fn paths_in(text: &str) -> impl Iterator<Item = &str> {
    const FOLDERS: [&str; 7] =
        ["src/", "tests/", "docs/", "fuzz/", "scripts/", "packaging/", "examples/"];
    let words = text.split('`').skip(1).step_by(2).filter_map(|span| span.split(' ').next());
    words.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
}

/// The targets of links in a text, without those to other servers.
fn links_in(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://"))
}

/// The anchors of the headings of a page, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let anchor = |heading: &str| {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        let kept =
            title.chars().filter(|&letter| letter.is_alphanumeric() || " -_".contains(letter));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn the_files_that_the_pages_name_exist() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<_> = pages()
        .into_iter()
        .map(|(name, text)| match name.as_str() {
            "README.md" => (top.join(name), text),
            _ => (top.join("docs").join(name), text),
        })
        .collect();
    for name in ["SECURITY.md", "BENCHMARKS.md", "CHANGELOG.md", "fuzz/README.md"] {
        pages.push((top.join(name), fs::read_to_string(top.join(name)).unwrap()));
    }
    for (page, text) in &pages {
        let page_name = page.display();
        for path in paths_in(text).filter(|path| *path != "docs/index.html") {
            assert!(top.join(path).exists(), "{page_name}: there is no {path}");
        }
        for target in links_in(text) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { page.clone() } else { page.with_file_name(file) };
            assert!(file.exists(), "{page_name}: there is no {target}");
            if !anchor.is_empty() {
                let known = anchors(&fs::read_to_string(&file).unwrap());
                assert!(known.iter().any(|one| one == anchor), "{page_name}: {target}: {known:?}");
            }
        }
    }
}

#[test]
fn the_examples_of_rule_files_have_no_bad_line() {
    for (page, text) in pages() {
        for example in blocks(&text, "redirects") {
            assert_eq!(parse_redirects(example.as_bytes()).problems, [], "{page}");
        }
        for example in blocks(&text, "headers") {
            assert_eq!(parse_headers(example.as_bytes()).problems, [], "{page}");
        }
    }
}

/// The parts of each line of the log that do not vary, with the file that writes it.
const LINES: &[(&str, &str)] = &[
    (
        "site/store/faults.rs",
        "its rules set more than 8 KiB of fields; none of these fields is sent",
    ),
    ("site/store/refresh.rs", "answering 503 until it is back"),
    ("site/store/refresh.rs", ": is back"),
    ("site/store/refresh.rs", "its rules stay as they were"),
    ("reactor/connections.rs", "changed or became unreadable while being sent to"),
    ("reactor/connections.rs", "bug: "),
    ("reactor/connections.rs", "closing the connection of"),
    ("reactor/resources.rs", "connection from"),
    ("reactor/resources.rs", "closed: "),
    ("reactor/mod.rs", "event loop was busy for"),
    ("reactor/shutdown.rs", "shutting down: "),
    ("reactor/shutdown.rs", " drains: "),
    (
        "reactor/shutdown.rs",
        "SIGHUP, SIGUSR1 and SIGUSR2 are for the supervisor; a worker ignores them",
    ),
    ("reactor/shutdown.rs", "the log continues in the old file"),
    ("reactor/accept.rs", "not accepting for now: "),
    ("reactor/signals.rs", "SIGHUP: nothing to reload; "),
    ("reactor/signals.rs", "SIGUSR1: no log file to reopen; "),
    (
        "reactor/signals.rs",
        "SIGUSR2: no supervisor that could switch to a new program file; restart",
    ),
    ("journal/sink.rs", "cannot write the access log"),
    ("journal/sink.rs", "of the access log"),
    ("journal/sink.rs", "writing the access log"),
    ("reactor/connections.rs", "PROXY header: "),
    ("reactor/clients.rs", "malformed Forwarded or X-Forwarded-For from proxy"),
    ("journal/mod.rs", "lines like the next one were suppressed (limit: "),
    ("journal/log.rs", "log lines were dropped, because standard error was not read"),
    ("journal/observer.rs", "request of"),
    ("config/log.rs", "cannot open the access log"),
    ("config/fit.rs", "lowered from"),
    ("config/fit.rs", "allows more memory than there is: "),
    ("process/supervisor/mod.rs", "starting another"),
    ("process/supervisor/reload.rs", "reload failed: "),
    ("process/supervisor/reload.rs", "reloaded: generation"),
    ("process/supervisor/trial.rs", "takes over"),
    ("process/supervisor/trial.rs", "the running program goes on"),
    ("process/supervisor/trial.rs", "no upgrade: the path of the program is unknown"),
    ("process/supervisor/mod.rs", "ended with responses cut off"),
    ("process/generation.rs", "cannot start a worker: "),
    ("process/server.rs", "running as root; use --user NAME to drop privileges"),
    ("process/server.rs", "not apply to"),
    ("net/tls/certificates.rs", "expires today, on"),
    ("net/tls/certificates.rs", "expired on"),
    ("net/tls/certificates.rs", "is not valid before"),
    ("net/tls/certificates.rs", "renew it, then reload"),
    ("net/tls/material.rs", "SHA-256 fingerprint"),
    ("process/server.rs", "metrics and health at"),
    ("process/server.rs", "can be reached from other machines, without a password"),
    ("reactor/metrics.rs", "the metrics of this worker cannot be added"),
    ("sandbox.rs", "no sandbox: "),
    ("sandbox.rs", "the sandbox is partial: "),
    ("sandbox.rs", "the sandbox does not let the process read"),
    ("sandbox.rs", "the sandbox lets the process read every file: "),
    ("net/listen.rs", "cannot be set ("),
    ("net/listen.rs", "all workers use one socket"),
    ("net/listen.rs", "the next start on it removes it"),
    ("site/mod.rs", "cannot serve '"),
    ("site/advice.rs", "matches this path alone"),
    ("site/advice.rs", "no certificate covers "),
    ("site/advice.rs", "has a $, which is sent as it is; "),
    ("site/advice.rs", "there is no file '"),
    ("files/root.rs", "permission denied"),
    ("site/advice.rs", "but it is a folder; "),
    ("process/sockets.rs", "cannot listen on "),
    ("process/sockets.rs", "tenkay itself listens there, "),
    ("process/sockets.rs", "the running workers listen there, "),
    ("net/activated.rs", "systemd passed no sockets; "),
    ("config/layer/tls.rs", "an address with https needs a certificate; "),
    ("net/tls/certificates.rs", "cannot read the "),
    ("net/tls/certificates.rs", "copy it to a readable place in a deploy hook"),
    ("net/tls/certificates.rs", "does not belong to the certificate '"),
    ("net/tls/certificates.rs", "there is no certificate in '"),
    ("net/tls/certificates.rs", "there is no private key in '"),
    ("net/tls/certificates.rs", "' is encrypted; "),
    ("sandbox.rs", "no such user '"),
    ("sandbox.rs", "cannot switch to user '"),
    ("cli.rs", ": cannot read it: "),
    ("auth/pool.rs", "password helper process"),
    ("auth/pool.rs", "it took more than"),
    ("cli.rs", "unknown environment variable"),
    ("main.rs", "cut off"),
];

/// Where lines are written: a file, and how many calls it has.
const CALLS: &[(&str, usize)] = &[
    ("journal/log.rs", 1),
    ("journal/mod.rs", 3),
    ("process/server.rs", 2),
    ("process/supervisor/mod.rs", 7),
    ("process/supervisor/reload.rs", 5),
    ("process/supervisor/trial.rs", 3),
    ("process/worker.rs", 2),
    ("reactor/accept.rs", 2),
    ("reactor/clients.rs", 1),
    ("reactor/connections.rs", 5),
    ("reactor/expiry.rs", 1),
    ("reactor/metrics.rs", 1),
    ("reactor/mod.rs", 5),
    ("reactor/resources.rs", 1),
    ("reactor/shutdown.rs", 5),
];

#[test]
fn every_line_of_the_log_is_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).expect(name);
        // A text in the source may be continued on the next line.
        text.split("\\\n").map(str::trim_start).collect::<String>()
    };
    let page = read("docs/troubleshooting.md");
    for (file, text) in LINES {
        assert!(page.contains(text), "docs/troubleshooting.md lacks {text:?}");
        assert!(read(&format!("src/{file}")).contains(text), "src/{file} lacks {text:?}");
    }
    let mut found = Vec::new();
    count_calls(&folder.join("src"), &mut found);
    let found: Vec<(&str, usize)> =
        found.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    let advice = "add the new line to docs/troubleshooting.md and to LINES, and count its call";
    assert_eq!(found, CALLS, "{advice}");
}

/// The files below `folder` that write lines, by name.
fn count_calls(folder: &Path, found: &mut Vec<(String, usize)>) {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            count_calls(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let calls = [
            "note(LogLevel::",
            "note(level, format_args!",
            "note(\n",
            "repeat(\n",
            "repeat(Kind::",
            "note_about(",
        ];
        let count = calls.iter().map(|call| code.matches(&format!(".{call}")).count()).sum();
        if count > 0 {
            let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
            let name = path.strip_prefix(top).unwrap().display().to_string();
            found.push((name, count));
        }
    }
}

/// Defined before the commands of a page. `$HERE` is the folder of the test.
const PRELUDE: &str = r#"
set -eu
cd "$HERE"
tenkay() {
    case "${1:-}" in
    check | config | explain | precompress | man | completions | help | -*V | -h)
        command tenkay "$@" ;;
    # 1: no server answers.
    healthcheck) command tenkay "$@" || [ $? = 1 ] ;;
    *) command tenkay check "$@" ;;
    esac
}
sudo() { "$@"; }
# The checks of a merge run these.
cargo() { case "$1" in build | doc | install | run | test) ;; *) return 1 ;; esac; }
"#;

/// Folders that the commands of the pages name, and what they need to be there.
fn tenkay_sites(here: &Path) {
    for site in ["public", "dist", "srv/www", "srv/example", "srv/app", "srv/files"] {
        let folder = here.join(site);
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in [
            ("index.html", "<!DOCTYPE html><title>Index</title>"),
            ("about.html", "<!DOCTYPE html><title>About</title>"),
            ("404.html", "<!DOCTYPE html><title>Not found</title>"),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    fs::create_dir_all(here.join("etc/tenkay")).unwrap();
    let site = "[[site]]\nhosts = [\"example.org\"]\nroot = \"/srv/example\"\n";
    let configuration = format!("[admin]\nlisten = \"127.0.0.1:9180\"\n{site}");
    for name in ["site.toml", "etc/tenkay.toml", "etc/tenkay/tenkay.toml"] {
        fs::write(here.join(name), moved(&configuration, here)).unwrap();
    }
}

/// The text with absolute paths below `here`.
fn moved(text: &str, here: &Path) -> String {
    ["/etc/tenkay", "/srv/", "/var/log/tenkay", "/run/tenkay"].iter().fold(
        text.to_owned(),
        |text, path| {
            // Not within a longer path.
            [" ", "\"", "'", "="].iter().fold(text, |text, before| {
                text.replace(
                    &format!("{before}{path}"),
                    &format!("{before}{}{path}", here.display()),
                )
            })
        },
    )
}

#[test]
fn the_commands_of_each_page_run() {
    let mut count = 0;
    for (page, text) in pages() {
        let commands = blocks(&text, "sh");
        if commands.is_empty() || text.starts_with(NEEDS_SYSTEMD) {
            continue;
        }
        let here = tempfile::tempdir().unwrap();
        tenkay_sites(here.path());
        let script = format!("{PRELUDE}\n{}", moved(&commands.join("\n"), here.path()));
        let program = Path::new(env!("CARGO_BIN_EXE_tenkay")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("timeout");
        shell.args(["60", "bash", "-c", &script]).env("HERE", here.path()).env("PATH", path);
        let output = match shell.output() {
            Ok(output) => output,
            Err(error) => return eprintln!("skipped: cannot run timeout(1): {error}"),
        };
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{page}: {}\n{error}\n{script}", output.status);
        count += 1;
    }
    assert!(count >= 3, "{count}");
}
