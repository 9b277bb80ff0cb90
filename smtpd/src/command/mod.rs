//! The commands, one file each. A command sends exactly one reply, and says whether it did what it should.

pub mod absent;
pub mod bdat;
pub mod data;
pub mod ehlo;
pub mod helo;
pub mod help;
pub mod mail;
pub mod noop;
pub mod quit;
pub mod rcpt;
pub mod rset;
pub mod vrfy;
pub mod xclient;
pub mod xforward;
