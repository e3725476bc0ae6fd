//! What prevents sites from being served: all of it at once, each with its place.

use std::fmt;

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is written, such as `FILE:LINE:COLUMN`; empty: on the command line, or nowhere.
    pub place: String,
    /// What is wrong, and how to fix it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.place {
            "" => f.write_str(&self.what),
            place => write!(f, "{place}: {}", self.what),
        }
    }
}

/// Reasons in the order in which they were found, none twice: several sites can inherit one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem.
    pub(super) fn add(&mut self, place: &str, what: impl Into<String>) {
        let problem = Problem { place: place.to_owned(), what: what.into() };
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// The value, or none if there is a problem with it.
    pub(super) fn keep<T>(&mut self, place: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|what| self.add(place, what)).ok()
    }

    /// The same for several problems with one value.
    pub(super) fn keep_whole<T>(
        &mut self,
        place: &str,
        result: Result<T, Vec<String>>,
    ) -> Option<T> {
        result.map_err(|all| all.into_iter().for_each(|what| self.add(place, what))).ok()
    }

    /// Adds those of `others`.
    pub(super) fn extend(&mut self, others: Problems) {
        for problem in others.0 {
            self.add(&problem.place, problem.what);
        }
    }

    /// The problems, as an error if there is one.
    pub(super) fn none_or_all(self) -> Result<(), Problems> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    /// One line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}
