//! Lists of clients, well-formed, malformed and forged.

use super::*;
use crate::http::fields::with;
use proptest::prelude::*;

/// Trusts 10.0.0.0/8 and fd00::/8.
fn trusts(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    }
}

fn find(lines: &[(&str, &str)]) -> Found {
    with(lines, |fields| client(fields, trusts))
}

fn shown(found: Found) -> String {
    let client = found.client.map_or("-".to_owned(), |client| client.to_string());
    if found.malformed.is_some() { format!("{client} malformed") } else { client }
}

#[test]
fn forwarded_names_the_first_client_from_the_right_that_is_not_trusted() {
    for (value, expected) in [
        ("for=192.0.2.60", "192.0.2.60"),
        ("For=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        ("proto=http; by=203.0.113.43 ;FOR=192.0.2.60", "192.0.2.60"),
        ("for=\"192.0.2.60:4711\"", "192.0.2.60"),
        ("for=\"192.0.2.60:_port\"", "192.0.2.60"),
        ("for=\"[2001:db8:cafe::17]\"", "2001:db8:cafe::17"),
        ("for=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
        ("for=\"[2001:DB8::1]:_x\"", "2001:db8::1"),
        ("for=\"[::ffff:192.0.2.1]\"", "192.0.2.1"),
        ("for=\"192\\.0.2.60\"", "192.0.2.60"),
        ("for=192.0.2.1, for=192.0.2.2", "192.0.2.2"),
        ("for=192.0.2.1,for=10.0.0.1,for=10.0.0.2", "192.0.2.1"),
        ("for=10.0.0.3,for=10.0.0.1,for=10.0.0.2", "10.0.0.3"),
        ("for=192.0.2.1 ,, for=10.0.0.1,", "192.0.2.1"),
        ("", "-"),
        (" , ,", "-"),
        // Without an address, the address to the right is the client.
        ("for=unknown", "-"),
        ("for=UNKNOWN,for=10.0.0.1", "10.0.0.1"),
        ("for=_hidden,for=10.0.0.1", "10.0.0.1"),
        ("for=\"_SEVKISEK:80\",for=10.0.0.1", "10.0.0.1"),
        ("for=192.0.2.1,by=10.0.0.9,for=10.0.0.1", "10.0.0.1"),
        ("for=192.0.2.1,;,for=10.0.0.1", "10.0.0.1"),
        // Commas and semicolons in quoted strings.
        ("for=192.0.2.1;x=\"a,b;for=10.0.0.1\"", "192.0.2.1"),
        ("for=192.0.2.1;x=\"a\\\",for=10.0.0.1\"", "192.0.2.1"),
        ("for=192.0.2.1;x=\"a\\\\\",for=10.0.0.1", "192.0.2.1"),
        // What stands left of the client cannot spoil it.
        ("for=\"x, for=192.0.2.1", "192.0.2.1"),
        ("\", for=192.0.2.1", "192.0.2.1"),
        ("x=\"\\, for=192.0.2.1", "192.0.2.1"),
        ("for=192.0.2.66;x=\", for=192.0.2.1, for=10.0.0.1", "192.0.2.1"),
    ] {
        assert_eq!(shown(find(&[("Forwarded", value)])), expected, "{value}");
    }
}

#[test]
fn a_malformed_element_ends_the_search() {
    for bad in [
        "x",
        "for",
        "for=",
        "=192.0.2.1",
        "for=192.0.2.1:80",
        "for=[2001:db8::1]",
        "for=\"2001:db8::1\"",
        "for=\"[2001:db8::1\"",
        "for=\"[2001:db8::1]x\"",
        "for=\"[2001:db8::1]:\"",
        "for=\"[192.0.2.1]\"",
        "for=\"192.0.2.1:\"",
        "for=\"192.0.2.1:123456\"",
        "for=\"192.0.2.1:+1\"",
        "for=\"192.0.2.01\"",
        "for=\"192.0.2\"",
        "for=\"fe80::1%eth0\"",
        "for=example.org",
        "for=\"_\"",
        "for=\"_a b\"",
        "for=\"192.0.2.1",
        "for=192.0.2.1\"",
        "for=\"192.0.2.1\"x",
        "for=\"\"192.0.2.1\"\"",
        "for=\"192.0.2.1\\\"",
        "for =192.0.2.1",
        "for= 192.0.2.1",
        "for=192.0.2.1;for=192.0.2.2",
        "for=192.0.2.1;x",
        "for=192.0.2.1;x=",
        "for=192.0.2.1;x=a b",
    ] {
        assert_eq!(shown(find(&[("Forwarded", bad)])), "- malformed", "{bad}");
        let behind = format!("for=192.0.2.9,{bad},for=10.0.0.1");
        assert_eq!(shown(find(&[("Forwarded", &behind)])), "10.0.0.1 malformed", "{bad}");
    }
    let long = format!("for=\"\\_{}\"", "a".repeat(NODE_BYTES_MAX));
    assert_eq!(shown(find(&[("Forwarded", &long)])), "- malformed");
    let long = format!("for=\"_{}\"", "a".repeat(NODE_BYTES_MAX));
    assert_eq!(shown(find(&[("Forwarded", &long)])), "-");
}

#[test]
fn x_forwarded_for_is_read_as_it_is_written_in_the_wild() {
    for (value, expected) in [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("203.0.113.7, 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 10.0.0.1,10.0.0.2", "192.0.2.1"),
        ("192.0.2.1, ::ffff:10.0.0.1", "192.0.2.1"),
        ("192.0.2.1, fd00::1", "192.0.2.1"),
        ("10.0.0.3, 10.0.0.1", "10.0.0.3"),
        ("unknown, 10.0.0.1", "10.0.0.1"),
        ("192.0.2.1, unknown", "-"),
        ("forged\", 192.0.2.1", "192.0.2.1 "),
        ("192.0.2.1, x, 10.0.0.1", "10.0.0.1 malformed"),
        ("192.0.2.1 10.0.0.1", "- malformed"),
        ("\"192.0.2.1\"", "- malformed"),
        ("192.0.2.1:", "- malformed"),
        ("2001:db8::1:4711:x", "- malformed"),
        ("", "-"),
    ] {
        assert_eq!(shown(find(&[("X-Forwarded-For", value)])), expected.trim(), "{value}");
    }
}

#[test]
fn several_lines_are_one_list_and_forwarded_wins() {
    for (lines, expected) in [
        (&[("Forwarded", "for=192.0.2.1"), ("forwarded", "for=10.0.0.1")][..], "192.0.2.1"),
        (&[("Forwarded", "for=10.0.0.1"), ("forwarded", "for=192.0.2.1")], "192.0.2.1"),
        (&[("Forwarded", "for=192.0.2.1"), ("X-Forwarded-For", "192.0.2.2")], "192.0.2.1"),
        (&[("X-Forwarded-For", "192.0.2.2"), ("Forwarded", "for=x")], "- malformed"),
        (&[("X-Forwarded-For", "192.0.2.2"), ("X-Forwarded-For", "10.0.0.1")], "192.0.2.2"),
        (&[("X-Forwarded-For", "x"), ("X-Forwarded-For", "192.0.2.2")], "192.0.2.2"),
        (&[("X-Forwarded", "192.0.2.2")], "-"),
    ] {
        assert_eq!(shown(find(lines)), expected, "{lines:?}");
    }
}

/// An element as an independent writer makes it.
fn written(address: IpAddr, port: Option<u16>, is_padded: bool) -> String {
    let host = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let node = port.map_or(host.clone(), |port| format!("{host}:{port}"));
    let is_token = port.is_none() && address.is_ipv4();
    let node = if is_token { node } else { format!("\"{node}\"") };
    if is_padded { format!("proto=https;for={node};by=\"_a,b;c\"") } else { format!("for={node}") }
}

proptest! {
    #[test]
    fn a_written_list_is_read_from_the_right(
        nodes in proptest::collection::vec(
            (any::<bool>(), any::<bool>(), any::<[u8; 16]>(), any::<Option<u16>>(), any::<bool>()),
            1..6,
        )
    ) {
        let mut addresses = Vec::new();
        let mut elements = Vec::new();
        for (is_trusted, is_v4, bytes, port, is_padded) in nodes {
            let mut bytes = bytes;
            bytes[0] = match (is_trusted, is_v4) {
                (true, true) => 10,
                (true, false) => 0xfd,
                (false, _) => 0x20,
            };
            let address = if is_v4 {
                IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]])
            } else {
                IpAddr::from(bytes)
            };
            addresses.push(address);
            elements.push(written(address, port, is_padded));
        }
        let expected =
            addresses.iter().rev().find(|address| !trusts(**address)).unwrap_or(&addresses[0]);
        let found = find(&[("Forwarded", &elements.join(", "))]);
        prop_assert_eq!(found, Found { client: Some(*expected), malformed: None });
        // Any text before them changes nothing, if one of them is not trusted.
        if addresses.iter().any(|address| !trusts(*address)) {
            let forged = find(&[("Forwarded", &format!("\"for=\\, {}", elements.join(",")))]);
            prop_assert_eq!(forged.client, Some(*expected));
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "[ -~]{0,60}") {
        find(&[("Forwarded", &text)]);
        find(&[("X-Forwarded-For", &text)]);
    }
}
