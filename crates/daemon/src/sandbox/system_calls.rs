//! seccomp: the system calls that a worker can make. Everything else fails with EPERM.
//!
//! The list is by purpose, so that a reader can see what a service gets and why: what any Rust program needs, files, Unix
//! sockets, and only where the service says so internet sockets. No worker can exec, trace, mount, change ids or load
//! code into the kernel.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use crate::service::{Access, Network, Service};
use crate::start::StartError;

/// A compiled filter.
pub(crate) struct Filter(BpfProgram);

/// Memory, threads, time, signals of one's own, and descriptors that are already open.
#[rustfmt::skip]
const ANY_PROGRAM: &[libc::c_long] = &[
    libc::SYS_brk, libc::SYS_mmap, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_mprotect, libc::SYS_madvise,
    libc::SYS_futex, libc::SYS_set_robust_list, libc::SYS_get_robust_list, libc::SYS_rseq, libc::SYS_clone, libc::SYS_clone3,
    libc::SYS_exit, libc::SYS_exit_group, libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_set_tid_address,
    libc::SYS_membarrier, libc::SYS_getrandom, libc::SYS_restart_syscall,
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep, libc::SYS_nanosleep,
    libc::SYS_gettimeofday, libc::SYS_setitimer, libc::SYS_getitimer,
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_sigaltstack, libc::SYS_tgkill,
    libc::SYS_getpid, libc::SYS_gettid, libc::SYS_getppid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid,
    libc::SYS_getegid, libc::SYS_getgroups, libc::SYS_getresuid, libc::SYS_getresgid, libc::SYS_uname, libc::SYS_sysinfo,
    libc::SYS_prlimit64, libc::SYS_getrusage, libc::SYS_umask, libc::SYS_prctl,
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64, libc::SYS_pwrite64,
    libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_lseek, libc::SYS_close, libc::SYS_close_range, libc::SYS_dup,
    libc::SYS_dup3, libc::SYS_fcntl, libc::SYS_ioctl, libc::SYS_fstat, libc::SYS_pipe2, libc::SYS_eventfd2,
    libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2, libc::SYS_ppoll,
    libc::SYS_pselect6, libc::SYS_timerfd_create, libc::SYS_timerfd_settime,
];

/// The same by their older names, where the machine has them.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ANY_PROGRAM_OLD: &[libc::c_long] = &[
    libc::SYS_arch_prctl, libc::SYS_alarm, libc::SYS_time, libc::SYS_dup2, libc::SYS_pipe, libc::SYS_poll,
    libc::SYS_select, libc::SYS_epoll_wait, libc::SYS_epoll_create, libc::SYS_eventfd,
    libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink, libc::SYS_rename,
    libc::SYS_unlink, libc::SYS_mkdir, libc::SYS_rmdir, libc::SYS_link, libc::SYS_chmod, libc::SYS_utimes,
    libc::SYS_getdents,
];
#[cfg(not(target_arch = "x86_64"))]
const ANY_PROGRAM_OLD: &[libc::c_long] = &[];

/// Files by name: Landlock decides which.
#[rustfmt::skip]
const FILES: &[libc::c_long] = &[
    libc::SYS_openat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_faccessat, libc::SYS_faccessat2,
    libc::SYS_readlinkat, libc::SYS_renameat, libc::SYS_renameat2, libc::SYS_unlinkat, libc::SYS_mkdirat, libc::SYS_linkat,
    libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_utimensat, libc::SYS_ftruncate, libc::SYS_fallocate, libc::SYS_flock,
    libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_syncfs, libc::SYS_sync_file_range, libc::SYS_getdents64, libc::SYS_fstatfs,
    libc::SYS_statfs, libc::SYS_getcwd, libc::SYS_chdir, libc::SYS_fadvise64, libc::SYS_copy_file_range, libc::SYS_sendfile,
];

/// Sockets that exist; `socket` itself is limited to families.
#[rustfmt::skip]
const SOCKETS: &[libc::c_long] = &[
    libc::SYS_connect, libc::SYS_accept4, libc::SYS_accept, libc::SYS_bind, libc::SYS_sendto, libc::SYS_recvfrom,
    libc::SYS_sendmsg, libc::SYS_recvmsg, libc::SYS_sendmmsg, libc::SYS_recvmmsg, libc::SYS_shutdown,
    libc::SYS_getsockname, libc::SYS_getpeername, libc::SYS_getsockopt, libc::SYS_setsockopt, libc::SYS_socketpair,
];

impl Filter {
    /// The filter of a service; none where the machine's architecture is not known to the library.
    pub(crate) fn compile(service: &Service) -> Option<Self> {
        if service.files.contains(&Access::Everything) {
            return None;
        }
        let architecture = TargetArch::try_from(std::env::consts::ARCH).ok()?;
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
        for call in [ANY_PROGRAM, ANY_PROGRAM_OLD, FILES, SOCKETS].concat() {
            rules.insert(call, Vec::new());
        }
        let mut families = vec![libc::AF_UNIX];
        if service.network == Network::Internet {
            // AF_NETLINK: the C library asks which addresses the machine has before it sorts look-up results.
            families.extend([libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK]);
        } else if service.files.contains(&Access::UserDatabase) {
            families.push(libc::AF_NETLINK);
        }
        rules.insert(libc::SYS_socket, families.into_iter().filter_map(family).collect());
        let denied = SeccompAction::Errno(libc::EPERM as u32);
        let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, architecture).ok()?;
        BpfProgram::try_from(filter).ok().map(Self)
    }

    pub(crate) fn install(self) -> Result<(), StartError> {
        match seccompiler::apply_filter(&self.0) {
            Ok(()) => Ok(()),
            // A kernel without seccomp: one clear line, and on.
            Err(error) => {
                logging::warning!("sandbox: system calls are not restricted: {error}");
                Ok(())
            }
        }
    }
}

fn family(family: libc::c_int) -> Option<SeccompRule> {
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family as u64).ok()?;
    SeccompRule::new(vec![condition]).ok()
}
