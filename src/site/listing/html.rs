//! A listing as an HTML page.
//!
//! Owns the markup, and how names, sizes and times are written. It does not read the folder: it
//! gets entries in order and appends one row for each.
//!
//! The page is valid HTML without script, in the colours that the reader prefers; below 36 rem the
//! date is left out in favour of the name. Links are relative, in the canonical percent-encoding,
//! and exact for every name that a file can have. The text of a name has U+FFFD where it is not
//! UTF-8, and for characters with which a name could look like another one.

use std::fmt::Arguments;
use std::io::{self, Write};

use crate::http::date::{Civil, civil};
use crate::http::target::encode_path;

use super::super::draft::Draft;
use super::super::page::HEAD;
use super::lister::{Entry, Totals};

/// A page that is being written.
#[derive(Debug)]
pub struct Html {
    page: Draft,
    /// Buffer for a row.
    row: Vec<u8>,
}

impl Html {
    /// Begins the page of the folder at `path` below the root, which is empty or ends with `/`.
    ///
    /// # Errors
    /// There is no memory.
    pub fn new(path: &[u8], totals: &Totals) -> io::Result<Html> {
        let rows = totals.folders + totals.files;
        let mut page = Vec::with_capacity(2 * STYLE.len());
        page.extend_from_slice(HEAD.as_bytes());
        page.extend_from_slice(STYLE.as_bytes());
        page.extend_from_slice(b"</style>\n");
        page.extend_from_slice(POLICY.as_bytes());
        page.extend_from_slice(b"<title>Index of /");
        push_text(&mut page, path);
        page.extend_from_slice(b"</title>\n</head>\n<body>\n<header>\n");
        push_breadcrumbs(&mut page, path);
        page.extend_from_slice(b"</header>\n<main>\n");
        if totals.is_cut {
            let text =
                format_args!("<p>Only {rows} entries are shown; this folder has more.</p>\n");
            push_formatted(&mut page, text);
        }
        page.extend_from_slice(b"<table>\n<caption>");
        push_totals(&mut page, totals);
        page.extend_from_slice(TABLE.as_bytes());
        if !path.is_empty() {
            page.extend_from_slice(PARENT.as_bytes());
        }
        let mut draft = Draft::with_room(page.len() + rows * ROW_BYTES + totals.name_room)?;
        draft.push(&page)?;
        Ok(Html { page: draft, row: page })
    }

    /// Appends the row of one entry.
    ///
    /// # Errors
    /// There is no memory.
    pub fn push(&mut self, entry: &Entry) -> io::Result<()> {
        let page = &mut self.row;
        page.clear();
        let slash: &[u8] = if entry.directory { b"/" } else { b"" };
        page.extend_from_slice(b"<tr><th scope=\"row\"><a href=\"");
        push_href(page, entry.name());
        page.extend_from_slice(slash);
        page.extend_from_slice(b"\">");
        push_text(page, entry.name());
        page.extend_from_slice(slash);
        page.extend_from_slice(b"</a></th>");
        if entry.directory {
            page.extend_from_slice(b"<td></td>");
        } else if entry.size < 1024 {
            page.extend_from_slice(b"<td>");
            push_size(page, entry.size);
            page.extend_from_slice(b"</td>");
        } else {
            push_formatted(page, format_args!("<td title=\"{} bytes\">", entry.size));
            push_size(page, entry.size);
            page.extend_from_slice(b"</td>");
        }
        page.extend_from_slice(b"<td>");
        push_time(page, entry.modified_ns);
        page.extend_from_slice(b"</td></tr>\n");
        self.page.push(page)
    }

    /// The whole page.
    ///
    /// # Errors
    /// There is no memory.
    pub fn finish(mut self) -> io::Result<Draft> {
        self.page.push(b"</tbody>\n</table>\n</main>\n</body>\n</html>\n")?;
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
        push_size(page, bytes);
    }
    if folders + files == 0 {
        page.extend_from_slice(b"No files");
    }
}

/// A relative reference to `name` in this folder (RFC 3986 section 4.2) for an attribute in double
/// quotes. A colon is encoded, because what stands before it could be read as a scheme.
fn push_href(page: &mut Vec<u8>, name: &[u8]) {
    for byte in encode_path(name) {
        match byte {
            b'&' => page.extend_from_slice(b"&amp;"),
            b':' => page.extend_from_slice(b"%3A"),
            _ => page.push(byte),
        }
    }
}

/// The text of an element. Bytes that are not UTF-8 and characters that HTML does not allow become
/// U+FFFD, and so do those that are invisible or change the direction of writing: with them, a name
/// can look like another one.
fn push_text(page: &mut Vec<u8>, text: &[u8]) {
    if text.iter().all(|byte| matches!(byte, b' '..=b'~') && !b"&<>".contains(byte)) {
        page.extend_from_slice(text); // most names
        return;
    }
    let text = String::from_utf8_lossy(text);
    let mut before = None;
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        match char {
            '&' => page.extend_from_slice(b"&amp;"),
            '<' => page.extend_from_slice(b"&lt;"),
            '>' => page.extend_from_slice(b"&gt;"),
            _ => {
                let joins = matches!(char, '\u{200c}' | '\u{200d}')
                    && before.is_some_and(is_joined)
                    && rest.clone().next().is_some_and(is_joined);
                let shown = if is_deceptive(char) && !joins { REPLACEMENT } else { char };
                page.extend_from_slice(shown.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        before = Some(char);
    }
}

/// Characters without a shape of their own, and those that HTML does not allow.
fn is_deceptive(char: char) -> bool {
    let noncharacter = u32::from(char) & 0xfffe == 0xfffe;
    let range = matches!(
        char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180e}' // Mongolian selectors and vowel separator
            | '\u{200b}'..='\u{200f}' // zero-width space and joiners, marks of direction
            | '\u{2028}'..='\u{202e}' // separators of lines, overrides of direction
            | '\u{2060}'..='\u{206f}' // invisible operators, isolates, deprecated controls
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{fdd0}'..='\u{fdef}' // noncharacters
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}' // tags, selectors of variants that fonts do not have
    );
    range || noncharacter || char.is_control()
}

/// Whether a zero-width joiner or non-joiner beside this character changes what is seen: in Arabic
/// and Indic scripts and between the parts of an emoji.
fn is_joined(char: char) -> bool {
    matches!(
        char,
        '\u{620}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{8a0}'..='\u{8ff}' // Arabic
            | '\u{900}'..='\u{dff}' // scripts of India
            | '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}' // emoji
    )
}

/// At least two significant digits, the unit apart: `1.5 <small>KiB</small>`.
fn push_size(page: &mut Vec<u8>, bytes: u64) {
    let mut unit = 1_u64;
    let mut name = "B";
    // Halves are rounded up.
    let rounded = |count: u64, unit: u64| count / unit + u64::from(count % unit * 2 >= unit);
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        // Rounded, so that it is never `1024 KiB`.
        if rounded(bytes, unit) < 1024 {
            break;
        }
        unit *= 1024;
        name = larger;
    }
    let tenths = bytes / unit * 10 + rounded(bytes % unit * 10, unit);
    if unit == 1 || tenths >= 100 {
        push_formatted(page, format_args!("{}", rounded(bytes, unit)));
    } else {
        push_formatted(page, format_args!("{}.{}", tenths / 10, tenths % 10));
    }
    push_formatted(page, format_args!(" <small>{name}</small>"));
}

/// `YYYY-MM-DD HH:MM` in UTC, for programs to the second; nothing for a year that does not have
/// four digits.
fn push_time(page: &mut Vec<u8>, unix_ns: i128) {
    let seconds = unix_ns.div_euclid(1_000_000_000);
    let Some((date, second_of_day)) = i64::try_from(seconds).ok().and_then(civil) else { return };
    let Civil { year, month, day } = date;
    let (minute_of_day, second) = (second_of_day / 60, second_of_day % 60);
    let (hour, minute) = (minute_of_day / 60, minute_of_day % 60);

    page.extend_from_slice(b"<time datetime=\"");
    let start = page.len();
    push_formatted(page, format_args!("{year:04}-{month:02}-{day:02}"));
    let end = page.len();
    push_formatted(page, format_args!("T{hour:02}:{minute:02}:{second:02}Z\">"));
    // For readers: the date, and `HH:MM` of the time.
    page.extend_from_within(start..end);
    page.push(b' ');
    page.extend_from_within(end + 1..end + 6);
    page.extend_from_slice(b"</time>");
}

fn push_formatted(page: &mut Vec<u8>, text: Arguments<'_>) {
    page.write_fmt(text).expect("writing to a Vec does not fail");
}

const REPLACEMENT: char = '\u{fffd}';

/// The longest row without its name.
const ROW_BYTES: usize = 224;

/// What a listing adds to the style of all pages. Names are blocks, so that the whole cell is the
/// link. `plaintext` gives each name its own direction of writing. The icons are masks, so they
/// take the colours of the page.
const STYLE: &str = "\
h1 span { font-weight: 400; color: var(--dim) }
h1 a:first-of-type { margin: 0 -.25em; padding: .2em .3em }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums }
caption { padding-bottom: .5rem; text-align: left; color: var(--dim); font-size: .875rem }
th, td { padding: .4rem .5rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top }
thead th { color: var(--dim); font-size: .875rem; font-weight: 600 }
tbody th { padding: 0; font-weight: 400 }
tr > :nth-child(n + 2) { width: 1%; text-align: right; white-space: nowrap; color: var(--dim) }
tbody tr:hover { background: var(--hover) }
tbody a { --icon: url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' \
  viewBox='0 0 16 16'><path d='M3.5 1.5h5l4 4v9h-9zm5 0v4h4' fill='none' stroke='red'/></svg>\");
  display: block; position: relative; padding: .4rem .5rem .4rem 2.1rem;
  overflow-wrap: anywhere; white-space: pre-wrap; unicode-bidi: plaintext }
tbody a[href$='/'] { font-weight: 600;
  --icon: url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>\
<path d='M1 4q0-1.5 1.5-1.5H6l2 2h5.5Q15 4.5 15 6v6q0 1.5-1.5 1.5h-11Q1 13.5 1 12z'/></svg>\") }
tbody a::before { content: ''; position: absolute; left: .5rem; top: .55rem;
  width: 1.2rem; height: 1.2rem; background: var(--dim);
  -webkit-mask: var(--icon) 0 0 / contain no-repeat; mask: var(--icon) 0 0 / contain no-repeat }
tbody a[href$='/']::before { background: var(--link) }
td small { display: inline-block; width: 2em; text-align: left }
caption small { font-size: 1em }
@media (max-width: 36rem) { tr > :nth-child(3) { display: none } }
";

/// Even if a name were not escaped correctly, the page could run no script and load nothing but the
/// icon of the site.
const POLICY: &str = "<meta http-equiv=\"Content-Security-Policy\" \
content=\"default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; \
base-uri 'none'; form-action 'none'\">\n";

const TABLE: &str = "\
</caption>
<thead>
<tr><th scope=\"col\">Name</th><th scope=\"col\">Size</th><th scope=\"col\">Modified (UTC)</th></tr>
</thead>
<tbody>
";

const PARENT: &str = "<tr><th scope=\"row\">\
<a href=\"../\" aria-label=\"Parent folder\">../</a></th><td></td><td></td></tr>\n";

#[cfg(test)]
mod tests;
