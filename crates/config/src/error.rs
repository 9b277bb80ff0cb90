//! What can be wrong with main.cf. Each error carries the facts; Display writes the sentence that the user sees after
//! the program's name, in Postfix's words where it has some.

use std::fmt;
use std::path::PathBuf;

/// main.cf cannot be used at all.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Open {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A logical line is no `name = value`.
    Syntax {
        /// The file.
        file: PathBuf,
        /// Its last physical line.
        line: usize,
        /// What is missing.
        problem: &'static str,
        /// The logical line.
        text: String,
    },
    /// A value that was asked for is wrong.
    Value(ValueError),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Open { file, source } => {
                write!(f, "open {}: {}", file.display(), text::system_error(source))
            }
            ConfigError::Syntax { file, line, problem, text } => {
                write!(f, "{}, line {line}: {problem}: \"{}\"", file.display(), text)
            }
            ConfigError::Value(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {}

impl From<ValueError> for ConfigError {
    fn from(error: ValueError) -> Self {
        ConfigError::Value(error)
    }
}

/// The value of a parameter cannot be understood. `name` is the parameter, `value` what main.cf says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// Not a whole number.
    Number {
        /// The parameter.
        name: String,
        /// Its value.
        value: String,
    },
    /// Neither `yes` nor `no`.
    Bool {
        /// The parameter.
        name: String,
        /// Its value.
        value: String,
    },
    /// Not a number with a time unit.
    Time {
        /// The parameter.
        name: String,
        /// Its value.
        value: String,
    },
    /// Below the smallest value allowed.
    TooSmall {
        /// The parameter.
        name: String,
        /// Its value.
        value: String,
        /// The bound.
        min: i64,
    },
    /// Above the largest value allowed.
    TooLarge {
        /// The parameter.
        name: String,
        /// Its value.
        value: String,
        /// The bound.
        max: i64,
    },
    /// A time below or above what is allowed, in seconds.
    TimeBound {
        /// The parameter.
        name: String,
        /// Its value in seconds.
        seconds: i64,
        /// `min` or `max`.
        bound: &'static str,
        /// The bound in seconds.
        limit: i64,
    },
    /// A text that is too short.
    Length {
        /// The parameter.
        name: String,
        /// Its value.
        value: String,
        /// The shortest length allowed.
        min: i64,
    },
    /// A text that is too long.
    TooLong {
        /// The parameter.
        name: String,
        /// Its value.
        value: String,
        /// The longest length allowed.
        max: i64,
    },
    /// A `$` expression cannot be expanded.
    Expand {
        /// The parameter.
        name: String,
        /// Why.
        source: crate::expand::ExpandError,
    },
    /// A file that the value names cannot be read, or another meaning is wrong.
    Meaning(String),
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueError::Number { name, value } => {
                write!(f, "bad numerical configuration: {name} = {value}")
            }
            ValueError::Bool { name, value } => {
                write!(f, "bad boolean configuration: {name} = {value}")
            }
            ValueError::Time { name, value } => {
                write!(f, "parameter {name}: bad time value or unit: {value}")
            }
            ValueError::TooSmall { name, value, min } => {
                write!(f, "invalid {name} parameter value {value} < {min}")
            }
            ValueError::TooLarge { name, value, max } => {
                write!(f, "invalid {name} parameter value {value} > {max}")
            }
            ValueError::TimeBound { name, seconds, bound, limit } => {
                write!(f, "invalid {name}: {seconds} ({bound} {limit})")
            }
            ValueError::Length { name, value, min } => {
                write!(f, "bad string length {} < {min}: {name} = {value}", value.len())
            }
            ValueError::TooLong { name, value, max } => {
                write!(f, "bad string length {} > {max}: {name} = {value}", value.len())
            }
            ValueError::Expand { name, source } => write!(f, "parameter {name}: {source}"),
            ValueError::Meaning(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ValueError {}
