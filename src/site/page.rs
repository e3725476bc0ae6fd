//! The page of a response that is not a file.

use crate::http::status::Status;

/// The pieces of a page, in order.
pub type Pieces = [&'static str; 8];

/// The page for this status, and the reason, which may be empty. The texts are our own, so none
/// needs to be escaped.
pub fn pieces(status: Status, why: &'static str) -> Pieces {
    let reason = if why.is_empty() { ["", "", ""] } else { ["<p>Reason: ", why, "</p>\n"] };
    let text = status.text();
    [PAGE[0], text, PAGE[1], text, PAGE[2], reason[0], reason[1], reason[2]]
}

/// Bytes of the page.
pub fn length(status: Status, why: &'static str) -> u64 {
    pieces(status, why).iter().map(|piece| piece.len() as u64).sum() // widening
}

const PAGE: [&str; 3] = [
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
     <meta name=\"viewport\" content=\"width=device-width\">\n\
     <meta name=\"color-scheme\" content=\"light dark\">\n<title>",
    "</title>\n<h1>",
    "</h1>\n",
];
