//! The command line: which method, which families.

/// What the command line asks for.
#[derive(Default)]
pub(crate) struct Options {
    /// --list-methods
    pub(crate) list: bool,
    /// --method
    pub(crate) method: Option<String>,
    /// In the syntax of inet_protocols.
    pub(crate) protocols: Option<String>,
}

impl Options {
    /// Reads the command line.
    ///
    /// # Errors
    /// The usage.
    pub(crate) fn parse() -> Result<Self, String> {
        const USAGE: &str = "usage: inet_addr_local [--method name] [--list-methods] [protocols]";
        let mut options = Self::default();
        let mut parser = lexopt::Parser::from_env();
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
