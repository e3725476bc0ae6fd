//! Files and their versions; no HTTP.
//!
//! Owns every descriptor below a root, and the only code that opens one. A [`Root`] resolves
//! canonical paths and never leaves its folder; a [`Version`] identifies one version of one file;
//! an [`OpenFile`] is a file that stays open while it is sent; [`Disk`] reads without waiting for a
//! disk; [`SharedMemory`] keeps bytes that the kernel can send without a copy. Knows nothing of
//! hidden names, index files, caches or responses.

mod disk;
mod root;
mod shared;
mod version;

pub use disk::{Disk, OpenFile, Piece};
pub use root::{Blocking, COLD_TRIES, Door, OpenError, Opened, RETRY_MS, Root};
pub use shared::{SharedBytes, SharedMemory};
pub use version::{Kind, Version};
