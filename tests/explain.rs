//! `tenkay explain` from end to end: the program is run on folders, and its text and its JSON are
//! read.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test they are the assertion")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Runs the command in a folder, and returns its exit status and both outputs.
fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_tenkay"))
        .arg("explain")
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

const CONFIG: &str = r#"
security_headers = true

[limits]
cached_body_bytes = 1000

[[site]]
hosts = ["example.org", "*.example.org"]
root = "one"
rule_files = true
clean_urls = "serve"

[[site.access]]
for = "/intern/*"
deny = ["192.0.2.0/24"]

[[site.redirects]]
from = "/old/*"
to = "/:splat"
status = 308
force = true

[[site.headers]]
for = "/*"
values = { X-Set = "a \"b\"" }

[[site.auth]]
for = "/login/*"
users = "users"
realm = "Staff"

[[site]]
root = "two"
spa = "/index.html"
"#;

/// Bob, with a password that no test needs.
const USERS: &str = "bob:$2y$04$Z5l5hTg5a3kgR5LRjphxy.JzVyvDQ7UW5bY9pKwth714btNnqS4qK\n";

fn tree() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "body { color: red }\n".repeat(500);
    for (path, content) in [
        ("site.toml", CONFIG),
        ("users", USERS),
        ("one/index.html", "start"),
        ("one/about.html", "about"),
        ("one/intern/a.txt", "a"),
        ("one/style.css", &text),
        ("one/style.css.br", "br"),
        ("one/_redirects", "# moved\n/moved /about 301\n/bad\n/app/* /index.html 200\n"),
        ("one/_headers", "/style.css\n  Cache-Control: max-age=60\n"),
        ("two/index.html", "app"),
        ("two/large.css", &text),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

#[test]
fn the_text_has_the_site_the_deciding_rule_and_the_head() {
    let folder = tree();
    for (args, lines) in [
        (
            &["http://example.org/old/a?b"][..],
            &[
                "Site 1 (example.org, *.example.org), defined by: site.toml:7:1",
                "> forced redirects: 308 to /a",
                "    site.toml:17:1: /old/* /:splat 308! (matches and decides)",
                "HTTP/1.1 308 Permanent Redirect",
                "Location: /a?b",
                "X-Set: a \"b\"",
            ][..],
        ),
        (
            &["http://www.example.org:81/moved"],
            &[
                "> redirects: 301 to /about",
                "    _redirects:2: /moved /about 301 (matches and decides)",
                "HTTP/1.1 301 Moved Permanently",
            ],
        ),
        (
            &["http://example.org/about"],
            &[
                "> clean URLs: /about.html is sent",
                "File: about.html (5 bytes are sent from memory)",
            ],
        ),
        (
            &["example.org/intern/a.txt", "--client", "192.0.2.7"],
            &[
                "> access: this client may not read: by its address",
                "    site.toml:13:1: /intern/* deny 192.0.2.0/24 (matches and decides)",
                "HTTP/1.1 403 Forbidden",
            ],
        ),
        (
            &["example.org/login/a.txt"],
            &[
                "> access: this client may not read: a name and a password are needed",
                "HTTP/1.1 401 Unauthorized",
                "WWW-Authenticate: Basic realm=\"Staff\", charset=\"UTF-8\"",
            ],
        ),
        (
            &["example.org/login/a.txt", "-H", "Authorization: Basic Ym9iOmE="],
            &[
                "> access: this client may not read: passwords are not verified here; the server \
                 would, and answer 401 or go on",
                "    site.toml:27:1: /login/* login 'Staff' (matches and decides)",
            ],
        ),
        (
            &["example.org/intern/a.txt"],
            &["  access: this client may read", "> file: /intern/a.txt is sent"],
        ),
    ] {
        check_text(folder.path(), args, lines);
    }
}

/// Each of these "does not exist, or is not a file that may be served".
#[test]
fn what_is_there_and_is_not_served_has_its_reason() {
    let folder = tree();
    let link = |target: &Path, name: &str| {
        std::os::unix::fs::symlink(target, folder.path().join("two").join(name)).unwrap();
    };
    fs::write(folder.path().join("secret"), "").unwrap();
    link(&folder.path().join("secret"), "out.txt");
    link(folder.path(), "above");
    link(Path::new("nothing"), "broken");
    link(Path::new("index.html"), "inside");
    let out = "a link that leads out of the root to no folder of link_targets";
    for (args, line) in [
        (&["/out.txt"][..], &*format!("/out.txt is, or goes through, {out}")),
        (&["/above/secret"], &format!("/above/secret is, or goes through, {out}")),
        (&["/broken"], "/broken is a link to something that does not exist"),
        (
            &["/inside", "--symlinks=off"],
            "/inside is a link, and links are not followed (symlinks)",
        ),
        (&["/none"], "/none does not exist, or is not a file that may be served"),
    ] {
        let (_, text, errors) = run(&folder.path().join("two"), args);
        assert!(text.contains(line), "{args:?}: {text}{errors}");
    }
}

#[test]
fn the_text_has_the_file_its_forms_and_the_failure() {
    let folder = tree();
    let navigation = "Sec-Fetch-Mode: navigate";
    for (args, lines) in [
        (
            &["example.org/style.css", "-H", "Accept-Encoding: gzip, br;q=0.25", "-X", "HEAD"][..],
            &[
                "  _headers:1: /style.css { Cache-Control: max-age=60 }",
                "* br: quality 0.25; style.css.br has 2 bytes",
                "  gzip: quality 1; style.css.gz does not exist",
                "Preset security_headers (on):",
                "Cache-Control: max-age=60",
                "Content-Encoding: br",
            ][..],
        ),
        (
            &["/deep/link", "-H", navigation],
            &["Site 2 (all hosts), defined by: site.toml:32:1", "> spa: /index.html is sent"],
        ),
        (&["/deep/link.js"], &["> error page: 404 with the built-in page"]),
        (&["/large.css"], &["File: large.css (10000 bytes are sent from the open file)"]),
        (&["/", "-X", "POST"], &["HTTP/1.1 405 Method Not Allowed"]),
        (&["/%zz"], &["HTTP/1.1 400 Bad Request", "Connection: close"]),
        (&["*", "-X", "OPTIONS"], &["Site: none is asked", "HTTP/1.1 204 No Content"]),
        (&["/", "-H", "Connection: close"], &["HTTP/1.1 200 OK", "Connection: close"]),
        (&["/", "-H", "Host: a b"], &["HTTP/1.1 400 Bad Request"]),
        (&["/", "-H", "Range: bytes=1-"], &["HTTP/1.1 206 Partial Content"]),
    ] {
        check_text(folder.path(), args, lines);
    }
}

/// Checks that the explanation of a request has these lines.
fn check_text(folder: &Path, args: &[&str], lines: &[&str]) {
    check_config(folder, "site.toml", args, lines);
}

/// The same with another configuration file.
fn check_config(folder: &Path, config: &str, args: &[&str], lines: &[&str]) {
    let (status, text, errors) = run(folder, &[args, &["--config", config]].concat());
    assert_eq!((status, &*errors), (0, ""), "{args:?}");
    for line in lines {
        assert!(text.lines().any(|it| it == *line), "{args:?} has no line '{line}':\n{text}");
    }
    assert!(!text.contains("please report"), "{text}");
}

#[test]
fn the_json_can_be_parsed_and_keeps_its_names() {
    let folder = tree();
    let args = ["http://example.org/moved", "--json", "-c", "site.toml", "-H", "X: \"\\\u{e9}"];
    let (status, text, _) = run(folder.path(), &args);
    assert_eq!(status, 0);
    let json: Value = serde_json::from_str(&text).unwrap();
    let names: Vec<&String> = json.as_object().unwrap().keys().collect();
    for name in [
        "request",
        "site",
        "path",
        "steps",
        "decided_by",
        "headers",
        "file",
        "bytes",
        "variants",
        "later",
        "security_headers",
        "limits",
        "status",
        "head",
        "notes",
    ] {
        assert!(names.iter().any(|it| *it == name), "{name} is missing: {names:?}");
    }
    assert_eq!((&json["status"], &json["decided_by"]), (&301.into(), &"redirects".into()));
    assert_eq!(json["site"]["hosts"][1], "*.example.org");
    assert_eq!(json["head"][0], "HTTP/1.1 301 Moved Permanently");
    let last = json["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["rules"][0]["place"], &last["decides"]),
        (&"_redirects:2".into(), &true.into())
    );
    assert_eq!(json["headers"][0]["rule"], "/* { X-Set: a \"b\" }");
    assert!(json["notes"][0].as_str().unwrap().contains("_redirects:3"), "{json}");
}

#[cfg(feature = "compression")]
#[test]
fn compression_in_the_background_is_said() {
    let folder = tree();
    let args = ["/large.css", "two", "-H", "Accept-Encoding: zstd", "--json"];
    let json: Value = serde_json::from_str(&run(folder.path(), &args).1).unwrap();
    assert_eq!(json["later"]["coding"], "zstd");
    assert!(json["later"]["bytes"].as_u64().unwrap() < 1000, "{json}");
    assert_eq!(json["variants"][3]["sent"], true);
}

#[test]
fn the_head_is_that_of_the_server() {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::process::Stdio;

    let folder = tree();
    let mut server = Command::new(env!("CARGO_BIN_EXE_tenkay"))
        .args(["--config", "site.toml", "--port", "0"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut start = std::io::BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut start, &mut line).unwrap();
    let address = line.split("http://").nth(1).unwrap().split(['/', ' ']).next().unwrap();
    for (target, method) in [
        ("/", "GET"),
        ("/about", "GET"),
        ("/moved", "GET"),
        ("/none", "GET"),
        ("/intern", "GET"),
        ("/style.css", "HEAD"),
        ("/app/x", "GET"),
        ("/%2e%2e/", "GET"),
        ("/", "OPTIONS"),
        ("/%zz", "GET"),
        ("/", "BREW"),
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        let head =
            format!("{method} {target} HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let head = answer.split("\r\n\r\n").next().unwrap();
        let url = format!("http://example.org{target}");
        let args = [&*url, "-X", method, "-H", "Connection: close", "-c", "site.toml", "--json"];
        let json: Value = serde_json::from_str(&run(folder.path(), &args).1).unwrap();
        let told = json["head"].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
        let undated = |line: &&str| !line.starts_with("Date: ");
        let told: Vec<&str> = told.filter(undated).collect();
        assert_eq!(told, head.split("\r\n").filter(undated).collect::<Vec<_>>(), "{target}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn the_exit_status_tells_arguments_from_settings() {
    let folder = tree();
    fs::write(folder.path().join("bad.toml"), "rot = \"one\"\n").unwrap();
    for (args, expected, what) in [
        (&["/", "one"][..], 0, ""),
        (&["/none", "one"], 0, ""),
        (&[], 2, "<URL>"),
        (&["ftp://a/"], 2, "use http or https"),
        (&["/", "-H", "no colon"], 2, "write 'Name: value'"),
        (&["/", "-H", "Content-Length: 3"], 2, "announces a body"),
        (&["/", "--client", "localhost"], 2, "--client"),
        (&["/", "--nothing"], 2, "--nothing"),
        (&["/", "three"], 1, "cannot serve 'three'"),
        (&["/", "--config", "bad.toml"], 1, "bad.toml:1:1: "),
        (&["/", "--config", "none.toml"], 1, "none.toml"),
    ] {
        let (status, _, errors) = run(folder.path(), args);
        assert_eq!(status, expected, "{args:?}: {errors}");
        assert!(errors.contains(what), "{args:?}: {errors}");
    }
}

#[test]
fn a_trusted_client_is_a_proxy_that_names_the_client() {
    let folder = tree();
    let asked = ["example.org/intern/a.txt", "-H", "X-Forwarded-For: 192.0.2.7"];
    for (trusted, client, expected) in [
        ("--trusted-proxies=127.0.0.1", "127.0.0.1", "from 192.0.2.7"),
        ("--trusted-proxies=127.0.0.1", "127.0.0.2", "from 127.0.0.2"),
        ("--trusted-proxies=", "127.0.0.1", "from 127.0.0.1"),
    ] {
        let more = ["--config", "site.toml", trusted, "--client", client];
        let (_, text, errors) = run(folder.path(), &[&asked[..], &more].concat());
        let status = if expected.ends_with('7') { "HTTP/1.1 403" } else { "HTTP/1.1 200" };
        assert!(text.contains(expected) && text.contains(status), "{text}{errors}");
    }
}

#[test]
#[cfg(feature = "tls")]
fn the_scheme_of_the_url_decides_what_tls_asks_of_the_request() {
    let folder = tree();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    for (name, host) in [("first", "example.org"), ("second", "example.net")] {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new([host.to_owned()]).unwrap();
        write(&format!("{name}.pem"), &params.self_signed(&key).unwrap().pem());
    }
    fs::create_dir_all(folder.path().join("acme/.well-known/acme-challenge")).unwrap();
    write("acme/.well-known/acme-challenge/token", "answer");
    // The keys, which root alone may be able to read, are not needed.
    let config = "listen = ['127.0.0.1:8080', 'https://127.0.0.1:8443']\nroot = 'one'\n[tls]\n\
                  certificates = [{ cert = 'first.pem', key = 'none' }, { cert = 'second.pem', \
                  key = 'none' }]\nredirect_http = true\nacme_webroot = 'acme'\n\
                  hsts = 'max-age=1'\n";
    write("tls.toml", config);
    let covered = "  https: the certificate of the connection covers this host";
    let not_covered = "> https: the certificate of this connection does not cover this host";
    for (args, lines) in [
        (
            &["https://example.org/about.html"][..],
            &[
                covered,
                "  hsts: /* { Strict-Transport-Security: max-age=1 }",
                "HTTP/1.1 200 OK",
                "Strict-Transport-Security: max-age=1",
            ][..],
        ),
        (&["https://example.net/missing"], &[covered, "HTTP/1.1 404 Not Found"]),
        (&["https://other.org/"], &[not_covered, "HTTP/1.1 421 Misdirected Request"]),
        (
            &["https://example.org/", "-H", "Host: example.net"],
            &[not_covered, "HTTP/1.1 421 Misdirected Request"],
        ),
        (&["https://[::1]:8443/"], &[not_covered]),
        (
            &["http://example.org/a?b"],
            &[
                "> https: plain HTTP is redirected to HTTPS (redirect_http)",
                "HTTP/1.1 308 Permanent Redirect",
                "Location: https://example.org:8443/a?b",
            ],
        ),
        (
            &["http://example.org/.well-known/acme-challenge/token"],
            &[
                "Site 2 (all hosts), defined by: acme_webroot",
                "  https: an ACME challenge, served from acme_webroot",
                "HTTP/1.1 200 OK",
                "Content-Length: 6",
            ],
        ),
        (
            &["http://example.org/.well-known/other"],
            &["  https: this request is not redirected to HTTPS", "HTTP/1.1 404 Not Found"],
        ),
        (&["/about.html"], &["HTTP/1.1 200 OK"]),
    ] {
        check_config(folder.path(), "tls.toml", args, lines);
    }
    write("first.pem", "nonsense");
    let args = ["https://other.org/missing", "--config", "tls.toml"];
    let (status, text, _) = run(folder.path(), &args);
    assert_eq!(status, 0);
    assert!(text.contains("; any host is assumed to be covered"), "{text}");
}
