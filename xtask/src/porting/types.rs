//! Type checks of the crates that depend on the platform, for targets whose standard library is built from source.

use super::Verdict;
use crate::failure::Outcome;

/// What was found for each `target_os`; nothing where it cannot be tried.
pub(super) fn check() -> Outcome<Vec<(&'static str, Verdict)>> {
    Ok(Vec::new())
}
