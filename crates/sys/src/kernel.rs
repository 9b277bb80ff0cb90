//! What this machine's kernel can do.

/// The level of Landlock: 0 where the kernel has none, or does not use it.
pub fn landlock_level() -> u32 {
    #[cfg(target_os = "linux")]
    {
        /// LANDLOCK_CREATE_RULESET_VERSION
        const VERSION: libc::c_uint = 1;
        // SAFETY: with this flag the call takes no attributes (a null pointer of size 0) and returns a number.
        let level =
            unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, VERSION) };
        u32::try_from(level).unwrap_or(0)
    }
    #[cfg(not(target_os = "linux"))]
    0
}

/// Whether the kernel has filters of system calls.
pub fn has_seccomp() -> bool {
    #[cfg(target_os = "linux")]
    {
        /// SECCOMP_RET_ERRNO
        const ERRNO: u32 = 0x0005_0000;
        let action = ERRNO;
        // SAFETY: the call reads the one integer that the pointer refers to.
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 }
    }
    #[cfg(not(target_os = "linux"))]
    false
}
