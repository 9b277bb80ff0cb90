//! The server's side of an SMTP session, without a socket: a command goes in, a turn comes out.
//!
//! [`Dialogue`] is what a server remembers of one client, and the rules by which commands follow each other. It opens
//! nothing, waits for nothing and knows no clock. What a command needs to know beyond that (may this client send mail,
//! is there room, which queue file is it) it asks of [`Services`]; what is to be done about the command is the [`Turn`]
//! that comes out: one reply at most, and whether the next command, content or the end follows.
//!
//! Who drives it reads lines, hands them in and does what the turn says:
//!
//! | comes in | by | goes out |
//! |---|---|---|
//! | a client | [`Dialogue::greet`] | the greeting |
//! | a line | [`Dialogue::command`] | the reply, and what follows it |
//! | a TLS session | [`Dialogue::secured`] | nothing, or the end |
//! | the answer to a challenge of AUTH | [`Dialogue::response`] | the next challenge, or whether the client is logged in |
//! | the content of DATA | [`Dialogue::content`] | the reply that says whose message it is now |
//! | a chunk of BDAT | [`Dialogue::chunk`] | the same, or that the next chunk may come |
//!
//! smtpd drives it over a socket, `sendmail -bs` on standard input and output. The laws of it (`crates/fuzzing`, and
//! the tests here) drive it with any bytes and with services that say anything.
//!
//! What comes later has its place: postscreen hands over a client to [`Dialogue::new`].

mod command;
mod content;
mod dialogue;
mod dispatch;
mod facts;
mod filters;
mod forward;
mod lacking;
pub mod line;
mod recipient;
mod rejection;
mod services;
mod settings;
mod state;
mod statistics;
mod tls;
mod transaction;
mod turn;

pub use content::{Chunks, Data};
pub use dialogue::Dialogue;
pub use facts::{Facts, Login};
pub use filters::{FilterReply, Told};
pub use forward::Forward;
pub use lacking::Lacking;
pub use line::CommandLine;
pub use net::peer::{NameStatus, Peer, UNKNOWN};
pub use recipient::encode_recipient;
pub use rejection::Rejection;
pub use services::{
    Attempt, Counted, Flushed, Judgement, Privileges, Received, Refusal, Services, Stage, Step, Unanswered, Unqueued,
};
pub use settings::{BareNewline, Settings};
pub use state::{Protocol, State};
pub use statistics::Statistics;
pub use tls::{Certificate, Secured, TlsLevel, TlsRefusal, TlsStart};
pub use transaction::{Chunking, Transaction};
pub use turn::{Next, Turn};
