//! The directories of a queue: which, whose, with which mode. Missing ones are made before the mail system starts.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::Path;

use config::Accounts;
use sys::identity::{Identity, is_root};

use crate::instance::Instance;

/// Whose a directory is.
#[derive(Clone, Copy)]
enum Owner {
    Root,
    Mail,
    /// mail_owner, with the group setgid_group: the commands of users reach it.
    MailAndSubmission,
}

const DIRECTORIES: [(&str, Owner, u32); 15] = [
    ("", Owner::Root, 0o755),
    ("active", Owner::Mail, 0o700),
    ("bounce", Owner::Mail, 0o700),
    ("corrupt", Owner::Mail, 0o700),
    ("defer", Owner::Mail, 0o700),
    ("deferred", Owner::Mail, 0o700),
    ("flush", Owner::Mail, 0o700),
    ("hold", Owner::Mail, 0o700),
    ("incoming", Owner::Mail, 0o700),
    ("maildrop", Owner::MailAndSubmission, 0o730),
    ("pid", Owner::Root, 0o755),
    ("private", Owner::Mail, 0o700),
    ("public", Owner::MailAndSubmission, 0o710),
    ("saved", Owner::Mail, 0o700),
    ("trace", Owner::Mail, 0o700),
];

/// Makes what is missing of the queue and data directories; what is there stays as it is.
pub(crate) fn create_missing(instance: &Instance) -> Result<(), String> {
    let owner = Owners::of(instance)?;
    for (name, whose, mode) in DIRECTORIES {
        create(&instance.queue.join(name), whose, mode, &owner)?;
    }
    create(&instance.data, Owner::Mail, 0o700, &owner)
}

struct Owners {
    mail: Identity,
    submission: u32,
}

impl Owners {
    fn of(instance: &Instance) -> Result<Self, String> {
        if !is_root() {
            let mail = Identity::current();
            return Ok(Self { submission: mail.gid, mail });
        }
        let accounts = Accounts::read(&instance.config).map_err(|error| error.to_string())?;
        let mail = Identity::of_account(&accounts.mail_owner).map_err(|error| text::system_error(&error))?;
        Ok(Self { mail, submission: accounts.setgid_group })
    }
}

fn create(path: &Path, whose: Owner, mode: u32, owners: &Owners) -> Result<(), String> {
    let made = fs::DirBuilder::new().mode(mode).create(path);
    let made = match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new().recursive(true).mode(mode).create(path)
        }
        other => other,
    };
    let (uid, gid) = match whose {
        Owner::Root => (None, None),
        Owner::Mail => (Some(owners.mail.uid), Some(owners.mail.gid)),
        Owner::MailAndSubmission => (Some(owners.mail.uid), Some(owners.submission)),
    };
    // name: just made, in a directory of root's.
    let result = made.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)));
    let result = if is_root() { result.and_then(|()| chown(path, uid, gid)) } else { result };
    result.map_err(|error| format!("create {}: {}", path.display(), net::reason(&error)))
}
