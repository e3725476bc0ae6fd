//! Entity-tags from the content of every file, and Repr-Digest (RFC 9530).

use crate::config::EtagSource;
use crate::http::digest::ReprDigest;
use crate::http::etag::ETag;
use crate::http::writer::Writer;

#[cfg(feature = "compression")]
use super::asking::text;
use super::asking::{Seen, start};
use super::*;

fn by(etag: EtagSource) -> SiteConfig {
    SiteConfig { etag, ..SiteConfig::default() }
}

/// The value of Repr-Digest for this content.
fn digest_of(content: &str) -> String {
    let mut room = [0; 100];
    let mut writer = Writer::new(&mut room);
    ReprDigest::of_content(content.as_bytes()).write(&mut writer);
    let length = writer.finish().unwrap();
    let line = str::from_utf8(&room[..length]).unwrap();
    line.strip_prefix("Repr-Digest: ").unwrap().trim_end().to_owned()
}

fn tag_of(content: &str) -> String {
    String::from_utf8(ETag::of_content(content.as_bytes()).as_bytes().to_vec()).unwrap()
}

fn validators(seen: &Seen) -> (String, String) {
    (seen.field("ETag").concat(), seen.field("Repr-Digest").concat())
}

/// Hashes what was requested, and lets the entries be made again.
fn settle(bench: &mut Bench) {
    bench.use_spare_time();
    bench.wait_for_revalidation();
}

#[test]
fn a_large_file_gets_the_tag_and_the_digest_of_its_content_in_time() {
    let (small, large) = ("s".repeat(10), "l".repeat(600_000));
    let mut bench = start(by(EtagSource::Content), &[("small", &small), ("large", &large)]);
    let seen = bench.ask("GET /small", &[]);
    assert_eq!(validators(&seen), (tag_of(&small), digest_of(&small)));
    let before = bench.ask("GET /large", &[]);
    let (tag, digest) = validators(&before);
    assert!(tag.ends_with("-927c0\"") && digest.is_empty(), "{tag}: size and time, as ever");
    settle(&mut bench);
    let none_match = format!("If-None-Match: {}", tag_of(&large));
    let if_range = format!("If-Range: {}", tag_of(&large));
    for (line, fields, status) in [
        ("GET /large", vec![], 200),
        ("HEAD /large", vec![], 200),
        ("GET /large", vec!["Want-Repr-Digest: sha-256=0"], 200),
        ("GET /large", vec!["Want-Repr-Digest: md5=5"], 200),
        ("GET /large", vec!["Range: bytes=0-9"], 206),
        ("GET /large", vec!["Range: bytes=0-9", &if_range], 206),
        ("GET /large", vec!["Range: bytes=0-1,5-6"], 206),
        ("GET /large", vec![&*none_match], 304),
    ] {
        let seen = bench.ask(line, &fields);
        assert_eq!(seen.status, status, "{line} {fields:?}");
        assert_eq!(validators(&seen), (tag_of(&large), digest_of(&large)), "{line} {fields:?}");
    }
    assert_eq!(bench.use_spare_time(), 0, "hashed once");
}

#[test]
fn a_touched_or_renamed_file_keeps_its_tag_and_two_servers_agree() {
    let large = "l".repeat(300_000);
    let tags = [(1, "a"), (2, "b")].map(|(seconds, name)| {
        let mut bench = start(by(EtagSource::Content), &[(name, &large)]);
        let time = |seconds| SystemTime::UNIX_EPOCH + MODIFIED + Duration::from_secs(seconds);
        bench.touch(name, time(seconds));
        bench.ask(&format!("GET /{name}"), &[]);
        settle(&mut bench);
        let hashed = validators(&bench.ask(&format!("GET /{name}"), &[]));
        bench.touch(name, time(100));
        bench.wait_for_revalidation();
        assert_ne!(validators(&bench.ask(&format!("GET /{name}"), &[])), hashed, "not known yet");
        settle(&mut bench);
        assert_eq!(validators(&bench.ask(&format!("GET /{name}"), &[])), hashed);
        hashed
    });
    assert_eq!(tags[0], tags[1]);
}

#[test]
fn a_known_hash_is_found_again_under_another_path_and_after_the_file_was_closed() {
    let large = "l".repeat(300_000);
    let mut bench = start(by(EtagSource::Content), &[("folder/index.html", &large)]);
    bench.ask("GET /folder/", &[]);
    settle(&mut bench);
    let expected = (tag_of(&large), digest_of(&large));
    assert_eq!(validators(&bench.ask("GET /folder/", &[])), expected);
    bench.sites.close_files();
    for path in ["/folder/", "/folder/index.html"] {
        assert_eq!(validators(&bench.ask(&format!("GET {path}"), &[])), expected, "{path}");
    }
    assert_eq!(bench.use_spare_time(), 0);
}

/// Files of image builds have times that are no validators.
#[test]
fn a_large_file_without_a_useful_time_gets_a_tag_from_its_content() {
    let large = "l".repeat(300_000);
    for (etag, seconds, tag, digest) in [
        (EtagSource::Auto, 0, true, false),
        (EtagSource::Auto, 1, true, false),
        (EtagSource::Time, 0, false, false),
        (EtagSource::Content, 0, true, true),
    ] {
        let mut bench = start(by(etag), &[("file", &large)]);
        bench.touch("file", SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(validators(&bench.ask("GET /file", &[])), Default::default());
        settle(&mut bench);
        let expected = (
            if tag { tag_of(&large) } else { String::new() },
            if digest { digest_of(&large) } else { String::new() },
        );
        assert_eq!(validators(&bench.ask("GET /file", &[])), expected, "{etag:?} {seconds}");
        let none_match = format!("If-None-Match: {}", tag_of(&large));
        let status = bench.ask("GET /file", &[&none_match]).status;
        assert_eq!(status, if tag { 304 } else { 200 });
    }
    // A time that tells versions apart is enough, unless the content is asked for.
    let mut bench = start(by(EtagSource::Auto), &[("file", &large), ("small", "a")]);
    for path in ["/file", "/small"] {
        let seen = bench.ask(&format!("GET {path}"), &[]);
        assert_eq!(seen.field("Repr-Digest").concat(), "", "{path}");
    }
    assert_eq!(bench.use_spare_time(), 0);
}

/// A file whose entry lives on is hashed anew when it has changed.
#[test]
fn a_replaced_file_gets_the_tag_of_its_new_content() {
    let mut bench = start(by(EtagSource::Content), &[]);
    for letter in ["a", "b"] {
        let content = letter.repeat(300_000);
        bench.put("new", &content);
        fs::rename(bench.path("new"), bench.path("file")).unwrap();
        bench.wait_for_revalidation();
        let before = bench.ask("GET /file", &[]);
        assert_eq!(before.field("Repr-Digest").concat(), "");
        settle(&mut bench);
        let seen = bench.ask("GET /file", &[]);
        assert_eq!(validators(&seen), (tag_of(&content), digest_of(&content)));
        assert_eq!(seen.body, content);
    }
}

#[test]
fn each_form_has_its_own_digest() {
    let (plain, sidecar) = ("p".repeat(300_000), "s".repeat(300_000));
    let files = [("a.js", &*plain), ("a.js.gz", &*sidecar), ("b.js", "plain"), ("b.js.gz", "gz")];
    let mut bench = start(by(EtagSource::Content), &files);
    bench.ask("GET /a.js", &[]);
    settle(&mut bench);
    for (path, accept, content) in [
        ("/a.js", "identity", &*plain),
        ("/a.js", "gzip", &sidecar),
        ("/b.js", "identity", "plain"),
        ("/b.js", "gzip", "gz"),
    ] {
        let seen = bench.ask(&format!("GET {path}"), &[&format!("Accept-Encoding: {accept}")]);
        assert_eq!(validators(&seen), (tag_of(content), digest_of(content)), "{path} {accept}");
    }
}

#[cfg(feature = "compression")]
#[test]
fn an_encoded_form_has_the_tag_and_the_digest_of_its_bytes() {
    // The last column is the modification time: in the second 1, it is no validator.
    for (etag, size, seconds) in [
        (EtagSource::Content, 2_000, 9),
        (EtagSource::Content, 300_000, 9),
        (EtagSource::Content, 300_000, 1),
        (EtagSource::Auto, 300_000, 1),
        (EtagSource::Auto, 2_000, 9),
    ] {
        let content = text(size);
        let mut bench = start(by(etag), &[("a.css", &content)]);
        bench.touch("a.css", SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let accept = "Accept-Encoding: gzip";
        // The entry is made again once the file is hashed, and its forms with it.
        for _ in 0..2 {
            bench.ask("GET /a.css", &[accept]);
            settle(&mut bench);
        }
        let seen = bench.ask("GET /a.css", &[accept]);
        assert_eq!(seen.field("Content-Encoding").concat(), "gzip");
        let digest = seen.field("Repr-Digest").concat();
        assert_eq!(digest.is_empty(), etag == EtagSource::Auto, "{size}");
        assert_ne!(digest, digest_of(&content));
        let tag = seen.field("ETag").concat();
        assert!(!tag.is_empty() && tag != tag_of(&content), "{etag:?} {size} {seconds}");
    }
}

#[test]
fn generated_pages_and_pages_of_failures_have_no_digest() {
    let files = [("404.html", "lost"), ("folder/file", "a"), ("a.css", "a")];
    let mut bench = start(by(EtagSource::Content), &files);
    for path in ["/none", "/folder/", "/folder"] {
        let seen = bench.ask(&format!("GET {path}"), &[]);
        assert_eq!(seen.field("Repr-Digest").concat(), "", "{path} {}", seen.status);
    }
}
