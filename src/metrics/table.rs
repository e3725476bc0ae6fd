//! The table of metrics: names, meanings, labels, and how those of several processes are joined.

use crate::http::status::Status;

/// Generates the enum and the table from one list, so that they have the same order.
macro_rules! metrics {
    ($(
        $metric:ident: $kind:ident($name:literal, $help:literal) $(.$more:ident($value:expr))*;
    )+) => {
        /// A metric. Its help text says what it counts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric { $(#[doc = $help] $metric,)+ }

        impl Metric {
            /// The row of each metric, in the order of the enum.
            pub const ALL: &[Family] =
                &[$(Family::$kind($name, $help)$(.$more($value))*,)+];
        }
    };
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// The text of HELP.
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
    const fn gauge(name: &'static str, help: &'static str) -> Family {
        Family { name, help, join: Join::Sum, series: Series::One, per_unit: 1 }
    }

    const fn counter(name: &'static str, help: &'static str) -> Family {
        Family::gauge(name, help).join(Join::Counter)
    }

    /// With another way to join the values.
    const fn join(self, join: Join) -> Family {
        Family { join, ..self }
    }

    /// With a series for each combination of the values of these labels.
    const fn by(self, labels: &'static [Label]) -> Family {
        Family { series: Series::By(labels), ..self }
    }

    /// A histogram of durations, in seconds from microseconds.
    const fn histogram(self, bounds_us: &'static [u64]) -> Family {
        Family { series: Series::Histogram(bounds_us), ..self }.per_unit(1_000_000)
    }

    /// With values in parts of the unit.
    const fn per_unit(self, per_unit: u64) -> Family {
        Family { per_unit, ..self }
    }

    /// True for a metric of the text format. The others are only part of the JSON of the live page.
    pub fn is_exported(&self) -> bool {
        self.name.starts_with("tenkay_") || self.name.starts_with("process_")
    }

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
    Requests: counter("tenkay_requests_total",
        "Requests that got a status, by status code and method.")
        .by(&[Label::Code, Label::Words("method", METHODS)]);
    ResponseBytes: counter("tenkay_response_bytes_total",
        "Bytes of response bodies, as sent.");
    RequestDuration: counter("tenkay_request_duration_seconds",
        "Duration of requests, up to the turn of the loop that sent the last byte.")
        .histogram(REQUEST_BOUNDS_US);
    Connections: gauge("tenkay_connections",
        "Open connections of visitors, by state.")
        .by(&[Label::Words("state", STATES)]);
    Accepted: counter("tenkay_connections_accepted_total",
        "Connections of visitors that were accepted.");
    Closed: counter("tenkay_connections_closed_total",
        "Connections of visitors that were closed, by reason.")
        .by(&[Label::Words("reason", CLOSE_REASONS)]);
    TurnDuration: counter("tenkay_turn_duration_seconds",
        "Time that the event loop was busy between two waits for events.")
        .histogram(TURN_BOUNDS_US);
    CacheRequests: counter("tenkay_cache_requests_total",
        "Look-ups of paths: answered from memory, after a comparison with the disk, from disk.")
        .by(&[Label::Words("result", &["hit", "revalidated", "miss"])]);
    CacheBytes: gauge("tenkay_cache_bytes",
        "Memory of the cached entries, with their bodies.");
    CacheEntries: gauge("tenkay_cache_entries",
        "Paths in the cache.");
    OpenFiles: gauge("tenkay_open_files",
        "Files that the cache keeps open.");
    AcceptPauses: counter("tenkay_accept_pauses_total",
        "Times that accepting paused, at the limit on connections or without descriptors.");
    Limited: counter("tenkay_limited_total",
        "Requests and connections that a limit refused, cut off or evicted.")
        .by(&[Label::Words("limit", LIMITS)]);
    LogDropped: counter("tenkay_log_dropped_total",
        "Lines of logs that were dropped, because they were not accepted in time.");
    TlsHandshakes: counter("tenkay_tls_handshakes_total",
        "TLS handshakes that ended.")
        .by(&[
            Label::Words("result", &["ok", "failed"]),
            Label::Words("resumed", &["true", "false"]),
        ]);
    CertificateExpiry: gauge("tenkay_tls_certificate_expiry_timestamp_seconds",
        "When the first of the certificates expires, since 1970.")
        .join(Join::Most);
    Cpu: counter("process_cpu_seconds_total",
        "CPU time of the processes that serve.")
        .per_unit(1_000_000);
    Descriptors: gauge("process_open_fds",
        "Open descriptors of the processes that serve.");
    MaxDescriptors: gauge("process_max_fds",
        "Most descriptors that the processes that serve may have.");
    VirtualMemory: gauge("process_virtual_memory_bytes",
        "Virtual memory of the processes that serve.");
    ResidentMemory: gauge("process_resident_memory_bytes",
        "Resident memory of the processes that serve; shared memory counts in each of them.");
    StartTime: gauge("process_start_time_seconds",
        "When the oldest process that serves was started, since 1970.")
        .join(Join::Least)
        .per_unit(1_000);
    Workers: gauge("workers",
        "Processes that serve.");
    LongestTurn: gauge("longest_turn_seconds",
        "The longest turn of the event loop in the last ten to twenty seconds.")
        .join(Join::Most)
        .per_unit(1_000_000);
}

/// The values of `limit`: names of limits.
const LIMITS: &[&str] =
    &["connections", "connections_per_client", "requests_per_s", "pages", "held_bytes"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_index_of_its_row_and_follows_the_naming_rules() {
        let family = Metric::ALL[Metric::StartTime as usize];
        assert_eq!(family.name, "process_start_time_seconds");
        let others: Vec<&str> =
            Metric::ALL.iter().filter(|it| !it.is_exported()).map(|it| it.name).collect();
        assert_eq!(others, ["workers", "longest_turn_seconds"]);
        for family in Metric::ALL.iter().filter(|family| family.is_exported()) {
            let name = family.name;
            let is_histogram = matches!(family.series, Series::Histogram(_));
            let is_total = family.is_counter() && !is_histogram;
            assert_eq!(name.ends_with("_total"), is_total, "{name}");
            assert!(family.help.ends_with('.') && !family.help.contains(['\\', '\n']), "{name}");
        }
    }
}
