//! What all workers share for TLS, kept by the supervisor across reloads and upgrades.

use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::config::{Config, Listen};
use crate::inherited::Inherited;
use crate::net::Checked;
use crate::net::listen::machine_addresses;
use crate::net::tls::{Material, check};

use super::channel::Fields;

/// Empty until a generation serves with TLS.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    material: Option<Material>,
}

impl Secrets {
    /// Checks the certificates of these settings, and makes the ticket seed and the self-signed
    /// certificate if they are needed and do not exist yet.
    ///
    /// # Errors
    /// In lines.
    pub(super) fn prepare(&mut self, config: &Config, inherited: &Inherited) -> Result<(), String> {
        let Checked { problems, .. } = check(&config.tls, inherited, unix_seconds());
        if !problems.is_empty() {
            return Err(problems.join("\n"));
        }
        if !config.has_tls() {
            return Ok(());
        }
        let material = match &mut self.material {
            Some(material) => material,
            none => none.insert(Material::new(unix_seconds())?),
        };
        fill(material, config)
    }

    /// Adds them to a message.
    pub(super) fn describe(&mut self, to: &mut Fields) {
        let bytes = self.material.as_mut().map(|material| material.to_bytes(unix_seconds()));
        to.put(bytes.unwrap_or_else(|| Zeroizing::new(Vec::new())).as_slice());
    }

    /// What [`Secrets::describe`] has added. The outer `None`: it is malformed.
    pub(super) fn adopt(from: &mut Fields) -> Option<Secrets> {
        let material = match from.take()? {
            [] => None,
            bytes => Some(Material::from_bytes(bytes)?),
        };
        Some(Secrets { material })
    }

    /// For a process that serves.
    pub(super) fn material(&self) -> Option<&Material> {
        self.material.as_ref()
    }
}

/// Adds a self-signed certificate if the settings ask for one.
///
/// # Errors
/// In one line.
fn fill(material: &mut Material, config: &Config) -> Result<(), String> {
    if config.tls.self_signed {
        let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let machine = machine_addresses().into_iter().map(|address| address.to_string());
        let hosts = config.sites.iter().flat_map(|site| site.hosts.iter().cloned());
        let names = |listen: &Listen| listen.address.host().map(str::to_owned);
        let named = config.listen.iter().filter_map(names);
        let mut all: Vec<String> = Vec::new();
        for name in local.into_iter().chain(hosts).chain(named).chain(machine) {
            let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
            if !all.contains(&name) && all.len() < SELF_SIGNED_NAMES {
                all.push(name);
            }
        }
        material.make_certificate(all, unix_seconds())?;
    }
    Ok(())
}

/// Most names in a self-signed certificate; a host of containers has hundreds of addresses.
const SELF_SIGNED_NAMES: usize = 32;

/// Seconds since 1970.
pub(super) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
