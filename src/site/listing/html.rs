//! A listing as an HTML page.
//!
//! Owns the markup. It does not read the folder: it gets entries in order and appends one row for
//! each, and then the README of the folder.
//!
//! The page is valid HTML, in the colours that the reader prefers, and complete without script:
//! the order is changed by links. A script adds a filter. Links are relative, in the canonical
//! percent-encoding, and exact for every name that a file can have. The text of a name has U+FFFD
//! where it is not UTF-8, and for characters with which a name could look like another one.

use std::io;

use crate::config::ArchiveFormat;
use crate::site::draft::Draft;
use crate::site::media::MediaTypes;
use crate::site::page::HEAD;

use super::form::{ListingForm, Order, Sort};
use super::lister::{Entry, Totals};
use super::readme::Readme;

mod kind;
mod style;
mod text;

pub(in crate::site) use style::SECURITY_POLICY;

use style::{SCRIPT, STYLE};
use text::{push_formatted, push_href, push_lines, push_size, push_text, push_time};

/// A page that is being written.
#[derive(Debug)]
pub struct Html {
    page: Draft,
    /// Buffer for a row.
    row: Vec<u8>,
    types: MediaTypes,
    has_filter: bool,
}

impl Html {
    /// Begins the page of the folder at `path` below the root, which is empty or ends with `/`.
    ///
    /// # Errors
    /// There is no memory.
    pub fn new(path: &[u8], totals: &Totals, form: ListingForm) -> io::Result<Html> {
        let rows = totals.folders + totals.files;
        let mut page = Vec::with_capacity(2 * STYLE.len());
        page.extend_from_slice(HEAD.as_bytes());
        page.extend_from_slice(STYLE.as_bytes());
        page.extend_from_slice(b"</style>\n<title>Index of /");
        push_text(&mut page, path);
        page.extend_from_slice(b"</title>\n");
        page.extend_from_slice(ALTERNATE.as_bytes());
        page.extend_from_slice(b"</head>\n<body>\n<header>\n");
        push_breadcrumbs(&mut page, path);
        page.extend_from_slice(b"</header>\n<main>\n");
        if totals.is_cut {
            let text =
                format_args!("<p>Only {rows} entries are shown; this folder has more.</p>\n");
            push_formatted(&mut page, text);
        }
        let has_filter = rows >= FILTERED_ROWS;
        if has_filter {
            page.extend_from_slice(FILTER.as_bytes());
        }
        page.extend_from_slice(b"<table>\n<caption>");
        push_totals(&mut page, totals);
        page.extend_from_slice(b"</caption>\n<thead>\n<tr>");
        for (sort, text) in COLUMNS {
            push_column(&mut page, sort, text, form);
        }
        page.extend_from_slice(b"</tr>\n</thead>\n<tbody>\n");
        if !path.is_empty() {
            page.extend_from_slice(PARENT.as_bytes());
        }
        let mut draft = Draft::with_room(page.len() + rows * ROW_BYTES + totals.name_room)?;
        draft.push(&page)?;
        Ok(Html { page: draft, row: page, types: MediaTypes::default(), has_filter })
    }

    /// Appends the row of one entry.
    ///
    /// # Errors
    /// There is no memory.
    pub fn push(&mut self, entry: &Entry) -> io::Result<()> {
        let row = &mut self.row;
        row.clear();
        let slash: &[u8] = if entry.directory { b"/" } else { b"" };
        row.extend_from_slice(b"<tr><th scope=\"row\"><a href=\"");
        push_href(row, entry.name());
        row.extend_from_slice(slash);
        let class = if entry.directory { "" } else { kind::class(entry.name(), &self.types) };
        if !class.is_empty() {
            row.extend_from_slice(b"\" class=\"");
            row.extend_from_slice(class.as_bytes());
        }
        row.extend_from_slice(b"\">");
        push_text(row, entry.name());
        row.extend_from_slice(slash);
        row.extend_from_slice(b"</a></th>");
        if entry.directory {
            row.extend_from_slice(b"<td></td>");
        } else if entry.size < 1024 {
            row.extend_from_slice(b"<td>");
            push_size(row, entry.size);
            row.extend_from_slice(b"</td>");
        } else {
            push_formatted(row, format_args!("<td title=\"{} bytes\">", entry.size));
            push_size(row, entry.size);
            row.extend_from_slice(b"</td>");
        }
        row.extend_from_slice(b"<td>");
        push_time(row, entry.modified_ns);
        row.extend_from_slice(b"</td></tr>\n");
        self.page.push(row)
    }

    /// The whole page, with links to archives and the README of the folder below the table.
    ///
    /// # Errors
    /// There is no memory.
    pub fn finish(
        mut self,
        archives: &[ArchiveFormat],
        readme: Option<&Readme>,
    ) -> io::Result<Draft> {
        let end = &mut self.row;
        end.clear();
        end.extend_from_slice(b"</tbody>\n</table>\n");
        push_archives(end, archives);
        if let Some(readme) = readme {
            push_readme(end, readme);
        }
        end.extend_from_slice(b"</main>\n");
        if self.has_filter {
            for piece in ["<script>", SCRIPT, "</script>\n"] {
                end.extend_from_slice(piece.as_bytes());
            }
        }
        end.extend_from_slice(b"</body>\n</html>\n");
        self.page.push(end)?;
        Ok(self.page)
    }
}

/// The path of the folder as a heading, each folder above as a link.
fn push_breadcrumbs(page: &mut Vec<u8>, path: &[u8]) {
    page.extend_from_slice(b"<nav aria-label=\"Breadcrumbs\">\n<h1><span>Index of</span> ");
    let names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
    let mut depth = names.clone().count();
    if depth == 0 {
        page.extend_from_slice(b"/");
    } else {
        push_up(page, depth, b" aria-label=\"Root folder\"");
        page.extend_from_slice(b"/</a>");
    }
    for name in names {
        depth -= 1;
        if depth == 0 {
            page.extend_from_slice(b"<bdi aria-current=\"page\">");
            push_text(page, name);
            page.extend_from_slice(b"</bdi>/");
        } else {
            push_up(page, depth, b"");
            page.extend_from_slice(b"<bdi>");
            push_text(page, name);
            page.extend_from_slice(b"</bdi></a>/");
        }
    }
    page.extend_from_slice(b"</h1>\n</nav>\n");
}

/// The start of a link to the folder `depth` levels up.
fn push_up(page: &mut Vec<u8>, depth: usize, attributes: &[u8]) {
    page.extend_from_slice(b"<a href=\"");
    for _ in 0..depth {
        page.extend_from_slice(b"../");
    }
    page.extend_from_slice(b"\"");
    page.extend_from_slice(attributes);
    page.extend_from_slice(b">");
}

/// `2 folders, 1 file, 1.5 KiB`.
fn push_totals(page: &mut Vec<u8>, totals: &Totals) {
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let Totals { folders, files, bytes, .. } = *totals;
    if folders > 0 {
        push_formatted(page, format_args!("{folders} folder{}", plural(folders)));
    }
    if folders > 0 && files > 0 {
        page.extend_from_slice(b", ");
    }
    if files > 0 {
        push_formatted(page, format_args!("{files} file{}, ", plural(files)));
        push_formatted(page, format_args!("<span title=\"{bytes} bytes\">"));
        push_size(page, bytes);
        page.extend_from_slice(b"</span>");
    }
    if folders + files == 0 {
        page.extend_from_slice(b"No files");
    }
}

/// The head of a column: a link that sorts by it, or reverses its order. Programs that copy a
/// folder shall not follow it.
fn push_column(page: &mut Vec<u8>, sort: Sort, text: &str, form: ListingForm) {
    let state = match (sort == form.sort, form.order) {
        (false, _) => "",
        (true, Order::Ascending) => " aria-sort=\"ascending\"",
        (true, Order::Descending) => " aria-sort=\"descending\"",
    };
    let order = match (sort == form.sort, form.order) {
        // Large and new files are the interesting ones.
        (false, _) if sort != Sort::Name => "desc",
        (false, _) | (true, Order::Descending) => "asc",
        (true, Order::Ascending) => "desc",
    };
    let name = match sort {
        Sort::Name => "name",
        Sort::Size => "size",
        Sort::Time => "time",
    };
    push_formatted(
        page,
        format_args!(
            "<th scope=\"col\"{state}><a href=\"?sort={name}&amp;order={order}\" \
             rel=\"nofollow\">{text}</a></th>"
        ),
    );
}

/// Links to the folder as an archive. Programs that copy a folder shall not follow them.
fn push_archives(page: &mut Vec<u8>, archives: &[ArchiveFormat]) {
    for (at, format) in archives.iter().enumerate() {
        let start = if at == 0 { "<p>Download this folder: " } else { ", " };
        let name = match format {
            ArchiveFormat::Tar => "tar",
            ArchiveFormat::Zip => "zip",
        };
        push_formatted(
            page,
            format_args!("{start}<a href=\"?archive={name}\" rel=\"nofollow\">{name}</a>"),
        );
    }
    if !archives.is_empty() {
        page.extend_from_slice(b"</p>\n");
    }
}

/// The README of the folder.
fn push_readme(page: &mut Vec<u8>, readme: &Readme) {
    page.extend_from_slice(b"<section aria-labelledby=\"readme\">\n<h2 id=\"readme\">");
    push_text(page, &readme.name);
    page.extend_from_slice(b"</h2>\n<pre>");
    push_lines(page, &readme.text);
    page.extend_from_slice(b"</pre>\n");
    if readme.is_cut {
        page.extend_from_slice(b"<p>This is only its beginning: <a href=\"");
        push_href(page, &readme.name);
        page.extend_from_slice(b"\">the whole file</a></p>\n");
    }
    page.extend_from_slice(b"</section>\n");
}

/// The longest row without its name.
const ROW_BYTES: usize = 240;

/// A listing with this many rows or more has a filter.
const FILTERED_ROWS: usize = 8;

const COLUMNS: [(Sort, &str); 3] =
    [(Sort::Name, "Name"), (Sort::Size, "Size"), (Sort::Time, "Modified (UTC)")];

const ALTERNATE: &str = "<link rel=\"alternate\" type=\"application/json\" \
href=\"?format=json\">\n";

const FILTER: &str = "<form role=\"search\" hidden><label>Filter: \
<input type=\"search\" autocomplete=\"off\" spellcheck=\"false\"></label>\
<output></output></form>\n";

const PARENT: &str = "<tr><th scope=\"row\">\
<a href=\"../\" aria-label=\"Parent folder\">../</a></th><td></td><td></td></tr>\n\
</tbody>\n<tbody>\n";

#[cfg(test)]
mod tests;
