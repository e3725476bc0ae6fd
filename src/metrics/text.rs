//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write;

use super::Facts;
use super::snapshot::Snapshot;
use super::table::{Family, Join, Label, Series};

/// Every metric with its help, type and values.
pub fn to_text(snapshot: &Snapshot, facts: Facts) -> String {
    let mut text = String::new();
    let version = env!("CARGO_PKG_VERSION");
    header(&mut text, "tenkay_build_info", "gauge", "The version of the program; always 1.");
    // Writing to a String cannot fail, here and below.
    _ = writeln!(text, "tenkay_build_info{{version=\"{version}\"}} 1");
    for (family, cells) in snapshot.families() {
        let is_unknown = IS_ABSENT_IF_ZERO.contains(&family.name) && cells == [0];
        if family.is_exported() && !is_unknown {
            put_family(&mut text, family, cells);
        }
    }
    let name = "tenkay_config_last_reload_success";
    header(&mut text, name, "gauge", "1 if the last start or reload of the settings succeeded.");
    _ = writeln!(text, "{name} {}", u8::from(facts.reload.is_success));
    let name = "tenkay_config_last_reload_timestamp_seconds";
    header(&mut text, name, "gauge", "When a start or reload last succeeded, since 1970.");
    _ = writeln!(text, "{name} {}", decimal(facts.reload.unix_ms, 1_000));
    text
}

/// Values that some systems or servers do not have; where there is one, it is not 0.
const IS_ABSENT_IF_ZERO: &[&str] = &[
    "tenkay_tls_certificate_expiry_timestamp_seconds",
    "process_open_fds",
    "process_max_fds",
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
];

fn header(text: &mut String, name: &str, kind: &str, help: &str) {
    _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn put_family(text: &mut String, family: &Family, cells: &[u64]) {
    let Family { name, help, series, per_unit, .. } = *family;
    let kind = match (series, family.join) {
        (Series::Histogram(_), _) => "histogram",
        (_, Join::Counter) => "counter",
        _ => "gauge",
    };
    header(text, name, kind, help);
    match series {
        Series::One => _ = writeln!(text, "{name} {}", decimal(cells[0], per_unit)),
        Series::By(labels) => {
            // A combination that never occurred has no series: there are too many of them.
            let is_sparse = matches!(labels, [Label::Code, ..]);
            for (index, (values, cell)) in series.labels().iter().zip(cells).enumerate() {
                if *cell == 0 && is_sparse && index > 0 {
                    continue;
                }
                let pairs = labels.iter().zip(values);
                let pairs = pairs.map(|(label, value)| format!("{}=\"{value}\"", label.name()));
                let pairs: Vec<String> = pairs.collect();
                _ = writeln!(text, "{name}{{{}}} {cell}", pairs.join(","));
            }
        }
        Series::Histogram(bounds) => {
            let mut count = 0_u64;
            for (bound, cell) in bounds.iter().zip(cells) {
                count = count.saturating_add(*cell);
                let bound = decimal(*bound, per_unit);
                _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {count}");
            }
            let (more, sum) = (cells[bounds.len()], cells[bounds.len() + 1]);
            count = count.saturating_add(more);
            _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {count}");
            _ = writeln!(text, "{name}_sum {}\n{name}_count {count}", decimal(sum, per_unit));
        }
    }
}

/// A number of parts of a unit, in that unit; `per_unit` is a power of ten.
pub(super) fn decimal(parts: u64, per_unit: u64) -> String {
    let (whole, rest) = (parts / per_unit, parts % per_unit);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = per_unit.ilog10() as usize; // widening
    format!("{whole}.{rest:0digits$}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Histogram, Metric, TURN_BOUNDS_US};

    #[test]
    fn a_part_of_a_unit_is_written_with_as_many_digits_as_it_needs() {
        for (parts, per_unit, text) in [
            (0, 1, "0"),
            (7, 1, "7"),
            (50, 1_000_000, "0.00005"),
            (2_500_000, 1_000_000, "2.5"),
            (3_000_000, 1_000_000, "3"),
            (1_700_000_000_042, 1_000, "1700000000.042"),
        ] {
            assert_eq!(decimal(parts, per_unit), text);
        }
    }

    #[test]
    fn the_buckets_of_a_histogram_add_up() {
        let mut turns = Histogram::new(TURN_BOUNDS_US);
        [40, 60, 70, 2_000_000].into_iter().for_each(|us| turns.observe(us));
        let mut snapshot = Snapshot::default();
        snapshot.set(Metric::TurnDuration, &turns.cells());
        let text = to_text(&snapshot, Facts::default());
        for line in [
            "# TYPE tenkay_turn_duration_seconds histogram\n",
            "tenkay_turn_duration_seconds_bucket{le=\"0.00005\"} 1\n",
            "tenkay_turn_duration_seconds_bucket{le=\"0.0001\"} 3\n",
            "tenkay_turn_duration_seconds_bucket{le=\"1\"} 3\n",
            "tenkay_turn_duration_seconds_bucket{le=\"+Inf\"} 4\n",
            "tenkay_turn_duration_seconds_sum 2.00017\n",
            "tenkay_turn_duration_seconds_count 4\n",
            "tenkay_requests_total{code=\"200\",method=\"GET\"} 0\n",
            "tenkay_connections{state=\"idle\"} 0\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(!text.contains("code=\"404\"") && !text.contains("process_open_fds"));
    }
}
