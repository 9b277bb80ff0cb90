//! What code of an attacker would try.

use Argument::{Bytes, Number};
use nix::libc::{self, c_int, c_long};
use testing::Instance;
use testing::inject::Argument;

/// One system call, and what it would be good for.
pub struct Act(pub String, pub c_long, pub Vec<Argument<'static>>);

/// What each may open below the queue directory.
const QUEUES: [(&str, &[&str]); 6] = [
    ("qmqpd", &["incoming"]),
    ("pickup", &["maildrop", "corrupt"]),
    ("cleanup", &["incoming", "hold"]),
    ("qmgr", &["incoming", "active", "deferred", "corrupt", "saved", "defer", "bounce", "trace"]),
    ("bounce", &["bounce", "defer", "trace", "active", "incoming", "deferred"]),
    ("showq", &["maildrop", "active", "incoming", "deferred", "hold", "bounce", "defer"]),
];
const ALL_QUEUES: [&str; 12] = [
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop", "pid", "saved",
    "trace",
];

pub fn numbers(values: &[i64]) -> Vec<Argument<'static>> {
    values.iter().copied().map(Number).collect()
}

/// What no daemon may do. `victim` is another process of the mail system.
// long: a table
pub fn acts(victim: i64) -> Vec<Act> {
    let here = i64::from(libc::AT_FDCWD);
    let (new_user, new_net, new_mount) = (0x1000_0000, 0x4000_0000, 0x2_0000);
    let child = i64::from(libc::SIGCHLD);
    let mut all = vec![
        Act("run a program".into(), libc::SYS_execve, vec![Bytes(b"/bin/true\0"), Number(0), Number(0)]),
        Act(
            "run a file".into(),
            libc::SYS_execveat,
            vec![Number(here), Bytes(b"/bin/true\0"), Number(0), Number(0), Number(0)],
        ),
        Act("fork".into(), libc::SYS_fork, vec![]),
        Act("vfork".into(), libc::SYS_vfork, vec![]),
        Act("clone".into(), libc::SYS_clone, numbers(&[child, 0, 0, 0, 0])),
        Act("clone3".into(), libc::SYS_clone3, vec![Bytes(&[0; 88]), Number(88)]),
        Act(
            "limits of another process".into(),
            libc::SYS_prlimit64,
            vec![Number(victim), Number(7), Bytes(&[9; 16]), Number(0)],
        ),
        Act("limits of its own".into(), libc::SYS_prlimit64, vec![Number(0), Number(7), Bytes(&[9; 16]), Number(0)]),
        Act("unusual lock".into(), libc::SYS_futex, vec![Bytes(&[0; 8]), Number(6), Number(0), Number(0)]),
        Act("set-user-id file".into(), libc::SYS_fchmod, numbers(&[0, 0o4755])),
        Act("terminal input".into(), libc::SYS_ioctl, vec![Number(0), Number(0x5412), Bytes(b"x")]),
        Act("terminal selection".into(), libc::SYS_ioctl, vec![Number(0), Number(0x541c), Bytes(b"\x02")]),
        Act("signals from a socket".into(), libc::SYS_ioctl, vec![Number(0), Number(0x8901), Bytes(&[1, 0, 0, 0])]),
    ];
    for flags in
        [new_user, new_net, new_mount, new_user | new_net, new_user | new_mount, 0x2000_0000, 0x0800_0000, 0x0400_0000]
    {
        all.push(Act(
            format!("clone into namespaces {flags:x}"),
            libc::SYS_clone,
            numbers(&[flags | child, 0, 0, 0, 0]),
        ));
        all.push(Act(
            format!("thread and namespaces {flags:x}"),
            libc::SYS_clone,
            numbers(&[flags | 0x3d_0f00, 0, 0, 0, 0]),
        ));
        all.push(Act(format!("unshare {flags:x}"), libc::SYS_unshare, numbers(&[flags])));
    }
    for command in [libc::F_SETOWN, libc::F_SETLEASE, libc::F_NOTIFY, 10, 15, libc::F_SETPIPE_SZ, libc::F_ADD_SEALS] {
        all.push(Act(format!("fcntl {command}"), libc::SYS_fcntl, numbers(&[0, i64::from(command), victim])));
    }
    all.push(Act("fcntl O_ASYNC".into(), libc::SYS_fcntl, numbers(&[0, libc::F_SETFL.into(), libc::O_ASYNC.into()])));
    for option in [
        libc::PR_SET_DUMPABLE,
        libc::PR_SET_MM,
        libc::PR_SET_PTRACER,
        libc::PR_SET_SECCOMP,
        libc::PR_CAP_AMBIENT,
        libc::PR_SET_PDEATHSIG,
    ] {
        all.push(Act(format!("prctl {option}"), libc::SYS_prctl, numbers(&[option.into(), 1, 0, 0, 0])));
    }
    let on_others: &[(&str, c_long)] = &[
        ("kill", libc::SYS_kill),
        ("tkill", libc::SYS_tkill),
        ("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo),
        ("process_vm_readv", libc::SYS_process_vm_readv),
        ("process_vm_writev", libc::SYS_process_vm_writev),
        ("pidfd_open", libc::SYS_pidfd_open),
        ("kcmp", libc::SYS_kcmp),
        ("sched_setattr", libc::SYS_sched_setattr),
        ("sched_setscheduler", libc::SYS_sched_setscheduler),
        ("sched_setparam", libc::SYS_sched_setparam),
        ("sched_setaffinity", libc::SYS_sched_setaffinity),
        ("migrate_pages", libc::SYS_migrate_pages),
        ("move_pages", libc::SYS_move_pages),
        ("get_robust_list", libc::SYS_get_robust_list),
        ("setpgid", libc::SYS_setpgid),
    ];
    all.extend(
        on_others
            .iter()
            .map(|(name, call)| Act(format!("{name} on another"), *call, numbers(&[victim, 0, 0, 0, 0, 0]))),
    );
    all.push(Act("tgkill another".into(), libc::SYS_tgkill, numbers(&[victim, victim, 28])));
    all.push(Act("trace another".into(), libc::SYS_ptrace, numbers(&[16, victim, 0, 0])));
    all.push(Act("priority of another".into(), libc::SYS_setpriority, numbers(&[0, victim, 19])));
    all.push(Act("disk priority of another".into(), libc::SYS_ioprio_set, numbers(&[1, victim, 0])));
    all.push(Act("signal by descriptor".into(), libc::SYS_pidfd_send_signal, numbers(&[0, 0, 0, 0])));
    let plain: &[(&str, c_long)] = &[
        ("setns", libc::SYS_setns),
        ("memfd_create", libc::SYS_memfd_create),
        ("memfd_secret", libc::SYS_memfd_secret),
        ("userfaultfd", libc::SYS_userfaultfd),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("bpf", libc::SYS_bpf),
        ("perf_event_open", libc::SYS_perf_event_open),
        ("add_key", libc::SYS_add_key),
        ("keyctl", libc::SYS_keyctl),
        ("request_key", libc::SYS_request_key),
        ("init_module", libc::SYS_init_module),
        ("delete_module", libc::SYS_delete_module),
        ("finit_module", libc::SYS_finit_module),
        ("kexec_load", libc::SYS_kexec_load),
        ("kexec_file_load", libc::SYS_kexec_file_load),
        ("mount", libc::SYS_mount),
        ("umount2", libc::SYS_umount2),
        ("pivot_root", libc::SYS_pivot_root),
        ("chroot", libc::SYS_chroot),
        ("open_tree", libc::SYS_open_tree),
        ("move_mount", libc::SYS_move_mount),
        ("fsopen", libc::SYS_fsopen),
        ("fsmount", libc::SYS_fsmount),
        ("fspick", libc::SYS_fspick),
        ("mount_setattr", libc::SYS_mount_setattr),
        ("setuid", libc::SYS_setuid),
        ("setgid", libc::SYS_setgid),
        ("setgroups", libc::SYS_setgroups),
        ("setresuid", libc::SYS_setresuid),
        ("setresgid", libc::SYS_setresgid),
        ("setfsuid", libc::SYS_setfsuid),
        ("capset", libc::SYS_capset),
        ("personality", libc::SYS_personality),
        ("seccomp", libc::SYS_seccomp),
        ("shmget", libc::SYS_shmget),
        ("shmat", libc::SYS_shmat),
        ("semget", libc::SYS_semget),
        ("msgget", libc::SYS_msgget),
        ("mq_open", libc::SYS_mq_open),
        ("quotactl", libc::SYS_quotactl),
        ("acct", libc::SYS_acct),
        ("swapon", libc::SYS_swapon),
        ("reboot", libc::SYS_reboot),
        ("syslog", libc::SYS_syslog),
        ("sethostname", libc::SYS_sethostname),
        ("settimeofday", libc::SYS_settimeofday),
        ("clock_settime", libc::SYS_clock_settime),
        ("adjtimex", libc::SYS_adjtimex),
        ("iopl", libc::SYS_iopl),
        ("ioperm", libc::SYS_ioperm),
        ("modify_ldt", libc::SYS_modify_ldt),
        ("arch_prctl", libc::SYS_arch_prctl),
        ("vhangup", libc::SYS_vhangup),
        ("setsid", libc::SYS_setsid),
        ("remap_file_pages", libc::SYS_remap_file_pages),
        ("pkey_mprotect", libc::SYS_pkey_mprotect),
        ("timer_create", libc::SYS_timer_create),
        ("signalfd4", libc::SYS_signalfd4),
        ("inotify_init1", libc::SYS_inotify_init1),
        ("fanotify_init", libc::SYS_fanotify_init),
        ("listen", libc::SYS_listen),
        ("open_by_handle_at", libc::SYS_open_by_handle_at),
        ("name_to_handle_at", libc::SYS_name_to_handle_at),
        ("fchdir", libc::SYS_fchdir),
        ("fchown", libc::SYS_fchown),
        ("vmsplice", libc::SYS_vmsplice),
        ("splice", libc::SYS_splice),
        ("set_mempolicy", libc::SYS_set_mempolicy),
        ("pidfd_getfd", libc::SYS_pidfd_getfd),
        ("process_madvise", libc::SYS_process_madvise),
    ];
    all.extend(plain.iter().map(|(name, call)| Act((*name).to_owned(), *call, numbers(&[0; 6]))));
    let on_names: &[(&str, c_long)] = &[
        ("chmod", libc::SYS_chmod),
        ("chown", libc::SYS_chown),
        ("lchown", libc::SYS_lchown),
        ("truncate", libc::SYS_truncate),
        ("mknod", libc::SYS_mknod),
        ("chdir", libc::SYS_chdir),
        ("setxattr", libc::SYS_setxattr),
        ("creat", libc::SYS_creat),
        ("removexattr", libc::SYS_removexattr),
        ("swapoff", libc::SYS_swapoff),
        ("inotify_add_watch", libc::SYS_inotify_add_watch),
    ];
    all.extend(
        on_names
            .iter()
            .map(|(name, call)| Act((*name).to_owned(), *call, vec![Bytes(b"public\0"), Number(0), Number(0)])),
    );
    let at_names: &[(&str, c_long)] =
        &[("fchmodat", libc::SYS_fchmodat), ("fchownat", libc::SYS_fchownat), ("mknodat", libc::SYS_mknodat)];
    all.extend(at_names.iter().map(|(name, call)| {
        Act((*name).to_owned(), *call, vec![Number(here), Bytes(b"public\0"), Number(0), Number(0), Number(0)])
    }));
    all.push(Act("symlink".into(), libc::SYS_symlink, vec![Bytes(b"x\0"), Bytes(b"incoming/x\0")]));
    all
}

/// Sockets that no daemon, or none without the network, may have.
pub fn sockets(on_the_network: bool, porter: bool) -> Vec<Act> {
    let socket = |family: c_int, kind: c_int, protocol: c_int| {
        Act(
            format!("socket {family} {kind} {protocol}"),
            libc::SYS_socket,
            numbers(&[family.into(), kind.into(), protocol.into()]),
        )
    };
    let mut all: Vec<Act> = (0..46)
        .filter(|family| ![libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK].contains(family))
        .flat_map(|family| [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_RAW].map(|kind| socket(family, kind, 0)))
        .collect();
    // A porter of user databases may ask the kernel for routes, as the C library does.
    let first = if porter { 1 } else { 0 };
    all.extend((first..23).map(|protocol| socket(libc::AF_NETLINK, libc::SOCK_RAW, protocol)));
    for family in [libc::AF_INET, libc::AF_INET6] {
        all.extend([0, 1, 6, 17, 255].map(|protocol| socket(family, libc::SOCK_RAW, protocol)));
        // ICMP, SCTP, DCCP, UDP-Lite, multipath TCP, SMC
        all.extend([1, 58, 132, 33, 136].map(|protocol| socket(family, libc::SOCK_DGRAM, protocol)));
        all.extend([132, 262, 256].map(|protocol| socket(family, libc::SOCK_STREAM, protocol)));
        if !on_the_network && !porter {
            all.extend([libc::SOCK_STREAM, libc::SOCK_DGRAM].map(|kind| socket(family, kind, 0)));
        }
    }
    let attach = [26, 50, 51, 52].map(|name| (libc::SOL_SOCKET, name));
    let others =
        [(libc::SOL_SOCKET, 25), (libc::IPPROTO_IP, 19), (libc::IPPROTO_TCP, 31), (libc::IPPROTO_TCP, 14), (0, 64)];
    all.extend(attach.into_iter().chain(others).map(|(level, name)| {
        let arguments = vec![Number(0), Number(level.into()), Number(name.into()), Bytes(&[0; 16]), Number(16)];
        Act(format!("socket option {level} {name}"), libc::SYS_setsockopt, arguments)
    }));
    all.push(Act("descriptor of the peer".into(), libc::SYS_getsockopt, numbers(&[0, 1, 77, 0, 0])));
    if !on_the_network && !porter {
        all.push(Act("bind".into(), libc::SYS_bind, vec![Number(0), Bytes(b"\x01\0\0somebody-else"), Number(16)]));
    }
    all
}

/// Files outside of the queue directory, and queues that are others' business.
pub fn files(mail: &Instance, name: &str) -> Vec<Act> {
    let here = i64::from(libc::AT_FDCWD);
    let open = |path: &str, flags: c_int| {
        // They live as long as the test: a few names.
        let path: &'static [u8] = Box::leak(format!("{path}\0").into_bytes().into_boxed_slice());
        let arguments = vec![Number(here), Bytes(path), Number(flags.into()), Number(0o600)];
        Act(format!("open {}", String::from_utf8_lossy(path)), libc::SYS_openat, arguments)
    };
    let main_cf = mail.etc().join("main.cf").display().to_string();
    let below = format!("..{main_cf}");
    let create = libc::O_CREAT | libc::O_RDWR;
    let mut all = vec![
        open("/etc/shadow", 0),
        open("../../../../../../etc/shadow", 0),
        open(&main_cf, libc::O_WRONLY),
        open(&below, 0),
        open("/tmp/walls", create),
        open("/proc/self/mem", libc::O_RDWR),
        open("/proc/1/environ", 0),
        open("/dev/mem", 0),
        open("walls", create),
        open("public/walls", create),
        open("private", libc::O_DIRECTORY),
        Act(
            "openat2".into(),
            libc::SYS_openat2,
            vec![Number(here), Bytes(b"/etc/shadow\0"), Bytes(&[0; 24]), Number(24)],
        ),
    ];
    let own = QUEUES.iter().find(|(daemon, _)| *daemon == name).map_or(&[][..], |(_, queues)| queues);
    for queue in ALL_QUEUES.iter().filter(|queue| !own.contains(queue)) {
        all.push(open(queue, libc::O_DIRECTORY));
        all.push(open(&format!("{queue}/walls"), create));
        all.push(Act(format!("link into {queue}"), libc::SYS_rename, {
            let target: &'static [u8] = Box::leak(format!("{queue}/walls\0").into_bytes().into_boxed_slice());
            vec![Bytes(b"public/qmgr\0"), Bytes(target)]
        }));
    }
    all
}
