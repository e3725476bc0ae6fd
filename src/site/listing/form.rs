//! The form of a listing: its format, and the order of its entries.

use crate::http::fields::{Field, Fields};
use crate::http::negotiate::media_quality;
use crate::site::query;

/// The form in which a folder is listed. Each form of a folder is a resource of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListingForm {
    /// The format.
    pub format: Format,
    /// What the entries are sorted by; folders always come first.
    pub sort: Sort,
    /// The direction.
    pub order: Order,
}

/// The format of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A page for people.
    #[default]
    Html,
    /// An array for programs.
    Json,
}

/// What the entries of a listing are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The name, in natural order.
    #[default]
    Name,
    /// The size; folders, which have none, by name.
    Size,
    /// The modification time.
    Time,
}

/// The direction of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Names from A to Z, small files first, old files first.
    #[default]
    Ascending,
    /// The reverse.
    Descending,
}

impl ListingForm {
    /// The form that a request asks for: by `format`, `sort` and `order` in its query, else by
    /// Accept. Unknown values are ignored; of several values, the last one counts.
    pub(in crate::site) fn of(query: Option<&[u8]>, fields: &Fields<'_, '_>) -> ListingForm {
        let mut form = ListingForm::default();
        if fields.has(Field::Accept) && prefers_json(fields) {
            form.format = Format::Json;
        }
        for value in query::values(query, "format") {
            match value {
                b"html" => form.format = Format::Html,
                b"json" => form.format = Format::Json,
                _ => {}
            }
        }
        for value in query::values(query, "sort") {
            match value {
                b"name" => form.sort = Sort::Name,
                b"size" => form.sort = Sort::Size,
                b"time" => form.sort = Sort::Time,
                _ => {}
            }
        }
        for value in query::values(query, "order") {
            match value {
                b"asc" => form.order = Order::Ascending,
                b"desc" => form.order = Order::Descending,
                _ => {}
            }
        }
        form
    }

    /// Distinguishes it from other forms.
    pub(in crate::site) fn code(self) -> [u8; 3] {
        [self.format as u8, self.sort as u8, self.order as u8]
    }
}

/// True if Accept names JSON, and not HTML with the same weight or a higher one. A range with `*`
/// does not name HTML, because programs send it beside the type that they want.
fn prefers_json(fields: &Fields<'_, '_>) -> bool {
    let quality = |media_type| media_quality(fields.lines(Field::Accept), media_type);
    quality(b"application/json") > quality(b"text/html")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::fields::with;

    const HTML: Format = Format::Html;
    const JSON: Format = Format::Json;

    #[test]
    fn json_is_for_those_who_name_it_and_prefer_it_to_html() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, query, format) in [
            ("", None, HTML),
            ("*/*", None, HTML),
            (browser, None, HTML),
            ("application/json", None, JSON),
            ("APPLICATION/JSON", None, JSON),
            ("application/json, text/plain, */*", None, JSON),
            ("application/json, text/html", None, HTML),
            ("application/json, text/html;q=0.9", None, JSON),
            ("application/json;q=0.5, text/html;q=0.6", None, HTML),
            ("application/json;q=0", None, HTML),
            ("application/json; q=x", None, HTML),
            ("application/*", None, HTML),
            ("application/jsonl", None, HTML),
            (browser, Some("format=json"), JSON),
            ("application/json", Some("format=html"), HTML),
            ("application/json", Some("format=xml"), JSON),
            ("", Some("format=html&format=json"), JSON),
        ] {
            let query = query.map(str::as_bytes);
            let form = with(&[("Accept", accept)], |fields| ListingForm::of(query, fields));
            assert_eq!(form.format, format, "{accept} {query:?}");
        }
    }

    #[test]
    fn the_order_comes_from_the_query_and_each_form_has_its_own_code() {
        use {Order::Ascending as Up, Order::Descending as Down, Sort::*};
        for (query, sort, order) in [
            ("", Name, Up),
            ("sort=size", Size, Up),
            ("sort=time&order=desc", Time, Down),
            ("order=desc", Name, Down),
            ("utm_source=x&order=desc&sort=name", Name, Down),
            ("sort=colour&order=random", Name, Up),
            ("C=M;O=D", Name, Up),
        ] {
            let form = with(&[], |fields| ListingForm::of(Some(query.as_bytes()), fields));
            assert_eq!((form.sort, form.order), (sort, order), "{query}");
        }
        let codes = [Name, Size, Time].into_iter().flat_map(|sort| {
            [Up, Down].into_iter().flat_map(move |order| {
                [HTML, JSON].map(|format| ListingForm { format, sort, order }.code())
            })
        });
        assert_eq!(codes.collect::<std::collections::HashSet<_>>().len(), 12);
    }
}
