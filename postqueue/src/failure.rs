//! Why postqueue ends without having done what it was asked for.

/// EX_UNAVAILABLE of sysexits.h: the exit status of every failure, as scripts know it from Postfix.
const UNAVAILABLE: i32 = 69;

/// A sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// With this sentence.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl From<config::ValueError> for Failure {
    fn from(error: config::ValueError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<Failure> for command::Failure {
    fn from(Failure(sentence): Failure) -> Self {
        Self { status: UNAVAILABLE, sentence }
    }
}
