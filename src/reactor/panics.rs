//! Containing a panic in the work for one connection.
//!
//! A panic is a bug, and there should be none. But one thread serves all connections, so if it
//! ended the process, one client with one request could cut off all others. So the panic ends that
//! connection and is logged, and the server goes on. What outlives the unwinding is safe to use:
//!
//! - the connection itself is closed, and its pages are returned or freed;
//! - the pool of pages is a stack and a counter, changed by two assignments that cannot panic;
//! - the cache replaces an entry as a whole, and checks its bounds at the next insertion;
//! - the queues hold keys with serial numbers, which are checked before each use;
//! - the quotas are changed after the work, outside of it; but those of the clients that a proxy
//!   names are changed within, by subtractions that cannot panic.
//!
//! The message goes to the log and not directly to standard error, because that could block.

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

/// From now on the standard library does not print a panic; it is kept for [`guarded`].
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
