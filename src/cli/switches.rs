//! Options that are on or off.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// Takes `--sandbox off` as `--sandbox=off`. A switch has its value behind `=`, so that a ROOT can
/// follow it; but a word that is one of its values is the value: a folder of that name is `./off`.
pub(super) fn join(
    args: impl IntoIterator<Item = OsString>,
    command: &dyn Fn() -> Command,
) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut is_options = true;
    for arg in args {
        if let Some(last) = joined.last_mut().filter(|_| is_options && is_switch_value(&arg))
            && command().get_arguments().any(|flag| takes(flag, last, &arg))
        {
            last.push("=");
            last.push(arg);
            continue;
        }
        is_options &= arg != "--";
        joined.push(arg);
    }
    joined
}

/// The values of switches.
fn is_switch_value(word: &OsStr) -> bool {
    ["on", "off", "strict"].iter().any(|value| word == *value)
}

/// Whether this is the switch `--NAME`, and the word is one of its values.
fn takes(flag: &Arg, name: &OsStr, word: &OsStr) -> bool {
    let is_named = || name.to_str().and_then(|name| name.strip_prefix("--")) == flag.get_long();
    let mut values = flag.get_value_names().unwrap_or_default().iter().flat_map(|it| it.split('|'));
    flag.is_require_equals_set() && is_named() && values.any(|value| word == value)
}
