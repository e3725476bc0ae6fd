//! The meaning of the last Accept-Encoding, so that equal ones are read once.

use crate::http::fields::{Field, Fields, Line};
use crate::http::negotiate::{AcceptEncoding, Choice, CodingSet};

/// Remembers the last value: most requests have that of a common browser.
#[derive(Debug)]
pub(super) struct Negotiation {
    value: Vec<u8>,
    accepted: Accepted,
}

/// What a request accepts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    pub(super) meaning: AcceptEncoding,
    /// What the client would choose of all forms.
    pub(super) favourite: Choice,
    /// What it gets of a resource without coded forms.
    pub(super) plain: Choice,
}

impl Accepted {
    fn of(meaning: AcceptEncoding) -> Accepted {
        let choose = |forms| meaning.choose(forms);
        Accepted { meaning, favourite: choose(CodingSet::ALL), plain: choose(CodingSet::EMPTY) }
    }
}

impl Negotiation {
    pub(super) fn new() -> Negotiation {
        let empty = AcceptEncoding::parse([&b""[..]].into_iter());
        Negotiation { value: Vec::with_capacity(VALUE_BYTES_MAX), accepted: Accepted::of(empty) }
    }

    /// What a request accepts.
    #[inline]
    pub(super) fn of(&mut self, fields: &Fields<'_, '_>) -> Accepted {
        if !fields.has(Field::AcceptEncoding) {
            return ABSENT;
        }
        match fields.only(Field::AcceptEncoding) {
            Line::One(value) if *value == *self.value => self.accepted,
            line => self.read(line, fields),
        }
    }

    #[cold]
    fn read(&mut self, line: Line<'_>, fields: &Fields<'_, '_>) -> Accepted {
        let accepted = Accepted::of(AcceptEncoding::parse(fields.lines(Field::AcceptEncoding)));
        if let Line::One(value) = line
            && value.len() <= VALUE_BYTES_MAX
        {
            self.value.clear(); // it has room for the longest: no allocation
            self.value.extend_from_slice(value);
            self.accepted = accepted;
        }
        accepted
    }
}

/// A client that does not name the field gets the file as it is.
const ABSENT: Accepted = Accepted {
    meaning: AcceptEncoding::ABSENT,
    favourite: Choice::Identity,
    plain: Choice::Identity,
};

/// A longer value is not remembered.
const VALUE_BYTES_MAX: usize = 128;
