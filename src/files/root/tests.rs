//! Every case runs with both doors; on systems without `openat2`, both are the walk.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use super::*;

const DOORS: [Door; 2] = [Door::Openat2, Door::Walk];

/// The result for a path, in a form for tables.
#[derive(Debug, PartialEq)]
enum Got {
    /// A file with this content.
    File(String),
    /// A directory.
    Dir,
    NotFound,
    Forbidden,
    Else(String),
}
use Got::{Dir, Forbidden, NotFound};

fn file(content: &str) -> Got {
    Got::File(content.to_owned())
}

fn got(root: &Root, path: &[u8]) -> Got {
    match root.open(path, Blocking::Allowed) {
        Ok(Opened::File(mut file, version)) => {
            let mut content = String::new();
            file.read_to_string(&mut content).unwrap();
            assert_eq!(version.size, content.len() as u64);
            assert_eq!(version, Version::of(&file).unwrap());
            Got::File(content)
        }
        Ok(Opened::Directory(fd, version)) => {
            assert_eq!(version.kind, Kind::Directory);
            assert!(rustix::fs::Dir::new(fd).unwrap().next().is_some(), "not open for reading");
            Dir
        }
        Err(OpenError::NotFound | OpenError::Refused) => NotFound,
        Err(OpenError::Forbidden) => Forbidden,
        Err(error) => Got::Else(format!("{error:?}")),
    }
}

/// `top/www` is the root, `top/out` is outside.
fn fixture() -> tempfile::TempDir {
    let top = tempfile::tempdir().unwrap();
    let (www, out) = (top.path().join("www"), top.path().join("out"));
    for dir in [&www.join("a/b/c"), &www.join("empty"), &out.join("deep")] {
        fs::create_dir_all(dir).unwrap();
    }
    fs::write(www.join("plain"), "plain").unwrap();
    fs::write(www.join("a/b/nested"), "nested").unwrap();
    fs::write(www.join(OsStr::from_bytes(b"\xff\x80 %?#\n")), "bytes").unwrap();
    fs::write(www.join("n".repeat(255)), "long").unwrap();
    fs::write(out.join("secret"), "secret").unwrap();
    top
}

fn check(root: &Root, path: &[u8], want: &Got) {
    let path_shown = path.escape_ascii();
    assert_eq!(got(root, path), *want, "{path_shown} by {:?}, {:?}", root.door, root.symlinks);
    // The version of the path is that of the opened file.
    if let Ok(Opened::File(_, version) | Opened::Directory(_, version)) =
        root.open(path, Blocking::Allowed)
    {
        assert_eq!(root.version(path).unwrap(), version, "version of {path_shown}");
    }
}

fn roots(path: &Path) -> impl Iterator<Item = Root> {
    DOORS.into_iter().flat_map(move |door| {
        [Symlinks::Inside, Symlinks::Off].map(|links| Root::new(path, links, door).unwrap())
    })
}

#[test]
fn plain_paths_open_the_same_by_both_doors() {
    let top = fixture();
    let long = "n".repeat(255);
    let too_long = "n".repeat(256);
    let too_long_path = "a/../".repeat(900) + "plain";
    let cases: &[(&[u8], Got)] = &[
        (b"", Dir),
        (b".", Dir),
        (b"./", Dir),
        (b"plain", file("plain")),
        (b"a/b/nested", file("nested")),
        (b"a/../plain", file("plain")),
        (b"a/./b//nested", file("nested")),
        (b"a", Dir),
        (b"a/", Dir),
        (b"a/b/c/", Dir),
        (b"empty", Dir),
        (b"a/b/c/../..", Dir),
        (b"\xff\x80 %?#\n", file("bytes")),
        (long.as_bytes(), file("long")),
        (too_long.as_bytes(), NotFound),
        (too_long_path.as_bytes(), NotFound),
        (b"missing", NotFound),
        (b"missing/plain", NotFound),
        (b"missing/../plain", NotFound),
        (b"plain/", NotFound),
        (b"plain/.", NotFound),
        (b"plain/..", NotFound),
        (b"plain/x", NotFound),
        (b"a/b/nested/", NotFound),
        (b"pla\0in", NotFound),
        (b"plain\0", NotFound),
        (b"/", NotFound),
        (b"/plain", NotFound),
        (b"/etc/passwd", NotFound),
        (b"..", NotFound),
        (b"../", NotFound),
        (b"../www/plain", NotFound),
        (b"../out/secret", NotFound),
        (b"a/../../out/secret", NotFound),
    ];
    for root in roots(&top.path().join("www")) {
        for (path, want) in cases {
            check(&root, path, want);
        }
    }
}

#[test]
fn links_are_followed_inside_the_root_and_never_out_of_it() {
    let top = fixture();
    let www = top.path().join("www");
    let inside = |path: &str| www.join(path).into_os_string().into_string().unwrap();
    let outside = |path: &str| top.path().join(path).into_os_string().into_string().unwrap();
    // (link, target, what it opens, what `link/` opens)
    let links = [
        ("relative", "plain".into(), file("plain"), NotFound),
        ("dotted", "./a/./b//nested".into(), file("nested"), NotFound),
        ("a/up", "../plain".into(), file("plain"), NotFound),
        ("a/b/c/up", "../../../a/b/../../plain".into(), file("plain"), NotFound),
        ("a/b/c/to_root", "../../..".into(), Dir, Dir),
        ("a/here", ".".into(), Dir, Dir),
        ("to_dir", "a/b".into(), Dir, Dir),
        ("to_dir_slash", "a/b/".into(), Dir, Dir),
        ("to_file_slash", "plain/".into(), NotFound, NotFound),
        ("to_file_dot", "plain/.".into(), NotFound, NotFound),
        ("to_file_up", "plain/..".into(), NotFound, NotFound),
        ("absolute", inside("a/b/nested"), file("nested"), NotFound),
        ("absolute_dir", inside("a/b/"), Dir, Dir),
        ("absolute_file_slash", inside("plain/"), NotFound, NotFound),
        ("absolute_root", inside(""), Dir, Dir),
        ("absolute_up", inside("a/b/../../plain"), file("plain"), NotFound),
        ("absolute_dots", inside("./a//b/nested"), file("nested"), NotFound),
        ("absolute_out_and_in", inside("../www/plain"), NotFound, NotFound),
        ("absolute_out", outside("out/secret"), NotFound, NotFound),
        ("absolute_prefix", outside("www-other/plain"), NotFound, NotFound),
        ("out_dir", outside("out"), NotFound, NotFound),
        ("escaping", "../out/secret".into(), NotFound, NotFound),
        ("escaping_late", "a/../../out/secret".into(), NotFound, NotFound),
        ("out_and_in", "../www/plain".into(), NotFound, NotFound),
        ("broken", "nowhere".into(), NotFound, NotFound),
        ("loop", "loop".into(), NotFound, NotFound),
        ("ping", "pong".into(), NotFound, NotFound),
        ("pong", "ping".into(), NotFound, NotFound),
        ("device", "/dev/null".into(), NotFound, NotFound),
    ];
    // Where the name of the root is only the beginning of a longer name.
    fs::create_dir(top.path().join("www-other")).unwrap();
    fs::write(top.path().join("www-other/plain"), "other").unwrap();
    for (name, target, ..) in &links {
        symlink::<&str, _>(target, www.join(name)).unwrap();
    }
    for root in roots(&www) {
        for (name, _, opens, with_slash) in &links {
            let off = root.symlinks == Symlinks::Off;
            check(&root, name.as_bytes(), if off { &NotFound } else { opens });
            let name = format!("{name}/");
            check(&root, name.as_bytes(), if off { &NotFound } else { with_slash });
        }
        // Links in the middle of a path.
        for (path, want) in [
            ("to_dir/nested", file("nested")),
            ("to_dir_slash/nested", file("nested")),
            ("absolute_dir/nested", file("nested")),
            ("absolute_root/absolute_root/a/b/nested", file("nested")),
            ("a/b/c/to_root/a/here/here/up", file("plain")),
            ("to_dir/../b/nested", file("nested")),
            ("relative/x", NotFound),
            ("out_dir/secret", NotFound),
            ("out_dir/../www/plain", NotFound),
            ("loop/x", NotFound),
        ] {
            let off = root.symlinks == Symlinks::Off;
            check(&root, path.as_bytes(), if off { &NotFound } else { &want });
        }
    }
}

#[test]
fn forty_links_are_followed_and_one_more_is_not() {
    let top = fixture();
    let www = top.path().join("www");
    let absolute = |name: &str| www.join(name).into_os_string();
    for at in 1..=41 {
        let target = if at == 1 { "plain".to_owned() } else { format!("chain{}", at - 1) };
        symlink(&target, www.join(format!("chain{at}"))).unwrap();
        symlink(absolute(&target), www.join(format!("absolute{at}"))).unwrap();
    }
    for root in roots(&www) {
        let off = root.symlinks == Symlinks::Off;
        for (path, want) in [
            ("chain40", file("plain")),
            ("chain41", NotFound),
            // One absolute link that leads to 39 or 40 others.
            ("absolute40", file("plain")),
            ("absolute41", NotFound),
        ] {
            check(&root, path.as_bytes(), if off { &NotFound } else { &want });
        }
    }
}

#[test]
fn the_number_of_lookups_is_limited() {
    let top = fixture();
    let www = top.path().join("www");
    // Each link goes down and up 600 times and then to the next.
    for at in 0..8 {
        let target = "a/../".repeat(600) + &format!("waste{}", at + 1);
        symlink(target, www.join(format!("waste{at}"))).unwrap();
    }
    fs::write(www.join("waste8"), "at last").unwrap();
    let root = Root::new(&www, Symlinks::Inside, Door::Walk).unwrap();
    check(&root, b"waste7", &file("at last"));
    check(&root, b"waste0", &NotFound);
}

#[test]
fn the_root_may_be_a_link_and_is_known_by_both_names() {
    let top = fixture();
    let www = top.path().join("www");
    let alias = top.path().join("alias");
    symlink("www", &alias).unwrap();
    symlink(alias.join("a/b/nested"), www.join("by_alias")).unwrap();
    symlink(www.join("a/b/nested"), www.join("by_name")).unwrap();
    for door in DOORS {
        let root = Root::new(&alias, Symlinks::Inside, door).unwrap();
        check(&root, b"plain", &file("plain"));
        check(&root, b"by_alias", &file("nested"));
        check(&root, b"by_name", &file("nested"));
        let root = Root::new(&alias, Symlinks::Off, door).unwrap();
        check(&root, b"plain", &file("plain"));
        check(&root, b"by_name", &NotFound);
    }
}

#[test]
fn the_whole_file_system_can_be_the_root() {
    let top = fixture();
    let www = top.path().join("www").canonicalize().unwrap();
    symlink(www.join("plain"), www.join("absolute")).unwrap();
    let below = |name: &str| {
        let path = www.join(name);
        path.strip_prefix("/").unwrap().as_os_str().as_bytes().to_owned()
    };
    for door in DOORS {
        let root = Root::new(Path::new("/"), Symlinks::Inside, door).unwrap();
        check(&root, b"", &Dir);
        check(&root, &below("plain"), &file("plain"));
        check(&root, &below("absolute"), &file("plain"));
        check(&root, b"..", &NotFound);
        // A device that is really there, and opens.
        check(&root, b"dev/null", &NotFound);
    }
}

#[test]
fn only_a_readable_directory_can_be_the_root() {
    let top = fixture();
    for door in DOORS {
        for path in ["www/plain", "nowhere", "www/plain/"] {
            assert!(Root::new(&top.path().join(path), Symlinks::Inside, door).is_err(), "{path}");
        }
    }
}

#[test]
fn fifos_and_sockets_are_not_found_and_do_not_block() {
    let top = fixture();
    let www = top.path().join("www");
    assert!(Command::new("mkfifo").arg(www.join("fifo")).status().unwrap().success());
    let _listener = UnixListener::bind(www.join("socket")).unwrap();
    symlink("fifo", www.join("to_fifo")).unwrap();
    symlink("socket", www.join("to_socket")).unwrap();
    for root in roots(&www) {
        for path in ["fifo", "fifo/", "fifo/x", "socket", "socket/", "to_fifo", "to_socket"] {
            check(&root, path.as_bytes(), &NotFound);
        }
    }
}

#[test]
fn an_unreadable_file_is_forbidden() {
    let top = fixture();
    let www = top.path().join("www");
    let mode = |path: &str, mode| {
        fs::set_permissions(www.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    symlink("plain", www.join("link")).unwrap();
    mode("plain", 0o000);
    if File::open(www.join("plain")).is_ok() {
        return; // This user may read everything; there is nothing to be seen.
    }
    for root in roots(&www) {
        let link = if root.symlinks == Symlinks::Off { NotFound } else { Forbidden };
        check(&root, b"plain", &Forbidden);
        check(&root, b"plain/", &NotFound);
        check(&root, b"link", &link);
        // Search permission without read permission: Linux passes through, but cannot list.
        mode("a", 0o111);
        check(&root, b"a", &Forbidden);
        if cfg!(target_os = "linux") {
            check(&root, b"a/b/nested", &file("nested"));
            check(&root, b"a/b/c/../nested", &file("nested"));
        }
        // Read permission without search permission: only the names are readable.
        mode("a", 0o444);
        check(&root, b"a", &Dir);
        check(&root, b"a/b", &Forbidden);
        check(&root, b"a/missing", &Forbidden);
        mode("a", 0o755);
    }
}

#[test]
fn deep_paths_and_long_climbs_open() {
    let top = fixture();
    let www = top.path().join("www");
    let deep = "d/".repeat(200);
    fs::create_dir_all(www.join(&deep)).unwrap();
    fs::write(www.join(format!("{deep}file")), "deep").unwrap();
    let up = "../".repeat(200);
    symlink(format!("{up}plain"), www.join(format!("{deep}up"))).unwrap();
    for door in DOORS {
        let root = Root::new(&www, Symlinks::Inside, door).unwrap();
        check(&root, &[deep.as_bytes(), b"file"].concat(), &file("deep"));
        check(&root, &[deep.as_bytes(), b"up"].concat(), &file("plain"));
        check(&root, &[deep.as_bytes(), up.as_bytes(), b"plain"].concat(), &file("plain"));
        check(&root, &[deep.as_bytes(), up.as_bytes(), b"../plain"].concat(), &NotFound);
    }
}

/// Renames by an attacker between two steps of the walk.
#[test]
fn a_rename_between_two_steps_does_not_lead_out() {
    // (path, link in it and its target, steps before the swap, the swap, allowed result)
    type Swap = fn(&Path);
    let move_out: Swap = |top| fs::rename(top.join("www/a/b"), top.join("out/b")).unwrap();
    let link_out: Swap = |top| {
        fs::rename(top.join("www/a"), top.join("out/a")).unwrap();
        symlink("../out", top.join("www/a")).unwrap();
    };
    let cases: [(&str, usize, Swap, Got); 6] = [
        // Standing in a/b/c, which is now out/b/c: `../../..` would be the top, `../../secret` the
        // secret. From the names, it is the root.
        ("a/b/c/../../../secret", 3, move_out, NotFound),
        ("a/b/c/../../secret", 3, move_out, NotFound),
        ("a/b/c/../../../plain", 3, move_out, file("plain")),
        ("a/b/c/../x", 3, move_out, NotFound),
        // A name that was already passed becomes a link out.
        ("a/b/../secret", 2, link_out, NotFound),
        // The next name becomes a link out.
        ("a/secret", 0, link_out, NotFound),
    ];
    for (path, steps, swap, want) in cases {
        let top = fixture();
        let root = Root::new(&top.path().join("www"), Symlinks::Inside, Door::Walk).unwrap();
        let mut walk = Walk::new(&root, path.as_bytes(), READ);
        for _ in 0..steps {
            assert!(walk.step().unwrap().is_none());
        }
        swap(top.path());
        let got = match walk.run() {
            Ok(fd) => Got::File(io::read_to_string(File::from(fd)).unwrap()),
            Err(OpenError::NotFound | OpenError::Refused) => NotFound,
            Err(error) => Got::Else(format!("{error:?}")),
        };
        assert_eq!(got, want, "{path}");
    }
}

#[test]
fn an_open_file_keeps_its_version_and_the_path_has_the_new_one() {
    let top = fixture();
    let www = top.path().join("www");
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("replaced by rename", |www| {
            fs::write(www.join("new"), "plain").unwrap();
            fs::rename(www.join("new"), www.join("plain")).unwrap();
        }),
        ("another size", |www| fs::write(www.join("plain"), "longer than before").unwrap()),
        ("another time", |www| {
            let file = File::options().write(true).open(www.join("plain")).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }),
        ("a link out in its place", |www| {
            fs::remove_file(www.join("plain")).unwrap();
            symlink("../out/secret", www.join("plain")).unwrap();
        }),
    ];
    let root = Root::new(&www, Symlinks::Inside, Door::best()).unwrap();
    for (what, change) in changes {
        let Ok(Opened::File(file, version)) = root.open(b"plain", Blocking::Allowed) else {
            panic!("{what}")
        };
        assert_eq!(root.version(b"plain").unwrap(), version);
        change(&www);
        assert_ne!(root.version(b"plain").ok(), Some(version), "{what}");
        assert_eq!(Version::of(&file).unwrap().inode, version.inode);
    }
    check(&root, b"plain", &NotFound);
    fs::remove_file(www.join("plain")).unwrap();
    assert!(matches!(root.version(b"plain"), Err(OpenError::NotFound)));
}

#[test]
fn times_before_1970_are_negative_nanoseconds() {
    let top = fixture();
    let www = top.path().join("www");
    let time = std::time::UNIX_EPOCH - std::time::Duration::new(1, 500_000_000);
    let file = File::options().write(true).open(www.join("plain")).unwrap();
    if file.set_modified(time).is_ok() {
        assert_eq!(Version::of(&file).unwrap().modified_ns, -1_500_000_000);
    }
}

#[test]
fn without_links_a_link_has_no_version() {
    let top = fixture();
    let www = top.path().join("www");
    symlink("plain", www.join("link")).unwrap();
    for door in DOORS {
        let version = |links| Root::new(&www, links, door).unwrap().version(b"link");
        assert_eq!(version(Symlinks::Inside).unwrap().kind, Kind::File);
        assert!(matches!(version(Symlinks::Off), Err(OpenError::NotFound)));
    }
}

#[test]
fn each_error_of_the_system_has_its_kind() {
    let kind = |errno: Errno| match OpenError::from(errno) {
        OpenError::NotFound => "not found",
        OpenError::Refused => "refused",
        OpenError::Forbidden => "forbidden",
        OpenError::Cold => "cold",
        OpenError::Leased => "leased",
        OpenError::Exhausted(_) => "exhausted",
        OpenError::Failed(_) => "failed",
    };
    for (errno, want) in [
        (Errno::NOENT, "not found"),
        (Errno::NOTDIR, "not found"),
        (Errno::LOOP, "not found"),
        (Errno::NAMETOOLONG, "not found"),
        (Errno::XDEV, "refused"),
        (Errno::NXIO, "refused"),
        (Errno::ILSEQ, "not found"),
        (Errno::ACCESS, "forbidden"),
        (Errno::PERM, "forbidden"),
        (Errno::MFILE, "exhausted"),
        (Errno::NFILE, "exhausted"),
        (Errno::NOMEM, "exhausted"),
        (Errno::AGAIN, "leased"),
        (Errno::IO, "failed"),
        (Errno::STALE, "failed"),
    ] {
        assert_eq!(kind(errno), want, "{errno}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_requested_door_is_in_use() {
    // Without openat2, the other tests test the walk twice; this test fails then.
    let top = fixture();
    let walk = Root::new(top.path(), Symlinks::Off, Door::Walk).unwrap();
    assert_eq!(walk.door(), Door::Walk);
    let best = Root::new(top.path(), Symlinks::Off, Door::best()).unwrap();
    let works = openat2(&best.fd, b".", CROSS, Symlinks::Off, false).is_ok();
    assert_eq!(best.door(), if works { Door::Openat2 } else { Door::Walk });
}

#[test]
fn links_may_lead_into_the_named_link_targets_and_nowhere_else() {
    let top = fixture();
    let (www, out) = (top.path().join("www"), top.path().join("out"));
    fs::write(out.join("deep/file"), "deep").unwrap();
    fs::create_dir(top.path().join("third")).unwrap();
    fs::write(top.path().join("third/file"), "third").unwrap();
    for (link, target) in [
        ("absolute", out.to_str().unwrap()),
        ("relative", "../out"),
        ("file", "../out/deep/file"),
        ("nested", "relative/deep/file"),
        ("third", "../third"),
        ("through", "relative/../third/file"),
    ] {
        symlink(target, www.join(link)).unwrap();
    }
    symlink("../www/plain", out.join("back")).unwrap();
    symlink("../third/file", out.join("away")).unwrap();
    for door in DOORS {
        let root = Root::new(&www, Symlinks::Inside, door).unwrap();
        let root = root.with_link_targets(std::slice::from_ref(&out)).unwrap();
        for (path, want) in [
            (&b"absolute/deep/file"[..], file("deep")),
            (b"absolute/", Dir),
            (b"relative/secret", file("secret")),
            (b"file", file("deep")),
            (b"nested", file("deep")),
            (b"relative/back", file("plain")),
            (b"relative/away", NotFound),
            (b"third", NotFound),
            (b"third/file", NotFound),
            (b"through", NotFound),
            (b"plain", file("plain")),
        ] {
            check(&root, path, &want);
        }
        assert!(matches!(root.version(b"third"), Err(OpenError::Refused)));
    }
    let root = Root::new(&www, Symlinks::Inside, Door::best()).unwrap();
    let missing = root.with_link_targets(&[top.path().join("none")]).unwrap_err();
    assert!(missing.to_string().contains("none"), "{missing}");
}

#[test]
fn a_replaced_root_is_opened_again() {
    let top = fixture();
    let (www, link) = (top.path().join("www"), top.path().join("current"));
    symlink("www", &link).unwrap();
    for door in DOORS {
        let root = Root::new(&link, Symlinks::Inside, door).unwrap();
        assert!(root.reopen().unwrap().is_none());
        fs::remove_file(&link).unwrap();
        assert_eq!(root.reopen().unwrap_err().kind(), io::ErrorKind::NotFound);
        symlink("out", &link).unwrap();
        let new = root.reopen().unwrap().unwrap();
        check(&new, b"secret", &file("secret"));
        check(&root, b"plain", &file("plain"));
        fs::remove_file(&link).unwrap();
        symlink(&www, &link).unwrap();
    }
}

#[test]
fn a_root_with_search_permission_only_serves_its_files() {
    let top = fixture();
    let www = top.path().join("www");
    fs::set_permissions(&www, fs::Permissions::from_mode(0o311)).unwrap();
    for root in roots(&www) {
        check(&root, b"plain", &file("plain"));
    }
    fs::set_permissions(&www, fs::Permissions::from_mode(0o755)).unwrap();
}
