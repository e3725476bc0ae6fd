//! What the settings of TLS change: redirects, HSTS, challenges, certificates.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use sha2::{Digest, Sha256};

use crate::common::{MAY_NOT_START, Setup, run_to_end};
use crate::secure::Secure;
use crate::{Place, address, ask, connect, field, get, plain};

#[test]
fn plain_http_is_redirected_with_the_port_of_https_and_hsts_is_sent_over_tls_only() {
    let place = Place::new();
    fs::create_dir_all(place.path("root/.well-known")).unwrap();
    fs::write(place.path("root/.well-known/security.txt"), "Contact").unwrap();
    let hsts = "max-age=60; includeSubDomains";
    let server = place.setup().args(["--redirect-http", "--hsts", hsts]).start().unwrap();
    let port = address(&server, 0).port();
    let get = |target: &str, fields: &str| {
        plain(address(&server, 1), &format!("GET {target} HTTP/1.1\r\n{fields}\r\n"))
    };
    let answer = get("/a.txt?q=1", "Host: example.org:80\r\n");
    assert_eq!(answer.status, 308);
    let location = format!("https://example.org:{port}/a.txt?q=1");
    assert_eq!(field(&answer, "Location"), Some(&*location));
    assert_eq!(field(&answer, "Strict-Transport-Security"), None);
    let answer = get("/.well-known/security.txt", "Host: example.org\r\n");
    assert_eq!((answer.status, &*answer.body), (200, &b"Contact"[..]));
    let mut client = connect(&server);
    for target in ["/a.txt", "/missing", "/a.txt"] {
        let answer = super::get(&mut client, target);
        assert_eq!(field(&answer, "Strict-Transport-Security"), Some(hsts), "{target}");
    }
}

#[test]
fn challenges_come_from_a_folder_of_their_own_and_nothing_else_does() {
    let place = Place::new();
    let challenges = place.path("acme/.well-known/acme-challenge");
    fs::create_dir_all(&challenges).unwrap();
    fs::write(challenges.join("token"), "answer").unwrap();
    fs::write(place.path("acme/secret"), "secret").unwrap();
    let webroot = place.path("acme").into_os_string();
    let args = ["--redirect-http".into(), "--acme-webroot".into(), webroot];
    let server = place.setup().args(args).start().unwrap();
    for (target, status) in [
        ("/.well-known/acme-challenge/token", 200),
        ("/.well-known/./acme-challenge/token", 200),
        ("/.well-known/acme-challenge/missing", 404),
        ("/.well-known/acme-challenge/", 403),
        ("/.well-known/acme-challenge/../../secret", 308),
        ("/.well-known/acme-challenge/%2e%2e/%2e%2e/secret", 308),
        ("/.well-known/other", 404),
        ("/secret", 308),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: example.org\r\n\r\n");
        let answer = plain(address(&server, 1), &text);
        assert_eq!(answer.status, status, "{target}");
        assert_ne!(answer.body, b"secret", "{target}");
    }
    let answer = get(&mut connect(&server), "/.well-known/acme-challenge/token");
    assert_eq!(answer.status, 404, "over TLS, the site has the path");
}

#[test]
fn a_host_that_the_certificate_does_not_cover_is_misdirected() {
    let place = Place::new();
    let server = place.start();
    for (host, status) in [
        ("localhost", 200),
        ("EXAMPLE.org:99", 200),
        ("127.0.0.1:1", 200),
        ("example.com", 421),
        ("a.example.org", 421),
    ] {
        let answer = ask(&mut connect(&server), "/a.txt", &format!("Host: {host}\r\n"));
        assert_eq!(answer.status, status, "{host}");
    }
    let answer = ask(&mut connect(&server), "https://localhost/a.txt", "Host: x\r\n");
    assert_eq!(answer.status, 200);
    let answer = ask(&mut connect(&server), "http://localhost/a.txt", "Host: localhost\r\n");
    assert_eq!(answer.status, 421);
}

#[test]
fn http_on_the_address_of_https_is_told_so_in_clear() {
    let place = Place::new();
    let server = place.start();
    let answer = plain(address(&server, 0), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(answer.status, 400);
    assert!(String::from_utf8_lossy(&answer.body).contains("speaks HTTPS"));
    assert_eq!(field(&answer, "Connection"), Some("close"));
}

#[test]
fn a_self_signed_certificate_is_made_only_when_asked_for_and_its_fingerprint_is_printed() {
    let place = Place::new();
    let setup = || Setup::new(&place.path("root")).listen(["https://127.0.0.1:0"]);
    let (status, _, errors) = run_to_end(setup());
    assert_eq!(status.code(), Some(2));
    assert!(errors.contains("needs a certificate; add --cert FILE and --key FILE"), "{errors}");
    let mut server = setup().args(["--self-signed"]).start().unwrap();
    let stream = TcpStream::connect(address(&server, 0)).unwrap();
    let client = Secure::shake_hands(stream, crate::PATIENCE).unwrap();
    let hash = Sha256::digest(client.certificate());
    let hash: Vec<String> = hash.iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(server.log().contains(&hash.join(":")), "{}", server.log());
    assert!(server.log().contains("self-signed certificate for localhost, 127.0.0.1, ::1"));
}

#[test]
fn the_metrics_say_when_the_first_certificate_expires() {
    let place = Place::new();
    let socket = place.path("admin");
    let admin = format!("--admin-listen=unix:{}", socket.display());
    let metrics = |setup: Setup| {
        let _server = setup.args([&admin]).start().unwrap();
        let mut stream = UnixStream::connect(&socket).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    // The default of the library that makes the certificate: the year 4096.
    let line = "\ntenkay_tls_certificate_expiry_timestamp_seconds 67090118400\n";
    let text = metrics(place.setup());
    assert!(text.contains(line), "{text}");
    let text = metrics(Setup::new(&place.path("root")));
    assert!(!text.contains("certificate_expiry"), "{text}");
}

#[test]
fn a_bad_certificate_is_refused_by_check_and_at_start_with_its_path() {
    let place = Place::new();
    place.certify("other", &["localhost"]);
    let key = place.path("other.key").display().to_string();
    let config = "
root = 'root'
listen = 'https://127.0.0.1:0'
[tls]
certificates = [
  { cert = 'tls.pem', key = 'other.key' },
  { cert = 'none.pem', key = 'tls.key' },
]
";
    fs::write(place.path("t.toml"), config).unwrap();
    let file = place.path("t.toml");
    let program = env!("CARGO_BIN_EXE_tenkay");
    let checked = std::process::Command::new(program).arg("check").arg("-c").arg(&file).output();
    let checked = checked.unwrap();
    let (status, _, errors) = run_to_end(Setup::configured(&file).listen([] as [&str; 0]));
    for (code, text) in [
        (checked.status.code(), String::from_utf8(checked.stderr).unwrap()),
        (status.code(), errors),
    ] {
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("t.toml:6:3: the key"), "{text}");
        assert!(text.contains(&format!("{key}' does not belong to the certificate")), "{text}");
        assert!(text.contains("t.toml:7:3: cannot read the certificate"), "{text}");
    }
}

/// Each request for such a host was answered 421, and `tenkay check` said nothing.
#[test]
fn a_host_that_no_certificate_covers_is_a_warning_of_check_and_of_the_start() {
    let place = Place::new();
    let config = "[tls]\ncertificates = [{ cert = 'tls.pem', key = 'tls.key' }]\n[[site]]\n\
                  hosts = ['example.org']\nroot = 'root'\n[[site]]\nroot = 'root'\n\
                  hosts = ['blog.example.com']\n";
    fs::write(place.path("t.toml"), config).unwrap();
    let setup = || Setup::configured(&place.path("t.toml")).listen(["https://127.0.0.1:0"]);
    let file = place.path("t.toml").display().to_string();
    let what = "no certificate covers 'blog.example.com': over TLS, requests get 421; add a \
                certificate for it";
    let mut server = setup().start().unwrap();
    let log = server.log();
    assert_eq!(log.matches(&format!("tenkay: {file}:8:9: {what}\n")).count(), 1, "{log}");
    assert_eq!(log.matches("no certificate covers").count(), 1, "{log}");
    let check = Setup::new(std::path::Path::new("check")).args(["-c", &file]);
    let (status, _, errors) = run_to_end(check.listen(["https://127.0.0.1:0"]));
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(errors.contains(&format!("{file}:8:9: warning: {what}\n")), "{errors}");
    fs::write(
        &file,
        config.replace(
            "certificates = [{ cert = 'tls.pem', key = 'tls.key' }]",
            "self_signed = true",
        ),
    )
    .unwrap();
    assert!(!setup().start().unwrap().log().contains("no certificate covers"));
}

#[test]
fn a_certificate_that_only_root_may_read_has_a_remedy() {
    let place = Place::new();
    fs::set_permissions(place.path("tls.pem"), fs::Permissions::from_mode(0o0)).unwrap();
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let Err(why) = place.setup().unprivileged().start() else { panic!("it was refused") };
    if why.starts_with(MAY_NOT_START) {
        eprintln!("skipped: {why}");
        return;
    }
    let line = "Permission denied (os error 13); copy it to a readable place in a deploy hook, or \
                start as root with user";
    assert!(why.contains(line), "{why}");
}
