//! What is logged, where, and how.

use std::ffi::OsStr;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogConfig {
    /// Where the lines go.
    pub target: LogTarget,
    /// The form of a line.
    pub format: AccessFormat,
}

/// The log on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// How much is logged.
    pub level: LogLevel,
    /// The form of a line.
    pub format: LogFormat,
}

/// Where a log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file or a FIFO. SIGUSR1 opens it anew.
    Path(PathBuf),
}

impl LogTarget {
    /// A path, or one of the words `stdout` and `stderr`; `None`: `off`.
    pub fn parse(text: &OsStr) -> Option<LogTarget> {
        match text.to_str() {
            Some("off") => None,
            Some("stdout") => Some(LogTarget::Stdout),
            Some("stderr") => Some(LogTarget::Stderr),
            _ => Some(LogTarget::Path(text.into())),
        }
    }

    /// Its path, if it has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            LogTarget::Path(path) => Some(path),
            LogTarget::Stdout | LogTarget::Stderr => None,
        }
    }

    /// The line about a log that cannot be opened.
    pub fn cannot_open(&self, error: &std::io::Error) -> String {
        let advice = match error.kind() {
            ErrorKind::NotFound => "create its folder, or choose another path with --access-log",
            ErrorKind::PermissionDenied => {
                "let the user that opens it write there (to the file if it exists, and to its \
                 folder), or choose another path with --access-log"
            }
            _ => "choose another path with --access-log",
        };
        format!("cannot open the access log {self}: {error}; {advice}")
    }
}

impl fmt::Display for LogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogTarget::Stdout => f.write_str("standard output"),
            LogTarget::Stderr => f.write_str("standard error"),
            LogTarget::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The form of a line of the access log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessFormat {
    /// The Common Log Format, as Apache writes it.
    Common,
    /// The same with Referer and User-Agent.
    #[default]
    Combined,
    /// `Combined` behind the host and the port that the request names, as Apache's `%v:%p`.
    VhostCombined,
    /// An object of JSON.
    Json,
}

/// How much is logged on standard error: a level includes those above it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Failures.
    Error,
    /// Conditions that may need a change.
    Warn,
    /// Normal operation.
    #[default]
    Info,
    /// Each connection and each request.
    Debug,
}

/// The form of a line on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `tenkay: ` and a text.
    #[default]
    Text,
    /// An object of JSON.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_about_an_access_log_fits_the_error() {
        let log = LogTarget::Path("/var/log/a".into());
        for (kind, advice) in [
            (ErrorKind::NotFound, "create its folder, or choose another path"),
            (ErrorKind::PermissionDenied, "let the user that opens it write there"),
            (ErrorKind::IsADirectory, "choose another path with --access-log"),
        ] {
            let line = log.cannot_open(&kind.into());
            assert!(line.starts_with("cannot open the access log /var/log/a: "), "{line}");
            assert_eq!(
                line.split("; ").nth(1).map(|it| it.starts_with(advice)),
                Some(true),
                "{line}"
            );
        }
    }
}
