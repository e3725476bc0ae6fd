//! What happens if the work for one connection panics.
//!
//! It is a bug, and there should be none. But one thread serves everybody, so to end the process
//! would let one client, with one request, cut off all others. So the panic ends that connection
//! and is reported, and the server goes on: what other connections need (the cache, the pool of
//! pages) is changed only by pieces of code that are done before anything can panic, or is bounded
//! and checked again at the next use.
//!
//! The report goes to the log, not straight to standard error: that could block.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Does the work; an `Err` says where and why it panicked.
#[inline]
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| LAST.take())
}

/// From now on a panic is not printed by the standard library but kept for [`guarded`].
pub(super) fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|info| LAST.set(info.to_string().replace('\n', " "))));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_the_work_and_nothing_else() {
        assert_eq!(guarded(|| 5), Ok(5));
        assert!(guarded(|| panic!("a test of panics")).is_err());
        assert_eq!(guarded(|| 6), Ok(6));
    }
}
