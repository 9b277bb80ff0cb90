//! Starting processes with exactly the descriptors, environment and identity that they are meant to have.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use nix::fcntl::{FcntlArg, fcntl};

use crate::identity::Identity;
use crate::privilege::given_descriptor_limit;

/// A process to be started. Descriptors that are not in the map are closed in the child, except 0, 1 and 2.
pub struct Spawn<'a> {
    /// File to execute.
    pub path: PathBuf,
    /// argv, the program name included.
    pub arguments: Vec<OsString>,
    /// The whole environment of the child.
    pub environment: Vec<(OsString, OsString)>,
    /// Number in the child, and what stands behind it; numbers are 0 or more and distinct.
    pub descriptors: Vec<(RawFd, BorrowedFd<'a>)>,
    /// Becomes this user before the program is executed; `None` keeps the caller's ids.
    pub identity: Option<Identity>,
    /// Working directory; `None` keeps the caller's.
    pub directory: Option<PathBuf>,
    /// Puts the child into a process group of its own, so that it can be ended with all that it started.
    pub own_group: bool,
}

/// Starts the process. Standard streams that the map does not name are /dev/null.
///
/// # Errors
/// The process cannot be made, the identity cannot be taken or the file cannot be executed; the child is gone then.
pub fn spawn(request: &Spawn<'_>) -> io::Result<Child> {
    let Some((name, arguments)) = request.arguments.split_first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no program name"));
    };
    let mut command = Command::new(&request.path);
    command.arg0(name).args(arguments).env_clear().envs(request.environment.iter().map(|(k, v)| (k, v)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(directory) = &request.directory {
        command.current_dir(directory);
    }
    if request.own_group {
        command.process_group(0);
    }
    let plan = Plan::prepare(&request.descriptors)?;
    let descriptor_limit = given_descriptor_limit();
    let identity = request.identity.clone();
    // SAFETY: the closure runs in the forked child of a process that may have threads. It only makes system calls
    // (dup2, close_range, setrlimit, setgroups, setresgid, setresuid) over memory that was prepared before the fork,
    // and neither allocates nor takes locks.
    unsafe {
        command.pre_exec(move || {
            plan.apply()?;
            lower_descriptor_limit(descriptor_limit)?;
            match &identity {
                Some(identity) => take_identity(identity),
                None => Ok(()),
            }
        });
    }
    command.spawn()
}

/// The file of this program: the link that the kernel keeps works for a user who may not enter the directories on the
/// way, and after an upgrade.
///
/// # Errors
/// The system does not say.
pub fn own_program() -> io::Result<PathBuf> {
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { Ok(link) } else { std::env::current_exe() }
}

/// The number of this process, asked for once: programs here start others, and never go on as two.
pub fn id() -> u32 {
    static ID: OnceLock<u32> = OnceLock::new();
    *ID.get_or_init(std::process::id)
}

/// A child that does nothing but keep the process group of its parent in being, until this is dropped: the parent can
/// leave the group, and start others in it.
pub struct GroupHolder(libc::pid_t);

/// Starts such a child. It has no descriptor.
///
/// # Errors
/// Those of fork(2).
pub fn hold_group() -> io::Result<GroupHolder> {
    // SAFETY: the child only makes system calls, over no memory of its own, and never returns from here.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            close_from(0);
            loop {
                // SAFETY: pause takes nothing and touches no memory.
                unsafe { libc::pause() };
            }
        }
        child => Ok(GroupHolder(child)),
    }
}

impl Drop for GroupHolder {
    fn drop(&mut self) {
        // SAFETY: the number is that of a child that nobody else waits for; the null pointer says that its status is
        // not wanted.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            while libc::waitpid(self.0, std::ptr::null_mut(), 0) < 0
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
        }
    }
}

/// Closes every descriptor from `first` on: what a careless parent left open stays out of this process.
pub fn close_from(first: RawFd) {
    #[cfg(target_os = "linux")]
    // SAFETY: called before anything in this process owns descriptors from `first` on, or in a child that uses none.
    unsafe {
        libc::syscall(libc::SYS_close_range, first as libc::c_uint, libc::c_uint::MAX, 0);
    }
    #[cfg(not(target_os = "linux"))]
    for number in first..table_size() {
        // SAFETY: as above.
        unsafe { libc::close(number) };
    }
}

/// Where no call closes a range: the numbers below this may be open. Bounded, for a limit may be as good as none.
#[cfg(not(target_os = "linux"))]
fn table_size() -> RawFd {
    // SAFETY: sysconf takes an integer and touches no memory.
    let limit = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) };
    RawFd::try_from(limit).unwrap_or(RawFd::MAX).clamp(1024, 65_536)
}

/// Signals that a daemon may want to ignore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// SIGXFSZ: a file that grows beyond its limit is an error of write(2) and not the end of the process.
    FileSize,
    /// SIGTERM: the log service outlives the processes whose last lines it writes.
    Terminate,
}

/// Ignores a signal from now on.
pub fn ignore(signal: Ignored) {
    let number = match signal {
        Ignored::FileSize => libc::SIGXFSZ,
        Ignored::Terminate => libc::SIGTERM,
    };
    // SAFETY: SIG_IGN installs no handler.
    unsafe {
        libc::signal(number, libc::SIG_IGN);
    }
}

/// Duplicates that lie above every wanted number, so that placing one cannot overwrite another.
struct Plan {
    moves: Vec<(OwnedFd, RawFd)>,
    above: RawFd,
    /// Wanted numbers that are free here. The standard library opens a pipe by which the child says why it could not
    /// execute the program; while these are taken, that pipe has none of the numbers which the child overwrites.
    _taken: Vec<OwnedFd>,
}

impl Plan {
    fn prepare(descriptors: &[(RawFd, BorrowedFd<'_>)]) -> io::Result<Self> {
        let above = descriptors.iter().map(|(number, _)| *number).max().unwrap_or(2).max(2) + 1;
        let mut moves = Vec::with_capacity(descriptors.len());
        for (number, fd) in descriptors {
            moves.push((duplicate(fd.as_fd(), above)?, *number));
        }
        let mut taken = Vec::new();
        while let Some((_, fd)) = descriptors.first() {
            let lowest = duplicate(fd.as_fd(), 3)?;
            if lowest.as_raw_fd() >= above {
                break;
            }
            taken.push(lowest);
        }
        Ok(Self { moves, above, _taken: taken })
    }

    /// In the child: dup2 clears close-on-exec; everything above the map gets close-on-exec, so that what the standard
    /// library needs until the exec stays open until then.
    fn apply(&self) -> io::Result<()> {
        for (from, to) in &self.moves {
            // SAFETY: both numbers are integers; `from` is open.
            if unsafe { libc::dup2(from.as_raw_fd(), *to) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        for number in 3..self.above {
            if !self.moves.iter().any(|(_, to)| *to == number) {
                // SAFETY: marks a number close-on-exec; EBADF for a closed one is fine.
                unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
            }
        }
        #[cfg(target_os = "linux")]
        // SAFETY: marks numbers close-on-exec; touches no memory.
        unsafe {
            let last = libc::c_uint::MAX;
            libc::syscall(libc::SYS_close_range, self.above as libc::c_uint, last, libc::CLOSE_RANGE_CLOEXEC);
        }
        #[cfg(not(target_os = "linux"))]
        for number in self.above..table_size() {
            // SAFETY: as for the numbers below.
            unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
        Ok(())
    }
}

/// A duplicate with the lowest free number from `least` on.
fn duplicate(fd: BorrowedFd<'_>, least: RawFd) -> io::Result<OwnedFd> {
    let number = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(least))?;
    // SAFETY: the descriptor was made by the line above and has no other owner.
    Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(number) })
}

fn lower_descriptor_limit(soft: Option<libc::rlim_t>) -> io::Result<()> {
    let Some(soft) = soft else { return Ok(()) };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a pointer to a live structure of the right type, which the first one fills.
    let refused = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 || {
            limit.rlim_cur = soft.min(limit.rlim_max);
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) != 0
        }
    };
    if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn take_identity(identity: &Identity) -> io::Result<()> {
    // SAFETY: the pointer and length describe the live vector; the other calls take integers. All are raw system calls
    // that may be made between fork and exec.
    let refused = unsafe {
        libc::setgroups(identity.groups.len() as _, identity.groups.as_ptr()) != 0
            || libc::setgid(identity.gid) != 0
            || libc::setuid(identity.uid) != 0
    };
    if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    fn shell(script: &str) -> Spawn<'static> {
        Spawn {
            path: "/bin/sh".into(),
            arguments: ["sh", "-c", script].map(OsString::from).to_vec(),
            environment: vec![("PATH".into(), "/bin:/usr/bin".into()), ("GENERATION".into(), "7".into())],
            descriptors: Vec::new(),
            identity: None,
            directory: None,
            own_group: true,
        }
    }

    #[test]
    fn the_child_has_the_mapped_descriptors_and_no_others() {
        let (mut here, there) = UnixStream::pair().unwrap();
        let (_leak, _leaked) = UnixStream::pair().unwrap();
        let mut request = shell("echo $GENERATION >&5; ls /proc/self/fd | tr '\\n' ' ' >&5");
        request.descriptors = vec![(5, there.as_fd())];
        let mut child = spawn(&request).unwrap();
        request.descriptors.clear();
        drop(there);
        let mut text = String::new();
        here.read_to_string(&mut text).unwrap();
        assert!(child.wait().unwrap().success());
        // 3 is the directory that ls itself has open.
        assert_eq!(text, "7\n0 1 2 3 5 ");
    }

    #[test]
    fn a_missing_program_is_an_error_of_the_caller() {
        let mut request = shell("");
        request.path = "/proc/self/none".into();
        assert_eq!(spawn(&request).err().map(|e| e.kind()), Some(io::ErrorKind::NotFound));
    }

    #[test]
    fn it_is_one_too_where_the_wanted_numbers_are_the_lowest_free_ones() {
        let (_here, there) = UnixStream::pair().unwrap();
        let mut request = shell("");
        request.path = "/proc/self/none".into();
        let free: Vec<OwnedFd> = (0..8).map(|_| duplicate(there.as_fd(), 3).unwrap()).collect();
        request.descriptors = free.iter().map(|fd| (fd.as_raw_fd(), there.as_fd())).collect();
        drop(free);
        assert_eq!(spawn(&request).err().map(|e| e.kind()), Some(io::ErrorKind::NotFound));
    }
}
