//! The table types, one file each.

pub(crate) mod cidr;
pub(crate) mod fixed;
mod literals;
pub(crate) mod lmdb;
pub(crate) mod memory;
pub(crate) mod pattern;
mod prefilter;
mod program;
pub(crate) mod regex;
mod template;
pub(crate) mod utf8;
