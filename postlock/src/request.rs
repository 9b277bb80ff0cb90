//! The command line: which file, which locks, and what to run.

use std::ffi::OsString;
use std::path::PathBuf;

use text::Options;

/// The command line.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// Of main.cf.
    pub(crate) directory: Option<Vec<u8>>,
    /// -l
    pub(crate) style: Option<String>,
    /// The mailbox.
    pub(crate) file: PathBuf,
    /// The program to run.
    pub(crate) command: OsString,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
}

impl Request {
    /// Reads it.
    ///
    /// # Errors
    /// The usage.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        const USAGE: &str = "usage: postlock [-c config_dir] [-l lock_style] [-v] folder command...";
        let mut options = Options::new("c:l:v", arguments);
        let mut request = Self::default();
        while let Some((letter, value)) = options.next_or_usage("postlock", USAGE)? {
            match letter {
                b'c' => request.directory = Some(value),
                b'l' => request.style = Some(text::printable(&value)),
                _ => {}
            }
        }
        let mut words = options.operands().into_iter();
        let (Some(file), Some(command)) = (words.next(), words.next()) else { return Err(USAGE.to_owned()) };
        Ok(Self { file: file.into(), command, arguments: words.collect(), ..request })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Request, String> {
        Request::parse(line.iter().map(OsString::from))
    }

    #[test]
    fn options_behind_the_file_are_those_of_the_command() {
        let request = parse(&["-v", "-l", "flock", "box", "grep", "-c", "x"]).unwrap();
        assert_eq!((request.style.as_deref(), request.directory), (Some("flock"), None));
        assert_eq!((request.file.to_str(), request.command.to_str()), (Some("box"), Some("grep")));
        assert_eq!(request.arguments, ["-c", "x"]);
    }

    #[test]
    fn a_file_without_a_command_is_told_the_usage() {
        for line in [&[][..], &["box"], &["-l"], &["-x", "box", "true"]] {
            assert!(parse(line).is_err_and(|why| why.starts_with("usage: postlock")), "{line:?}");
        }
    }
}
