//! The table of metrics: names, meanings, labels, and how those of several processes are joined.

use crate::http::status::Status;

/// Generates the enum and the table from one list, so that they have the same order.
macro_rules! metrics {
    ($($metric:ident: $name:literal, $join:expr, $series:expr, $per_unit:literal, $help:literal;)+)
    => {
        /// A metric. Its help text says what it counts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric { $(#[doc = $help] $metric,)+ }

        impl Metric {
            /// The row of each metric, in the order of the enum.
            pub const ALL: &[Family] = &[$(Family {
                name: $name,
                help: $help,
                join: $join,
                series: $series,
                per_unit: $per_unit,
            },)+];
        }
    };
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name; empty: it is not part of the text, only of the JSON of the live page.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// How the values of several processes become one.
    pub join: Join,
    /// Its series.
    pub series: Series,
    /// A value is a whole number of parts of the unit: 1,000,000 for seconds in microseconds.
    pub per_unit: u64,
}

/// How the values of several processes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// A counter: the sum over all processes, also those that have ended.
    Counter,
    /// A gauge: the sum over the processes that run.
    Sum,
    /// The greatest value of the processes that run.
    Most,
    /// The least value of the processes that run, but 0.
    Least,
}

/// The series of a metric.
#[derive(Clone, Copy, Debug)]
pub enum Series {
    /// One, without a label.
    One,
    /// One for each combination of the values of these labels; the last label varies fastest.
    By(&'static [Label]),
    /// A histogram with these upper bounds, in microseconds.
    Histogram(&'static [u64]),
}

/// A label and its values.
#[derive(Clone, Copy, Debug)]
pub enum Label {
    /// These words.
    Words(&'static str, &'static [&'static str]),
    /// Every status code that the server sends.
    Code,
}

impl Label {
    /// The name of the label.
    pub fn name(self) -> &'static str {
        match self {
            Label::Words(name, _) => name,
            Label::Code => "code",
        }
    }

    /// Its values.
    pub fn values(self) -> Vec<&'static str> {
        match self {
            Label::Words(_, words) => words.to_vec(),
            Label::Code => Status::ALL.iter().map(|status| &status.text()[..3]).collect(),
        }
    }
}

impl Family {
    /// How many cells of a snapshot it has.
    pub fn cells(&self) -> usize {
        match self.series {
            Series::One => 1,
            Series::By(labels) => labels.iter().map(|label| label.values().len()).product(),
            Series::Histogram(bounds) => bounds.len() + 2,
        }
    }

    /// True for a metric that is never less than before.
    pub fn is_counter(&self) -> bool {
        self.join == Join::Counter
    }
}

/// The values of `method`.
pub const METHODS: &[&str] = &["GET", "HEAD", "OPTIONS", "other"];

/// The values of `reason`, in the order of the reasons of the protocol machines.
pub const CLOSE_REASONS: &[&str] = &[
    "finished",
    "peer_closed",
    "peer_lost",
    "idle",
    "stalled",
    "file_failed",
    "out_of_pages",
    "made_room",
    "panicked",
    "stopped",
    "bad_proxy_header",
    "tls_failed",
    "protocol_error",
    "flooded",
];

/// The values of `state`.
pub const STATES: &[&str] = &["idle", "reading", "waiting", "writing", "closing"];

/// The upper bounds of the duration of a request, in microseconds.
pub const REQUEST_BOUNDS_US: &[u64] = &[
    50,
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
];

/// The upper bounds of the duration of a turn, in microseconds.
pub const TURN_BOUNDS_US: &[u64] = &[
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
];

metrics! {
    Requests: "tenkay_requests_total", Join::Counter,
        Series::By(&[Label::Code, Label::Words("method", METHODS)]), 1,
        "Requests that got a status, by status code and method.";
    ResponseBytes: "tenkay_response_bytes_total", Join::Counter, Series::One, 1,
        "Bytes of response bodies, as sent.";
    RequestDuration: "tenkay_request_duration_seconds", Join::Counter,
        Series::Histogram(REQUEST_BOUNDS_US), 1_000_000,
        "Duration of requests, up to the turn of the loop that sent the last byte.";
    Connections: "tenkay_connections", Join::Sum, Series::By(&[Label::Words("state", STATES)]), 1,
        "Open connections of visitors, by state.";
    Accepted: "tenkay_connections_accepted_total", Join::Counter, Series::One, 1,
        "Connections of visitors that were accepted.";
    Closed: "tenkay_connections_closed_total", Join::Counter,
        Series::By(&[Label::Words("reason", CLOSE_REASONS)]), 1,
        "Connections of visitors that were closed, by reason.";
    TurnDuration: "tenkay_turn_duration_seconds", Join::Counter,
        Series::Histogram(TURN_BOUNDS_US), 1_000_000,
        "Time that the event loop was busy between two waits for events.";
    CacheRequests: "tenkay_cache_requests_total", Join::Counter,
        Series::By(&[Label::Words("result", &["hit", "revalidated", "miss"])]), 1,
        "Look-ups of paths: answered from memory, after a comparison with the disk, from disk.";
    CacheBytes: "tenkay_cache_bytes", Join::Sum, Series::One, 1,
        "Memory of the cached entries, with their bodies.";
    CacheEntries: "tenkay_cache_entries", Join::Sum, Series::One, 1,
        "Paths in the cache.";
    OpenFiles: "tenkay_open_files", Join::Sum, Series::One, 1,
        "Files that the cache keeps open.";
    AcceptPauses: "tenkay_accept_pauses_total", Join::Counter, Series::One, 1,
        "Times that accepting paused, at the limit on connections or without descriptors.";
    Limited: "tenkay_limited_total", Join::Counter, Series::By(&[Label::Words("limit", LIMITS)]), 1,
        "Requests and connections that a limit refused, cut off or evicted.";
    LogDropped: "tenkay_log_dropped_total", Join::Counter, Series::One, 1,
        "Lines of logs that were dropped, because they were not accepted in time.";
    TlsHandshakes: "tenkay_tls_handshakes_total", Join::Counter,
        Series::By(&[
            Label::Words("result", &["ok", "failed"]),
            Label::Words("resumed", &["true", "false"]),
        ]), 1,
        "TLS handshakes that ended.";
    Cpu: "process_cpu_seconds_total", Join::Counter, Series::One, 1_000_000,
        "CPU time of the processes that serve.";
    Descriptors: "process_open_fds", Join::Sum, Series::One, 1,
        "Open descriptors of the processes that serve.";
    MaxDescriptors: "process_max_fds", Join::Sum, Series::One, 1,
        "Most descriptors that the processes that serve may have.";
    VirtualMemory: "process_virtual_memory_bytes", Join::Sum, Series::One, 1,
        "Virtual memory of the processes that serve.";
    ResidentMemory: "process_resident_memory_bytes", Join::Sum, Series::One, 1,
        "Resident memory of the processes that serve; shared memory counts in each of them.";
    StartTime: "process_start_time_seconds", Join::Least, Series::One, 1_000,
        "When the oldest process that serves was started, since 1970.";
    Workers: "", Join::Sum, Series::One, 1, "Processes that serve.";
    LongestTurn: "", Join::Most, Series::One, 1_000_000,
        "The longest turn of the event loop in the last ten to twenty seconds.";
}

/// The values of `limit`: names of limits.
const LIMITS: &[&str] = &["connections", "connections_per_client", "requests_per_s", "pages"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_index_of_its_row_and_follows_the_naming_rules() {
        let family = Metric::ALL[Metric::StartTime as usize];
        assert_eq!(family.name, "process_start_time_seconds");
        for family in Metric::ALL.iter().filter(|family| !family.name.is_empty()) {
            let name = family.name;
            assert!(name.starts_with("tenkay_") || name.starts_with("process_"), "{name}");
            let is_histogram = matches!(family.series, Series::Histogram(_));
            let is_total = family.is_counter() && !is_histogram;
            assert_eq!(name.ends_with("_total"), is_total, "{name}");
            assert!(family.help.ends_with('.') && !family.help.contains(['\\', '\n']), "{name}");
        }
    }
}
