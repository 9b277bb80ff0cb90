//! The table types, one file each.

pub(crate) mod cidr;
pub(crate) mod combined;
pub(crate) mod fixed;
pub(crate) mod indexed;
mod literals;
pub(crate) mod memory;
pub(crate) mod pattern;
mod prefilter;
mod program;
pub(crate) mod regex;
pub(crate) mod system;
mod template;
pub(crate) mod utf8;
