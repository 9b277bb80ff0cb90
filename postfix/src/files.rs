//! The files and directories of this mail system: what the manifest says of them, at the places that main.cf gives
//! them.

use std::path::{Path, PathBuf};

use config::manifest::{self, Entry};
use config::{Accounts, param};
use sys::identity::{Identity, is_root};

use crate::instance::Instance;

/// One of them.
pub(crate) struct Placed {
    pub entry: Entry,
    pub path: PathBuf,
    pub uid: u32,
    pub gid: u32,
}

/// Whose files are, in place of the names of the manifest. Not started as root, everything is the caller's.
pub(crate) struct Owners {
    pub mail: (u32, u32),
    pub submission: u32,
}

impl Owners {
    pub(crate) fn of(instance: &Instance) -> Result<Self, String> {
        if !is_root() {
            let caller = Identity::current();
            return Ok(Self { mail: (caller.uid, caller.gid), submission: caller.gid });
        }
        let accounts = Accounts::read(&instance.config).map_err(|error| error.to_string())?;
        Ok(Self { mail: (accounts.mail_owner.uid, accounts.mail_owner.gid), submission: accounts.setgid_group })
    }

    fn uid(&self, name: &str) -> u32 {
        match name {
            "root" => nix::unistd::geteuid().as_raw(),
            _ => self.mail.0,
        }
    }

    fn gid(&self, name: &str) -> u32 {
        match name {
            "root" => nix::unistd::getegid().as_raw(),
            "postdrop" => self.submission,
            _ => self.mail.1,
        }
    }
}

/// Everything in the manifest, in its order; what lies outside of the directories that main.cf names is of the default
/// instance alone.
pub(crate) fn of(instance: &Instance, owners: &Owners) -> Vec<Placed> {
    let place = |entry: Entry| {
        let path = path(instance, &entry.path)?;
        let (uid, gid) = (owners.uid(&entry.owner), owners.gid(&entry.group));
        Some(Placed { entry, path, uid, gid })
    };
    manifest::shipped().into_iter().filter_map(place).collect()
}

/// Where main.cf puts what the manifest names; nowhere, when it belongs to the default instance alone.
fn path(instance: &Instance, name: &str) -> Option<PathBuf> {
    // sendmail_path
    if name == "/usr/sbin/sendmail" {
        return instance.config.get(param::SENDMAIL_PATH).ok().map(PathBuf::from);
    }
    let moved = [
        ("/var/spool/postfix", instance.queue.as_path()),
        ("/var/lib/postfix", &instance.data),
        ("/usr/lib/postfix/sbin", &instance.daemons),
        ("/usr/sbin", &instance.commands),
        (config::DEFAULT_DIRECTORY, instance.config.directory()),
    ];
    let name = Path::new(name);
    let below = |(old, new): &(&str, &Path)| name.strip_prefix(old).ok().map(|rest| join(new, rest));
    let is_default = instance.config.directory() == Path::new(config::DEFAULT_DIRECTORY);
    moved.iter().find_map(below).or_else(|| is_default.then(|| name.to_path_buf()))
}

fn join(directory: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { directory.to_path_buf() } else { directory.join(rest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Config;

    fn instance(directory: &str, settings: &[(&str, &str)]) -> Instance {
        let settings: Vec<_> = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Instance {
            config: Config::parse(b"", Path::new(directory), &settings).unwrap(),
            queue: "/srv/queue".into(),
            daemons: "/opt/daemons".into(),
            commands: "/opt/commands".into(),
            data: "/srv/data".into(),
        }
    }

    #[test]
    fn what_the_manifest_names_is_where_main_cf_puts_it() {
        let other = instance("/etc/other", &[("sendmail_path", "/opt/sendmail")]);
        for (name, place) in [
            ("/var/spool/postfix", "/srv/queue"),
            ("/var/spool/postfix/active", "/srv/queue/active"),
            ("/var/lib/postfix", "/srv/data"),
            ("/usr/lib/postfix/sbin/smtpd", "/opt/daemons/smtpd"),
            ("/usr/sbin/postqueue", "/opt/commands/postqueue"),
            ("/usr/sbin/sendmail", "/opt/sendmail"),
            ("/etc/postfix/main.cf", "/etc/other/main.cf"),
        ] {
            assert_eq!(path(&other, name), Some(place.into()), "{name}");
        }
    }

    #[test]
    fn what_all_instances_share_belongs_to_the_default_one() {
        assert_eq!(path(&instance("/etc/other", &[]), "/etc/aliases"), None);
        let default = instance(config::DEFAULT_DIRECTORY, &[]);
        assert_eq!(path(&default, "/etc/aliases"), Some("/etc/aliases".into()));
    }

    #[test]
    fn everything_that_is_shipped_has_a_place_in_the_default_instance() {
        let default = instance(config::DEFAULT_DIRECTORY, &[]);
        let owners = Owners { mail: (7, 8), submission: 9 };
        let placed = of(&default, &owners);
        assert_eq!(placed.len(), manifest::shipped().len());
        let of = |name: &str| placed.iter().find(|it| it.path == Path::new(name)).map(|it| (it.uid, it.gid));
        assert_eq!(of("/srv/queue/active"), Some((7, 8)));
        assert_eq!(of("/opt/commands/postqueue").map(|(_, group)| group), Some(9));
    }
}
