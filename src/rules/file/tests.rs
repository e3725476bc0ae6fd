//! Files: line ends, bounds, and problems with their lines.

use super::*;

fn lines<R>(parsed: &Parsed<R>) -> Vec<usize> {
    parsed.problems.iter().map(|problem| problem.line).collect()
}

#[test]
fn line_ends_and_a_byte_order_mark_make_no_difference() {
    let plain = parse_redirects(b"/a /b 302\n\n/c /d\n");
    assert_eq!((plain.rules.len(), &*plain.lines, plain.problems.len()), (2, &[1, 3][..], 0));
    for file in [
        &b"/a /b 302\n\n/c /d"[..],
        b"/a /b 302\r\n\r\n/c /d\r\n",
        b"\xef\xbb\xbf/a /b 302\n\n/c /d\n",
        b"\xef\xbb\xbf/a /b 302\r\n#\r\n/c /d",
    ] {
        assert_eq!(parse_redirects(file), plain, "{}", file.escape_ascii());
    }
    let plain = parse_headers(b"/a\n  A: b\n");
    assert_eq!((plain.rules.len(), &*plain.lines, plain.problems.len()), (1, &[1][..], 0));
    assert_eq!(parse_headers(b"\xef\xbb\xbf/a\r\n\tA: b\r\n"), plain);
    for file in [&b""[..], b"\n", b"\r\n", b"\xef\xbb\xbf", b"#", b"\n\n  \n# a\n"] {
        assert!(
            parse_redirects(file).rules.is_empty() && parse_redirects(file).problems.is_empty()
        );
        assert!(parse_headers(file).rules.is_empty() && parse_headers(file).problems.is_empty());
    }
}

#[test]
fn a_bad_line_is_left_out_and_the_others_apply() {
    let parsed = parse_redirects(b"/a /b\n/c\n/d /e\rf\n\xff /x\n/g /h\n");
    assert_eq!((lines(&parsed), parsed.lines), (vec![2, 3, 4], vec![1, 5]));
    let first = parsed.problems[0].to_string();
    assert_eq!(first, "line 2: '/c' has no destination; write FROM TO [STATUS]");
    let parsed = parse_headers(b"A: b\n/a\nA b\n A: b\n/*x\n C: d\n E\n/b\n/c\n A: \xff\n A: c");
    assert_eq!((lines(&parsed), parsed.lines), (vec![1, 3, 5, 8, 10], vec![2, 9]));
}

#[test]
fn a_file_is_cut_at_a_line_within_its_bound() {
    let line = b"/a /b # 3456789\n";
    let file = line.repeat(MAX_BYTES / line.len());
    assert_eq!(file.len(), MAX_BYTES);
    let within = parse_redirects(&file[..line.len() * 10]);
    assert_eq!((within.rules.len(), within.problems.len()), (10, 0));

    let comments = b"#234567\n".repeat(MAX_BYTES / 8);
    let rule = b"/a /b\n";
    let at_bound = [&comments[..MAX_BYTES - 8], b"/a /bcd\n"].concat();
    assert_eq!(at_bound.len(), MAX_BYTES);
    let parsed = parse_redirects(&at_bound);
    assert_eq!((parsed.rules.len(), parsed.problems.len()), (1, 0));

    let beyond = [&at_bound, &rule[..]].concat();
    let parsed = parse_redirects(&beyond);
    assert_eq!((parsed.rules.len(), lines(&parsed)), (1, vec![MAX_BYTES / 8 + 1]));
    // A line across the bound is left out as a whole.
    let across = [&comments[..MAX_BYTES - 8], b"/a /bcdefgh\n"].concat();
    let parsed = parse_redirects(&across);
    assert_eq!((parsed.rules.len(), lines(&parsed)), (0, vec![MAX_BYTES / 8]));
    assert!(parsed.problems[0].what.contains("65536 bytes"));

    let one_line = vec![b'a'; MAX_BYTES + 1];
    assert_eq!(lines(&parse_redirects(&one_line)), [1]);
    assert_eq!(lines(&parse_headers(&one_line)), [1]);
}

#[test]
fn rules_and_problems_have_bounds() {
    let file = b"/a /b\n".repeat(MAX_RULES);
    assert!(parse_redirects(&file).problems.is_empty());
    let file = b"/a /b\n".repeat(MAX_RULES + 5);
    let parsed = parse_redirects(&file);
    assert_eq!((parsed.rules.len(), lines(&parsed)), (MAX_RULES, vec![MAX_RULES + 1]));
    let file = b"/a\n A: b\n".repeat(MAX_RULES + 5);
    let parsed = parse_headers(&file);
    assert_eq!((parsed.rules.len(), lines(&parsed)), (MAX_RULES, vec![2 * MAX_RULES + 1]));

    let parsed = parse_redirects(&b"bad\n".repeat(1000));
    assert_eq!(parsed.problems.len(), MAX_PROBLEMS);
    assert!(parsed.problems[MAX_PROBLEMS - 1].what.contains("too many"));
}

#[test]
fn a_problem_is_short_and_has_no_control_characters() {
    let long = format!("/{}* /b", "x".repeat(10_000));
    let escape = "/a\x1b[2J /b";
    for line in [&*long, escape, "X: \x07\u{85}"] {
        for problem in [
            &parse_redirects(line.as_bytes()).problems[0],
            &parse_headers(line.as_bytes()).problems[0],
        ] {
            assert!(problem.what.chars().count() < 400, "{problem}");
            assert!(!problem.what.contains(char::is_control), "{problem}");
        }
    }
    let problem = &parse_redirects(long.as_bytes()).problems[0].what;
    assert!(problem.ends_with("as in /folder/*"), "{problem}");
}
