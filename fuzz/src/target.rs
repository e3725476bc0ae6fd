//! Target `target`: from a request target to an open file, and never to one outside the root.
//!
//! Input: nothing or `raw`, LF, a request target. What is `raw` goes to the doors as it is, too,
//! with its dots and slashes: they must hold even if the way to them did not.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use tenkay::config::Symlinks;
use tenkay::files::{Blocking, Door, Kind, OpenError, Opened, Root};
use tenkay::http::target::{Form, Scheme, canonicalize, encode_path, encode_query};
use tenkay::http::target::{is_hidden, split};

use crate::oracle::encoded_query;
use crate::paths;
use crate::tree::{Place, Tree, tree};

/// Runs one input.
pub fn run(data: &[u8]) {
    let (line, target) = crate::settings(data);
    check_split(target);
    check_query(target);
    check_canonical(target);
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    check_canonical(path);
    if let Some(canonical) = paths::canonical(path) {
        check_doors(&canonical[1..]);
    }
    if line == b"raw" {
        check_doors(target);
    }
}

fn check_split(target: &[u8]) {
    let found = split(target).ok().map(|form| match form {
        Form::Origin { path, query } => {
            paths::Form::Origin(path.to_vec(), query.map(<[u8]>::to_vec))
        }
        Form::Absolute { scheme, authority, path, query } => paths::Form::Absolute(
            scheme == Scheme::Https,
            authority.to_vec(),
            path.to_vec(),
            query.map(<[u8]>::to_vec),
        ),
        Form::Asterisk => paths::Form::Asterisk,
    });
    assert_eq!(found, paths::split(target));
}

/// A query may be put behind a Location whatever it is, and what was encoded stays as it is.
fn check_query(query: &[u8]) {
    let once: Vec<u8> = encode_query(query).collect();
    assert!(once.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'#'));
    assert_eq!(once, encoded_query(query));
    assert_eq!(encode_query(&once).collect::<Vec<u8>>(), once);
}

fn canonical(path: &[u8]) -> Option<Vec<u8>> {
    let mut room = vec![0xaa; path.len()];
    let length = canonicalize(path, &mut room).ok()?;
    room.truncate(length);
    Some(room)
}

fn check_canonical(path: &[u8]) {
    let found = canonical(path);
    assert_eq!(found, paths::canonical(path));
    let Some(found) = found else { return };

    // It never leaves the root.
    assert!(found.starts_with(b"/") && !found.contains(&0));
    let names = &found[1..].strip_suffix(b"/").unwrap_or(&found[1..]);
    let mut names = names.split(|&byte| byte == b'/');
    assert!(found == b"/" || names.all(|name| !matches!(name, b"" | b"." | b"..")));

    // There and back.
    let encoded: Vec<u8> = encode_path(&found).collect();
    assert_eq!(encoded, paths::encoded(&found));
    assert_eq!(canonical(&encoded), Some(found.clone()));
    assert_eq!(split(&encoded), Ok(Form::Origin { path: &encoded, query: None }));
    if !found.contains(&b'%') {
        assert_eq!(canonical(&found), Some(found.clone()), "canonical twice is canonical once");
    }
    assert_eq!(is_hidden(&found), paths::is_hidden(&found));
}

/// Both doors, with and without links, answer as the model does, and open nothing outside.
fn check_doors(path: &[u8]) {
    let tree = tree();
    for (symlinks, follow) in [(Symlinks::Inside, true), (Symlinks::Off, false)] {
        let expected = if acceptable(path) { tree.resolve(path, follow) } else { None };
        for door in [Door::Openat2, Door::Walk] {
            let root = Root::new(&tree.root, symlinks, door).expect("the folder is there");
            let found = opened(tree, &root, path);
            assert_eq!(found, expected, "{door:?} {symlinks:?} {}", path.escape_ascii());
        }
    }
}

/// What no system would open by this path, and no door does.
fn acceptable(path: &[u8]) -> bool {
    !path.starts_with(b"/") && path.len() <= 4095
}

/// What a door opens; the model has no permissions, so nothing but "not found" may hinder it.
fn opened(tree: &Tree, root: &Root, path: &[u8]) -> Option<Place> {
    let (file, stamp, directory) = match root.open(path, Blocking::Allowed) {
        Ok(Opened::File(file, stamp)) => (file, stamp, false),
        Ok(Opened::Directory(fd, stamp)) => (File::from(fd), stamp, true),
        Err(OpenError::NotFound | OpenError::Refused) => return None,
        Err(error) => panic!("{}: {error}", path.escape_ascii()),
    };
    let facts = file.metadata().expect("it is open");
    assert_eq!((stamp.device, stamp.inode), (facts.dev(), facts.ino()));
    assert_eq!((stamp.kind == Kind::Directory, facts.is_dir()), (directory, directory));
    let path = tree.path_of(facts.dev(), facts.ino()).expect("what is opened is in the tree");
    Some(Place { path: path.to_vec(), directory })
}
