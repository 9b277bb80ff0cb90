//! A network and a view of the file system of the calling thread's own: own loopback, own addresses, own resolv.conf,
//! every port free, DNS on port 53.
//!
//! What the thread starts from then on (programs, threads, servers) lives there too, and the world ends with the last
//! of them. Needs root. The rest of the process and of the machine does not notice.

use std::cell::RefCell;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::SystemLog;
use crate::accounts::is_root;

/// The world that the calling thread is in.
#[derive(Debug)]
pub struct World {
    folder: PathBuf,
    /// What hides other files, in the order in which it was put there.
    bound: RefCell<Vec<PathBuf>>,
}

impl World {
    /// Moves the calling thread into a new world; None, with a line on standard error, when the caller is not root.
    pub fn enter() -> Option<World> {
        if !is_root() {
            eprintln!("left out: an own network needs root");
            return None;
        }
        let folder = std::env::temp_dir().join(format!("postfix-rs-world-{}", nix::unistd::gettid()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap_or_else(|e| panic!("unshare: {e}"));
        // Mounts made here are not seen outside.
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap_or_else(|e| panic!("private mounts: {e}"));
        ip(&["link", "set", "lo", "up"]);
        let world = World { folder, bound: RefCell::default() };
        world.file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
        world.file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
        Some(world)
    }

    /// An address of this machine, as far as this world is concerned.
    pub fn address(&self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => ip(&["address", "add", &format!("{v4}/32"), "dev", "lo"]),
            IpAddr::V6(v6) => ip(&["-6", "address", "add", &format!("{v6}/128"), "dev", "lo", "nodad"]),
        }
    }

    /// Addresses that swallow whatever is sent to them, as a broken path does: packets leave, and nothing comes back.
    pub fn swallow(&self, addresses: &[IpAddr]) {
        const HOLE: &str = "02:00:00:00:00:99";
        ip(&["link", "add", "hole0", "type", "veth", "peer", "name", "hole1", "address", HOLE]);
        for link in ["hole0", "hole1"] {
            ip(&["link", "set", link, "addrgenmode", "none"]);
            ip(&["link", "set", link, "up"]);
        }
        ip(&["address", "add", "198.51.100.1/24", "dev", "hole0"]);
        ip(&["-6", "address", "add", "2001:db8:ffff::1/64", "dev", "hole0", "nodad"]);
        for address in addresses {
            let (family, length) = if address.is_ipv4() { ("-4", 32) } else { ("-6", 128) };
            ip(&[family, "route", "add", &format!("{address}/{length}"), "dev", "hole0"]);
            ip(&[family, "neigh", "add", &address.to_string(), "lladdr", HOLE, "dev", "hole0", "nud", "permanent"]);
        }
    }

    /// Shows contents under the name of a system file that need not exist.
    pub fn new_file(&self, path: &str, contents: &str) {
        let target = Path::new(path);
        let (Some(parent), false) = (target.parent(), target.exists()) else { return self.file(path, contents) };
        let name = parent.display().to_string().replace('/', "_");
        let (upper, work) = (self.folder.join(format!("upper{name}")), self.folder.join(format!("work{name}")));
        for folder in [&upper, &work] {
            fs::create_dir_all(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        }
        fs::write(upper.join(target.file_name().unwrap_or_default()), contents)
            .unwrap_or_else(|e| panic!("{}: {e}", upper.display()));
        let options = format!("lowerdir={},upperdir={},workdir={}", parent.display(), upper.display(), work.display());
        let mounted = mount(Some("overlay"), parent, Some("overlay"), MsFlags::empty(), Some(options.as_str()));
        mounted.unwrap_or_else(|e| panic!("overlay {}: {e}", parent.display()));
        self.bound.borrow_mut().push(parent.to_path_buf());
    }

    /// Shows other contents under the name of an existing system file.
    pub fn file(&self, path: &str, contents: &str) {
        let substitute = self.folder.join(path.replace('/', "_"));
        fs::write(&substitute, contents).unwrap_or_else(|e| panic!("{}: {e}", substitute.display()));
        let target = fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
        self.bind(&substitute, &target);
    }

    /// A /dev with little more in it than the system's log, which is returned.
    pub fn system_log(&self) -> SystemLog {
        let folder = self.folder.join("dev");
        for name in ["shm", "pts"] {
            fs::create_dir_all(folder.join(name)).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        }
        for name in ["null", "zero", "full", "random", "urandom", "tty", "net/tun"] {
            let (real, here) = (Path::new("/dev").join(name), folder.join(name));
            if real.exists() {
                fs::create_dir_all(here.parent().unwrap_or(&folder))
                    .unwrap_or_else(|e| panic!("{}: {e}", here.display()));
                fs::write(&here, "").unwrap_or_else(|e| panic!("{}: {e}", here.display()));
                self.bind(&real, &here);
            }
        }
        let descriptors = std::os::unix::fs::symlink("/proc/self/fd", folder.join("fd"));
        descriptors.unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        self.bind(&folder, Path::new("/dev"));
        SystemLog::at("/dev/log")
    }

    /// This machine's files with those of `upper` over them, below the returned folder; writes go to `upper`.
    pub fn overlay(&self, upper: &Path) -> PathBuf {
        let (work, merged) = (upper.with_extension("work"), upper.with_extension("merged"));
        for folder in [&work, &merged] {
            fs::create_dir_all(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        }
        let options = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
        let mounted = mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(options.as_str()));
        mounted.unwrap_or_else(|e| panic!("overlay {}: {e}", merged.display()));
        for shared in ["/proc", "/dev"] {
            self.bind(Path::new(shared), &merged.join(&shared[1..]));
        }
        merged
    }

    fn bind(&self, source: &Path, target: &Path) {
        let mounted = mount(Some(source), target, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>);
        mounted.unwrap_or_else(|e| panic!("{} on {}: {e}", source.display(), target.display()));
        self.bound.borrow_mut().push(target.to_path_buf());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What something is mounted on cannot be removed.
        for target in self.bound.take().iter().rev() {
            let _ = umount2(target, MntFlags::MNT_DETACH);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap_or_else(|e| panic!("ip: {e}"));
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
