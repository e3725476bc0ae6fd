//! Folders that are listed at once, and folders that become jobs.

use std::cell::Cell;
use std::fs;
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;

use crate::clock::{Clock, Tick};
use crate::config::{Limits, SiteConfig};
use crate::files::{Blocking, COLD_TRIES, Door, RETRY_MS};
use crate::http::status::Status;
use crate::site::resource::Outcome;
use crate::site::store::Found;
use crate::site::{Sites, Wait, tests};

struct Bench {
    folder: TempDir,
    sites: Sites,
    clock: Clock,
    /// While this is true, a quarter of a millisecond passes between two reads of the stopwatch.
    slow: Rc<Cell<bool>>,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let (config, limits) = (SiteConfig::at(folder.path()), Limits::default());
        let mut sites = Sites::new(vec![config], &limits, Door::best(), 0).unwrap();
        let (slow, passed) = (Rc::new(Cell::new(false)), Cell::new(Duration::ZERO));
        let is_slow = Rc::clone(&slow);
        sites.measure_with(Box::new(move || {
            if is_slow.get() {
                passed.set(passed.get() + Duration::from_micros(250));
            }
            passed.get()
        }));
        let clock = Clock::new(Tick(1_000), Duration::from_secs(1_700_000_000));
        Bench { folder, sites, clock, slow }
    }

    /// The outcome of a new folder with this many files.
    fn find(&mut self, folder: &str, files: usize) -> Result<Outcome, Wait> {
        let path = self.folder.path().join(folder);
        fs::create_dir(&path).unwrap();
        for number in 0..files {
            fs::write(path.join(number.to_string()), "").unwrap();
        }
        self.find_again(folder)
    }

    fn find_again(&mut self, folder: &str) -> Result<Outcome, Wait> {
        let path = format!("/{folder}/");
        let blocking = Blocking::Allowed;
        match tests::found(&mut self.sites, path.as_bytes(), blocking, &self.clock).unwrap() {
            Found::At(at) => Ok(self.sites.store.entry(at).outcome.clone()),
            Found::Wait(wait) => Err(wait),
        }
    }

    /// Lets the time pass after which the path of the root is checked again.
    fn wait_for_the_check(&mut self) {
        let now = self.clock.tick + Limits::default().revalidate_ms;
        self.clock = Clock::new(now, Duration::from_secs(1_700_000_000));
    }
}

#[test]
fn a_small_folder_is_listed_at_once() {
    let mut bench = Bench::new();
    assert!(matches!(bench.find("dir", 12), Ok(Outcome::Resource(_))));
    assert!(bench.sites.work_due().is_none());
}

/// Otherwise, 128 lookups on a slow disk would delay every other connection.
#[test]
fn a_small_folder_on_a_slow_disk_is_listed_in_slices() {
    let mut bench = Bench::new();
    bench.slow.set(true);
    assert!(matches!(bench.find("dir", 12), Err(Wait::Job(_))));
    let mut slices = 1;
    while bench.sites.work(&bench.clock, &mut || true).is_none() {
        slices += 1;
    }
    assert!(slices > 10, "each lookup is a slice: {slices}");
    assert!(matches!(bench.find_again("dir"), Ok(Outcome::Resource(_))));
}

#[test]
fn a_small_folder_does_not_wait_for_other_listings() {
    let mut bench = Bench::new();
    bench.slow.set(true);
    for number in 0..super::RUNNING_MAX {
        assert!(matches!(bench.find(&format!("slow{number}"), 3), Err(Wait::Job(_))));
    }
    assert!(matches!(bench.find("one-more", 3), Err(Wait::Job(_))), "it queues");
    assert_eq!(bench.sites.store.jobs.queued.len(), 1);
    bench.slow.set(false);
    assert!(matches!(bench.find("small", 3), Ok(Outcome::Resource(_))), "it needs none");
}

#[test]
fn a_queued_folder_is_listed_when_a_place_is_free() {
    let mut bench = Bench::new();
    bench.slow.set(true);
    for number in 0..=super::RUNNING_MAX {
        assert!(matches!(bench.find(&format!("slow{number}"), 3), Err(Wait::Job(_))));
    }
    let mut ended = Vec::new();
    while bench.sites.work_due().is_some() {
        ended.extend(bench.sites.work(&bench.clock, &mut || true));
    }
    ended.sort_unstable();
    assert_eq!(ended, Vec::from_iter(1..=super::RUNNING_MAX as u64 + 1), "each job ended once");
    let last = format!("slow{}", super::RUNNING_MAX);
    assert!(matches!(bench.find_again(&last), Ok(Outcome::Resource(_))));
}

/// Otherwise, the jobs are of a root that no site has, and every turn of the loop panics.
#[test]
fn the_jobs_of_a_root_that_disappears_are_dropped() {
    let mut bench = Bench::new();
    bench.slow.set(true);
    for number in 0..=super::RUNNING_MAX {
        assert!(matches!(bench.find(&format!("slow{number}"), 3), Err(Wait::Job(_))));
    }
    assert_eq!(bench.sites.work(&bench.clock, &mut || true), None, "one is in progress");
    let root = bench.folder.path().to_path_buf();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::rename(&root, elsewhere.path().join("root")).unwrap();
    for _ in 0..2 {
        bench.wait_for_the_check();
        let found = bench.find_again("slow0");
        let Ok(Outcome::Failure(failure, _)) = found else { panic!("not a failure: {found:?}") };
        assert_eq!(failure.status, Status::ServiceUnavailable);
    }
    let mut ended = Vec::new();
    while let Some(id) = bench.sites.work(&bench.clock, &mut || true) {
        ended.push(id);
    }
    ended.sort_unstable();
    assert_eq!(ended, Vec::from_iter(1..=super::RUNNING_MAX as u64 + 1), "each waiter is released");
    assert!(bench.sites.work_due().is_none());
    bench.slow.set(false);
    fs::rename(elsewhere.path().join("root"), &root).unwrap();
    bench.wait_for_the_check();
    for number in 0..=super::RUNNING_MAX {
        let found = bench.find_again(&format!("slow{number}"));
        assert!(matches!(found, Ok(Outcome::Resource(_))), "it is listed again");
    }
}

/// Otherwise, the loop spins while the disk is read.
#[test]
fn a_job_that_waits_for_the_disk_rests_until_its_next_attempt() {
    let mut bench = Bench::new();
    assert!(bench.find("dir", 12).is_ok());
    let readme = bench.folder.path().join("dir/README.md");
    fs::write(&readme, "text").unwrap();
    let file = fs::File::open(&readme).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    for _ in 0..2 * u32::from(COLD_TRIES) {
        match bench.find_again("dir") {
            Ok(Outcome::Resource(_)) => return,
            Err(Wait::Job(_)) => {}
            other => panic!("{other:?}"),
        }
        let Some(due) = bench.sites.work_due() else { continue };
        if due > bench.clock.tick {
            assert!(due <= bench.clock.tick + RETRY_MS);
            assert_eq!(bench.sites.work(&bench.clock, &mut || false), None, "it rests");
            bench.clock.set(due, Duration::from_secs(1_700_000_000));
        }
        bench.sites.work(&bench.clock, &mut || false);
    }
    panic!("it never ends");
}
