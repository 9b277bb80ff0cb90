//! A file system of its own on a loop device whose backing can run out of room, and be looked at as after a crash.
//!
//! Mounted for the calling thread and what it starts alone; gone with the last of them. Needs root, loop devices and
//! `mkfs`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::accounts::is_root;

/// The disk that the calling thread has.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Makes a file system of this kind (`ext2`, `ext4`); None, with a line on standard error, when this machine or
    /// this user cannot.
    pub fn make(kind: &str) -> Option<Disk> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        if !is_root() || !Path::new("/dev/loop-control").exists() {
            eprintln!("left out: a disk of its own needs root and loop devices");
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("postfix-rs-disk-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        unshare(CloneFlags::CLONE_NEWNS).unwrap_or_else(|e| panic!("unshare: {e}"));
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap_or_else(|e| panic!("private mounts: {e}"));
        let disk = Disk { folder };
        disk.mount_backing();
        // More than the backing can hold.
        File::create(disk.at("image")).and_then(|image| image.set_len(200 << 20)).expect("an image");
        run("mkfs", &["-t", kind, "-q", "-b", "4096", &disk.name("image")]);
        fs::create_dir(disk.at("disk")).expect("a directory");
        run("mount", &["-t", kind, "-o", "loop", &disk.name("image"), &disk.name("disk")]);
        Some(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.at("disk")
    }

    /// Leaves the device no room to write to.
    pub fn fill(&self) {
        let mut filler = File::create(self.at("filler")).expect("a file");
        for size in [64 << 10, 4 << 10] {
            while filler.write_all(&vec![b'z'; size]).is_ok() {}
        }
    }

    /// Gives the room back.
    pub fn make_room(&self) {
        fs::remove_file(self.at("filler")).expect("the disk was filled");
    }

    /// What sync(1) hears that another user calls.
    ///
    /// # Errors
    /// Those of syncfs(2).
    pub fn sync_by_somebody(&self) -> io::Result<()> {
        Ok(nix::unistd::syncfs(File::open(self.path())?)?)
    }

    /// The files as they are on the disk now, and would be after a loss of power; read-only, below the returned folder.
    pub fn after_a_crash(&self) -> PathBuf {
        let (copy, seen) = (self.at("copy"), self.at("crashed"));
        // Blocks that were never written stay holes.
        run("cp", &["--sparse=always", &self.name("image"), &self.name("copy")]);
        fs::create_dir(&seen).expect("a directory");
        // A journal is replayed, as it would be.
        run("mount", &["-o", "loop", &copy.display().to_string(), &seen.display().to_string()]);
        seen
    }

    fn mount_backing(&self) {
        let mounted = mount(Some("tmpfs"), &self.folder, Some("tmpfs"), MsFlags::empty(), Some("size=24m"));
        mounted.unwrap_or_else(|e| panic!("tmpfs: {e}"));
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn name(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for mounted in ["crashed", "disk", ""] {
            let lazily = nix::mount::MntFlags::MNT_DETACH;
            let _ = nix::mount::umount2(&self.at(mounted), lazily);
        }
        let _ = fs::remove_dir(&self.folder);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program).args(arguments).env("PATH", path).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
