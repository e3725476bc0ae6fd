//! The counters of a process, their sums over processes, and the forms in which they are read.
//!
//! Facts are counted where they arise: the cache counts its hits, the event loop why connections
//! were closed. On request, they are collected in a [`Snapshot`], whose cells the table of
//! [`Family`] rows describes. Nothing here is counted twice, and nothing is global.
//!
//! | module | question it answers |
//! |---|---|
//! | [`table`] | which metrics are there, and how are those of several processes added up? |
//! | `histogram`, `requests` | how is counted what each request or turn adds to? |
//! | `snapshot` | which values did all metrics have at one moment? |
//! | `board` | how do the processes of one server see the values of each other? |
//! | `process` | which facts does the system have about this process? |
//! | `text`, `json` | how are the values written? |

mod board;
mod histogram;
mod json;
mod process;
mod requests;
mod snapshot;
pub mod table;
mod text;

pub use board::{Board, Reload, Seat};
pub use histogram::Histogram;
pub use json::to_json;
pub use process::Process;
pub use requests::Requests;
pub use snapshot::Snapshot;
pub use table::{CLOSE_REASONS, Family, Metric, REQUEST_BOUNDS_US, TURN_BOUNDS_US};
pub use text::to_text;

/// What is known about the server besides its counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// How the last reload ended.
    pub reload: Reload,
    /// New connections are accepted.
    pub is_ready: bool,
}
