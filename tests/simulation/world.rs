//! What the connections of a simulation share, and how a failed run is repeated.

use std::env;
use std::time::Duration;

use tenkay::clock::{Clock, Tick};
use tenkay::config::{Limits, SiteConfig};
use tenkay::files::Door;
use tenkay::h1::Exchanges;
use tenkay::machine::{Context, Pages};
use tenkay::site::Sites;

use crate::files::Files;
use crate::sans_io::bench::NOW;
use crate::sans_io::random::Random;

/// The state shared by the connections.
pub(crate) struct World {
    pub(crate) sites: Sites,
    #[allow(dead_code, reason = "only HTTP/1.1 has them")]
    pub(crate) exchanges: Exchanges,
    pub(crate) pages: Pages,
    pub(crate) clock: Clock,
    /// The wall clock, in milliseconds after 1970.
    pub(crate) unix_ms: u64,
    pub(crate) limits: Limits,
    pub(crate) draining: bool,
    /// Whether the next report says that the socket has unread bytes.
    pub(crate) unread: bool,
    /// Requests that each client may make before the next refill.
    pub(crate) requests_left: u32,
}

impl World {
    /// A new site with these changes (`NAME=VALUE`) to the limits, and others by chance.
    pub(crate) fn new(files: &Files, random: &mut Random, changes: &[String]) -> World {
        let mut limits = Limits::default();
        let pages = 3 + random.below(60);
        let revalidate_ms = random.pick(&[0, 100, 1_000]);
        let usual = [
            format!("pages={pages}"),
            format!("revalidate_ms={revalidate_ms}"),
            // So that files need not be large to be sent from disk.
            "cached_body_bytes=8192".to_owned(),
            "body_bytes=2000".to_owned(),
            "linger_bytes=5000".to_owned(),
            format!("open_files={}", 1 + random.below(3)),
            format!("cache_entries={}", 1 + random.below(6)),
        ];
        for change in usual.iter().chain(changes) {
            limits.set(change).unwrap();
        }
        // By the walk, because the result of `openat2` depends on the kernel's caches.
        let sites =
            Sites::new(vec![SiteConfig::at(files.folder())], &limits, Door::Walk, 7).unwrap();
        World {
            sites,
            exchanges: Exchanges::default(),
            pages: Pages::new(pages),
            clock: Clock::new(Tick(0), NOW),
            unix_ms: u64::try_from(NOW.as_millis()).unwrap(),
            limits,
            draining: false,
            unread: false,
            requests_left: u32::MAX,
        }
    }

    /// Calls `report` with the context of a report.
    pub(crate) fn report<T>(&mut self, report: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let mut cx = Context {
            draining: self.draining,
            unread: self.unread,
            requests_left: self.requests_left,
            ..Context::new(&mut self.sites, &mut self.pages, &self.clock, &self.limits)
        };
        let result = report(&mut cx);
        self.requests_left = cx.requests_left;
        result
    }

    /// Time passes: usually a little, sometimes a lot. The wall clock can be set back.
    pub(crate) fn pass(&mut self, random: &mut Random) {
        let ms = match random.below(20) {
            0 => random.below(100_000),
            1..5 => random.below(2_000),
            _ => random.below(20),
        };
        let ms = u64::try_from(ms).unwrap();
        self.unix_ms += ms;
        if random.once_in(100) {
            self.unix_ms -= u64::try_from(random.below(3_600_000)).unwrap();
        }
        self.clock.tick = self.clock.tick + ms;
        self.next_turn();
    }

    /// Begins a turn of the loop.
    pub(crate) fn next_turn(&mut self) {
        self.clock.set(self.clock.tick, Duration::from_millis(self.unix_ms));
    }
}

/// A random part of a number; often all.
pub(crate) fn some_of(count: usize, random: &mut Random) -> usize {
    if count == 0 || random.once_in(2) { count } else { 1 + random.below(count) }
}

/// How long a run is, and how it is repeated: printed if it fails.
pub(crate) struct Replay {
    /// The name of the test program.
    test: &'static str,
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    pub(crate) at: u64,
}

impl Replay {
    /// The run that the environment asks for, or one of `steps` steps with the seed 1.
    pub(crate) fn wanted(test: &'static str, steps: u64) -> Replay {
        let number = |name: &str, otherwise: u64| match env::var(name) {
            Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")),
            Err(_) => otherwise,
        };
        let (seed, steps) = (number("TENKAY_SIM_SEED", 1), number("TENKAY_SIM_STEPS", steps));
        Replay { test, seed, steps, at: 0 }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Replay { test, seed, steps, at } = self;
            eprintln!("\nstep {at} failed; to repeat it:");
            eprintln!("TENKAY_SIM_SEED={seed} TENKAY_SIM_STEPS={steps} cargo test --test {test}\n");
        }
    }
}
