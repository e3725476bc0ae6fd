//! Content negotiation: which content coding a response gets (RFC 9110 section 12.5.3).
//!
//! Owns the names of the codings, and the meaning of Accept-Encoding. It does not know which
//! codings of a resource exist: that is an argument. Nothing here allocates.
//!
//! # Rules
//!
//! - An element that does not match the grammar is ignored; the others count.
//! - `x-gzip` is gzip (RFC 9110 section 8.4.1.3). `deflate` is never served and stands for nothing.
//! - If a coding is named twice, the lower quality counts, so that `q=0` always forbids.
//! - `*` is the quality of what is not named, identity included.
//! - Identity that neither its name nor `*` covers is acceptable, after every acceptable coding.
//! - Between equal qualities the order is that of [`Coding::ALL`], identity last.
//! - Without the field a response gets no coding: a client that does not name codings seldom
//!   decodes them. An empty field means identity only.

use super::fields::elements;

/// A content coding that can be served, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Coding {
    /// Zstandard (RFC 8878).
    Zstd,
    /// Brotli (RFC 7932).
    Br,
    /// gzip (RFC 1952).
    Gzip,
}

impl Coding {
    /// The number of codings.
    pub const COUNT: usize = 3;

    /// All codings; each one is at its [`Coding::index`].
    pub const ALL: [Coding; Coding::COUNT] = [Coding::Zstd, Coding::Br, Coding::Gzip];

    /// Its place in [`Coding::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in Accept-Encoding and Content-Encoding.
    pub const fn token(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Br => "br",
            Coding::Gzip => "gzip",
        }
    }

    /// The extension of a sidecar file, without a dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Coding::Zstd => "zst",
            Coding::Br => "br",
            Coding::Gzip => "gz",
        }
    }

    /// The path of the file that the file at `path` is a sidecar of, by its name; `None`: it is
    /// none.
    pub fn original_of(path: &[u8]) -> Option<&[u8]> {
        let strip = |coding: Coding| path.strip_suffix(coding.extension().as_bytes());
        Coding::ALL.into_iter().find_map(strip)?.strip_suffix(b".")
    }
}

/// A set of codings, such as those in which a resource exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodingSet(u8);

impl CodingSet {
    /// No coding.
    pub const EMPTY: CodingSet = CodingSet(0);

    /// Every coding.
    pub const ALL: CodingSet = CodingSet((1 << Coding::COUNT) - 1);

    /// This set and `coding`.
    #[must_use]
    pub const fn with(self, coding: Coding) -> CodingSet {
        CodingSet(self.0 | 1 << coding.index())
    }

    /// This set without `coding`.
    #[must_use]
    pub const fn without(self, coding: Coding) -> CodingSet {
        CodingSet(self.0 & !(1 << coding.index()))
    }

    /// True if `coding` is in the set.
    pub const fn has(self, coding: Coding) -> bool {
        self.0 & (1 << coding.index()) != 0
    }

    /// True if no coding is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The codings of the set, in order of preference.
    pub fn iter(self) -> impl Iterator<Item = Coding> {
        Coding::ALL.into_iter().filter(move |coding| self.has(*coding))
    }
}

/// The form in which a resource is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// With this content coding.
    Coding(Coding),
    /// As it is.
    Identity,
    /// The client accepts none of the forms that exist: 406.
    NotAcceptable,
}

/// The meaning of the Accept-Encoding lines of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptEncoding {
    /// In thousandths: the codings by their index, then identity and `*`; [`UNNAMED`] if absent.
    qualities: [u16; Coding::COUNT + 2],
    /// The request does not have the field. An empty field is not absent.
    is_absent: bool,
}

const IDENTITY: usize = Coding::COUNT;
const STAR: usize = Coding::COUNT + 1;

/// Greater than every quality.
const UNNAMED: u16 = u16::MAX;

/// The least quality that is acceptable.
const LEAST: u16 = 1;

/// The quality 1.
const MOST: u16 = 1000;

impl AcceptEncoding {
    /// The value of a request without the field.
    pub const ABSENT: AcceptEncoding =
        AcceptEncoding { qualities: [UNNAMED; Coding::COUNT + 2], is_absent: true };

    /// Reads the values of all lines of the field; together they are one list.
    pub fn parse<'b>(lines: impl Iterator<Item = &'b [u8]>) -> AcceptEncoding {
        let mut accept = AcceptEncoding::ABSENT;
        for line in lines {
            accept.is_absent = false;
            for element in elements(line) {
                accept.take(element);
            }
        }
        accept
    }

    /// The quality of a coding in thousandths; 0: not acceptable.
    pub fn quality(&self, coding: Coding) -> u16 {
        match (self.qualities[coding.index()], self.qualities[STAR]) {
            (UNNAMED, UNNAMED) => 0,
            (UNNAMED, star) => star,
            (named, _) => named,
        }
    }

    /// The quality of the file as it is, in thousandths; 0: not acceptable. If neither its name nor
    /// `*` gives it one, it is the least, because every acceptable coding is better.
    pub fn identity_quality(&self) -> u16 {
        match (self.qualities[IDENTITY], self.qualities[STAR]) {
            (UNNAMED, UNNAMED) if self.is_absent => MOST,
            (UNNAMED, UNNAMED) => LEAST,
            (UNNAMED, star) => star,
            (named, _) => named,
        }
    }

    /// The form to send, of a resource that exists as it is and in the codings `available`.
    pub fn choose(&self, available: CodingSet) -> Choice {
        let mut best = (0, Choice::NotAcceptable);
        for coding in available.iter() {
            let quality = self.quality(coding);
            if quality > best.0 {
                best = (quality, Choice::Coding(coding));
            }
        }
        if self.identity_quality() > best.0 { Choice::Identity } else { best.1 }
    }

    /// Takes one element of the list.
    fn take(&mut self, element: &[u8]) {
        let name_end = element.iter().position(|byte| matches!(byte, b';' | b' ' | b'\t'));
        let (name, weight) = element.split_at(name_end.unwrap_or(element.len()));
        let Some(place) = place(name) else { return };
        let quality = if weight.is_empty() { Some(MOST) } else { parse_weight(weight) };
        if let Some(quality) = quality {
            self.qualities[place] = self.qualities[place].min(quality);
        }
    }
}

/// Where the quality of a name is kept; `None` for a name without a meaning here.
fn place(name: &[u8]) -> Option<usize> {
    let is = |text: &[u8], place| name.eq_ignore_ascii_case(text).then_some(place);
    match name.len() {
        1 => is(b"*", STAR),
        2 => is(b"br", Coding::Br.index()),
        4 => is(b"gzip", Coding::Gzip.index()).or_else(|| is(b"zstd", Coding::Zstd.index())),
        6 => is(b"x-gzip", Coding::Gzip.index()),
        8 => is(b"identity", IDENTITY),
        _ => None,
    }
}

/// The quality in thousandths of `weight = OWS ";" OWS "q=" qvalue` (RFC 9110 section 12.4.2).
fn parse_weight(weight: &[u8]) -> Option<u16> {
    let after = weight.trim_ascii_start().strip_prefix(b";")?.trim_ascii_start();
    parse_quality(after.strip_prefix(b"q=").or_else(|| after.strip_prefix(b"Q="))?)
}

/// The quality in thousandths that the lines of Accept give a media type by its name (RFC 9110
/// section 12.5.1): the best of the ranges that name it, with any parameters. 0: none does, or
/// only to exclude it. Ranges with `*` name no type: clients send them beside the one they want.
pub fn media_quality<'f>(lines: impl Iterator<Item = &'f [u8]>, media_type: &[u8]) -> u16 {
    let ranges = lines.flat_map(|line| line.split(|byte| *byte == b','));
    let quality = |range: &[u8]| {
        let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        if !parts.next()?.eq_ignore_ascii_case(media_type) {
            return None;
        }
        let weight =
            parts.find_map(|part| part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q=")));
        weight.map_or(Some(MOST), parse_quality)
    };
    ranges.filter_map(quality).max().unwrap_or(0)
}

/// A `qvalue` in thousandths (RFC 9110 section 12.4.2).
fn parse_quality(value: &[u8]) -> Option<u16> {
    let ([whole @ (b'0' | b'1')], fraction) = value.split_at_checked(1)? else {
        return None;
    };
    let digits = match fraction {
        [] => fraction,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let mut quality = u16::from(whole - b'0') * MOST;
    for (digit, unit) in digits.iter().zip([100, 10, 1]) {
        if !digit.is_ascii_digit() {
            return None;
        }
        quality += u16::from(digit - b'0') * unit;
    }
    (quality <= MOST).then_some(quality)
}

#[cfg(test)]
mod tests;
