//! Tests of content negotiation: tables, and a slow oracle that reads the field another way.

use proptest::prelude::*;

use super::*;

fn parse(lines: &[&str]) -> AcceptEncoding {
    AcceptEncoding::parse(lines.iter().map(|line| line.as_bytes()))
}

/// The sets that the tables name by letters: z, b, g.
fn set(letters: &str) -> CodingSet {
    let coding = |letter| match letter {
        'z' => Coding::Zstd,
        'b' => Coding::Br,
        _ => Coding::Gzip,
    };
    letters.chars().map(coding).fold(CodingSet::EMPTY, CodingSet::with)
}

fn choice(name: &str) -> Choice {
    match Coding::ALL.into_iter().find(|coding| coding.token() == name) {
        Some(coding) => Choice::Coding(coding),
        None if name == "identity" => Choice::Identity,
        None => Choice::NotAcceptable,
    }
}

#[test]
fn a_coding_has_the_names_of_its_registration_and_its_files() {
    for (index, token, extension) in [(0, "zstd", "zst"), (1, "br", "br"), (2, "gzip", "gz")] {
        let coding = Coding::ALL[index];
        assert_eq!(coding.index(), index);
        assert_eq!((coding.token(), coding.extension()), (token, extension));
    }
    assert_eq!(set("zbg"), CodingSet::ALL);
    assert!(CodingSet::EMPTY.is_empty() && !set("g").is_empty());
    assert_eq!(set("gz").iter().collect::<Vec<_>>(), [Coding::Zstd, Coding::Gzip]);
}

#[test]
fn the_choice_follows_the_qualities_and_then_our_order() {
    for (accept, available, expected) in [
        // What clients send.
        ("gzip, deflate, br, zstd", "zbg", "zstd"),
        ("gzip, deflate, br, zstd", "bg", "br"),
        ("gzip, deflate, br", "zg", "gzip"),
        ("gzip, deflate, br, zstd", "", "identity"),
        ("gzip", "zb", "identity"),
        ("deflate", "zbg", "identity"),
        ("identity", "zbg", "identity"),
        ("", "zbg", "identity"),
        (" , ,", "zbg", "identity"),
        // Qualities.
        ("gzip;q=1.0, br;q=0.9, zstd;q=0.8", "zbg", "gzip"),
        ("gzip;q=0.5, br;q=0.5", "bg", "br"),
        ("gzip;q=0.001", "g", "gzip"),
        ("gzip;q=0", "g", "identity"),
        ("gzip;q=0.000", "g", "identity"),
        ("gzip;q=0.", "g", "identity"),
        ("gzip;q=1.", "g", "gzip"),
        ("gzip;q=1.000", "g", "gzip"),
        ("gzip ;\tQ=0.25, br; q=0.3", "bg", "br"),
        // Names.
        ("x-gzip", "zbg", "gzip"),
        ("X-GZip;q=0, gzip", "g", "identity"),
        ("GZIP, BR;q=0.1", "bg", "gzip"),
        ("gzi, gzipp, b, brr, zstdd, zst, gz", "zbg", "identity"),
        ("compress, x-compress", "zbg", "identity"),
        // Identity.
        ("gzip, identity", "g", "gzip"),
        ("gzip;q=0.5, identity", "g", "identity"),
        ("gzip;q=0.5, identity;q=0.5", "g", "gzip"),
        ("gzip;q=0.5, identity;q=0.501", "g", "identity"),
        ("gzip, identity;q=0", "g", "gzip"),
        ("gzip, identity;q=0", "zb", "406"),
        ("identity;q=0", "", "406"),
        ("identity;q=0", "zbg", "406"),
        // The rest.
        ("*", "zbg", "zstd"),
        ("*", "", "identity"),
        ("*;q=0", "zbg", "406"),
        ("*;q=0", "", "406"),
        ("*;q=0, identity", "zbg", "identity"),
        ("*;q=0, gzip", "zbg", "gzip"),
        ("*;q=0, gzip", "zb", "406"),
        ("*, identity;q=0", "", "406"),
        ("*, identity;q=0", "b", "br"),
        ("zstd;q=0, *", "zbg", "br"),
        ("gzip;q=0.3, *;q=0.5", "g", "identity"),
        ("gzip;q=0.3, *;q=0.5", "bg", "br"),
        ("gzip;q=0.5, *;q=0.5", "g", "gzip"),
        ("deflate, *;q=0", "zbg", "406"),
        // Doubled names.
        ("gzip, gzip;q=0", "g", "identity"),
        ("gzip;q=0, gzip", "g", "identity"),
        ("gzip;q=0.4, gzip;q=0.6, br;q=0.5", "bg", "br"),
    ] {
        let chosen = parse(&[accept]).choose(set(available));
        assert_eq!(chosen, choice(expected), "{accept:?} of {available:?}");
    }
}

#[test]
fn an_element_that_is_malformed_is_ignored() {
    for element in [
        "gzip;q=2",
        "gzip;q=1.001",
        "gzip;q=1.1",
        "gzip;q=0.1234",
        "gzip;q=-0",
        "gzip;q=+1",
        "gzip;q=.5",
        "gzip;q=",
        "gzip;q",
        "gzip;",
        "gzip; ",
        "gzip;;q=1",
        "gzip;q=1;q=1",
        "gzip;q=1;a=b",
        "gzip;a=b",
        "gzip;q =1",
        "gzip;q= 1",
        "gzip;q=0.5 x",
        "gzip br",
        "gzip;q=\"1\"",
        "gzip;q=0,5",
        "gzip/1",
        "gzip=1",
        ";q=1",
        "gzip;q=0x1",
        "gzip\0",
        "\"gzip\"",
        "gzip;q=1e0",
        "gzip;q=00",
        "gzip;q=10",
        "gzip;q=1.0.0",
        "gzip;r=1",
        "**",
    ] {
        let accept = parse(&[element, "br;q=0.1"]);
        assert_eq!(accept.choose(set("g")), Choice::Identity, "{element:?}");
        assert_eq!(accept.choose(set("bg")), Choice::Coding(Coding::Br), "{element:?}");
    }
}

#[test]
fn several_lines_are_one_list() {
    let accept = parse(&["gzip;q=0.5", "", "zstd;q=0.4, br;q=0.6"]);
    assert_eq!(accept.choose(CodingSet::ALL), Choice::Coding(Coding::Br));
    assert_eq!(accept.quality(Coding::Zstd), 400);
}

#[test]
fn an_absent_field_means_identity_and_differs_from_an_empty_one() {
    assert_eq!(parse(&[]), AcceptEncoding::ABSENT);
    assert!(parse(&[]).is_absent && !parse(&[""]).is_absent);
    for accept in [parse(&[]), parse(&[""])] {
        assert_eq!(accept.choose(CodingSet::ALL), Choice::Identity);
        assert_eq!(accept.choose(CodingSet::EMPTY), Choice::Identity);
    }
}

/// Reads the text with string functions, and compares all forms that exist pair by pair. `None` is
/// identity.
fn oracle(lines: &[String], available: CodingSet) -> Choice {
    let mut named: Vec<(String, u32)> = Vec::new();
    for element in lines.iter().flat_map(|line| line.split(',')) {
        let element = element.trim_matches([' ', '\t']).to_lowercase();
        let (name, weight) = match element.split_once(';') {
            None => (element.as_str(), "q=1"),
            Some((name, weight)) => (name.trim_end_matches([' ', '\t']), weight),
        };
        let Some(value) = weight.trim_start_matches([' ', '\t']).strip_prefix("q=") else {
            continue;
        };
        let well_formed = match value.split_once('.') {
            None => value == "0" || value == "1",
            Some((whole, decimals)) => {
                decimals.len() <= 3
                    && (whole == "0" && decimals.chars().all(|digit| digit.is_ascii_digit())
                        || whole == "1" && decimals.chars().all(|digit| digit == '0'))
            }
        };
        if well_formed {
            let value: f64 = value.trim_end_matches('.').parse().unwrap();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 1000"
            )]
            named.push((name.replace("x-gzip", "gzip"), (value * 1000.0).round() as u32));
        }
    }
    let quality = |name: &str| {
        let of = |wanted: &str| {
            named.iter().filter(|(name, _)| name == wanted).map(|(_, quality)| *quality).min()
        };
        of(name).or_else(|| of("*"))
    };
    // Thousandths, twice: there is room for an identity that is not named, below all others.
    let mut forms: Vec<(u32, Choice)> = available
        .iter()
        .map(|coding| (2 * quality(coding.token()).unwrap_or(0), Choice::Coding(coding)))
        .collect();
    forms.push((quality("identity").map_or(1, |quality| 2 * quality), Choice::Identity));
    forms.retain(|(quality, _)| *quality > 0);
    let best = forms.iter().map(|(quality, _)| *quality).max();
    let chosen = forms.iter().find(|(quality, _)| Some(*quality) == best);
    chosen.map_or(Choice::NotAcceptable, |(_, choice)| *choice)
}

/// Elements near the grammar, on both sides of it.
const ELEMENT: &str = "[ \t]?(gzip|x-gzip|GZip|br|zstd|identity|deflate|\\*|gz|)[ \t]?\
    (;?[ \t]?[qQ]?=?(0|1|0\\.|1\\.0|0\\.[0-9]{1,4}|0\\.5|1\\.5|x))?[ \t]?";

proptest! {
    #[test]
    fn the_choice_is_that_of_the_oracle(
        lines in prop::collection::vec(
            prop::collection::vec(ELEMENT, 0..6).prop_map(|elements| elements.join(",")),
            0..3,
        ),
        available in 0..1u8 << Coding::COUNT,
    ) {
        let available = CodingSet(available);
        let accept = AcceptEncoding::parse(lines.iter().map(String::as_bytes));
        prop_assert_eq!(accept.choose(available), oracle(&lines, available));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        available in 0..1u8 << Coding::COUNT,
    ) {
        let accept = AcceptEncoding::parse(std::iter::once(&bytes[..]));
        if let Choice::Coding(coding) = accept.choose(CodingSet(available)) {
            prop_assert!(CodingSet(available).has(coding) && accept.quality(coding) > 0);
        }
    }
}

#[test]
fn a_media_type_has_the_best_quality_that_its_name_is_given() {
    for (lines, expected) in [
        (&[][..], 0),
        (&["*/*"], 0),
        (&["text/*"], 0),
        (&["text/html"], 1000),
        (&["TEXT/HTML ; charset=x"], 1000),
        (&["text/html;q=0.5"], 500),
        (&["text/html;level=1; Q=0.25"], 250),
        (&["text/html;q=0"], 0),
        (&["text/html ; q=0.000"], 0),
        (&["text/html;q=2"], 0),
        (&["text/html;q=x, text/html;q=0.1"], 100),
        (&["application/json, text/html;q=0.9", "text/html;q=0.8"], 900),
        (&["text/htmlx"], 0),
    ] {
        let quality = media_quality(lines.iter().map(|line| line.as_bytes()), b"text/html");
        assert_eq!(quality, expected, "{lines:?}");
    }
}
