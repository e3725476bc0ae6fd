//! Ways around the rules of a site, and rules that contradict the server.

use std::io::Write;

use tempfile::NamedTempFile;

use crate::config::{AccessRule, AuthRule, CacheControl, CleanUrls};

use super::asking::{bench_with_rule_files, header, redirect, start};
use super::*;

/// A users file, which is read when the site starts.
fn users() -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(b"ann:$2y$04$cPuyB7EBoPeB7lc60N/Uy.4cdZuEt3vBRkVMXwOjjgEw0zQRH6Qz6\n").unwrap();
    file
}

fn login(pattern: &str, users: &NamedTempFile) -> AuthRule {
    AuthRule {
        pattern: pattern.to_owned(),
        users: users.path().to_owned(),
        realm: "r".to_owned(),
        place: "test".to_owned(),
    }
}

/// Nobody may read it.
fn closed(pattern: &str) -> AccessRule {
    let deny = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    AccessRule { pattern: pattern.to_owned(), allow: Vec::new(), deny, place: "test".to_owned() }
}

fn anyone() -> Option<std::net::IpAddr> {
    Some([192, 0, 2, 1].into())
}

#[test]
fn an_address_is_the_same_client_on_a_listener_of_both_families() {
    let rule = |allow: &[&str], deny: &[&str]| {
        let nets = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect();
        AccessRule { allow: nets(allow), deny: nets(deny), ..closed("/*") }
    };
    for (client, allow, deny, admitted) in [
        ("192.0.2.1", &[][..], &["192.0.2.0/24"][..], false),
        ("::ffff:192.0.2.1", &[], &["192.0.2.0/24"], false),
        ("::ffff:192.0.2.1", &["192.0.2.0/24"], &[], true),
        ("::ffff:192.0.3.1", &["192.0.2.0/24"], &[], false),
        ("::ffff:192.0.2.1", &[], &["::ffff:192.0.2.0/120"], false),
        ("2001:db8::1", &["2001:db8::/32"], &[], true),
    ] {
        let client = client.parse().unwrap();
        assert_eq!(rule(allow, deny).admits(Some(client)), admitted, "{client} {allow:?} {deny:?}");
    }
}
