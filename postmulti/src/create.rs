//! A new instance: its directories and its two files.
//!
//! It listens on no network, and nobody may submit mail to it, until an administrator has looked at its main.cf.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use config::edit::{Change, main_cf};
use config::{Accounts, param};

use crate::instances::Instance;
use crate::place::set;

/// The files of a new installation, for a system without templates of its own.
const MAIN_CF: &str = include_str!("../../conf/main.cf");
const MASTER_CF: &str = include_str!("../../conf/master.cf");

/// Settings about what all instances share, where the primary one has them.
const SHARED: [&str; 12] = [
    "command_directory",
    "daemon_directory",
    "html_directory",
    "mail_owner",
    "mailq_path",
    "manpage_directory",
    "meta_directory",
    "newaliases_path",
    "readme_directory",
    "sendmail_path",
    "setgid_group",
    "shlib_directory",
];

/// Makes it; `assigned` are settings of its main.cf.
pub(crate) fn create(
    primary: &Instance,
    directory: &Path,
    (queue, data): (&Path, &Path),
    assigned: Vec<Change>,
) -> Result<(), String> {
    let accounts = Accounts::read(&primary.config).map_err(|error| error.to_string())?;
    make(directory, 0o755)?;
    let mut changes = vec![set("authorized_submit_users", ""), set("master_service_disable", "inet")];
    for name in SHARED.into_iter().filter(|name| primary.config.is_set(name)) {
        changes.push(set(name, &primary.value(name)?));
    }
    changes.push(set("queue_directory", &queue.display().to_string()));
    changes.push(set("data_directory", &data.display().to_string()));
    changes.extend(assigned);
    let template = template(primary, "main.cf.proto", MAIN_CF)?;
    let file = directory.join("main.cf");
    write(&file, &main_cf(&template, &file, &changes).0)?;
    write(&directory.join("master.cf"), &self::template(primary, "master.cf.proto", MASTER_CF)?)?;
    make(queue, 0o755)?;
    make(data, 0o700)?;
    // name: in a directory of root's.
    chown(data, Some(accounts.mail_owner.uid), Some(accounts.mail_owner.gid)).map_err(|error| failed(data, &error))?;
    // What is below them is made by the command that makes it before each start.
    let program = primary.config.get(param::COMMAND_DIRECTORY).map_err(|error| error.to_string())?.join("postfix");
    let mut command = Command::new(&program);
    command.arg("check").env(config::MAIL_CONFIG, directory).stderr(Stdio::null());
    let status = command.status().map_err(|error| failed(&program, &error))?;
    if status.success() { Ok(()) } else { Err(format!("postfix -c {} check failed: see the log", directory.display())) }
}

/// A template of the installation, else our own.
fn template(primary: &Instance, name: &str, ours: &str) -> Result<Vec<u8>, String> {
    let path = Path::new(&primary.value("meta_directory")?).join(name);
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ours.as_bytes().to_vec()),
        other => other.map_err(|error| failed(&path, &error)),
    }
}

/// Makes a directory that may be there already, and its parents.
fn make(path: &Path, mode: u32) -> Result<(), String> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(|error| failed(parent, &error))?;
    }
    DirBuilder::new().mode(mode).create(path).map_err(|error| failed(path, &error))?;
    // Whatever the umask is.
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|error| failed(path, &error))
}

/// Writes a file that is not there yet.
fn write(path: &Path, content: &[u8]) -> Result<(), String> {
    let write = || {
        let mut file = fs::File::create_new(path)?;
        io::Write::write_all(&mut file, content)?;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        file.sync_all()
    };
    write().map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!("{}: {}", path.display(), net::reason(error))
}
