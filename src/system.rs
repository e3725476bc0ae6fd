//! What the machine allows: open files and memory. Reads resource limits and control groups at
//! start; [`crate::config`] computes the limits that follow from them.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{CONNECTION_BYTES, Limits, MemoryLimit};

/// Makes the limits fit into the open files and the memory that the process may have. Returns
/// warnings for the log: limits that are lowered, or too high. `has_tls`: connections may have TLS.
pub fn fit(limits: &mut Limits, has_tls: bool, chosen: &[&str]) -> Vec<String> {
    fit_one_of(1, limits, has_tls, chosen)
}

/// The same for one of several processes: the memory of a control group is for all of them.
pub fn fit_one_of(
    processes: usize,
    limits: &mut Limits,
    has_tls: bool,
    chosen: &[&str],
) -> Vec<String> {
    let mut lines: Vec<String> =
        limits.fit_to_descriptors(raise_descriptors()).into_iter().collect();
    for memory in memory_limits(u64::try_from(processes).unwrap_or(u64::MAX).max(1)) {
        lines.extend(limits.fit_to_memory(&memory, has_tls, chosen));
    }
    lines.extend(fit_table(limits, can_allocate));
    lines
}

/// Raises the soft limit on open files to the hard one, and returns it.
fn raise_descriptors() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // If it is refused, the soft limit applies.
        _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Lowers the connections until their table can be allocated: the kernel may refuse for reasons
/// that no limit shows (vm.overcommit_memory).
fn fit_table(limits: &mut Limits, can_allocate: impl Fn(u64) -> bool) -> Option<String> {
    let bytes = |limits: &Limits| {
        u64::try_from(limits.connections).unwrap_or(u64::MAX).saturating_mul(CONNECTION_BYTES)
    };
    let asked = limits.connections;
    // Twice as much: the table must not take the last memory there is.
    while limits.connections > 1 && !can_allocate(bytes(limits).saturating_mul(2)) {
        limits.connections /= 2;
    }
    let possible = limits.connections;
    (possible < asked).then(|| {
        format!(
            "limit connections lowered from {asked} to {possible}: the memory for more cannot be \
             allocated"
        )
    })
}

/// Whether an allocation of this size succeeds. The memory is not touched, so it costs nothing.
fn can_allocate(bytes: u64) -> bool {
    usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok())
}

/// The limits on the memory of this process, which is one of `processes`.
fn memory_limits(processes: u64) -> Vec<MemoryLimit> {
    let used = used_memory(&fs::read_to_string("/proc/self/statm").unwrap_or_default());
    let limit = |bytes: u64, used_bytes: u64, source: &str| MemoryLimit {
        bytes,
        free_bytes: bytes.saturating_sub(used_bytes),
        source: source.to_owned(),
    };
    let mut limits = Vec::new();
    for (resource, source) in
        [(Resource::As, "RLIMIT_AS, ulimit -v"), (Resource::Data, "RLIMIT_DATA, ulimit -d")]
    {
        if let Some(bytes) = getrlimit(resource).current {
            limits.push(limit(bytes, used.address_space_bytes, source));
        }
    }
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let read = |path: &Path| fs::read_to_string(path).ok();
    if let Some((bytes, path)) = cgroup_limit(&groups, read) {
        let used_bytes = used.resident_bytes;
        limits.push(limit(bytes / processes, used_bytes, &path.display().to_string()));
    }
    limits
}

struct Used {
    address_space_bytes: u64,
    resident_bytes: u64,
}

/// The first two numbers of /proc/self/statm, which counts in pages.
fn used_memory(statm: &str) -> Used {
    let page_bytes = u64::try_from(rustix::param::page_size()).unwrap_or(u64::MAX);
    let mut numbers = statm.split_whitespace().map_while(|text| text.parse::<u64>().ok());
    let mut next = || numbers.next().unwrap_or(0).saturating_mul(page_bytes);
    Used { address_space_bytes: next(), resident_bytes: next() }
}

/// The lowest memory limit of the control groups that the process is in, and the file that sets
/// it. `groups` is the text of /proc/self/cgroup.
fn cgroup_limit(groups: &str, read: impl Fn(&Path) -> Option<String>) -> Option<(u64, PathBuf)> {
    cgroup_files(groups)
        .filter_map(|path| Some((read(&path)?.trim().parse::<u64>().ok()?, path)))
        .filter(|(bytes, _)| *bytes < NO_LIMIT_BYTES)
        .min_by_key(|(bytes, _)| *bytes)
}

/// Version 1 says "no limit" with a number near the greatest one that is signed; version 2 with
/// a word.
const NO_LIMIT_BYTES: u64 = 1 << 60;

/// The files that can hold a limit: those of the group and of every group above it. In a container
/// the path may be that of the host, which leads nowhere; then the file at the top applies.
fn cgroup_files(groups: &str) -> impl Iterator<Item = PathBuf> {
    groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or("/"));
        let place = match controllers {
            "" => Some(("/sys/fs/cgroup", "memory.max")),
            _ if controllers.split(',').any(|name| name == "memory") => {
                Some(("/sys/fs/cgroup/memory", "memory.limit_in_bytes"))
            }
            _ => None,
        };
        let folders: Vec<&Path> = Path::new(path).ancestors().collect();
        let files = folders.into_iter().filter_map(move |folder| {
            let (mount, file) = place?;
            Some(Path::new(mount).join(folder.strip_prefix("/").ok()?).join(file))
        });
        files.collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_of_all_groups_counts() {
        let read = |path: &Path| {
            let text = match path.to_str().unwrap() {
                "/sys/fs/cgroup/a/b/memory.max" => "max\n",
                "/sys/fs/cgroup/a/memory.max" => "268435456\n",
                "/sys/fs/cgroup/memory.max" => "536870912\n",
                _ => return None,
            };
            Some(text.to_owned())
        };
        let expected = PathBuf::from("/sys/fs/cgroup/a/memory.max");
        assert_eq!(cgroup_limit("0::/a/b\n", read), Some((268_435_456, expected)));
        let expected = PathBuf::from("/sys/fs/cgroup/memory.max");
        assert_eq!(cgroup_limit("0::/\n", read), Some((536_870_912, expected)));
        assert_eq!(cgroup_limit("", read), None);
    }

    #[test]
    fn version_1_has_a_mount_for_memory_and_a_number_for_no_limit() {
        let groups = "5:cpu,cpuacct:/c\n4:memory:/docker/x\n1:name=systemd:/\n";
        let files: Vec<_> = cgroup_files(groups).collect();
        assert_eq!(
            files,
            [
                "/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            ]
            .map(PathBuf::from)
        );
        let top = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
        let holds = |value: &'static str| {
            move |path: &Path| (path == Path::new(top)).then(|| value.to_owned())
        };
        assert_eq!(cgroup_limit(groups, holds("9223372036854771712")), None);
        assert_eq!(cgroup_limit(groups, holds("1048576")), Some((1 << 20, top.into())));
    }

    #[test]
    fn the_table_is_halved_until_it_can_be_allocated() {
        let mut limits = Limits { connections: 1_000_000, ..Limits::default() };
        let line = fit_table(&mut limits, |bytes| bytes <= 100_000_000).unwrap();
        assert_eq!(limits.connections, 250_000);
        assert!(line.contains("from 1000000 to 250000"), "{line}");
        assert_eq!(fit_table(&mut limits, |_| true), None);
        fit_table(&mut limits, |_| false);
        assert_eq!(limits.connections, 1);
    }

    #[test]
    fn used_memory_is_counted_in_pages() {
        let used = used_memory("1234 56 7 8 0 9 0\n");
        let page_bytes = rustix::param::page_size() as u64;
        assert_eq!(used.address_space_bytes, 1234 * page_bytes);
        assert_eq!(used.resident_bytes, 56 * page_bytes);
        assert_eq!(used_memory("").resident_bytes, 0);
    }
}
