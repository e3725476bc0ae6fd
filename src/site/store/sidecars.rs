//! The sidecar files of a file: its content, encoded in advance.

use std::fs::File;

use crate::files::{Blocking, Kind, OpenError, Opened, Root, Version};
use crate::http::negotiate::Coding;
use crate::http::writer::Writer;

/// The sidecar files that exist, open.
pub(super) struct Sidecars([Option<(File, Version)>; Coding::COUNT]);

/// The versions of the sidecar files of an entry, to revalidate it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Beside {
    /// They were not looked for.
    #[default]
    Unknown,
    /// There are none.
    Nothing,
    /// Those that exist, by the index of their coding.
    Files(Box<[Option<Version>; Coding::COUNT]>),
}

impl Sidecars {
    /// None: they are not looked for.
    pub(super) const NONE: Sidecars = Sidecars([const { None }; Coding::COUNT]);

    /// Opens the sidecar files of the file at `path` below the root.
    ///
    /// # Errors
    /// A shortage, or a path that is not in memory. A sidecar that cannot be opened for another
    /// reason is treated as absent.
    pub(super) fn open(
        root: &Root,
        path: &[u8],
        blocking: Blocking,
    ) -> Result<Sidecars, OpenError> {
        let mut sidecars = Sidecars::NONE;
        for coding in Coding::ALL {
            match root.open(&sidecar_of(path, coding), blocking) {
                Ok(Opened::File(file, version)) => {
                    sidecars.0[coding.index()] = Some((file, version));
                }
                Err(error @ (OpenError::Exhausted(_) | OpenError::Leased | OpenError::Cold)) => {
                    return Err(error);
                }
                Ok(Opened::Directory(..)) | Err(_) => {}
            }
        }
        Ok(sidecars)
    }

    /// Their versions.
    pub(super) fn beside(&self) -> Beside {
        if self.0.iter().all(Option::is_none) {
            return Beside::Nothing;
        }
        let versions = self.0.each_ref().map(|found| found.as_ref().map(|(_, version)| *version));
        Beside::Files(Box::new(versions))
    }

    /// Those that encode this version of the original, as far as the times can tell.
    pub(super) fn usable(
        self,
        original: &Version,
    ) -> impl Iterator<Item = (Coding, File, Version)> {
        Coding::ALL.into_iter().zip(self.0).filter_map(move |(coding, found)| {
            let (file, version) = found?;
            encodes(&version, original).then_some((coding, file, version))
        })
    }
}

impl Beside {
    /// The version of the sidecar file with this coding; `None`: it does not exist, or
    /// was not looked for.
    pub(super) fn version(&self, coding: Coding) -> Option<Version> {
        match self {
            Beside::Files(versions) => versions[coding.index()],
            Beside::Unknown | Beside::Nothing => None,
        }
    }

    /// Whether the sidecar files of the file at `path` are still these.
    pub(super) fn holds(&self, root: &Root, path: &[u8]) -> bool {
        *self == Beside::Unknown
            || Coding::ALL.into_iter().all(|coding| {
                let mut room = [0; NAME_BYTES];
                let version = match short_sidecar_of(path, coding, &mut room) {
                    Some(sidecar) => root.version(sidecar),
                    None => root.version(&sidecar_of(path, coding)),
                };
                match version {
                    Ok(now) if now.kind == Kind::File => self.version(coding) == Some(now),
                    // Without a descriptor to look, the answer is as it was.
                    Err(OpenError::Exhausted(_)) => true,
                    _ => self.version(coding).is_none(),
                }
            })
    }
}

/// Whether this version of a sidecar file can encode this version of its original: it is not older.
/// An empty file encodes nothing but, perhaps, an empty file.
pub(super) fn encodes(sidecar: &Version, original: &Version) -> bool {
    sidecar.modified_ns >= original.modified_ns && (sidecar.size > 0 || original.size == 0)
}

/// The name of the sidecar file of the file at `path`.
pub(super) fn sidecar_of(path: &[u8], coding: Coding) -> Vec<u8> {
    [path, b".", coding.extension().as_bytes()].concat()
}

/// As [`sidecar_of`], without an allocation; `None`: the name does not fit.
fn short_sidecar_of<'r>(path: &[u8], coding: Coding, room: &'r mut [u8]) -> Option<&'r [u8]> {
    let mut writer = Writer::new(room);
    writer.put(path).put(b".").put(coding.extension().as_bytes());
    let length = writer.finish()?;
    Some(&room[..length])
}

/// Longer names are rare.
const NAME_BYTES: usize = 512;
