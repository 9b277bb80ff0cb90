//! The accounts of an installation: user and group `postfix`, group `postdrop`. Made when missing, never changed.

use std::process::{Command, Stdio};

use testing::accounts::{MAIL_OWNER, SETGID_GROUP};

use crate::failure::Outcome;
use crate::workspace;

/// Makes what is missing. Only root can.
pub fn ensure() -> Outcome {
    for group in [SETGID_GROUP, MAIL_OWNER] {
        if !exists("group", group) {
            workspace::run(Command::new("groupadd").args(["--system", group]))?;
        }
    }
    if !exists("passwd", MAIL_OWNER) {
        let options = ["--system", "--gid", MAIL_OWNER, "--no-create-home", "--home-dir", "/var/spool/postfix"];
        workspace::run(Command::new("useradd").args(options).args(["--shell", "/usr/sbin/nologin", MAIL_OWNER]))?;
    }
    Ok(())
}

fn exists(database: &str, name: &str) -> bool {
    let status = Command::new("getent").args([database, name]).stdout(Stdio::null()).status();
    status.is_ok_and(|s| s.success())
}
