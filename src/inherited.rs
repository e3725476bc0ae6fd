//! The files that settings name and that a server reads once: certificates, keys and users. A
//! worker gets their contents from its supervisor, so that one that replaces another serves with
//! the same, whatever has become of the files.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::Config;

/// Contents of files that were read before. Without any, everything is read from disk.
#[derive(Default)]
pub struct Inherited {
    files: HashMap<PathBuf, Zeroizing<Vec<u8>>>,
    /// This process takes the place of one that served with the same settings.
    replaces: bool,
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys are secret.
        f.debug_struct("Inherited").field("replaces", &self.replaces).finish_non_exhaustive()
    }
}

impl Inherited {
    /// These files. `replaces`: this process takes the place of one that served with them.
    pub fn new(
        files: impl IntoIterator<Item = (PathBuf, Zeroizing<Vec<u8>>)>,
        replaces: bool,
    ) -> Inherited {
        Inherited { files: files.into_iter().collect(), replaces }
    }

    /// Reads the regular files that these settings name. One that cannot be read is left out:
    /// whoever needs it reports that.
    pub fn gather(config: &Config) -> Inherited {
        let certificates = config.tls.certificates.iter().flat_map(|it| [&it.cert, &it.key]);
        let users = config.sites.iter().flat_map(|site| site.auth.iter().map(|rule| &rule.users));
        let mut files = HashMap::new();
        for path in certificates.chain(users) {
            if !files.contains_key(path)
                && let Ok(content) = check_regular(path).and_then(|()| read(path))
            {
                files.insert(path.clone(), content);
            }
        }
        Inherited { files, replaces: false }
    }

    /// True for a process that takes the place of another: what that one served with, and what has
    /// gone missing since, is no reason to refuse the start.
    pub fn replaces(&self) -> bool {
        self.replaces
    }

    /// Each file, and its content.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.files.iter().map(|(path, content)| (&**path, content.as_slice()))
    }

    /// The content of a file, or the first MiB and one byte of it.
    ///
    /// # Errors
    /// Those of the system; also, if this process replaces no other, that it may not read the file,
    /// although its supervisor could.
    pub fn read(&self, path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
        match self.files.get(path) {
            Some(content) if self.replaces => Ok(content.clone()),
            Some(content) => File::open(path).map(|_| content.clone()),
            None => read(path),
        }
    }

    /// The same, but only of a regular file: to open a FIFO would wait for a writer.
    ///
    /// # Errors
    /// As [`Inherited::read`].
    pub fn read_regular(&self, path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
        if !self.files.contains_key(path) {
            check_regular(path)?;
        }
        self.read(path)
    }
}

fn check_regular(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path)?.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    // With the room for all of it, no copy of a key remains where the buffer was before.
    let size = file.metadata()?.len().min(FILE_BYTES_MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Most bytes of a file with certificates, a key or users.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_replaces_another_needs_no_file_any_more_and_the_first_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let [kept, other] = ["kept", "other"].map(|name| folder.path().join(name));
        let files = || [(kept.clone(), Zeroizing::new(b"before".to_vec()))];
        let first = Inherited::new(files(), false);
        let later = Inherited::new(files(), true);
        std::fs::write(&kept, "changed").unwrap();
        std::fs::write(&other, "other").unwrap();
        for inherited in [&first, &later] {
            assert_eq!(inherited.read(&kept).unwrap().as_slice(), b"before");
            assert_eq!(inherited.read(&other).unwrap().as_slice(), b"other");
        }
        std::fs::remove_file(&kept).unwrap();
        assert_eq!(first.read(&kept).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(later.read(&kept).unwrap().as_slice(), b"before");
        assert_eq!(later.read_regular(&kept).unwrap().as_slice(), b"before");
        let error = later.read_regular(folder.path()).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
        assert!(!format!("{later:?}").contains("before"), "keys are secret");
    }
}
