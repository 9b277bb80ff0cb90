//! Why a command ends with status 1: a sentence for the person who typed it.

use std::fmt;

/// One sentence, with the object it is about and, where there is one, the remedy.
#[derive(Debug, Clone)]
pub struct Failure(pub String);

/// What a command returns.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure about `object`, caused by `cause`.
    pub fn about(object: impl fmt::Display, cause: impl fmt::Display) -> Failure {
        Failure(format!("{object}: {cause}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure(error.to_string())
    }
}
