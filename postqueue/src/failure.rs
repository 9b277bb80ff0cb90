//! Why postqueue ends without having done what it was asked for: each kind of reason has its exit status.

/// EX_USAGE of sysexits.h.
const USAGE: i32 = 64;
/// EX_UNAVAILABLE of sysexits.h.
const UNAVAILABLE: i32 = 69;
/// EX_NOPERM of sysexits.h.
const NO_PERMISSION: i32 = 77;

/// A sentence and the exit status that goes with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    status: i32,
    sentence: String,
}

impl Failure {
    /// The flush service does not understand what it is asked.
    pub(crate) fn usage(sentence: impl Into<String>) -> Self {
        Self { status: USAGE, sentence: sentence.into() }
    }

    /// The mail system is down, or the request makes no sense or cannot be met.
    pub(crate) fn unavailable(sentence: impl Into<String>) -> Self {
        Self { status: UNAVAILABLE, sentence: sentence.into() }
    }

    /// The caller is not allowed to do what he asks for.
    pub(crate) fn no_permission(sentence: impl Into<String>) -> Self {
        Self { status: NO_PERMISSION, sentence: sentence.into() }
    }
}

impl From<config::ValueError> for Failure {
    fn from(error: config::ValueError) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<Failure> for command::Failure {
    fn from(failure: Failure) -> Self {
        Self { status: failure.status, sentence: failure.sentence }
    }
}
