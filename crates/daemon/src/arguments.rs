//! The command line that master gives a worker (`-n NAME -t TYPE -u -c -l -z -s COUNT -o name=value ...`).

use std::fmt;
use std::time::Duration;

/// What the command line says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Service name of master.cf, when it differs from the program name.
    pub name: Option<String>,
    /// `inet`, `unix`, `pass`, `fifo` or `unix-dgram`.
    pub transport: Option<String>,
    pub unprivileged: bool,
    pub chroot: bool,
    /// Process limit 1.
    pub alone: bool,
    /// Process limit 0.
    pub unlimited: bool,
    pub listeners: usize,
    /// Serve one client on standard input and output.
    pub standard_io: bool,
    /// Log to standard error.
    pub log_to_terminal: bool,
    pub verbose: u32,
    pub max_idle: Option<Duration>,
    pub max_use: Option<u32>,
    pub overrides: Vec<(String, String)>,
    pub rest: Vec<String>,
}

/// An argument that cannot be used; Display is Postfix's text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ArgumentError(String);

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Arguments {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, ArgumentError> {
        let mut parsed = Self { listeners: 1, ..Self::default() };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(invalid)? {
            match argument {
                lexopt::Arg::Short(letter) => parsed.option(letter, &mut parser)?,
                lexopt::Arg::Value(value) => parsed.rest.push(value.to_string_lossy().into_owned()),
                lexopt::Arg::Long(name) => return Err(ArgumentError(format!("invalid option: --{name}"))),
            }
        }
        Ok(parsed)
    }

    fn option(&mut self, letter: char, parser: &mut lexopt::Parser) -> Result<(), ArgumentError> {
        let mut value = || parser.value().map(|value| value.to_string_lossy().into_owned()).map_err(invalid);
        match letter {
            'c' => self.chroot = true,
            // Debugging aids of Postfix that need a debugger of its own: accepted, without effect on service.
            'd' | 'D' => {}
            'i' => self.max_idle = Some(Duration::from_secs(number(letter, &value()?)?.into())),
            'l' => self.alone = true,
            'm' => self.max_use = Some(number(letter, &value()?)?),
            'n' => self.name = Some(value()?),
            'o' => self
                .overrides
                .push(config::Config::parse_override(&value()?).map_err(|error| ArgumentError(error.to_string()))?),
            'r' => drop(value()?),
            's' => self.listeners = number(letter, &value()?)? as usize,
            'S' => self.standard_io = true,
            't' => self.transport = Some(value()?),
            'u' => self.unprivileged = true,
            'v' => self.verbose += 1,
            'V' => self.log_to_terminal = true,
            'z' => self.unlimited = true,
            other => return Err(ArgumentError(format!("invalid option: {other}"))),
        }
        Ok(())
    }
}

fn number(letter: char, text: &str) -> Result<u32, ArgumentError> {
    text.parse().map_err(|_| ArgumentError(format!("invalid -{letter} option value: {text}")))
}

fn invalid(error: lexopt::Error) -> ArgumentError {
    ArgumentError(format!("invalid option: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Arguments, ArgumentError> {
        Arguments::parse(line.iter().map(std::ffi::OsString::from))
    }

    #[test]
    fn masters_command_line_is_understood() {
        let parsed = parse(&[
            "-n",
            "0.0.0.0:10025",
            "-t",
            "inet",
            "-u",
            "-c",
            "-o",
            "stress=yes",
            "-s",
            "2",
            "-o",
            "a = b c",
            "-v",
        ])
        .unwrap();
        assert_eq!(parsed.name.as_deref(), Some("0.0.0.0:10025"));
        assert_eq!((parsed.unprivileged, parsed.chroot, parsed.listeners, parsed.verbose), (true, true, 2, 1));
        assert_eq!(parsed.overrides, [("stress".into(), "yes".into()), ("a".into(), "b c".into())]);
    }

    #[test]
    fn a_broken_override_is_named() {
        let text = |line: &[&str]| parse(line).unwrap_err().to_string();
        assert_eq!(text(&["-o", "nosuch"]), "invalid \"-o nosuch\" option value: missing '=' after attribute name");
        assert_eq!(text(&["-o", "=x"]), "invalid \"-o =x\" option value: missing attribute name");
        assert_eq!(text(&["-X"]), "invalid option: X");
    }
}
