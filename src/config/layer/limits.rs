//! The limits of all layers, and which of them contradict each other.

use super::super::Limits;
use super::{Origin, Problem, Sourced};

/// The limits, and the names of those that are not left at their default.
pub(super) fn limits(
    assignments: &[Sourced<(&'static str, u64)>],
) -> Result<(Limits, Vec<&'static str>), Problem> {
    let mut limits = Limits::default();
    for Sourced { value: (name, value), .. } in assignments {
        limits.assign(name, *value);
    }
    limits.check().map_err(|why| contradiction(assignments, &why))?;
    let chosen = assignments.iter().map(|sourced| sourced.value.0).collect();
    Ok((limits, chosen))
}

/// Names the origins of the limits that contradict each other; the highest one is the place.
fn contradiction(assignments: &[Sourced<(&'static str, u64)>], why: &str) -> Problem {
    let words: Vec<&str> = why.split(|letter: char| !is_name_letter(letter)).collect();
    let involved = || assignments.iter().filter(|sourced| words.contains(&sourced.value.0));
    let highest = involved().map(|sourced| &sourced.origin).max();
    let origins: Vec<String> = involved()
        .filter(|sourced| sourced.origin != Origin::Flag && Some(&sourced.origin) != highest)
        .map(|sourced| format!("{} is set by {}", sourced.value.0, sourced.origin))
        .collect();
    let origins =
        if origins.is_empty() { String::new() } else { format!(" ({})", origins.join("; ")) };
    Problem { origin: highest.cloned().unwrap_or(Origin::Default), what: format!("{why}{origins}") }
}

fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}
