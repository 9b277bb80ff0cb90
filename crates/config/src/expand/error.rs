//! Why an expression cannot be expanded, in Postfix's words.

use std::fmt;

/// Why an expression cannot be expanded. Each carries the piece of text that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpandError {
    /// `${` or `$(` without its end.
    Truncated(String),
    /// `$` without a name.
    EmptyName(String),
    /// A character that no name has.
    NameSyntax(Place),
    /// `{` without its `}` inside an expression.
    Unbalanced(String),
    /// Something between `}` and the end.
    ColonExpected(Place),
    /// Something after the last part.
    Unexpected(Place),
    /// No comparison between two `{...}`.
    OperatorExpected(Place),
    /// A comparison with letters behind it that mean nothing.
    OperatorSuffix(Place),
    /// A second operand is missing.
    OperandExpected(Place),
    /// A `level` comparison of something that is no level.
    Level(String),
    /// A number too large to compare.
    Number(String),
    /// A parameter refers to itself, or to too many others.
    Nesting(String),
    /// The default of a parameter cannot be computed; the sentence says why.
    Default(String),
}

/// A place inside an expression: what stands before and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) before: String,
    pub(super) after: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"...{}>>>{}\"", self.before, self.after)
    }
}

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExpandError::Truncated(text) => write!(f, "truncated macro reference: \"{text}\""),
            ExpandError::EmptyName(text) => write!(f, "empty macro name: \"{text}\""),
            ExpandError::NameSyntax(place) => write!(f, "attribute name syntax error at: {place}"),
            ExpandError::Unbalanced(text) => {
                write!(f, "unbalanced {{}} in attribute expression: \"{text}\"")
            }
            ExpandError::ColonExpected(place) => write!(f, "\":\" expected at: {place}"),
            ExpandError::Unexpected(place) => write!(f, "unexpected input at: {place}"),
            ExpandError::OperatorExpected(place) => {
                // The quotes are Postfix's.
                write!(f, "\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: {place}")
            }
            ExpandError::OperatorSuffix(place) => write!(f, "bad operator suffix at: {place}"),
            ExpandError::OperandExpected(place) => write!(f, "\"{{expression}}\" expected at: {place}"),
            ExpandError::Level(text) => {
                write!(f, "malformed compatibility level syntax: \"{text}\"")
            }
            ExpandError::Number(text) => write!(f, "bad conversion: {text}"),
            ExpandError::Nesting(name) => {
                write!(f, "unreasonable macro call nesting: \"{name}\"")
            }
            ExpandError::Default(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ExpandError {}
