//! Target `target`: from a request target to an open file, never outside the root.
//!
//! Input: nothing or `raw`, LF, a request target. With `raw`, the doors also get the path as it is,
//! with its dots and slashes: they must be safe without the earlier checks.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use tenkay::config::Symlinks;
use tenkay::files::{Blocking, Door, Kind, OpenError, Opened, Root};
use tenkay::http::hidden::Hidden;
use tenkay::http::target::{EncodedSlash, Form, Scheme, Target, canonicalize, split};
use tenkay::http::target::{directory_location, encode_path, encode_query};

use crate::paths;
use crate::tree::{Place, Tree, tree};

/// Runs one input.
pub fn run(data: &[u8]) {
    let (line, target) = crate::settings(data);
    check_split(target);
    check_query(target);
    check_canonical(target);
    check_decoded_slashes(target);
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
    let Ok(found) = split(target) else {
        return assert_eq!(paths::split(target), None);
    };
    assert_eq!(found.is_raw, !target.is_ascii());
    let encoded: Vec<u8> = found.encoded().collect();
    let form = match found.form {
        Form::Origin { path, query } => {
            paths::Form::Origin(path.to_vec(), query.map(<[u8]>::to_vec))
        }
        Form::Absolute { scheme, host, path, query } => paths::Form::Absolute(
            scheme == Scheme::Https,
            match host.port() {
                Some(port) => [host.name(), b":", port].concat(),
                None => host.name().to_vec(),
            },
            path.to_vec(),
            query.map(<[u8]>::to_vec),
        ),
        Form::Asterisk => paths::Form::Asterisk,
    };
    assert_eq!(encoded, paths::location(&form));
    assert!(!encoded.starts_with(b"//"));
    assert_eq!(Some(form), paths::split(target));
    if found.is_raw {
        let again = split(&encoded).expect("an encoded target is valid");
        assert_eq!((again.is_raw, again.encoded().collect()), (false, encoded.clone()));
    }
}

/// Any query can be appended to a Location, and existing encoding stays.
fn check_query(query: &[u8]) {
    let once: Vec<u8> = encode_query(query).collect();
    assert!(once.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'#'));
    assert_eq!(once, paths::encoded_query(query));
    assert_eq!(encode_query(&once).collect::<Vec<u8>>(), once);
}

fn canonical(path: &[u8]) -> Option<Vec<u8>> {
    let mut room = vec![0xaa; path.len()];
    let length = canonicalize(path, &mut room, EncodedSlash::Refuse).ok()?;
    room.truncate(length);
    Some(room)
}

/// With encoded slashes decoded, a path equals the same path with plain ones.
fn check_decoded_slashes(path: &[u8]) {
    let mut plain = Vec::new();
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let is_slash = matches!(rest, [b'%', b'2', b'f' | b'F', ..]);
        plain.push(if is_slash { b'/' } else { byte });
        rest = if is_slash { &rest[3..] } else { after };
    }
    let mut room = vec![0xaa; path.len()];
    let found = canonicalize(path, &mut room, EncodedSlash::Decode).ok();
    let expected = if path.starts_with(b"/") { paths::canonical(&plain) } else { None };
    assert_eq!(found.map(|length| room[..length].to_vec()), expected);
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

    // Encoding and decoding gives the same path.
    let encoded: Vec<u8> = encode_path(&found).collect();
    assert_eq!(encoded, paths::encoded(&found));
    assert_eq!(canonical(&encoded), Some(found.clone()));
    let form = Form::Origin { path: &encoded, query: None };
    assert_eq!(split(&encoded), Ok(Target { form, is_raw: false }));
    if !found.ends_with(b"/") {
        let location: Vec<u8> = directory_location(&found).collect();
        assert_eq!(location, paths::directory_location(&found));
    }
    if !found.contains(&b'%') {
        assert_eq!(canonical(&found), Some(found.clone()), "canonical twice is canonical once");
    }
    assert_eq!(Hidden::default().hides(&found), paths::is_hidden(&found));
}

/// Both doors, with and without links, have the result of the model, and open nothing outside.
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

/// Paths that no system and no door opens.
fn acceptable(path: &[u8]) -> bool {
    !path.starts_with(b"/") && path.len() <= 4095
}

/// The result of a door; the model has no permissions, so "not found" is the only allowed error.
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
    let path = tree.path_of(facts.dev(), facts.ino()).expect("every opened file is in the tree");
    Some(Place { path: path.to_vec(), directory })
}
