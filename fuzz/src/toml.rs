//! Target `toml`: any text as a configuration file is read without a panic, and every problem has a
//! place in the file and says how to fix it. What has no problem can be printed and read again.
//!
//! Input: an unused line, LF, the file.

use std::path::Path;

use tenkay::config::layer::{Layer, Origin, Problem};
use tenkay::config::print::print;
use tenkay::config::{Config, file};

/// Runs one input.
pub fn run(data: &[u8]) {
    let (_, content) = crate::settings(data);
    let path = Path::new("/etc/t.toml");
    let layer = match file::parse(path, content) {
        Ok(layer) => layer,
        Err(problems) => return check(&problems, content),
    };
    let config = match layer.clone().into_config() {
        Ok(config) => config,
        Err(problems) => return check(&problems, content),
    };
    assert!(!config.sites.is_empty() && !config.listen.is_empty());
    let printed = print(&layer, Path::new("/")).expect("the settings agree");
    let again = file::parse(path, printed.as_bytes()).and_then(Layer::into_config);
    let again = again.unwrap_or_else(|problems| panic!("{problems:?} in:\n{printed}"));
    let listen = |config: &Config| {
        let shown = config.listen.iter().map(|it| (it.address.clone(), it.opening));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(listen(&again), listen(&config));
    assert_eq!(again.trusted_proxies, config.trusted_proxies);
    assert_eq!(again.limits, config.limits);
    assert_eq!(again.sites.len(), config.sites.len());
}

fn check(problems: &[Problem], content: &[u8]) {
    assert!(!problems.is_empty());
    let lines: Vec<&[u8]> = content.split(|byte| *byte == b'\n').collect();
    for problem in problems {
        let Origin::File { line, column, .. } = problem.origin else { panic!("{problem:?}") };
        let found = lines.get(line - 1).unwrap_or_else(|| panic!("{problem:?}"));
        // The column behind the last character is that of what is missing there.
        assert!((1..=found.len() + 1).contains(&column), "{problem:?}");
        assert!(!problem.what.contains(char::is_control), "{problem:?}");
        assert!(problem.what.contains(';'), "it says how to fix it: {problem:?}");
    }
}
