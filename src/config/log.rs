//! What is logged, where, and how.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogConfig {
    /// Where the lines go.
    pub target: LogTarget,
    /// The form of a line.
    pub format: AccessFormat,
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

impl FromStr for LogTarget {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<LogTarget, Infallible> {
        Ok(match text {
            "stdout" => LogTarget::Stdout,
            "stderr" => LogTarget::Stderr,
            path => LogTarget::Path(path.into()),
        })
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
    /// An object of JSON.
    Json,
}

/// How much is logged on standard error: a level includes those above it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What the server could not do.
    Error,
    /// What it did, but an administrator may want to change.
    Warn,
    /// What it does.
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
