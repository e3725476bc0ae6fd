//! What a path's rules add to its responses.
//!
//! A policy depends on the path alone. It is decided once, when the entry of the path is made, and
//! kept with the entry, so a request that the cache answers evaluates no rule.

use crate::config::SiteConfig;

/// The decisions for one path.
#[derive(Debug)]
pub struct Policy {
    lines: Box<[u8]>,
}

impl Policy {
    /// The policy of a site without rules.
    pub fn of(config: &SiteConfig) -> Policy {
        let mut lines = Vec::new();
        if config.server_header {
            lines.extend_from_slice(b"Server: tenkay\r\n");
        }
        lines.extend_from_slice(b"X-Content-Type-Options: nosniff\r\n");
        Policy { lines: lines.into() }
    }

    /// Field lines for every response, each with its CRLF.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }
}
