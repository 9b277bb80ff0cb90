//! What a carrier is started for: its duty, and whom it becomes before it reads anything.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use ipc::carrier::{Request, Target};
use sandbox::{Needs, Reach, Walls};
use sys::identity::{Identity, become_for_good};

/// The arguments of a carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Orders {
    /// What it may do.
    pub(crate) duty: Duty,
    /// User and group that it becomes; `None`: it stays who it is, which is not root.
    pub(crate) ids: Option<(u32, u32)>,
    /// The open mailbox comes with it.
    pub(crate) has_mailbox: bool,
    /// Its root directory, for a command; empty: it stays.
    pub(crate) root: PathBuf,
    /// The largest file in bytes that it may write, commands included; 0: no limit.
    pub(crate) size_limit: u64,
}

/// What a carrier is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Lists and files of the user; nothing is run.
    Files,
    /// A command of the user.
    Command,
    /// This mailbox and nothing else.
    Mailbox(PathBuf),
}

impl Orders {
    /// As arguments.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let (duty, path) = match &self.duty {
            Duty::Files => ("files", OsString::new()),
            Duty::Command => ("command", OsString::new()),
            Duty::Mailbox(path) => ("mailbox", path.clone().into_os_string()),
        };
        let id = |id: Option<u32>| OsString::from(id.map(|id| id.to_string()).unwrap_or_default());
        let mailbox = if self.has_mailbox { "lent" } else { "" };
        let (ids, limit) = (self.ids, self.size_limit.to_string());
        let (uid, gid) = (id(ids.map(|it| it.0)), id(ids.map(|it| it.1)));
        vec![duty.into(), uid, gid, mailbox.into(), path, self.root.clone().into(), limit.into()]
    }

    /// Reads the arguments; `None` for other words.
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let [duty, uid, gid, mailbox, path, root, limit] =
            <[OsString; 7]>::try_from(arguments.collect::<Vec<_>>()).ok()?;
        let duty = match duty.to_str()? {
            "files" => Duty::Files,
            "command" => Duty::Command,
            "mailbox" => Duty::Mailbox(path.into()),
            _ => return None,
        };
        let ids = match (uid.to_str()?, gid.to_str()?) {
            ("", "") => None,
            (uid, gid) => Some((uid.parse().ok()?, gid.parse().ok()?)),
        };
        let size_limit = limit.to_str()?.parse().ok()?;
        Some(Orders { duty, ids, has_mailbox: mailbox == "lent", root: root.into(), size_limit })
    }

    /// Becomes the user, out of reach for that user's other processes, and behind walls where nothing is to be run.
    ///
    /// # Errors
    /// The process would have more rights than it is meant to have.
    pub(crate) fn obey(&self) -> io::Result<()> {
        if self.size_limit > 0 {
            // Here, for behind the walls nobody sets limits.
            let limit = self.size_limit;
            nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE, limit, limit)?;
        }
        if !self.root.as_os_str().is_empty() {
            nix::unistd::chroot(&self.root)?;
            std::env::set_current_dir("/")?;
        }
        match self.ids {
            Some((0, _) | (_, 0)) => return Err(nix::errno::Errno::EPERM.into()),
            Some((uid, gid)) => become_for_good(&Identity { uid, gid, groups: vec![gid] })?,
            None if sys::identity::is_root() => return Err(nix::errno::Errno::EPERM.into()),
            None => {}
        }
        sys::privilege::hide_from_own_user()?;
        let paths = match &self.duty {
            Duty::Command => return Ok(()),
            Duty::Files => vec![(PathBuf::from("/"), Reach::Write)],
            Duty::Mailbox(_) if self.has_mailbox => Vec::new(),
            Duty::Mailbox(path) => path.parent().map(|spool| (spool.to_path_buf(), Reach::Write)).into_iter().collect(),
        };
        sys::privilege::forbid_new_privileges()?;
        let walls = Walls::prepare(&Needs { paths, ..Needs::default() }).map_err(io::Error::other)?;
        walls.close().map_err(io::Error::other)
    }

    /// Whether a request is within the duty.
    pub(crate) fn allow(&self, request: &Request) -> bool {
        match (&self.duty, request) {
            (Duty::Files, Request::Deliver(deposit)) => !matches!(deposit.target, Target::Command(_)),
            (Duty::Command, Request::Arguments(_) | Request::Serve(_)) => true,
            (Duty::Command, Request::Deliver(deposit)) => matches!(deposit.target, Target::Command(_)),
            (Duty::Mailbox(path), Request::Deliver(deposit)) => match &deposit.target {
                Target::Mailbox(mailbox) => mailbox.path.0 == path.as_os_str().as_bytes(),
                _ => false,
            },
            (Duty::Files, Request::Read { .. } | Request::Look(_)) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_arrive_as_they_were() {
        for duty in [Duty::Files, Duty::Command, Duty::Mailbox("/var/mail/bob".into())] {
            for (ids, has_mailbox) in [(None, false), (Some((7, 8)), true)] {
                let orders = Orders { duty: duty.clone(), ids, has_mailbox, root: "/jail".into(), size_limit: 9 };
                assert_eq!(Orders::parse(orders.arguments().into_iter()), Some(orders));
            }
        }
        assert_eq!(Orders::parse(["files".into()].into_iter()), None);
    }

    #[test]
    fn root_and_its_group_are_never_obeyed() {
        for ids in [Some((0, 7)), Some((7, 0)), Some((0, 0))] {
            assert!(
                Orders { duty: Duty::Command, ids, has_mailbox: false, root: PathBuf::new(), size_limit: 0 }
                    .obey()
                    .is_err()
            );
        }
    }
}
