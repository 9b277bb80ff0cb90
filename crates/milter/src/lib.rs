//! The mail system's side of the mail filter protocol (milter), versions 2 to 6, and one connection to a filter.
//!
//! [`packet`], [`negotiation`], [`event`], [`reply`] and [`edit`] are the protocol, bytes to values and back, without a
//! socket. [`Filter`] is one filter in one session, over a connection that may have been made by another process: smtpd
//! makes it and tells the filter of the commands of a client, cleanup goes on with the same socket and shows it the
//! message. What a filter wants changed is done by who has the message ([`Editor`]).
//!
//! A filter is a program of the site, and still believed nothing: what it says is bounded, and a filter that hangs,
//! dies or talks nonsense costs its own session time, and nobody else's.

mod action;
mod dial;
pub mod edit;
mod editing;
pub mod event;
mod filter;
mod filters;
mod link;
mod macros;
pub mod negotiation;
pub mod packet;
pub mod reply;
mod settings;

pub use action::Action;
pub use dial::{Dial, Dialing};
pub use edit::{Edit, Header};
pub use editing::Editor;
pub use event::{Client, Event};
pub use filter::{Filter, Verdict};
pub use filters::Filters;
pub use macros::{MacroError, Macros, Stage, Values};
pub use negotiation::Agreement;
pub use reply::Said;
pub use settings::{Defaults, Endpoint, Settings};
