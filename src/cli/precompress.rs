//! Arguments of the command that writes compressed files.

use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Arguments of `tenkay precompress`.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[command(after_help = "\
    Existing NAME.zst, NAME.br and NAME.gz beside a compressible file NAME are replaced if their \
    modification time is not that of NAME. Files without such a NAME are not touched.\n\n\
    Exit status: 0 = all up to date; 1 = with --check: some are missing or stale; else: some \
    files failed; 2 = bad arguments.")]
pub struct Precompress {
    /// Folder with the files to compress
    pub root: PathBuf,

    /// Write nothing; list what is missing or stale, and end with status 1 if there is something
    #[arg(long)]
    pub check: bool,

    /// Processes that compress [default: one per processor]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,

    /// Work for another process of this command.
    #[arg(long, hide = true)]
    pub worker: bool,
}
