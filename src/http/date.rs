//! Dates as HTTP writes them (RFC 9110 section 5.6.7): one form out, three forms in.
//!
//! Owns the conversion between seconds since 1970 and the calendar. Does not read a clock: where
//! the current time matters, it is an argument. No input causes a panic or an overflow.
//!
//! The calendar is the Gregorian one, also before its introduction, and days have 86,400 seconds.

use memchr::memchr;

/// Bytes of an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const LENGTH: usize = 29;

/// Writes a time as an IMF-fixdate, the only form that a sender may generate.
///
/// `None` outside the years 1 to 9999, which this form cannot express. Times before 1970 are
/// written like any other.
pub fn imf_fixdate(unix_seconds: i64) -> Option<[u8; LENGTH]> {
    if !(FIRST_SECOND..=LAST_SECOND).contains(&unix_seconds) {
        return None;
    }
    let (days, second) = split(unix_seconds)?;
    let Civil { year, month, day } = Civil::from_days(days);

    let mut out = *b"Day, 00 Mon 0000 00:00:00 GMT";
    // Day 0, the first of March of the year 0, is a Wednesday.
    out[0..3].copy_from_slice(&WEEKDAYS[(days as usize + 3) % 7][..3]);
    out[5..7].copy_from_slice(&two_digits(day));
    out[8..11].copy_from_slice(MONTHS[month as usize - 1]);
    out[12..14].copy_from_slice(&two_digits(year / 100));
    out[14..16].copy_from_slice(&two_digits(year % 100));
    out[17..19].copy_from_slice(&two_digits(second / 3600));
    out[20..22].copy_from_slice(&two_digits(second / 60 % 60));
    out[23..25].copy_from_slice(&two_digits(second % 60));
    Some(out)
}

/// Parses a date in any of the three forms that a recipient must accept: IMF-fixdate, RFC 850,
/// asctime.
///
/// `None` for everything else. The grammar is applied exactly: fixed widths, single spaces, names
/// in their exact case ("HTTP-date is case sensitive"), days that exist, years 1 to 9999.
///
/// - The name of the weekday must be a valid one of the right length for the form, but need not be
///   that of the date: it adds no information, and recipients are encouraged to be robust.
/// - The leap second 23:59:60 counts as 23:59:59, because the earlier time is the safe choice for
///   every precondition. Second 60 in any other minute is invalid.
/// - The two-digit year of RFC 850 means the latest such year that makes the time at most 50 years
///   later than `now`, in seconds since 1970.
pub fn parse(value: &[u8], now: i64) -> Option<i64> {
    match value.get(3)? {
        b',' => parse_imf_fixdate(value),
        b' ' => parse_asctime(value),
        _ => parse_rfc850(value, now),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn parse_imf_fixdate(value: &[u8]) -> Option<i64> {
    let (name, rest) = value.split_at_checked(3)?;
    let &[
        b',',
        b' ',
        d0,
        d1,
        b' ',
        m0,
        m1,
        m2,
        b' ',
        y0,
        y1,
        y2,
        y3,
        b' ',
        ref time @ ..,
        b' ',
        b'G',
        b'M',
        b'T',
    ] = rest
    else {
        return None;
    };
    short_weekday(name)?;
    let date = Civil {
        year: number([y0, y1])? * 100 + number([y2, y3])?,
        month: month([m0, m1, m2])?,
        day: number([d0, d1])?,
    };
    unix_seconds(date, second_of_day(time)?)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn parse_rfc850(value: &[u8], now: i64) -> Option<i64> {
    let (name, rest) = value.split_at_checked(memchr(b',', value)?)?;
    let &[
        b',',
        b' ',
        d0,
        d1,
        b'-',
        m0,
        m1,
        m2,
        b'-',
        y0,
        y1,
        b' ',
        ref time @ ..,
        b' ',
        b'G',
        b'M',
        b'T',
    ] = rest
    else {
        return None;
    };
    WEEKDAYS.iter().position(|weekday| *weekday == name)?;
    let (month, day, second) = (month([m0, m1, m2])?, number([d0, d1])?, second_of_day(time)?);
    let year = year_of_two_digits(number([y0, y1])?, (month, day, second), now)?;
    unix_seconds(Civil { year, month, day }, second)
}

/// `Sun Nov  6 08:49:37 1994`
fn parse_asctime(value: &[u8]) -> Option<i64> {
    let (name, rest) = value.split_at_checked(3)?;
    let &[b' ', m0, m1, m2, b' ', d0, d1, b' ', ref time @ .., b' ', y0, y1, y2, y3] = rest else {
        return None;
    };
    short_weekday(name)?;
    let date = Civil {
        year: number([y0, y1])? * 100 + number([y2, y3])?,
        month: month([m0, m1, m2])?,
        day: number([if d0 == b' ' { b'0' } else { d0 }, d1])?,
    };
    unix_seconds(date, second_of_day(time)?)
}

/// The latest year with these last two digits that is not more than 50 years after `now`.
///
/// Calendar years are compared first; `rest`, the (month, day, second) within the year, decides
/// only if the year is exactly 50 later.
fn year_of_two_digits(digits: u32, rest: (u32, u32, u32), now: i64) -> Option<u32> {
    let now = now.clamp(FIRST_SECOND, LAST_SECOND);
    let (days, now_second) = split(now)?;
    let today = Civil::from_days(days);
    let last = today.year + 50;
    let year = last.checked_sub((last + 100 - digits) % 100)?;
    if year == last && rest > (today.month, today.day, now_second) {
        return year.checked_sub(100);
    }
    Some(year)
}

/// The day of a time, and the second of that day; `None` outside the years 0 to 9999.
pub(crate) fn civil(unix_seconds: i64) -> Option<(Civil, u32)> {
    // The first two months of the year 0 have no count, but those of the year 400 have one.
    let (days, second) = split(unix_seconds.checked_add(CYCLE_SECONDS)?)?;
    let Civil { year, month, day } = Civil::from_days(days);
    let year = year.checked_sub(400).filter(|year| *year <= 9999)?;
    Some((Civil { year, month, day }, second))
}

/// The count of the day of a time, and the second of that day; `None` if the day has no count.
fn split(unix_seconds: i64) -> Option<(u32, u32)> {
    let days = u32::try_from(unix_seconds.div_euclid(DAY_SECONDS) + EPOCH_DAYS).ok()?;
    let second = u32::try_from(unix_seconds.rem_euclid(DAY_SECONDS)).ok()?;
    Some((days, second))
}

/// Seconds since 1970; `None` if the day does not exist in the years 1 to 9999.
fn unix_seconds(date: Civil, second_of_day: u32) -> Option<i64> {
    let days = i64::from(date.to_days()?) - EPOCH_DAYS;
    Some(days * DAY_SECONDS + i64::from(second_of_day))
}

/// `08:49:37` as seconds since midnight.
fn second_of_day(time: &[u8]) -> Option<u32> {
    let &[h0, h1, b':', m0, m1, b':', s0, s1] = time else {
        return None;
    };
    match (number([h0, h1])?, number([m0, m1])?, number([s0, s1])?) {
        (hour @ 0..=23, minute @ 0..=59, second @ 0..=59) => {
            Some(hour * 3600 + minute * 60 + second)
        }
        (23, 59, 60) => Some(86_399),
        _ => None,
    }
}

fn short_weekday(name: &[u8]) -> Option<()> {
    WEEKDAYS.iter().any(|weekday| weekday[..3] == *name).then_some(())
}

/// The number of the month with this name, from 1.
fn month(name: [u8; 3]) -> Option<u32> {
    (1..).zip(MONTHS).find_map(|(month, known)| (*known == name).then_some(month))
}

fn number(digits: [u8; 2]) -> Option<u32> {
    let [tens, units] = digits;
    (tens.is_ascii_digit() && units.is_ascii_digit())
        .then(|| u32::from(tens - b'0') * 10 + u32::from(units - b'0'))
}

fn two_digits(value: u32) -> [u8; 2] {
    // Both digits are below 10, so neither cast loses anything.
    [b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]
}

/// A day of the calendar. [`Civil::to_days`] validates fields that come from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: u32,
    /// From 1.
    pub(crate) month: u32,
    /// From 1.
    pub(crate) day: u32,
}

/// Days are counted from the first of March of the year 0, and years begin in March. So the leap
/// day is the last of its year, of its century and of its cycle of 400 years, and one formula,
/// `(153 * month + 2) / 5`, gives the days before each month.
impl Civil {
    /// The day with this count. Correct for all counts, without overflow.
    fn from_days(days: u32) -> Civil {
        let (cycle, day_of_cycle) = (days / CYCLE_DAYS, days % CYCLE_DAYS);
        // Without the leap days before this day, every year has 365 days.
        let level =
            day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096;
        let year_of_cycle = level / 365;
        let day_of_year =
            day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let year = cycle * 400 + year_of_cycle;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        if from_march < 10 {
            Civil { year, month: from_march + 3, day }
        } else {
            Civil { year: year + 1, month: from_march - 9, day }
        }
    }

    /// The count of this day; `None` if it does not exist in the years 1 to 9999.
    fn to_days(self) -> Option<u32> {
        let Civil { year, month, day } = self;
        if !(1..=9999).contains(&year) || day < 1 || day > days_of_month(year, month)? {
            return None;
        }
        let (year, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let (cycle, year_of_cycle) = (year / 400, year % 400);
        let day_of_year = (153 * from_march + 2) / 5 + day - 1;
        let before = 365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100;
        Some(cycle * CYCLE_DAYS + before + day_of_year)
    }
}

fn days_of_month(year: u32, month: u32) -> Option<u32> {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            Some(29)
        }
        2 => Some(28),
        _ => None,
    }
}

const DAY_SECONDS: i64 = 86_400;

/// Days from the first of March of the year 0 to the first of January 1970.
const EPOCH_DAYS: i64 = 719_468;

/// Days in 400 years, after which the calendar repeats.
const CYCLE_DAYS: u32 = 146_097;

const CYCLE_SECONDS: i64 = CYCLE_DAYS as i64 * DAY_SECONDS; // widening

/// `Mon, 01 Jan 0001 00:00:00 GMT`
const FIRST_SECOND: i64 = -62_135_596_800;

/// `Fri, 31 Dec 9999 23:59:59 GMT`
const LAST_SECOND: i64 = 253_402_300_799;

const WEEKDAYS: [&[u8]; 7] =
    [b"Sunday", b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday"];

pub(crate) const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    /// `Sun, 06 Nov 1994 08:49:37 GMT`, the example of the RFC.
    const EXAMPLE: i64 = 784_111_777;
    /// `Tue, 31 Dec 2019 23:59:59 GMT`: two digits mean the years 1970 to 2069.
    const END_OF_2019: i64 = 1_577_836_799;

    #[test]
    fn a_time_is_written_as_an_imf_fixdate() {
        for (seconds, text) in [
            (EXAMPLE, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
            (-86_400, "Wed, 31 Dec 1969 00:00:00 GMT"),
            (-86_401, "Tue, 30 Dec 1969 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (-2_203_891_200, "Thu, 01 Mar 1900 00:00:00 GMT"),
            (-2_203_891_201, "Wed, 28 Feb 1900 23:59:59 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (i64::from(i32::MAX), "Tue, 19 Jan 2038 03:14:07 GMT"),
            (FIRST_SECOND, "Mon, 01 Jan 0001 00:00:00 GMT"),
            (LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            let written = imf_fixdate(seconds).unwrap();
            assert_eq!(str::from_utf8(&written).unwrap(), text);
            assert_eq!(parse(text.as_bytes(), 0), Some(seconds), "{text}");
        }
    }

    #[test]
    fn a_time_outside_the_years_1_to_9999_is_not_written() {
        for seconds in [FIRST_SECOND - 1, LAST_SECOND + 1, i64::MIN, i64::MAX] {
            assert_eq!(imf_fixdate(seconds), None);
        }
    }

    #[test]
    fn the_three_forms_of_the_rfc_are_the_same_time() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun Nov 06 08:49:37 1994",
        ] {
            assert_eq!(parse(text.as_bytes(), END_OF_2019), Some(EXAMPLE), "{text}");
        }
    }

    #[test]
    fn a_weekday_must_be_a_name_but_not_the_right_one() {
        for (text, accepted) in [
            ("Mon, 06 Nov 1994 08:49:37 GMT", true),
            ("Saturday, 06-Nov-94 08:49:37 GMT", true),
            ("Sat Nov  6 08:49:37 1994", true),
            ("Sun, 06-Nov-94 08:49:37 GMT", false),
            ("Sunday, 06 Nov 1994 08:49:37 GMT", false),
            ("Sunday Nov  6 08:49:37 1994", false),
            ("Day, 06 Nov 1994 08:49:37 GMT", false),
            ("Someday, 06-Nov-94 08:49:37 GMT", false),
            (", 06-Nov-94 08:49:37 GMT", false),
            ("06 Nov 1994 08:49:37 GMT", false),
        ] {
            let expected = accepted.then_some(EXAMPLE);
            assert_eq!(parse(text.as_bytes(), END_OF_2019), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_the_grammar_is_no_date() {
        for text in [
            "",
            "S",
            "Sun",
            "Sun,",
            "Sun ",
            "Sunday,",
            "0",
            "784111777",
            "sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 NOV 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 gmt",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            " Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun,06 Nov 1994 08:49:37 GMT",
            "Sun,  06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun,  6 Nov 1994 08:49:37 GMT",
            "Sun, 006 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Nov 19940 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08:49:37.0 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov -994 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sunday, 06 Nov 94 08:49:37 GMT",
            "Sunday, 6-Nov-94 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov  6 08:49:37 1994 GMT",
            "Sun Nov  6 08:49:37 94",
            "Sun Nov   6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 GMT; length=5",
        ] {
            assert_eq!(parse(text.as_bytes(), END_OF_2019), None, "{text}");
        }
    }

    #[test]
    fn days_and_times_must_exist() {
        for (text, exists) in [
            ("Sun, 00 Nov 1994 00:00:00 GMT", false),
            ("Sun, 30 Nov 1994 00:00:00 GMT", true),
            ("Sun, 31 Nov 1994 00:00:00 GMT", false),
            ("Sun, 31 Dec 1994 00:00:00 GMT", true),
            ("Sun, 32 Dec 1994 00:00:00 GMT", false),
            ("Sun, 29 Feb 1996 00:00:00 GMT", true),
            ("Sun, 30 Feb 1996 00:00:00 GMT", false),
            ("Sun, 29 Feb 1995 00:00:00 GMT", false),
            ("Sun, 29 Feb 1900 00:00:00 GMT", false),
            ("Sun, 29 Feb 2000 00:00:00 GMT", true),
            ("Sun, 29 Feb 2100 00:00:00 GMT", false),
            ("Sun, 01 Jan 0000 00:00:00 GMT", false),
            ("Sun, 01 Jan 0001 00:00:00 GMT", true),
            ("Sun, 06 Nov 1994 23:59:59 GMT", true),
            ("Sun, 06 Nov 1994 24:00:00 GMT", false),
            ("Sun, 06 Nov 1994 00:60:00 GMT", false),
            ("Sun, 06 Nov 1994 00:00:60 GMT", false),
            ("Sun, 06 Nov 1994 23:59:60 GMT", true),
            ("Sun, 06 Nov 1994 23:59:61 GMT", false),
            ("Sun, 06 Nov 1994 22:59:60 GMT", false),
            ("Sun Nov  0 00:00:00 1994", false),
            ("Sun Nov    00:00:00 1994", false),
            ("Tuesday, 29-Feb-00 00:00:00 GMT", true),
            ("Tuesday, 29-Feb-01 00:00:00 GMT", false),
        ] {
            assert_eq!(parse(text.as_bytes(), END_OF_2019).is_some(), exists, "{text}");
        }
    }

    #[test]
    fn a_leap_second_counts_as_the_second_before_it() {
        let second_59 = parse(b"Sat, 31 Dec 2016 23:59:59 GMT", 0);
        assert_eq!(parse(b"Sat, 31 Dec 2016 23:59:60 GMT", 0), second_59);
        assert_eq!(parse(b"Fri, 31 Dec 9999 23:59:60 GMT", 0), Some(LAST_SECOND));
    }

    #[test]
    fn a_two_digit_year_is_at_most_50_years_in_the_future() {
        let now = parse(b"Mon, 15 Jun 2026 12:00:00 GMT", 0).unwrap();
        for (text, now, year) in [
            ("Sunday, 14-Jun-26 12:00:00 GMT", now, 2026),
            ("Sunday, 31-Dec-75 23:59:59 GMT", now, 2075),
            ("Sunday, 15-Jun-76 12:00:00 GMT", now, 2076),
            ("Sunday, 15-Jun-76 12:00:01 GMT", now, 1976),
            ("Sunday, 16-Jun-76 00:00:00 GMT", now, 1976),
            ("Sunday, 01-Jul-76 00:00:00 GMT", now, 1976),
            ("Sunday, 01-Jan-77 00:00:00 GMT", now, 1977),
            ("Sunday, 01-Jan-99 00:00:00 GMT", now, 1999),
            ("Sunday, 01-Jan-00 00:00:00 GMT", now, 2000),
            ("Sunday, 29-Feb-76 00:00:00 GMT", now, 2076),
            // Across the turn of a century the window moves on with the year.
            ("Sunday, 01-Jan-05 00:00:00 GMT", now + 73 * 31_557_600, 2105),
            ("Sunday, 01-Jan-69 00:00:00 GMT", 0, 1969),
            ("Sunday, 01-Jan-20 00:00:00 GMT", 0, 2020),
            ("Sunday, 02-Jan-20 00:00:00 GMT", 0, 1920),
        ] {
            let seconds = parse(text.as_bytes(), now).unwrap();
            let written = imf_fixdate(seconds).unwrap();
            assert_eq!(str::from_utf8(&written[12..16]).unwrap(), year.to_string(), "{text}");
        }
    }

    #[test]
    fn a_two_digit_year_needs_no_sensible_clock() {
        for (digits, now, known) in [
            ("01", i64::MIN, true),
            ("51", i64::MIN, true),
            ("52", i64::MIN, false), // 52 of the next century is far off, and of the last is none
            ("99", i64::MAX, true),
            ("49", i64::MAX, false), // the year 10049
        ] {
            let text = format!("Sunday, 01-Jan-{digits} 00:00:00 GMT");
            assert_eq!(parse(text.as_bytes(), now).is_some(), known, "{text}");
        }
    }

    #[test]
    fn every_day_of_400_years_follows_the_day_before_it() {
        let first = Civil { year: 1999, month: 12, day: 31 };
        let mut days = first.to_days().unwrap();
        let mut weekday = 5;
        for year in 2000..2400 {
            for month in 1..=12 {
                for day in 1..=days_of_month(year, month).unwrap() {
                    days += 1;
                    weekday = (weekday + 1) % 7;
                    let date = Civil { year, month, day };
                    assert_eq!(date.to_days(), Some(days), "{date:?}");
                    assert_eq!(Civil::from_days(days), date);
                    let text = imf_fixdate((i64::from(days) - EPOCH_DAYS) * DAY_SECONDS).unwrap();
                    assert_eq!(text[..3], WEEKDAYS[weekday][..3], "{date:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn dates_agree_with_another_implementation(seconds in 0_i64..=LAST_SECOND) {
            let time = UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs());
            let theirs = httpdate::fmt_http_date(time);
            let ours = imf_fixdate(seconds).unwrap();
            prop_assert_eq!(str::from_utf8(&ours).unwrap(), &theirs);
            prop_assert_eq!(parse(theirs.as_bytes(), 0), Some(seconds));
        }

        #[test]
        fn the_old_forms_agree_with_another_implementation(seconds in 0_i64..3_155_760_000) {
            let fixdate = imf_fixdate(seconds).unwrap();
            let text = str::from_utf8(&fixdate).unwrap();
            let (weekday, day, month) = (&text[..3], &text[5..7], &text[8..11]);
            let (year, time) = (&text[12..16], &text[17..25]);
            let long = WEEKDAYS.iter().find(|name| name[..3] == fixdate[..3]).unwrap();
            let long = str::from_utf8(long).unwrap();
            let day_padded = day.strip_prefix('0').map_or(day.into(), |unit| format!(" {unit}"));
            for old in [
                format!("{long}, {day}-{month}-{} {time} GMT", &year[2..]),
                format!("{weekday} {month} {day_padded} {time} {year}"),
            ] {
                let theirs = httpdate::parse_http_date(&old).unwrap();
                let theirs = theirs.duration_since(UNIX_EPOCH).unwrap().as_secs();
                let ours = parse(old.as_bytes(), END_OF_2019).unwrap();
                prop_assert_eq!(ours.unsigned_abs(), theirs, "{}", old);
                prop_assert_eq!(ours, seconds, "{}", old);
            }
        }

        #[test]
        fn what_is_written_is_read_back(seconds in FIRST_SECOND..=LAST_SECOND, now: i64) {
            prop_assert_eq!(parse(&imf_fixdate(seconds).unwrap(), now), Some(seconds));
        }

        #[test]
        fn no_bytes_and_no_clock_make_it_panic(
            at in 0_usize..LENGTH, byte: u8, form in 0_usize..3, now: i64, any: Vec<u8>,
        ) {
            let forms: [&[u8]; 3] = [
                b"Sun, 06 Nov 1994 08:49:37 GMT",
                b"Sunday, 06-Nov-94 08:49:37 GMT",
                b"Sun Nov  6 08:49:37 1994",
            ];
            let mut text = forms[form].to_vec();
            if let Some(place) = text.get_mut(at) {
                *place = byte;
            }
            for bytes in [&text[..], &text[..at.min(text.len())], &any] {
                if let Some(seconds) = parse(bytes, now) {
                    prop_assert!((FIRST_SECOND..=LAST_SECOND).contains(&seconds));
                }
            }
        }
    }
}
