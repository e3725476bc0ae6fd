//! Finds the files of a folder that can have sidecars.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::coding::is_compressible;
use crate::http::hidden::Hidden;
use crate::http::negotiate::Coding;

use super::original::Original;
use super::sidecar;

/// The outcome of a walk.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Sorted by path.
    pub(super) originals: Vec<Original>,
    pub(super) problems: Vec<(PathBuf, io::Error)>,
}

/// Visits the folders below `root`, which is absolute and has no links. Unless `is_check`, removes
/// the temporary files of interrupted runs.
pub(super) fn walk(root: &Path, media_type: &dyn Fn(&[u8]) -> String, is_check: bool) -> Found {
    let mut found = Found::default();
    let hidden = Hidden::default();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            Ok(entries) => entries,
            Err(error) => {
                found.problems.push((folder, error));
                continue;
            }
        };
        for entry in entries {
            let visited = entry.and_then(|entry| {
                let path = folder.join(entry.file_name());
                if sidecar::is_left_over(&path) && !is_check {
                    return fs::remove_file(root.join(&path)).map(|()| None);
                }
                if hidden.hides(path.as_os_str().as_bytes()) {
                    return Ok(None);
                }
                if entry.file_type()?.is_dir() {
                    folders.push(path);
                    return Ok(None);
                }
                original(root, path, media_type)
            });
            match visited {
                Ok(original) => found.originals.extend(original),
                Err(error) => found.problems.push((folder.clone(), error)),
            }
        }
    }
    found.originals.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// The file at `path`, if it can have sidecars.
fn original(
    root: &Path,
    path: PathBuf,
    media_type: &dyn Fn(&[u8]) -> String,
) -> io::Result<Option<Original>> {
    let is_sidecar = path
        .extension()
        .is_some_and(|extension| Coding::ALL.iter().any(|coding| extension == coding.extension()));
    let name = path.file_name().unwrap_or_default().as_bytes();
    if is_sidecar || !is_compressible(&media_type(name)) {
        return Ok(None);
    }
    let absolute = root.join(&path);
    if absolute.is_symlink() {
        // A link that leads nowhere, or out of the root, is not served.
        let leads_inside = absolute.canonicalize().is_ok_and(|target| target.starts_with(root));
        if !leads_inside {
            return Ok(None);
        }
    }
    let metadata = fs::metadata(&absolute)?;
    Ok(metadata.is_file().then(|| Original::new(path, &metadata)))
}
