//! The folder that the targets serve, and a model of it in memory.
//!
//! It is created once per process, in the folder for temporary files, and never changes. Its files
//! have a fixed time, so that responses are the same in every run. The test of the seeds removes
//! the folder, and `scripts/fuzz` those of its runs; a program that is run by hand leaves it
//! behind.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, mknodat};

/// A node of the tree.
#[derive(Clone, Debug)]
pub enum Node {
    /// A regular file with these bytes.
    File(Vec<u8>),
    /// A folder.
    Directory,
    /// A symbolic link with this target.
    Link(Vec<u8>),
    /// A FIFO or a socket.
    Other,
}

/// The folder, on disk and in memory.
#[derive(Debug)]
pub struct Tree {
    /// Its path.
    pub root: PathBuf,
    /// By path below the root, without slashes at the ends; the root itself is empty.
    nodes: BTreeMap<Vec<u8>, Node>,
    /// The paths of files and folders by device and inode.
    by_inode: HashMap<(u64, u64), Vec<u8>>,
}

/// The time of every file: 2020-01-01.
pub const MODIFIED_S: u64 = 1_577_836_800;

/// The folder; created by the first call.
pub fn tree() -> &'static Tree {
    static TREE: OnceLock<Tree> = OnceLock::new();
    TREE.get_or_init(Tree::make)
}

/// The node that a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path without links in it.
    pub path: Vec<u8>,
    /// True for a folder, false for a file.
    pub directory: bool,
}

impl Tree {
    /// The file or folder that `path` names: relative to the root, with links followed (or not)
    /// while they stay inside.
    pub fn resolve(&self, path: &[u8], follow: bool) -> Option<Place> {
        let path = self.walk(Vec::new(), path, &mut 0, follow)?;
        match self.nodes.get(&path)? {
            Node::File(_) => Some(Place { path, directory: false }),
            Node::Directory => Some(Place { path, directory: true }),
            Node::Link(_) | Node::Other => None,
        }
    }

    /// The bytes of a file, by its path without links.
    pub fn bytes(&self, path: &[u8]) -> &[u8] {
        match &self.nodes[path] {
            Node::File(bytes) => bytes,
            other => panic!("{other:?} is no file"),
        }
    }

    /// The path of an open descriptor, if it is in the tree.
    pub fn path_of(&self, device: u64, inode: u64) -> Option<&[u8]> {
        self.by_inode.get(&(device, inode)).map(Vec::as_slice)
    }

    /// One component after the other; a link starts a nested walk. An empty component, as behind a
    /// last slash, exists only behind a folder.
    fn walk(
        &self,
        mut here: Vec<u8>,
        path: &[u8],
        links: &mut usize,
        follow: bool,
    ) -> Option<Vec<u8>> {
        for name in path.split(|&byte| byte == b'/') {
            if !matches!(self.nodes.get(&here)?, Node::Directory) {
                return None;
            }
            match name {
                b"" | b"." => {}
                b".." if here.is_empty() => return None,
                b".." => here.truncate(here.iter().rposition(|&it| it == b'/').unwrap_or(0)),
                _ => {
                    let below = joined(&here, name);
                    let Node::Link(target) = self.nodes.get(&below)? else {
                        here = below;
                        continue;
                    };
                    *links += 1;
                    if !follow || *links > 40 {
                        return None;
                    }
                    here = match target.strip_prefix(b"/") {
                        None => self.walk(here, target, links, follow)?,
                        Some(_) => {
                            let rest = target.strip_prefix(self.root.as_os_str().as_bytes())?;
                            let rest = rest.strip_prefix(b"/")?;
                            self.walk(Vec::new(), rest, links, follow)?
                        }
                    };
                }
            }
        }
        Some(here)
    }

    /// Creates it on disk.
    fn make() -> Tree {
        let folder = tempfile::Builder::new().prefix("tenkay-fuzz-").tempdir();
        let folder = folder.expect("a temporary folder").keep();
        let folder = folder.canonicalize().expect("its real path");
        let root = folder.join("root");
        fs::create_dir(folder.join("outside")).expect("a folder");
        fs::write(folder.join("outside/secret"), b"outside of the root").expect("a file");
        let nodes = nodes(&root);
        let mut by_inode = HashMap::new();
        for (path, node) in &nodes {
            put(&on_disk(&root, path), node);
        }
        // Deepest first, because creating an entry changes the time of its folder.
        for (path, node) in nodes.iter().rev() {
            if matches!(node, Node::File(_) | Node::Directory) {
                let file = File::open(on_disk(&root, path)).expect("it was just made");
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED_S);
                file.set_modified(time).expect("it is ours");
                let facts = file.metadata().expect("it is open");
                by_inode.insert((facts.dev(), facts.ino()), path.clone());
            }
        }
        Tree { root, nodes, by_inode }
    }
}

fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

fn on_disk(root: &Path, path: &[u8]) -> PathBuf {
    if path.is_empty() { root.to_owned() } else { root.join(OsStr::from_bytes(path)) }
}

fn put(place: &Path, node: &Node) {
    match node {
        Node::File(bytes) => fs::write(place, bytes),
        Node::Directory => fs::create_dir(place),
        Node::Link(target) => std::os::unix::fs::symlink(OsStr::from_bytes(target), place),
        Node::Other => mknodat(CWD, place, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .map_err(std::io::Error::from),
    }
    .unwrap_or_else(|error| panic!("{}: {error}", place.display()));
}

/// All nodes, each folder before what is in it.
fn nodes(root: &Path) -> BTreeMap<Vec<u8>, Node> {
    let mut nodes = BTreeMap::new();
    let mut add = |path: &[u8], node: Node| {
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            nodes.entry(path[..at].to_vec()).or_insert(Node::Directory);
        }
        nodes.insert(path.to_vec(), node);
    };
    add(b"", Node::Directory);
    for (path, size) in FILES {
        add(path, Node::File(content(*size)));
    }
    for number in 0..CROWD {
        add(format!("crowd/{number:03}").as_bytes(), Node::File(Vec::new()));
    }
    for (path, target) in LINKS {
        add(path.as_bytes(), Node::Link(target.as_bytes().to_vec()));
    }
    for (path, rest) in [("abs-file", "file.txt"), ("abs-dir", "dir/deep"), ("dir/abs", "dir/")] {
        let target = root.join(rest).into_os_string().into_encoded_bytes();
        add(path.as_bytes(), Node::Link(target));
    }
    add(b"fifo", Node::Other);
    nodes
}

/// Bytes that differ at every position of a file.
fn content(size: u32) -> Vec<u8> {
    (0..size).map(|at| (at.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]).collect()
}

/// Entries, enough that a listing needs more than one slice of work.
const CROWD: u32 = 600;

const FILES: &[(&[u8], u32)] = &[
    (b"index.html", 40),
    (b"file.txt", 26),
    (b"empty", 0),
    (b"medium.bin", 5_000),
    (b"large.bin", 66_000),
    (b"dir/inner.txt", 10),
    (b"dir/deep/leaf.css", 300),
    (b"dir/deep/er/x", 1),
    (b"sub/index.html", 20),
    (b"odd/index.html/x", 3),
    (b".hidden", 6),
    (b".well-known/acme-challenge/token", 12),
    (b".well-known/.inner", 5),
    (b"dir/.git/config", 7),
    (b"a b%?#\"'<>&.txt", 9),
    (b"caf\xc3\xa9", 11),
    (b"\xff\xfe", 13),
    (b"back\\slash", 14),
    (b"co:lon", 15),
    (b"%41", 16),
    (b"...", 17),
    (b"..a", 18),
    (b"a..b", 19),
];

const LINKS: &[(&str, &str)] = &[
    ("to-file", "file.txt"),
    ("to-dir", "dir"),
    ("to-dir-slash", "dir/"),
    ("to-file-slash", "file.txt/"),
    ("to-file-dot", "file.txt/."),
    ("to-dot", "."),
    ("to-hidden", ".hidden"),
    ("to-fifo", "fifo"),
    ("up-and-down", "dir/../sub/../file.txt"),
    ("chain", "to-dir/parent/to-dir/deep"),
    ("dangling", "nowhere"),
    ("loop-a", "loop-b"),
    ("loop-b", "dir/../loop-a"),
    ("out", "../outside/secret"),
    ("out-dir", "../outside"),
    ("out-and-in", "../root/file.txt"),
    ("out-absolute", "/etc/passwd"),
    ("out-root", "/"),
    ("through-file", "file.txt/../dir/inner.txt"),
    ("dir/parent", ".."),
    ("dir/too-far", "../../outside/secret"),
    ("dir/deep/up", "../../sub"),
    ("dir/deep/er/top", "../../.."),
    ("linked-index/index.html", "../file.txt"),
    ("outer-index/index.html", "../../outside/secret"),
];
