//! What crosses a process boundary in a fixed byte format: everything that other programs speak, and the few bytes
//! between master and its workers. No configuration, no async runtime: commands and master link this crate.

pub mod attr0;
pub mod cause;
pub mod fields;
pub mod flush;
pub mod netstring;
pub mod postdrop;
pub mod qmqp;
pub mod showq;
pub mod status;
pub mod trigger;
pub mod verdict;
pub mod verified;
