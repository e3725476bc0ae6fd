//! A build without TLS: nothing of it exists, and the settings refuse what would need it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use zeroize::Zeroizing;

use super::facts::{Expiry, Facts, Handshakes, Opened};
use super::transport::{Plain, Sent};
use crate::config::TlsConfig;
use crate::http::covered::Names;

const MISSING: &str = "this program was built without TLS (feature 'tls')";

/// There are no certificates to check.
///
/// # Errors
/// If some are configured.
pub fn check(config: &TlsConfig, _: u64) -> Result<Vec<String>, Vec<String>> {
    if config.certificates.is_empty() { Ok(Vec::new()) } else { Err(vec![MISSING.to_owned()]) }
}

/// A connection with TLS; there is none.
#[derive(Debug)]
pub enum Secured {}

#[expect(clippy::missing_errors_doc, reason = "none of this is ever called")]
#[allow(missing_docs, reason = "as for the methods with TLS")]
impl Secured {
    pub(super) fn new(_: OwnedFd, _: &Terminal) -> Option<Secured> {
        None
    }

    pub(super) fn socket(&self) -> &Plain {
        match *self {}
    }

    pub(super) fn socket_mut(&mut self) -> &mut Plain {
        match *self {}
    }

    pub fn facts(&self) -> Option<Facts> {
        match *self {}
    }

    pub fn open(&mut self, _: &mut Terminal) -> io::Result<Opened> {
        match *self {}
    }

    pub fn is_readable(&self) -> bool {
        match *self {}
    }

    pub fn is_writable(&self) -> bool {
        match *self {}
    }

    pub fn receive(&mut self, _: &mut [u8], _: &mut Terminal) -> io::Result<usize> {
        match *self {}
    }

    pub fn discard(&mut self, _: &mut Terminal) -> io::Result<usize> {
        match *self {}
    }

    pub fn send(&mut self, _: &[u8], _: &[u8], _: &mut Terminal) -> io::Result<usize> {
        match *self {}
    }

    pub fn send_file(
        &mut self,
        _: &[u8],
        _: &File,
        _: (u64, u64),
        _: &mut Terminal,
    ) -> io::Result<Sent> {
        match *self {}
    }

    pub fn send_last(&mut self, _: &[u8], _: &mut Terminal) -> usize {
        match *self {}
    }

    pub fn shutdown_write(&mut self, _: &mut Terminal) -> io::Result<()> {
        match *self {}
    }

    pub fn part(&mut self, _: &mut Terminal) {
        match *self {}
    }

    pub fn is_flushed(&self) -> bool {
        match *self {}
    }

    pub fn flush(&mut self) -> io::Result<()> {
        match *self {}
    }
}

/// What all connections with TLS share: nothing.
#[derive(Debug, Default)]
pub struct Terminal {
    /// None.
    pub handshakes: Handshakes,
}

impl Terminal {
    /// # Errors
    /// Always.
    pub fn load(
        _: &TlsConfig,
        _: &Material,
        _: u64,
    ) -> Result<(Terminal, Vec<String>), Vec<String>> {
        Err(vec![MISSING.to_owned()])
    }

    /// Does nothing.
    #[inline]
    pub fn begin_turn(&mut self, _: u32) {}

    /// None.
    pub fn names(&self) -> Vec<Names> {
        Vec::new()
    }

    /// None.
    pub fn expiries(&self) -> Vec<Expiry> {
        Vec::new()
    }

    /// None.
    pub fn warnings(&self, _: u64) -> Vec<String> {
        Vec::new()
    }
}

/// What workers share: there is none.
#[derive(Clone, Debug)]
pub enum Material {}

impl Material {
    /// # Errors
    /// Always.
    pub fn new(_: u64) -> Result<Material, String> {
        Err(MISSING.to_owned())
    }

    /// # Errors
    /// Never called.
    pub fn make_certificate(&mut self, _: Vec<String>, _: u64) -> Result<(), String> {
        match *self {}
    }

    /// Never called.
    pub fn describe(&self) -> Option<String> {
        match *self {}
    }

    /// Never called.
    pub fn to_bytes(&mut self, _: u64) -> Zeroizing<Vec<u8>> {
        match *self {}
    }

    /// There is none.
    pub fn from_bytes(_: &[u8]) -> Option<Material> {
        None
    }
}
