//! Real clients: curl, the client of OpenSSL, and Python. One that is not installed is skipped with
//! a message.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::common::{Server, numbered_lines};
use crate::{LARGE, Place, address};

/// Runs a client with this input; `None`: it is not installed.
fn run(program: &str, args: &[&str], input: &str) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("skipped: {program} is not installed");
        return None;
    };
    // A client that has ended has said why.
    _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Some(child.wait_with_output().unwrap())
}

fn url(server: &Server, path: &str) -> String {
    format!("https://localhost:{}{path}", address(server, 0).port())
}

#[test]
fn curl_gets_a_large_file_byte_for_byte_with_both_versions_and_over_one_connection() {
    let place = Place::new();
    let server = place.start();
    let (ca, out) = (place.path("tls.pem"), place.path("out"));
    let (ca, out) = (ca.to_str().unwrap(), out.to_str().unwrap());
    let (large, small) = (url(&server, "/large"), url(&server, "/a.txt"));
    let fixed = ["-q", "-sS", "--noproxy", "*", "--max-time", "60", "--cacert", ca];
    for version in ["1.2", "1.3"] {
        let wanted =
            ["--tls-max", version, "--tlsv1.2", "-o", out, &large, "-w", "%{num_connects}"];
        let more = ["-o", "/dev/null", &small];
        let args = [&fixed[..], &wanted, &more].concat();
        let Some(output) = run("curl", &args, "") else { return };
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        assert_eq!(output.stdout, b"10", "the second request is on the same connection");
        assert!(fs::read(out).unwrap() == numbered_lines(LARGE), "TLS {version}");
    }
    let args = [&fixed[..], &["--tls-max", "1.1", &small]].concat();
    assert!(!run("curl", &args, "").unwrap().status.success(), "TLS 1.1 is refused");
}

#[test]
fn the_client_of_openssl_resumes_its_sessions_and_may_not_renegotiate() {
    let place = Place::new();
    let server = place.start();
    let connect = address(&server, 0).to_string();
    let session = place.path("session");
    let session = session.to_str().unwrap();
    let request = "GET /a.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for version in ["-tls1_2", "-tls1_3"] {
        for (option, expected) in [("-sess_out", "New, TLSv1."), ("-sess_in", "Reused, TLSv1.")] {
            let args = ["s_client", "-connect", &connect, version, "-ign_eof", option, session];
            let Some(output) = run("openssl", &args, request) else { return };
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains(expected), "{version} {option}: {text}");
            assert!(text.contains("alpha"), "{version} {option}: {text}");
        }
    }
    let args = ["s_client", "-connect", &connect, "-tls1_2"];
    let output = run("openssl", &args, "R\n").unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("RENEGOTIATING") && text.contains("no renegotiation"), "{text}");
}

#[test]
fn python_reads_slowly_ends_its_direction_first_and_gets_the_rest() {
    let place = Place::new();
    let server = place.start();
    let script = "
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
plain = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 60)
plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 262144)
secure = context.wrap_socket(plain, server_hostname='localhost')
secure.sendall(b'GET /large HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n')
body, piece = b'', b'-'
while len(body) < int(sys.argv[3]):
    body += secure.recv(1000)
head, body = body.split(b'\\r\\n\\r\\n', 1)
secure.sendall(b'GET /a.txt HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n')
while piece:
    piece = secure.recv(65536)
    body += piece
version = secure.version()
secure.unwrap()
print(len(body), body[-5:].decode(), version)
";
    let port = address(&server, 0).port().to_string();
    let ca = place.path("tls.pem");
    let args = ["-c", script, &port, ca.to_str().unwrap(), &(LARGE / 2).to_string()];
    let Some(output) = run("python3", &args, "") else { return };
    let (text, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let mut words = text.split_whitespace();
    let length: usize = words.next().unwrap_or_else(|| panic!("{errors}")).parse().unwrap();
    assert!((LARGE + 100..LARGE + 1_000).contains(&length), "two bodies and a head: {length}");
    assert_eq!(words.collect::<Vec<_>>(), ["alpha", "TLSv1.3"], "{errors}");
}
