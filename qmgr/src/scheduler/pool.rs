//! Recipient slots: how many recipients of big messages may be in memory. Every transport has a pool; the oldest job
//! with unread recipients has all of what is free, and passes on what it no longer needs. Jobs that overtook others
//! draw from an extra pool, so that they are not starved by the big job that they overtook.
//!
//! Memory for recipients is bounded by the sum of the pools and qmgr_message_recipient_minimum for each message.

use super::job::JobId;
use super::limits::Limits;
use super::transport::Transport;

/// The slots of a transport that no job holds.
pub struct Pool {
    free: u32,
    extra: u32,
    in_memory: usize,
}

impl Pool {
    /// The whole pool.
    pub fn new(limits: &Limits) -> Self {
        Self { free: limits.recipient_pool, extra: limits.extra_pool, in_memory: 0 }
    }

    pub(super) fn used(&mut self, recipients: usize) {
        self.in_memory += recipients;
    }

    pub(super) fn unused(&mut self, recipients: usize) {
        self.in_memory -= recipients;
    }
}

impl<R> Transport<R> {
    /// Recipients in memory, of all messages.
    #[cfg(test)]
    pub fn recipients_in_memory(&self) -> usize {
        self.pool.in_memory
    }

    /// Passes slots on: a completely read job keeps as many as it has recipients in memory; an unread one takes what is
    /// free when it is the oldest unread one.
    pub(super) fn share_slots(&mut self, job: JobId) {
        if self.jobs[job].unread == 0 {
            let surplus = self.jobs[job].recipient_slots.saturating_sub(self.jobs[job].in_memory);
            self.jobs[job].recipient_slots -= surplus;
            self.pool.free += surplus;
            let extra = std::mem::take(&mut self.jobs[job].extra_slots);
            self.pool.extra += extra;
        }
        if self.pool.free > 0 {
            self.feed_oldest();
        }
    }

    /// All slots of a job that goes away.
    pub(super) fn return_all_slots(&mut self, job: JobId) {
        self.jobs[job].unread = 0;
        self.jobs[job].in_memory = 0;
        self.share_slots(job);
    }

    /// Half of what is left of the extra pool for a job that overtook and is not completely read.
    pub(super) fn lend_extra(&mut self, job: JobId) {
        if self.jobs[job].unread > 0 {
            let lent = self.pool.extra / 2;
            self.pool.extra -= lent;
            self.jobs[job].extra_slots += lent;
        }
    }

    fn feed_oldest(&mut self) {
        if let Some(&(_, job)) = self.unread.first() {
            self.jobs[job].recipient_slots += std::mem::take(&mut self.pool.free);
        }
    }
}
