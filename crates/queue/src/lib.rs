//! The queue directory: identifiers, records, state transitions, group commit.

pub mod commit;
pub mod content;
pub mod create;
pub mod delivery_log;
pub mod directory;
pub mod envelope;
mod id;
pub mod mark;
pub mod record;
pub mod scan;
pub mod size;
mod transition;

pub use commit::Committer;
pub use content::Content;
pub use create::NewFile;
pub use directory::{Hashing, QueueName, Spool};
pub use envelope::{Envelope, EnvelopeError, Limits, Recipient};
pub use id::QueueId;
pub use record::{Reader, RecordError, Type};
pub use size::SizeRecord;
pub use transition::{FORCE_EXPIRE, UNTHROTTLE};
