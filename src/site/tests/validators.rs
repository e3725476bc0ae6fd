//! Tags and dates of files, and when they change.

use std::os::unix::fs::MetadataExt;

use super::*;

/// The tag of a file in memory is made from its content, that of a larger one from size and time.
#[test]
fn a_touched_file_has_the_same_tag_only_if_it_is_in_memory() {
    for (size, same) in [(10, true), (100_000, false)] {
        let mut bench = Bench::new(DOORS[0]);
        bench.put("file", &"a".repeat(size));
        let before = bench.representation("/file");
        bench.touch("file", SystemTime::UNIX_EPOCH + MODIFIED + Duration::from_secs(7));
        bench.wait_for_revalidation();
        let after = bench.representation("/file");
        assert_eq!(before.validators().etag == after.validators().etag, same, "{size}");
        let dates = [&before, &after].map(|it| it.validators().last_modified);
        assert_eq!(dates, [Some(1_600_000_000), Some(1_600_000_007)], "{size}");
    }
}

/// Tools set the time of every file to one constant, or copy it.
#[test]
fn a_file_replaced_by_other_bytes_of_the_same_size_and_time_has_another_tag() {
    for time in [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(315_532_800)] {
        for size in [10, 100_000] {
            let mut bench = Bench::new(DOORS[0]);
            let mut tags = Vec::new();
            for letter in ["a", "b", "c"] {
                bench.put("new", &letter.repeat(size));
                bench.touch("new", SystemTime::UNIX_EPOCH + time);
                fs::rename(bench.path("new"), bench.path("file")).unwrap();
                bench.wait_for_revalidation();
                let it = bench.representation("/file");
                assert_eq!(body(&it), letter.repeat(size));
                let no_tag = size > 65_536 && time.as_secs() < 2;
                assert_eq!(it.validators().etag.is_empty(), no_tag, "{time:?}, {size}");
                assert!(it.validators().last_modified.is_none() || tags.is_empty());
                assert!(no_tag || !tags.contains(&it.validators().etag.to_vec()), "{time:?}");
                tags.push(it.validators().etag.to_vec());
                // The replacement is remembered, however often the file is opened again.
                bench.sites.close_files();
                assert_eq!(tags.last().unwrap(), bench.representation("/file").validators().etag);
            }
        }
    }
}

/// While a large file could change without its times changing, its tag is weak.
#[test]
fn a_tag_of_size_and_time_becomes_strong_when_the_file_is_no_longer_young() {
    for door in DOORS {
        for size in [10, 100_000] {
            let mut bench = Bench::new(door);
            bench.put("file", &"a".repeat(size));
            // The change time cannot be set, so the clock is.
            let changed = fs::metadata(bench.path("file")).unwrap();
            let since = Duration::new(
                u64::try_from(changed.ctime()).unwrap(),
                u32::try_from(changed.ctime_nsec()).unwrap(),
            );
            bench.clock.set(bench.clock.tick, since);
            let young = bench.representation("/file");
            assert_eq!(young.validators().etag.starts_with(b"W/\""), size > 65_536, "{size}");
            assert!(!young.validators().date_is_strong);
            bench.clock.set(bench.clock.tick + 1_999, since + Duration::from_millis(1_999));
            assert!(Rc::ptr_eq(&young, &bench.representation("/file")), "{size}: 1 ms too young");
            bench.clock.set(bench.clock.tick + 1_000, since + Duration::from_millis(2_999));
            let rested = bench.representation("/file");
            assert!(rested.validators().etag.starts_with(b"\""), "{size}");
            assert!(rested.validators().date_is_strong);
            bench.clock.set(bench.clock.tick + 1_000, since + Duration::from_millis(3_999));
            assert!(Rc::ptr_eq(&rested, &bench.representation("/file")), "{size}: made again once");
        }
    }
}

/// Times beyond the range of our clocks are not an error.
#[test]
fn files_with_odd_times_are_served() {
    let day = Duration::from_secs(86_400);
    let at = SystemTime::UNIX_EPOCH;
    for (time, last_modified) in [
        // Image builds give every file one of these times.
        (at, None),
        (at + Duration::from_millis(1_999), None),
        (at + Duration::from_secs(2), Some(2)),
        (at - day, Some(-86_400)),
        (at - Duration::from_nanos(1), Some(-1)),
        (at - 365 * 60 * day, Some(-365 * 60 * 86_400)),
        (at + NOW, Some(1_700_000_000)),
        (at + NOW + Duration::from_nanos(1), Some(1_700_000_000)),
        // A time in the future is replaced by that of the response (RFC 9110 section 8.8.2.1).
        (at + NOW + Duration::from_secs(1), Some(1_700_000_000)),
        (at + NOW + 365 * 100 * day, Some(1_700_000_000)),
    ] {
        for size in [10, 100_000] {
            let mut bench = Bench::new(DOORS[0]);
            bench.put("file", &"a".repeat(size));
            bench.touch("file", time);
            let stored = fs::metadata(bench.path("file")).unwrap().modified().unwrap();
            if stored != time {
                continue; // this file system cannot hold it
            }
            let asset = bench.representation("/file");
            assert_eq!(asset.validators().last_modified, last_modified, "{time:?}");
            let head = String::from_utf8(asset.head().to_vec()).unwrap();
            assert_eq!(head.contains("Last-Modified: "), last_modified.is_some(), "{head}");
            let no_tag = size > 65_536 && last_modified.is_none();
            assert_eq!(head.contains("ETag: "), !no_tag, "{head}");
            // A wall clock that was set back changes nothing.
            bench.clock.set(bench.clock.tick + 60_000, Duration::from_secs(1));
            assert_eq!(body(&bench.representation("/file")).len(), size);
        }
    }
}
