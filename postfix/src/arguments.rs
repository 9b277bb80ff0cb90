//! The command line: for which configuration, and what is to be done.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use config::Config;

/// The configuration directory, the command, and what stands behind it.
///
/// # Errors
/// The usage, or what is wrong with it.
pub(crate) fn parse() -> Result<(PathBuf, String, Vec<String>), String> {
    let mut directory = Config::default_directory();
    let mut options = text::Options::new("c:Dv", std::env::args_os().skip(1));
    let usage = || "usage: postfix [-c config_dir] [-Dv] command".to_owned();
    loop {
        match options.next_option() {
            Ok(Some((b'c', value))) => directory = PathBuf::from(OsStr::from_bytes(&value)),
            // A debugger for master and more words for its log: master has options of its own for both.
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => {
                eprintln!("postfix: {error}");
                return Err(usage());
            }
        }
    }
    if directory.is_relative() {
        return Err("-c requires absolute pathname".to_owned());
    }
    let mut words = options.operands().into_iter().map(|word| word.to_string_lossy().into_owned());
    let command = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    match command.as_str() {
        _ if words.is_empty() => {}
        "set-permissions" | "upgrade-configuration" => {}
        "logrotate" => return Err("usage postfix logrotate (no arguments)".to_owned()),
        _ => return Err(usage()),
    }
    Ok((directory, command, words))
}
