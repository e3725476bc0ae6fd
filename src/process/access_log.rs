//! The access log, opened by the process that may do so: the one that was started, before it gives
//! up rights, or the supervisor of the workers.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::config::{AccessLogConfig, LogTarget};
use crate::journal::LogFile;

use super::channel::Fields;

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

    /// Describes it to a worker, and adds its descriptor.
    pub(super) fn describe<'l>(
        log: Option<&'l OpenLog>,
        to: &mut Fields,
        descriptors: &mut Vec<BorrowedFd<'l>>,
    ) {
        to.put_number(u64::from(log.is_some()));
        descriptors.extend(log.map(AsFd::as_fd));
    }

    /// What [`OpenLog::describe`] has described. The outer `None`: it is malformed.
    pub(super) fn adopt(
        from: &mut Fields,
        descriptors: &mut impl Iterator<Item = OwnedFd>,
    ) -> Option<Option<LogFile>> {
        match from.take_number::<u8>()? {
            0 => Some(None),
            _ => Some(Some(LogFile::adopt(descriptors.next()?).ok()?)),
        }
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
