//! Which messages have logs: while there are few, none is looked for in vain.
//!
//! The names are read after those of the messages: a message that was found has its log by then, if it is to have one.

use std::collections::HashSet;

use queue::{QueueId, QueueName, Spool};

/// Logs of one kind up to which their names are remembered.
/// told: nobody; a log is looked for by its name then.
const FEW: usize = 100;

/// The names of the logs, of each kind that has few.
pub(crate) struct Logs {
    few: [Option<HashSet<QueueId>>; 2],
}

impl Logs {
    /// The order in which a message's logs are listed.
    pub(crate) const ORDER: [QueueName; 2] = [QueueName::Defer, QueueName::Bounce];

    /// Reads the names.
    pub(crate) fn look(spool: &Spool) -> Self {
        Self { few: Self::ORDER.map(|log| few(spool, log)) }
    }

    /// Whether the message may have such a log.
    pub(crate) fn may_have(&self, log: QueueName, id: &QueueId) -> bool {
        let names = Self::ORDER.iter().zip(&self.few).find(|(known, _)| **known == log);
        names.is_none_or(|(_, few)| few.as_ref().is_none_or(|names| names.contains(id)))
    }
}

fn few(spool: &Spool, log: QueueName) -> Option<HashSet<QueueId>> {
    let mut names = HashSet::new();
    for found in spool.scan(log).ok()? {
        names.insert(found.ok()?.id);
        if names.len() > FEW {
            return None;
        }
    }
    Some(names)
}
