//! What stands before a message's first record, and stays as it is.

use ipc::cleanup::Flags;
use queue::QueueId;

use crate::site::Site;

/// One message.
pub struct Message<'w> {
    /// Where it comes in.
    pub site: &'w Site,
    /// Its queue identifier, for log lines.
    pub id: QueueId,
    /// What the client wants done with it.
    pub flags: Flags,
}
