//! Regular expressions as the C library and PCRE2 understand them, byte by byte.
//!
//! Tables of patterns were written for one of these two, and no other engine reads every pattern as they do.

pub mod perl;
pub mod posix;
mod shape;

use std::ops::Range;

/// Where each group of a match is in the text: the whole match first, then the groups in the order of their opening
/// parentheses. None for a group that took no part.
pub type Groups = Vec<Option<Range<usize>>>;
