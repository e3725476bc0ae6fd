//! The pages of failures and redirects, and the look that they share with listings.
//!
//! A [`Page`] has one sentence about what happened, one about what to do, and the reason if there
//! is one. It consists of static texts, so it allocates nothing and its length is known
//! before it is written.

use crate::http::status::Status;
use crate::http::writer::Writer;

/// The page of one response, as a list of texts.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pieces: [&'static str; 15],
}

/// What a page is made of: a few words, of which the page is made again for each piece of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    pub(super) status: Status,
    pub(super) why: &'static str,
    pub(super) up: Up,
}

impl Outline {
    /// The page.
    pub fn page(self) -> Page {
        Page::new(self.status, self.why, self.up)
    }
}

/// Which folder a page links to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Up {
    /// None: the request names no path, or the root itself.
    None,
    /// `./`, the folder that a file of this name is in.
    Folder,
    /// `../`, the folder above a folder.
    Parent,
}

impl Up {
    /// The link that leads up from a request path, be it encoded or not.
    pub fn from(path: &[u8]) -> Up {
        match path {
            path if path.iter().all(|&byte| byte == b'/') => Up::None,
            [.., b'/'] => Up::Parent,
            _ => Up::Folder,
        }
    }
}

impl Page {
    /// The page for a status. `why` is the reason, if it is not empty: one of our own texts, which
    /// must not need to be escaped in HTML.
    pub fn new(status: Status, why: &'static str, up: Up) -> Page {
        let title = status.text();
        let row = ROWS.iter().find(|row| row.code == status.code()).unwrap_or(&OTHER);
        let [reason, reason_end] =
            if why.is_empty() { ["", ""] } else { ["<p>Reason: ", "</p>\n"] };
        let link = match up {
            Up::None => "",
            Up::Folder => "<nav><a href=\"./\">Go to the folder</a></nav>\n",
            Up::Parent => "<nav><a href=\"../\">Go to the parent folder</a></nav>\n",
        };
        let body = "</title>\n</head>\n<body>\n<main>\n<h1>";
        // Browsers do not show the page of a redirect, so it has no style, which would be most of
        // its bytes.
        let is_redirect = matches!(status.code(), 300..400);
        let start = if is_redirect { PLAIN_HEAD } else { HEAD };
        let pieces = [
            start,
            if is_redirect { "<title>" } else { "</style>\n<title>" },
            title,
            body,
            title,
            "</h1>\n<p>",
            row.what,
            " ",
            row.advice,
            "</p>\n",
            reason,
            why,
            reason_end,
            link,
            "</main>\n</body>\n</html>\n",
        ];
        Page { pieces }
    }

    /// The texts of which the page consists, in order; some may be empty.
    pub fn pieces(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.pieces.iter().copied()
    }

    /// Writes `count` bytes of the page, from `at`.
    pub fn put(&self, at: usize, count: usize, writer: &mut Writer<'_>) {
        let (mut skip, mut left) = (at, count);
        for piece in self.pieces().map(str::as_bytes) {
            let skipped = skip.min(piece.len());
            let part = &piece[skipped..][..left.min(piece.len() - skipped)];
            writer.put(part);
            (skip, left) = (skip - skipped, left - part.len());
        }
    }

    /// Bytes of the whole page.
    pub fn length(&self) -> usize {
        self.pieces().map(str::len).sum()
    }
}

/// What the page of one status says.
struct Row {
    code: u16,
    /// What happened.
    what: &'static str,
    /// What to do.
    advice: &'static str,
}

const fn row(code: u16, what: &'static str, advice: &'static str) -> Row {
    Row { code, what, advice }
}

/// For a status without a row. A test keeps it unused.
const OTHER: Row = row(0, "The server could not answer this request.", "Try again later.");

const ROWS: &[Row] = &[
    row(
        301,
        "This address has changed for good.",
        "Browsers go to the new one by themselves; please update links to it.",
    ),
    row(
        302,
        "For now, the content is at another address.",
        "Browsers go there by themselves; keep using this address.",
    ),
    row(303, "The result is at another address.", "Browsers go there by themselves."),
    row(
        307,
        "For now, the content is at another address.",
        "Browsers go there by themselves; keep using this address.",
    ),
    row(
        308,
        "This address has changed for good.",
        "Browsers go to the new one by themselves; please update links to it.",
    ),
    row(
        400,
        "The request is malformed or ambiguous.",
        "Check the address for mistakes; if a program sent the request, correct the program.",
    ),
    row(
        401,
        "This address needs a user name and a password.",
        "Load the page again and enter them.",
    ),
    row(
        403,
        "The server may not show what is at this address.",
        "To publish a file, let the server's user read it; to publish a folder, \
         add an index file or turn listings on.",
    ),
    row(
        404,
        "There is nothing at this address.",
        "Check the spelling, or look for the name in the folder.",
    ),
    row(405, "The method of the request is not supported here.", "Use GET, HEAD or OPTIONS."),
    row(
        406,
        "The file is not available in an encoding that the request accepts.",
        "Allow another one in Accept-Encoding, or leave that field out.",
    ),
    row(
        408,
        "The request did not arrive in time.",
        "Send it again; if that fails, too, check the network connection.",
    ),
    row(410, "What was at this address has been removed for good.", "Please delete links to it."),
    row(
        412,
        "The file is not in the state that the request requires.",
        "It was probably changed; get the current version, then try again.",
    ),
    row(
        413,
        "The body of the request is too large.",
        "Send the request without a body; this server does not use it.",
    ),
    row(
        414,
        "The address is too long.",
        "Shorten it, for example by leaving out the part after the question mark.",
    ),
    row(
        416,
        "The file has no bytes in the requested range.",
        "It may have become shorter; download it from the start.",
    ),
    row(
        417,
        "The server cannot do what the Expect field of the request asks for.",
        "Send the request without this field.",
    ),
    row(
        421,
        "The request is meant for another server or protocol.",
        "Check whether the address must begin with http or https.",
    ),
    row(429, "There were too many requests from your address.", "Wait a moment, then try again."),
    row(
        431,
        "The header fields of the request are too large or too many.",
        "Delete the cookies of this site, then try again; in a program, send fewer fields.",
    ),
    row(
        451,
        "Access to this address is denied for a legal reason.",
        "Ask the people who run this site for the reason.",
    ),
    row(
        500,
        "The server could not read the file.",
        "Try again later; the log of the server names the cause.",
    ),
    row(
        501,
        "The server does not know the method or the transfer coding of the request.",
        "Use GET or HEAD, and no transfer coding but chunked.",
    ),
    row(503, "The server cannot answer at the moment.", "Wait a moment, then try again."),
    row(505, "The server does not support the HTTP version of the request.", "Use HTTP/1.1."),
];

/// The start of all pages, up to the end of the style that they share. The colours have a contrast
/// of at least 4.5 to 1 to both backgrounds (WCAG 2.2, AA).
pub(super) const HEAD: &str = "\
<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<style>
:root { color-scheme: light dark; --back: #fff; --text: #1f2328; --dim: #59636e;
  --line: #d8dee4; --link: #0550ae; --hover: #f1f5f9 }
@media (prefers-color-scheme: dark) {
  :root { --back: #0f1318; --text: #e6edf3; --dim: #9aa4af;
    --line: #2c333b; --link: #7ab7ff; --hover: #1a2028 } }
body { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 3rem;
  background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, sans-serif }
h1 { margin: 0 0 1rem; font-size: 1.375rem; line-height: 1.3; overflow-wrap: anywhere }
a { color: var(--link) }
td a, th a { text-decoration: none }
a:hover { text-decoration: underline }
a:focus-visible { outline: 2px solid; outline-offset: -2px }
";

/// The start of a page without style.
const PLAIN_HEAD: &str = "\
<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_the_same_in_pieces_of_any_length() {
        let page = Page::new(Status::NotFound, "why", Up::Folder);
        let whole: String = page.pieces().collect();
        for most in [1, 7, 100, 1000, 5000] {
            let mut written = Vec::new();
            while written.len() < whole.len() {
                let (at, mut room) = (written.len(), [0; 5000]);
                let mut writer = Writer::new(&mut room);
                page.put(at, most.min(whole.len() - at), &mut writer);
                let length = writer.finish().unwrap();
                written.extend_from_slice(&room[..length]);
            }
            assert_eq!(written, whole.as_bytes(), "{most}");
        }
    }

    fn text(page: &Page) -> String {
        page.pieces().collect()
    }

    #[test]
    fn every_status_that_has_a_page_has_its_own_row() {
        for pair in ROWS.windows(2) {
            assert!(pair[0].code < pair[1].code, "{} before {}", pair[0].code, pair[1].code);
        }
        for status in Status::ALL {
            let has_page = !matches!(status.code(), 200..300 | 304);
            let rows = ROWS.iter().filter(|row| row.code == status.code()).count();
            assert_eq!(rows, usize::from(has_page), "{}", status.text());
        }
    }

    #[test]
    fn a_row_is_two_sentences_that_need_no_escapes() {
        for row in ROWS {
            for sentence in [row.what, row.advice] {
                assert!(sentence.ends_with('.') && !sentence.contains(". "), "{sentence}");
                assert!(!sentence.contains(['<', '>', '&']), "{sentence}");
            }
        }
    }

    /// The relative luminance of `#rrggbb` or `#rgb`, as WCAG 2.2 defines it.
    fn luminance(colour: &str) -> f64 {
        let digits = colour.trim_start_matches('#');
        let step = digits.len() / 3;
        let channel = |at: usize| {
            let digits = digits[at * step..][..step].repeat(2 / step);
            let value = f64::from(u8::from_str_radix(&digits, 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2)
    }

    #[test]
    fn texts_and_links_can_be_read_in_both_schemes() {
        let schemes: Vec<&str> = HEAD.split(":root").skip(1).collect();
        assert_eq!(schemes.len(), 2);
        for scheme in schemes {
            let colour = |name: &str| {
                let value = scheme.split_once(&format!("--{name}: ")).unwrap().1;
                luminance(value.split([';', ' ']).next().unwrap())
            };
            for back in ["back", "hover"] {
                for text in ["text", "dim", "link"] {
                    let (one, two) = (colour(back), colour(text));
                    let ratio = (one.max(two) + 0.05) / (one.min(two) + 0.05);
                    assert!(ratio >= 4.5, "{text} on {back}: {ratio:.1} to 1");
                }
            }
        }
    }

    #[test]
    fn a_page_says_what_happened_what_to_do_why_and_where_to_go() {
        let page = Page::new(Status::NotFound, "", Up::Folder);
        let html = text(&page);
        assert_eq!(page.length(), html.len());
        assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">\n"));
        assert!(html.contains("<title>404 Not Found</title>"));
        assert!(html.contains(
            "<h1>404 Not Found</h1>\n<p>There is nothing at this address. \
             Check the spelling, or look for the name in the folder.</p>\n\
             <nav><a href=\"./\">Go to the folder</a></nav>\n</main>\n</body>\n</html>\n"
        ));
        assert!(!html.contains("Reason"));

        let page = Page::new(Status::BadRequest, "no Host", Up::None);
        let html = text(&page);
        assert_eq!(page.length(), html.len());
        assert!(html.contains("program.</p>\n<p>Reason: no Host</p>\n</main>"), "{html}");
        assert!(html.len() < 2048, "{} bytes", html.len());

        let page = Page::new(Status::MovedPermanently, "", Up::None);
        let html = text(&page);
        assert_eq!(page.length(), html.len());
        assert!(html.contains("<title>301 Moved Permanently</title>\n</head>"), "{html}");
        assert!(html.len() < 512, "{} bytes", html.len());
    }

    #[test]
    fn the_link_leads_to_the_folder_that_a_file_would_be_in_or_above_a_folder() {
        for (path, up) in [
            ("/", Up::None),
            ("", Up::None),
            ("/a", Up::Folder),
            ("/a/", Up::Parent),
            ("/a/b", Up::Folder),
            ("/a/b/", Up::Parent),
            ("//", Up::None),
        ] {
            assert_eq!(Up::from(path.as_bytes()), up, "{path}");
        }
        assert!(text(&Page::new(Status::Forbidden, "", Up::Parent)).contains("href=\"../\""));
        assert!(!text(&Page::new(Status::Forbidden, "", Up::None)).contains("href"));
    }
}
