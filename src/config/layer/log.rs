//! What one source says about the logs.

use super::{Layered, Origin, Replaced, value_or};
use crate::config::{AccessFormat, AccessLogConfig, LogConfig, LogFormat, LogLevel, LogTarget};

settings! {
    /// What one source says about the logs; what it does not say is empty.
    LogLayer {
        /// Where the access log goes; the inner `None`: it is off.
        access_log: Replaced<Option<LogTarget>>;
        /// The form of its lines.
        access_log_format: Replaced<AccessFormat>;
        /// How much is logged on standard error.
        log_level: Replaced<LogLevel>;
        /// The form of these lines.
        log_format: Replaced<LogFormat>;
    }
}

impl LogLayer {
    /// The settings: this layer over the defaults.
    pub fn into_config(self) -> (Option<AccessLogConfig>, LogConfig) {
        let format = value_or(self.access_log_format, AccessFormat::default());
        let target = value_or(self.access_log, None);
        let access_log = target.map(|target| AccessLogConfig { target, format });
        let level = value_or(self.log_level, LogLevel::default());
        let format = value_or(self.log_format, LogFormat::default());
        (access_log, LogConfig { level, format })
    }
}
