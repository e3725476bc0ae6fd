//! Exchanges, one row each: the input, and the expected responses.

use std::fs;
use std::path::Path;

use tenkay::config::SiteConfig;
use tenkay::h1::StateName;
use tenkay::machine::Reason;

use crate::sans_io::bench::{Afterwards, Bench, End, content, put};

/// One exchange.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) input: Vec<u8>,
    pub(crate) afterwards: Afterwards,
    pub(crate) draining: bool,
    /// Requests that the client may make.
    pub(crate) requests: u32,
    pub(crate) settings: Settings,
    /// The statuses of the responses.
    pub(crate) statuses: Vec<u16>,
    /// Indices of the responses to HEAD.
    pub(crate) heads: Vec<usize>,
    pub(crate) end: End,
}

/// The settings of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settings {
    /// The defaults.
    Defaults,
    /// Tight bounds, so that short inputs reach them; and no listings.
    Tight,
    /// A target may be as long as a page.
    LongTargets,
    /// The defaults, with a folder that is too large to be listed at once.
    LargeFolder,
}

impl Settings {
    pub(crate) const ALL: [Settings; 4] =
        [Settings::Defaults, Settings::Tight, Settings::LongTargets, Settings::LargeFolder];

    pub(crate) fn bench(self) -> Bench {
        self.bench_with(&[])
    }

    /// With these further changes to the limits.
    pub(crate) fn bench_with(self, changes: &[&str]) -> Bench {
        let limits: &[&str] = match self {
            Settings::Defaults | Settings::LargeFolder => &[],
            Settings::Tight => &[
                "target_bytes=32",
                "head_bytes=160",
                "fields=4",
                "body_bytes=16",
                "chunk_line_bytes=16",
                "trailer_bytes=16",
                "linger_bytes=4096",
            ],
            Settings::LongTargets => &["target_bytes=32768", "head_bytes=32768"],
        };
        let listing = self != Settings::Tight;
        let limits = [limits, changes].concat();
        Bench::new(&limits, SiteConfig { listing, ..SiteConfig::default() }, |folder| {
            fill(folder);
            if self == Settings::LargeFolder {
                fs::create_dir(folder.join("large")).unwrap();
                for number in 0..800 {
                    fs::write(folder.join(format!("large/{number}")), b"").unwrap();
                }
            }
        })
    }
}

/// The files. Their names tell where their bytes are when they are sent.
fn fill(folder: &Path) {
    for (name, length) in [
        ("empty", 0),
        ("tiny", 5),
        ("copied", 3072),
        ("memory", 60 * 1024),
        ("memory-most", 65_536),
        ("file-least", 65_537),
        ("file", 200 * 1024),
    ] {
        put(folder, name, &content(length, 1));
    }
    put(folder, "dir/index.html", b"<p>index");
    put(folder, "list/one", b"1");
    put(folder, ".hidden", b"2");
}

impl Script {
    fn new(name: &'static str, input: impl Into<Vec<u8>>) -> Script {
        Script {
            name,
            input: input.into(),
            afterwards: Afterwards::Waits,
            draining: false,
            requests: u32::MAX,
            settings: Settings::Defaults,
            statuses: Vec::new(),
            heads: Vec::new(),
            end: End::Waits(StateName::Idle),
        }
    }

    /// Answers with these statuses, and the connection stays open.
    fn stays(mut self, statuses: &[u16]) -> Script {
        self.statuses = statuses.to_vec();
        self
    }

    /// Answers with these statuses, then lingers.
    fn lingers(mut self, statuses: &[u16]) -> Script {
        self.end = End::Waits(StateName::Linger);
        self.stays(statuses)
    }

    /// Answers with these statuses, then closes.
    fn ends(mut self, statuses: &[u16], reason: Reason) -> Script {
        self.end = End::Over(reason);
        self.stays(statuses)
    }

    /// Answers with these statuses, and waits in this state.
    fn waits(mut self, statuses: &[u16], state: StateName) -> Script {
        self.end = End::Waits(state);
        self.stays(statuses)
    }

    fn heads(mut self, heads: &[usize]) -> Script {
        self.heads = heads.to_vec();
        self
    }

    fn tight(mut self) -> Script {
        self.settings = Settings::Tight;
        self
    }

    fn long_targets(mut self) -> Script {
        self.settings = Settings::LongTargets;
        self
    }

    fn large_folder(mut self) -> Script {
        self.settings = Settings::LargeFolder;
        self
    }

    fn draining(mut self) -> Script {
        self.draining = true;
        self
    }

    fn requests(mut self, requests: u32) -> Script {
        self.requests = requests;
        self
    }

    fn finishes(mut self) -> Script {
        self.afterwards = Afterwards::Finishes;
        self
    }

    fn delays(mut self) -> Script {
        self.afterwards = Afterwards::Delays;
        self
    }
}

/// A head in HTTP/1.1 with these further field lines.
fn head(method: &str, target: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

fn get(target: &str) -> String {
    head("GET", target, &[])
}

fn get_with(target: &str, line: &str) -> String {
    head("GET", target, &[line])
}

/// A body in chunks, complete with its framing.
fn chunked(body: &str) -> String {
    head("GET", "/tiny", &["Transfer-Encoding: chunked"]) + body
}

/// All exchanges.
pub(crate) fn all() -> Vec<Script> {
    [plain(), pipelined(), bodies(), refusals(), bounds(), files(), endings()]
        .into_iter()
        .flatten()
        .collect()
}

fn plain() -> Vec<Script> {
    vec![
        Script::new("nothing", ""),
        Script::new("a request", get("/tiny")).stays(&[200]),
        Script::new("an empty file", get("/empty")).stays(&[200]),
        Script::new("a later minor version", "GET /tiny HTTP/1.7\r\nHost: a\r\n\r\n").stays(&[200]),
        Script::new("HEAD", head("HEAD", "/tiny", &[])).stays(&[200]).heads(&[0]),
        Script::new("HEAD of a file", head("HEAD", "/file", &[])).stays(&[200]).heads(&[0]),
        Script::new("HEAD of nothing", head("HEAD", "/none", &[])).stays(&[404]).heads(&[0]),
        Script::new("OPTIONS", head("OPTIONS", "/tiny", &[])).stays(&[204]),
        Script::new("OPTIONS of all", head("OPTIONS", "*", &[])).stays(&[204]),
        Script::new("absolute form", get("http://b:80/tiny?q")).stays(&[200]),
        Script::new("an index", get("/dir/")).stays(&[200]),
        Script::new("a listing", get("/list/")).stays(&[200]),
        Script::new("a large listing", get("/large/") + &get("/tiny") + &get("/large/"))
            .stays(&[200; 3])
            .large_folder(),
        Script::new("no listing", get("/list/")).stays(&[403]).tight(),
        Script::new("nothing there", get("/none")).stays(&[404]),
        Script::new("hidden", get("/.hidden")).stays(&[404]),
        Script::new("a redirect", get("/dir")).stays(&[301]),
        Script::new("a redirect with a query", get("/dir?a=\"b\"")).stays(&[301]),
        Script::new("a method that is not served", head("DELETE", "/tiny", &[])).stays(&[405]),
        Script::new("CONNECT", head("CONNECT", "a:80", &[])).stays(&[405]),
        Script::new("an unknown method", head("BREW", "/tiny", &[])).stays(&[501]),
        Script::new("close", get_with("/tiny", "Connection: close")).ends(&[200], Reason::Finished),
        Script::new("HTTP/1.0", "GET /tiny HTTP/1.0\r\n\r\n").ends(&[200], Reason::Finished),
        Script::new(
            "HTTP/1.0 that stays",
            "GET /tiny HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n".repeat(2),
        )
        .stays(&[200, 200]),
    ]
}

fn pipelined() -> Vec<Script> {
    let last = |target: &str| get("/tiny") + &get_with(target, "Connection: close");
    let mut scripts = vec![
        Script::new("2 requests", get("/tiny").repeat(2)).stays(&[200; 2]),
        Script::new("3 kinds", get("/tiny") + &get("/none") + &head("HEAD", "/dir/", &[]))
            .stays(&[200, 404, 200])
            .heads(&[2]),
        Script::new("20 small ones", get("/tiny").repeat(20)).stays(&[200; 20]),
        Script::new("20 that fill the output", get("/copied").repeat(20)).stays(&[200; 20]),
        Script::new("5 in memory", get("/memory").repeat(5)).stays(&[200; 5]),
        Script::new("3 from files", get("/file").repeat(3)).stays(&[200; 3]),
        Script::new(
            "files among others",
            get("/tiny") + &get("/file") + &get("/memory") + &get("/copied") + &get("/list/"),
        )
        .stays(&[200; 5]),
        Script::new(
            "an error in the middle",
            get("/tiny") + "GET tiny HTTP/1.1\r\n\r\n" + &get("/"),
        )
        .lingers(&[200, 400]),
        Script::new(
            "an error after a full output",
            get("/copied").repeat(12) + "G\0" + &get("/tiny"),
        )
        .lingers(&[[200; 12].as_slice(), &[400]].concat()),
        Script::new(
            "a long redirect after others",
            get("/copied").repeat(7) + &get(&format!("/dir?{}", "\"".repeat(2000))) + &get("/tiny"),
        )
        .stays(&[[200; 7].as_slice(), &[301, 200]].concat()),
        Script::new("more than allowed", get("/tiny").repeat(5))
            .requests(3)
            .stays(&[200, 200, 200, 429, 429]),
        Script::new(
            "more than allowed, of many kinds",
            get("/copied").repeat(9)
                + &get(&format!("/dir?{}", "\"".repeat(2000)))
                + &chunked("1\r\na\r\n0\r\n\r\n")
                + &head("HEAD", "/large/", &[])
                + &get("/none")
                + &get("/tiny"),
        )
        .requests(13)
        .large_folder()
        .stays(&[[200; 9].as_slice(), &[301, 200, 200, 404, 429]].concat())
        .heads(&[11]),
        // The kernel may still be sending a large response when a late byte of the peer arrives.
        Script::new("a large one ends it", last("/file")).waits(&[200, 200], StateName::Linger),
        Script::new("a small one ends it", last("/tiny")).ends(&[200, 200], Reason::Finished),
        Script::new("the third is incomplete", get("/tiny").repeat(2) + "GET /ti")
            .waits(&[200, 200], StateName::Head),
        Script::new(
            "bodies between",
            (chunked("1\r\na\r\n0\r\n\r\n") + &get_with("/file", "Content-Length: 3") + "abc")
                .repeat(2),
        )
        .stays(&[200; 4]),
    ];
    for blank_lines in 1..=2 {
        let input = ("\r\n".repeat(blank_lines) + &get("/tiny")).repeat(3);
        scripts.push(Script::new("1 or 2 empty lines", input).stays(&[200; 3]));
    }
    let input = get("/tiny") + &"\r\n".repeat(3) + &get("/tiny");
    scripts.push(Script::new("3 empty lines", input).lingers(&[200, 400]));
    scripts.push(Script::new("only empty lines", "\r\n\r\n"));
    scripts.push(Script::new("half an empty line", "\r\n\r").waits(&[], StateName::Head));
    scripts
}

fn bodies() -> Vec<Script> {
    let with_length = |length: &str| get_with("/tiny", &format!("Content-Length: {length}"));
    let expects = |line: &str, length: &str| {
        head("GET", "/tiny", &[line, &format!("Content-Length: {length}")])
    };
    let after = get("/empty");
    vec![
        Script::new("a body", with_length("5") + "abcde" + &after).stays(&[200; 2]),
        Script::new("a body of nothing", with_length("0") + &after).stays(&[200; 2]),
        Script::new("a body that is due", with_length("5") + "abcd").waits(&[], StateName::Discard),
        Script::new("a body as long as may be", with_length("16") + &"a".repeat(16) + &after)
            .stays(&[200; 2])
            .tight(),
        Script::new("a body that is longer", with_length("17") + &"a".repeat(17) + &after)
            .lingers(&[413])
            .tight(),
        Script::new("a body for nothing", get_with("/no", "Content-Length: 17") + "a")
            .lingers(&[404])
            .tight(),
        Script::new("a long body", with_length("65536") + &"a".repeat(65_536) + &after)
            .stays(&[200; 2]),
        Script::new("POST", head("POST", "/tiny", &["Content-Length: 3"]) + "abc" + &after)
            .stays(&[405, 200]),
        Script::new("chunks", chunked("5\r\nabcde\r\n0A\r\n0123456789\r\n0\r\n\r\n") + &after)
            .stays(&[200; 2]),
        Script::new(
            "chunks with extensions and trailers",
            chunked("1;a=b;c=\"\\\" \"\r\nx\r\n000;e\r\nA: b\r\nC:\r\n\r\n") + &after,
        )
        .stays(&[200; 2]),
        Script::new("chunks that are due", chunked("5\r\nabcde\r\n0\r\n\r"))
            .waits(&[], StateName::Discard),
        Script::new("a bad chunk", chunked("5 \r\nabcde\r\n0\r\n\r\n") + &after).lingers(&[400]),
        Script::new("chunks that are longer", chunked("11\r\n0123456789abcdefg\r\n") + &after)
            .lingers(&[413])
            .tight(),
        Script::new("as many chunks as may be", chunked("8\r\n01234567\r\n").tight_chunks(&after))
            .stays(&[200; 2])
            .tight(),
        Script::new("too many chunks, then a bad one", chunked("11\r\n0123456789abcdefg-"))
            .lingers(&[413])
            .tight(),
        Script::new("a long chunk line", chunked("1;aaaaaaaaaaaaaaaaa\r\n"))
            .lingers(&[400])
            .tight(),
        Script::new("long trailers", chunked("0\r\nA: 0123456789abcde\r\n\r\n"))
            .lingers(&[400])
            .tight(),
        Script::new(
            "HEAD with a bad chunk",
            head("HEAD", "/", &["Transfer-Encoding: chunked"]) + "x",
        )
        .lingers(&[400])
        .heads(&[0]),
        Script::new("Expect, and the body", expects("Expect: 100-continue", "3") + "abc")
            .lingers(&[200]),
        Script::new("Expect, and no body", expects("Expect: 100-continue", "3")).lingers(&[200]),
        Script::new("Expect of nothing", get_with("/tiny", "Expect: 100-continue") + &after)
            .stays(&[200; 2]),
        Script::new("Expect of too much", expects("Expect: 100-continue", "17"))
            .lingers(&[413])
            .tight(),
        Script::new("another expectation", get_with("/tiny", "Expect: b") + &after)
            .stays(&[417, 200]),
        Script::new("another expectation with a body", expects("Expect: b", "3") + "abc")
            .lingers(&[417]),
    ]
}

/// Extends chunks to exactly the limit of the tight settings.
trait TightChunks {
    fn tight_chunks(self, after: &str) -> String;
}

impl TightChunks for String {
    fn tight_chunks(self, after: &str) -> String {
        self + "8\r\n01234567\r\n0\r\n\r\n" + after
    }
}

fn refusals() -> Vec<Script> {
    let mut scripts = Vec::new();
    for (name, status, input) in [
        ("a malformed request line", 400, "GET /\r\n\r\n"),
        ("no target", 400, "GET  HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a malformed version", 400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
        ("a bare CR", 400, "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"),
        ("a bare LF", 400, "GET / HTTP/1.1\nHost: a\n\n"),
        ("a NUL", 400, "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n"),
        ("TLS", 400, "\x16\x03\x01\x02\0\x01\0\x01\u{7c}"),
        ("a blank before a colon", 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        ("a folded line", 400, "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n d\r\n\r\n"),
        ("no field name", 400, "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"),
        ("no colon", 400, "GET / HTTP/1.1\r\nHost: a\r\nb\r\n\r\n"),
        ("no Host", 400, "GET / HTTP/1.1\r\n\r\n"),
        ("two Hosts", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        ("an invalid Host", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        ("a fragment", 400, "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a target above the root", 400, "GET /../a HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a bad escape", 400, "GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("an asterisk", 400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("another scheme", 400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("two lengths", 400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na"),
        (
            "length and chunks",
            400,
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            "misspelt chunks",
            400,
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
        ),
        ("chunks in HTTP/1.0", 400, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("https", 421, "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (
            "an unknown coding",
            501,
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        ),
        ("another major version", 505, "GET / HTTP/3.0\r\nHost: a\r\n\r\n"),
        ("the HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ] {
        scripts.push(Script::new(name, input).lingers(&[status]));
        scripts.push(Script::new(name, input.to_owned() + &get("/tiny")).lingers(&[status]));
        let finished = Script::new(name, input).finishes();
        scripts.push(finished.ends(&[status], Reason::Finished));
    }
    let refused_head = "HEAD /%2 HTTP/1.1\r\nHost: a\r\n\r\n";
    scripts.push(Script::new("HEAD of a bad escape", refused_head).lingers(&[400]).heads(&[0]));
    scripts
}

/// The bounds of the tight settings (target 32, head 160, 4 fields), and just across them.
fn bounds() -> Vec<Script> {
    let target = |length: usize| get(&format!("/{}", "a".repeat(length - 1)));
    let padded = |length: usize| {
        let without = get_with("/tiny", "B: ").len();
        get_with("/tiny", &format!("B: {}", "b".repeat(length - without)))
    };
    let fields = |count: usize| head("GET", "/tiny", &vec!["B: c"; count - 1]);
    let dir = |quotes: usize| get(&format!("/dir?{}", "\"".repeat(quotes)));
    let endless = |count: usize| format!("GET /tiny HTTP/1.1\r\nB: {}", "b".repeat(count));
    let late = |bad: &str| endless(200) + bad + "\r\n\r\n";
    vec![
        Script::new("the longest target", target(32)).stays(&[404]).tight(),
        Script::new("a longer target", target(33) + &get("/")).lingers(&[414]).tight(),
        Script::new("a target without an end", format!("GET /{}", "a".repeat(300)))
            .lingers(&[414])
            .tight(),
        Script::new("the longest head", padded(160) + &get("/tiny")).stays(&[200; 2]).tight(),
        Script::new("a longer head", padded(161) + &get("/")).lingers(&[431]).tight(),
        Script::new("a much longer head", padded(400)).lingers(&[431]).tight(),
        Script::new("a head without an end", endless(500)).lingers(&[431]).tight(),
        Script::new("a head that is bad beyond the bound", late("\n")).lingers(&[431]).tight(),
        Script::new("a head that is worse beyond the bound", late("\0")).lingers(&[431]).tight(),
        Script::new("a long head with a long target", get_with(&"/a".repeat(17), &endless(200)))
            .lingers(&[414])
            .tight(),
        Script::new("a long head that is bad", "GET /\n".to_owned() + &padded(400))
            .lingers(&[400])
            .tight(),
        Script::new("the most fields", fields(4)).stays(&[200]).tight(),
        Script::new("more fields", fields(5) + &get("/")).lingers(&[431]).tight(),
        Script::new("too much to absorb", get("/%2") + &"a".repeat(40_000))
            .ends(&[400], Reason::Finished)
            .tight(),
        Script::new("the longest target by default", target(8192)).stays(&[404]),
        Script::new("a longer target by default", target(8193)).lingers(&[414]),
        Script::new("a head of a page", padded(16_384) + &get("/tiny")).stays(&[200; 2]),
        Script::new("a longer head by default", padded(16_385)).lingers(&[431]),
        Script::new("a location that fits", get("/tiny") + &dir(10_600) + &get("/tiny"))
            .stays(&[200, 301, 200])
            .long_targets(),
        Script::new("a location longer than a page", get("/tiny") + &dir(10_900) + &get("/tiny"))
            .lingers(&[200, 414])
            .long_targets(),
        Script::new("a head of exactly a page", padded(32_768) + &get("/tiny"))
            .stays(&[200; 2])
            .long_targets(),
        Script::new("a head of more than a page", padded(32_769)).lingers(&[431]).long_targets(),
        Script::new("a target of more than a page", target(33_000)).lingers(&[431]).long_targets(),
    ]
}

fn files() -> Vec<Script> {
    let mut scripts = Vec::new();
    for (name, target) in [
        ("a copied file", "/copied"),
        ("a file in memory", "/memory"),
        ("the largest in memory", "/memory-most"),
        ("the smallest from a file", "/file-least"),
        ("a file", "/file"),
    ] {
        scripts.push(Script::new(name, get(target)).stays(&[200]));
        let last = Script::new(name, get_with(target, "Connection: close"));
        // The kernel may still be sending a large response when a late byte of the peer arrives.
        scripts.push(match target {
            "/copied" | "/memory" => last.ends(&[200], Reason::Finished),
            _ => last.waits(&[200], StateName::Linger),
        });
        let range = |set: &str| get_with(target, &format!("Range: bytes={set}"));
        let ranges = range("0-0") + &range("-2") + &range("1000-2999") + &range("99999999-");
        scripts.push(Script::new("single ranges", ranges).stays(&[206, 206, 206, 416]));
        let ranges = range("0-0,5-9") + &range("-1,0-999") + &range("1-2,4-5,7-8,1000-1000");
        scripts.push(
            Script::new("several ranges", ranges + &get("/tiny")).stays(&[206, 206, 206, 200]),
        );
        let whole = head("HEAD", target, &["Range: bytes=0-0,5-9"]) + &range("a-b");
        scripts.push(Script::new("ranges that mean nothing", whole).stays(&[200; 2]).heads(&[0]));
        let known = get_with(target, "If-None-Match: *")
            + &get_with(target, "If-Modified-Since: Sun, 13 Sep 2020 12:26:40 GMT")
            + &head("HEAD", target, &["If-None-Match: *"])
            + &get_with(target, "If-Match: \"other\"")
            + &head("HEAD", target, &["If-Match: \"other\""])
            + &get_with(target, "If-Unmodified-Since: Sat, 12 Sep 2020 12:26:40 GMT");
        let statuses = [304, 304, 304, 412, 412, 412];
        scripts.push(Script::new("conditions", known).stays(&statuses).heads(&[2, 4]));
    }
    let many: Vec<String> = (0..16).map(|i| format!("{}-{}", i * 4000, i * 4000 + 100)).collect();
    let many = get_with("/file", &format!("Range: bytes={}", many.join(",")));
    scripts.push(
        Script::new("16 ranges after others", get("/copied").repeat(8) + &many)
            .stays(&[[200; 8].as_slice(), &[206]].concat()),
    );
    scripts
}

fn endings() -> Vec<Script> {
    use Reason::{Finished, PeerClosed};
    let body = get_with("/tiny", "Content-Length: 5");
    let stays = get_with("/tiny", "Connection: keep-alive");
    vec![
        Script::new("nothing, and the end", "").finishes().ends(&[], PeerClosed),
        Script::new("empty lines, and the end", "\r\n\r\n").finishes().ends(&[], PeerClosed),
        Script::new("half an empty line, and the end", "\r").finishes().ends(&[400], Finished),
        Script::new("a request, and the end", get("/tiny")).finishes().ends(&[200], PeerClosed),
        Script::new("a file, and the end", get("/file")).finishes().ends(&[200], PeerClosed),
        Script::new("a last request, and the end", get_with("/file", "Connection: close"))
            .finishes()
            .ends(&[200], Finished),
        Script::new("many, and the end", get("/copied").repeat(20))
            .finishes()
            .ends(&[200; 20], PeerClosed),
        Script::new("half a head, and the end", get("/tiny") + "GET /")
            .finishes()
            .ends(&[200, 400], Finished),
        Script::new("half a body, and the end", get("/tiny") + &body + "abcd")
            .finishes()
            .ends(&[200, 400], Finished),
        Script::new("half a chunk, and the end", chunked("5\r\nab"))
            .finishes()
            .ends(&[400], Finished),
        Script::new("half a body of HEAD, and the end", head("HEAD", "/", &["Content-Length: 5"]))
            .finishes()
            .ends(&[400], Finished)
            .heads(&[0]),
        Script::new("a body, and the end", body.clone() + "abcde")
            .finishes()
            .ends(&[200], PeerClosed),
        Script::new("nothing in time", "").delays().ends(&[], Reason::IdleTooLong),
        Script::new("no further request in time", get("/tiny"))
            .delays()
            .ends(&[200], Reason::IdleTooLong),
        Script::new("half a head in time", get("/tiny") + "GET /").delays().lingers(&[200, 408]),
        Script::new("half a HEAD in time", "HEAD /").delays().lingers(&[408]).heads(&[0]),
        Script::new("half a body in time", body.clone() + "abcd").delays().lingers(&[408]),
        Script::new("no end after the last answer", "G\0").delays().ends(&[400], Finished),
        Script::new("a request at a stop", get("/tiny")).draining().lingers(&[200]),
        Script::new("a file at a stop", get("/file") + &get("/tiny")).draining().lingers(&[200]),
        Script::new("a last request at a stop", get_with("/tiny", "Connection: close"))
            .draining()
            .ends(&[200], Finished),
        Script::new("HTTP/1.0 at a stop", stays.replace("1.1", "1.0")).draining().lingers(&[200]),
        Script::new("a body at a stop", body + "abcde").draining().lingers(&[200]),
        Script::new("an empty line at a stop", "\r\n").draining().waits(&[], StateName::Idle),
    ]
}
