//! The metrics as a JSON object, for the live page and for programs.
//!
//! A metric is a key with its name. Its value is a number, for a metric with labels an object by
//! the values of the first label, and for a histogram an object with the upper bounds, the counts
//! of the buckets and the sum. Numbers are in the unit of the metric, durations in seconds.

use std::fmt::Write;

use super::Facts;
use super::snapshot::Snapshot;
use super::table::Series;
use super::text::decimal;

/// Every metric, and `version`, `ready`, `workers` and `longest_turn_seconds`.
pub fn to_json(snapshot: &Snapshot, facts: Facts) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut json = format!("{{\"version\":\"{version}\",\"ready\":{}", facts.is_ready);
    for (family, cells) in snapshot.families() {
        // Writing to a String cannot fail, here and below.
        _ = write!(json, ",\"{}\":", family.name);
        match family.series {
            Series::One => json.push_str(&decimal(cells[0], family.per_unit)),
            Series::By(_) => put_labelled(&mut json, &family.series.labels(), cells),
            Series::Histogram(bounds) => {
                let bounds = bounds.iter().map(|bound| decimal(*bound, family.per_unit));
                let (sum, counts) = cells.split_last().unwrap_or((&0, &[]));
                _ = write!(
                    json,
                    "{{\"bounds\":[{}],\"counts\":[{}],\"sum\":{}}}",
                    bounds.collect::<Vec<_>>().join(","),
                    counts.iter().map(u64::to_string).collect::<Vec<_>>().join(","),
                    decimal(*sum, family.per_unit),
                );
            }
        }
    }
    _ = writeln!(
        json,
        ",\"tenkay_config_last_reload_success\":{},\
         \"tenkay_config_last_reload_timestamp_seconds\":{}}}",
        u8::from(facts.reload.is_success),
        decimal(facts.reload.unix_ms, 1_000),
    );
    json
}

/// An object by the values of the first label; with two labels, each value is one by those of the
/// second. Zeros are left out of the latter.
fn put_labelled(json: &mut String, series: &[Vec<&str>], cells: &[u64]) {
    let mut outer: Vec<(&str, String)> = Vec::new();
    for (values, cell) in series.iter().zip(cells) {
        match values[..] {
            [value] => outer.push((value, cell.to_string())),
            [first, second] if *cell > 0 => {
                let entry = format!("\"{second}\":{cell}");
                match outer.last_mut().filter(|(value, _)| *value == first) {
                    Some((_, inner)) => *inner = format!("{inner},{entry}"),
                    None => outer.push((first, entry)),
                }
            }
            _ => {}
        }
    }
    let is_nested = series.first().is_some_and(|values| values.len() > 1);
    let entry = |(value, inner): &(&str, String)| match is_nested {
        true => format!("\"{value}\":{{{inner}}}"),
        false => format!("\"{value}\":{inner}"),
    };
    _ = write!(json, "{{{}}}", outer.iter().map(entry).collect::<Vec<_>>().join(","));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::Method;
    use crate::http::status::Status;
    use crate::metrics::{Metric, Requests};

    #[test]
    fn another_parser_reads_the_values() {
        let (mut snapshot, mut requests) = (Snapshot::default(), Requests::default());
        for (status, method, us) in [
            (Status::Ok, Method::Get, 70),
            (Status::Ok, Method::Head, 1_000_000_000),
            (Status::NotFound, Method::Get, 0),
        ] {
            requests.begin(status, method);
            requests.end(Some(us));
        }
        requests.describe(&mut snapshot);
        snapshot.set(Metric::Workers, &[3]);
        snapshot.set(Metric::Connections, &[1, 2, 3, 4, 5]);
        let json = to_json(&snapshot, Facts { is_ready: true, ..Facts::default() });
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!((&json["ready"], &json["workers"]), (&true.into(), &3.into()));
        assert_eq!(json["tenkay_requests_total"]["200"]["HEAD"], 1);
        assert_eq!(json["tenkay_requests_total"]["404"]["GET"], 1);
        assert_eq!(json["tenkay_requests_total"]["404"].get("HEAD"), None);
        assert_eq!(json["tenkay_connections"]["closing"], 5);
        let durations = &json["tenkay_request_duration_seconds"];
        assert_eq!(durations["bounds"][0], 0.00005);
        assert_eq!(durations["counts"].as_array().unwrap().len(), 21);
        assert_eq!(durations["sum"], 1000.00007);
        assert_eq!(json["tenkay_tls_handshakes_total"], serde_json::json!({}));
    }
}
