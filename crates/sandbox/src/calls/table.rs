//! The calls by purpose. A call that is not here cannot be made: exec, fork, ptrace, mount, namespaces, ids, kill,
//! module loading, io_uring, bpf, keys, and whatever the kernel will learn.

use libc::c_long;

use super::{Condition, Rule};
use crate::{Needs, Reach};

/// Memory, time, one's own signals, and descriptors that are open already.
#[rustfmt::skip]
const ANY_PROGRAM: &[c_long] = &[
    libc::SYS_brk, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_madvise,
    libc::SYS_set_robust_list, libc::SYS_rseq, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,    libc::SYS_set_tid_address, libc::SYS_membarrier, libc::SYS_getrandom, libc::SYS_restart_syscall,
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep, libc::SYS_nanosleep,
    libc::SYS_gettimeofday, libc::SYS_setitimer, libc::SYS_getitimer,
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_sigaltstack,
    libc::SYS_getpid, libc::SYS_gettid, libc::SYS_getppid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid,
    libc::SYS_getegid, libc::SYS_getgroups, libc::SYS_getresuid, libc::SYS_getresgid, libc::SYS_uname, libc::SYS_sysinfo,
    libc::SYS_getrusage, libc::SYS_umask,
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64, libc::SYS_pwrite64,
    libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_lseek, libc::SYS_close, libc::SYS_close_range, libc::SYS_dup,
    libc::SYS_dup3, libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_fstatfs, libc::SYS_statfs,
    libc::SYS_flock, libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_pipe2, libc::SYS_eventfd2,
    libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2, libc::SYS_ppoll,
    libc::SYS_pselect6, libc::SYS_timerfd_create, libc::SYS_timerfd_settime,
    libc::SYS_connect, libc::SYS_accept4, libc::SYS_accept, libc::SYS_sendto, libc::SYS_recvfrom, libc::SYS_sendmsg,
    libc::SYS_recvmsg, libc::SYS_sendmmsg, libc::SYS_recvmmsg, libc::SYS_shutdown, libc::SYS_getsockname,
    libc::SYS_getpeername,
];

/// Names of files that can be read: Landlock decides which.
#[rustfmt::skip]
const READS: &[c_long] = &[
    libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_readlinkat, libc::SYS_getdents64, libc::SYS_getcwd,
    libc::SYS_fadvise64,
];

/// Changes of files and names. Neither owners nor the modes of a name.
#[rustfmt::skip]
const WRITES: &[c_long] = &[
    libc::SYS_renameat, libc::SYS_renameat2, libc::SYS_unlinkat, libc::SYS_linkat, libc::SYS_utimensat,
    libc::SYS_ftruncate, libc::SYS_fallocate, libc::SYS_syncfs, libc::SYS_sync_file_range, libc::SYS_copy_file_range,
    libc::SYS_sendfile,
];

/// The same by their older names, where the machine has them.
#[cfg(target_arch = "x86_64")]
mod older {
    use libc::c_long;

    #[rustfmt::skip]
    pub(super) const ANY_PROGRAM: &[c_long] = &[
        libc::SYS_alarm, libc::SYS_time, libc::SYS_dup2, libc::SYS_pipe, libc::SYS_poll, libc::SYS_select,
        libc::SYS_epoll_wait, libc::SYS_epoll_create, libc::SYS_eventfd, libc::SYS_stat, libc::SYS_lstat,
    ];
    pub(super) const READS: &[c_long] = &[libc::SYS_access, libc::SYS_readlink, libc::SYS_getdents];
    #[rustfmt::skip]
    pub(super) const WRITES: &[c_long] = &[
        libc::SYS_rename, libc::SYS_unlink, libc::SYS_rmdir, libc::SYS_link, libc::SYS_utimes,
    ];
}
#[cfg(not(target_arch = "x86_64"))]
mod older {
    pub(super) const ANY_PROGRAM: &[libc::c_long] = &[];
    pub(super) const READS: &[libc::c_long] = &[];
    pub(super) const WRITES: &[libc::c_long] = &[];
}

/// Calls that fail as if the kernel did not have them. clone3 takes its flags behind a pointer; the C library makes
/// threads with clone instead.
pub(super) fn absent() -> Vec<Rule> {
    vec![(libc::SYS_clone3, Vec::new())]
}

/// The calls of a process with these needs.
pub(super) fn of(needs: &Needs) -> Vec<Rule> {
    let writes = needs.paths.iter().any(|(_, reach)| *reach == Reach::Write);
    let reads = writes || !needs.paths.is_empty();
    let mut plain = [ANY_PROGRAM, older::ANY_PROGRAM].concat();
    // The filter before this one has the last word on it.
    plain.push(libc::SYS_clone3);
    if reads {
        plain.extend([READS, older::READS].concat());
    }
    if writes {
        plain.extend([WRITES, older::WRITES].concat());
    }
    if needs.internet || needs.routes {
        plain.push(libc::SYS_bind);
    }
    let mut rules: Vec<Rule> = plain.into_iter().map(|call| (call, Vec::new())).collect();
    rules.extend(own_process(needs));
    rules.extend(descriptors());
    rules.extend(options(needs));
    rules.push((libc::SYS_socket, sockets(needs)));
    rules.push((libc::SYS_socketpair, vec![vec![Condition::is(0, libc::AF_UNIX)]]));
    if reads {
        rules.extend(opening(writes));
    }
    rules
}

/// Flags of the C library for a new thread, and no other: a process, a namespace and a tracer have others.
const THREAD: u32 = (libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID) as u32;

/// What concerns a process is for oneself alone.
fn own_process(needs: &Needs) -> Vec<Rule> {
    let own = std::process::id() as libc::c_int;
    let mut rules = vec![
        (libc::SYS_tgkill, vec![vec![Condition::is(0, own)]]),
        // Limits can be asked for, and not be set.
        (libc::SYS_prlimit64, vec![vec![Condition::is(0, 0), Condition::is_null(2)]]),
        (libc::SYS_prctl, one_of(0, &[libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA])),
        (libc::SYS_futex, futex()),
    ];
    if needs.threads {
        // One C library adds a flag that has had no meaning for twenty years.
        let counts = !(libc::CLONE_DETACHED as u32);
        rules.push((libc::SYS_clone, vec![vec![Condition::bits(0, counts, THREAD)]]));
    }
    for map in [libc::SYS_mmap, libc::SYS_mprotect] {
        let data = vec![vec![Condition::bits(2, libc::PROT_EXEC as u32, 0)]];
        rules.push((map, if needs.loads_code { Vec::new() } else { data }));
    }
    rules
}

/// Waiting and waking. The operations with inherited priorities, which no lock here uses, stay out.
fn futex() -> Vec<Vec<Condition>> {
    let operations = [
        libc::FUTEX_WAIT,
        libc::FUTEX_WAKE,
        libc::FUTEX_REQUEUE,
        libc::FUTEX_CMP_REQUEUE,
        libc::FUTEX_WAKE_OP,
        libc::FUTEX_WAIT_BITSET,
        libc::FUTEX_WAKE_BITSET,
    ];
    let counts = !((libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) as u32);
    operations.into_iter().map(|operation| vec![Condition::bits(1, counts, operation as u32)]).collect()
}

/// Commands to open descriptors: nothing that has the kernel send signals, or types into a terminal.
fn descriptors() -> Vec<Rule> {
    let mut fcntl = one_of(
        1,
        &[
            libc::F_DUPFD,
            libc::F_DUPFD_CLOEXEC,
            libc::F_GETFD,
            libc::F_SETFD,
            libc::F_GETFL,
            libc::F_GETLK,
            libc::F_SETLK,
            libc::F_SETLKW,
            libc::F_OFD_GETLK,
            libc::F_OFD_SETLK,
            libc::F_OFD_SETLKW,
        ],
    );
    fcntl.push(vec![Condition::is(1, libc::F_SETFL), Condition::bits(2, libc::O_ASYNC as u32, 0)]);
    let ioctl = [libc::FIONREAD, libc::FIONBIO, libc::FIOCLEX, libc::FIONCLEX].map(|command| command as libc::c_int);
    // A set-user-id file would be a door for an accomplice outside.
    vec![(libc::SYS_fcntl, fcntl), (libc::SYS_ioctl, one_of(1, &ioctl)), (libc::SYS_fchmod, vec![vec![plain_mode(1)]])]
}

/// Options of sockets: buffers, times, and what delivers small packets at once.
fn options(needs: &Needs) -> Vec<Rule> {
    let set = [
        libc::SO_REUSEADDR,
        libc::SO_SNDBUF,
        libc::SO_RCVBUF,
        libc::SO_KEEPALIVE,
        libc::SO_LINGER,
        libc::SO_RCVTIMEO,
        libc::SO_SNDTIMEO,
    ];
    let asked =
        [libc::SO_TYPE, libc::SO_ERROR, libc::SO_PEERCRED, libc::SO_DOMAIN, libc::SO_PROTOCOL, libc::SO_ACCEPTCONN];
    let level = |level, names: &[libc::c_int]| -> Vec<Vec<Condition>> {
        names.iter().map(|name| vec![Condition::is(1, level), Condition::is(2, *name)]).collect()
    };
    let mut setsockopt = level(libc::SOL_SOCKET, &set);
    let mut getsockopt = level(libc::SOL_SOCKET, &[&set[..], &asked].concat());
    if needs.internet {
        let tcp = [
            libc::TCP_NODELAY,
            libc::TCP_MAXSEG,
            libc::TCP_KEEPIDLE,
            libc::TCP_KEEPINTVL,
            libc::TCP_KEEPCNT,
            libc::TCP_USER_TIMEOUT,
        ];
        setsockopt.extend(level(libc::IPPROTO_TCP, &tcp));
        setsockopt.extend(level(libc::IPPROTO_IPV6, &[libc::IPV6_V6ONLY, libc::IPV6_RECVERR]));
        setsockopt.extend(level(libc::IPPROTO_IP, &[libc::IP_RECVERR]));
        getsockopt.extend(level(libc::IPPROTO_TCP, &tcp));
    }
    vec![(libc::SYS_setsockopt, setsockopt), (libc::SYS_getsockopt, getsockopt)]
}

/// Families with their kinds and protocols.
fn sockets(needs: &Needs) -> Vec<Vec<Condition>> {
    let kinds = !((libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) as u32);
    let socket = |family, kind: libc::c_int, protocol| {
        vec![Condition::is(0, family), Condition::bits(1, kinds, kind as u32), Condition::is(2, protocol)]
    };
    let mut allowed: Vec<_> =
        [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET].map(|kind| socket(libc::AF_UNIX, kind, 0)).into();
    if needs.internet {
        for family in [libc::AF_INET, libc::AF_INET6] {
            for (kind, protocol) in [
                (libc::SOCK_STREAM, 0),
                (libc::SOCK_STREAM, libc::IPPROTO_TCP),
                (libc::SOCK_DGRAM, 0),
                (libc::SOCK_DGRAM, libc::IPPROTO_UDP),
            ] {
                allowed.push(socket(family, kind, protocol));
            }
        }
    }
    if needs.routes {
        for kind in [libc::SOCK_RAW, libc::SOCK_DGRAM] {
            allowed.push(socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE));
        }
    }
    allowed
}

/// Opening files by name: for reading alone, or with modes that give nobody's rights away.
fn opening(writes: bool) -> Vec<Rule> {
    // O_TMPFILE holds O_DIRECTORY, which readers may ask for.
    let changing = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as u32;
    let open = |flags: u8| vec![vec![if writes { plain_mode(flags + 1) } else { Condition::bits(flags, changing, 0) }]];
    let mut rules = vec![(libc::SYS_openat, open(2))];
    if writes {
        rules.push((libc::SYS_mkdirat, vec![vec![plain_mode(2)]]));
    }
    #[cfg(target_arch = "x86_64")]
    {
        rules.push((libc::SYS_open, open(1)));
        if writes {
            rules.push((libc::SYS_mkdir, vec![vec![plain_mode(1)]]));
        }
    }
    rules
}

/// A file mode without set-user-id and set-group-id.
fn plain_mode(argument: u8) -> Condition {
    Condition::bits(argument, libc::S_ISUID | libc::S_ISGID, 0)
}

fn one_of(argument: u8, values: &[libc::c_int]) -> Vec<Vec<Condition>> {
    values.iter().map(|value| vec![Condition::is(argument, *value)]).collect()
}
