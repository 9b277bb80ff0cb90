//! Giving up what a process could otherwise do or gain: set-uid programs, capabilities, core dumps.

use std::io;

/// From here on no exec can gain privileges (set-uid, set-gid and file capabilities are ignored). Irrevocable.
///
/// # Errors
/// A kernel without the feature.
pub fn forbid_new_privileges() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: prctl with PR_SET_NO_NEW_PRIVS reads only its integer arguments.
        if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Whether this process may change its root directory (CAP_SYS_CHROOT).
pub fn may_change_root() -> bool {
    #[cfg(target_os = "linux")]
    {
        /// CAP_SYS_CHROOT
        const NUMBER: u32 = 18;
        let mut header = Header { version: VERSION, pid: 0 };
        let mut sets = [0u32; 6];
        // SAFETY: both pointers refer to live memory of the layout that capget(2) documents for version 3.
        let known = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) } == 0;
        known && sets[0] & (1 << NUMBER) != 0
    }
    #[cfg(not(target_os = "linux"))]
    crate::identity::is_root()
}

#[cfg(target_os = "linux")]
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// _LINUX_CAPABILITY_VERSION_3: two 32-bit words a set; three sets (effective, permitted, inheritable), the low words
/// first.
#[cfg(target_os = "linux")]
const VERSION: u32 = 0x2008_0522;

/// Other processes of the same user cannot trace this one, read its memory or take its descriptors. Irrevocable, but
/// for an exec.
///
/// # Errors
/// Those of prctl(2). Systems without the call protect a process that was root.
pub fn hide_from_own_user() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: prctl with PR_SET_DUMPABLE reads only its integer arguments.
        if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Empties the capability sets of the process (effective, permitted, inheritable, ambient). Irrevocable together with
/// [`forbid_new_privileges`].
///
/// # Errors
/// The kernel refuses; a process without capabilities succeeds.
pub fn drop_capabilities() -> io::Result<()> {
    keep_capabilities(0)
}

/// The same, but for the right to read any file, if the process has it (CAP_DAC_READ_SEARCH).
///
/// # Errors
/// As [`drop_capabilities`].
pub fn keep_reading_rights() -> io::Result<()> {
    const DAC_READ_SEARCH: u32 = 2;
    keep_capabilities(1 << DAC_READ_SEARCH)
}

/// `kept`: a bit for each of the first 32 capabilities.
fn keep_capabilities(kept: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let mut header = Header { version: VERSION, pid: 0 };
        let mut sets = [0u32; 6];
        // SAFETY: both pointers refer to live memory of the layout that capget(2) documents for version 3.
        let known = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) } == 0;
        let left = if known { sets[1] & kept } else { 0 };
        sets = [left, left, 0, 0, 0, 0];
        // SAFETY: prctl with these constants reads only its integer arguments.
        let ambient = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
        // SAFETY: both pointers refer to live memory of the layout that capset(2) documents for version 3.
        let all = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) };
        if ambient != 0 || all != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    let _ = kept;
    Ok(())
}

/// Lowers the limit on processes and threads of this process's user, as this process is concerned (RLIMIT_NPROC). Never
/// raises it.
///
/// # Errors
/// Those of getrlimit(2) and setrlimit(2).
pub fn limit_processes(most: u64) -> io::Result<()> {
    #[cfg(not(any(target_os = "illumos", target_os = "solaris", target_os = "haiku", target_os = "aix")))]
    {
        use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
        let (soft, hard) = getrlimit(Resource::RLIMIT_NPROC)?;
        // Where the type is narrower, no limit is that high.
        let most = rlim_t::try_from(most).unwrap_or(rlim_t::MAX);
        setrlimit(Resource::RLIMIT_NPROC, soft.min(most), hard.min(most))?;
    }
    let _ = most;
    Ok(())
}

/// The limit on open descriptors before it was raised.
static GIVEN_LIMIT: std::sync::OnceLock<libc::rlim_t> = std::sync::OnceLock::new();

/// The limit on open descriptors that this process was started with, if it has raised it since: its children get that
/// one. Programs that use select(2), or close all that may be open, do not work with a large one.
pub(crate) fn given_descriptor_limit() -> Option<libc::rlim_t> {
    GIVEN_LIMIT.get().copied()
}

/// Raises the limit on open descriptors to what the hard limit allows, and returns it.
///
/// # Errors
/// Those of getrlimit(2) and setrlimit(2).
pub fn raise_descriptor_limit() -> io::Result<u64> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        // Only the first value is the one that this process was started with.
        let _ = GIVEN_LIMIT.set(soft);
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    // The limit is signed on some systems, and of another width.
    Ok(u64::try_from(i128::from(hard)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptor_limit_is_the_hard_limit_afterwards() {
        let limit = raise_descriptor_limit().unwrap();
        let (soft, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, limit);
    }
}
