//! Where the settings come from, and how all workers of a generation see the same ones.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use crate::cli::{self, Command, Refusal, Settings};

use super::channel::Fields;

/// The arguments and the environment of the supervisor. Workers get the same.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The name of the program first.
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
}

/// The content of the configuration file when the supervisor read it. It is kept in a file without
/// a name: workers inherit it, and read this instead of a file that may have changed since.
#[derive(Debug)]
pub(super) struct Text {
    file: File,
}

impl Source {
    /// Of this process; without its mode, if it has one.
    pub(super) fn of_this_process(has_mode: bool) -> Source {
        let mut arguments: Vec<OsString> = std::env::args_os().collect();
        if has_mode && arguments.len() > 1 {
            arguments.remove(1);
        }
        let is_passed_on = |(name, _): &(OsString, OsString)| {
            name != TAKEOVER && !ACTIVATION.iter().any(|it| name == it)
        };
        let environment = std::env::vars_os().filter(is_passed_on).collect();
        Source { arguments, environment }
    }

    /// Reads everything anew: the settings, and the text of the configuration file, if there is
    /// one.
    ///
    /// # Errors
    /// One line for each problem.
    pub(super) fn read(&self) -> Result<(Settings, Option<Text>), Vec<String>> {
        let mut content = None;
        let settings = self.read_with(&mut |path| {
            let bytes = cli::read_file(path)?;
            content = Some(bytes.clone());
            Ok(bytes)
        })?;
        let text = content.map(|content| Text::new(&content)).transpose();
        let text = text.map_err(|error| {
            vec![format!("cannot keep the text of the configuration file: {error}")]
        })?;
        Ok((settings, text))
    }

    /// The settings with this text of the configuration file.
    ///
    /// # Errors
    /// One line for each problem.
    pub(super) fn read_text(&self, text: Option<&Text>) -> Result<Settings, Vec<String>> {
        self.read_with(&mut |path| match text {
            Some(text) => text.content(),
            None => cli::read_file(path),
        })
    }

    fn read_with(&self, read_file: cli::ReadFile<'_>) -> Result<Settings, Vec<String>> {
        let (arguments, environment) = (self.arguments.clone(), self.environment.clone());
        match cli::read_with(arguments, environment, read_file) {
            Ok(Command::Serve(settings)) => Ok(*settings),
            Ok(_) => Err(vec!["the arguments are those of another command".to_owned()]),
            Err(Refusal::Arguments(error)) => {
                Err(error.to_string().lines().map(str::to_owned).collect())
            }
            Err(Refusal::File(lines)) => Err(lines),
        }
    }
}

/// They describe the descriptors that systemd passed to this process, and to no other; after an
/// upgrade, the same numbers are other descriptors.
const ACTIVATION: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// Set in the environment of a program that takes over, to the number of the process.
pub(super) const TAKEOVER: &str = "TENKAY_TAKEOVER";

impl Text {
    pub(super) fn new(content: &[u8]) -> io::Result<Text> {
        let mut file = nameless_file("tenkay.toml")?;
        file.write_all(content)?;
        Ok(Text { file })
    }

    /// Describes it to another process, and adds its descriptor; there may be no text.
    pub(super) fn describe<'t>(
        text: Option<&'t Text>,
        to: &mut Fields,
        descriptors: &mut Vec<BorrowedFd<'t>>,
    ) {
        to.put_file(text.map(|text| text.file.as_fd()), descriptors);
    }

    /// What [`Text::describe`] has described. The outer `None`: it is malformed.
    pub(super) fn adopt(
        from: &mut Fields,
        descriptors: &mut impl Iterator<Item = OwnedFd>,
    ) -> Option<Option<Text>> {
        Some(from.take_file(descriptors)?.map(|file| Text { file: File::from(file) }))
    }

    /// Several processes share the position in the file, so it is not used.
    fn content(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.file.metadata()?.len()).unwrap_or(usize::MAX);
        let mut content = vec![0; length];
        self.file.read_exact_at(&mut content, 0)?;
        Ok(content)
    }
}

/// An empty file without a name; `/proc` shows this one.
#[cfg(target_os = "linux")]
pub(super) fn nameless_file(name: &str) -> io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    Ok(memfd_create(name, MemfdFlags::CLOEXEC)?.into())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn nameless_file(name: &str) -> io::Result<File> {
    let name = format!("{name}-{}-{:x}", std::process::id(), getrandom::u64()?);
    let path = std::env::temp_dir().join(name);
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_see_the_text_that_the_supervisor_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.toml");
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        write("root = \"/srv\"\nworkers = 3\n");
        let arguments = ["tenkay".into(), "--config".into(), file.clone().into()];
        let source = Source { arguments: arguments.to_vec(), environment: Vec::new() };
        let (settings, text) = source.read().unwrap();
        write("nonsense");
        for _ in 0..2 {
            let same = source.read_text(text.as_ref()).unwrap();
            assert_eq!(same.config.sites[0].root, settings.config.sites[0].root);
            assert_eq!(same.config.workers, settings.config.workers);
        }
        let problems = source.read().unwrap_err();
        assert!(problems[0].contains("t.toml:1:"), "{problems:?}");
        std::fs::remove_file(&file).unwrap();
        assert!(source.read().unwrap_err()[0].contains("cannot read it"));
    }
}
