//! Policy delegation: what an SMTP server asks a policy service about a client and its message, and what the answer
//! is. SMTPD_POLICY_README
//!
//! Both are lines `name=value` up to an empty one, and no socket is known here: a [`Request`] becomes bytes, a
//! [`Reader`] takes bytes and gives the action, and a [`Service`] is what main.cf says of one. What the action means is
//! access(5)'s business, and so the server's.

mod reply;
mod request;
mod service;

pub use reply::{Answer, MAX_REPLY, Reader, ReplyError};
pub use request::Request;
pub use service::{Options, Service};
