//! Exim, with which scenarios exchange mail: unpacked and never installed, for it would take the place of the machine's
//! own mail system.

use std::path::PathBuf;

use crate::failure::Outcome;
use crate::{packages, workspace};

/// Unpacks it, if that was not done before; the program.
pub fn exim() -> Outcome<PathBuf> {
    let folder = workspace::target().join("exim");
    let program = folder.join("root/usr/sbin/exim4");
    let done = folder.join("done");
    if !done.exists() {
        std::fs::create_dir_all(&folder)?;
        packages::unpack(&["exim4-daemon-light"], &folder)?;
        std::fs::write(done, "")?;
    }
    Ok(program)
}
