//! The wire tests: the responses of the built server, byte for byte, to the bytes of a client.
//!
//! The cases are data, one file per subject: `tests/wire/*.cases`. How to read and to add one is
//! explained in `tests/wire/README.md`. The modules below run them:
//!
//! | module | task |
//! |---|---|
//! | [`common`] | the server as a child process |
//! | [`tree`] | the directory that is served, from tree.txt |
//! | [`text`] | escapes, repetition and captured values in the data |
//! | [`format`] | parses a file of cases |
//! | [`answer`] | parses response heads, bodies and multiparts |
//! | [`rules`] | rules for every response |
//! | [`checks`] | the expectations of a case |
//! | [`exchange`] | one connection |
//! | [`over_h2`] | the same over HTTP/2, with and without TLS |
//! | [`peer`] | a client of HTTP/2 |
//! | [`run`] | runs a file, and reports |
//! | [`secure`] | the connection over TLS |

#[path = "wire/answer.rs"]
mod answer;
#[path = "wire/checks.rs"]
mod checks;
mod common;
#[path = "wire/exchange.rs"]
mod exchange;
#[path = "wire/format.rs"]
mod format;
#[path = "wire/over_h2.rs"]
mod over_h2;
#[path = "h2_peer/mod.rs"]
mod peer;
#[path = "wire/rules.rs"]
mod rules;
#[path = "wire/run.rs"]
mod run;
#[cfg(feature = "tls")]
#[path = "common/secure.rs"]
#[expect(dead_code, reason = "this crate uses a part of it")]
mod secure;
#[path = "wire/text.rs"]
mod text;
#[path = "wire/tree.rs"]
mod tree;

/// One test for each file of cases, and one that all files are listed.
macro_rules! case_files {
    ($($name:ident)*) => {
        /// `cargo test --test wire cases_of::ranges` runs one file.
        mod cases_of {
            $(
                #[test]
                fn $name() {
                    if let Err(report) = crate::run::case_file(stringify!($name), false) {
                        panic!("{report}");
                    }
                }
            )*
        }

        /// The same over TLS.
        #[cfg(feature = "tls")]
        mod over_tls {
            $(
                #[test]
                fn $name() {
                    // Its server listens on a Unix socket.
                    if stringify!($name) == "unix" {
                        return;
                    }
                    if let Err(report) = crate::run::case_file(stringify!($name), true) {
                        panic!("{report}");
                    }
                }
            )*
        }

        const CASE_FILES: &[&str] = &[$(stringify!($name)),*];
    };
}

case_files! {
    archives
    cache_off
    cache_value
    chunked
    clean_redirect
    clean_serve
    codings
    conditions
    cors_any
    cors_list
    dates
    directories
    error_pages
    expect
    fields
    framing
    half_close
    head_timeouts
    heads
    hidden
    hosts
    if_range
    keep_alive_timeout
    lengths
    limits
    links
    links_off
    listing
    methods
    multipart
    names
    no_listing
    paths
    permissions
    persistence
    pipelining
    quiet
    ranges
    redirect_flags
    rule_files
    sidecars
    sites
    small_limits
    spa
    targets
    transfer_encoding
    types
    unix
    versions
}

#[test]
fn every_file_of_cases_is_run() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire");
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "cases") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(CASE_FILES.contains(&name), "{name} is not in the list of tests/wire.rs");
        }
    }
}
