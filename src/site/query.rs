//! The parameters of a query that this server understands: `name=value`, separated by `&`. All
//! others are ignored, so that links with parameters for analytics work.

/// The values of a parameter, in order; the value of a parameter without `=` is empty.
pub(super) fn values<'q>(
    query: Option<&'q [u8]>,
    name: &'static str,
) -> impl Iterator<Item = &'q [u8]> {
    let parameters = query.unwrap_or_default().split(|byte| *byte == b'&');
    parameters.filter_map(move |parameter| {
        let rest = parameter.strip_prefix(name.as_bytes())?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"=") }
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_parameter_is_found_by_its_whole_name() {
        for (query, expected) in [
            (None, vec![]),
            (Some(""), vec![]),
            (Some("a"), vec![""]),
            (Some("a="), vec![""]),
            (Some("a=1"), vec!["1"]),
            (Some("x=a&a=1&&a=2=3"), vec!["1", "2=3"]),
            (Some("ab=1&ba=2&A=3&%61=4"), vec![]),
        ] {
            let found: Vec<_> = super::values(query.map(str::as_bytes), "a").collect();
            assert_eq!(found, expected.iter().map(|it| it.as_bytes()).collect::<Vec<_>>());
        }
    }
}
