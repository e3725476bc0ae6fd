//! Bytes in memory that the kernel can send without copying them.
//!
//! A send copies from the memory of a process into the socket. sendfile(2) gives the pages of a
//! file to the socket instead, which costs less from some ten KiB on. So bytes that do not change
//! can be kept in an anonymous file, too (memfd_create(2)): unlike those of a file on a disk, they
//! need no check before each piece, and stay as they are while they are sent.
//!
//! All bytes are ranges of one anonymous file, so they take one descriptor. No range is used twice:
//! the peer may not have acknowledged its pages when it is dropped. The kernel then keeps those
//! pages, but not their place in the file.
//!
//! Linux only; elsewhere, and where the system refuses, there are no such bytes.

use std::cell::{Cell, OnceCell};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use super::disk::OpenFile;

/// The anonymous file.
#[derive(Debug, Default)]
pub struct SharedMemory {
    /// Opened when it is first used; `None`: the system has none.
    file: OnceCell<Option<Rc<OpenFile>>>,
    /// Where the next bytes go.
    next: Cell<u64>,
}

/// Bytes in the anonymous file. Their memory is returned when they are dropped.
#[derive(Debug)]
pub struct SharedBytes {
    file: Rc<OpenFile>,
    at: u64,
    size: u64,
}

impl SharedMemory {
    /// Copies these bytes into the file. `None`: the system has no such file, or no memory.
    pub fn keep(&self, bytes: &[u8]) -> Option<SharedBytes> {
        let open = || create().and_then(OpenFile::anonymous).map(Rc::new);
        let file = Rc::clone(self.file.get_or_init(open).as_ref()?);
        let (at, size) = (self.next.get(), bytes.len() as u64); // widening
        self.next.set(at.checked_add(size)?.checked_next_multiple_of(ALIGNMENT)?);
        // Dropped on failure, so that what was written is returned.
        let kept = SharedBytes { file, at, size };
        kept.file.file().write_all_at(bytes, at).ok()?;
        Some(kept)
    }
}

impl SharedBytes {
    /// The file that they are in.
    pub fn file(&self) -> &OpenFile {
        &self.file
    }

    /// Where in the file they begin.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// How many they are.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Drop for SharedBytes {
    fn drop(&mut self) {
        discard(self.file.file(), self.at, self.size.next_multiple_of(ALIGNMENT));
    }
}

/// A multiple of the size of a memory page on every system: only whole pages can be returned.
const ALIGNMENT: u64 = 64 * 1024;

/// A limit on the size of files (RLIMIT_FSIZE) holds for this one as well, and a write beyond it
/// raises a signal that ends the process.
#[cfg(target_os = "linux")]
fn create() -> Option<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    use rustix::process::{Resource, getrlimit};
    if getrlimit(Resource::Fsize).current.is_some() {
        return None;
    }
    memfd_create("tenkay bodies", MemfdFlags::CLOEXEC).ok().map(File::from)
}

#[cfg(not(target_os = "linux"))]
fn create() -> Option<File> {
    None
}

/// Returns the memory of this range. If that fails, it stays until the process ends.
#[cfg(target_os = "linux")]
fn discard(file: &File, at: u64, size: u64) {
    use rustix::fs::{FallocateFlags, fallocate};
    _ = fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, size);
}

#[cfg(not(target_os = "linux"))]
fn discard(_: &File, _: u64, _: u64) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    /// Bytes of memory that the file takes.
    fn taken(bytes: &SharedBytes) -> u64 {
        bytes.file().file().metadata().unwrap().blocks() * 512
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn bytes_are_kept_and_their_memory_is_returned() {
        let memory = SharedMemory::default();
        let first = memory.keep(&[1; 100_000]).unwrap();
        let second = memory.keep(&[2; 70_001]).unwrap();
        for (bytes, value) in [(&first, 1), (&second, 2)] {
            let mut read = vec![0; usize::try_from(bytes.size()).unwrap()];
            bytes.file().file().read_exact_at(&mut read, bytes.at()).unwrap();
            assert!(read.iter().all(|&byte| byte == value));
            assert_eq!(bytes.at() % ALIGNMENT, 0);
        }
        let both = taken(&second);
        assert!(both >= 170_001, "{both}");
        let place = first.at();
        drop(first);
        assert!(taken(&second) <= both - 100_000 + 4096, "{} of {both}", taken(&second));
        let third = memory.keep(&[3; 100_000]).unwrap();
        assert_ne!(third.at(), place, "a range is used once");
    }

    #[test]
    fn without_an_anonymous_file_nothing_is_kept() {
        let memory = SharedMemory { file: OnceCell::from(None), ..SharedMemory::default() };
        assert!(memory.keep(&[1; 100_000]).is_none());
    }
}
