//! The command line.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub directory: Option<PathBuf>,
    /// Keep the terminal and the standard streams.
    pub foreground: bool,
    /// A debugger attaches by itself: accepted.
    pub debug: bool,
    pub exit_after: Option<Duration>,
    /// Process 1 of a container.
    pub init: bool,
    pub keep_stdout: bool,
    pub test_lock: bool,
    pub verbose: u32,
    pub wait: bool,
}

/// The usage line, for an argument that is not understood.
pub(crate) const USAGE: &str = "usage: master [-c config_dir] [-D (debug)] [-d (don't detach from terminal)] [-e exit_time] [-i (init mode)] \
     [-s (keep stdout)] [-t (test)] [-v] [-w (wait for initialization)]";

impl Arguments {
    /// Parses the command line; the error is the text behind `fatal: `.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut options = text::Options::new("c:dDe:istvw", arguments);
        while let Some((letter, value)) = options.next_option().map_err(|_| USAGE.to_owned())? {
            match letter {
                b'c' => parsed.directory = Some(PathBuf::from(OsString::from_vec(value))),
                b'd' => parsed.foreground = true,
                b'D' => parsed.debug = true,
                b'e' => {
                    let seconds = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
                    parsed.exit_after = Some(Duration::from_secs(seconds.ok_or_else(|| USAGE.to_owned())?));
                }
                b'i' => parsed.init = true,
                b's' => parsed.keep_stdout = true,
                b't' => parsed.test_lock = true,
                b'v' => parsed.verbose += 1,
                b'w' => parsed.wait = true,
                _ => return Err(USAGE.to_owned()),
            }
        }
        if !options.operands().is_empty() {
            return Err(USAGE.to_owned());
        }
        parsed.check()
    }

    fn check(self) -> Result<Self, String> {
        if self.test_lock && self.wait {
            return Err("the -t and -w options cannot be used together".to_owned());
        }
        if self.init && (self.debug || self.foreground || self.wait) {
            return Err("the -i option cannot be used with -D, -d, or -w".to_owned());
        }
        if self.init && std::process::id() != 1 {
            return Err("-i is allowed only for PID 1 process".to_owned());
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Arguments, String> {
        Arguments::parse(line.iter().map(OsString::from))
    }

    #[test]
    fn options_combine_as_postfix_allows() {
        let parsed = parse(&["-c", "/etc/postfix", "-s", "-v", "-v", "-e", "60"]).unwrap();
        assert_eq!((parsed.keep_stdout, parsed.verbose), (true, 2));
        assert_eq!(parsed.exit_after, Some(Duration::from_secs(60)));
        assert!(parse(&["-t", "-w"]).is_err());
        assert!(parse(&["-i"]).unwrap_err().contains("PID 1"));
        assert_eq!(parse(&["extra"]).unwrap_err(), USAGE);
    }
}
