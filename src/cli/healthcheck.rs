//! Arguments of the command that asks a running server whether it is healthy.

use std::time::Duration;

use clap::Args;

use crate::config::ListenAddress;
use crate::config::layer::Layer;

use super::SettingsArgs;

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = "\
    Without URL, the address is that of --admin-listen, TENKAY_ADMIN_LISTEN or [admin] of the \
    configuration file.\n\n\
    Exit status: 0 = status 200; 1 = another status, or none in time; 2 = bad arguments.")]
pub(super) struct HealthcheckArgs {
    /// URL, or address of the admin listener in the forms of --listen
    #[arg(value_name = "URL")]
    address: Option<String>,

    /// Ask whether the server is alive (/healthz), not whether it is ready (/readyz)
    #[arg(long)]
    live: bool,

    /// Time for the answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    timeout: Duration,

    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

/// What to ask, and where.
#[derive(Debug)]
pub struct Healthcheck {
    /// The address of the admin listener.
    pub address: ListenAddress,
    /// The path to ask for.
    pub path: String,
    /// How long the answer may take.
    pub timeout: Duration,
}

impl HealthcheckArgs {
    /// Where to ask, without or with these settings.
    ///
    /// # Errors
    /// In one line.
    pub(super) fn place(
        self,
        layer: impl FnOnce(SettingsArgs) -> Result<Layer, super::Refusal>,
    ) -> Result<Healthcheck, super::Refusal> {
        let HealthcheckArgs { address, live, timeout, settings } = self;
        let default = if live { "/healthz" } else { "/readyz" };
        let (address, path) = match address {
            Some(text) => parse(&text).map_err(|why| super::invalid(&format!("URL: {why}")))?,
            None => {
                let set = layer(settings)?.admin_listen;
                let why = "the address is missing; give the URL of the admin listener, \
                    --admin-listen, TENKAY_ADMIN_LISTEN, or --config with [admin]";
                (set.ok_or_else(|| super::invalid(why))?.value, None)
            }
        };
        let path = path.unwrap_or_else(|| default.to_owned());
        Ok(Healthcheck { address, path, timeout })
    }
}

/// An address, and the path of a URL if it has one.
fn parse(text: &str) -> Result<(ListenAddress, Option<String>), String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok((text.parse()?, None));
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_plain = |byte: u8| byte.is_ascii_graphic();
    if !path.bytes().all(is_plain) {
        return Err("the path has spaces or letters that must be percent-encoded".to_owned());
    }
    let path = (!path.is_empty()).then(|| format!("/{path}"));
    Ok((format!("{scheme}://{authority}").parse()?, path))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.001..=3600.0).contains(seconds));
    let seconds = seconds.ok_or("write a number of seconds up to 3600")?;
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_have_a_path_and_an_address_has_none() {
        for (text, address, path) in [
            ("9180", "127.0.0.1:9180", None),
            ("unix:/run/t", "unix:/run/t", None),
            ("http://127.0.0.1:9180", "127.0.0.1:9180", None),
            ("http://[::1]:9180/", "[::1]:9180", None),
            ("http://a:1/healthz?x", "a:1", Some("/healthz?x")),
        ] {
            let parsed = parse(text).unwrap();
            assert_eq!((&*parsed.0.to_string(), parsed.1.as_deref()), (address, path), "{text}");
        }
        for bad in ["https://a:1/", "http://a:1/x y", "a", ""] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
