//! Who a process is: users, groups, and becoming one of them for good.

use std::io;
use std::os::unix::ffi::OsStrExt;

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

    /// A user of the database with all of the user's groups.
    ///
    /// # Errors
    /// The group database cannot be read.
    pub fn of_account(account: &Account) -> io::Result<Self> {
        Ok(Self { uid: account.uid, gid: account.gid, groups: groups_of(&account.name, Gid::from_raw(account.gid))? })
    }
}

/// An entry of the user database: a name and its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// Numeric user id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
}

/// A user by name; `None` when there is no such user. The groups are not looked up.
///
/// # Errors
/// The user database cannot be read.
pub fn account(name: &str) -> io::Result<Option<Account>> {
    Ok(User::from_name(name)?.map(Account::from))
}

/// The user whom the database gives for a number; `None` when there is none.
///
/// # Errors
/// The user database cannot be read.
pub fn account_of_uid(uid: u32) -> io::Result<Option<Account>> {
    Ok(User::from_uid(Uid::from_raw(uid))?.map(Account::from))
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }
    }
}

/// The group that the database gives for a number; `None` when there is none.
///
/// # Errors
/// The group database cannot be read.
pub fn group_of_gid(gid: u32) -> io::Result<Option<String>> {
    Ok(Group::from_gid(Gid::from_raw(gid))?.map(|group| group.name))
}

/// The numeric id of a group; `None` when there is no such group.
///
/// # Errors
/// The group database cannot be read.
pub fn group_id(name: &str) -> io::Result<Option<u32>> {
    Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
}

/// The entry of a user as a line of passwd(5), without the newline; `None` when there is no such user.
///
/// # Errors
/// The user database cannot be read.
pub fn passwd_line(name: &str) -> io::Result<Option<Vec<u8>>> {
    Ok(User::from_name(name)?.map(|user| {
        let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
        let fields: [&[u8]; 7] = [
            user.name.as_bytes(),
            user.passwd.as_bytes(),
            uid.as_bytes(),
            gid.as_bytes(),
            user.gecos.as_bytes(),
            user.dir.as_os_str().as_bytes(),
            user.shell.as_os_str().as_bytes(),
        ];
        fields.join(&b':')
    }))
}

/// The entry of a group as a line of group(5), without the newline; `None` when there is no such group.
///
/// # Errors
/// The group database cannot be read.
pub fn group_line(name: &str) -> io::Result<Option<Vec<u8>>> {
    Ok(Group::from_name(name)?.map(|group| {
        let (gid, members) = (group.gid.to_string(), group.mem.join(","));
        [group.name.as_bytes(), group.passwd.as_bytes(), gid.as_bytes(), members.as_bytes()].join(&b':')
    }))
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
        return Err(io::Error::from(nix::errno::Errno::EPERM));
    }
    set_groups(&identity.groups)?;
    set_ids(Uid::from_raw(identity.uid), Gid::from_raw(identity.gid))?;
    if identity.uid != 0 && nix::unistd::setuid(Uid::from_raw(0)).is_ok() {
        return Err(io::Error::other("root privileges could be regained"));
    }
    Ok(())
}

fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: pointer and length describe the live slice, which the kernel only reads.
    let result = unsafe { libc::setgroups(groups.len() as _, groups.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Real, effective and saved ids at once. Where there is no call for that, the old ones set all three for root.
fn set_ids(uid: Uid, gid: Gid) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "openbsd"))]
    {
        nix::unistd::setresgid(gid, gid, gid)?;
        nix::unistd::setresuid(uid, uid, uid)?;
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "openbsd")))]
    {
        nix::unistd::setgid(gid)?;
        nix::unistd::setuid(uid)?;
    }
    Ok(())
}

#[cfg(not(any(target_vendor = "apple", target_os = "illumos", target_os = "solaris", target_os = "aix")))]
fn groups_of(user: &str, primary: Gid) -> io::Result<Vec<u32>> {
    let name = std::ffi::CString::new(user).map_err(io::Error::other)?;
    Ok(nix::unistd::getgrouplist(&name, primary)?.into_iter().map(Gid::as_raw).collect())
}

/// The primary group, and every group of the database that names the user: what getgrouplist(3) does where it exists.
#[cfg(any(target_vendor = "apple", target_os = "illumos", target_os = "solaris", target_os = "aix"))]
fn groups_of(user: &str, primary: Gid) -> io::Result<Vec<u32>> {
    use std::sync::{Mutex, PoisonError};
    /// getgrent(3) has one position a process.
    static READER: Mutex<()> = Mutex::new(());
    let _alone = READER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut groups = vec![primary.as_raw()];
    // SAFETY: these calls take no pointers. An entry stays as it is until the next call, which nobody makes meanwhile:
    // the lock is held, and other code looks groups up by name or number, with buffers of its own.
    unsafe {
        libc::setgrent();
        while let Some(group) = libc::getgrent().as_ref() {
            let mut member = group.gr_mem;
            // The list of members ends with a null pointer; each points to a string that ends with NUL.
            while !member.is_null() && !(*member).is_null() {
                let name = std::ffi::CStr::from_ptr(*member);
                if name.to_bytes() == user.as_bytes() && !groups.contains(&group.gr_gid) {
                    groups.push(group.gr_gid);
                }
                member = member.add(1);
            }
        }
        libc::endgrent();
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_and_strangers_are_not() {
        let root = account("root").unwrap().unwrap();
        assert_eq!(Identity::of_account(&root).unwrap().uid, 0);
        assert_eq!(account("no-such-user-here").unwrap(), None);
    }
}
