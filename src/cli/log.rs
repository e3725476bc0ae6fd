//! The flags of the logs.

use std::ffi::OsString;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::{one_of, some};
use crate::config::layer::{LogLayer, Origin};
use crate::config::{AccessFormat, LogFormat, LogLevel, LogTarget, value};

/// See the module.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// File for a line for each request, or stdout, stderr, off; SIGUSR1 reopens it [default: off]
    #[arg(long, value_name = "PATH", value_parser = OsStringValueParser::new().try_map(target))]
    access_log: Option<OsString>,

    /// Form of these lines [default: combined]
    #[arg(long, value_name = "common|combined|vhost_combined|json", hide_possible_values = true)]
    #[arg(value_parser = one_of(value::ACCESS_FORMAT))]
    access_log_format: Option<AccessFormat>,

    /// Least important lines on standard error [default: info]
    #[arg(long, value_name = "error|warn|info|debug", hide_possible_values = true)]
    #[arg(value_parser = one_of(value::LOG_LEVEL))]
    log_level: Option<LogLevel>,

    /// Form of the lines on standard error [default: text]
    #[arg(long, value_name = "text|json", hide_possible_values = true)]
    #[arg(value_parser = one_of(value::LOG_FORMAT))]
    log_format: Option<LogFormat>,
}

impl LogArgs {
    pub(super) fn into_layer(self, origin: &Origin) -> LogLayer {
        let access_log = self.access_log.map(|text| LogTarget::parse(&text));
        LogLayer {
            access_log: some(access_log, origin),
            access_log_format: some(self.access_log_format, origin),
            log_level: some(self.log_level, origin),
            log_format: some(self.log_format, origin),
        }
    }
}

fn target(text: OsString) -> Result<OsString, &'static str> {
    if text.is_empty() { Err("the path is empty; off turns the log off") } else { Ok(text) }
}
