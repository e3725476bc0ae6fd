//! Giving up what the process does not need, before the first request is read.
//!
//! Two things: being root (`--user`), and access to files outside the folder that is served
//! (Landlock, where the kernel has it). Both are done once, after the sockets are bound and the
//! folder is open, and cannot be undone. What remains if the server is ever taken over: reading
//! the folder, and talking to those who connected.

use std::path::Path;

use nix::unistd::{User, geteuid, setgid, setuid};

/// Becomes this user, for good: the groups first, because later there is no right to change them.
///
/// # Errors
/// In one line: there is no such user, or the process may not become it.
pub fn become_user(name: &str) -> Result<(), String> {
    let user = User::from_name(name)
        .map_err(|error| format!("--user: cannot look up '{name}': {error}"))?
        .ok_or_else(|| format!("--user: there is no user '{name}'"))?;
    if user.uid == geteuid() {
        return Ok(());
    }
    let refused = |error| format!("--user: cannot become '{name}': {error}; only root can");
    drop_groups(&user).map_err(refused)?;
    setgid(user.gid).map_err(refused)?;
    setuid(user.uid).map_err(refused)
}

/// The groups that came with root go; those of the user are not needed to read its files, but for
/// its own.
#[cfg(not(any(target_os = "macos", target_os = "ios")))]
fn drop_groups(user: &User) -> nix::Result<()> {
    nix::unistd::setgroups(&[user.gid])
}

/// macOS keeps the groups of a process in a service of its own, not in the kernel.
#[cfg(any(target_os = "macos", target_os = "ios"))]
fn drop_groups(_user: &User) -> nix::Result<()> {
    Ok(())
}

/// True if the process has the rights of root.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Locks the process in: it can read below `root`, and nothing else of the file system; it can make
/// no connections. It can remove the sockets in `sockets` when it ends, and, because Landlock knows
/// folders only, what else lies below their folders: a socket should have a folder of its own.
/// Returns what could not be had, in one line.
pub fn lock_in(root: &Path, sockets: &[&Path]) -> Option<String> {
    platform::lock_in(root, sockets)
}

#[cfg(target_os = "linux")]
mod platform {
    use super::Path;
    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
        RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    };

    /// The newest version of the rules that we know; older kernels enforce what they can.
    const NEWEST: ABI = ABI::V5;

    pub(super) fn lock_in(root: &Path, sockets: &[&Path]) -> Option<String> {
        // Landlock asks for this, and it is right without it, too: nothing that is executed can
        // ever have more rights than we do.
        if let Err(error) = rustix::thread::set_no_new_privs(true) {
            return Some(format!("no sandbox: no_new_privs is refused: {error}"));
        }
        match enforce(root, sockets) {
            Ok(RulesetStatus::FullyEnforced) => None,
            Ok(RulesetStatus::PartiallyEnforced) => {
                Some("the sandbox is partial: this kernel has an older Landlock".to_owned())
            }
            Ok(RulesetStatus::NotEnforced) => {
                Some("no sandbox: this kernel has no Landlock".to_owned())
            }
            Err(error) => Some(format!("no sandbox: {error}")),
        }
    }

    fn enforce(root: &Path, sockets: &[&Path]) -> Result<RulesetStatus, RulesetError> {
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            .create()?;
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        if let Ok(folder) = PathFd::new(root) {
            rules = rules.add_rule(PathBeneath::new(folder, read))?;
        }
        for socket in sockets {
            let parent = socket.parent().filter(|parent| !parent.as_os_str().is_empty());
            if let Ok(folder) = PathFd::new(parent.unwrap_or(Path::new("."))) {
                rules = rules.add_rule(PathBeneath::new(folder, AccessFs::RemoveFile))?;
            }
        }
        Ok(rules.restrict_self()?.ruleset)
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::Path;

    pub(super) fn lock_in(_root: &Path, _sockets: &[&Path]) -> Option<String> {
        Some("no sandbox: this system has no Landlock".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_user_is_an_error_that_names_it() {
        let error = become_user("no-such-user-at-all").unwrap_err();
        assert!(error.contains("there is no user 'no-such-user-at-all'"), "{error}");
    }

    #[test]
    fn to_become_who_one_is_needs_no_rights() {
        let me = User::from_uid(geteuid()).unwrap();
        if let Some(me) = me {
            assert_eq!(become_user(&me.name), Ok(()));
        }
    }
}
