//! Bytes to text and back: sanitising, splitting, small encodings.
//!
//! Everything that leaves the system towards a log, a header or a terminal passes through here; nothing in this crate
//! knows what mail is. Functions never panic and never allocate more than a small multiple of their input.

mod json;
mod list;
pub mod lossless;
mod options;
mod sanitize;
mod system_error;
pub mod uxtext;
pub mod xtext;

pub use json::{json_bytes, json_string};
pub use list::{BraceError, StrayComment, braced, group, split_items, split_list, split_list_before_comment, words};
pub use options::{OptionError, Options};
pub use sanitize::{c_escape, c_unescape, printable, printable_ascii, printable_into};
pub use system_error::system_error;
