//! A filter of this site between the name servers and those who ask them (smtp_dns_reply_filter).
//!
//! It sees the records that were asked for, not the aliases on the way to them.

use std::sync::Arc;

use crate::message::Record;
use crate::{LookupFault, RecordType, Resolver};

/// Says of a record as text whether it counts; `None`: nobody can say.
pub type RecordFilter = dyn Fn(&str) -> Option<bool> + Send + Sync;

impl Resolver {
    /// The same resolver, with a filter of the records that are asked for; the system's way to addresses has none.
    #[must_use]
    pub fn filtering(self, filter: impl Fn(&str) -> Option<bool> + Send + Sync + 'static) -> Self {
        let mut filtering = self;
        filtering.filter = Some(Arc::new(filter));
        filtering
    }

    /// It without the filter.
    pub(crate) fn unfiltered(&self) -> Self {
        let mut plain = self.clone();
        plain.filter = None;
        plain
    }

    /// The records of an answer without those that the filter drops.
    pub(crate) fn sifted(&self, records: Vec<Record>, record_type: RecordType) -> Result<Vec<Record>, LookupFault> {
        let Some(filter) = &self.filter else { return Ok(records) };
        let (mut kept, mut dropped, mut remain) = (Vec::with_capacity(records.len()), false, false);
        for record in records {
            let is_asked_for = record.data.is_of(record_type);
            let stays = !is_asked_for || filter(&record.to_string()).ok_or(LookupFault::NotFiltered)?;
            (dropped, remain) = (dropped || !stays, remain || (stays && is_asked_for));
            kept.extend(stays.then_some(record));
        }
        if dropped && !remain { Err(LookupFault::Filtered) } else { Ok(kept) }
    }
}
