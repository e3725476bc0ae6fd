//! The outcomes of paths, and how long they are cached. Every case runs with both doors; the clock
//! stands still unless a case moves it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::clock::Tick;
use crate::http::status::{Failure, Status};
use crate::http::target::EncodedSlash;
use crate::site::respond::with_query;
use crate::site::store::Found;
use crate::site::visible::View;

use super::*;

const DOORS: [Door; 2] = [Door::Openat2, Door::Walk];

/// The time of the stopped clock, and the modification time of the files.
const NOW: Duration = Duration::from_secs(1_700_000_000);
const MODIFIED: Duration = Duration::from_secs(1_600_000_000);

/// The outcome of a path, in a form for tables.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Got {
    /// A file or a listing with this content.
    Content(String),
    /// A redirect to this location.
    To(String),
    /// A failure with this status.
    Failed(Status),
    /// A malformed path.
    Malformed,
}

use Got::{Content, Failed, Malformed, To};

fn content(text: &str) -> Got {
    Content(text.to_owned())
}

fn to(location: &str) -> Got {
    To(location.to_owned())
}

const NOT_FOUND: Got = Failed(Status::NotFound);
const FORBIDDEN: Got = Failed(Status::Forbidden);

/// A site over a folder, and the time.
struct Bench {
    folder: TempDir,
    sites: Sites,
    limits: Limits,
    clock: Clock,
}

impl Bench {
    fn new(door: Door) -> Bench {
        Bench::with(door, &[], SiteConfig::default())
    }

    fn with(door: Door, changes: &[&str], config: SiteConfig) -> Bench {
        // So that files need not be large to be sent from disk.
        let mut limits = Limits { cached_body_bytes: 65_536, ..Limits::default() };
        for change in changes {
            limits.set(change).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let config = SiteConfig { root: folder.path().to_owned(), ..config };
        let sites = Sites::new(vec![config], &limits, door, 1).unwrap();
        Bench { folder, sites, limits, clock: Clock::new(Tick(1_000), NOW) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file with an old modification time.
    fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.touch(name, SystemTime::UNIX_EPOCH + MODIFIED);
    }

    fn touch(&self, name: &str, time: SystemTime) {
        File::open(self.path(name)).unwrap().set_modified(time).unwrap();
    }

    fn wait(&mut self, ms: u64) {
        let passed = self.clock.tick.0 - 1_000 + ms;
        self.clock.set(self.clock.tick + ms, NOW + Duration::from_millis(passed));
    }

    /// Moves the clock so that every entry is revalidated.
    fn wait_for_revalidation(&mut self) {
        self.wait(self.limits.revalidate_ms);
    }

    /// The outcome of a path, or why it is not known yet.
    fn find(&mut self, path: &[u8], blocking: Blocking) -> Result<Result<Entry, Wait>, Failure> {
        match found(&mut self.sites, path, blocking, &self.clock) {
            Ok(Found::At(at)) => Ok(Ok(self.sites.store.entry(at).clone())),
            Ok(Found::Wait(wait)) => Ok(Err(wait)),
            // An ordinary 404: the request is well-formed.
            Err(failure) if failure.status == Status::NotFound => {
                let policy = Rc::clone(self.sites.sites[0].policy());
                Ok(Ok(Entry::new(Outcome::Failure(failure, None), &policy)))
            }
            Err(failure) => Err(failure),
        }
    }

    fn entry(&mut self, path: &[u8]) -> Result<Entry, Failure> {
        loop {
            match self.find(path, Blocking::Allowed)? {
                Ok(entry) => return Ok(entry),
                Err(_) => _ = self.sites.work(&self.clock, &mut || true),
            }
        }
    }

    fn representation(&mut self, path: &str) -> Rc<Representation> {
        match self.entry(path.as_bytes()).map(|entry| entry.outcome) {
            Ok(Outcome::Resource(resource)) => resource.identity,
            other => panic!("{path}: {other:?}"),
        }
    }

    fn got(&mut self, path: &str) -> Got {
        match self.entry(path.as_bytes()).map(|entry| entry.outcome) {
            Ok(Outcome::Resource(resource)) => Content(body(&resource.identity)),
            Ok(Outcome::Redirect(it)) => To(String::from_utf8(it.location.to_vec()).unwrap()),
            Ok(Outcome::Failure(failure, _)) => Failed(failure.status),
            Err(_) => Malformed,
        }
    }

    fn etag(&mut self, path: &str) -> String {
        let representation = self.representation(path);
        String::from_utf8(representation.validators().etag.to_vec()).unwrap()
    }
}

/// Finds a path in the first site.
pub(super) fn found(
    Sites { sites, store, .. }: &mut Sites,
    path: &[u8],
    blocking: Blocking,
    clock: &Clock,
) -> Result<Found, Failure> {
    store.refresh(&mut sites[0], clock);
    if let Some(at) = store.recall(&sites[0], path, clock) {
        return Ok(Found::At(at));
    }
    if let Some(at) = store.recall_canonical(&sites[0], path, clock)? {
        return Ok(Found::At(at));
    }
    let located = store.locate(&sites[0], path)?;
    Ok(store.find(&sites[0], path, &located, (blocking, &View::default()), clock))
}

/// The body of a representation, wherever it is.
fn body(of: &Representation) -> String {
    let bytes = match of.file() {
        None => of.bytes()[of.head_end()..].to_vec(),
        Some(open) => {
            let mut bytes = vec![0; usize::try_from(of.size()).unwrap()];
            open.file().read_exact_at(&mut bytes, 0).unwrap();
            bytes
        }
    };
    assert_eq!(bytes.len() as u64, of.size());
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_path_leads_to_a_file_a_folder_or_nothing() {
    for door in DOORS {
        let mut bench = Bench::new(door);
        for (name, text) in [
            ("plain", "1"),
            ("a b?#%", "2"),
            ("empty", ""),
            ("dir/index.html", "3"),
            ("dir/other", "4"),
            (".hidden", "5"),
            ("dir/.hidden", "6"),
            (".well-known/x", "7"),
            (".well-known/.x", "8"),
            ("\u{e9}", "9"),
        ] {
            bench.put(name, text);
        }
        for (path, expected) in [
            ("/plain", content("1")),
            ("/pl%61in", content("1")),
            ("//plain", content("1")),
            ("/./plain", content("1")),
            ("/none/../plain", content("1")),
            ("/a%20b%3F%23%25", content("2")),
            ("/empty", content("")),
            ("/dir/", content("3")),
            ("/dir/.", content("3")),
            ("/dir/index.html", content("3")),
            ("/dir/other", content("4")),
            ("/%C3%A9", content("9")),
            ("/.well-known/x", content("7")),
            ("/dir", to("dir/")),
            ("/%64ir", to("dir/")),
            ("/.well-known", to(".well-known/")),
            ("/none", NOT_FOUND),
            ("/none/", NOT_FOUND),
            ("/dir/none", NOT_FOUND),
            ("/plain/", NOT_FOUND),
            ("/plain/x", NOT_FOUND),
            ("/Plain", NOT_FOUND),
            ("/.hidden", NOT_FOUND),
            ("/dir/.hidden", NOT_FOUND),
            ("/.well-known/.x", NOT_FOUND),
            ("/%2Ehidden", NOT_FOUND),
            ("/..", Malformed),
            ("/../plain", Malformed),
            ("/dir/../../plain", Malformed),
            ("/%2e%2e/plain", Malformed),
            ("/dir%2Fother", NOT_FOUND),
            ("/plain%00", Malformed),
            ("/plain%", Malformed),
            ("plain", Malformed),
        ] {
            assert_eq!(bench.got(path), expected, "{path} by {door:?}");
            assert_eq!(bench.got(path), expected, "{path} by {door:?}, again");
        }
        assert_eq!(bench.sites.take_fault(), None);
    }
}

#[test]
fn a_path_longer_than_the_limit_is_malformed() {
    let mut bench = Bench::with(DOORS[0], &["target_bytes=16"], SiteConfig::default());
    assert_eq!(bench.got("/0123456789abcde"), NOT_FOUND);
    assert_eq!(bench.got("/0123456789abcdef"), Malformed);
}

/// A location that begins with two slashes, or with a scheme, would lead to another host.
#[test]
fn a_redirect_stays_on_this_host_and_on_its_line() {
    for door in DOORS {
        let mut bench = Bench::new(door);
        for name in [&b"evil.example"[..], b"\\evil", b"a\r\nSet-Cookie: b", b"\xff", b"a?b#c:d@e"]
        {
            fs::create_dir(bench.folder.path().join(OsStr::from_bytes(name))).unwrap();
        }
        for (path, location) in [
            ("//evil.example", "evil.example/"),
            ("///evil.example", "evil.example/"),
            ("/.//evil.example", "evil.example/"),
            ("/x/..//evil.example", "evil.example/"),
            ("/%2e/evil.example", "evil.example/"),
            ("/\\evil", "%5Cevil/"),
            ("/%5cevil", "%5Cevil/"),
            ("/a%0d%0aSet-Cookie:%20b", "a%0D%0ASet-Cookie%3A%20b/"),
            ("/%ff", "%FF/"),
            ("/a%3fb%23c:d@e", "a%3Fb%23c%3Ad@e/"),
        ] {
            assert_eq!(bench.got(path), to(location), "{path} by {door:?}");
            let absolute = format!("/{location}");
            assert!(matches!(bench.got(&absolute), Content(_)), "{absolute} is a listing");
        }
    }
    let located = with_query(&b"a/"[..].into(), Some(b"b=c&d=\"\r\n%0D#"));
    assert_eq!(located[..], *b"a/?b=c&d=%22%0D%0A%0D%23");
}

#[test]
fn an_encoded_slash_is_a_slash_if_it_is_to_be_decoded() {
    let mut bench = Bench::new(DOORS[0]);
    bench.put("a/b/c", "1");
    bench.put("a/.hidden", "2");
    bench.sites.sites[0].config.encoded_slash = EncodedSlash::Decode;
    for (path, expected) in [
        ("/a%2fb%2Fc", content("1")),
        ("/a/b%2fc", content("1")),
        ("/a%2f.hidden", NOT_FOUND),
        ("/a%252fb", NOT_FOUND),
        ("/..%2fa", Malformed),
        // Relative to what the client sent, where that is right.
        ("/a/b", to("b/")),
        ("/x%2f..%2fa/b", to("b/")),
        ("/a%2fb", to("/a/b/")),
        ("/%2f%2fa%2fb", to("/a/b/")),
        ("/a/x%2f..%2fb", to("/a/b/")),
    ] {
        assert_eq!(bench.got(path), expected, "{path}");
        assert_eq!(bench.got(path), expected, "{path}, from the cache");
    }
}

/// Changes something on disk.
type Step = fn(&Bench);

#[test]
fn the_first_index_file_that_exists_is_served_for_its_folder() {
    for door in DOORS {
        let index = vec!["first".to_owned(), "second".to_owned()];
        let mut bench = Bench::with(door, &[], SiteConfig { index, ..SiteConfig::default() });
        bench.put("dir/x", "x");
        let steps: [(&str, Step, Got); 7] = [
            ("second appears", |bench| bench.put("dir/second", "2"), content("2")),
            ("first appears", |bench| bench.put("dir/first", "1"), content("1")),
            ("first changes", |bench| bench.put("dir/first", "one"), content("one")),
            ("first disappears", |bench| remove(bench, "dir/first"), content("2")),
            ("second changes", |bench| bench.put("dir/second", "two"), content("two")),
            (
                "a folder is no index",
                |bench| fs::create_dir(bench.path("dir/first")).unwrap(),
                content("two"),
            ),
            ("the folder goes", |bench| fs::remove_dir_all(bench.path("dir")).unwrap(), NOT_FOUND),
        ];
        assert!(matches!(bench.got("/dir/"), Content(page) if page.contains("href=\"x\"")));
        for (step, change, expected) in steps {
            change(&bench);
            bench.wait_for_revalidation();
            assert_eq!(bench.got("/dir/"), expected, "{step}, by {door:?}");
        }
    }
}

fn remove(bench: &Bench, name: &str) {
    fs::remove_file(bench.path(name)).unwrap();
}

#[test]
fn an_unreadable_file_is_forbidden() {
    for door in DOORS {
        let config = SiteConfig { listing: false, ..SiteConfig::default() };
        let mut bench = Bench::with(door, &[], config);
        bench.put("dir/x", "x");
        assert_eq!(bench.got("/dir/"), FORBIDDEN, "there are no listings");
        assert_eq!(bench.got("/"), FORBIDDEN);
        assert_eq!(bench.got("/dir"), to("dir/"), "as if there were one");
        bench.put("closed", "x");
        fs::set_permissions(bench.path("closed"), fs::Permissions::from_mode(0o0)).unwrap();
        if File::open(bench.path("closed")).is_err() {
            assert_eq!(bench.got("/closed"), FORBIDDEN); // root may read it all the same
        }
    }
}

/// Within the interval, an entry is used without a system call, even if the file is gone.
#[test]
fn a_hit_needs_no_system_call() {
    for door in DOORS {
        let mut bench = Bench::new(door);
        bench.put("plain", "1");
        bench.put("dir/index.html", "2");
        bench.put("list/x", "3");
        let paths = ["/plain", "/dir/", "/dir", "/list/", "/none"];
        let before = paths.map(|path| bench.got(path));
        let lookups = bench.sites.lookups().0;
        for name in ["plain", "dir/index.html", "list/x"] {
            remove(&bench, name);
        }
        fs::remove_dir(bench.path("dir")).unwrap();
        fs::remove_dir(bench.path("list")).unwrap();
        bench.put("none", "4");

        bench.wait(bench.limits.revalidate_ms - 1);
        assert_eq!(paths.map(|path| bench.got(path)), before, "by {door:?}");
        assert_eq!(bench.sites.lookups().0, lookups);
        // The same entry by another encoding of the path.
        assert_eq!(bench.got("/%70lain"), before[0]);
        assert_eq!(bench.sites.lookups().0, lookups);

        bench.wait(1);
        let after = paths.map(|path| bench.got(path));
        let gone = NOT_FOUND;
        let expected = [gone.clone(), gone.clone(), gone.clone(), gone, content("4")];
        assert_eq!(after, expected, "by {door:?}");
    }
}

#[test]
fn an_unchanged_file_is_revalidated_and_not_read_again() {
    for (name, size) in [("small", 10), ("large", 100_000)] {
        let mut bench = Bench::new(DOORS[0]);
        bench.put(name, &"a".repeat(size));
        let path = format!("/{name}");
        let first = bench.representation(&path);
        let lookups = bench.sites.lookups().0;
        for _ in 0..5 {
            bench.wait_for_revalidation();
            assert!(Rc::ptr_eq(&first, &bench.representation(&path)), "{name}");
        }
        assert_eq!(bench.sites.lookups().0, lookups);
    }
}

/// Changes `file` on disk, to content made from this text.
type Change = fn(&Bench, &str);

/// Every kind of change of a file is detected after the interval, and a response in progress keeps
/// all of the old version, unless the file was overwritten in place.
#[test]
fn a_changed_file_is_read_again() {
    let changes: [(&str, Change); 6] = [
        ("replaced", |bench, text| {
            bench.put("new", text);
            fs::rename(bench.path("new"), bench.path("file")).unwrap();
        }),
        ("removed and created again", |bench, text| {
            remove(bench, "file");
            bench.put("file", text);
        }),
        ("rewritten", |bench, text| bench.put("file", text)),
        ("grown", |bench, text| bench.put("file", &(text.to_owned() + text))),
        ("truncated", |bench, text| bench.put("file", &text[..text.len() / 2])),
        ("emptied", |bench, _| bench.put("file", "")),
    ];
    for door in DOORS {
        for size in [100, 100_000] {
            for (what, change) in changes {
                let mut bench = Bench::new(door);
                let (old, new) = ("a".repeat(size), "b".repeat(size + 1));
                bench.put("file", &old);
                let (before, etag) = (bench.representation("/file"), bench.etag("/file"));
                change(&bench, &new);
                // A body in memory is used for a while; the change of an open file is detected at
                // once.
                let kept = Rc::ptr_eq(&before, &bench.representation("/file"));
                assert_eq!(kept, before.file().is_none(), "{what}, {size}");
                bench.wait_for_revalidation();
                let expected = fs::read_to_string(bench.path("file")).unwrap();
                assert_eq!(bench.got("/file"), Content(expected), "{what}, {size}, {door:?}");
                assert_ne!(bench.etag("/file"), etag, "{what}, {size}, {door:?}");
                if before.file().is_none() || what.starts_with("re") && what != "rewritten" {
                    assert_eq!(body(&before), old, "{what}, {size}: the old version is whole");
                }
            }
        }
    }
}

#[test]
fn a_listing_follows_its_folder() {
    for door in DOORS {
        let mut bench = Bench::new(door);
        let mut times = (0..).map(|n| SystemTime::UNIX_EPOCH + MODIFIED + Duration::from_secs(n));
        let mut rest = |bench: &Bench| bench.touch("dir", times.next().unwrap());
        bench.put("dir/one", "1");
        rest(&bench);
        let lists = |bench: &mut Bench, name: &str| match bench.got("/dir/") {
            Content(page) => page.contains(&format!("href=\"{name}\"")),
            other => panic!("{other:?}"),
        };
        assert!(lists(&mut bench, "one"));
        bench.put("dir/two", "2");
        rest(&bench);
        assert!(!lists(&mut bench, "two"), "not yet, by {door:?}");
        bench.wait_for_revalidation();
        assert!(lists(&mut bench, "two"), "by {door:?}");
        remove(&bench, "dir/one");
        rest(&bench);
        bench.wait_for_revalidation();
        assert!(!lists(&mut bench, "one"), "by {door:?}");

        // A changed file does not change the times of its folder, so a listing has a maximum age.
        let before = bench.got("/dir/");
        bench.put("dir/two", &"2".repeat(2_000_000));
        bench.wait_for_revalidation();
        assert_eq!(bench.got("/dir/"), before, "by {door:?}");
        bench.wait(bench.limits.listing_age_ms);
        assert_ne!(bench.got("/dir/"), before, "by {door:?}");
    }
}

/// The time of a folder does not show a second change within a tick of its clock.
#[test]
fn the_listing_of_a_folder_that_just_changed_is_made_again() {
    let mut bench = Bench::new(DOORS[0]);
    let same_time = SystemTime::UNIX_EPOCH + NOW - Duration::from_secs(1);
    let mut names = Vec::new();
    for name in ["one", "two", "six"] {
        bench.put(&format!("dir/{name}"), "");
        bench.touch("dir", same_time);
        names.push(name);
        let Content(page) = bench.got("/dir/") else { panic!("a listing") };
        assert!(names.iter().all(|name| page.contains(&format!("href=\"{name}\""))), "{page}");
        let lookups = bench.sites.lookups().0;
        bench.got("/dir/");
        assert_eq!(bench.sites.lookups().0, lookups, "within the interval it is used");
        bench.wait_for_revalidation();
    }
    bench.wait(1_000);
    bench.got("/dir/");
    let lookups = bench.sites.lookups().0;
    bench.wait_for_revalidation();
    bench.got("/dir/");
    assert_eq!(bench.sites.lookups().0, lookups, "no longer young: only revalidated");
}

#[test]
fn a_large_listing_is_made_in_slices() {
    // In the second case, the page is too large for the cache; the waiting requests get it anyway.
    for changes in [&[][..], &["cache_bytes=1000"]] {
        let mut bench = Bench::with(DOORS[0], changes, SiteConfig::default());
        fs::create_dir(bench.path("dir")).unwrap();
        for number in 0..800 {
            fs::write(bench.path(&format!("dir/{number}")), "").unwrap();
        }
        let waits = |bench: &mut Bench, path: &[u8]| {
            matches!(bench.find(path, Blocking::Allowed), Ok(Err(Wait::Job(_))))
        };
        assert!(waits(&mut bench, b"/dir/"));
        assert!(waits(&mut bench, b"/%64ir/"), "the same listing, not another");
        let mut turns = 0;
        while bench.sites.work_due().is_some() {
            assert!(waits(&mut bench, b"/dir/"));
            bench.sites.work(&bench.clock, &mut || true);
            turns += 1;
        }
        assert!((2..1600).contains(&turns), "in slices, and it ends: {turns}");
        for path in ["/dir/", "/%64ir/", "/dir/"] {
            assert!(matches!(bench.find(path.as_bytes(), Blocking::Never), Ok(Ok(_))), "{path}");
            assert!(body(&bench.representation(path)).contains("href=\"799\""));
        }
        assert!(bench.sites.work_due().is_none());
    }
}

#[test]
fn descriptors_of_cached_files_can_be_freed() {
    let mut bench = Bench::with(DOORS[0], &["open_files=2"], SiteConfig::default());
    for name in ["a", "b", "c"] {
        bench.put(name, &name.repeat(100_000));
    }
    let first = bench.representation("/a");
    assert_eq!(Rc::strong_count(&first), 2, "one here, one in the cache");
    for path in ["/b", "/c"] {
        bench.representation(path);
    }
    assert_eq!(Rc::strong_count(&first), 1, "the cache keeps two");
    let last = bench.representation("/c");
    bench.sites.close_files();
    assert_eq!(Rc::strong_count(&last), 1, "the cache keeps none");
    assert_eq!(body(&last), "c".repeat(100_000), "a response in progress can still read it");
    assert_eq!(body(&bench.representation("/c")), body(&last));
}

/// A client must not be able to prolong a turn: lookups beyond the limit wait.
#[test]
fn lookups_beyond_the_limit_of_a_turn_wait() {
    let mut bench = Bench::new(DOORS[0]);
    for name in ["a", "b", "c"] {
        bench.put(name, name);
    }
    let mut find = |path: &str, allowed: Option<u32>| {
        if let Some(most) = allowed {
            bench.sites.allow_lookups(most);
        }
        bench.find(path.as_bytes(), Blocking::Allowed).unwrap().map(drop)
    };
    assert!(matches!(find("/a", Some(2)), Ok(())));
    assert!(matches!(find("/b", None), Ok(())));
    assert!(matches!(find("/c", None), Err(Wait::Turn)));
    assert!(matches!(find("/a", None), Ok(())), "a cached path needs no lookup");
    assert!(matches!(find("/c", Some(1)), Ok(())));
}

mod asking;
mod attacks;
mod decisions;
mod digests;
mod explained;
mod forms;
mod previous;
mod validators;
mod viewers;
