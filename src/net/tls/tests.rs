//! TLS connections over pairs of sockets, with a client of the library.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustls::HandshakeKind;

use super::Material;
use crate::config::TlsVersion;
use crate::net::{Facts, Opened, Transport};
use authority::{Authority, Wanted, good, now};
use peer::{Pair, client_config, terminal};

mod authority;
mod certificates;
mod held;
mod peer;

const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];

/// Bytes that differ at all places that could be confused.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| ((at / 251 + at) % 256).try_into().unwrap()).collect()
}

#[test]
fn a_request_and_its_response_pass_in_both_versions() {
    for version in VERSIONS {
        let mut pair = Pair::open(version);
        let facts = Facts { version, certificate: 0, is_h2: false };
        assert_eq!(pair.server.facts(), Some(facts));
        pair.peer.write(b"request");
        pair.peer.send();
        assert_eq!(pair.received(), b"request");
        assert_eq!(pair.server.send(b"resp", b"onse", false, &mut pair.terminal).unwrap(), 8);
        while pair.peer.receive(u64::MAX) {}
        assert_eq!(pair.peer.received, b"response");
        assert_eq!(pair.terminal.handshakes.full, 1);
    }
}

#[test]
fn a_request_that_comes_with_the_end_of_the_handshake_is_kept_for_the_machine() {
    let mut pair = Pair::new(TlsVersion::Tls13);
    pair.peer.write(b"request");
    assert_eq!(pair.shake_hands(), Opened::Ready);
    assert!(pair.server.is_readable());
    let mut room = [0; 4];
    assert_eq!(pair.server.receive(&mut room, &mut pair.terminal).unwrap(), 4);
    assert_eq!(pair.received(), b"est");
}

#[test]
fn a_handshake_and_a_request_may_come_byte_by_byte() {
    for version in VERSIONS {
        let mut pair = Pair::new(version);
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        pair.server = Transport::secured(ours.into(), &pair.terminal).unwrap();
        theirs.set_nonblocking(true).unwrap();
        pair.peer.write(b"request");
        let mut answer = vec![0; 65_536];
        let mut received = Vec::new();
        while received != b"request" {
            let mut flight = Vec::new();
            while pair.peer.client.wants_write() {
                pair.peer.client.write_tls(&mut flight).unwrap();
            }
            for byte in flight {
                theirs.write_all(&[byte]).unwrap();
                pair.wake();
                if pair.server.open(&mut pair.terminal).unwrap() == Opened::Ready {
                    received.extend(pair.received());
                }
            }
            while let Ok(count) = theirs.read(&mut answer) {
                pair.peer.client.read_tls(&mut &answer[..count]).unwrap();
                pair.peer.client.process_new_packets().unwrap();
            }
        }
    }
}

#[test]
fn what_the_socket_does_not_accept_is_bounded_and_reported_when_it_was_sent() {
    for (version, split) in [(TlsVersion::Tls12, 100), (TlsVersion::Tls13, 40_000)] {
        let mut pair = Pair::open(version);
        let all = bytes(1_000_000);
        let (mut sent, mut refusals) = (0, 0);
        while pair.peer.received.len() < all.len() {
            pair.wake();
            let rest = &all[sent..];
            let (first, second) = rest.split_at(split.min(rest.len()));
            match pair.server.open(&mut pair.terminal).unwrap() {
                Opened::Ready if rest.is_empty() => {}
                Opened::Ready => match pair.server.send(first, second, false, &mut pair.terminal) {
                    Ok(count) => sent += count,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        refusals += 1;
                    }
                },
                other => assert_eq!(other, Opened::Waits),
            }
            let Transport::Tls(secured) = &pair.server else { panic!("it is secured") };
            assert!(secured.unsent_bytes().len() <= super::OUTPUT_BYTES);
            let is_flushed = secured.is_flushed();
            assert!(is_flushed || !pair.server.is_readable(), "output comes first");
            pair.peer.receive(7_000);
        }
        assert!(refusals > 0, "the socket was full at times");
        assert_eq!(sent, all.len());
        assert!(pair.peer.received == all);
        assert_idle(&pair);
    }
}

#[test]
fn a_request_and_its_response_allocate_what_the_library_allocates() {
    for (version, length, most) in [
        (TlsVersion::Tls12, 1_000, ALLOCATIONS),
        (TlsVersion::Tls13, 1_000, ALLOCATIONS),
        (TlsVersion::Tls13, 50_000, ALLOCATIONS + 3),
    ] {
        let mut pair = Pair::open(version);
        let (response, mut room) = (bytes(length), [0; 1000]);
        for round in 0..10 {
            pair.peer.write(b"request");
            pair.peer.send();
            pair.wake();
            let info = allocation_counter::measure(|| {
                assert_eq!(pair.server.open(&mut pair.terminal).unwrap(), Opened::Ready);
                assert_eq!(pair.server.receive(&mut room, &mut pair.terminal).unwrap(), 7);
                let sent =
                    pair.server.send(&response[..100], &response[100..], false, &mut pair.terminal);
                assert_eq!(sent.unwrap(), length);
            });
            while pair.peer.receive(u64::MAX) {}
            let made = info.count_total;
            assert!(round == 0 || made <= most, "{version:?}, {length} bytes: {made}");
            assert!(round == 0 || info.bytes_current == 0, "and frees it again");
        }
    }
}

/// What the library allocates for a request and a response of one record: a vector for the record
/// that has come, and one for each record that is sent.
const ALLOCATIONS: u64 = 2;

/// An idle connection holds no buffer.
fn assert_idle(pair: &Pair) {
    let Transport::Tls(secured) = &pair.server else { panic!("it is secured") };
    assert_eq!(secured.buffered(), 0);
}

#[test]
fn a_file_follows_its_lead_byte_for_byte_and_its_end_is_told() {
    for version in VERSIONS {
        let mut pair = Pair::open(version);
        let content = bytes(300_000);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let lead = b"head ".repeat(100);
        let whole = [&lead[..], &content[7..]].concat();
        let mut sent = 0;
        while pair.peer.received.len() < whole.len() {
            pair.wake();
            let opened = pair.server.open(&mut pair.terminal).unwrap();
            if opened == Opened::Ready && sent < whole.len() {
                let lead = lead.get(sent..).unwrap_or_default();
                let at = 7 + (sent + lead.len() - 500) as u64; // widening
                let count = content.len() as u64 - at; // widening
                match pair.server.send_file(lead, &file, (at, count), false, &mut pair.terminal) {
                    Ok(progress) => {
                        assert!(!progress.file_ended);
                        sent += usize::try_from(progress.count).unwrap();
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
            pair.peer.receive(20_000);
        }
        assert!(pair.peer.received == whole);
        let end =
            pair.server.send_file(b"", &file, (300_000, 1), false, &mut pair.terminal).unwrap();
        assert!(end.file_ended && end.count == 0);
        assert_idle(&pair);
    }
}

#[test]
fn each_direction_ends_by_itself() {
    for version in VERSIONS {
        let mut pair = Pair::open(version);
        pair.peer.write(b"last");
        pair.peer.client.send_close_notify();
        pair.peer.send();
        assert_eq!(pair.received(), b"last");
        assert_eq!(pair.server.receive(&mut [0; 9], &mut pair.terminal).unwrap(), 0);
        assert_eq!(pair.server.send(b"answer", b"", false, &mut pair.terminal).unwrap(), 6);
        pair.server.shutdown_write(&mut pair.terminal).unwrap();
        pair.server.shutdown_write(&mut pair.terminal).unwrap();
        while pair.peer.receive(u64::MAX) {}
        assert_eq!(pair.peer.received, b"answer");
        assert!(pair.peer.is_cut);
        // The end was announced: what comes before it is whole.
        assert_eq!(pair.peer.client.reader().read(&mut [0; 1]).unwrap(), 0);
    }
}

#[test]
fn an_end_without_an_alert_is_an_end() {
    let mut pair = Pair::open(TlsVersion::Tls13);
    pair.peer.stream.shutdown(Shutdown::Write).unwrap();
    pair.wake();
    assert_eq!(pair.server.receive(&mut [0; 9], &mut pair.terminal).unwrap(), 0);
    let mut pair = Pair::new(TlsVersion::Tls13);
    pair.peer.stream.shutdown(Shutdown::Write).unwrap();
    pair.wake();
    assert_eq!(pair.server.open(&mut pair.terminal).unwrap(), Opened::Failed);
    assert_eq!(pair.terminal.handshakes.failed, 1);
}

#[test]
fn what_is_no_tls_fails_with_an_alert_or_is_read_as_it_is() {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let endless = [&[1, 0, 0xff, 0xff][..], &[0; 16_000]].concat();
    let record = |body: &[u8]| [&[22, 3, 1], &length(body)[..], body].concat();
    for (name, sent, opened, alert) in [
        ("zeros", vec![0; 100], Opened::Failed, true),
        (
            "a record of another protocol",
            b"\x16\x09\x09\x00\x05hello".to_vec(),
            Opened::Failed,
            true,
        ),
        ("no hello", record(b"\x02\x00\x00\x01x"), Opened::Failed, true),
        ("a hello of nonsense", record(b"\x01\x00\x00\x04xxxx"), Opened::Failed, true),
        ("an alert", b"\x15\x03\x01\x00\x02\x02\x28".to_vec(), Opened::Failed, false),
        ("a cut record", b"\x16\x03\x01\x00\x50\x01".to_vec(), Opened::Waits, false),
        (
            "a long message",
            [record(&endless), record(&endless[..9_000])].concat(),
            Opened::Waits,
            false,
        ),
        ("no end", record(&endless).repeat(4), Opened::Failed, false),
        ("HTTP", b"GET / HTTP/1.1\r\n".to_vec(), Opened::Clear, false),
    ] {
        let mut pair = Pair::new(TlsVersion::Tls13);
        let mut stream = &pair.peer.stream;
        stream.write_all(&sent).unwrap();
        pair.wake();
        let mut found = pair.server.open(&mut pair.terminal).unwrap();
        while found == Opened::Waits && pair.server.is_readable() {
            found = pair.server.open(&mut pair.terminal).unwrap();
        }
        assert_eq!(found, opened, "{name}");
        let mut answer = [0; 100];
        let count = (&pair.peer.stream).read(&mut answer).unwrap_or(0);
        assert_eq!(count > 0 && answer[0] == 21, alert, "{name}");
        if opened == Opened::Clear {
            assert_eq!(pair.received(), sent);
            assert_eq!(
                pair.server.send(b"HTTP/1.1 ", b"400", false, &mut pair.terminal).unwrap(),
                12
            );
            let count = (&pair.peer.stream).read(&mut answer).unwrap();
            assert_eq!(&answer[..count], b"HTTP/1.1 400");
        }
    }
}

#[test]
fn garbage_on_an_open_connection_fails_it_and_the_rest_is_dropped() {
    let mut pair = Pair::open(TlsVersion::Tls13);
    let mut stream = pair.peer.stream.try_clone().unwrap();
    stream.write_all(b"\x17\x03\x03\x00\x20").unwrap();
    stream.write_all(&[7; 32]).unwrap();
    pair.wake();
    let error = pair.server.receive(&mut [0; 9], &mut pair.terminal).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(pair.server.open(&mut pair.terminal).unwrap(), Opened::Failed);
    pair.server.shutdown_write(&mut pair.terminal).unwrap();
    stream.write_all(&[8; 50]).unwrap();
    pair.wake();
    assert_eq!(pair.server.discard(&mut pair.terminal).unwrap(), 50);
    assert!(pair.server.discard(&mut pair.terminal).is_err(), "no more has come");
    let mut answer = Vec::new();
    stream.set_nonblocking(false).unwrap();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer[0], 23, "an encrypted alert");
}

#[test]
fn a_hello_is_not_read_while_no_unit_is_left_and_an_expensive_one_is_charged_to_later_turns() {
    let authority = Authority::new();
    let rsa = Wanted { is_rsa: true, ..good(&["localhost"]) };
    let files = authority.issue("rsa", rsa);
    let mut shared = terminal(vec![files], &Material::new(now()).unwrap());
    let config = Arc::new(client_config(authority.root(), TlsVersion::Tls13));
    shared.begin_turn(1);
    let mut pairs = Vec::new();
    for expected in [Opened::Ready, Opened::NoUnit] {
        let mut pair = Pair::with(std::mem::take(&mut shared), &config, "localhost");
        let opened = pair.shake_hands();
        assert_eq!(opened, expected);
        shared = std::mem::take(&mut pair.terminal);
        while expected == Opened::Ready && shared.has_unit() {
            shared.charge(true); // those of the turn
        }
        pairs.push(pair);
    }
    let mut pair = pairs.pop().unwrap();
    pair.terminal = shared;
    let mut turns = 0;
    while pair.shake_hands() == Opened::NoUnit {
        pair.terminal.begin_turn(1);
        turns += 1;
    }
    assert!((1..=4).contains(&turns), "{turns}");
}

#[test]
fn http_behind_a_record_is_not_taken_for_a_connection_without_tls() {
    let mut pair = Pair::new(TlsVersion::Tls13);
    // A warning (close_notify), which is complete and has no effect; then a request.
    for bytes in [b"\x15\x03\x01\x00\x02\x01\x00", &b"GET / HTTP/1.1\r\n\r\n"[..]] {
        pair.peer.stream.write_all(bytes).unwrap();
        pair.wake();
        assert_ne!(pair.server.open(&mut pair.terminal).unwrap(), Opened::Clear);
    }
}

#[test]
fn a_crowd_of_handshakes_takes_its_units_a_turn_and_a_half_open_one_takes_none() {
    const UNITS: u32 = 2;
    let authority = Authority::new();
    let files = authority.issue("a", good(&["localhost"]));
    let mut shared = terminal(vec![files], &Material::new(now()).unwrap());
    let config = Arc::new(client_config(authority.root(), TlsVersion::Tls13));
    // The one that is open, those that are half-open, and the crowd.
    let mut pairs = Vec::new();
    for number in 0..71 {
        let mut pair = Pair::with(std::mem::take(&mut shared), &config, "localhost");
        let mut hello = Vec::new();
        match number {
            0 => assert_eq!(pair.shake_hands(), Opened::Ready),
            1..=20 => {
                pair.peer.client.write_tls(&mut hello).unwrap();
                pair.peer.stream.write_all(&hello[..100]).unwrap();
            }
            _ => pair.peer.send(),
        }
        shared = std::mem::take(&mut pair.terminal);
        pairs.push(pair);
    }
    let crowd = pairs.split_off(21);
    let (mut open, mut half_open) = (pairs.remove(0), pairs);
    let (mut waiting, mut turns) = (crowd, 0);
    while !waiting.is_empty() {
        turns += 1;
        shared.begin_turn(UNITS);
        for pair in &mut half_open {
            pair.wake();
            assert_eq!(pair.server.open(&mut shared).unwrap(), Opened::Waits);
        }
        let before = waiting.len();
        waiting.retain_mut(|pair| {
            pair.wake();
            pair.server.open(&mut shared).unwrap() == Opened::NoUnit
        });
        assert_eq!(before - waiting.len(), UNITS as usize, "turn {turns}");
        open.terminal = std::mem::take(&mut shared);
        open.peer.write(b"request");
        open.peer.send();
        assert_eq!(open.received(), b"request", "turn {turns}");
        shared = std::mem::take(&mut open.terminal);
    }
    assert_eq!(turns, 25);
}

#[test]
fn a_session_is_resumed_by_another_worker_with_the_same_material() {
    let authority = Authority::new();
    let files = authority.issue("a", good(&["localhost"]));
    let mut material = Material::new(now()).unwrap();
    let other = Material::from_bytes(&material.to_bytes(now())).unwrap();
    for version in VERSIONS {
        let config = Arc::new(client_config(authority.root(), version));
        let stranger = Material::new(now()).unwrap();
        for (material, kind) in [
            (&material, HandshakeKind::Full),
            (&other, HandshakeKind::Resumed),
            (&stranger, HandshakeKind::Full),
        ] {
            let terminal = terminal(vec![files.clone()], material);
            let mut pair = Pair::with(terminal, &config, "localhost");
            assert_eq!(pair.shake_hands(), Opened::Ready);
            pair.peer.send();
            while pair.peer.receive(u64::MAX) {}
            assert_eq!(pair.peer.client.handshake_kind(), Some(kind), "{version:?}");
            let resumed = u64::from(kind == HandshakeKind::Resumed);
            assert_eq!(pair.terminal.handshakes.resumed, resumed);
        }
    }
}
