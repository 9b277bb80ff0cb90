//! The walls around a process that reads what strangers wrote: which files it can open, which system calls it can make,
//! and with which arguments.
//!
//! Walls are prepared while the file system is in reach and the process still has its rights, and closed after it has
//! given them up. They are a second line of defence: a process goes on where the kernel lacks a mechanism, and
//! [`missing`] says in one line what it lacks. A wall that the kernel has and that cannot be closed is an error.
//!
//! What holds behind every wall: no other program is run, no process is made, no namespace is entered, no other process
//! is signalled, traced, limited or looked at, no rights are gained, no code is loaded into the kernel.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;
mod support;

use std::fmt;
use std::path::PathBuf;

pub use support::missing;

/// What a process still needs once the walls are closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Files and directories that it opens, with all that is below them; a path that does not exist is left out.
    pub paths: Vec<(PathBuf, Reach)>,
    /// Internet sockets, beside Unix sockets.
    pub internet: bool,
    /// The kernel's tables of interfaces and routes (rtnetlink).
    pub routes: bool,
    /// Threads.
    pub threads: bool,
    /// Loads program code from files in reach: modules of the user database.
    pub loads_code: bool,
}

/// What may be done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Read files, list directories.
    Read,
    /// Create, change, rename and remove files as well.
    Write,
}

/// A wall that the kernel has and that could not be closed. Display is a sentence without its subject.
#[derive(Debug)]
pub struct SandboxError(String);

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sandbox: {}", self.0)
    }
}

impl std::error::Error for SandboxError {}

/// Walls that are ready to be closed.
#[must_use = "walls that are not closed protect nothing"]
pub struct Walls {
    #[cfg(target_os = "linux")]
    files: files::Rules,
    #[cfg(target_os = "linux")]
    calls: Option<calls::Filter>,
}

impl Walls {
    /// Opens the paths that stay in reach, and compiles the filter of system calls for this process and no other: some
    /// arguments are its own process id.
    ///
    /// # Errors
    /// The filter does not compile: a mistake in its tables.
    pub fn prepare(needs: &Needs) -> Result<Self, SandboxError> {
        #[cfg(target_os = "linux")]
        {
            Ok(Self { files: files::Rules::prepare(needs), calls: calls::Filter::compile(needs)? })
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = needs;
            Ok(Self {})
        }
    }

    /// Closes the walls around all threads of this process; there is no way back.
    ///
    /// # Errors
    /// A wall that this kernel has cannot be closed.
    pub fn close(self) -> Result<(), SandboxError> {
        #[cfg(target_os = "linux")]
        {
            self.files.enforce()?;
            if let Some(calls) = self.calls {
                calls.install()?;
            }
        }
        Ok(())
    }
}
