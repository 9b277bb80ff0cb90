//! The commands, one file each. A command gives exactly one turn, and says whether it did what it should.

pub mod auth;
pub mod bdat;
pub mod data;
pub mod ehlo;
pub mod etrn;
pub mod helo;
pub mod help;
pub mod mail;
pub mod rcpt;
pub mod rset;
pub mod starttls;
pub mod vrfy;
pub mod xclient;
pub mod xforward;

use dsn::Status;

use crate::turn::{Turn, breach};

/// HELO or EHLO has to come first.
fn needs_helo() -> Turn {
    breach(503, Status::new(5, 5, 1), "Error: send HELO/EHLO first")
}

/// The command has no place within a transaction.
fn in_transaction() -> Turn {
    breach(503, Status::new(5, 5, 1), "Error: MAIL transaction in progress")
}
