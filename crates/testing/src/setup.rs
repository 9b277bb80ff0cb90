//! What an instance is made of: its directories, main.cf, master.cf and aliases, for either mail system.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use nix::unistd::{Gid, Uid};

use crate::accounts::{Accounts, is_root};
use crate::instance::Instance;
use crate::master_cf::{identity, log_service, plain_lines};
use crate::port::Port;
use crate::programs::Programs;

/// Users of the domain `mail.test` who get their mail into a Maildir each.
pub const USERS: [&str; 3] = ["alice", "bob", "carol"];

/// Queue directories of `mail_owner` alone. C Postfix has no use for the last.
const PRIVATE: [&str; 12] = [
    "incoming", "active", "deferred", "bounce", "defer", "flush", "hold", "trace", "saved", "corrupt", "private",
    "spare",
];

/// An instance that is not made yet.
#[derive(Debug)]
pub struct Setup {
    programs: Programs,
    main: Vec<(String, String)>,
    services: Vec<String>,
    port_alone: bool,
    files: Option<Files>,
}

/// A main.cf and a master.cf as an administrator has them, in place of ours.
#[derive(Clone, Debug)]
pub struct Files {
    /// Text of main.cf; the settings of the instance are added, for they name its directories.
    pub main_cf: String,
    /// Text of master.cf; `smtp inet` gets the port of the instance.
    pub master_cf: String,
}

impl Setup {
    /// The mail system that this run of the scenarios is about; every setting as in `base_settings`.
    pub fn new() -> Setup {
        Setup::of(Programs::under_test())
    }

    /// The same of certain programs.
    pub fn of(programs: Programs) -> Setup {
        Setup { programs, main: Vec::new(), services: Vec::new(), port_alone: false, files: None }
    }

    /// A setting of main.cf, in place of the one that stands there.
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Setup {
        self.main.retain(|(n, _)| n != name);
        self.main.push((name.to_owned(), value.into()));
        self
    }

    /// A line of master.cf, in place of the one of that name and type.
    pub fn service(mut self, line: &str) -> Setup {
        self.services.push(line.to_owned());
        self
    }

    /// The SMTP server has a port and no address in master.cf: inet_interfaces says where it listens.
    pub fn port_alone(mut self) -> Setup {
        self.port_alone = true;
        self
    }

    /// Starts from these files; only directories, accounts, log and port are changed.
    pub fn files(mut self, files: Files) -> Setup {
        self.files = Some(files);
        self
    }

    /// Makes the directories and files.
    pub fn build(self) -> Instance {
        let folder = new_folder();
        let accounts = Accounts::for_caller();
        make_directories(&folder, &accounts);
        let port = Port::reserve();
        write_old(&folder.join("etc/aliases"), &aliases(&folder));
        let instance = Instance::new(folder, port, accounts, self);
        instance.write_configuration();
        instance
    }

    /// Makes and starts it.
    pub fn start(self) -> Instance {
        let mut instance = self.build();
        instance.start();
        instance
    }

    pub(crate) fn programs(&self) -> &Programs {
        &self.programs
    }

    pub(crate) fn switch(&mut self, programs: Programs) {
        self.programs = programs;
    }

    pub(crate) fn change(&mut self, name: &str, value: &str) {
        self.main.retain(|(n, _)| n != name);
        self.main.push((name.to_owned(), value.to_owned()));
    }

    /// The value that was set for this instance, if one was.
    pub(crate) fn changed(&self, name: &str) -> Option<&str> {
        self.main.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn forget(&mut self, name: &str) {
        self.main.retain(|(n, _)| n != name);
    }

    pub(crate) fn add_service(&mut self, line: &str) {
        self.services.push(line.to_owned());
    }

    pub(crate) fn forget_service(&mut self, name: &str) {
        self.services.retain(|line| identity(line).0 != Some(name));
    }

    /// Text of main.cf.
    pub(crate) fn main_cf(&self, folder: &Path, accounts: &Accounts) -> String {
        let mut settings = match self.files {
            Some(_) => own_settings(&self.programs, folder, accounts),
            None => [own_settings(&self.programs, folder, accounts), base_settings(folder)].concat(),
        };
        settings.retain(|(name, _)| !self.main.iter().any(|(changed, _)| changed == name));
        settings.extend(self.main.iter().cloned());
        let given = self.files.as_ref().map_or("", |files| &files.main_cf);
        settings.iter().fold(given.to_owned(), |text, (name, value)| format!("{text}{name} = {value}\n"))
    }

    /// Text of master.cf.
    pub(crate) fn master_cf(&self, port: u16) -> String {
        if let Some(files) = &self.files {
            // The log service last, with the arguments of ours.
            let log = log_service();
            let others = files.master_cf.lines().filter(|l| identity(l) != identity(log));
            let lines = others.map(|l| match identity(l) == (Some("smtp"), Some("inet")) {
                true => l.replacen("smtp", &format!("127.0.0.1:{port}"), 1),
                false => l.to_owned(),
            });
            return lines.chain([log.to_owned()]).map(|l| format!("{l}\n")).collect();
        }
        let names = match self.port_alone {
            true => vec![port.to_string()],
            false => ["127.0.0.1", "[::1]"].map(|ip| format!("{ip}:{port}")).into(),
        };
        let mut lines = plain_lines(&names, self.programs.implementation);
        for line in &self.services {
            let identity = identity(line);
            lines.retain(|l| identity != self::identity(l));
            lines.push(line.clone());
        }
        lines.iter().map(|l| format!("{l}\n")).collect()
    }
}

impl Default for Setup {
    fn default() -> Setup {
        Setup::new()
    }
}

/// Where an instance lives and whose it is.
fn own_settings(programs: &Programs, folder: &Path, accounts: &Accounts) -> Vec<(String, String)> {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut settings = vec![
        ("queue_directory", at("queue")),
        ("data_directory", at("data")),
        ("daemon_directory", programs.daemons.display().to_string()),
        ("command_directory", programs.commands.display().to_string()),
        ("mail_owner", accounts.owner.clone()),
        ("setgid_group", accounts.group.clone()),
        ("maillog_file", at("log")),
        ("maillog_file_prefixes", folder.display().to_string()),
        ("sendmail_path", programs.command("sendmail").display().to_string()),
    ];
    if let Some(root) = &programs.root {
        settings.push(("meta_directory", root.join("etc/postfix").display().to_string()));
        settings.push(("shlib_directory", root.join("usr/lib/postfix").display().to_string()));
    }
    named(settings)
}

/// Loopback alone, no DNS, no system file, one Maildir a user of `mail.test`; everything else goes to `relayhost`.
fn base_settings(folder: &Path) -> Vec<(String, String)> {
    named(vec![
        ("compatibility_level", "3.6".to_owned()),
        ("myhostname", "mail.test".to_owned()),
        ("mydomain", "mail.test".to_owned()),
        ("mydestination", "mail.test, localhost".to_owned()),
        ("mynetworks", "127.0.0.0/8 [::1]/128".to_owned()),
        ("inet_interfaces", "127.0.0.1, [::1]".to_owned()),
        ("inet_protocols", "all".to_owned()),
        ("alias_maps", format!("texthash:{}", folder.join("etc/aliases").display())),
        ("alias_database", String::new()),
        ("local_recipient_maps", "$alias_maps".to_owned()),
        ("relayhost", "[127.0.0.1]:9".to_owned()),
        ("smtpd_peername_lookup", "no".to_owned()),
        ("fast_flush_domains", String::new()),
    ])
}

fn named(settings: Vec<(&str, String)>) -> Vec<(String, String)> {
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn aliases(folder: &Path) -> String {
    let maildir = |user: &str| folder.join("mail").join(user).display().to_string();
    USERS.iter().map(|user| format!("{user} {}/\n", maildir(user))).collect()
}

/// The directories of an installation below `folder`, with the owners and modes of one.
pub fn make_directories(folder: &Path, accounts: &Accounts) {
    let root = (accounts.root_uid, accounts.root_gid);
    let owner = (accounts.owner_uid, accounts.owner_gid);
    let shared = (accounts.owner_uid, accounts.group_gid);
    for public in ["", "etc", "queue"] {
        make(&folder.join(public), root, 0o755);
    }
    let queue = folder.join("queue");
    for private in PRIVATE {
        make(&queue.join(private), owner, 0o700);
    }
    make(&queue.join("pid"), root, 0o755);
    make(&queue.join("public"), shared, 0o710);
    make(&queue.join("maildrop"), shared, 0o730);
    make(&folder.join("data"), owner, 0o700);
    make(&folder.join("mail"), (accounts.recipient_uid, accounts.recipient_gid), 0o700);
}

fn make(folder: &Path, (uid, gid): (Uid, Gid), mode: u32) {
    let made = fs::create_dir_all(folder).and_then(|()| {
        if is_root() {
            chown(folder, Some(uid.as_raw()), Some(gid.as_raw()))?;
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(mode))
    });
    made.unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
}

/// Writes a file as if some seconds ago: a configuration file of this second is not trusted yet, and reload waits.
///
/// The new text takes the place of the old one in one step: a daemon that starts meanwhile would read half of it, and
/// C Postfix's would end without a word, for the half that says where the log is was not there yet.
pub fn write_old(path: &Path, text: &str) {
    let beside = path.with_added_extension("new");
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.set_modified(SystemTime::now() - Duration::from_secs(10))?;
        fs::rename(&beside, path)
    });
    written.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn new_folder() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("postfix-rs-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    // Left by a process of the same number that was killed.
    let _ = fs::remove_dir_all(&folder);
    folder
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_reader_of_a_file_that_is_written_again_has_one_text_or_the_other_whole() {
        let folder = new_folder();
        fs::create_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let path = folder.join("main.cf");
        write_old(&path, "myhostname = old.test\n");
        let mut reader = File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        write_old(&path, "myhostname = new.test\n");
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let now = fs::read_to_string(&path);
        let names = fs::read_dir(&folder).map(Iterator::count);
        let _ = fs::remove_dir_all(&folder);
        assert_eq!(read, "myhostname = old.test\n");
        assert_eq!(now.ok().as_deref(), Some("myhostname = new.test\n"));
        assert_eq!(names.ok(), Some(1), "nothing is left beside it");
    }
}
