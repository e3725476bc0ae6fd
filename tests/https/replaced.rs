//! A worker that replaces another serves with the certificates that the reload or the start has
//! read, and a certificate outside of its dates is served. Each of these cases ended all sites.

use std::fs;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustix::process::Signal;

use crate::common::{Server, Setup, run_to_end};
use crate::process::{children, eventually, kill, signal};
use crate::{Place, connect, get};

/// Writes NAME.pem and NAME.key, valid until the end of 2001.
fn certify_expired(place: &Place, name: &str) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2001, 12, 31);
    let certificate = params.self_signed(&key).unwrap();
    fs::write(place.path(&format!("{name}.pem")), certificate.pem()).unwrap();
    fs::write(place.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    certificate.der().to_vec()
}

fn setup(place: &Place) -> Setup {
    let config = "root = 'root'\n[tls]\ncertificates = [{ cert = 'tls.pem', key = 'tls.key' }]\n";
    fs::write(place.path("t.toml"), config).unwrap();
    Setup::configured(&place.path("t.toml")).listen(["https://127.0.0.1:0"])
}

/// Kills the worker, and waits until another one runs.
fn kill_worker(server: &Server) {
    let [worker] = children(server.pid())[..] else { panic!("one worker") };
    kill(worker, Signal::KILL);
    eventually("another one runs", || {
        let now = children(server.pid());
        now.len() == 1 && now != [worker]
    });
}

fn assert_serves(server: &Server, certificate: &[u8]) {
    let mut client = connect(server);
    assert_eq!(client.certificate(), certificate);
    assert_eq!(get(&mut client, "/a.txt").body, b"alpha");
}

#[test]
fn an_expired_certificate_is_an_error_of_check_and_a_line_of_the_log_of_all_others() {
    let place = Place::new();
    let sound = connect(&setup(&place).start().unwrap()).certificate();
    let mut server = setup(&place).start().unwrap();
    let expired = certify_expired(&place, "tls");
    assert_ne!(sound, expired);
    let line = format!(
        "tenkay: the certificate '{}' expired on 2001-12-31T00:00:00Z; clients refuse it: renew \
         it, then reload",
        place.path("tls.pem").display()
    );
    signal(&server, Signal::HUP);
    eventually("it is reloaded", || server.log().contains("reloaded: generation 2 serves"));
    assert_eq!(server.log().matches(&line).count(), 1, "{}", server.log());
    eventually("the new one is used", || connect(&server).certificate() == expired);
    eventually("one generation is left", || children(server.pid()).len() == 1);
    kill_worker(&server);
    assert_serves(&server, &expired);

    let mut server = setup(&place).start().unwrap();
    assert_serves(&server, &expired);
    assert_eq!(server.log().matches(&line).count(), 1, "{}", server.log());

    let check = Setup::new(std::path::Path::new("check")).args(["-c".into(), place.path("t.toml")]);
    let (status, _, errors) = run_to_end(check.listen(["https://127.0.0.1:0"]));
    assert_eq!(status.code(), Some(1), "{errors}");
    let place = format!("{}:3:17: the certificate", place.path("t.toml").display());
    assert!(errors.lines().any(|line| line.starts_with(&place)), "{errors}");
}

#[test]
fn a_worker_replaces_another_with_the_key_that_the_reload_has_not_replaced() {
    let place = Place::new();
    let mut server = setup(&place).start().unwrap();
    let certificate = connect(&server).certificate();
    place.certify("other", &["localhost"]);
    fs::copy(place.path("other.key"), place.path("tls.key")).unwrap();
    signal(&server, Signal::HUP);
    eventually("it is refused", || server.log().contains("reload failed: "));
    kill_worker(&server);
    assert_serves(&server, &certificate);
    fs::remove_file(place.path("tls.key")).unwrap();
    fs::remove_file(place.path("tls.pem")).unwrap();
    kill_worker(&server);
    assert_serves(&server, &certificate);
    // The program that takes over has them from the one before; its own reload is refused.
    signal(&server, Signal::USR2);
    eventually("another program takes over", || server.log().contains("takes over"));
    eventually("it is refused", || server.log().matches("reload failed: ").count() == 2);
    kill_worker(&server);
    assert_serves(&server, &certificate);
}
