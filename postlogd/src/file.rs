//! The log file: opened once, appended to line by line.

use std::fs::{File, OpenOptions};
use std::io::{Write, stderr};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;

use config::{Config, param};
use daemon::StartError;

/// An open log file, or the standard output that master was started with.
pub(crate) struct LogFile {
    file: File,
    path: String,
}

impl LogFile {
    /// Opens the file for appending, and creates it (maillog_file_permissions) when it is missing.
    ///
    /// # Errors
    /// The path does not start with one of maillog_file_prefixes, or the file cannot be opened.
    pub(crate) fn open(path: &str, config: &Config) -> Result<Self, StartError> {
        let prefixes = config.get(param::MAILLOG_FILE_PREFIXES)?;
        // maillog_file_prefixes
        if !prefixes.iter().any(|prefix| path.starts_with(prefix.as_str())) {
            return Err(StartError::new(format!(
                "maillog_file value \"{path}\" does not match any name in maillog_file_prefixes ({})",
                prefixes.join(" ")
            )));
        }
        let file = if path == "/dev/stdout" {
            // Opening the name again fails after the change of user: the open descriptor is the same file.
            File::from(std::io::stdout().as_fd().try_clone_to_owned()?)
        } else {
            // maillog_file_permissions
            let mode = config.lookup("maillog_file_permissions")?.and_then(|mode| u32::from_str_radix(&mode, 8).ok());
            OpenOptions::new()
                .append(true)
                .create(true)
                .mode(mode.unwrap_or(0o600))
                .open(path)
                .map_err(|error| StartError::new(format!("open logfile '{path}': {error}")))?
        };
        Ok(Self { file, path: path.to_owned() })
    }

    /// Appends a line and its newline in one write.
    pub(crate) fn append(&self, line: &str) {
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        if let Err(error) = (&self.file).write_all(&bytes) {
            // Standard error is all that is left; when that is closed too, nobody listens.
            let _ = writeln!(stderr(), "postlogd: write {}: {error}: {line}", self.path);
        }
    }
}
