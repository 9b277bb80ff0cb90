//! What our processes say to each other: one file a service, with its request and reply types and its client.
//!
//! `ls` of this folder answers "what can processes ask each other". Everything travels as frames over Unix stream
//! sockets ([`channel`]); only [`codec`] knows how a frame is encoded. What *other* programs speak (showq, triggers,
//! postdrop, policy ...) is not here but in crate `wire`, byte-compatible with Postfix.
//!
//! A channel is typed by what is sent and what is received on it, so a message in the wrong direction does not compile;
//! a peer that sends anything unexpected loses its channel and nothing else.

mod bits;
pub mod bounds;
mod caller;
pub mod channel;
mod codec;
mod error;
pub mod pool;
pub mod questions;

pub mod anvil;
pub mod bounce;
pub mod carrier;
pub mod cleanup;
pub mod delivery;
pub mod flush;
pub mod qmgr;
pub mod recipient;
pub mod rewrite;
pub mod tlsmgr;
pub mod verify;
pub mod word;

pub use bounds::{Chunk, chunks, cut};
pub use caller::Caller;
pub use channel::{Channel, Client, IpcError, Server, Service};
pub use codec::read_and_written;
pub use pool::{Pool, close_unused, keep_connections};
pub use questions::Questions;
