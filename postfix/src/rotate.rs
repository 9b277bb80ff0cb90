//! `postfix logrotate`: the log file gets a name with a time, the mail system opens a new one.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::param;
use nix::sys::signal::Signal;

use crate::instance::Instance;
use crate::process::signal;

/// Renames, tells master, compresses.
pub(crate) fn rotate(instance: &Instance) -> Result<ExitCode, String> {
    let text = |error: config::ValueError| error.to_string();
    let file = instance.config.get(param::MAILLOG_FILE).map_err(text)?;
    if file.is_empty() {
        return Err("logrotate: maillog_file is not set".to_owned());
    }
    if file.starts_with("/dev/") {
        return Err(format!("logrotate: {file} is not a file that can be rotated"));
    }
    let suffix = instance.config.get(param::MAILLOG_FILE_ROTATE_SUFFIX).map_err(text)?;
    let stamp = stamp(&suffix).ok_or_else(|| format!("bad maillog_file_rotate_suffix value: {suffix}"))?;
    let old = PathBuf::from(format!("{file}.{stamp}"));
    if old.symlink_metadata().is_ok() {
        return Err(format!("logrotate: {} exists already", old.display()));
    }
    std::fs::rename(&file, &old).map_err(|error| format!("rename {file}: {}", net::reason(&error)))?;
    if instance.is_running()? {
        signal(instance, Signal::SIGHUP)?;
        sleep(Duration::from_secs(1));
    }
    let compressor = instance.config.get(param::MAILLOG_FILE_COMPRESSOR).map_err(text)?;
    if !compressor.is_empty() && !instance.run(Path::new(&find(&compressor)), &[&old.to_string_lossy()])?.success() {
        return Err(format!("{compressor} {} failed", old.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// A bare name is searched where Postfix's script searches: the system's directories.
fn find(program: &str) -> String {
    if program.contains('/') {
        return program.to_owned();
    }
    let directories = ["/bin", "/usr/bin", "/sbin", "/usr/sbin"];
    let found =
        directories.iter().map(|directory| format!("{directory}/{program}")).find(|path| Path::new(path).is_file());
    found.unwrap_or_else(|| program.to_owned())
}

/// maillog_file_rotate_suffix at this time.
fn stamp(format: &str) -> Option<String> {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let format = CString::new(format).ok()?;
    sys::time::formatted(i64::try_from(unix).unwrap_or(0), &format)
}

#[cfg(test)]
mod tests {
    use super::stamp;

    #[test]
    fn the_default_suffix_is_a_date_and_a_time() {
        let text = stamp("%Y%m%d-%H%M%S").unwrap();
        assert_eq!(text.len(), 15, "{text}");
        assert!(text.bytes().enumerate().all(|(at, byte)| byte.is_ascii_digit() || (at == 8 && byte == b'-')));
    }

    #[test]
    fn a_suffix_has_every_conversion_of_strftime_and_something_in_it() {
        assert_eq!(stamp("%j%y").map(|text| text.len()), Some(5));
        assert_eq!((stamp(""), stamp("a\0b")), (None, None));
    }
}
