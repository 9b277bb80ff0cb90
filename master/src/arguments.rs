//! The command line.

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
    pub(crate) fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(|_| USAGE.to_owned())? {
            let lexopt::Arg::Short(letter) = argument else { return Err(USAGE.to_owned()) };
            match letter {
                'c' => parsed.directory = Some(parser.value().map_err(|_| USAGE.to_owned())?.into()),
                'd' => parsed.foreground = true,
                'D' => parsed.debug = true,
                'e' => {
                    let value = parser.value().map_err(|_| USAGE.to_owned())?;
                    let seconds = value.to_str().and_then(|text| text.parse().ok());
                    parsed.exit_after = Some(Duration::from_secs(seconds.ok_or_else(|| USAGE.to_owned())?));
                }
                'i' => parsed.init = true,
                's' => parsed.keep_stdout = true,
                't' => parsed.test_lock = true,
                'v' => parsed.verbose += 1,
                'w' => parsed.wait = true,
                _ => return Err(USAGE.to_owned()),
            }
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
        Arguments::parse(line.iter().map(std::ffi::OsString::from))
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
