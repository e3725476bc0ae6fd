//! The format of names, sizes, times and of the whole page.

use std::time::{Duration, UNIX_EPOCH};

use super::*;

#[test]
fn names_are_shown_as_text() {
    let cases: &[(&[u8], &str, &str)] = &[
        // (name, reference, text)
        (b"plain-1._~", "plain-1._~", "plain-1._~"),
        (b"a b", "a%20b", "a b"),
        (b"<&>\"'", "%3C&amp;%3E%22'", "&lt;&amp;&gt;\"'"),
        (b"a:b", "a%3Ab", "a:b"),
        (b":", "%3A", ":"),
        (b"!$&'()*+,;=@", "!$&amp;'()*+,;=@", "!$&amp;'()*+,;=@"),
        (b"%\\^`{|}[]", "%25%5C%5E%60%7B%7C%7D%5B%5D", "%\\^`{|}[]"),
        (b"a\nb\x7f", "a%0Ab%7F", "a\u{fffd}b\u{fffd}"),
        (b"\xff", "%FF", "\u{fffd}"),
        ("ż".as_bytes(), "%C5%BC", "ż"),
        ("\u{202e}gnp.exe".as_bytes(), "%E2%80%AEgnp.exe", "\u{fffd}gnp.exe"),
        ("\u{85}".as_bytes(), "%C2%85", "\u{fffd}"),
        ("\u{ffff}".as_bytes(), "%EF%BF%BF", "\u{fffd}"),
        ("a\u{a0}b".as_bytes(), "a%C2%A0b", "a\u{a0}b"),
    ];
    for (name, href, text) in cases {
        let (mut got_href, mut got_text) = (Vec::new(), Vec::new());
        push_href(&mut got_href, name);
        push_text(&mut got_text, name);
        assert_eq!(String::from_utf8(got_href).unwrap(), *href);
        assert_eq!(String::from_utf8(got_text).unwrap(), *text);
    }
}

#[test]
fn invisible_characters_are_replaced() {
    for char in "\u{ad}\u{61c}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\
                 \u{202e}\u{2060}\u{2066}\u{2069}\u{206f}\u{feff}\u{3164}\u{180e}\u{e0041}"
        .chars()
    {
        let mut text = Vec::new();
        push_text(&mut text, format!("a{char}b").as_bytes());
        assert_eq!(String::from_utf8(text).unwrap(), "a\u{fffd}b", "{}", char.escape_unicode());
    }
    // Joiners that change the rendering: in Persian, in Hindi and in an emoji.
    for name in [
        "\u{645}\u{6cc}\u{200c}\u{631}\u{648}\u{645}",
        "\u{915}\u{94d}\u{200d}\u{937}",
        "\u{2764}\u{fe0f}\u{200d}\u{1f525}",
        "\u{1f468}\u{1f3fd}\u{200d}\u{1f33e}",
    ] {
        let mut text = Vec::new();
        push_text(&mut text, name.as_bytes());
        assert_eq!(String::from_utf8(text).unwrap(), name);
    }
}

#[test]
fn sizes_read_well() {
    for (bytes, want) in [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (10_188, "9.9 KiB"),
        (10_189, "10 KiB"),
        (15_360, "15 KiB"),
        (1024 * 1024 - 513, "1023 KiB"),
        (1024 * 1024 - 512, "1.0 MiB"),
        (1024 * 1024, "1.0 MiB"),
        (5 << 30, "5.0 GiB"),
        (3 << 40, "3.0 TiB"),
        (1 << 50, "1.0 PiB"),
        (15 << 60, "15 EiB"),
        (u64::MAX - (1 << 59), "15 EiB"),
        (u64::MAX, "16 EiB"),
    ] {
        let mut text = Vec::new();
        push_size(&mut text, bytes);
        assert_eq!(
            String::from_utf8(text).unwrap().replace("<small>", "").replace("</small>", ""),
            want
        );
    }
}

#[test]
fn dates_are_those_of_the_calendar() {
    let date = |seconds: i128| {
        let mut text = Vec::new();
        push_time(&mut text, seconds * 1_000_000_000);
        let text = String::from_utf8(text).unwrap();
        let Some(rest) = text.strip_prefix("<time datetime=\"") else { return text };
        let (exact, rest) = rest.split_once("\">").unwrap();
        let shown = rest.strip_suffix("</time>").unwrap();
        // To the second, and the same to the minute.
        let second = format!(":{:02}Z", seconds.rem_euclid(60));
        assert_eq!(exact.replace('T', " "), format!("{shown}{second}"));
        shown.to_owned()
    };
    for (seconds, want) in [
        (0, "1970-01-01 00:00"),
        (-1, "1969-12-31 23:59"),
        (951_782_400, "2000-02-29 00:00"),
        (951_868_799, "2000-02-29 23:59"),
        (4_107_542_400, "2100-03-01 00:00"),
        (-62_167_219_200, "0000-01-01 00:00"),
        (-62_167_219_201, ""),
        (253_402_300_799, "9999-12-31 23:59"),
        (253_402_300_800, ""),
        (i128::from(i64::MAX), ""),
        (i128::from(i64::MIN), ""),
    ] {
        assert_eq!(date(seconds), want);
    }
    // Every day up to 2400, compared with an independent implementation: `Sun, 06 Nov 1994 …`.
    let months =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    for day in 0..157_054_u64 {
        let seconds = day * 86_400 + day % 86_400;
        let theirs = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        let month = months.iter().position(|&name| name == &theirs[8..11]).unwrap() + 1;
        let (day, year, time) = (&theirs[5..7], &theirs[12..16], &theirs[17..22]);
        assert_eq!(date(seconds.into()), format!("{year}-{month:02}-{day} {time}"));
    }
}
