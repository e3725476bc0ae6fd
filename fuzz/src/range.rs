//! Target `range`: compares the selection of ranges with two models.
//!
//! Input: `SIZE MOST BOUNDARY FIELDS`, LF, the value of a Range field. The last two numbers are the
//! lengths of the boundary and of the field lines of each part; they may be absent.
//!
//! Numbers of the field remain text until they are compared.

use tenkay::http::range::{MAX_RANGES, Multipart, Selection, select};

/// Runs one input.
pub fn run(data: &[u8]) {
    let (line, value) = crate::settings(data);
    let mut numbers = crate::numbers(line);
    let size = numbers.next().unwrap_or(10);
    let most = usize::try_from(numbers.next().unwrap_or(16)).unwrap_or(usize::MAX);

    let mut length = |usual| usize::try_from(numbers.next().unwrap_or(usual).min(1000)).unwrap();
    let heads = Heads { boundary: length(23), fields: length(26) };
    let multipart = Multipart { boundary_bytes: heads.boundary, part_fields_bytes: heads.fields };

    let found = chosen(&select(value, size, most, &multipart));
    assert_eq!(found, by_intervals(value, size, most, Some(heads)));
    if size <= BITMAP_MAX {
        assert_eq!(found, heads.judge(by_bitmap(value, size, most), size));
    }
    if let Chosen::Ranges(ranges) = &found {
        let bytes: u128 = ranges.iter().map(|(first, last)| u128::from(last - first) + 1).sum();
        assert!(bytes <= u128::from(size), "never more than the file");
        assert!(ranges.len() <= most.min(MAX_RANGES));
    }
}

/// Files up to this size are modelled byte by byte.
const BITMAP_MAX: u64 = 2048;

/// The overhead of a multipart body.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// The length of the boundary.
    pub boundary: usize,
    /// The length of the field lines of each part, besides Content-Range.
    pub fields: usize,
}

impl Heads {
    /// Several parts that are longer than the file, with their heads, are the whole file.
    fn judge(self, chosen: Chosen, size: u64) -> Chosen {
        let Chosen::Ranges(ranges) = &chosen else { return chosen };
        let (boundary, fields) = ("b".repeat(self.boundary), "f".repeat(self.fields));
        let mut length = format!("\r\n--{boundary}--\r\n").len() as u128;
        for (first, last) in ranges {
            let range = format!("Content-Range: bytes {first}-{last}/{size}");
            let head = format!("\r\n--{boundary}\r\n{fields}{range}\r\n\r\n");
            length += head.len() as u128 + u128::from(last - first) + 1;
        }
        if ranges.len() > 1 && length > u128::from(size) { Chosen::Whole } else { chosen }
    }
}

/// The expected selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// All of it.
    Whole,
    /// These ranges, in this order, each with its last byte included.
    Ranges(Vec<(u64, u64)>),
    /// Nothing.
    Unsatisfiable,
}

fn chosen(selection: &Selection) -> Chosen {
    match selection {
        Selection::Whole => Chosen::Whole,
        Selection::Unsatisfiable => Chosen::Unsatisfiable,
        Selection::One(range) => Chosen::Ranges(vec![(range.first, range.end - 1)]),
        Selection::Many(ranges) => {
            assert!(ranges.len() > 1);
            Chosen::Ranges(ranges.iter().map(|it| (it.first, it.end - 1)).collect())
        }
    }
}

/// The first and last byte of each requested range, clamped to the end of the file; an inner `None`
/// if the file has none of it. The outer `None`: the field is ignored.
fn asked(value: &[u8], size: u64, most: usize) -> Option<Vec<Option<(u64, u64)>>> {
    let text: String = value.iter().map(|&byte| char::from(byte)).collect();
    let (unit, list) = text.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let blank = |c: char| c == ' ' || c == '\t';
    let elements: Vec<&str> = list.split(',').collect();
    // The list follows the equals sign directly; blanks are allowed around commas only.
    if elements[0].starts_with(blank) && !elements[0].trim_matches(blank).is_empty() {
        return None;
    }
    let elements: Vec<&str> =
        elements.iter().map(|it| it.trim_matches(blank)).filter(|it| !it.is_empty()).collect();
    if elements.is_empty() || elements.len() > most || elements.len() > MAX_RANGES {
        return None;
    }
    // A suffix of an empty file is satisfiable, but has no Content-Range.
    let is_suffix = |it: &&str| it.starts_with('-') && it.contains(|c| matches!(c, '1'..='9'));
    if size == 0 && elements.iter().any(is_suffix) {
        return None;
    }
    elements.into_iter().map(|element| one(element, size)).collect()
}

/// One range; the outer `None`: it is malformed.
fn one(element: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = element.split_once('-')?;
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if !plain(first) || !plain(last) || (first.is_empty() && last.is_empty()) {
        return None;
    }
    let magnitude = |text: &str| {
        let digits = text.trim_start_matches('0');
        (digits.len(), digits.to_owned())
    };
    if !first.is_empty() && !last.is_empty() && magnitude(first) > magnitude(last) {
        return None;
    }
    let size = i128::from(size);
    let (first, last) = match (number(first), number(last)) {
        (Some(first), Some(last)) => (first, last.min(size - 1)),
        (Some(first), None) => (first, size - 1),
        (None, last) => ((size - last.unwrap_or(0)).max(0), size - 1),
    };
    if first > last {
        return Some(None);
    }
    Some(Some((u64::try_from(first).unwrap(), u64::try_from(last).unwrap())))
}

/// The value of digits; `None` if there are none.
fn number(digits: &str) -> Option<i128> {
    if digits.is_empty() {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let beyond = i128::from(u64::MAX);
    if digits.len() > 20 {
        return Some(beyond);
    }
    Some(if digits.is_empty() { 0 } else { digits.parse::<i128>().unwrap().min(beyond) })
}

/// The model that sorts and merges intervals. Without `heads`, the length of several parts is not
/// limited.
pub fn by_intervals(value: &[u8], size: u64, most: usize, heads: Option<Heads>) -> Chosen {
    let chosen = merged(value, size, most);
    heads.map_or(chosen.clone(), |heads| heads.judge(chosen, size))
}

fn merged(value: &[u8], size: u64, most: usize) -> Chosen {
    let Some(asked) = asked(value, size, most) else { return Chosen::Whole };
    let mut wanted: Vec<(u64, u64, usize)> = asked
        .into_iter()
        .enumerate()
        .filter_map(|(rank, range)| range.map(|(first, last)| (first, last, rank)))
        .collect();
    if wanted.is_empty() {
        return Chosen::Unsatisfiable;
    }
    let bytes: u128 = wanted.iter().map(|(first, last, _)| u128::from(last - first) + 1).sum();
    if bytes > u128::from(size) {
        return Chosen::Whole;
    }
    wanted.sort_unstable();
    let mut merged: Vec<(u64, u64, usize)> = Vec::new();
    for (first, last, rank) in wanted {
        match merged.last_mut() {
            Some(end) if u128::from(first) <= u128::from(end.1) + 1 => {
                end.1 = end.1.max(last);
                end.2 = end.2.min(rank);
            }
            _ => merged.push((first, last, rank)),
        }
    }
    merged.sort_unstable_by_key(|(.., rank)| *rank);
    Chosen::Ranges(merged.into_iter().map(|(first, last, _)| (first, last)).collect())
}

/// The model that marks each byte of the file with the first range that requests it.
fn by_bitmap(value: &[u8], size: u64, most: usize) -> Chosen {
    let Some(asked) = asked(value, size, most) else { return Chosen::Whole };
    let mut first_asker = vec![None; usize::try_from(size).unwrap()];
    let mut bytes = 0;
    for (rank, (first, last)) in
        asked.iter().enumerate().filter_map(|(rank, it)| it.map(|it| (rank, it)))
    {
        for byte in first..=last {
            first_asker[usize::try_from(byte).unwrap()].get_or_insert(rank);
            bytes += 1;
        }
    }
    if bytes == 0 {
        return Chosen::Unsatisfiable;
    }
    if bytes > size {
        return Chosen::Whole;
    }
    let mut runs = Vec::new();
    let mut at = 0;
    while at < first_asker.len() {
        let run = first_asker[at..].iter().take_while(|asker| asker.is_some()).count();
        if let Some(rank) = first_asker[at..at + run].iter().flatten().min() {
            runs.push((rank, at as u64, (at + run - 1) as u64));
        }
        at += run.max(1);
    }
    runs.sort_unstable();
    Chosen::Ranges(runs.into_iter().map(|(_, first, last)| (first, last)).collect())
}
