//! What the other files show: main.cf with the command line's overrides, and the entries of master.cf.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use config::master_cf::{RawEntry, entries};
use config::{Config, main_cf};

use crate::options::{Mode, Options};
use crate::out::{self, Failure};

/// The configuration that was asked for.
#[derive(Debug)]
pub struct Source {
    /// main.cf, or nothing but defaults.
    pub config: Config,
    /// The entries of master.cf; none when there is no such file.
    pub services: Vec<RawEntry>,
    /// master.cf.
    pub master_cf: PathBuf,
    /// config_directory counts as set: the way the command was called sets it, and no service's options are looked at
    /// (when they are, Postfix 3.11 forgets it).
    pub shows_directory: bool,
}

/// The configuration directory: `-c`, or as any program finds it.
pub fn directory(options: &Options) -> PathBuf {
    options.directory.clone().unwrap_or_else(Config::default_directory)
}

/// Whether somebody says which directory it is.
fn is_named(options: &Options) -> bool {
    options.directory.is_some() || Config::directory_of_environment().is_some()
}

impl Source {
    /// Reads both files and prints what is odd in them.
    pub fn load(options: &Options) -> Result<Source, Failure> {
        let master_cf = directory(options).join("master.cf");
        // The file that is asked for is the first to be refused.
        let (config, services) = if options.mode == Mode::MainCf {
            let config = read_config(options)?;
            (config, read_services(&master_cf, false)?)
        } else {
            let services = read_services(&master_cf, true)?;
            (read_config(options)?, services)
        };
        Ok(Source { shows_directory: is_named(options) && services.is_empty(), config, services, master_cf })
    }
}

fn read_config(options: &Options) -> Result<Config, Failure> {
    if options.defaults {
        // The defaults of an installation, whatever directory is looked at.
        return Config::parse(b"", Path::new(config::DEFAULT_DIRECTORY), &[]).map_err(Failure::new);
    }
    let directory = directory(options);
    let file = directory.join("main.cf");
    let content = fs::read(&file).map_err(|error| Failure(open_failure(&file, &error)))?;
    let mut warnings = Vec::new();
    // Also when the file turns out to be wrong further down.
    let parsed = main_cf::parse(&content, &file, &mut warnings);
    warnings.iter().for_each(|warning| out::warning(format_args!("{warning}")));
    let assignments = parsed.map_err(Failure::new)?;
    if is_named(options)
        && let Some(warning) = main_cf::other_directory(&assignments, &file, &directory)
    {
        out::warning(format_args!("{warning}"));
    }
    Config::parse(&content, &directory, &options.overrides).map_err(Failure::new)
}

/// When master.cf is not what is asked for, one that cannot be read has no services: a warning, the supervisor will say
/// more. An entry that the supervisor would refuse ends every mode.
fn read_services(file: &Path, is_asked_for: bool) -> Result<Vec<RawEntry>, Failure> {
    let mut warnings = Vec::new();
    let services = match fs::read(file) {
        Ok(content) => entries(&content, file, &mut warnings),
        Err(error) if is_asked_for => return Err(Failure(open_failure(file, &error))),
        Err(error) => {
            out::warning(format_args!("{}", open_failure(file, &error)));
            return Ok(Vec::new());
        }
    };
    warnings.iter().for_each(|warning| out::warning(format_args!("{warning}")));
    services.iter().try_for_each(|entry| crate::services::check(entry, file))?;
    Ok(services)
}

/// The sentence about a file that cannot be opened.
pub fn open_failure(file: &Path, error: &io::Error) -> String {
    format!("open {}: {}", file.display(), text::system_error(error))
}
