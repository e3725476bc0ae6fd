//! Facts about this process from the system; most of them are available on Linux alone.
//!
//! The files of `/proc` are opened before the sandbox is entered, and read again for each snapshot.
//! No read waits for a disk.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use super::snapshot::Snapshot;
use super::table::Metric;

/// The sources of the facts about this process; one that the system lacks is `None`.
#[derive(Debug)]
pub struct Process {
    stat: Option<File>,
    descriptors: Option<File>,
    start_ms: u64,
}

impl Process {
    /// Opens the sources.
    pub fn open() -> Process {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Process {
            stat: File::open("/proc/self/stat").ok(),
            descriptors: File::open("/proc/self/fd").ok(),
            start_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Writes the facts into a snapshot.
    pub fn describe(&self, to: &mut Snapshot) {
        to.set(Metric::StartTime, &[self.start_ms]);
        let most = getrlimit(Resource::Nofile).current;
        to.set(Metric::MaxDescriptors, &[most.unwrap_or_default()]);
        // Linux 6.2 and later: the size of this folder is the number of its entries.
        let metadata = self.descriptors.as_ref().and_then(|file| file.metadata().ok());
        to.set(Metric::Descriptors, &[metadata.map_or(0, |metadata| metadata.len())]);
        let mut room = [0; STAT_BYTES];
        let count = self.stat.as_ref().and_then(|file| file.read_at(&mut room, 0).ok());
        let text = str::from_utf8(&room[..count.unwrap_or(0)]).unwrap_or_default();
        if let Some(usage) = Usage::parse(text) {
            to.set(Metric::Cpu, &[usage.cpu_us]);
            to.set(Metric::VirtualMemory, &[usage.virtual_bytes]);
            to.set(Metric::ResidentMemory, &[usage.resident_bytes]);
        }
    }
}

/// More than the line of any process has.
const STAT_BYTES: usize = 1024;

/// The fields of `/proc/self/stat` that are metrics.
#[derive(Debug, PartialEq, Eq)]
struct Usage {
    cpu_us: u64,
    virtual_bytes: u64,
    resident_bytes: u64,
}

impl Usage {
    /// The fields are counted from the end of the name of the program, which may have spaces and
    /// parentheses: proc_pid_stat(5).
    fn parse(line: &str) -> Option<Usage> {
        let (_, behind) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = behind.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = field(14)? + field(15)?;
        Some(Usage {
            cpu_us: ticks.saturating_mul(1_000_000) / clock_ticks_per_second().max(1),
            virtual_bytes: field(23)?,
            resident_bytes: field(24)?.saturating_mul(page_size() as u64), // widening
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_read_whatever_the_name_of_the_program_is() {
        let line = "7 (a) R (b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 999 8192 3 9\n";
        let usage = Usage::parse(line).unwrap();
        assert_eq!(usage.cpu_us, 300 * 1_000_000 / clock_ticks_per_second());
        assert_eq!(usage.virtual_bytes, 8192);
        assert_eq!(usage.resident_bytes, 3 * page_size() as u64);
        for bad in ["", "7 (a) S", "7 (a", "7 (a) S 1 2 3 4 5 6 7 8 9 10 x 12 1 2 3 4 5 6 7 8 9"] {
            assert_eq!(Usage::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_facts_are_those_of_this_process() {
        let mut snapshot = Snapshot::default();
        Process::open().describe(&mut snapshot);
        let text = crate::metrics::to_text(&snapshot, Default::default());
        assert!(text.contains("process_start_time_seconds 1"), "{text}");
        if cfg!(target_os = "linux") {
            assert!(text.contains("process_resident_memory_bytes "), "{text}");
        }
    }
}
