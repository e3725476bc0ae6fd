//! A build without TLS: nothing of it exists, and the settings refuse what would need it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use zeroize::Zeroizing;

use super::facts::{Checked, Facts, Handshakes, Notice, Opened};
use super::transport::{Plain, Sent};
use crate::config::TlsConfig;
use crate::http::covered::Names;
use crate::inherited::Inherited;

const MISSING: &str = "this program was built without TLS (feature 'tls')";

/// There are no certificates to check; if some are configured, that is a problem.
pub fn check(config: &TlsConfig, _: &Inherited, _: u64) -> Checked {
    let missing = (!config.certificates.is_empty()).then(|| MISSING.to_owned());
    Checked { problems: missing.into_iter().collect(), ..Checked::default() }
}

/// There are no certificates.
///
/// # Errors
/// If some are configured.
pub fn covered(config: &TlsConfig) -> Result<Vec<Names>, String> {
    if config.certificates.is_empty() { Ok(Vec::new()) } else { Err(MISSING.to_owned()) }
}

/// A connection with TLS; there is none.
#[derive(Debug)]
pub enum Secured {}

impl Secured {
    pub(super) fn new(_: OwnedFd, _: &Terminal) -> Option<Secured> {
        None
    }
}

/// Methods without a body: there is no value to call them on.
macro_rules! never_called {
    ($($name:ident($($argument:ty),*) -> $result:ty;)*) => {
        #[allow(missing_docs, clippy::missing_errors_doc, reason = "as with TLS")]
        impl Secured {
            $(pub fn $name(&self, $(_: $argument),*) -> $result { match *self {} })*
        }
    };
}

never_called! {
    socket() -> &Plain;
    socket_mut() -> &mut Plain;
    facts() -> Option<Facts>;
    open(&mut Terminal) -> io::Result<Opened>;
    is_readable() -> bool;
    is_writable() -> bool;
    receive(&mut [u8], &mut Terminal) -> io::Result<usize>;
    discard(&mut Terminal) -> io::Result<usize>;
    send(&[u8], &[u8], bool, &mut Terminal) -> io::Result<usize>;
    send_file(&[u8], &File, (u64, u64), bool, &mut Terminal) -> io::Result<Sent>;
    push(&mut Terminal) -> io::Result<()>;
    send_last(&[u8], &mut Terminal) -> usize;
    shutdown_write(&mut Terminal) -> io::Result<()>;
    part(&mut Terminal) -> ();
    is_flushed() -> bool;
    unsent_bytes() -> &[u8];
    buffered() -> usize;
    flush() -> io::Result<()>;
}

/// Shared by all connections with TLS: nothing.
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
        _: &Inherited,
        _: u64,
    ) -> Result<(Terminal, Vec<Notice>), Vec<String>> {
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
    pub fn first_expiry(&self) -> Option<u64> {
        None
    }

    /// None.
    pub fn notices(&self, _: u64) -> Vec<Notice> {
        Vec::new()
    }
}

/// Shared by all workers: there is none.
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
