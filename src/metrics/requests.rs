//! The counters that each request adds to.
//!
//! Counting must cost next to nothing beside a small request, so it reads no clock: most requests
//! are answered in the turn of the event loop in which they arrive, and get the length of that turn
//! as their duration, which is at least as long as they took.

use crate::http::head::Method;
use crate::http::status::Status;

use super::histogram::Histogram;
use super::snapshot::Snapshot;
use super::table::{METHODS, Metric, REQUEST_BOUNDS_US};

/// Requests that got a status, the bytes of their bodies, and how long they took.
#[derive(Clone, Debug)]
pub struct Requests {
    by_status: [[u64; METHODS.len()]; Status::ALL.len()],
    body_bytes: u64,
    durations: Histogram,
    /// Those that began and ended in this turn.
    in_turn: u64,
}

impl Default for Requests {
    fn default() -> Requests {
        Requests {
            by_status: [[0; METHODS.len()]; Status::ALL.len()],
            body_bytes: 0,
            durations: Histogram::new(REQUEST_BOUNDS_US),
            in_turn: 0,
        }
    }
}

impl Requests {
    /// The response to a request begins.
    #[inline]
    pub fn begin(&mut self, status: Status, method: Method) {
        self.by_status[status as usize][index(method)] += 1; // a unit variant is its index
    }

    /// This many bytes of a body were sent, or will be at once.
    #[inline]
    pub fn sent(&mut self, bytes: u64) {
        self.body_bytes = self.body_bytes.saturating_add(bytes);
    }

    /// A response was sent completely, this long after the first byte of its request arrived;
    /// `None`: in the same turn.
    #[inline]
    pub fn end(&mut self, us: Option<u64>) {
        match us {
            None => self.in_turn += 1,
            Some(us) => self.durations.observe(us),
        }
    }

    /// The turn has ended, which took this long.
    #[inline]
    pub fn end_turn(&mut self, us: u64) {
        if self.in_turn > 0 {
            self.durations.observe_many(us, std::mem::take(&mut self.in_turn));
        }
    }

    /// Writes the counters into a snapshot.
    pub fn describe(&self, to: &mut Snapshot) {
        to.set(Metric::Requests, self.by_status.as_flattened());
        to.set(Metric::ResponseBytes, &[self.body_bytes]);
        to.set(Metric::RequestDuration, &self.durations.cells());
    }
}

/// The place of a method among [`METHODS`].
fn index(method: Method) -> usize {
    match method {
        Method::Get => 0,
        Method::Head => 1,
        Method::Options => 2,
        Method::Connect | Method::NotServed | Method::Unknown => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_by_its_status_and_method() {
        let mut requests = Requests::default();
        for (status, method, bytes, us) in [
            (Status::Ok, Method::Get, 100, None),
            (Status::Ok, Method::Get, 11, Some(70)),
            (Status::NotFound, Method::Head, 0, None),
            (Status::NotImplemented, Method::Unknown, 7, Some(0)),
        ] {
            requests.begin(status, method);
            requests.sent(bytes);
            requests.end(us);
        }
        requests.end_turn(5);
        requests.end_turn(1000);
        let mut snapshot = Snapshot::default();
        requests.describe(&mut snapshot);
        let text = crate::metrics::to_text(&snapshot, Default::default());
        for line in [
            "tenkay_requests_total{code=\"200\",method=\"GET\"} 2\n",
            "tenkay_requests_total{code=\"404\",method=\"HEAD\"} 1\n",
            "tenkay_requests_total{code=\"501\",method=\"other\"} 1\n",
            "tenkay_response_bytes_total 118\n",
            "tenkay_request_duration_seconds_count 4\n",
            "tenkay_request_duration_seconds_sum 0.00008\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
