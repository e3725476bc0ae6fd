//! Which certificates are refused, and which one a client gets.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, SignatureScheme};

use super::super::certificates::{Certificates, Resolver};
use super::super::check;
use super::authority::{Authority, Wanted, good, now, write};
use crate::config::{CertificateFiles, LogLevel, TlsConfig, TlsVersion};
use crate::inherited::Inherited;
use crate::net::Checked;
use crate::net::tls::tests::peer::{Pair, client_config, terminal};
use crate::net::tls::{Material, Terminal};

fn problem(files: &CertificateFiles) -> String {
    let config = TlsConfig { certificates: vec![files.clone()], ..TlsConfig::default() };
    let Checked { mut problems, notices, .. } = check(&config, &Inherited::default(), now());
    assert_eq!(notices, []);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

#[test]
fn a_certificate_that_would_not_work_is_refused_with_its_path_and_the_reason() {
    let authority = Authority::new();
    let sound = authority.issue("sound", good(&["a.example"]));
    let with = |cert: &CertificateFiles, key: &CertificateFiles| CertificateFiles {
        cert: cert.cert.clone(),
        key: key.key.clone(),
        place: String::new(),
    };
    let other = authority.issue("other", good(&["b.example"]));
    let text = |name: &str, text: &str| {
        write(&authority.path(name), text);
        authority.path(name)
    };
    let empty = text("empty", "nothing in PEM");
    let broken = text("broken", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    let encrypted = text(
        "encrypted",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let chain = std::fs::read_to_string(&sound.cert).unwrap();
    let stranger = std::fs::read_to_string(&other.cert).unwrap();
    let leaf = chain.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    let disordered = text("disordered", &format!("{leaf}{stranger}"));
    let cert = |path: &Path| CertificateFiles { cert: path.into(), ..sound.clone() };
    let key = |path: &Path| CertificateFiles { key: path.into(), ..sound.clone() };
    let issued = |name: &str, wanted: Wanted<'_>| authority.issue(name, wanted);
    for (files, path, why) in [
        (with(&sound, &other), "other.key", "does not belong to the certificate"),
        (issued("leaf", Wanted { has_chain: false, ..good(&["a"]) }), "leaf.pem", "has no chain"),
        (cert(&disordered), "disordered", "is out of order"),
        (cert(&authority.path("none")), "none", "No such file or directory"),
        (cert(&authority.path("")), "", "not a regular file"),
        (cert(&empty), "empty", "there is no certificate in"),
        (cert(&broken), "broken", "is malformed"),
        (cert(&sound.key), "sound.key", "there is no certificate in"),
        (key(&empty), "empty", "there is no private key in"),
        (key(&encrypted), "encrypted", "is encrypted; decrypt it"),
        (key(&authority.path("none")), "none", "cannot read the key"),
    ] {
        let problem = problem(&files);
        assert!(problem.contains(path) && problem.contains(why), "{path}, {why}: {problem}");
    }
    let config = TlsConfig {
        certificates: vec![
            CertificateFiles { place: "t.toml:3:4".to_owned(), ..cert(&empty) },
            cert(&broken),
            sound.clone(),
        ],
        ..TlsConfig::default()
    };
    let problems = check(&config, &Inherited::default(), now()).problems;
    assert!(problems[0].starts_with("t.toml:3:4: there is no certificate"), "{problems:?}");
    assert_eq!(problems.len(), 2, "all are found at once");
}

#[test]
fn a_certificate_outside_of_its_dates_is_served_and_an_error_and_before_its_end_a_warning() {
    let authority = Authority::new();
    for (valid, level, expected) in [
        ((-1, 15), LogLevel::Warn, ""),
        ((-1, 14), LogLevel::Warn, "expires in 13 days"),
        ((-1, 2), LogLevel::Warn, "expires in 1 day,"),
        ((-1, 1), LogLevel::Warn, "expires today"),
        ((-9, -2), LogLevel::Error, "expired on 20"),
        ((2, 9), LogLevel::Error, "is not valid before 20"),
    ] {
        let files = authority.issue("a", Wanted { valid, ..good(&["a.example"]) });
        let certificates = vec![CertificateFiles { place: "t.toml:1:2".to_owned(), ..files }];
        let config = TlsConfig { certificates, ..TlsConfig::default() };
        let Checked { problems, notices, .. } = check(&config, &Inherited::default(), now());
        assert_eq!(problems, [""; 0]);
        assert_eq!(notices.is_empty(), expected.is_empty(), "{valid:?}: {notices:?}");
        for notice in notices {
            assert_eq!((notice.level, &*notice.place), (level, "t.toml:1:2"));
            let text = notice.text;
            assert!(text.contains(expected) && text.contains("a.pem'"), "{text}");
        }
        let material = Material::new(now()).unwrap();
        Terminal::load(&config, &material, &Inherited::default(), now()).unwrap();
    }
}

#[test]
fn inherited_files_are_used_in_place_of_those_on_disk() {
    let authority = Authority::new();
    let files = authority.issue("a", good(&["a.example"]));
    let keep = |path: &Path| (path.to_owned(), std::fs::read(path).unwrap().into());
    let inherited = Inherited::new([keep(&files.cert), keep(&files.key)], true);
    std::fs::remove_file(&files.cert).unwrap();
    write(&files.key, "another key");
    let config = TlsConfig { certificates: vec![files], ..TlsConfig::default() };
    let Checked { problems, notices, names } = check(&config, &inherited, now());
    assert_eq!((problems, notices), (Vec::new(), Vec::new()));
    assert_eq!(names[0].list(), ["a.example"]);
    assert_eq!(check(&config, &Inherited::default(), now()).problems.len(), 1);
}

#[test]
fn the_names_inside_decide_and_then_what_the_client_can_verify() {
    let authority = Authority::new();
    let rsa = |names| Wanted { is_rsa: true, ..good(names) };
    let files = [
        authority.issue("0", good(&["first.example"])),
        authority.issue("1", rsa(&["www.example.org", "*.example.org"])),
        authority.issue("2", good(&["www.example.org", "*.example.org"])),
        authority.issue("3", good(&["deep.www.example.org"])),
    ];
    let resolver = Resolver::new(Certificates::read(&files, &Inherited::default()).0);
    let both = &[SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256];
    let rsa = &[SignatureScheme::RSA_PSS_SHA256];
    for (name, schemes, expected) in [
        (Some("www.example.org"), &both[..], 2),
        (Some("WWW.example.org"), rsa, 1),
        (Some("other.example.org"), both, 2),
        (Some("other.example.org"), rsa, 1),
        (Some("deep.www.example.org"), both, 3),
        (Some("deeper.other.example.org"), both, 0),
        (Some("unknown.example"), rsa, 0),
        (None, both, 0),
        (Some("www.example.org"), &[SignatureScheme::ED25519], 2),
    ] {
        assert_eq!(resolver.choose(name, schemes), Some(expected), "{name:?}, {schemes:?}");
    }
}

#[test]
fn a_client_gets_the_certificate_of_the_name_that_it_asks_for() {
    let authority = Authority::new();
    let files = vec![
        authority.issue("0", good(&["first.example"])),
        authority.issue("1", Wanted { is_rsa: true, ..good(&["second.example"]) }),
    ];
    for (name, number) in [("first.example", 0), ("second.example", 1)] {
        for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
            let config = Arc::new(client_config(authority.root(), version));
            let terminal = terminal(files.clone(), &Material::new(now()).unwrap());
            let mut pair = Pair::with(terminal, &config, name);
            pair.shake_hands();
            assert_eq!(pair.server.facts().unwrap().certificate, number);
            let chain: &[CertificateDer<'_>] = pair.peer.client.peer_certificates().unwrap();
            assert_eq!(chain.len(), 2);
            let suite = pair.peer.client.negotiated_cipher_suite().unwrap().suite();
            assert_ne!(suite, CipherSuite::TLS_NULL_WITH_NULL_NULL);
        }
    }
}
