//! The walls around a worker: which files it can open, which system calls it can make.
//!
//! Prepared while the file system is in reach and the process still has its rights, closed after it has given them up.
//! On a kernel that lacks a mechanism the worker goes on with one warning: the walls are a second line of defence.

#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod system_calls;

use config::Config;

use crate::service::Service;
use crate::start::StartError;

/// Walls that are ready to be closed.
pub(crate) struct Sandbox {
    #[cfg(target_os = "linux")]
    files: files::FileRules,
    #[cfg(target_os = "linux")]
    filter: Option<system_calls::Filter>,
}

impl Sandbox {
    /// Opens the paths that stay in reach and compiles the filter. A path that does not exist is left out.
    pub(crate) fn prepare(service: &'static Service, config: &Config) -> Self {
        #[cfg(target_os = "linux")]
        {
            Self { files: files::FileRules::prepare(service, config), filter: system_calls::Filter::compile(service) }
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (service, config);
            Self {}
        }
    }

    /// Closes the walls; there is no way back.
    pub(crate) fn enter(self) -> Result<(), StartError> {
        #[cfg(target_os = "linux")]
        {
            self.files.enforce();
            if let Some(filter) = self.filter {
                filter.install()?;
            }
        }
        Ok(())
    }
}
