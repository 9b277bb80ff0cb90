//! Delivery status: enhanced status codes (RFC 3463), what a sender wants to be told (RFC 3461), and the report that
//! tells it (RFC 3464).
//!
//! Pure: text and values in, lines out. Who sends a report, and when, is the bounce program's matter.

mod action;
mod options;
mod original;
pub mod report;
mod status;
pub mod template;

pub use action::Action;
pub use options::{Notify, Return};
pub use original::OriginalRecipient;
pub use status::{NotAStatus, Status};
