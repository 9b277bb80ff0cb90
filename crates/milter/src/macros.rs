//! Macros: facts with a name that go before each event, if main.cf or the filter wants them there.

use config::{Config, ValueError, param};

/// When macros are sent; the numbers are those of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A client has come.
    Connect,
    /// HELO, EHLO.
    Helo,
    /// MAIL.
    Mail,
    /// RCPT.
    Recipient,
    /// DATA.
    Data,
    /// Pieces of the body, and its end.
    EndOfData,
    /// Headers, and their end.
    EndOfHeader,
    /// A command that nobody knows.
    Unknown,
}

impl Stage {
    /// The stage that a filter may name its own macros for.
    pub fn numbered(number: u32) -> Option<Stage> {
        Some(match number {
            0 => Stage::Connect,
            1 => Stage::Helo,
            2 => Stage::Mail,
            3 => Stage::Recipient,
            4 => Stage::Data,
            5 => Stage::EndOfData,
            6 => Stage::EndOfHeader,
            _ => return None,
        })
    }
}

/// The names in a list. Braces are part of a name, and make no group.
pub fn split(list: &str) -> Vec<String> {
    text::split_items(list).into_iter().map(str::to_owned).collect()
}

/// A name as values are kept by it: `{i}` and `i` are the same.
pub fn bare(name: &str) -> &str {
    name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name)
}

/// Where values come from.
pub trait Values {
    /// The value of the macro with this bare name.
    fn value(&self, name: &str) -> Option<Vec<u8>>;
}

/// What main.cf says about macros.
#[derive(Clone, Debug, Default)]
pub struct Macros {
    lists: [Vec<String>; 8],
    /// milter_macro_defaults
    defaults: Vec<(String, String)>,
}

impl Macros {
    /// Reads the lists.
    ///
    /// # Errors
    /// A value that makes no sense.
    pub fn read(config: &Config) -> Result<Macros, MacroError> {
        let raw = |name: &str| -> Result<String, ValueError> { Ok(config.lookup(name)?.unwrap_or_default()) };
        // In the order of the stages.
        let mut lists = [
            param::MILTER_CONNECT_MACROS,
            param::MILTER_HELO_MACROS,
            param::MILTER_MAIL_MACROS,
            param::MILTER_RCPT_MACROS,
            param::MILTER_DATA_MACROS,
            param::MILTER_END_OF_DATA_MACROS,
            param::MILTER_END_OF_HEADER_MACROS,
            param::MILTER_UNKNOWN_COMMAND_MACROS,
        ]
        .into_iter()
        .map(|list| raw(list.name()).map(|text| split(&text)));
        let mut next = || lists.next().unwrap_or(Ok(Vec::new()));
        let lists = [next()?, next()?, next()?, next()?, next()?, next()?, next()?, next()?];
        Ok(Macros { lists, defaults: defaults(&raw(param::MILTER_MACRO_DEFAULTS.name())?)? })
    }

    /// The names of a stage.
    pub fn names(&self, stage: Stage) -> &[String] {
        &self.lists[stage as usize]
    }

    /// The data of a macro packet: names as they are spelled, each with its value. What has none is left out.
    pub fn payload(&self, names: &[String], values: &dyn Values) -> Vec<u8> {
        let mut out = Vec::new();
        for name in names {
            let key = bare(name);
            let default = || self.defaults.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone().into());
            let Some(value) = values.value(key).or_else(default) else { continue };
            out.extend_from_slice(name.as_bytes());
            out.push(0);
            // A NUL would end the value, and begin a name.
            out.extend(value.into_iter().filter(|byte| *byte != 0));
            out.push(0);
        }
        out
    }
}

/// Why a list of macros makes no sense. Display is the sentence for the log.
#[derive(Debug)]
pub enum MacroError {
    /// The parameter has no value.
    Value(ValueError),
    /// An item of milter_macro_defaults.
    Default(String),
}

impl std::fmt::Display for MacroError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MacroError::Value(error) => error.fmt(f),
            MacroError::Default(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for MacroError {}

impl From<ValueError> for MacroError {
    fn from(error: ValueError) -> Self {
        MacroError::Value(error)
    }
}

/// `name=value`, `{name}=value`, `{ name = value with blanks }`.
fn defaults(list: &str) -> Result<Vec<(String, String)>, MacroError> {
    let pair = |item: &str| {
        let text = text::group(item).filter(|inside| inside.contains('=')).unwrap_or(item);
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok((bare(name.trim()).to_owned(), value.trim().to_owned()))
            }
            _ => Err(MacroError::Default(format!(
                "malformed parameter milter_macro_defaults: missing '=' after attribute name: \"{}\"",
                text::printable(item.as_bytes())
            ))),
        }
    };
    text::split_items(list).into_iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pairs(&'static [(&'static str, &'static str)]);

    impl Values for Pairs {
        fn value(&self, name: &str) -> Option<Vec<u8>> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_bytes().to_vec())
        }
    }

    #[test]
    fn names_are_sent_as_spelled_and_what_has_no_value_is_left_out() {
        let macros = Macros { defaults: defaults("b=2, {c}=3 { dd = x y }").unwrap(), ..Macros::default() };
        let names = split("{i} i {b},c dd none");
        let payload = macros.payload(&names, &Pairs(&[("i", "Q\0z"), ("b", "1")]));
        assert_eq!(payload, b"{i}\0Qz\0i\0Qz\0{b}\x001\0c\x003\0dd\0x y\0");
    }

    #[test]
    fn a_default_without_a_value_is_an_error() {
        assert!(defaults("a").is_err() && defaults("=x").is_err());
    }
}
