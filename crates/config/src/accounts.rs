//! The accounts of the mail system: `mail_owner`, `setgid_group`, `default_privs`. One check for master, the daemons,
//! the commands and `postfix check`.
//!
//! What an account gets is its own: an id that two of them share, or that root or a person has, would give one the
//! files or the processes of the other. Nothing runs as one of them that has not been checked here.

use std::fmt;
use std::io;
use std::path::PathBuf;

use sys::identity::{Account, account, account_of_uid, group_id, group_of_gid};

use crate::{Config, ValueError, param};

/// Accounts that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// mail_owner: the queue and the daemons.
    pub mail_owner: Account,
    /// default_privs: deliveries on nobody's behalf.
    pub default_privs: Account,
    /// setgid_group: the commands of users.
    pub setgid_group: u32,
}

/// Why accounts cannot be used. Display is the sentence of Postfix.
#[derive(Debug)]
pub enum AccountError {
    /// A parameter has no value.
    Value(ValueError),
    /// The user database says neither yes nor no about this parameter's value.
    Database(&'static str, io::Error),
    /// The accounts are not fit: in which file they are named, and what is wrong.
    Unfit(PathBuf, String),
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountError::Value(error) => error.fmt(f),
            AccountError::Database(name, error) => {
                write!(f, "parameter {name}: user database: {}", text::system_error(error))
            }
            AccountError::Unfit(file, why) => write!(f, "file {}: {why}", file.display()),
        }
    }
}

impl std::error::Error for AccountError {}

impl Accounts {
    /// Looks the accounts up and checks that each is fit for its purpose and none is another's.
    ///
    /// # Errors
    /// Where Postfix would not start. Trouble of the user database is an error of its own, for it may pass.
    pub fn read(config: &Config) -> Result<Self, AccountError> {
        let unfit = |why| AccountError::Unfit(config.directory().join("main.cf"), why);
        let value = |param| config.get(param).map_err(AccountError::Value);
        let default_privs = user("default_privs", &value(param::DEFAULT_PRIVS)?)?.map_err(unfit)?;
        let mail_owner = user("mail_owner", &value(param::MAIL_OWNER)?)?.map_err(unfit)?;
        only_name(&mail_owner)?.map_err(unfit)?;
        let group = value(param::SETGID_GROUP)?;
        let setgid_group = submission_group(&group)?.map_err(unfit)?;
        strangers(&default_privs, &mail_owner, (&group, setgid_group)).map_err(unfit)?;
        Ok(Accounts { mail_owner, default_privs, setgid_group })
    }
}

/// A user who is there and is not privileged.
fn user(parameter: &'static str, name: &str) -> Result<Result<Account, String>, AccountError> {
    let found = account(name).map_err(|error| AccountError::Database(parameter, error))?;
    Ok(match found {
        None => Err(format!("parameter {parameter}: unknown user name value: {name}")),
        Some(user) if user.uid == 0 => Err(format!("parameter {parameter}: user {name} has privileged user ID")),
        Some(user) if user.gid == 0 => Err(format!("parameter {parameter}: user {name} has privileged group ID")),
        Some(user) => Ok(user),
    })
}

/// No other user has mail_owner's number: what it owns would be that user's.
fn only_name(owner: &Account) -> Result<Result<(), String>, AccountError> {
    // waits: at the start of a program, and of a reload
    let found = account_of_uid(owner.uid).map_err(|error| AccountError::Database("mail_owner", error))?;
    Ok(match found {
        Some(other) if other.name != owner.name => Err(format!(
            "parameter mail_owner: user {} has the same user ID {} as user {}",
            owner.name, owner.uid, other.name
        )),
        _ => Ok(()),
    })
}

/// A group that is there, is not privileged, and has no other name.
fn submission_group(name: &str) -> Result<Result<u32, String>, AccountError> {
    const PARAMETER: &str = "setgid_group";
    let trouble = |error| AccountError::Database(PARAMETER, error);
    let Some(gid) = group_id(name).map_err(trouble)? else {
        return Ok(Err(format!("parameter {PARAMETER}: unknown group name: {name}")));
    };
    if gid == 0 {
        return Ok(Err(format!("parameter {PARAMETER}: group {name} has privileged group ID")));
    }
    Ok(match group_of_gid(gid).map_err(trouble)? {
        Some(other) if other != name => {
            Err(format!("parameter {PARAMETER}: group {name} has the same group ID {gid} as group {other}"))
        }
        _ => Ok(gid),
    })
}

/// No id of one account is that of another.
fn strangers(default: &Account, owner: &Account, (group, gid): (&str, u32)) -> Result<(), String> {
    let both = "parameters default_privs and mail_owner";
    let names = format!("users {} and {}", default.name, owner.name);
    let with_group = |parameter: &str, user: &Account| {
        let name = &user.name;
        format!("parameters {parameter} and setgid_group: user {name} and group {group} have the same group ID: {gid}")
    };
    match () {
        () if default.name == owner.name => Err(format!("{both} specify the same user {}", owner.name)),
        () if default.uid == owner.uid => Err(format!("{both}: {names} have the same user ID: {}", owner.uid)),
        () if default.gid == owner.gid => Err(format!("{both}: {names} have the same group ID: {}", owner.gid)),
        () if default.gid == gid => Err(with_group("default_privs", default)),
        () if owner.gid == gid => Err(with_group("mail_owner", owner)),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn said(settings: &str) -> String {
        let config = Config::parse(settings.as_bytes(), Path::new("/c"), &[]).unwrap();
        Accounts::read(&config).err().map_or("fit".to_owned(), |error| error.to_string())
    }

    #[test]
    fn root_and_strangers_are_no_accounts() {
        for (settings, why) in [
            ("default_privs = root", "parameter default_privs: user root has privileged user ID"),
            ("default_privs = no such", "parameter default_privs: unknown user name value: no such"),
            ("mail_owner = root", "parameter mail_owner: user root has privileged user ID"),
            ("mail_owner = 12", "parameter mail_owner: unknown user name value: 12"),
            ("mail_owner = nobody", "parameter setgid_group: unknown group name: nosuchgroup"),
        ] {
            let others = "default_privs = nobody\nmail_owner = daemon\nsetgid_group = nosuchgroup\n";
            assert_eq!(said(&format!("{others}{settings}\n")), format!("file /c/main.cf: {why}"), "{settings}");
        }
    }

    #[test]
    fn no_account_has_an_id_of_another() {
        let account = |name: &str, uid, gid| Account { name: name.into(), uid, gid };
        let (n, m) = (account("n", 1, 10), account("m", 2, 20));
        let said = |default: &Account, owner: &Account, gid| strangers(default, owner, ("g", gid)).err();
        assert_eq!(said(&n, &m, 30), None);
        let same = "parameters default_privs and mail_owner specify the same user n";
        assert_eq!(said(&n, &n, 30).as_deref(), Some(same));
        let uid = "parameters default_privs and mail_owner: users n and m have the same user ID: 1";
        assert_eq!(said(&n, &account("m", 1, 20), 30).as_deref(), Some(uid));
        let gid = "parameters default_privs and mail_owner: users n and m have the same group ID: 10";
        assert_eq!(said(&n, &account("m", 2, 10), 30).as_deref(), Some(gid));
        let default = "parameters default_privs and setgid_group: user n and group g have the same group ID: 10";
        assert_eq!(said(&n, &m, 10).as_deref(), Some(default));
        let owner = "parameters mail_owner and setgid_group: user m and group g have the same group ID: 20";
        assert_eq!(said(&n, &m, 20).as_deref(), Some(owner));
    }
}
