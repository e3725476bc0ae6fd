//! Arguments of the commands that look at the settings and serve nothing.

use std::path::PathBuf;

use clap::Args;

use super::SettingsArgs;

/// Arguments of `tenkay check`.
#[derive(Debug, Args)]
#[command(
    args_override_self = true,
    after_help = "\
    It reads what a start reads, but binds no socket. Each problem is one line: \
    FILE:LINE:COLUMN: what; how to fix it. Bad lines in _redirects and _headers are warnings.\n\n\
    Exit status: 0 = a start would succeed, if the addresses are free; 1 = there are problems; \
    2 = bad arguments."
)]
pub(super) struct CheckArgs {
    /// Folder to serve [default: .]
    pub(super) root: Option<PathBuf>,

    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

/// Arguments of `tenkay config`.
#[derive(Debug, Args)]
#[command(
    args_override_self = true,
    after_help = "\
    The output can be used with --config again. Paths are absolute. Limits that are not set are \
    comments.\n\n\
    Exit status: 0 = printed; 1 = the configuration file is wrong; 2 = bad arguments."
)]
pub(super) struct ShowArgs {
    /// Folder to serve [default: .]
    pub(super) root: Option<PathBuf>,

    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}
