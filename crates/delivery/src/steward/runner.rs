//! The user whose commands a service of master.cf runs: `user=NAME[:GROUP]` of pipe and spawn.

use std::fmt;
use std::io;

use config::{Accounts, Config};
use sys::identity::{account, group_id, is_root};

/// A user who may be the one whose commands a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runner {
    /// User.
    pub uid: u32,
    /// Group: the one that was named, or the user's own.
    pub gid: u32,
}

/// Why a service runs nothing as a user. What it says to the operator is the matter of each program.
#[derive(Debug)]
pub enum RunnerError {
    /// No such user.
    UnknownUser(String),
    /// No such group.
    UnknownGroup(String),
    /// Root.
    Root,
    /// mail_owner.
    MailOwner(String),
    /// Group 0.
    RootGroup,
    /// The group of mail_owner: its name, and number.
    OwnerGroup(String, u32),
    /// setgid_group: its name, and number.
    SubmissionGroup(String, u32),
    /// The user database does not say.
    Database(io::Error),
    /// The accounts of the mail system are not fit.
    Accounts(String),
}

impl fmt::Display for RunnerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunnerError::UnknownUser(name) => write!(f, "unknown user name: {name}"),
            RunnerError::UnknownGroup(name) => write!(f, "unknown group name: {name}"),
            RunnerError::Root => f.write_str("request to deliver as root"),
            RunnerError::MailOwner(_) => f.write_str("request to deliver as mail system owner"),
            RunnerError::RootGroup => f.write_str("request to use privileged group id 0"),
            RunnerError::OwnerGroup(_, gid) | RunnerError::SubmissionGroup(_, gid) => {
                write!(f, "request to use mail system owner group id {gid}")
            }
            RunnerError::Database(error) => write!(f, "user database: {}", text::system_error(error)),
            RunnerError::Accounts(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for RunnerError {}

impl Runner {
    /// Looks `NAME[:GROUP]` up; an empty group is the user's own. Numbers are no names.
    ///
    /// # Errors
    /// There is no such user or group, or nobody gets their rights: root's, and those of the mail system.
    pub fn find(config: &Config, text: &str) -> Result<Self, RunnerError> {
        let (name, group) = text.split_once(':').unwrap_or((text, ""));
        // waits: before the first client
        let user = account(name).map_err(RunnerError::Database)?;
        let user = user.ok_or_else(|| RunnerError::UnknownUser(name.to_owned()))?;
        let gid = match group {
            "" => user.gid,
            group => {
                let gid = group_id(group).map_err(RunnerError::Database)?;
                gid.ok_or_else(|| RunnerError::UnknownGroup(group.to_owned()))?
            }
        };
        let runner = Runner { uid: user.uid, gid };
        runner.check(config)?;
        Ok(runner)
    }

    fn check(self, config: &Config) -> Result<(), RunnerError> {
        if self.uid == 0 {
            return Err(RunnerError::Root);
        }
        if self.gid == 0 {
            return Err(RunnerError::RootGroup);
        }
        if !is_root() {
            // A private mail system: nobody becomes anybody.
            return Ok(());
        }
        let accounts = Accounts::read(config).map_err(|error| RunnerError::Accounts(error.to_string()))?;
        let owner = &accounts.mail_owner;
        if self.uid == owner.uid {
            return Err(RunnerError::MailOwner(owner.name.clone()));
        }
        if self.gid == owner.gid {
            return Err(RunnerError::OwnerGroup(owner.name.clone(), self.gid));
        }
        if self.gid == accounts.setgid_group {
            let name = config.get(config::param::SETGID_GROUP).unwrap_or_default();
            return Err(RunnerError::SubmissionGroup(name, self.gid));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn said(text: &str) -> String {
        let config = Config::parse(b"", Path::new("/c"), &[]).unwrap();
        Runner::find(&config, text).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn root_strangers_and_numbers_run_nothing() {
        assert_eq!(said("root"), "request to deliver as root");
        assert_eq!(said("nosuchuser"), "unknown user name: nosuchuser");
        assert_eq!(said("0"), "unknown user name: 0");
        assert_eq!(said("nobody:nosuchgroup"), "unknown group name: nosuchgroup");
        assert_eq!(said("nobody:root"), "request to use privileged group id 0");
    }
}
