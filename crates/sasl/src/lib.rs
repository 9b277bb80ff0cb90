//! SASL (RFC 4422): the mechanisms of the SMTP client, and the authentication server that the SMTP server asks.
//!
//! Secrets are wiped from memory when they are not needed any more, and have no Debug form that shows them.

pub mod client;
pub mod dovecot;
