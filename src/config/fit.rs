//! Limits lowered to what the machine allows: open files and memory. Pure computation; what the
//! machine allows is read by [`crate::system`].

use super::Limits;

/// How much memory the process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// The limit, in bytes.
    pub bytes: u64,
    /// How much of it is not in use yet.
    pub free_bytes: u64,
    /// Where it is set: a file or a resource limit.
    pub source: String,
}

/// Memory of one slot in the table of connections, with its timer, rounded up.
pub const CONNECTION_BYTES: u64 = 192;

/// Memory of the state of a connection that is not idle, besides buffers and what `held_bytes`
/// counts.
pub const EXCHANGE_BYTES: u64 = 512;

/// The same for a TLS session: 4.5 KB with a certificate on an elliptic curve.
pub const SESSION_BYTES: u64 = 6144;

/// Bytes of one of the buffers that `pages` counts: room for the largest head, and for a run of
/// small responses.
pub const PAGE_BYTES: usize = 32 * 1024;

/// Descriptors for the poll, the listeners, the signals, the standard streams, the root, and files
/// that are being opened.
const OWN_DESCRIPTORS: usize = 64;

/// Most connections if the limit on open files is infinite.
const MOST_CONNECTIONS: usize = 1 << 20;

/// Shares of the free memory. The rest is for the cache's tables, listings, and socket buffers,
/// which a control group counts as well.
const CACHE_DIVISOR: u64 = 4;
const RESIDENT_DIVISOR: u64 = 3; // the cache is part of it
const PAGES_DIVISOR: u64 = 4;
const CONNECTIONS_DIVISOR: u64 = 8;
const HELD_DIVISOR: u64 = 8;

impl Limits {
    /// Makes connections and cached files fit into the limit on open files. Returns a warning if
    /// fewer connections are possible than were asked for.
    pub fn fit_to_descriptors(&mut self, descriptors: usize) -> Option<String> {
        let descriptors = descriptors.min(MOST_CONNECTIONS);
        // Files get at most a quarter, so that a small limit still leaves room for clients.
        self.open_files = self.open_files.min((descriptors / 4).max(1));
        let possible = descriptors.saturating_sub(self.open_files + OWN_DESCRIPTORS).max(1);
        let asked = self.connections;
        self.connections = if asked == 0 { possible } else { asked.min(possible) };
        (asked > possible).then(|| {
            format!(
                "limit connections lowered from {asked} to {possible}: the limit on open files is \
                 {descriptors}; raise it (ulimit -Hn, LimitNOFILE=)"
            )
        })
    }

    /// Makes the cache, the pages and the table of connections fit into the memory. What the
    /// operator has chosen stays as it is, except the connections, whose table must be allocated
    /// at start. `has_tls`: each connection may have a session. Returns one line for each limit
    /// that was lowered or is too high.
    pub fn fit_to_memory(
        &mut self,
        memory: &MemoryLimit,
        has_tls: bool,
        chosen: &[&str],
    ) -> Vec<String> {
        let free = memory.free_bytes;
        let why = format!("the memory limit is {} bytes ({})", memory.bytes, memory.source);
        let possible_pages = (free / PAGES_DIVISOR / PAGE_BYTES as u64).max(LEAST_PAGES);
        let possible_held = (free / HELD_DIVISOR).max(LEAST_HELD_BYTES);
        let mut lines = Vec::new();
        for (name, value, unit_bytes, possible) in [
            ("cache_bytes", &mut self.cache_bytes, 1, free / CACHE_DIVISOR),
            ("resident_bytes", &mut self.resident_bytes, 1, free / RESIDENT_DIVISOR),
            ("pages", &mut self.pages, PAGE_BYTES as u64, possible_pages),
            ("held_bytes", &mut self.held_bytes, 1, possible_held),
        ] {
            let now = u64::try_from(*value).unwrap_or(u64::MAX);
            if !chosen.contains(&name) {
                if possible < now {
                    *value = usize::try_from(possible).unwrap_or(usize::MAX);
                    lines.push(format!(
                        "limit {name} lowered from {now} to {possible}: {why}; raise that limit, \
                         or set --limit {name}=N"
                    ));
                }
            } else if now.saturating_mul(unit_bytes) > free {
                lines.push(format!(
                    "limit {name}={now} allows more memory than there is: {why}; lower it with \
                     --limit {name}=N"
                ));
            }
        }
        lines.extend(self.fit_connections(free / CONNECTIONS_DIVISOR, has_tls, &why));
        lines
    }

    /// Makes the table of connections, and the fixed parts of their states, fit into `bytes`.
    /// Returns a line if the limit is lowered.
    fn fit_connections(&mut self, bytes: u64, has_tls: bool, why: &str) -> Option<String> {
        let each = CONNECTION_BYTES + EXCHANGE_BYTES + if has_tls { SESSION_BYTES } else { 0 };
        let possible = usize::try_from(bytes / each).unwrap_or(usize::MAX).max(1);
        let now = self.connections;
        if now <= possible {
            return None;
        }
        self.connections = possible;
        Some(format!("limit connections lowered from {now} to {possible}: {why}; raise that limit"))
    }
}

/// With fewer pages, a few clients could use all of them.
const LEAST_PAGES: u64 = 16;

/// With less, one connection could use most of it.
const LEAST_HELD_BYTES: u64 = 1_048_576;

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(bytes: u64) -> MemoryLimit {
        MemoryLimit { bytes, free_bytes: bytes, source: "memory.max".to_owned() }
    }

    fn with_connections(connections: usize) -> Limits {
        Limits { connections, ..Limits::default() }
    }

    #[test]
    fn connections_and_files_share_the_descriptors() {
        for (descriptors, asked, connections, open_files, warns) in [
            (1024, 0, 1024 - 256 - 64, 256, false),
            (20_000, 0, 20_000 - 512 - 64, 512, false),
            (20_000, 100, 100, 512, false),
            (20_000, 100_000, 20_000 - 512 - 64, 512, true),
            (10, 0, 1, 2, false),
            (usize::MAX, 0, MOST_CONNECTIONS - 512 - 64, 512, false),
        ] {
            let mut limits = with_connections(asked);
            let warning = limits.fit_to_descriptors(descriptors);
            assert_eq!(limits.connections, connections, "{descriptors} {asked}");
            assert_eq!(limits.open_files, open_files, "{descriptors} {asked}");
            assert_eq!(warning.is_some(), warns, "{descriptors} {asked}");
        }
    }

    #[test]
    fn much_memory_lowers_nothing() {
        let mut limits = with_connections(20_000);
        assert_eq!(limits.fit_to_memory(&memory(4 << 30), true, &[]), [""; 0]);
        assert_eq!(limits, with_connections(20_000));
    }

    #[test]
    fn little_memory_lowers_each_limit_with_a_line() {
        let mut limits = with_connections(1_000_000);
        let lines = limits.fit_to_memory(&memory(128 << 20), false, &[]);
        assert_eq!(limits.cache_bytes, 32 << 20);
        assert_eq!(limits.resident_bytes, (128 << 20) / 3);
        assert_eq!(limits.pages, 1024);
        assert_eq!(limits.held_bytes, 16 << 20);
        assert_eq!(limits.connections, (16 << 20) / (192 + 512));
        for (line, name) in lines.iter().zip([
            "cache_bytes",
            "resident_bytes",
            "pages",
            "held_bytes",
            "connections",
        ]) {
            assert!(line.starts_with(&format!("limit {name} lowered from ")), "{line}");
            assert!(line.contains("134217728 bytes (memory.max)"), "{line}");
        }
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn whatever_the_memory_all_that_was_lowered_fits_or_is_the_least() {
        for free_bytes in (0..40).map(|shift| 1_u64 << shift).chain([0]) {
            let mut limits = with_connections(1_000_000);
            let memory = MemoryLimit { free_bytes, ..memory(1 << 40) };
            limits.fit_to_memory(&memory, true, &[]);
            let each = CONNECTION_BYTES + EXCHANGE_BYTES + SESSION_BYTES;
            let sum = limits.resident_bytes as u64
                + limits.pages as u64 * PAGE_BYTES as u64
                + limits.held_bytes as u64
                + limits.connections as u64 * each;
            let least = LEAST_PAGES * PAGE_BYTES as u64 + LEAST_HELD_BYTES + each;
            assert!(sum <= free_bytes / 6 * 5 + 6 + least, "{free_bytes}");
            assert!(limits.pages >= 16 && limits.connections >= 1);
            assert!(limits.cache_bytes <= limits.resident_bytes);
        }
    }

    #[test]
    fn a_chosen_limit_stays_and_is_reported_if_it_cannot_fit() {
        let chosen = ["pages", "cache_bytes", "resident_bytes", "held_bytes", "connections"];
        let mut limits =
            Limits { cache_bytes: 100 << 20, pages: 100_000, ..with_connections(1_000_000) };
        let lines = limits.fit_to_memory(&memory(128 << 20), false, &chosen);
        assert_eq!((limits.cache_bytes, limits.pages), (100 << 20, 100_000));
        assert!(limits.connections < 1_000_000, "the table must be allocated");
        assert!(lines[0].contains("pages=100000 allows more memory than there is"), "{lines:?}");
        assert!(lines[1].contains("held_bytes=536870912 allows more"), "{lines:?}");
        assert!(lines[2].contains("connections lowered"), "{lines:?}");
        assert_eq!(lines.len(), 3);
    }
}
