//! The counters that each request adds to.

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
}

impl Default for Requests {
    fn default() -> Requests {
        Requests {
            by_status: [[0; METHODS.len()]; Status::ALL.len()],
            body_bytes: 0,
            durations: Histogram::new(REQUEST_BOUNDS_US),
        }
    }
}

impl Requests {
    /// Counts a request. `body_bytes`: of its response, as sent.
    #[inline]
    pub fn count(&mut self, status: Status, method: Method, body_bytes: u64, duration_us: u64) {
        self.by_status[status as usize][index(method)] += 1; // a unit variant is its index
        self.body_bytes = self.body_bytes.saturating_add(body_bytes);
        self.durations.observe(duration_us);
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
        requests.count(Status::Ok, Method::Get, 100, 5);
        requests.count(Status::Ok, Method::Get, 11, 70);
        requests.count(Status::NotFound, Method::Head, 0, 0);
        requests.count(Status::NotImplemented, Method::Unknown, 7, 0);
        let mut snapshot = Snapshot::default();
        requests.describe(&mut snapshot);
        let text = crate::metrics::to_text(&snapshot, Default::default());
        for line in [
            "tenkay_requests_total{code=\"200\",method=\"GET\"} 2\n",
            "tenkay_requests_total{code=\"404\",method=\"HEAD\"} 1\n",
            "tenkay_requests_total{code=\"501\",method=\"other\"} 1\n",
            "tenkay_response_bytes_total 118\n",
            "tenkay_request_duration_seconds_count 4\n",
            "tenkay_request_duration_seconds_sum 0.000075\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
