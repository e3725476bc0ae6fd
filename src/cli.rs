//! What was typed: the arguments, their help, and their errors, from one table.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};

use crate::config::{Config, Limits, ListenAddress, SiteConfig, Symlinks, WhenFull};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "tenkay",
    version,
    about = "Serves the files of a folder over HTTP, from one thread.",
    after_long_help = limits_help(),
)]
pub struct Args {
    /// The folder to serve
    #[arg(default_value = ".")]
    root: PathBuf,

    #[arg(
        short,
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080",
        help = "\
        Where to await connections: host:port, [::]:port (IPv4 and IPv6) or unix:/path; port 0 \
        picks a free one. May be given several times"
    )]
    listen: Vec<ListenAddress>,

    /// Files that stand for their folder, in order of preference
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "index.html")]
    #[arg(value_parser = index_name)]
    index: Vec<String>,

    /// List folders that have no index file (this is so unless said otherwise)
    #[arg(long, overrides_with = "no_listing")]
    listing: bool,

    /// Answer 403 for folders that have no index file
    #[arg(long)]
    no_listing: bool,

    /// Follow symbolic links inside the folder, or treat them as absent
    #[arg(long, value_name = "HOW", default_value = "follow")]
    symlinks: SymlinksArg,

    /// Whether answers name the server
    #[arg(long, value_name = "HOW", default_value = "on")]
    server_header: Switch,

    /// Become this user once the sockets are bound; needs root
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Give up access to all files but those that are served (Linux with Landlock)
    #[arg(long, value_name = "HOW", default_value = "on")]
    sandbox: Switch,

    /// What new connections get while there is no room: they wait, or get a 503 at once
    #[arg(long, value_name = "HOW", default_value = "wait")]
    when_full: WhenFullArg,

    /// Change a limit; --help lists them. May be given several times
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    limits: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SymlinksArg {
    /// Follow them as long as they stay inside
    Follow,
    /// Treat them as absent
    Off,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WhenFullArg {
    /// They wait until a connection ends
    Wait,
    /// They get a 503
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    /// Yes
    On,
    /// No
    Off,
}

impl Args {
    /// What is meant by what was typed. The error says what is wrong with a limit, as clap says it
    /// of all else.
    pub fn into_config(self) -> Result<Config, clap::Error> {
        let wrong = |why| {
            Args::command().error(ErrorKind::ValueValidation, format!("a wrong --limit: {why}"))
        };
        let mut limits = Limits::default();
        for assignment in &self.limits {
            limits.set(assignment).map_err(wrong)?;
        }
        limits.check().map_err(wrong)?;
        Ok(Config {
            root: self.root,
            listen: self.listen,
            site: SiteConfig {
                index: self.index,
                listing: !self.no_listing,
                symlinks: match self.symlinks {
                    SymlinksArg::Follow => Symlinks::Inside,
                    SymlinksArg::Off => Symlinks::Off,
                },
                server_header: self.server_header == Switch::On,
            },
            user: self.user,
            sandbox: self.sandbox == Switch::On,
            when_full: match self.when_full {
                WhenFullArg::Wait => WhenFull::Wait,
                WhenFullArg::Refuse => WhenFull::Refuse,
            },
            limits,
        })
    }
}

/// An index file is a name, not a path, and not one that is never served.
fn index_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['/', '\0']) {
        return Err("an index file is a name without a slash".to_owned());
    }
    if text.starts_with('.') {
        return Err("names that begin with a dot are not served".to_owned());
    }
    Ok(text.to_owned())
}

/// The table of limits, for the long help.
fn limits_help() -> String {
    let mut help = String::from("Limits (--limit NAME=VALUE):\n");
    for row in Limits::TABLE {
        let meaning = row.meaning.trim();
        help.push_str(&format!(
            "  {}={} ({} to {})\n      {meaning}\n",
            row.name, row.default, row.least, row.most
        ));
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(args: &[&str]) -> Result<Config, String> {
        let args = std::iter::once("tenkay").chain(args.iter().copied());
        Args::try_parse_from(args).and_then(Args::into_config).map_err(|error| error.to_string())
    }

    #[test]
    fn the_table_of_arguments_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn nothing_typed_means_this_folder_on_port_8080() {
        let config = config(&[]).unwrap();
        assert_eq!(config.root, PathBuf::from("."));
        assert_eq!(config.listen, [ListenAddress::Tcp("127.0.0.1:8080".to_owned())]);
        assert!(config.site.listing && config.site.server_header);
        assert_eq!(config.limits, Limits::default());
    }

    #[test]
    fn every_option_reaches_the_setting_it_names() {
        let config = config(&[
            "/srv",
            "--listen",
            "[::]:80",
            "--listen",
            "unix:/run/t",
            "--index",
            "a.html,b.html",
            "--no-listing",
            "--symlinks",
            "off",
            "--server-header",
            "off",
            "--limit",
            "fields=7",
        ])
        .unwrap();
        assert_eq!(config.root, PathBuf::from("/srv"));
        assert_eq!(config.listen.len(), 2);
        assert_eq!(config.site.index, ["a.html", "b.html"]);
        assert!(!config.site.listing && !config.site.server_header);
        assert_eq!(config.site.symlinks, Symlinks::Off);
        assert_eq!(config.limits.fields, 7);
    }

    #[test]
    fn the_last_of_listing_and_no_listing_counts() {
        assert!(config(&["--no-listing", "--listing"]).unwrap().site.listing);
        assert!(!config(&["--listing", "--no-listing"]).unwrap().site.listing);
    }

    #[test]
    fn an_error_says_what_is_wrong() {
        for (args, expected) in [
            (&["--listen", "8080"][..], "the port is missing"),
            (&["--limit", "fields=0"], "from 1 to 256"),
            (&["--limit", "head_bytes=100", "--limit", "target_bytes=101"], "cannot be larger"),
            (&["--index", "a/b"], "without a slash"),
            (&["--index", ".index"], "begin with a dot"),
            (&["--symlinks", "maybe"], "follow"),
            (&["--nonsense"], "--nonsense"),
        ] {
            let error = config(args).unwrap_err();
            assert!(error.contains(expected), "{args:?}: {error}");
        }
    }
}
