//! The command line: for which configuration, and what is to be done.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// `-c`: one instance, whatever the environment says.
    pub directory: Option<PathBuf>,
    pub command: String,
    pub words: Vec<String>,
}

/// Reads the command line.
///
/// # Errors
/// The usage, or what is wrong with it.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Line, String> {
    const USAGE: &str = "usage: postfix [-c config_dir] [-Dv] command";
    let mut directory = None;
    let mut options = text::Options::new("c:Dv", arguments);
    // A debugger for master and more words for its log (-D, -v): master has options of its own for both.
    while let Some((letter, value)) = options.next_or_usage("postfix", USAGE)? {
        if letter == b'c' {
            directory = Some(PathBuf::from(OsStr::from_bytes(&value)));
        }
    }
    if directory.as_ref().is_some_and(|directory| directory.is_relative()) {
        return Err("-c requires absolute pathname".to_owned());
    }
    let mut words = options.operands().into_iter().map(|word| word.to_string_lossy().into_owned());
    let command = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    match command.as_str() {
        _ if words.is_empty() => {}
        "set-permissions" | "upgrade-configuration" | "tls" | "non-bdb" => {}
        "logrotate" => return Err("usage postfix logrotate (no arguments)".to_owned()),
        _ => return Err(USAGE.to_owned()),
    }
    Ok(Line { directory, command, words })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Line, String> {
        super::parse(line.iter().map(OsString::from))
    }

    #[test]
    fn a_command_stands_behind_the_options_and_may_be_missing() {
        let line = Line { directory: Some("/x".into()), command: "start".to_owned(), words: Vec::new() };
        assert_eq!(parse(&["-v", "-c", "/x", "start"]), Ok(line));
        let line = Line { directory: None, command: String::new(), words: Vec::new() };
        assert_eq!(parse(&["-Dv"]), Ok(line));
    }

    #[test]
    fn only_three_commands_have_words_behind_them() {
        for command in ["set-permissions", "upgrade-configuration", "tls", "non-bdb"] {
            let words = parse(&[command, "mail_owner=x", "y"]).map(|line| line.words);
            assert_eq!(words, Ok(vec!["mail_owner=x".to_owned(), "y".to_owned()]), "{command}");
        }
        assert_eq!(parse(&["logrotate", "x"]), Err("usage postfix logrotate (no arguments)".to_owned()));
        for line in [&["start", "x"][..], &["reload", "now"], &["-Z", "start"], &["-c"]] {
            assert!(parse(line).unwrap_err().starts_with("usage: postfix "), "{line:?}");
        }
    }

    #[test]
    fn a_directory_that_depends_on_where_one_is_is_refused() {
        assert_eq!(parse(&["-c", "etc", "status"]), Err("-c requires absolute pathname".to_owned()));
    }
}
