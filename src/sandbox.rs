//! Drops privileges before the first request is read.
//!
//! Two steps, both irreversible: the switch to another user (`--user`), and Landlock, which limits
//! the files that the process can read (`--sandbox`). The switch is made after the sockets are
//! bound, so the new user must be able to open the root; the sandbox follows when the root is open.
//! An attacker who takes over the process can then read what the sandbox leaves readable, and open
//! no TCP connection. Landlock does not cover metadata and UDP.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, setgid, setuid};

use crate::config::{Account, Sandbox, SiteConfig};

/// Switches to this account for good: the groups first, because the user may not change them.
///
/// # Errors
/// In one line: there is no such account, or the process may not switch to it.
pub fn become_user(account: &Account) -> Result<(), String> {
    let identity = Identity::look_up(account)?;
    if identity.is_current(account) {
        return Ok(());
    }
    let refused =
        |error| format!("cannot switch to user '{account}': only root may change users ({error})");
    identity.set_groups().map_err(refused)?;
    setgid(identity.gid).map_err(refused)?;
    setuid(identity.uid).map_err(refused)
}

/// Whether this account exists.
///
/// # Errors
/// As [`become_user`], if it does not.
pub fn look_up(account: &Account) -> Result<(), String> {
    Identity::look_up(account).map(drop)
}

/// The numbers of an account.
#[derive(Debug)]
struct Identity {
    uid: Uid,
    gid: Gid,
    /// The name, under which the system lists further groups; `None`: the user is not listed.
    name: Option<CString>,
}

impl Identity {
    fn look_up(account: &Account) -> Result<Identity, String> {
        let name = &account.user;
        let number = name.parse().ok().filter(|&uid| uid != NOT_AN_ID).map(Uid::from_raw);
        let failed = |error| format!("--user: cannot look up user '{name}': {error}");
        let mut user = User::from_name(name).map_err(failed)?;
        if let (None, Some(uid)) = (&user, number) {
            user = User::from_uid(uid).map_err(failed)?;
        }
        let (uid, own_gid) = match (&user, number) {
            (Some(user), _) => (user.uid, user.gid),
            // A user that is not listed has no group but, by custom, that of the same number.
            (None, Some(uid)) => (uid, Gid::from_raw(uid.as_raw())),
            (None, None) => {
                return Err(format!("--user: no such user '{name}'; create it, or give a number"));
            }
        };
        let gid = account.group.as_deref().map_or(Ok(own_gid), look_up_group)?;
        let name = user.and_then(|user| CString::new(user.name).ok());
        Ok(Identity { uid, gid, name })
    }

    /// True if there is nothing to switch. Root stays in its groups.
    fn is_current(&self, account: &Account) -> bool {
        let same_group = account.group.is_none() || self.gid == getegid();
        self.uid == geteuid() && same_group
    }

    /// Replaces the groups of root by those of the user: administrators rely on them to give it
    /// access to files.
    #[cfg(not(any(target_os = "macos", target_os = "ios")))]
    fn set_groups(&self) -> nix::Result<()> {
        match &self.name {
            Some(name) => nix::unistd::initgroups(name, self.gid),
            None => nix::unistd::setgroups(&[self.gid]),
        }
    }

    /// macOS keeps the groups of a process in a service, not in the kernel.
    #[cfg(any(target_os = "macos", target_os = "ios"))]
    fn set_groups(&self) -> nix::Result<()> {
        Ok(())
    }
}

fn look_up_group(name: &str) -> Result<Gid, String> {
    let group = Group::from_name(name)
        .map_err(|error| format!("--user: cannot look up group '{name}': {error}"))?;
    let number = || name.parse().ok().filter(|&gid| gid != NOT_AN_ID).map(Gid::from_raw);
    group
        .map(|group| group.gid)
        .or_else(number)
        .ok_or_else(|| format!("--user: no such group '{name}'; create it, or give a number"))
}

/// The kernel takes this number as "leave it as it is".
const NOT_AN_ID: u32 = u32::MAX;

/// True if the process has the privileges of root.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// The folders that a process that serves these sites, and this further folder, may read in this
/// mode, and a warning if they are too many to protect anything. Nothing, if the sandbox is off.
pub fn readable(
    mode: Sandbox,
    sites: &[SiteConfig],
    further: Option<&Path>,
) -> Option<(Vec<PathBuf>, Option<String>)> {
    let mut folders: Vec<PathBuf> = further.map(Path::to_owned).into_iter().collect();
    let mut warning = None;
    let top = Path::new("/");
    for site in sites {
        let root = site.root.display();
        folders.push(site.root.clone());
        if site.root == top {
            warning = Some("the sandbox lets the process read every file: it serves /".to_owned());
        }
        match mode {
            Sandbox::Off => return None,
            Sandbox::Strict => {}
            Sandbox::On => {
                let around = folders_around(&site.root);
                if around.iter().any(|folder| folder == top) {
                    warning = Some(format!(
                        "the sandbox lets the process read every file: '{root}' lies in /; use \
                         --sandbox strict, or serve a folder further down"
                    ));
                }
                folders.extend(around);
            }
        }
        folders.extend_from_slice(&site.link_targets);
    }
    Some((folders, warning))
}

/// The folders that hold a root. A link may be switched: then the new root lies beside the old one,
/// beside the folder that the link led to, or, if the link is further up in the path, below the
/// folder that holds the link.
fn folders_around(root: &Path) -> Vec<PathBuf> {
    let named = std::path::absolute(root).ok();
    let resolved = root.canonicalize().ok();
    let above = named.iter().flat_map(|path| path.ancestors().skip(1));
    let links = above.filter(|path| path.is_symlink());
    let beside = links.filter_map(Path::parent).filter(|path| *path != Path::new("/"));
    let around = [&named, &resolved].into_iter().flatten().filter_map(|path| path.parent());
    beside.chain(around).map(Path::to_owned).collect()
}

/// Locks the process in: it can read below `folders`, and nothing else of the file system; it can
/// open no TCP connections. It can remove the sockets in `sockets` when it ends, and, because
/// Landlock knows only folders, everything else in theirs: a socket should have its own folder. It
/// can open the file `log` anew, and for the same reason create and write files in its folder, as
/// far as the user may. Returns one line for each problem.
pub fn lock_in(folders: &[PathBuf], sockets: &[&Path], log: Option<&Path>) -> Vec<String> {
    platform::lock_in(folders, sockets, log)
}

#[cfg(target_os = "linux")]
mod platform {
    use std::path::{Path, PathBuf};

    use landlock::{
        ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
        Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    };

    /// The newest version of the rules that this code knows; older kernels enforce what they can.
    const NEWEST: ABI = ABI::V5;

    pub(super) fn lock_in(
        folders: &[PathBuf],
        sockets: &[&Path],
        log: Option<&Path>,
    ) -> Vec<String> {
        // Landlock requires it. Without a sandbox it does no harm: the server executes nothing.
        if let Err(error) = rustix::thread::set_no_new_privs(true) {
            return vec![format!("no sandbox: no_new_privs is refused: {error}")];
        }
        let mut warnings = Vec::new();
        let write = AccessFs::MakeReg | AccessFs::WriteFile | AccessFs::Truncate;
        let removable = sockets.iter().map(|socket| (*socket, AccessFs::RemoveFile.into()));
        let changeable: Vec<_> = removable.chain(log.map(|log| (log, write))).collect();
        match enforce(folders, &changeable, &mut warnings) {
            Ok(RulesetStatus::FullyEnforced) => {}
            Ok(RulesetStatus::PartiallyEnforced) => {
                warnings
                    .push("the sandbox is partial: this kernel has an older Landlock".to_owned());
            }
            Ok(RulesetStatus::NotEnforced) => {
                warnings.push("no sandbox: this kernel has no Landlock".to_owned());
            }
            Err(error) => warnings.push(format!("no sandbox: {error}")),
        }
        warnings
    }

    fn enforce(
        folders: &[PathBuf],
        changeable: &[(&Path, BitFlags<AccessFs>)],
        warnings: &mut Vec<String>,
    ) -> Result<RulesetStatus, RulesetError> {
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            .create()?;
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        for folder in folders {
            match PathFd::new(folder) {
                Ok(fd) => rules = rules.add_rule(PathBeneath::new(fd, read))?,
                Err(error) => warnings.push(format!(
                    "the sandbox does not let the process read '{}': {error}",
                    folder.display()
                )),
            }
        }
        for (file, access) in changeable {
            let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
            if let Ok(folder) = PathFd::new(parent.unwrap_or(Path::new("."))) {
                rules = rules.add_rule(PathBeneath::new(folder, *access))?;
            }
        }
        Ok(rules.restrict_self()?.ruleset)
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::path::{Path, PathBuf};

    pub(super) fn lock_in(_: &[PathBuf], _: &[&Path], _: Option<&Path>) -> Vec<String> {
        vec!["no sandbox: this system has no Landlock".to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(text: &str) -> Account {
        text.parse().unwrap()
    }

    #[test]
    fn an_unknown_name_is_an_error_that_names_it() {
        let error = become_user(&account("no-such-user-at-all")).unwrap_err();
        assert!(error.contains("no such user 'no-such-user-at-all'"), "{error}");
        let error = become_user(&account("0:no-such-group-at-all")).unwrap_err();
        assert!(error.contains("no such group 'no-such-group-at-all'"), "{error}");
    }

    #[test]
    fn the_folder_that_holds_a_link_above_the_root_is_readable() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("releases/1/public")).unwrap();
        std::os::unix::fs::symlink("releases/1", top.join("current")).unwrap();
        let root = top.join("current/public");
        let (folders, warning) = readable(Sandbox::On, &[SiteConfig::at(&root)], None).unwrap();
        assert!(folders.contains(&top), "{folders:?}");
        assert_eq!(warning, None);
        let (folders, _) = readable(Sandbox::Strict, &[SiteConfig::at(&root)], None).unwrap();
        assert_eq!(folders, [root]);
    }

    #[test]
    fn a_number_needs_no_name() {
        let unlisted = "4123456789";
        let identity = Identity::look_up(&account(unlisted)).unwrap();
        assert_eq!((identity.uid.as_raw(), identity.gid.as_raw()), (4_123_456_789, 4_123_456_789));
        assert_eq!(identity.name, None);
        let identity = Identity::look_up(&account("4123456789:12")).unwrap();
        assert_eq!(identity.gid.as_raw(), 12);
        assert_eq!(Identity::look_up(&account("0")).unwrap().name, Some(c"root".to_owned()));
        assert!(Identity::look_up(&account("4294967295")).is_err(), "it means no change");
        assert!(Identity::look_up(&account("0:4294967295")).is_err(), "it means no change");
    }

    #[test]
    fn a_switch_to_oneself_needs_no_privileges() {
        if let Some(me) = User::from_uid(geteuid()).unwrap() {
            assert_eq!(become_user(&account(&me.name)), Ok(()));
        }
    }

    #[test]
    fn each_mode_reads_its_folders() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path().canonicalize().unwrap();
        let [releases, place, target] = ["releases", "place", "target"].map(|name| top.join(name));
        let one = releases.join("1");
        std::fs::create_dir_all(&one).unwrap();
        std::fs::create_dir(&place).unwrap();
        let root = place.join("current");
        std::os::unix::fs::symlink(&one, &root).unwrap();
        let link_targets = vec![target.clone()];
        let sites = [SiteConfig { link_targets, ..SiteConfig::at(&root) }];
        let folders = |mode| readable(mode, &sites, None).map(|(folders, _)| folders);
        assert_eq!(folders(Sandbox::Off), None);
        assert_eq!(folders(Sandbox::Strict), Some(vec![root.clone(), target.clone()]));
        assert_eq!(folders(Sandbox::On), Some(vec![root.clone(), place, releases, target]));
    }

    #[test]
    fn a_root_in_the_top_folder_is_reported() {
        let warning = |mode, root| readable(mode, &[SiteConfig::at(root)], None).unwrap().1;
        let line = warning(Sandbox::On, "/usr").unwrap();
        assert!(line.contains("'/usr' lies in /; use --sandbox strict"), "{line}");
        assert_eq!(warning(Sandbox::Strict, "/usr"), None);
        for mode in [Sandbox::On, Sandbox::Strict] {
            assert!(warning(mode, "/").unwrap().ends_with("it serves /"));
        }
        assert_eq!(warning(Sandbox::On, "/usr/lib/missing"), None);
    }
}
