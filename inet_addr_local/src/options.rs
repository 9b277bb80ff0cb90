//! The command line: which method, which families.

use std::ffi::OsString;

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// --list-methods
    pub(crate) list: bool,
    /// --method
    pub(crate) method: Option<String>,
    /// In the syntax of inet_protocols.
    pub(crate) protocols: Option<String>,
}

impl Options {
    /// Reads the command line. As with Postfix's program, what follows the protocols is for nobody.
    ///
    /// # Errors
    /// The usage.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        const USAGE: &str = "usage: inet_addr_local [--method name] [--list-methods] [protocols]";
        let mut options = Self::default();
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(|error| format!("{error}; {USAGE}"))? {
            match argument {
                lexopt::Arg::Long("list-methods") => options.list = true,
                lexopt::Arg::Long("method") => {
                    let name = parser.value().map_err(|error| format!("{error}; {USAGE}"))?;
                    options.method = Some(name.to_string_lossy().into_owned());
                }
                lexopt::Arg::Value(word) if options.protocols.is_none() => {
                    options.protocols = Some(word.to_string_lossy().into_owned());
                }
                lexopt::Arg::Value(_) => {}
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Options, String> {
        Options::parse(line.iter().map(OsString::from))
    }

    #[test]
    fn the_first_word_is_the_protocols_and_a_method_has_a_name() {
        let protocols = |value: &str| Some(value.to_owned());
        assert_eq!(parse(&["ipv4", "ipv6"]).unwrap(), Options { protocols: protocols("ipv4"), ..Options::default() });
        let method = parse(&["--method", "procnet", ""]).unwrap();
        assert_eq!((method.method.as_deref(), method.protocols.as_deref()), (Some("procnet"), Some("")));
        assert!(parse(&["--list-methods"]).unwrap().list);
    }

    #[test]
    fn an_option_that_is_none_and_a_method_without_a_name_are_told_the_usage() {
        for line in [&["-x"][..], &["--bogus"], &["--method"]] {
            assert!(parse(line).unwrap_err().contains("usage: inet_addr_local"), "{line:?}");
        }
    }
}
