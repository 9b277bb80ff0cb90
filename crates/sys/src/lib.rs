//! The system calls that need unsafe code, behind safe functions.
pub mod time;
