//! Tests with real clients: curl and wget, in their common uses.
//!
//! The wire tests check the bytes; these tests check that downloads can be resumed, caches
//! revalidated, and sites copied byte for byte. A client that is not installed is skipped with a
//! message.

mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use common::{Server, Setup, numbered_lines};
use tempfile::TempDir;

/// Seconds after which a client gives up; only a failing test takes that long.
const PATIENCE_S: &str = "60";

/// An HTTP client program.
struct Client {
    program: &'static str,
    fixed: &'static [&'static str],
}

/// curl: no configuration of the user, no proxy, silent but for errors.
const CURL: Client = Client {
    program: "curl",
    fixed: &["-q", "--silent", "--show-error", "--noproxy", "*", "--max-time", PATIENCE_S],
};

/// wget: the same, and a failed connection is not tried again.
const WGET: Client = Client {
    program: "wget",
    fixed: &["--no-config", "--no-verbose", "--no-proxy", "--tries=1", "--timeout", PATIENCE_S],
};

impl Client {
    fn is_missing(&self) -> bool {
        let missing = Command::new(self.program).arg("--version").output().is_err();
        if missing {
            eprintln!("skipped: {} is not installed", self.program);
        }
        missing
    }

    fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        let output = Command::new(self.program).args(self.fixed).args(args).output();
        output.expect("the client is installed")
    }

    /// Runs it and expects success; its stdout.
    fn get<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Vec<u8> {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} failed: {}: {errors}", self.program, output.status);
        output.stdout
    }
}

/// A root with one small and one large file, old enough to have strong validators.
fn site() -> TempDir {
    let root = TempDir::with_prefix("tenkay-clients-").expect("a temporary directory");
    write(root.path(), "small.txt", b"0123456789");
    write(root.path(), "large.bin", &numbered_lines(3_000_000));
    root
}

fn write(root: &Path, name: impl AsRef<Path>, bytes: &[u8]) {
    let path = root.join(name);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let written = fs::create_dir_all(path.parent().unwrap_or(root))
        .and_then(|()| fs::write(&path, bytes))
        .and_then(|()| fs::File::open(&path)?.set_modified(time));
    written.expect("a temporary directory can be written");
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("the output of curl is text")
}

/// The status that curl gets with these arguments; the body is discarded.
fn status(args: &[&str]) -> String {
    let written = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    text(CURL.get(written.iter().chain(args)))
}

#[test]
fn curl_downloads_files_byte_for_byte() {
    if CURL.is_missing() {
        return;
    }
    let root = site();
    let server = Server::start(root.path(), &[]);
    assert_eq!(CURL.get([server.url("/small.txt")]), b"0123456789");
    assert!(CURL.get([server.url("/large.bin")]) == numbered_lines(3_000_000));
    assert_eq!(status(&[&server.url("/missing")]), "404");
}

#[test]
fn curl_reads_a_head_without_waiting_for_a_body() {
    if CURL.is_missing() {
        return;
    }
    let root = site();
    let server = Server::start(root.path(), &[]);
    let head = text(CURL.get(["--head", &server.url("/large.bin")])).to_lowercase();
    assert!(head.contains("content-length: 3000000\r\n"), "{head}");
    assert!(head.contains("last-modified: sun, 09 sep 2001 01:46:40 gmt\r\n"), "{head}");
}

#[test]
fn curl_gets_the_ranges_it_asks_for() {
    if CURL.is_missing() {
        return;
    }
    let root = site();
    let server = Server::start(root.path(), &[]);
    let small = server.url("/small.txt");
    let range = |range: &str| CURL.get(["--range", range, &small]);
    assert_eq!(range("0-0"), b"0");
    assert_eq!(range("2-4"), b"234");
    assert_eq!(range("7-"), b"789");
    assert_eq!(range("-3"), b"789");
    assert_eq!(range("5-99"), b"56789");
    assert_eq!(range("0-1,5-6"), b"0123456789", "shorter than two parts with their heads");
    let (large, bytes) = (server.url("/large.bin"), numbered_lines(3_000_000));
    let found = CURL.get(["--range", "1000000-1999999", &large]);
    assert!(found == bytes[1_000_000..2_000_000]);
    let found = CURL.get(["--range", "0-9,500-509", &large]);
    for part in [&bytes[0..10], &bytes[500..510]] {
        let part = [b"\r\n\r\n", part, b"\r\n--"].concat();
        assert!(found.windows(part.len()).any(|window| window == part));
    }
    assert_eq!(status(&["--range", "10-", &small]), "416");
}

#[test]
fn curl_gets_a_folder_that_tar_and_python_unpack() {
    if CURL.is_missing() {
        return;
    }
    let root = site();
    write(root.path(), "sub/deeper still/\u{fc}.txt", b"umlaut");
    write(root.path(), "n".repeat(255), b"long");
    let server = Server::start(root.path(), &["--listing", "--archives=tar,zip"]);
    for version in ["--http1.1", "--http1.0"] {
        for (format, program, args) in [
            ("tar", "tar", &["-xf", "all"][..]),
            ("zip", "python3", &["-m", "zipfile", "-e", "all", "."]),
        ] {
            let copy = TempDir::with_prefix("tenkay-archive-").unwrap();
            let url = server.url(&format!("/?archive={format}"));
            fs::write(copy.path().join("all"), CURL.get([version, &url])).unwrap();
            let unpacked = Command::new(program).args(args).current_dir(copy.path()).status();
            assert!(unpacked.unwrap().success(), "{format} {version}");
            let folder = copy.path().join("archive");
            assert_same(&files_below(root.path()), &files_below(&folder));
        }
    }
}

#[test]
fn curl_resumes_a_download_where_it_stopped() {
    if CURL.is_missing() {
        return;
    }
    let root = site();
    let server = Server::start(root.path(), &[]);
    let there = TempDir::new().unwrap();
    let file = there.path().join("large.bin");
    fs::write(&file, &numbered_lines(3_000_000)[..1_234_567]).unwrap();
    let output = file.to_str().unwrap();
    let url = server.url("/large.bin");
    let took = CURL.get(["-C", "-", "-o", output, "-w", "%{http_code} %{size_download}", &url]);
    assert_eq!(text(took), format!("206 {}", 3_000_000 - 1_234_567));
    assert!(fs::read(&file).unwrap() == numbered_lines(3_000_000));
}

#[test]
fn curl_does_not_download_again_what_did_not_change() {
    if CURL.is_missing() {
        return;
    }
    let root = site();
    let server = Server::start(root.path(), &[]);
    let url = server.url("/small.txt");
    let there = TempDir::new().unwrap();
    let tag = there.path().join("tag");
    let tag = tag.to_str().unwrap();
    assert_eq!(status(&["--etag-save", tag, &url]), "200");
    assert_eq!(status(&["--etag-compare", tag, &url]), "304");
    let same = root.path().join("small.txt");
    assert_eq!(status(&["--time-cond", same.to_str().unwrap(), &url]), "304");
    assert_eq!(status(&["--time-cond", "Sat, 08 Sep 2001 01:46:40 GMT", &url]), "200");
}

#[test]
fn curl_reuses_one_connection_for_several_files() {
    if CURL.is_missing() {
        return;
    }
    let root = site();
    let server = Server::start(root.path(), &[]);
    let urls = ["/small.txt", "/missing", "/large.bin"].map(|path| server.url(path));
    let connections = |more: &[&str]| {
        let fixed = ["--write-out", "%{http_code} %{num_connects}\n"];
        let urls = urls.iter().flat_map(|url| ["--output", "/dev/null", url]);
        text(CURL.get(fixed.iter().copied().chain(more.iter().copied()).chain(urls)))
    };
    assert_eq!(connections(&[]), "200 1\n404 0\n200 0\n");
    assert_eq!(connections(&["--head"]), "200 1\n404 0\n200 0\n");
    assert_eq!(connections(&["--http1.0"]), "200 1\n404 1\n200 1\n");
    let keep = ["--http1.0", "--header", "Connection: keep-alive"];
    assert!(connections(&keep).starts_with("200 1\n404 "));
    assert_eq!(connections(&["--header", "Connection: close"]), "200 1\n404 1\n200 1\n");
}

#[test]
fn curl_gets_many_files_at_the_same_time() {
    if CURL.is_missing() {
        return;
    }
    let root = site();
    let server = Server::start(root.path(), &[]);
    let there = TempDir::new().unwrap();
    let output = there.path().join("#1");
    let url = server.url("/large.bin?[1-20]");
    CURL.get(["--parallel", "--output", output.to_str().unwrap(), &url]);
    let expected = numbered_lines(3_000_000);
    for number in 1..=20 {
        let came = fs::read(there.path().join(number.to_string())).unwrap();
        assert!(came == expected, "copy {number} differs");
    }
}

#[test]
fn curl_finds_nothing_above_the_root() {
    if CURL.is_missing() {
        return;
    }
    let base = TempDir::new().unwrap();
    write(base.path(), "secret.txt", b"SECRET");
    write(base.path(), "root/index.html", b"inside");
    let server = Server::start(&base.path().join("root"), &[]);
    for path in [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/.%2e/secret.txt",
        "/x/../../secret.txt",
        "/..\\secret.txt",
        "/%252e%252e/secret.txt",
        "//../secret.txt",
        "/./.././secret.txt",
    ] {
        let args = ["--path-as-is", "--globoff", "--write-out", "%{http_code}", &server.url(path)];
        let answer = text(CURL.get(args));
        assert!(!answer.contains("SECRET"), "{path} was served");
        assert!(answer.ends_with("400") || answer.ends_with("404"), "{path}: {answer}");
    }
}

#[test]
fn curl_follows_a_directory_to_its_index() {
    if CURL.is_missing() {
        return;
    }
    let root = site();
    write(root.path(), "dir/index.html", b"the index");
    let server = Server::start(root.path(), &[]);
    let url = server.url("/dir?x=y");
    let args = ["--location", "--write-out", "\n%{num_redirects} %{url_effective}", &url];
    assert_eq!(text(CURL.get(args)), format!("the index\n1 {}", server.url("/dir/?x=y")));
}

#[test]
fn curl_reads_the_refusal_of_an_upload() {
    if CURL.is_missing() {
        return;
    }
    let root = site();
    let server = Server::start(root.path(), &[]);
    let url = server.url("/small.txt");
    let large = root.path().join("large.bin");
    let upload = format!("@{}", large.to_str().unwrap());
    assert_eq!(status(&["--data", "a=b", &url]), "405");
    // curl asks with Expect: 100-continue before it sends this much.
    let refused = status(&["--header", "Expect: 100-continue", "--data-binary", &upload, &url]);
    assert!(["405", "413"].contains(&refused.as_str()), "{refused}");
    let put = status(&["--upload-file", large.to_str().unwrap(), &url]);
    assert!(["405", "413"].contains(&put.as_str()), "{put}");
    assert_eq!(fs::read(root.path().join("small.txt")).unwrap(), b"0123456789");
}

#[test]
fn curl_speaks_over_a_unix_socket() {
    if CURL.is_missing() {
        return;
    }
    let root = site();
    let there = TempDir::new().unwrap();
    let socket = there.path().join("socket");
    let server = Setup::new(root.path()).unix(&socket).start().expect("the server starts");
    let unix = ["--unix-socket", socket.to_str().unwrap()];
    let get = |path: &str| CURL.get(unix.iter().copied().chain([server.url(path).as_str()]));
    assert_eq!(get("/small.txt"), b"0123456789");
    assert!(get("/large.bin") == numbered_lines(3_000_000));
}

#[test]
fn wget_resumes_a_download_where_it_stopped() {
    if WGET.is_missing() {
        return;
    }
    let root = site();
    let server = Server::start(root.path(), &[]);
    let there = TempDir::new().unwrap();
    let file = there.path().join("large.bin");
    fs::write(&file, &numbered_lines(3_000_000)[..777_777]).unwrap();
    let directory = there.path().to_str().unwrap();
    let url = server.url("/large.bin");
    let args = ["--continue", "--server-response", "--directory-prefix", directory, &url];
    let output = WGET.run(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("206 Partial Content"), "{said}");
    assert!(fs::read(&file).unwrap() == numbered_lines(3_000_000));
    // Again: the download is complete, and another attempt does not damage it.
    WGET.run(args);
    assert!(fs::read(&file).unwrap() == numbered_lines(3_000_000));
}

#[test]
fn wget_does_not_download_again_what_did_not_change() {
    if WGET.is_missing() {
        return;
    }
    let root = site();
    let server = Server::start(root.path(), &[]);
    let there = TempDir::new().unwrap();
    let directory = there.path().to_str().unwrap();
    let url = server.url("/small.txt");
    let args = ["--timestamping", "--server-response", "--directory-prefix", directory, &url];
    WGET.get(args);
    let second = WGET.run(args);
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(second.status.success() && said.contains("304 Not Modified"), "{said}");
}

#[test]
fn wget_copies_a_site_byte_for_byte() {
    if WGET.is_missing() {
        return;
    }
    let root = TempDir::with_prefix("tenkay-mirror-").unwrap();
    let pages = make_documentation(root.path());
    assert!(pages >= 2_000, "only {pages} pages");
    let server = Server::start(root.path(), &[]);
    let copy = mirror(&server, &[]);
    assert_same(&files_below(root.path()), &files_below(copy.path()));
}

#[test]
fn wget_copies_a_tree_by_its_listings() {
    if WGET.is_missing() {
        return;
    }
    let root = TempDir::with_prefix("tenkay-listing-").unwrap();
    // No `%41.txt`: wget would save it as `A.txt`.
    let names: [&[u8]; 13] = [
        b"plain.txt",
        b"a space.txt",
        b"100%.txt",
        b"hash#.txt",
        b"quote\"'.txt",
        b"<b>&amp;.txt",
        b"x:y.txt",
        b"semi;colon.txt",
        b"plus+.txt",
        "ü.txt".as_bytes(),
        "日本語.txt".as_bytes(),
        b"-dash.txt",
        b"a\\b.txt",
    ];
    for directory in ["", "sub", "sub/deeper still", "a+b", "ü", "100%"] {
        for name in names {
            let path = Path::new(directory).join(OsStr::from_bytes(name));
            write(root.path(), &path, path.as_os_str().as_bytes());
        }
    }
    let server = Server::start(root.path(), &["--listing"]);
    let copy = mirror(&server, &["--restrict-file-names=nocontrol", "--reject-regex=[?]"]);
    let mut came = files_below(copy.path());
    came.retain(|path, _| !path.ends_with(b"/index.html"));
    assert_same(&files_below(root.path()), &came);
}

/// A copy of the whole site by following links.
fn mirror(server: &Server, more: &[&str]) -> TempDir {
    let copy = TempDir::with_prefix("tenkay-copy-").expect("a temporary directory");
    let directory = copy.path().to_str().expect("its name is text");
    let url = server.url("/");
    let fixed = [
        "--recursive",
        "--level=inf",
        "--no-parent",
        "--no-host-directories",
        // wget names a page by its URL after the redirect.
        "--trust-server-names",
        "--execute=robots=off",
        "--directory-prefix",
        directory,
    ];
    WGET.get(fixed.into_iter().chain(more.iter().copied()).chain([url.as_str()]));
    copy
}

/// Pages in chapters and sections, each linked from its index and to its neighbours; their number.
fn make_documentation(root: &Path) -> usize {
    const CHAPTERS: usize = 20;
    const SECTIONS: usize = 10;
    const PAGES: usize = 10;
    let page = |title: &str, links: &[String], words: usize| {
        let items: String =
            links.iter().map(|to| format!("<li><a href=\"{to}\">{to}</a>\n")).collect();
        let filler = "The quick brown fox jumps over the lazy dog. ".repeat(words);
        format!("<!doctype html>\n<title>{title}</title>\n<ul>\n{items}</ul>\n<p>{filler}\n")
    };
    let mut count = 1;
    let chapters: Vec<String> = (0..CHAPTERS).map(|chapter| format!("c{chapter}/")).collect();
    write(root, "index.html", page("All", &chapters, 1).as_bytes());
    for (number, chapter) in chapters.iter().enumerate() {
        let sections: Vec<String> = (0..SECTIONS).map(|section| format!("s{section}/")).collect();
        // Every other link lacks its slash, so that redirects are followed as well.
        let links: Vec<String> = sections
            .iter()
            .map(|to| if number % 2 == 0 { to.clone() } else { to.trim_end_matches('/').into() })
            .collect();
        write(root, format!("{chapter}index.html"), page(chapter, &links, 3).as_bytes());
        count += 1;
        for section in &sections {
            let pages: Vec<String> = (0..PAGES).map(|page| format!("p{page}.html")).collect();
            let directory = format!("{chapter}{section}");
            let up = [pages.as_slice(), &["../".into(), "/".into()]].concat();
            write(root, format!("{directory}index.html"), page(section, &up, 2).as_bytes());
            count += 1;
            for (at, name) in pages.iter().enumerate() {
                let next = pages[(at + 1) % PAGES].clone();
                let links = [next, "./".into(), "../../c0/s0/p0.html#part".into()];
                let words = (count * 7919) % 400;
                write(root, format!("{directory}{name}"), page(name, &links, words).as_bytes());
                count += 1;
            }
        }
    }
    count
}

/// Every file below a directory, by its path with a slash before it.
fn files_below(root: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).expect("a directory can be read") {
            let path = entry.expect("a directory can be read").path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let below = path.strip_prefix(root).expect("it was found there").as_os_str();
                let bytes = fs::read(&path).expect("a file can be read");
                files.insert([b"/", below.as_bytes()].concat(), bytes);
            }
        }
    }
    files
}

/// Asserts that both have the same names and contents, and lists the differences.
fn assert_same(expected: &BTreeMap<Vec<u8>, Vec<u8>>, came: &BTreeMap<Vec<u8>, Vec<u8>>) {
    let names = |names: Vec<&Vec<u8>>| {
        names.iter().map(|name| name.escape_ascii().to_string()).collect::<Vec<_>>()
    };
    let missing = expected.keys().filter(|name| !came.contains_key(*name)).collect();
    let extra = came.keys().filter(|name| !expected.contains_key(*name)).collect();
    let (missing, extra) = (names(missing), names(extra));
    assert!(missing.is_empty() && extra.is_empty(), "missing: {missing:?}, extra: {extra:?}");
    let differ = expected.iter().filter(|(name, bytes)| came[*name] != **bytes);
    let differ = names(differ.map(|(name, _)| name).collect());
    assert!(differ.is_empty(), "different: {differ:?}");
}
