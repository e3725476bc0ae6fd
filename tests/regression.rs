//! One test for each fixed bug. The name is the requirement; the text describes the bug.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::{Endpoint, PATIENCE, Server};

/// A connection to the server.
fn connect(server: &Server) -> TcpStream {
    let stream = match server.endpoint() {
        Endpoint::Tcp(address) => TcpStream::connect(address).expect("the server accepts"),
        Endpoint::Unix(_) => unreachable!("these servers listen on TCP"),
    };
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream
}

/// The responses to these bytes on a new connection, whose sending side is then shut down.
fn ask(server: &Server, request: &str) -> String {
    let mut stream = connect(server);
    stream.write_all(request.as_bytes()).expect("the server reads");
    stream.shutdown(Shutdown::Write).expect("the sending side can be shut down");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the server answers");
    String::from_utf8_lossy(&answer).into_owned()
}

fn field<'a>(answer: &'a str, name: &str) -> &'a str {
    let start = format!("\r\n{name}: ");
    let at = answer.find(&start).expect("the field is there");
    answer[at + start.len()..].split("\r\n").next().unwrap_or_default()
}

/// A file too large to cache in memory, old enough for a strong entity-tag.
fn write_old(path: &Path, byte: u8, size: usize) {
    fs::write(path, vec![byte; size]).expect("a file can be written");
    let old = SystemTime::now() - Duration::from_secs(3600);
    let file = fs::File::options().write(true).open(path).expect("it is there");
    file.set_modified(old).expect("its time can be set");
}

const LARGE: usize = 8_000_000;

/// A cached large file that was written to in place, and had grown, was sent with its old strong
/// entity-tag for up to a second: a download resumed in that second mixed two versions.
#[test]
fn a_rewritten_file_is_never_sent_with_its_old_tag() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("big");
    write_old(&path, b'a', LARGE);
    let server = Server::start(root.path(), &["--limit", "revalidate_ms=3600000"]);
    let first = ask(&server, "GET /big HTTP/1.1\r\nHost: a\r\nRange: bytes=0-3\r\n\r\n");
    let tag = field(&first, "ETag").to_owned();
    fs::write(&path, vec![b'B'; LARGE + 1]).unwrap();
    let resume = format!(
        "GET /big HTTP/1.1\r\nHost: a\r\nRange: bytes=4-7\r\nIf-Range: {tag}\r\n\
         Connection: close\r\n\r\n"
    );
    let second = ask(&server, &resume);
    assert!(second.starts_with("HTTP/1.1 200 "), "{second:.300}");
    assert_ne!(field(&second, "ETag"), tag);
    assert!(second.ends_with("BBBBBBBB"));
}

/// After a cached large file was touched, a request for it got no response, and earlier responses
/// on the connection were lost.
#[test]
fn a_touched_file_is_answered_and_so_are_the_requests_before_it() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("big");
    write_old(&path, b'a', LARGE);
    fs::write(root.path().join("small"), "small").unwrap();
    let server = Server::start(root.path(), &["--limit", "revalidate_ms=3600000"]);
    let part = "GET /big HTTP/1.1\r\nHost: a\r\nRange: bytes=0-3\r\n\r\n";
    ask(&server, part);
    fs::write(&path, vec![b'b'; LARGE - 1]).unwrap();
    let answers = ask(&server, &format!("GET /small HTTP/1.1\r\nHost: a\r\n\r\n{part}"));
    assert!(answers.starts_with("HTTP/1.1 200 "), "{answers:.300}");
    assert!(answers.contains("HTTP/1.1 206 ") && answers.ends_with("bbbb"), "{answers:.600}");
}

/// A file rewritten in place with a longer one, while it was sent, was mistaken for a log that
/// grows: the response mixed both versions.
#[test]
fn a_rewritten_file_cuts_off_its_response_and_a_growing_log_does_not() {
    for (grown_by_appending, complete) in [(false, false), (true, true)] {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("big");
        write_old(&path, b'a', LARGE);
        let server = Server::start(root.path(), &[]);
        let mut stream = connect(&server);
        stream.write_all(b"GET /big HTTP/1.0\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 1000]).unwrap(); // it has begun, and blocks until more is read
        if grown_by_appending {
            let mut file = fs::File::options().append(true).open(&path).unwrap();
            file.write_all(b"one more line").unwrap();
        } else {
            fs::write(&path, vec![b'B'; LARGE + 1]).unwrap();
        }
        let mut rest = Vec::new();
        // It may end with a reset if it was cut off.
        let ended = stream.read_to_end(&mut rest);
        let whole = ended.is_ok() && rest.ends_with(b"aaaa") && rest.len() > LARGE - 1000;
        assert_eq!(whole, complete, "appended: {grown_by_appending}, {} bytes", rest.len());
        assert!(complete || rest.len() < LARGE - 1000, "the length shows that it was cut off");
    }
}

/// A connection was closed after its last response while the kernel still buffered most of it: a
/// late byte of the client then caused a reset, and the end of the response was lost.
#[test]
fn a_late_byte_of_the_client_does_not_cut_off_its_response() {
    let root = tempfile::tempdir().unwrap();
    write_old(&root.path().join("big"), b'a', LARGE);
    let server = Server::start(root.path(), &[]);
    for request in
        ["GET /big HTTP/1.0\r\n\r\n", "GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]
    {
        let mut stream = connect(&server);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = vec![0; 4096];
        stream.read_exact(&mut answer).unwrap();
        stream.write_all(b"\r\n").unwrap();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.len() > LARGE, "{request:?}: {} bytes", answer.len());
    }
}

/// A redirect was cached as long as its path named some directory, even one outside the root.
#[test]
fn a_redirect_does_not_outlive_the_link_that_it_was_made_for() {
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("folder")).unwrap();
    symlink("folder", root.path().join("link")).unwrap();
    let server = Server::start(root.path(), &["--limit", "revalidate_ms=0"]);
    let request = "GET /link HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(ask(&server, request).starts_with("HTTP/1.1 301 "));
    fs::remove_file(root.path().join("link")).unwrap();
    symlink(outside.path(), root.path().join("link")).unwrap();
    assert!(ask(&server, request).starts_with("HTTP/1.1 404 "));
}

/// Connections with one byte of a head each took all pages, and all others were closed without a
/// response.
#[test]
fn connections_that_hold_all_pages_are_evicted() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("small"), "small").unwrap();
    let server = Server::start(root.path(), &["--limit", "pages=16"]);
    let mut holders = Vec::new();
    for _ in 0..40 {
        let mut stream = connect(&server);
        stream.write_all(b"G").unwrap();
        holders.push(stream);
    }
    let answer = ask(&server, "GET /small HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// One request for a large folder was charged as several, because it is evaluated several times.
#[test]
fn a_request_that_takes_time_counts_once() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("folder");
    fs::create_dir(&folder).unwrap();
    for number in 0..3000 {
        fs::write(folder.join(number.to_string()), "").unwrap();
    }
    let limits = ["--limit", "requests_per_s=1", "--limit", "requests_burst=1"];
    let server = Server::start(root.path(), &limits);
    let answer = ask(&server, "GET /folder/ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:.300}");
    assert!(answer.ends_with("</html>\n"), "it is complete");
}

/// The decision to close at once considered only the last response: a small one with `Connection:
/// close` behind a large one closed the socket, a late request then caused a reset, and the end of
/// the large response was lost.
#[test]
fn a_small_last_answer_does_not_cut_off_a_large_one_before_it() {
    let root = tempfile::tempdir().unwrap();
    write_old(&root.path().join("big"), b'a', 1_000_000);
    fs::write(root.path().join("small"), "small").unwrap();
    let server = Server::start(root.path(), &[]);
    for _ in 0..20 {
        let mut stream = connect(&server);
        stream.write_all(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        stream.write_all(b"GET /small HTTP/1.0\r\n\r\n").unwrap();
        let mut answers = vec![0; 1000];
        stream.read_exact(&mut answers).unwrap();
        // If the server has closed already, this is answered by a reset.
        _ = stream.write_all(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.read_to_end(&mut answers).unwrap();
        assert!(answers.ends_with(b"small"), "{} bytes", answers.len());
    }
}
