//! What every delivery agent does the same way: takes a request and the open queue file, tells what became of each
//! recipient in the log, in the queue file and in the report.
//!
//! An agent's loop:
//!
//! ```text
//! let Some(session) = delivery::Session::new(client, settings) else { return };
//! let sent = Finding::sent(Status::new(2, 0, 0), "delivered to maildir", "local");
//! session.serve(async |job: &mut Job| job.finish(0, &sent)).await;
//! ```
//!
//! An agent holds one message through one descriptor and sees no queue directory. The order is: deliver (and have it on
//! stable storage), mark the recipient in the queue file, log, report. Failures are never marked here: qmgr marks them
//! when bounce has recorded them.

pub mod attributes;
pub mod carrier;
pub mod content;
pub mod deposit;
pub mod destination;
pub mod ending;
pub mod environment;
mod filter;
mod finding;
mod job;
pub mod passing;
pub mod postmaster;
mod probe_sender;
mod session;
mod settings;
mod stages;
pub mod steward;
pub mod submission;
pub mod transcript;

pub use carrier::WRITING;
pub use filter::StatusFilter;
pub use finding::{Connection, Finding};
pub use ipc::delivery::{Outcome, Problem, Report, Request, Timestamp, Verdict};
pub use job::Job;
pub use probe_sender::ProbeSender;
pub use queue::Recipient;
pub use session::Session;
pub use settings::{AddressFormat, Settings, check_mailbox_limit};
pub use stages::Stages;
pub use submission::{Submission, SubmitError};
