//! Bytes that others follow: they are held back, and sent with those.

use super::*;

/// What the server has encrypted so far, as the peer has received it.
fn received(pair: &mut Pair) -> usize {
    while pair.peer.receive(u64::MAX) {}
    pair.peer.received.len()
}

fn secured(pair: &Pair) -> &super::super::Secured {
    let Transport::Tls(secured) = &pair.server else { panic!("it is secured") };
    secured
}

#[test]
fn bytes_that_others_follow_are_sent_with_them_in_order() {
    for version in VERSIONS {
        let mut pair = Pair::open(version);
        let all = bytes(40_000);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&all).unwrap();
        for part in [&all[..10], &all[10..9_000]] {
            let sent = pair.server.send(part, b"", true, &mut pair.terminal);
            assert_eq!(sent.unwrap(), part.len());
        }
        let body = (9_100, 20_000);
        let sent = pair.server.send_file(&all[9_000..9_100], &file, body, true, &mut pair.terminal);
        assert_eq!(sent.unwrap().count, 20_100);
        assert_eq!(received(&mut pair), 0);
        let sent = pair.server.send(&all[29_100..], b"", false, &mut pair.terminal);
        assert_eq!(sent.unwrap(), 10_900);
        assert_eq!(received(&mut pair), 40_000);
        assert!(pair.peer.received == all);
        assert_idle(&pair);
    }
}

#[test]
fn what_is_held_back_is_sent_at_the_end_of_a_turn_before_a_receive_and_before_the_end() {
    for version in VERSIONS {
        let mut pair = Pair::open(version);
        let mut said = 0;
        for end in ["push", "receive", "end"] {
            pair.wake();
            assert_eq!(pair.server.open(&mut pair.terminal).unwrap(), Opened::Ready);
            let sent = pair.server.send(b"abc", b"def", true, &mut pair.terminal);
            assert_eq!((sent.unwrap(), received(&mut pair)), (6, said));
            match end {
                "push" => pair.server.push(&mut pair.terminal).unwrap(),
                "receive" => {
                    pair.peer.write(b"request");
                    pair.peer.send();
                    assert_eq!(pair.received(), b"request");
                }
                _ => pair.server.shutdown_write(&mut pair.terminal).unwrap(),
            }
            said += 6;
            assert_eq!(received(&mut pair), said, "{end}");
            pair.server.push(&mut pair.terminal).unwrap();
        }
        assert!(pair.peer.is_cut && pair.peer.received == b"abcdef".repeat(3));
    }
}

/// What is encrypted cannot be overtaken by an urgent response. So a client that reads slowly has
/// as little of it as if nothing were held back.
#[test]
fn as_much_is_encrypted_for_a_slow_client_as_if_nothing_were_held_back() {
    const STEP: usize = 16_384;
    let mut pair = Pair::open(TlsVersion::Tls13);
    let all = bytes(4_000_000);
    let (mut sent, mut full, mut before) = (0, 0, super::super::OUTPUT_BYTES);
    while pair.peer.received.len() < all.len() {
        pair.wake();
        let opened = pair.server.open(&mut pair.terminal).unwrap();
        while opened == Opened::Ready && sent < all.len() && pair.server.is_writable() {
            let part = &all[sent..(sent + STEP).min(all.len())];
            let follows = sent + part.len() < all.len();
            match pair.server.send(part, b"", follows, &mut pair.terminal) {
                Ok(count) => sent += count,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        pair.server.push(&mut pair.terminal).unwrap();
        let unsent = secured(&pair).unsent_bytes().len();
        full += usize::from(unsent > 0);
        // In its first turn, it was not known to be slow, and the next ones send the rest of that.
        before = before.max(STEP + 100);
        assert!(unsent <= before, "{unsent} bytes after {before}");
        before = unsent;
        pair.peer.receive(30_000);
    }
    assert!(full > 10 && pair.peer.received == all);
    assert_idle(&pair);
}

#[test]
fn a_fast_client_gets_several_records_at_once_and_never_more_than_the_bound() {
    let mut pair = Pair::open(TlsVersion::Tls13);
    let all = bytes(1_000_000);
    let mut held = 0;
    for part in all.chunks(16_384) {
        let before = received(&mut pair);
        let sent = pair.server.send(part, b"", true, &mut pair.terminal);
        assert_eq!(sent.unwrap(), part.len());
        held += part.len();
        let now = received(&mut pair);
        if now > before {
            assert_eq!(now - before, held, "all that was held back");
            assert!(held == 4 * 16_384 || now == all.len(), "{held}");
            held = 0;
        }
    }
    pair.server.push(&mut pair.terminal).unwrap();
    assert_eq!(received(&mut pair), all.len());
    assert!(pair.peer.received == all);
}
