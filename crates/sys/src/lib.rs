//! The operating system, where the standard library and nix stop: the only crate with `unsafe` code.
//!
//! Each module is one kind of request to the kernel. Functions take and return owned descriptors and typed ids; no
//! function here knows about mail, configuration or the log.
#![allow(unsafe_code)]

pub mod content;
pub mod descriptor;
pub mod identity;
pub mod interfaces;
pub mod kernel;
#[cfg(feature = "lmdb")]
pub mod lmdb;
pub mod lock;
mod lock_file;
pub mod open;
pub mod place;
pub mod privilege;
pub mod process;
#[cfg(feature = "regex")]
pub mod regex;
pub mod storage;
pub mod time;
pub mod watch;
pub mod watchdog;

pub use lock_file::LockFile;
