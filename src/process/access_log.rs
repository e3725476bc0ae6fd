//! Opening the access log: before privileges are dropped, or in the supervisor of the workers.

use std::os::fd::{AsFd, BorrowedFd};

use crate::config::{AccessLogConfig, LogTarget};
use crate::journal::LogFile;

/// The log of a generation of workers, open.
#[derive(Debug)]
pub(super) struct OpenLog {
    target: LogTarget,
    file: LogFile,
}

impl OpenLog {
    /// Opens the log, if there is one.
    ///
    /// # Errors
    /// In one line.
    pub(super) fn open(config: Option<&AccessLogConfig>) -> Result<Option<OpenLog>, String> {
        let Some(AccessLogConfig { target, .. }) = config else { return Ok(None) };
        Ok(Some(OpenLog { target: target.clone(), file: open(target)? }))
    }

    /// Opens the same path anew. False: it has none.
    ///
    /// # Errors
    /// In one line; then the log is as it was.
    pub(super) fn reopen(&mut self) -> Result<bool, String> {
        if !matches!(self.target, LogTarget::Path(_)) {
            return Ok(false);
        }
        self.file = open(&self.target)?;
        Ok(true)
    }

    /// The open file.
    pub(super) fn into_file(self) -> LogFile {
        self.file
    }
}

impl AsFd for OpenLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn open(target: &LogTarget) -> Result<LogFile, String> {
    LogFile::open(target).map_err(|error| target.cannot_open(&error))
}
