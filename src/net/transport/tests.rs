//! Plain transports over pairs of sockets.

use super::*;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

fn pair() -> (Transport, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Transport::plain(ours.into()), theirs)
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn lead_and_file_arrive_in_order_and_the_end_of_the_file_is_told() {
    let (mut transport, mut peer) = pair();
    let mut terminal = Terminal::default();
    let file = file(b"0123456789");
    let sent = transport.send_file(b"head ", &file, (2, 100), false, &mut terminal).unwrap();
    assert_eq!(sent, Sent { count: 13, file_ended: false });
    let sent = transport.send_file(b"", &file, (10, 90), false, &mut terminal).unwrap();
    assert_eq!(sent, Sent { count: 0, file_ended: true });
    transport.shutdown_write(&mut terminal).unwrap();
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "head 23456789");
}

/// The kernel gives nothing at the start of a process's memory: it is like a bad block of a
/// disk.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_read_is_told_from_a_peer_that_is_gone() {
    let (mut transport, peer) = pair();
    let mut terminal = Terminal::default();
    let file = File::open("/proc/self/mem").unwrap();
    let sent = transport.send_file(b"", &file, (0, 10), false, &mut terminal).unwrap();
    assert_eq!(sent, Sent { count: 0, file_ended: true });
    drop(peer);
    let error = transport
        .send_file(b"", &self::file(b"0123456789"), (0, 10), false, &mut terminal)
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn the_portable_way_sends_what_sendfile_sends() {
    let (transport, mut peer) = pair();
    let file = file(b"0123456789");
    assert_eq!(portable::send_from(transport.socket().socket.as_fd(), &file, 7, 2).unwrap(), 2);
    assert_eq!(portable::send_from(transport.socket().socket.as_fd(), &file, 9, 2).unwrap(), 1);
    assert_eq!(portable::send_from(transport.socket().socket.as_fd(), &file, 10, 2).unwrap(), 0);
    drop(transport);
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "789");
}

/// A piece that was sent in part usually means that the socket is full. Here it is the file that
/// ends early: no event would announce room that was always there, so the poll is asked again.
#[test]
fn after_a_part_of_a_piece_the_poll_reports_room_that_was_there_all_the_time() {
    let (mut transport, _peer) = pair();
    let mut poll = mio::Poll::new().unwrap();
    let mut events = mio::Events::with_capacity(4);
    let file = file(b"0123456789");
    for _ in 0..3 {
        let sent =
            transport.send_file(b"", &file, (4, 100), false, &mut Terminal::default()).unwrap();
        assert_eq!(sent, Sent { count: 6, file_ended: false });
        assert!(!transport.is_writable());
        transport.watch(poll.registry(), Token(0)).unwrap();
        poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
        events.iter().for_each(|event| transport.note(event));
        assert!(transport.is_writable(), "{events:?}");
    }
}

/// Linux has no sendfile for this file.
#[cfg(target_os = "linux")]
#[test]
fn a_file_without_sendfile_is_read_and_sent() {
    let (mut transport, mut peer) = pair();
    let mut terminal = Terminal::default();
    let path = "/proc/self/environ";
    let bytes = std::fs::read(path).unwrap();
    assert!(bytes.len() > 1, "cargo sets variables");
    let count = bytes.len() as u64 - 1;
    let sent = transport
        .send_file(b"", &File::open(path).unwrap(), (1, count), false, &mut terminal)
        .unwrap();
    assert_eq!(sent, Sent { count, file_ended: false });
    drop(transport);
    let mut arrived = Vec::new();
    peer.read_to_end(&mut arrived).unwrap();
    assert_eq!(arrived, bytes[1..]);
}

#[test]
fn an_acknowledged_probe_of_a_closed_window_is_no_progress() {
    let progress = |data_sent_ms, acknowledged_ms, backs_off| Progress {
        data_sent_ms,
        acknowledged_ms,
        backs_off,
    };
    assert!(progress(10, 10, false).is_within(100));
    assert!(progress(10, 10, true).is_within(100), "data was sent lately");
    assert!(progress(200, 10, false).is_within(100), "all data is in flight");
    assert!(!progress(200, 10, true).is_within(100), "only probes are acknowledged");
    assert!(!progress(10, 200, true).is_within(100), "the peer does not answer");
}

#[test]
fn a_socket_that_takes_no_more_says_so_and_does_not_wait() {
    let (mut transport, _peer) = pair();
    let mut terminal = Terminal::default();
    let bytes = [0; 65_536];
    let error = loop {
        if let Err(error) = transport.send(&bytes, &bytes, false, &mut terminal) {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    let error = transport.receive(&mut [0; 1], &mut terminal).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}
