//! The table of limits: every bound, timeout and size that an operator may need to change.
//!
//! One list gives the struct, the defaults, the help and the setter. The unit is part of the name.

use super::layer::nearest;

/// One row of the table of limits.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The name, with the unit last.
    pub name: &'static str,
    /// What it limits.
    pub meaning: &'static str,
    /// The value if it is not set.
    pub default: u64,
    /// The least value allowed.
    pub least: u64,
    /// The greatest value allowed.
    pub most: u64,
}

/// Generates the struct, its defaults, the table for the help, and the setter from one list, so
/// that they cannot disagree.
macro_rules! limits {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $type:ty = $default:literal, $least:literal..=$most:literal;
    )+) => {
        /// The bounds, timeouts and sizes that an operator may need to change. Read-only once the
        /// server runs.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits { $($(#[doc = $doc])+ pub $name: $type,)+ }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// Name, meaning, default and range of every limit.
            pub const TABLE: &[Limit] = &[$(Limit {
                name: stringify!($name),
                meaning: concat!($($doc),+),
                default: $default,
                least: $least,
                most: $most,
            },)+];

            /// Stores a value. It fails if the value does not fit into the type on this machine.
            fn store(&mut self, name: &str, value: u64) -> Result<(), std::num::TryFromIntError> {
                match name {
                    $(stringify!($name) => self.$name = value.try_into()?,)+
                    _ => {}
                }
                Ok(())
            }
        }
    };
}

limits! {
    /// Time from the accept to the first byte of the first request.
    first_request_timeout_ms: u64 = 10_000, 10..=3_600_000;
    /// Time from the first byte of a request head to its last; more bytes do not extend it.
    head_timeout_ms: u64 = 10_000, 10..=3_600_000;
    /// Time from the end of a request head to the end of the request body.
    body_timeout_ms: u64 = 30_000, 10..=3_600_000;
    /// Idle time after a response before the connection is closed.
    keep_alive_timeout_ms: u64 = 75_000, 10..=86_400_000;
    /// Time without progress while a response is sent.
    write_timeout_ms: u64 = 60_000, 10..=3_600_000;
    /// Lowest rate of a response; a client that reads slower is cut off; 0: no limit.
    least_bytes_per_s: u64 = 500, 0..=1_000_000_000;
    /// Grace period before least_bytes_per_s applies.
    slow_allowance_ms: u64 = 60_000, 0..=3_600_000;
    /// Time to read and discard what a client still sends after the last response.
    linger_timeout_ms: u64 = 5_000, 10..=600_000;
    /// After a signal to stop, time to accept connections as before, while /readyz answers 503.
    drain_delay_ms: u64 = 0, 0..=600_000;
    /// Time for running responses to finish after the first signal to stop.
    drain_timeout_ms: u64 = 30_000, 0..=3_600_000;
    /// After a signal to stop, time for a request that is on its way on an idle connection.
    drain_idle_ms: u64 = 1_000, 0..=60_000;
    /// Time for a new worker to get ready before the reload, or the start, is given up.
    worker_ready_timeout_ms: u64 = 10_000, 100..=600_000;
    /// Longest request target.
    target_bytes: usize = 8_192, 16..=32_768;
    /// Longest request head, from the request line to the empty line.
    head_bytes: usize = 16_384, 64..=32_768;
    /// Most fields in a request head.
    fields: usize = 100, 1..=256;
    /// Longest request body that is read and discarded before the response.
    body_bytes: u64 = 65_536, 0..=1_073_741_824;
    /// Longest chunk-size line of a chunked body, including its extensions.
    chunk_line_bytes: u32 = 256, 16..=65_536;
    /// Longest trailer section of a chunked body.
    trailer_bytes: u32 = 8_192, 0..=1_048_576;
    /// Most bytes read and discarded after the last response.
    linger_bytes: u64 = 1_048_576, 0..=1_073_741_824;
    /// Most ranges in a request; with more, the whole file is sent.
    ranges: usize = 256, 1..=256;
    /// Most connections at a time; 0: as many as the limits on open files and memory allow.
    connections: usize = 0, 0..=10_000_000;
    /// Most connections at a time from one address (IPv6: one /64); 0: no limit.
    connections_per_client: u32 = 0, 0..=10_000_000;
    /// Requests per second from one address (IPv6: one /64); more are answered 429; 0: no limit.
    requests_per_s: u32 = 0, 0..=10_000_000;
    /// Requests from one address at once before requests_per_s applies.
    requests_burst: u32 = 50, 1..=10_000_000;
    /// Client addresses tracked for connections_per_client and requests_per_s.
    clients: usize = 65_536, 16..=10_000_000;
    /// Bytes per second sent on one connection; 0: no limit.
    connection_bytes_per_s: u64 = 0, 0..=1_000_000_000_000;
    /// Bytes sent at once on one connection before connection_bytes_per_s applies.
    connection_burst_bytes: u64 = 65_536, 1..=1_000_000_000_000;
    /// Bytes of access log lines that wait to be written; further lines are dropped.
    access_log_bytes: usize = 262_144, 4_096..=1_073_741_824;
    /// A turn of the event loop that takes longer is logged.
    stall_ms: u64 = 100, 1..=60_000;
    /// Most large files that the cache keeps open.
    open_files: usize = 512, 1..=1_000_000;
    /// Most files and listings in the cache.
    cache_entries: usize = 131_072, 1..=10_000_000;
    /// Most redirects and failures in the cache.
    cache_failures: usize = 8_192, 1..=10_000_000;
    /// Memory for cached response bodies, in total.
    cache_bytes: usize = 67_108_864, 0..=1_099_511_627_776;
    /// Memory for response bodies, cached or still being sent; beyond it, files are sent from disk.
    resident_bytes: usize = 134_217_728, 0..=1_099_511_627_776;
    /// Time that a large file stays open after its last use.
    file_rest_ms: u64 = 2_000, 0..=3_600_000;
    /// Largest file whose body is cached in memory; a larger one is sent from the file.
    cached_body_bytes: usize = 262_144, 0..=16_777_216;
    /// Smallest file that is compressed in the background.
    compress_least_bytes: u64 = 512, 0..=1_099_511_627_776;
    /// Largest file that is compressed in the background.
    compress_most_bytes: u64 = 4_194_304, 0..=1_073_741_824;
    /// Memory for files that were compressed in the background, in total.
    compressed_bytes: usize = 33_554_432, 0..=1_099_511_627_776;
    /// Processes that verify passwords, if a site has a login.
    password_helpers: usize = 2, 1..=64;
    /// Passwords that wait to be verified; more are answered 429.
    password_queue: usize = 64, 1..=65_536;
    /// Passwords of one client that wait or are verified; more are answered 429.
    passwords_per_client: usize = 16, 1..=65_536;
    /// Time to verify one password before its process is killed.
    password_timeout_ms: u64 = 30_000, 100..=600_000;
    /// Passwords that are remembered once verified, and as many wrong ones.
    passwords_remembered: usize = 4_096, 2..=1_000_000;
    /// Time that a right password is remembered.
    password_memory_ms: u64 = 300_000, 1_000..=86_400_000;
    /// Time that a wrong password is remembered.
    wrong_password_memory_ms: u64 = 10_000, 0..=86_400_000;
    /// Archives of folders that are sent at the same time; more are answered 503.
    archive_downloads: usize = 16, 1..=65_536;
    /// The same for one client, by address (IPv6: one /64); more are answered 429.
    archive_downloads_per_client: usize = 8, 1..=65_536;
    /// Age at which a cache entry is compared with its file again.
    revalidate_ms: u64 = 1_000, 0..=3_600_000;
    /// Longest time that a listing is reused while its folder does not change.
    listing_age_ms: u64 = 10_000, 0..=3_600_000;
    /// Most entries in a listing.
    listing_entries: usize = 100_000, 1..=10_000_000;
    /// Buffers of 32 KiB for request heads and responses, in total.
    pages: usize = 8_192, 2..=10_000_000;
    /// Memory that connections hold besides these buffers, in total: requests that wait, HTTP/2
    /// streams, several ranges, archives, TLS records that are not sent. When it is used up,
    /// connections that make no progress are closed first.
    held_bytes: usize = 536_870_912, 1_048_576..=1_099_511_627_776;
    /// Listen backlog (capped by net.core.somaxconn).
    backlog: u32 = 4_096, 1..=65_535;
    /// Longest time that the kernel holds back a new connection until its request arrives
    /// (TCP_DEFER_ACCEPT, Linux); 0: off.
    defer_accept_s: u32 = 1, 0..=60;
    /// Most connections accepted per listening socket and loop turn.
    accepts_per_turn: usize = 256, 1..=65_536;
    /// Cost of the TLS handshakes that may begin per loop turn: with an elliptic curve 1 each, with
    /// RSA-2048 4, with RSA-4096 25.
    handshake_units_per_turn: u32 = 4, 1..=65_536;
    /// Most paths looked up on disk for one connection per loop turn.
    lookups_per_turn: u32 = 1, 1..=65_536;
    /// Time for a loop turn, of which each stage gets at least a quarter; the rest continues in the
    /// next turn.
    slice_ms: u64 = 4, 1..=10_000;
    /// Unsent bytes the kernel may buffer per connection (TCP_NOTSENT_LOWAT); 0: no limit. It rises
    /// to unsent_most_bytes while the client reads fast.
    unsent_bytes: u32 = 262_144, 0..=1_073_741_824;
    /// Unsent bytes the kernel may buffer for a client that reads fast; larger pieces of files are
    /// sent to it as well.
    unsent_most_bytes: u32 = 4_194_304, 0..=1_073_741_824;
    /// Divided by the number of connections, it lowers unsent_most_bytes for limits that rise from
    /// then on.
    unsent_total_bytes: u64 = 268_435_456, 0..=1_099_511_627_776;
    /// Most receives, sends or file pieces for one connection per loop turn.
    steps_per_turn: usize = 16, 1..=65_536;
    /// Most bytes sent on one connection per loop turn; up to four times as many if the client
    /// reads fast.
    bytes_per_turn: u64 = 524_288, 4_096..=1_073_741_824;
    /// Most requests at a time on an HTTP/2 connection.
    streams: u16 = 100, 1..=1_000;
    /// Requests of an HTTP/2 connection that the client may cancel, or lose by its errors, beyond
    /// those that it completes (Rapid Reset).
    aborted_streams: u32 = 100, 1..=1_000_000;
    /// HTTP/2 frames that are no part of a request and nothing that a response needs, such as PING;
    /// each complete response allows 100 more.
    useless_frames: u32 = 1_000, 16..=1_000_000;
    /// HTTP/2 frames of one connection per loop turn. A request counts twice, and once more for
    /// each 512 bytes of its fields.
    frames_per_turn: u16 = 64, 1..=65_535;
    /// Requests on one HTTP/2 connection before the client must open another.
    requests_per_connection: u32 = 10_000, 1..=1_000_000_000;
    /// Most bytes of a file sent at once (sendfile, or read and send); up to four times as many if
    /// the client reads fast.
    sendfile_bytes: u64 = 524_288, 4_096..=1_073_741_824;
}

impl Limits {
    /// Parses `NAME=VALUE` and checks that the value is in the range of that limit. Returns the
    /// name and the value.
    ///
    /// # Errors
    /// In one line, with what would be right.
    pub fn parse(assignment: &str) -> Result<(&'static str, u64), String> {
        let Some((name, value)) = assignment.split_once('=') else {
            let example = "such as keep_alive_timeout_ms=5000";
            return Err(format!("'{assignment}' is not NAME=VALUE, {example}"));
        };
        let Some(row) = Limits::TABLE.iter().find(|row| row.name == name) else {
            let names = Limits::TABLE.iter().map(|row| row.name);
            let hint = nearest(name, names).map(|name| format!("; did you mean {name}?"));
            let hint = hint.unwrap_or_default();
            return Err(format!("unknown limit '{name}' (see tenkay --help){hint}"));
        };
        let range = format!("{name} is a whole number from {} to {}", row.least, row.most);
        let Ok(number) = value.parse::<u64>() else {
            return Err(format!("'{value}' is not a number; {range}"));
        };
        if !(row.least..=row.most).contains(&number) {
            return Err(format!("{number} is out of range; {range}"));
        }
        Limits::default()
            .store(name, number)
            .map_err(|_| format!("{name}={number} is too large for this machine"))?;
        Ok((row.name, number))
    }

    /// Sets one limit from `NAME=VALUE`; for tests.
    ///
    /// # Errors
    /// In one line, with what would be right.
    pub fn set(&mut self, assignment: &str) -> Result<(), String> {
        let (name, value) = Limits::parse(assignment)?;
        self.assign(name, value);
        Ok(())
    }

    /// Sets one limit to a value that [`Limits::parse`] has checked.
    pub(super) fn assign(&mut self, name: &str, value: u64) {
        self.store(name, value).expect("`parse` has stored it once");
    }

    /// Finds limits that contradict each other.
    ///
    /// # Errors
    /// The limits in question, and why they contradict each other.
    pub fn check(&self) -> Result<(), String> {
        if self.target_bytes > self.head_bytes {
            return Err(format!(
                "target_bytes ({}) is part of head_bytes ({}) and cannot be larger; lower \
                 target_bytes, or raise head_bytes",
                self.target_bytes, self.head_bytes
            ));
        }
        let (most, least) = (self.connection_bytes_per_s, self.least_bytes_per_s);
        if most != 0 && most < 2 * least {
            return Err(format!(
                "connection_bytes_per_s ({most}) must be at least twice least_bytes_per_s \
                 ({least}), or every long response is cut off as too slow; raise the one, or lower \
                 the other"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_lies_in_its_range_and_is_what_the_table_says() {
        let defaults = Limits::default();
        let mut limits = Limits::default();
        for row in Limits::TABLE {
            assert!((row.least..=row.most).contains(&row.default), "{}", row.name);
            limits.set(&format!("{}={}", row.name, row.default)).unwrap();
        }
        assert_eq!(limits, defaults);
        assert_eq!(defaults.check(), Ok(()));
    }

    #[test]
    fn a_limit_is_set_at_its_borders_and_refused_beyond_them() {
        for row in Limits::TABLE {
            let set = |value: u128| Limits::default().set(&format!("{}={value}", row.name));
            assert_eq!(set(row.least.into()), Ok(()), "{}", row.name);
            assert_eq!(set(row.most.into()), Ok(()), "{}", row.name);
            assert!(set(u128::from(row.most) + 1).is_err(), "{}", row.name);
            assert!(row.least == 0 || set(u128::from(row.least) - 1).is_err(), "{}", row.name);
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_and_what_would_be_right() {
        let error = |text: &str| Limits::default().set(text).unwrap_err();
        assert!(error("fields").contains("NAME=VALUE"));
        assert!(error("feilds=3").contains("unknown limit 'feilds' (see tenkay --help)"));
        assert!(error("feilds=3").contains("did you mean fields?"));
        assert!(!error("nonsense=3").contains("did you mean"));
        assert!(error("fields=many").contains("'many' is not a number"));
        assert!(error("fields=257").contains("from 1 to 256"));
        assert!(error("fields=-1").contains("not a number"));
    }
}
