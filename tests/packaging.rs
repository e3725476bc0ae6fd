//! The files in `packaging/` are accepted by the programs that read them.

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
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

/// A command that writes its arguments to the file `calls` in its folder; its exit status follows.
const RECORDER: &str = "#!/bin/sh\necho \"${0##*/} $*\" >>\"${0%/*}/calls\"\nexit ";

/// Runs the hook of ACME clients; what would change the system is recorded only. Returns its exit
/// status and the commands.
fn install_certificate(args: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let place = tempfile::tempdir().unwrap();
    for name in ["install", "mv", "systemctl"] {
        let path = place.path().join(name);
        fs::write(&path, format!("{RECORDER}0\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", place.path().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.arg(packaging("certificates/install-certificate")).args(args).env("PATH", path);
    for name in ["RENEWED_LINEAGE", "LEGO_HOOK_CERT_PATH", "LEGO_CERT_PATH"] {
        command.env_remove(name);
    }
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let calls = fs::read_to_string(place.path().join("calls")).unwrap_or_default();
    (output.status.code(), calls)
}

#[test]
fn the_hook_of_acme_clients_copies_a_certificate_for_the_user_of_the_unit_and_reloads() {
    let lineage = ("RENEWED_LINEAGE", "/etc/letsencrypt/live/a.org");
    let lego = [("LEGO_CERT_PATH", "/x/_.a.org.crt"), ("LEGO_CERT_KEY_PATH", "/x/_.a.org.key")];
    let lego_5 =
        [("LEGO_HOOK_CERT_PATH", "/x/a.org.crt"), ("LEGO_HOOK_CERT_KEY_PATH", "/x/a.org.key")];
    for (args, environment, name, certificate, key) in [
        (&["a.org", "/c", "/k"][..], &[lineage][..], "a.org", "/c", "/k"),
        (
            &[],
            &[lineage],
            "a.org",
            "/etc/letsencrypt/live/a.org/fullchain.pem",
            "/etc/letsencrypt/live/a.org/privkey.pem",
        ),
        (&[], &lego, "_.a.org", "/x/_.a.org.crt", "/x/_.a.org.key"),
        (&[], &lego_5, "a.org", "/x/a.org.crt", "/x/a.org.key"),
    ] {
        let folder = "/etc/tenkay/tls";
        let expected = format!(
            "install -d -o root -g tenkay -m 0750 {folder}\n\
             install -o root -g tenkay -m 0640 {certificate} {folder}/.{name}.pem\n\
             install -o root -g tenkay -m 0640 {key} {folder}/.{name}.key\n\
             mv {folder}/.{name}.pem {folder}/{name}.pem\n\
             mv {folder}/.{name}.key {folder}/{name}.key\n\
             systemctl --quiet is-active tenkay.service\n\
             systemctl reload tenkay.service\n"
        );
        assert_eq!(install_certificate(args, environment), (Some(0), expected));
    }
    for args in [&[][..], &["a.org"], &["../a", "/c", "/k"], &["", "/c", "/k"]] {
        assert_eq!(install_certificate(args, &[]), (Some(2), String::new()), "{args:?}");
    }
}
