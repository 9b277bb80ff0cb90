//! What the other files show: main.cf with the command line's overrides, and the entries of master.cf.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use config::Config;
use config::master_cf::{RawEntry, entries};

use crate::options::Options;
use crate::out::Failure;
use crate::services;

/// The configuration that was asked for.
#[derive(Debug)]
pub struct Source {
    /// main.cf, or nothing but defaults.
    pub config: Config,
    /// The entries of master.cf; none when there is no such file.
    pub services: Vec<RawEntry>,
    /// master.cf.
    pub master_cf: PathBuf,
}

/// The configuration directory: `-c`, or as any program finds it.
pub fn directory(options: &Options) -> PathBuf {
    options.directory.clone().unwrap_or_else(Config::default_directory)
}

impl Source {
    /// Reads both files and prints what is odd in them.
    pub fn load(options: &Options) -> Result<Source, Failure> {
        let directory = directory(options);
        let mut source = if options.defaults {
            // The defaults of an installation, whatever directory is looked at.
            let config = Config::parse(b"", Path::new("/etc/postfix"), &[]).map_err(Failure::new)?;
            Source { config, services: Vec::new(), master_cf: directory.join("master.cf") }
        } else {
            let config = Config::load(&directory, &options.overrides).map_err(Failure::new)?;
            Source { config, services: Vec::new(), master_cf: directory.join("master.cf") }
        };
        for warning in source.config.warnings() {
            logging::warning!("{warning}");
        }
        source.read_services();
        // An entry that the supervisor would refuse ends every mode: it is looked at before anything is shown.
        for entry in &source.services {
            services::check(entry, &source.master_cf)?;
        }
        Ok(source)
    }

    /// A master.cf that cannot be read has no services: a warning, the supervisor will say more.
    fn read_services(&mut self) {
        let mut warnings = Vec::new();
        match fs::read(&self.master_cf) {
            Ok(content) => self.services = entries(&content, &self.master_cf, &mut warnings),
            Err(error) => logging::warning!("{}", open_failure(&self.master_cf, &error)),
        }
        for warning in warnings {
            logging::warning!("{warning}");
        }
    }
}

/// The sentence about a file that cannot be opened.
pub fn open_failure(file: &Path, error: &io::Error) -> String {
    let text = error.to_string();
    let reason = text.split(" (os error").next().unwrap_or_default();
    format!("open {}: {reason}", file.display())
}
