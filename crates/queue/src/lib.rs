//! The queue directory: where mail is on disk, in which form, and how it moves.
//!
//! The directory is Postfix's, byte for byte: either implementation delivers what the other one queued. This crate has
//! no configuration, no sockets and no loop; it is the rules that cleanup, the queue manager, delivery agents and
//! operators' commands share. It must never lose a message that a client was told is accepted, whatever file it is
//! given and whenever a process dies.
//!
//! A message is in exactly one of these states:
//!
//! | state | file | mode |
//! |---|---|---|
//! | S1 | `incoming/USEC.PID` or `incoming/ID` | 0600: being written, not mail yet |
//! | S1 | `spare/ID` | any: the same, in the file of a finished message |
//! | S2 | `maildrop/ID` | 0744: submitted, waiting for pickup |
//! | S3 | `incoming/ID` | 0700: on disk, waiting for the queue manager |
//! | S4 | `active/ID` | 0700: being delivered |
//! | S5 | `deferred/[X/]ID` | 0700: waiting for its modification time |
//! | S6 | `hold/ID` | 0700: waiting for an operator |
//! | S7 | `corrupt/ID` | any: could not be understood |
//!
//! and moves only so:
//!
//! | from | to | by | with | a crash of the process leaves |
//! |---|---|---|---|---|
//! | – | S1 | cleanup, postdrop | [`NewFile::create`], [`NewFile::create_in`] | a file that is no mail |
//! | S1 | S2 | postdrop | [`NewFile::complete_submission`], [`create::Complete::sync`] | a file that is no mail, or a duplicate |
//! | S1 | S3 | cleanup | [`NewFile::complete`], [`create::Complete::commit`] | a file that is no mail, or a duplicate |
//! | S1 | S6 | cleanup | [`NewFile::move_to`], then as S1 to S3 | the same |
//! | S2 | – | pickup, after S3 is acknowledged | [`Spool::remove`] | S2 and S3: a duplicate |
//! | S3, S5 | S4 | qmgr | [`Spool::activate`] | the state before or after |
//! | S4 | S3 | qmgr when it starts | [`Spool::reclaim`] | the same |
//! | S4 | S5 | qmgr | [`Spool::defer`] | the same |
//! | S4 | – | qmgr, all recipients done | [`Spool::remove`], [`Spool::retire`] | S4 with no recipient left |
//! | any | S6 | postsuper, qmgr | [`Spool::hold`] | the state before or after |
//! | S6 | S5 | postsuper | [`Spool::release`] | the same |
//! | any | S2 | postsuper | [`Spool::requeue`] | the same |
//! | any | S7 | qmgr | [`Spool::set_aside`] | the same |
//!
//! Within S4, delivery agents mark recipients ([`mark::done`]) after the delivery and before they report it. Results
//! that a report is made from are in a [`delivery_log`] first.

pub mod commit;
pub mod content;
pub mod create;
pub mod delivery_log;
pub mod directory;
mod encoding;
pub mod envelope;
mod id;
mod lines;
pub mod mark;
mod nameless;
pub mod record;
pub mod scan;
mod set;
pub mod size;
mod spare;
mod stamp;
pub mod storage;
pub mod stream;
mod trace;
mod transition;
pub mod untouched;

pub use commit::Committer;
pub use content::Content;
pub use create::NewFile;
pub use directory::{Hashing, QueueName, Spool};
pub use encoding::Encoding;
pub use envelope::{Envelope, EnvelopeError, Limits, Recipient};
pub use id::QueueId;
pub use lines::{Cutter, Lines};
pub use nameless::{Nameless, Pieces};
pub use record::{Reader, RecordError, Type};
pub use size::{SendOptions, SizeRecord};
pub use spare::{Spare, Spares};
pub use stamp::Stamp;
pub use stream::Stream;
pub use trace::Trace;
pub use transition::{FORCE_EXPIRE, UNTHROTTLE};
