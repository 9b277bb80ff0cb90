//! Where the programs are: ours in the folder that cargo builds to, C Postfix's where `cargo xtask oracle` unpacked it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the folder of an unpacked C Postfix.
pub const ORACLE: &str = "POSTFIX_ORACLE";
/// Names the version of C Postfix that scenarios run on, `3.11`; `ours` or not set: our programs.
pub const SCENARIOS_ON: &str = "SCENARIOS_ON";
/// Names the folder of our programs, if it is not the one next to the running test.
pub const OURS: &str = "POSTFIX_RS_PROGRAMS";

/// Which mail system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Implementation {
    /// This workspace's.
    Ours,
    /// Debian's C Postfix.
    Oracle,
}

/// The programs of one mail system.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Whose they are.
    pub implementation: Implementation,
    /// `daemon_directory`.
    pub daemons: PathBuf,
    /// `command_directory`.
    pub commands: PathBuf,
    /// Where C Postfix was unpacked; our programs need nothing but themselves.
    pub root: Option<PathBuf>,
}

impl Programs {
    /// Those that this run of the scenarios is about.
    pub fn under_test() -> Programs {
        match oracle_version() {
            Some(_) => Programs::oracle().unwrap_or_else(|| panic!("{ORACLE} names no folder with C Postfix")),
            None => Programs::ours(),
        }
    }

    /// Ours.
    pub fn ours() -> Programs {
        let folder = std::env::var_os(OURS).map_or_else(beside_this_test, PathBuf::from);
        Programs::of_folder(&folder)
    }

    /// Ours in a folder that holds them all.
    pub fn of_folder(folder: &Path) -> Programs {
        let folder = folder.to_path_buf();
        Programs { implementation: Implementation::Ours, daemons: folder.clone(), commands: folder, root: None }
    }

    /// C Postfix, if it was unpacked.
    pub fn oracle() -> Option<Programs> {
        Programs::of_oracle(Path::new(&std::env::var_os(ORACLE)?))
    }

    /// C Postfix as unpacked in `root`.
    pub fn of_oracle(root: &Path) -> Option<Programs> {
        let daemons = root.join("usr/lib/postfix/sbin");
        let found = daemons.join("master").exists();
        found.then(|| Programs {
            implementation: Implementation::Oracle,
            daemons,
            commands: root.join("usr/sbin"),
            root: Some(root.to_path_buf()),
        })
    }

    /// Path of a command.
    pub fn command(&self, name: &str) -> PathBuf {
        self.commands.join(name)
    }

    /// Path of a daemon.
    pub fn daemon(&self, name: &str) -> PathBuf {
        self.daemons.join(name)
    }

    /// A command in the environment that a login as root would give it, where all commands are found, and with no other
    /// configuration than `etc`.
    pub fn run(&self, name: &str, etc: &Path) -> Command {
        let [(_, path), ..] = ENVIRONMENT;
        let path = format!("{}:{path}", self.commands.display());
        let mut command = Command::new(self.command(name));
        command.env_clear().envs(ENVIRONMENT).env("PATH", path).env("MAIL_CONFIG", etc).current_dir("/");
        command
    }
}

/// The version of C Postfix that this run of the scenarios is about; None when it is about our programs.
pub fn oracle_version() -> Option<String> {
    std::env::var(SCENARIOS_ON).ok().filter(|on| on != "ours")
}

/// What every program of an instance is started with.
pub const ENVIRONMENT: [(&str, &str); 4] =
    [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C"), ("LC_ALL", "C"), ("TZ", "UTC")];

/// Tests lie in `TARGET/PROFILE/deps`, programs in `TARGET/PROFILE`.
fn beside_this_test() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let folder = test.parent().unwrap_or(Path::new("/"));
    match folder.file_name() {
        Some(name) if name == "deps" => folder.parent().unwrap_or(folder).to_path_buf(),
        _ => folder.to_path_buf(),
    }
}
