//! Who a process is: users, groups, and becoming one of them for good.

use std::ffi::CString;
use std::io;

use nix::unistd::{Gid, Group, Uid, User};

/// A user's ids as the kernel wants them. Small on purpose: passwords, homes and shells stay with the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Numeric user id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups, the primary one included.
    pub groups: Vec<u32>,
}

impl Identity {
    /// The identity of the calling process (effective ids).
    pub fn current() -> Self {
        let gid = nix::unistd::getegid().as_raw();
        Self { uid: nix::unistd::geteuid().as_raw(), gid, groups: vec![gid] }
    }

    /// A named user with all of the user's groups; `None` when there is no such user.
    ///
    /// # Errors
    /// The user database cannot be read.
    pub fn of_user(name: &str) -> io::Result<Option<Self>> {
        Ok(match User::from_name(name)? {
            Some(user) => Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups: groups_of(&user)? }),
            None => None,
        })
    }
}

/// The numeric id of a group; `None` when there is no such group.
///
/// # Errors
/// The group database cannot be read.
pub fn group_id(name: &str) -> io::Result<Option<u32>> {
    Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
}

/// Whether the process runs with root's effective user id.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Becomes the user for good, in the only safe order: groups, group, user; then checks that there is no way back.
/// Without root it succeeds only when the process is that user already.
///
/// # Errors
/// The kernel refuses, or root could be regained afterwards.
pub fn become_for_good(identity: &Identity) -> io::Result<()> {
    if !is_root() {
        if identity.uid == nix::unistd::geteuid().as_raw() {
            return Ok(());
        }
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    let groups: Vec<Gid> = identity.groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
    nix::unistd::setgroups(&groups)?;
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)?;
    if identity.uid != 0 && nix::unistd::setuid(Uid::from_raw(0)).is_ok() {
        return Err(io::Error::other("root privileges could be regained"));
    }
    Ok(())
}

fn groups_of(user: &User) -> io::Result<Vec<u32>> {
    let name = CString::new(user.name.as_str()).map_err(io::Error::other)?;
    Ok(nix::unistd::getgrouplist(&name, user.gid)?.into_iter().map(Gid::as_raw).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_and_strangers_are_not() {
        assert_eq!(Identity::of_user("root").unwrap().map(|root| root.uid), Some(0));
        assert_eq!(Identity::of_user("no-such-user-here").unwrap(), None);
    }
}
