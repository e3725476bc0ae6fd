//! The files in `packaging/` are accepted by the programs that read them.

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tenkay::config::file;

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(packaging(name)).expect(name)
}

/// The text behind `tenkay.toml: |` in a manifest.
fn configuration_of(manifest: &str) -> String {
    let (_, rest) = manifest.split_once("tenkay.toml: |\n").unwrap();
    let lines = rest.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    lines.map(|line| line.trim_start_matches("    ").to_owned() + "\n").collect()
}

/// The lines of the comment at the start of a file that are indented.
fn configuration_in_comment(text: &str) -> String {
    let comment = text.lines().map_while(|line| line.strip_prefix('#'));
    comment.filter_map(|line| line.strip_prefix("   ")).map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn the_configuration_files_have_no_problem() {
    for (name, text) in [
        ("tenkay.toml", read("tenkay.toml")),
        ("kubernetes/tenkay.yaml", configuration_of(&read("kubernetes/tenkay.yaml"))),
        ("kubernetes/git-sync.yaml", configuration_of(&read("kubernetes/git-sync.yaml"))),
        ("haproxy/haproxy.cfg", configuration_in_comment(&read("haproxy/haproxy.cfg"))),
        ("nginx/tenkay.conf", configuration_in_comment(&read("nginx/tenkay.conf"))),
    ] {
        assert!(text.contains("listen"), "{name}: {text}");
        let parsed = file::parse(Path::new("/etc/tenkay/tenkay.toml"), text.as_bytes());
        let problems = parsed.err().unwrap_or_default();
        assert!(problems.is_empty(), "{name}: {problems:?}\n{text}");
    }
}

/// Runs a program that checks a file; `None`: it is not installed.
fn check(program: &str, args: &[&str]) -> Option<(bool, String)> {
    let output = Command::new(program).args(args).output().ok()?;
    Some((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[test]
fn haproxy_and_nginx_accept_their_examples() {
    let haproxy = packaging("haproxy/haproxy.cfg");
    match check("haproxy", &["-c", "-f", haproxy.to_str().unwrap()]) {
        Some((accepted, errors)) => assert!(accepted, "{errors}"),
        None => eprintln!("skipped: haproxy is not installed"),
    }
    let place = tempfile::tempdir().unwrap();
    let text = format!(
        "pid {}/pid;\nerror_log stderr;\nevents {{}}\n\
         http {{ access_log off; client_body_temp_path body; include {}; }}\n",
        place.path().display(),
        packaging("nginx/tenkay.conf").display(),
    );
    let whole = place.path().join("nginx.conf");
    fs::write(&whole, text).unwrap();
    let prefix = format!("{}/", place.path().display());
    match check("nginx", &["-t", "-q", "-p", &prefix, "-c", whole.to_str().unwrap()]) {
        // The check binds port 80, which a user without root rights may not.
        Some((accepted, errors)) => {
            assert!(accepted || errors.contains("Permission denied"), "{errors}");
        }
        None => eprintln!("skipped: nginx is not installed"),
    }
}
