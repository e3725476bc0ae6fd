//! The rule language of `_redirects`, `_headers` and the tables of the configuration.
//!
//! Owns what a line means: which paths a pattern matches, where a redirect leads, which fields a
//! block sets. Does no I/O and knows neither sites nor files: a caller passes the text of a rule
//! file or the values of a table, and later the canonical path of a request, decoded.
//!
//! | module | question it answers |
//! |---|---|
//! | [`extension`] | does this name have an extension of a pattern |
//! | [`pattern`] | does this path match, and what do its placeholders stand for |
//! | [`destination`] | which Location, or which file, does `to` name for this path |
//! | [`redirect`] | what does one redirect rule say |
//! | [`header`] | what does one block of fields say |
//! | [`overlay`] | which fields does a response have after all blocks that match |
//! | [`mod@file`] | which rules does a file hold, and which of its lines are bad |
//! | [`table`] | which of 2,000 rules match this path, in their order |
//!
//! # Patterns
//!
//! A pattern is a path, in UTF-8 or percent-encoded, that is decoded once and then compared with
//! case, byte by byte. A segment `:name` matches one segment; `*` as the last segment matches the
//! rest, which may be empty. `*.css` as the last segment, in the patterns of fields and of access
//! rules, matches what has this extension, at any depth. A slash at the end makes no difference.
//! There is no backtracking: a comparison takes time linear in the length of the path.
//!
//! # What is left out
//!
//! Query conditions, `Country=`, `Language=`, `Role=`, patterns with a host, and proxying. A line
//! that uses one of these is a [`file::Problem`], like any other bad line; the rest of the file
//! applies.

pub mod destination;
pub mod extension;
pub mod file;
pub mod header;
pub mod overlay;
pub mod pattern;
pub mod redirect;
pub mod table;
mod text;

#[cfg(test)]
mod tests;
