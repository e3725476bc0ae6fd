//! The defaults that texts name, compared with those that apply.

use super::*;

#[test]
fn without_arguments_this_folder_is_served_on_port_8080() {
    let config = flags(&[]).unwrap();
    assert_eq!(config.sites[0].root, PathBuf::from("."));
    assert_eq!(shown(&config.listen), ["127.0.0.1:8080"]);
    let site = config.sites[0].clone();
    assert!(site.listing && site.server_header);
    assert_eq!((site.hidden, site.hidden_except), (vec![".*".into()], vec![".well-known".into()]));
    assert_eq!(site.encoded_slash, EncodedSlash::Refuse);
    assert!(site.link_targets.is_empty() && site.media_types.is_empty());
    assert_eq!(config.sandbox, Sandbox::On);
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.limits.write_timeout_ms, 60_000);
    assert_eq!(config.limits.ranges, 256);
    assert!(config.chosen_limits.is_empty());
    assert_eq!(config.workers, None);
}

/// The default that a text names: `[default: VALUE]`.
fn default_in(text: &str) -> Option<&str> {
    let (value, _) = text.split_once("[default: ")?.1.split_once(']')?;
    Some(value)
}

/// The settings as `tenkay config` prints them, without comments.
fn printed(args: &[&str]) -> String {
    let args = [&["config"], args].concat();
    let Ok(Command::Print(page)) = read_command(&args, &[]) else { panic!("{args:?}") };
    let page = String::from_utf8(page).unwrap();
    page.lines()
        .map(|line| line.split("  # ").next().unwrap_or_default().to_owned() + "\n")
        .collect()
}

#[test]
fn the_defaults_that_the_texts_of_options_name_are_those_that_apply() {
    let (defaults, mut checked) = (printed(&[]), 0);
    for option in Args::command().get_arguments() {
        let text = option.get_help().map(ToString::to_string).unwrap_or_default();
        let Some(name) = option.get_long() else {
            let root = default_in(&text).unwrap();
            assert_eq!(printed(&[root]), defaults, "{root}");
            continue;
        };
        let argument = match default_in(&text) {
            Some(value) => format!("--{name}={value}"),
            None if text.contains("(the default)") => format!("--{name}"),
            None => continue,
        };
        assert_eq!(printed(&[&argument]), defaults, "{argument}");
        checked += 1;
    }
    assert!(checked >= 20, "{checked}");
}

#[test]
fn the_defaults_that_the_texts_of_keys_name_are_those_that_apply() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenkay.toml");
    let print = |text: String| {
        std::fs::write(&file, text).unwrap();
        printed(&["--config", file.to_str().unwrap()])
    };
    for (table, needed) in [
        ("[[redirects]]", "from = '/a'\nto = '/b'\n"),
        ("[[auth]]", "for = '/a'\nusers = 'users'\n"),
    ] {
        let keys = reference::FILE_ONLY.iter().filter(|(other, ..)| *other == table);
        for (_, key, text) in keys {
            let Some(value) = default_in(text) else { continue };
            let quoted = if value == "false" { value.to_owned() } else { format!("'{value}'") };
            let with = print(format!("{table}\n{needed}{key} = {quoted}\n"));
            assert_eq!(with, print(format!("{table}\n{needed}")), "{table} {key}");
        }
    }
}
