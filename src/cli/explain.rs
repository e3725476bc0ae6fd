//! Arguments of `tenkay explain`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::Args;

use super::{Settings, SettingsArgs};

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = "\
    The options of the server apply, too; so do the environment and --config FILE. Without a host, \
    the URL is a path of localhost; without a scheme, neither the redirect to HTTPS nor the \
    certificate is explained.\n\n\
    Exit status: 0 = there is a response, whatever its status is; 1 = the configuration file is \
    wrong, or a folder cannot be read; 2 = bad arguments.")]
pub(super) struct ExplainArgs {
    /// URL or path to explain
    pub(super) url: String,

    /// Folder to serve [default: .]
    pub(super) root: Option<PathBuf>,

    /// Field of the request; repeatable
    #[arg(short = 'H', value_name = "Name: value")]
    pub(super) fields: Vec<String>,

    /// Method of the request
    #[arg(short = 'X', value_name = "METHOD", default_value = "GET")]
    pub(super) method: String,

    /// Address of the client
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(super) client: IpAddr,

    /// Write a JSON object
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

/// What to explain, and for which settings.
#[derive(Debug)]
pub struct Explain {
    /// The URL, or a path.
    pub url: String,
    /// Field lines, `Name: value`.
    pub fields: Vec<String>,
    /// The method.
    pub method: String,
    /// The address of the client.
    pub client: IpAddr,
    /// Write JSON.
    pub json: bool,
    /// The settings of the server.
    pub settings: Settings,
    /// Where each site is defined.
    pub places: Vec<String>,
}
