//! The format of messages: header fields, dates, Message-Id, Received, and as much of MIME as a mail system must know
//! to relay and to return a message.
//!
//! Pure functions over bytes. Nothing here assumes UTF-8, does I/O, or knows a parameter.

pub mod addresses;
pub mod checks;
pub mod date;
pub mod encoded_word;
pub mod gathered;
pub mod header;
pub mod message_id;
pub mod mime;
pub mod parts;
pub mod received;
pub mod refold;
pub mod seven_bit;
