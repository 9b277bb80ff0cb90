//! The authentication server that the SMTP server asks: Dovecot's, by its protocol for clients, version 1.
//!
//! Mechanisms, their challenges and the users are the server's business. What passes through here is base64 that is
//! not decoded, and never logged. Formats are read without a socket ([`Greeting`], [`Answer`], [`Lines`]); [`Client`]
//! has the connection.

mod answer;
mod client;
mod greeting;
mod lines;
mod mechanism;

pub use answer::Answer;
pub use client::{Begun, Client, Connect, Exchange, Outcome, Request, Transport};
pub use greeting::{Greeting, GreetingError};
pub use lines::{Lines, TooLong};
pub use mechanism::{Demands, Mechanism, UnknownOption};

/// Whether a client's words can be base64: only the characters are looked at, for the server decodes them.
pub fn is_base64(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}
