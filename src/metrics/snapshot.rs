//! The values of all metrics at one moment.

use super::table::{Family, Join, Metric, Series};

/// A value for each series, and for each bucket and sum of a histogram, in the order of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    cells: Vec<u64>,
}

impl Default for Snapshot {
    fn default() -> Snapshot {
        Snapshot { cells: vec![0; Snapshot::length()] }
    }
}

impl Snapshot {
    /// How many cells there are.
    pub(super) fn length() -> usize {
        Metric::ALL.iter().map(Family::cells).sum()
    }

    /// From cells in their order; `None`: their number is wrong.
    pub(super) fn from_cells(cells: Vec<u64>) -> Option<Snapshot> {
        (cells.len() == Snapshot::length()).then_some(Snapshot { cells })
    }

    pub(super) fn cells(&self) -> &[u64] {
        &self.cells
    }

    /// Sets the cells of a metric; as many as it has.
    pub fn set(&mut self, metric: Metric, values: &[u64]) {
        let at: usize = Metric::ALL[..metric as usize].iter().map(Family::cells).sum();
        let cells = &mut self.cells[at..][..Metric::ALL[metric as usize].cells()];
        debug_assert_eq!(cells.len(), values.len(), "{metric:?}");
        for (cell, value) in cells.iter_mut().zip(values) {
            *cell = *value;
        }
    }

    /// Each metric with its cells.
    pub(super) fn families(&self) -> impl Iterator<Item = (&'static Family, &[u64])> {
        let mut rest = &self.cells[..];
        Metric::ALL.iter().map(move |family| {
            let (cells, behind) = rest.split_at(family.cells());
            rest = behind;
            (family, cells)
        })
    }

    /// Joins the values of another process to these.
    pub fn join(&mut self, other: &Snapshot) {
        let joins = Metric::ALL.iter().flat_map(|family| vec![family.join; family.cells()]);
        for ((cell, value), join) in self.cells.iter_mut().zip(&other.cells).zip(joins) {
            *cell = match join {
                Join::Counter | Join::Sum => cell.saturating_add(*value),
                Join::Most => (*cell).max(*value),
                Join::Least if *cell == 0 => *value,
                Join::Least if *value == 0 => *cell,
                Join::Least => (*cell).min(*value),
            };
        }
    }

    /// What remains of a process that has ended: its counters.
    pub(super) fn retire(&mut self) {
        let counters = Metric::ALL.iter().flat_map(|it| vec![it.is_counter(); it.cells()]);
        for (cell, is_counter) in self.cells.iter_mut().zip(counters) {
            if !is_counter {
                *cell = 0;
            }
        }
    }

    /// The name of each cell, in order: another version of the program finds what it knows by it.
    pub(super) fn names() -> Vec<String> {
        let mut names = Vec::new();
        for family in Metric::ALL {
            let name = family.name;
            match family.series {
                Series::One => names.push(name.to_owned()),
                Series::By(_) => {
                    let series = family.series.labels().into_iter();
                    names.extend(series.map(|values| format!("{name}/{}", values.join("/"))));
                }
                Series::Histogram(bounds) => {
                    names.extend(bounds.iter().map(|bound| format!("{name}/{bound}")));
                    names.extend([format!("{name}/more"), format!("{name}/sum")]);
                }
            }
        }
        names
    }
}

impl Series {
    /// The label values of each series, in the order of the cells.
    pub(super) fn labels(&self) -> Vec<Vec<&'static str>> {
        let Series::By(labels) = self else { return Vec::new() };
        labels.iter().fold(vec![Vec::new()], |series, label| {
            let values = label.values();
            let longer = |start: Vec<&'static str>| {
                values.clone().into_iter().map(move |value| [&start[..], &[value]].concat())
            };
            series.into_iter().flat_map(longer).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_outlive_a_process_and_gauges_do_not() {
        let mut one = Snapshot::default();
        one.set(Metric::Accepted, &[5]);
        one.set(Metric::CacheBytes, &[70]);
        one.set(Metric::StartTime, &[9]);
        one.set(Metric::LongestTurn, &[9]);
        let mut sum = Snapshot::default();
        sum.join(&one);
        sum.join(&one);
        let mut other = one.clone();
        other.retire();
        other.set(Metric::StartTime, &[4]);
        other.set(Metric::LongestTurn, &[8]);
        sum.join(&other);
        let mut expected = Snapshot::default();
        expected.set(Metric::Accepted, &[15]);
        expected.set(Metric::CacheBytes, &[140]);
        expected.set(Metric::StartTime, &[4]);
        expected.set(Metric::LongestTurn, &[9]);
        assert_eq!(sum, expected);
    }

    #[test]
    fn every_cell_has_a_name_of_its_own() {
        let mut names = Snapshot::names();
        assert_eq!(names.len(), Snapshot::length());
        assert!(names.contains(&"tenkay_requests_total/404/HEAD".to_owned()));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Snapshot::length());
    }
}
