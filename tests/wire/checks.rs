//! Compares a response with the expectations of a case.
//!
//! Each difference becomes one sentence with the expected and the actual value.

use crate::answer::{Answer, Part};
use crate::format::{Check, Expected};
use crate::text::{Source, show};

/// Lookups for the checks: fields, times and contents of files.
pub(crate) trait Files: Source {
    /// The content of a fixture file.
    fn content(&self, path: &str) -> Result<Vec<u8>, String>;
    /// The answer to the request of this case with another method.
    fn same_request(&self, method: &str) -> Result<Answer, String>;
}

/// Bytes of a value that a sentence shows.
const SHOWN: usize = 300;

/// Every difference between the response and the expectations.
pub(crate) fn differences(answer: &Answer, expected: &Expected, files: &dyn Files) -> Vec<String> {
    let mut list = Vec::new();
    if !expected.statuses.contains(&answer.status) {
        list.push(format!("status: expected {:?}, got {}", expected.statuses, answer.status));
    }
    for check in &expected.checks {
        if let Err(text) = hold(answer, check, files) {
            list.push(text);
        }
    }
    list
}

fn hold(answer: &Answer, check: &Check, files: &dyn Files) -> Result<(), String> {
    let resolve = |template: &crate::text::Template| template.resolve(files, 0);
    match check {
        Check::Field(name, value) => {
            same(name, &resolve(value)?, answer.all(name).collect::<Vec<_>>().as_slice())
        }
        Check::FieldIfAny(_, _) if answer.fields_named(check) == 0 => Ok(()),
        Check::FieldIfAny(name, value) => {
            same(name, &resolve(value)?, answer.all(name).collect::<Vec<_>>().as_slice())
        }
        Check::FieldHas(name, member) => {
            let member = resolve(member)?;
            let came = answer.all(name).collect::<Vec<_>>();
            is(answer.has(name, &member), || {
                format!("{name}: no member {} in {}", show(&member, SHOWN), list(&came))
            })
        }
        Check::FieldBegins(name, value) => {
            let value = resolve(value)?;
            let came = answer.all(name).collect::<Vec<_>>();
            is(matches!(came[..], [came] if came.starts_with(&value)), || {
                format!("{name}: expected {}..., got {}", show(&value, SHOWN), list(&came))
            })
        }
        Check::NoField(name) => {
            let came = answer.all(name).collect::<Vec<_>>();
            is(came.is_empty(), || format!("{name}: expected none, got {}", list(&came)))
        }
        Check::Body(body) => same_body(&resolve(body)?, &answer.body),
        Check::BodyFile(path, range) => {
            same_body(&slice(files.content(path)?, *range)?, &answer.body)
        }
        Check::BodyLength(length) => is(answer.body.len() as u64 == *length, || {
            format!("body: expected {length} bytes, got {}", answer.body.len())
        }),
        Check::BodyContains(text) => {
            let text = resolve(text)?;
            is(contains(&answer.body, &text), || format!("body: no {}", show(&text, SHOWN)))
        }
        Check::BodyLacks(text) => {
            let text = resolve(text)?;
            is(!contains(&answer.body, &text), || format!("body: has {}", show(&text, SHOWN)))
        }
        Check::Parts(path, ranges) => parts(answer, &files.content(path)?, ranges),
        Check::Like(method) => like(answer, &files.same_request(method)?),
    }
}

impl Answer {
    /// The number of fields with the name of this check.
    fn fields_named(&self, check: &Check) -> usize {
        match check {
            Check::Field(name, _) | Check::FieldIfAny(name, _) => self.all(name).count(),
            _ => 0,
        }
    }
}

/// The parts are these ranges of the file, in this order. A single one may be sent without
/// multipart.
fn parts(answer: &Answer, content: &[u8], ranges: &[(u64, u64)]) -> Result<(), String> {
    let parts = match answer.content_range()? {
        Some((first, last, complete)) => {
            vec![Part { first, last, complete, content: answer.body.clone() }]
        }
        None => answer.parts()?,
    };
    let came: Vec<_> = parts.iter().map(|part| (part.first, part.last)).collect();
    is(came == ranges, || format!("parts: expected {ranges:?}, got {came:?}"))?;
    for part in &parts {
        is(part.complete == content.len() as u64, || {
            format!("part: expected a size of {}, got {}", content.len(), part.complete)
        })?;
        same_body(&slice(content.to_vec(), Some((part.first, part.last)))?, &part.content)?;
    }
    Ok(())
}

/// Status and fields are the same, except the Date. The names of HTTP/2 are in lower case.
fn like(answer: &Answer, other: &Answer) -> Result<(), String> {
    let fields = |answer: &Answer| -> Vec<String> {
        let kept = answer.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Date"));
        let shown =
            kept.map(|(name, value)| format!("{}: {}", name.to_lowercase(), show(value, SHOWN)));
        std::iter::once(answer.status.to_string()).chain(shown).collect()
    };
    let (came, expected) = (fields(answer), fields(other));
    is(came == expected, || format!("fields: expected {expected:?}, got {came:?}"))
}

fn same(name: &str, expected: &[u8], came: &[&[u8]]) -> Result<(), String> {
    is(came == [expected], || {
        format!("{name}: expected {}, got {}", show(expected, SHOWN), list(came))
    })
}

fn same_body(expected: &[u8], came: &[u8]) -> Result<(), String> {
    is(expected == came, || {
        let at = expected.iter().zip(came).take_while(|(a, b)| a == b).count();
        format!(
            "body: differs at byte {at}; expected {} bytes, got {}: {}",
            expected.len(),
            came.len(),
            show(&came[at.min(came.len())..], 80)
        )
    })
}

/// Bytes `first..=last`, or all.
fn slice(mut content: Vec<u8>, range: Option<(u64, u64)>) -> Result<Vec<u8>, String> {
    if let Some((first, last)) = range {
        let first = usize::try_from(first).map_err(|error| error.to_string())?;
        let last = usize::try_from(last).map_err(|error| error.to_string())?;
        content = content.get(first..=last).ok_or("the case asks for bytes past the end")?.to_vec();
    }
    Ok(content)
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(hay, needle).is_some()
}

fn list(values: &[&[u8]]) -> String {
    match values {
        [] => "nothing".into(),
        values => values.iter().map(|value| show(value, SHOWN)).collect::<Vec<_>>().join(" | "),
    }
}

fn is(holds: bool, sentence: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(sentence()) }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::format::CaseFile;

    /// One file of ten digits; every request with another method is answered by 200 and `A: b`.
    struct Ten;

    impl Source for Ten {
        fn etag(&self, _: &str, _: &str) -> Result<Vec<u8>, String> {
            Ok(b"\"t\"".to_vec())
        }

        fn last_modified(&self, _: &str) -> Result<Vec<u8>, String> {
            Err("none".into())
        }

        fn modified(&self, _: &str) -> Result<SystemTime, String> {
            Ok(SystemTime::UNIX_EPOCH)
        }
    }

    impl Files for Ten {
        fn content(&self, _: &str) -> Result<Vec<u8>, String> {
            Ok(b"0123456789".to_vec())
        }

        fn same_request(&self, _: &str) -> Result<Answer, String> {
            let fields = vec![("A".into(), b"b".to_vec()), ("Date".into(), b"then".to_vec())];
            Ok(Answer { status: 200, fields, body: b"x".to_vec() })
        }
    }

    /// The number of differences that these expectations find in a response.
    fn found(answer: &str, expectations: &str) -> usize {
        let (answer, _) = Answer::parse(answer.as_bytes(), false, true).unwrap().unwrap();
        let file = CaseFile::parse(&format!("case: x\nsend: x\n{expectations}\n")).unwrap();
        differences(&answer, &file.cases[0].answers[0], &Ten).len()
    }

    #[test]
    fn an_answer_as_expected_has_no_differences() {
        let answer = "HTTP/1.1 200 OK\r\nA: b\r\nE: \"t\"\r\nV: x, Y\r\n\r\n2345";
        let good = "status: 404|200\nfield: a: b\nfield: E: {etag:/ten}\nfield-if-any: C: d\n\
                    field-if-any: A: b\nfield-has: V: y\nfield-begins: E: \"\nno-field: F\n\
                    body: 2345\nbody-file: /ten 2-5\nbody-length: 4\nbody-contains: 34\n\
                    body-lacks: 6";
        assert_eq!(found(answer, good), 0);
    }

    #[test]
    fn every_expectation_that_fails_is_counted() {
        let answer = "HTTP/1.1 200 OK\r\nA: b\r\nA: b\r\nC: e\r\n\r\n2345";
        let bad = "status: 404\nfield: A: b\nfield-if-any: C: d\nfield-has: A: c\n\
                   field-begins: C: x\nno-field: C\nbody: 234\nbody-file: /ten 2-4\n\
                   body-length: 5\nbody-contains: 6\nbody-lacks: 4\nparts: /ten 2-5\nlike: GET";
        assert_eq!(found(answer, bad), 13);
    }

    #[test]
    fn parts_are_compared_with_the_file() {
        let part = |range: &str, content: &str| {
            format!(
                "\r\n--b\r\nContent-Type: x\r\nContent-Range: bytes {range}/10\r\n\r\n{content}"
            )
        };
        let answer = |parts: &str| {
            format!(
                "HTTP/1.1 206 x\r\nContent-Type: multipart/byteranges; boundary=b\r\n\r\n\
                 {parts}\r\n--b--\r\n"
            )
        };
        let good = answer(&(part("0-1", "01") + &part("9-9", "9")));
        assert_eq!(found(&good, "status: 206\nparts: /ten 0-1 9-9"), 0);
        assert_eq!(found(&good, "status: 206\nparts: /ten 9-9 0-1"), 1);
        let bad = answer(&(part("0-1", "01") + &part("9-9", "8")));
        assert_eq!(found(&bad, "status: 206\nparts: /ten 0-1 9-9"), 1);
        let single = "HTTP/1.1 206 x\r\nContent-Range: bytes 2-3/10\r\n\r\n23";
        assert_eq!(found(single, "status: 206\nparts: /ten 2-3"), 0);
        assert_eq!(found(single, "status: 206\nparts: /ten 2-3 5-5"), 1);
    }

    #[test]
    fn like_compares_all_but_the_date() {
        assert_eq!(
            found("HTTP/1.1 200 OK\r\nA: b\r\nDate: now\r\n\r\n", "status: 200\nlike: GET"),
            0
        );
        assert_eq!(found("HTTP/1.1 200 OK\r\nA: c\r\n\r\n", "status: 200\nlike: GET"), 1);
    }
}
