//! Who an instance runs as: the accounts of an installation when root starts it, else the caller for everything.

use nix::unistd::{Gid, Group, Uid, User, getgid, getuid};

/// The user of the queue and of the daemons, `mail_owner`.
pub const MAIL_OWNER: &str = "postfix";
/// The group of the set-gid commands, `setgid_group`.
pub const SETGID_GROUP: &str = "postdrop";
/// The user that mail of an alias file owned by root is delivered as, `default_privs`.
pub const RECIPIENT: &str = "nobody";

/// The users and groups of one instance.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// Name, id and group of `mail_owner`.
    pub owner: String,
    /// User id of `mail_owner`.
    pub owner_uid: Uid,
    /// Group id of `mail_owner`.
    pub owner_gid: Gid,
    /// Name of `setgid_group`.
    pub group: String,
    /// Its id.
    pub group_gid: Gid,
    /// Who owns what root owns in an installation.
    pub root_uid: Uid,
    /// Their group.
    pub root_gid: Gid,
    /// Who owns delivered mail.
    pub recipient_uid: Uid,
    /// Their group.
    pub recipient_gid: Gid,
}

impl Accounts {
    /// As root the accounts of an installation, which must exist; else the caller, for everything.
    pub fn for_caller() -> Accounts {
        if getuid().is_root() {
            return Accounts::installed();
        }
        Accounts::all_of(&user(getuid()))
    }

    /// One user, and its group, for everything.
    pub fn all_of(user: &User) -> Accounts {
        let group = Group::from_gid(user.gid).ok().flatten();
        Accounts {
            owner: user.name.clone(),
            owner_uid: user.uid,
            owner_gid: user.gid,
            group: group.map_or_else(|| user.gid.to_string(), |g| g.name),
            group_gid: user.gid,
            root_uid: user.uid,
            root_gid: user.gid,
            recipient_uid: user.uid,
            recipient_gid: user.gid,
        }
    }

    fn installed() -> Accounts {
        let owner = named(MAIL_OWNER);
        let recipient = named(RECIPIENT);
        let group = Group::from_name(SETGID_GROUP).ok().flatten();
        let group = group.unwrap_or_else(|| panic!("no group {SETGID_GROUP}: `cargo xtask test` makes it"));
        Accounts {
            owner: owner.name,
            owner_uid: owner.uid,
            owner_gid: owner.gid,
            group: group.name,
            group_gid: group.gid,
            root_uid: Uid::from_raw(0),
            root_gid: Gid::from_raw(0),
            recipient_uid: recipient.uid,
            recipient_gid: recipient.gid,
        }
    }
}

/// Whether the caller may do what only root may.
pub fn is_root() -> bool {
    getuid().is_root()
}

fn named(name: &str) -> User {
    User::from_name(name).ok().flatten().unwrap_or_else(|| panic!("no user {name}: `cargo xtask test` makes it"))
}

fn user(uid: Uid) -> User {
    User::from_uid(uid).ok().flatten().unwrap_or_else(|| panic!("user {uid} (group {}) has no name", getgid()))
}
