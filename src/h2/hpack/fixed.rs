//! The static table (RFC 7541 appendix A).

/// The entries; the first has index 1.
pub(super) static ENTRIES: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// The index of a name that responses have; 0: it is not in the table.
pub(super) fn index_of(name: &[u8]) -> usize {
    let known: &[(&[u8], usize)] = match name.len() {
        3 => &[(b"age", 21), (b"via", 60)],
        4 => &[(b"vary", 59), (b"etag", 34), (b"date", 33), (b"link", 45)],
        5 => &[(b"allow", 22)],
        6 => &[(b"server", 54)],
        7 => &[(b"expires", 36), (b"refresh", 52)],
        8 => &[(b"location", 46)],
        10 => &[(b"set-cookie", 55)],
        11 => &[(b"retry-after", 53)],
        12 => &[(b"content-type", 31)],
        13 => &[
            (b"last-modified", 44),
            (b"accept-ranges", 18),
            (b"cache-control", 24),
            (b"content-range", 30),
        ],
        14 => &[(b"content-length", 28)],
        16 => &[
            (b"content-encoding", 26),
            (b"content-language", 27),
            (b"content-location", 29),
            (b"www-authenticate", 61),
        ],
        19 => &[(b"content-disposition", 25)],
        25 => &[(b"strict-transport-security", 56)],
        27 => &[(b"access-control-allow-origin", 20)],
        _ => &[],
    };
    known.iter().find(|(known, _)| *known == name).map_or(0, |(_, index)| *index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_index_of_its_first_entry() {
        let mut found = 0;
        for name in ENTRIES.iter().map(|(name, _)| *name) {
            let first = ENTRIES.iter().position(|(other, _)| *other == name).unwrap() + 1;
            let index = index_of(name.as_bytes());
            assert!(index == 0 || index == first, "{name}");
            found += usize::from(index != 0);
        }
        assert_eq!(found, 26);
        assert_eq!(index_of(b"x-other"), 0);
    }
}
