//! SMTP without I/O: what both ends of a session write and read, as values.
//!
//! Everything here takes bytes and returns values, or the other way round; sockets, clocks, settings and log lines stay
//! with the programs. Input comes from strangers: no function of this crate panics on any bytes, and every collection
//! that grows with them has a bound.
//!
//! | module | server | client |
//! |---|---|---|
//! | [`verb`] | which command a line is | |
//! | [`path`] | `MAIL FROM:<...>`, `RCPT TO:<...>` | |
//! | [`parameters`] | SIZE, BODY, RET, ENVID, NOTIFY, ORCPT, SMTPUTF8 | |
//! | [`reply`] | writing replies | reading replies |
//! | [`extensions`] | | what an EHLO reply announces |
//! | [`keywords`] | which can be left out | |
//! | [`line`] | input buffer, command lines | reply lines |
//! | [`content`] | end of data, dots removed | |
//! | [`chunk`] | BDAT: lines found across chunks | |
//! | [`attributes`] | XCLIENT and XFORWARD | |
//! | [`stuffing`] | | dots added |

pub mod attributes;
pub mod chunk;
pub mod content;
pub mod extensions;
pub mod keywords;
pub mod line;
pub mod parameters;
pub mod path;
pub mod reply;
pub mod stuffing;
pub mod verb;

pub use chunk::{Chunk, ChunkDecoder};
pub use content::{Content, Decoder};
pub use extensions::Extensions;
pub use line::{Input, Line, Newline};
pub use reply::{Malformed, Reply, ReplyParser};
pub use stuffing::Stuffer;
pub use verb::{Command, Verb};
