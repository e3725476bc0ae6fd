//! In place of the module that compresses files between requests: a build without the encoders.

use crate::clock::Clock;
use crate::http::negotiate::Coding;

use super::Store;
use super::cache::Part;

/// Tasks, of which there are none.
#[derive(Debug, Default)]
pub(super) struct Encodings(());

/// A file to encode.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) part: Part,
    pub(super) key: Box<[u8]>,
    pub(super) coding: Coding,
}

impl Encodings {
    /// False: there is nothing to encode.
    pub(super) fn is_working(&self) -> bool {
        false
    }

    /// False: there is no queue.
    pub(super) fn push(&mut self, _: Task) -> bool {
        false
    }

    /// Does nothing.
    pub(super) fn drop_part(&mut self, _: Part) {}
}

impl Store {
    /// Does nothing.
    pub(super) fn encode(&mut self, _: &Clock) {}
}
