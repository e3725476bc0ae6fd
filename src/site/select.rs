//! Which part of a representation a request gets: preconditions, then ranges.

use crate::clock::Clock;
use crate::http::conditional::{self, Verdict};
use crate::http::fields::{Field, Fields, Line};
use crate::http::range::{self, ByteRange};

use super::multipart;
use super::representation::Representation;

/// Which part of a representation a request gets.
#[derive(Clone, Debug)]
pub enum Selection {
    /// 200: all of it.
    Whole,
    /// 206: one range.
    Part(ByteRange),
    /// 206: several, as multipart/byteranges.
    Parts(Box<[ByteRange]>),
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 416.
    NotSatisfiable,
}

/// Evaluates preconditions and ranges, in the order of RFC 9110 section 13.2.2. `ranges` is false
/// for HEAD, where a Range field means nothing (section 14.2). `ranges_max` bounds their number;
/// `boundary` would separate them.
#[inline(always)]
pub fn select(
    representation: &Representation,
    fields: &Fields<'_, '_>,
    ranges: bool,
    (ranges_max, boundary): (usize, &[u8]),
    clock: &Clock,
) -> Selection {
    const DECIDING: [Field; 5] = [
        Field::IfMatch,
        Field::IfNoneMatch,
        Field::IfModifiedSince,
        Field::IfUnmodifiedSince,
        Field::Range,
    ];
    if !fields.has_any(&DECIDING) {
        return Selection::Whole;
    }
    let (validators, now) = (representation.validators(), clock.unix_seconds());
    match conditional::evaluate(fields, &validators, now) {
        Verdict::NotModified => return Selection::NotModified,
        Verdict::Failed => return Selection::PreconditionFailed,
        Verdict::Proceed => {}
    }
    let Line::One(value) = fields.only(Field::Range) else { return Selection::Whole };
    if !ranges
        || !representation.has_ranges()
        || !conditional::if_range_holds(fields, &validators, now)
    {
        return Selection::Whole;
    }
    let framing = multipart::framing(representation, boundary);
    match range::select(value, representation.size(), ranges_max, &framing) {
        range::Selection::Whole => Selection::Whole,
        range::Selection::One(range) => Selection::Part(range),
        range::Selection::Many(ranges) => Selection::Parts(ranges),
        range::Selection::Unsatisfiable => Selection::NotSatisfiable,
    }
}
