//! What agents report about recipients goes into the logs of the message: bounce, defer, trace.
//!
//! A recipient that failed is marked done only when the record of its failure is safe; when it cannot be recorded, it
//! stays and is tried again.

use std::rc::Rc;
use std::time::Duration;

use delivery::{Stages, StatusLine};
use ipc::Pool;
use ipc::bounce::{Bounce, Log, Record, Reply, Request};
use ipc::delivery::{Outcome, Report, Timestamp, Verdict, flags};

use crate::active::ipc_recipient;
use crate::scheduler::{MessageKey, Recipient};
use crate::service::Qmgr;

/// Times that bounce is asked: it may be restarting.
const ATTEMPTS: u32 = 3;
/// NOTIFY=SUCCESS.
pub const NOTIFY_SUCCESS: u32 = 2;

/// The recipients of a report by what becomes of them.
#[derive(Default)]
struct Sorted {
    bounced: Vec<Record>,
    deferred: Vec<Record>,
    traced: Vec<Record>,
    /// Offsets of the recipients that failed.
    marks: Vec<u64>,
    is_deferred: bool,
}

impl Qmgr {
    /// Takes an agent's report: records what has to be recorded, and goes on with the message.
    pub async fn settle(self: &Rc<Self>, key: MessageKey, recipients: Vec<Recipient>, report: Report) {
        let trace = self.trace_flags(key);
        let count = recipients.len();
        let mut sorted = Sorted::default();
        for (recipient, outcome) in recipients.iter().zip(report.outcomes) {
            sorted.add(recipient, outcome, trace);
        }
        self.write_down(key, sorted).await;
        self.done_with(key, count);
        Rc::clone(self).continue_message(key).await;
    }

    /// Defers recipients that no agent has seen, with the line that an agent would have written.
    pub async fn defer_unseen(self: Rc<Self>, key: MessageKey, all: Vec<Recipient>, status: String, reason: String) {
        let count = all.len();
        let mut sorted = Sorted { is_deferred: true, ..Sorted::default() };
        for recipient in &all {
            self.log_deferral(key, recipient, &status, &reason);
            sorted.deferred.push(Record {
                recipient: ipc_recipient(recipient),
                status: status.clone(),
                action: "delayed".to_owned(),
                diagnostic: Default::default(),
                remote_mta: String::new(),
                reason: reason.clone(),
            });
        }
        self.write_down(key, sorted).await;
        self.done_with(key, count);
        self.continue_message(key).await;
    }

    async fn write_down(&self, key: MessageKey, sorted: Sorted) {
        let Sorted { bounced, deferred, traced, marks, mut is_deferred } = sorted;
        let mut incomplete = false;
        let (mut has_bounced, mut has_traced) = (false, false);
        if !bounced.is_empty() {
            if self.append(key, Log::Bounce, bounced).await {
                has_bounced = true;
                self.mark(key, &marks);
            } else {
                (is_deferred, incomplete) = (true, true);
            }
        }
        if !deferred.is_empty() {
            incomplete |= !self.append(key, Log::Defer, deferred).await;
        }
        if !traced.is_empty() {
            has_traced = self.append(key, Log::Trace, traced).await;
        }
        if let Some(message) = self.state.borrow_mut().messages.get_mut(&key) {
            message.deferred |= is_deferred;
            message.logged.bounce |= has_bounced;
            message.logged.trace |= has_traced;
            message.logged.incomplete |= incomplete;
        }
    }

    async fn append(&self, key: MessageKey, log: Log, records: Vec<Record>) -> bool {
        let queue_id = self.name_of(key);
        let request = Request::Append { log, queue_id: queue_id.clone(), records };
        self.ask_bounce(log, &request, &queue_id).await
    }

    /// Has bounce do something; false (logged) when it was not done.
    pub async fn ask_bounce(&self, log: Log, request: &Request, queue_id: &str) -> bool {
        let (pool, name) = self.log_service(log);
        for attempt in 1..=ATTEMPTS {
            match pool.call(request).await {
                Ok(Reply::Done) => return true,
                Ok(Reply::Failed(reason)) => {
                    logging::warning!("{queue_id}: {name} service failure: {reason}");
                    return false;
                }
                Err(error) => logging::warning!("{queue_id}: {name} service failure: {error}"),
            }
            if attempt < ATTEMPTS {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        false
    }

    fn log_service(&self, log: Log) -> (&Pool<Bounce>, &'static str) {
        match log {
            Log::Bounce => (&self.bounce, "bounce"),
            Log::Defer => (&self.defer, "defer"),
            Log::Trace => (&self.trace, "trace"),
        }
    }

    fn mark(&self, key: MessageKey, offsets: &[u64]) {
        let mut state = self.state.borrow_mut();
        let Some(message) = state.messages.get_mut(&key) else { return };
        let file = match message.open_file(&self.settings.spool) {
            Ok(file) => file,
            Err(error) => return logging::warning!("{}: mark recipient: {error}", message.id),
        };
        for offset in offsets {
            if let Err(error) = queue::mark::done(&file, *offset) {
                // Bounced again at the next attempt: twice is better than never.
                logging::warning!("{}: mark recipient: {error}", message.id);
            }
        }
    }

    fn done_with(&self, key: MessageKey, count: usize) {
        let mut state = self.state.borrow_mut();
        state.recipients = state.recipients.saturating_sub(count);
        if let Some(message) = state.messages.get_mut(&key) {
            message.pending = message.pending.saturating_sub(count);
        }
    }

    fn trace_flags(&self, key: MessageKey) -> u32 {
        let state = self.state.borrow();
        let Some(message) = state.messages.get(&key) else { return 0 };
        let trace = message.envelope.trace_flags.map_or(0, |marked| marked.value);
        let reported = message.envelope.warning_time.is_some_and(|time| time.value < 0);
        // confirm_delay_cleared: who was told of a delay is told of its end.
        if reported && self.settings.confirm_delay_cleared { trace | flags::RECORD } else { trace }
    }

    fn log_deferral(&self, key: MessageKey, recipient: &Recipient, status: &str, reason: &str) {
        let state = self.state.borrow();
        let Some(message) = state.messages.get(&key) else { return };
        let shown = |address: &[u8]| self.shown(address);
        let differs = !recipient.original.is_empty() && !recipient.original.eq_ignore_ascii_case(&recipient.address);
        let (seconds, micros) = message.envelope.arrival;
        logging::emit(&StatusLine {
            queue_id: message.id.to_string(),
            to: shown(&recipient.address),
            original: differs.then(|| shown(&recipient.original)),
            relay: "none".to_owned(),
            connection_uses: 1,
            stages: Stages {
                arrival: Timestamp { seconds, micros },
                active: message.since,
                handoff: None,
                ready: None,
                done: Timestamp::now(),
            },
            delay_decimals: self.settings.log.delay_decimals,
            tls: None,
            dsn: status.to_owned(),
            status: "deferred",
            reason: reason.to_owned(),
        });
    }

    /// An address as log lines show it (info_log_address_format).
    pub fn shown(&self, address: &[u8]) -> String {
        if self.settings.log.external_addresses {
            text::printable(&address::quote(address))
        } else {
            text::printable(address)
        }
    }
}

impl Sorted {
    fn add(&mut self, recipient: &Recipient, outcome: Outcome, trace: u32) {
        let verdict = outcome.verdict;
        if trace & (flags::VERIFY | flags::USER_VERIFY) != 0 {
            // A probe: the result is the report, whatever it is.
            let action = match outcome.action.as_str() {
                "" if verdict == Verdict::Sent => "deliverable",
                "" => "undeliverable",
                action => action,
            }
            .to_owned();
            self.traced.extend(records(recipient, outcome, &action));
            return;
        }
        if trace & flags::RECORD != 0 {
            // `sendmail -v` reports failures and delays as well, beside what becomes of them.
            match verdict {
                Verdict::Sent => {}
                Verdict::Deferred => self.traced.extend(records(recipient, outcome.clone(), "delayed")),
                Verdict::Bounced => self.traced.extend(records(recipient, outcome.clone(), "failed")),
            }
        }
        match verdict {
            Verdict::Sent => {
                if trace & flags::RECORD != 0 || recipient.notify & NOTIFY_SUCCESS != 0 {
                    let action = outcome.action.clone();
                    let action = if action.is_empty() { "relayed" } else { &action };
                    self.traced.extend(records(recipient, outcome, action));
                }
            }
            Verdict::Deferred => {
                self.is_deferred = true;
                self.deferred.extend(records(recipient, outcome, "delayed"));
            }
            Verdict::Bounced => {
                if recipient.offset > 0 {
                    self.marks.push(recipient.offset);
                }
                self.bounced.extend(records(recipient, outcome, "failed"));
            }
        }
    }
}

/// The records of a recipient: of itself, or of the addresses that an alias made of it.
fn records(recipient: &Recipient, outcome: Outcome, action: &str) -> Vec<Record> {
    if !outcome.expanded.is_empty() {
        return outcome.expanded;
    }
    vec![Record {
        recipient: ipc_recipient(recipient),
        status: outcome.status,
        action: action.to_owned(),
        diagnostic: outcome.diagnostic,
        remote_mta: outcome.remote_mta,
        reason: outcome.reason,
    }]
}
