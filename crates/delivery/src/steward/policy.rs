//! What the administrator decided, told to the steward when it starts: an agent that strangers have taken over cannot
//! change it.

use std::ffi::OsString;

use config::{Accounts, Config, ValueError, param};
use sys::identity::is_root;

use super::runner::Runner;

/// Whose rights carriers get, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The accounts of the mail system; `None` where this process is not root and everything is done as itself.
    pub(crate) accounts: Option<Ids>,
    /// The largest file in bytes that carriers write, what they run included; 0: no limit.
    pub(crate) size_limit: u64,
    /// What carriers are for.
    pub(crate) business: Business,
}

/// What the carriers of a steward are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Business {
    /// The users of this machine.
    Users(Users),
    /// Mailboxes of users who have no name.
    Numbers {
        /// The smallest number of a user (virtual_minimum_uid).
        least: u32,
    },
    /// Commands of one user.
    One {
        /// User and group.
        ids: (u32, u32),
        /// The root directory of the commands; empty: as it is.
        root: String,
    },
}

/// What is done for the users of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Users {
    /// Whether commands are run at all: some setting allows them.
    pub(crate) commands: bool,
    /// Where mailboxes are (mail_spool_directory).
    pub(crate) spool_directory: String,
    /// Mailboxes are locked with a file beside them (mailbox_delivery_lock).
    pub(crate) lock_files: bool,
    /// Seconds after which such a file counts as forgotten (stale_lock_time).
    pub(crate) stale: u64,
    /// A mailbox must belong to its user (strict_mailbox_ownership).
    pub(crate) owned: bool,
}

/// Numbers of the mail system's accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    /// default_privs: user and group.
    pub(crate) default: (u32, u32),
    /// mail_owner: user and group.
    pub(crate) owner: (u32, u32),
    /// setgid_group.
    pub(crate) submission: u32,
}

impl Policy {
    /// For the users of this machine. Reads the settings, and as root the accounts.
    ///
    /// # Errors
    /// A setting has no valid value, or an account is not fit for its purpose; the sentence says which.
    pub fn of_users(config: &Config) -> Result<Self, String> {
        let users = Users::of(config).map_err(|error| error.to_string())?;
        let size_limit = config.read(param::MAILBOX_SIZE_LIMIT).map_err(|error| error.to_string())?;
        Ok(Policy { accounts: accounts(config)?, size_limit, business: Business::Users(users) })
    }

    /// For mailboxes of users who have no name, and no smaller number than `least`.
    ///
    /// # Errors
    /// An account is not fit for its purpose; the sentence says which.
    pub fn of_numbers(config: &Config, least: u32, size_limit: u64) -> Result<Self, String> {
        Ok(Policy { accounts: accounts(config)?, size_limit, business: Business::Numbers { least } })
    }

    /// For the commands of one user, in another root directory unless that is empty.
    ///
    /// # Errors
    /// As [`of_numbers`](Self::of_numbers).
    pub fn of_one(config: &Config, user: &Runner, root: &str) -> Result<Self, String> {
        let business = Business::One { ids: (user.uid, user.gid), root: root.to_owned() };
        Ok(Policy { accounts: accounts(config)?, size_limit: 0, business })
    }

    /// As arguments of a steward.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let ids = self
            .accounts
            .map_or(Vec::new(), |ids| vec![ids.default.0, ids.default.1, ids.owner.0, ids.owner.1, ids.submission]);
        let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
        let flag = |set: bool| if set { "1" } else { "0" }.to_owned();
        let business = match &self.business {
            Business::Users(users) => vec![
                "users".to_owned(),
                flag(users.commands),
                flag(users.lock_files),
                users.stale.to_string(),
                flag(users.owned),
                users.spool_directory.clone(),
            ],
            Business::Numbers { least } => vec!["numbers".to_owned(), least.to_string()],
            Business::One { ids: (uid, gid), root } => {
                vec!["one".to_owned(), uid.to_string(), gid.to_string(), root.clone()]
            }
        };
        [ids.join(","), self.size_limit.to_string()].into_iter().chain(business).map(OsString::from).collect()
    }

    /// Reads the arguments of a steward; `None` for other words.
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let fields = arguments.map(|field| field.into_string().ok()).collect::<Option<Vec<String>>>()?;
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let [ids, size_limit, business @ ..] = &fields[..] else { return None };
        let numbers =
            ids.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().ok()).collect::<Option<Vec<u32>>>()?;
        let accounts = match numbers[..] {
            [] => None,
            [uid, gid, owner, owners, submission] => {
                Some(Ids { default: (uid, gid), owner: (owner, owners), submission })
            }
            _ => return None,
        };
        let business = match *business {
            ["users", commands, lock_files, stale, owned, spool_directory] => Business::Users(Users {
                commands: commands == "1",
                spool_directory: spool_directory.to_owned(),
                lock_files: lock_files == "1",
                stale: stale.parse().ok()?,
                owned: owned == "1",
            }),
            ["numbers", least] => Business::Numbers { least: least.parse().ok()? },
            ["one", uid, gid, root] => {
                Business::One { ids: (uid.parse().ok()?, gid.parse().ok()?), root: root.to_owned() }
            }
            _ => return None,
        };
        Some(Policy { accounts, size_limit: size_limit.parse().ok()?, business })
    }
}

impl Users {
    fn of(config: &Config) -> Result<Self, ValueError> {
        let commands = !config.get(param::ALLOW_MAIL_TO_COMMANDS)?.is_empty()
            || !config.get(param::MAILBOX_COMMAND)?.0.is_empty()
            || !config.get(param::MAILBOX_COMMAND_MAPS)?.is_empty();
        Ok(Users {
            commands,
            spool_directory: config.get(param::MAIL_SPOOL_DIRECTORY)?,
            lock_files: config.get(param::MAILBOX_DELIVERY_LOCK)?.iter().any(|method| method == "dotlock"),
            stale: config.get(param::STALE_LOCK_TIME)?.as_secs(),
            owned: config.get(param::STRICT_MAILBOX_OWNERSHIP)?,
        })
    }
}

/// The numbers of the mail system's accounts, as root.
fn accounts(config: &Config) -> Result<Option<Ids>, String> {
    if !is_root() {
        return Ok(None);
    }
    // waits: before the first client
    let accounts = Accounts::read(config).map_err(|error| error.to_string())?;
    Ok(Some(Ids {
        default: (accounts.default_privs.uid, accounts.default_privs.gid),
        owner: (accounts.mail_owner.uid, accounts.mail_owner.gid),
        submission: accounts.setgid_group,
    }))
}

impl Ids {
    /// Whether nothing is done with the rights of this user: root, and the mail system itself, which has the queue.
    pub(crate) fn is_withheld(&self, uid: u32) -> bool {
        uid == 0 || uid == self.owner.0
    }

    /// The group of a user's carriers: none that has more than the user.
    pub(crate) fn group(&self, gid: u32) -> u32 {
        if gid == 0 || gid == self.owner.1 || gid == self.submission { self.default.1 } else { gid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: Ids = Ids { default: (65534, 65533), owner: (100, 101), submission: 102 };

    #[test]
    fn a_policy_arrives_as_it_was() {
        for (accounts, flag) in [(None, false), (Some(IDS), true)] {
            let users = Users {
                commands: flag,
                spool_directory: "/var/mail".into(),
                lock_files: !flag,
                stale: 500,
                owned: flag,
            };
            for business in [
                Business::Users(users),
                Business::Numbers { least: 100 },
                Business::One { ids: (7, 8), root: String::new() },
            ] {
                let policy = Policy { accounts, size_limit: 5, business };
                assert_eq!(Policy::parse(policy.arguments().into_iter()), Some(policy));
            }
        }
        assert_eq!(Policy::parse(["1,2".into()].into_iter()), None);
        assert_eq!(Policy::parse(["".into(), "0".into(), "numbers".into()].into_iter()), None);
    }

    #[test]
    fn nobody_acts_as_root_or_as_the_mail_system() {
        assert!(IDS.is_withheld(0) && IDS.is_withheld(100) && !IDS.is_withheld(101));
        for gid in [0, 101, 102] {
            assert_eq!(IDS.group(gid), 65533);
        }
        assert_eq!(IDS.group(20), 20);
    }
}
