//! The session against fake services: what is said on the wire, what reaches cleanup.

mod chunks;
mod fakes;
mod identity;
mod limits;
mod memory;
mod messages;
mod name_server;
mod names;
mod no_relay;
mod transcripts;
