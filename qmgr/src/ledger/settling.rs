//! What agents report about recipients goes into the logs of the message: bounce, defer, trace.
//!
//! A recipient that failed is marked done only when the record of its failure is safe; when it cannot be recorded, it
//! stays and is tried again.

use delivery::Stages;
use dsn::{Action, Status};
use ipc::IpcError;
use ipc::bounce::{Log, Record};
use ipc::delivery::{Outcome, Piece, Timestamp, Verdict};
use logging::records;
use queue::{Recipient, Trace};

use super::Ledger;
use super::logs::Deferral;
use crate::active::Active;
use crate::scheduler::MessageKey;

/// Records that are gathered before they are written down.
const MUCH: usize = ipc::bounds::MAX_ITEMS;

/// A report on its way into the logs.
pub struct Settling {
    key: MessageKey,
    trace: Trace,
    /// Whoever is reached is a report to the sender, who was told of a delay.
    confirms: bool,
    recipients: std::vec::IntoIter<Recipient>,
    /// The outcome whose records are not all here yet.
    expecting: Option<(Recipient, Outcome)>,
    sorted: Sorted,
    /// A failure could not be recorded: no recipient of this report is marked any more.
    unrecorded: bool,
}

/// The recipients of a report by what becomes of them.
#[derive(Default)]
struct Sorted {
    bounced: Vec<Record>,
    deferred: Vec<Record>,
    traced: Vec<Record>,
    /// What probes of the verify service have found out.
    verified: Vec<Record>,
    /// Offsets of the recipients that failed.
    marks: Vec<u64>,
    is_deferred: bool,
    /// Records are of other addresses than the recipient's.
    is_expanded: bool,
}

impl Settling {
    /// For recipients that no agent has seen.
    fn of_nobody(key: MessageKey) -> Self {
        let (recipients, sorted) = (Vec::new().into_iter(), Sorted::default());
        Self { key, trace: Trace::default(), confirms: false, recipients, expecting: None, sorted, unrecorded: false }
    }

    /// The message that it is about.
    pub fn message(&self) -> MessageKey {
        self.key
    }

    /// Takes a piece of the report.
    ///
    /// # Errors
    /// It is about other recipients.
    pub fn take(&mut self, piece: Piece) -> Result<(), IpcError> {
        match piece {
            Piece::Outcomes(chunk) => chunk.into_iter().try_for_each(|outcome| self.outcome(outcome)),
            Piece::Expanded(chunk) => self.records(chunk.into_iter().collect()),
            Piece::End(_) => Ok(()),
        }
    }

    /// Whether enough has gathered to be written down.
    pub fn is_much(&self) -> bool {
        self.sorted.bounced.len() + self.sorted.deferred.len() + self.sorted.traced.len() + self.sorted.verified.len()
            >= MUCH
    }

    /// Whether all of it is that recipients wait.
    fn is_deferral(&self) -> bool {
        let Sorted { bounced, deferred, traced, verified, marks, .. } = &self.sorted;
        let is_all = bounced.is_empty() && traced.is_empty() && verified.is_empty() && marks.is_empty();
        !deferred.is_empty() && is_all && !self.unrecorded
    }

    /// The report ends here.
    ///
    /// # Errors
    /// Something is missing.
    pub fn complete(&self) -> Result<(), IpcError> {
        if self.expecting.is_none() && self.recipients.len() == 0 { Ok(()) } else { Err(of_others()) }
    }

    /// The recipients that nothing was said about, or not everything.
    pub fn unsettled(&mut self) -> Vec<Recipient> {
        self.expecting.take().map(|(recipient, _)| recipient).into_iter().chain(&mut self.recipients).collect()
    }

    fn outcome(&mut self, outcome: Outcome) -> Result<(), IpcError> {
        if self.expecting.is_some() {
            return Err(of_others());
        }
        let recipient = self.recipients.next().ok_or_else(of_others)?;
        if outcome.following > 0 {
            self.expecting = Some((recipient, outcome));
        } else {
            let records = vec![record(&recipient, &outcome, self.trace)];
            self.sorted.add(&recipient, &outcome, records, (self.trace, self.confirms));
            self.sorted.end(&recipient, &outcome, self.trace);
        }
        Ok(())
    }

    fn records(&mut self, records: Vec<Record>) -> Result<(), IpcError> {
        let (recipient, mut outcome) = self.expecting.take().ok_or_else(of_others)?;
        let left = outcome.following.checked_sub(records.len() as u64).ok_or_else(of_others)?;
        self.sorted.is_expanded = true;
        self.sorted.add(&recipient, &outcome, records, (self.trace, self.confirms));
        if left == 0 {
            self.sorted.end(&recipient, &outcome, self.trace);
        } else {
            outcome.following = left;
            self.expecting = Some((recipient, outcome));
        }
        Ok(())
    }
}

fn of_others() -> IpcError {
    IpcError::Malformed("a report about other recipients".to_owned())
}

impl Ledger {
    /// The report about recipients of which nothing is known yet.
    pub fn settling(&self, key: MessageKey, recipients: Vec<Recipient>) -> Settling {
        Settling {
            key,
            trace: self.trace_flags(key),
            confirms: self.confirms(key),
            recipients: recipients.into_iter(),
            expecting: None,
            sorted: Sorted::default(),
            unrecorded: false,
        }
    }

    /// Defers recipients that no agent has seen, with the line that an agent would have written.
    pub async fn defer_unseen(&self, key: MessageKey, all: Vec<Recipient>, status: Status, reason: &str) {
        let mut settling = Settling::of_nobody(key);
        let trace = self.trace_flags(key);
        settling.sorted.is_deferred = !all.is_empty() && !trace.is_probe();
        for recipient in &all {
            let word = self.word_of_deferral(key);
            self.log_outcome(key, recipient, status, word, reason);
            let record = Record {
                recipient: recipient.clone(),
                status,
                action: if trace.is_probe() { Action::Undeliverable } else { Action::Delayed },
                diagnostic: None,
                remote_mta: String::new(),
                reason: ipc::cut(reason.to_owned()),
            };
            match trace.is_probe() {
                true => settling.sorted.found(vec![record], trace),
                false => settling.sorted.deferred.push(record),
            }
        }
        self.write_down(&mut settling).await;
        self.settle(key, all.len());
    }

    /// Records what has gathered, and marks the recipients whose failure is safe.
    pub async fn write_down(&self, settling: &mut Settling) {
        let sorted = std::mem::take(&mut settling.sorted);
        let key = settling.key;
        self.change(key, |message| sorted.list(message));
        let Sorted { bounced, deferred, traced, verified, marks, mut is_deferred, .. } = sorted;
        let mut incomplete = false;
        let (mut has_bounced, mut has_traced) = (false, false);
        if !bounced.is_empty() {
            has_bounced = self.append(key, Log::Bounce, bounced).await;
            settling.unrecorded |= !has_bounced;
        }
        if settling.unrecorded {
            (is_deferred, incomplete) = (true, true);
        } else {
            self.mark(key, &marks);
        }
        if !deferred.is_empty() {
            incomplete |= !self.append(key, Log::Defer, deferred).await;
        }
        if !traced.is_empty() {
            has_traced = self.append(key, Log::Trace, traced).await;
        }
        if let Some(queue_id) = self.look(key, |message| message.id.clone()) {
            for record in &verified {
                self.logs.tell(&queue_id, record).await;
            }
        }
        self.change(key, |message| {
            message.deferred |= is_deferred;
            message.logged.bounce |= has_bounced;
            message.logged.trace |= has_traced;
            message.logged.incomplete |= incomplete;
        });
    }

    /// Records many reports together, each as [`Ledger::write_down`] does.
    pub async fn write_down_all(&self, all: &mut [Settling]) {
        let mut deferrals = Vec::new();
        for settling in &mut *all {
            if settling.is_deferral() {
                self.change(settling.key, |message| settling.sorted.list(message));
                let records = std::mem::take(&mut settling.sorted.deferred);
                deferrals.extend(self.deferral(settling.key, records).map(|deferral| (settling.key, deferral)));
                settling.sorted = Sorted::default();
            } else {
                self.write_down(settling).await;
            }
        }
        let (keys, deferrals): (Vec<MessageKey>, Vec<Deferral>) = deferrals.into_iter().unzip();
        for (key, is_safe) in keys.into_iter().zip(self.logs.append_all(deferrals).await) {
            self.change(key, |message| {
                message.deferred = true;
                message.logged.former = false;
                message.logged.incomplete |= !is_safe;
            });
        }
    }

    fn deferral(&self, key: MessageKey, records: Vec<Record>) -> Option<Deferral> {
        self.look(key, |message| Deferral { queue_id: message.id.clone(), begin: message.logged.former, records })
    }

    async fn append(&self, key: MessageKey, log: Log, records: Vec<Record>) -> bool {
        let mut queue_id = None;
        self.change(key, |message| {
            queue_id = match message.forget_former(&self.settings.spool) {
                Err(error) if log == Log::Defer => {
                    logging::warning!(id: message.id, "empty defer log: {error}", error = text::system_error(&error));
                    None
                }
                _ => Some(message.id.clone()),
            };
        });
        let Some(queue_id) = queue_id else { return false };
        self.logs.append(log, &queue_id, records).await
    }

    fn mark(&self, key: MessageKey, offsets: &[u64]) {
        self.change(key, |message| {
            let file = match message.open_file(&self.settings.spool) {
                Ok(file) => file,
                Err(error) => {
                    let error = text::system_error(&error);
                    return logging::warning!(id: message.id, "mark recipient: {error}");
                }
            };
            for offset in offsets {
                if let Err(error) = queue::mark::done(&file, *offset) {
                    // Bounced again at the next attempt: twice is better than never.
                    logging::warning!(id: message.id, "mark recipient: {error}", error = text::system_error(&error));
                }
            }
        });
    }

    fn trace_flags(&self, key: MessageKey) -> Trace {
        let trace = self.look(key, |message| message.envelope.trace_flags.map(|marked| marked.value));
        trace.flatten().unwrap_or_default()
    }

    /// confirm_delay_cleared: who was told of a delay is told of its end.
    fn confirms(&self, key: MessageKey) -> bool {
        let is_told = |message: &Active| message.envelope.warning_time.is_some_and(|time| time.value < 0);
        self.settings.confirm_delay_cleared && self.look(key, is_told).unwrap_or_default()
    }

    fn word_of_deferral(&self, key: MessageKey) -> &'static str {
        match self.look(key, |message| (message.is_probe(), message.is_of_verify())) {
            Some((true, true)) if !self.settings.log.remembers_failures => "undeliverable-but-not-cached",
            Some((true, _)) => "undeliverable",
            _ => "deferred",
        }
    }

    /// The line about a recipient that an agent would have written.
    pub(super) fn log_outcome(
        &self,
        key: MessageKey,
        recipient: &Recipient,
        status: Status,
        word: &'static str,
        reason: &str,
    ) {
        let messages = self.messages.borrow();
        let Some(message) = messages.all.get(&key) else { return };
        let shown = |address: &[u8]| self.settings.log.addresses.shown(address);
        let differs = !recipient.original.is_empty() && !recipient.original.eq_ignore_ascii_case(&recipient.address);
        let (seconds, micros) = message.envelope.arrival;
        let stages = Stages {
            arrival: Timestamp { seconds, micros },
            active: message.since,
            handoff: None,
            ready: None,
            done: Timestamp::now(),
        };
        logging::emit(&records::delivery::Status {
            queue_id: message.id.as_str(),
            to: shown(&recipient.address),
            original: differs.then(|| shown(&recipient.original)),
            relay: "none",
            connection_uses: 1,
            delays: stages.delays(self.settings.log.delay_decimals),
            tls: None,
            dsn: status.to_string(),
            status: word,
            reason,
        });
    }
}

impl Sorted {
    /// What a list will have of the recipients.
    fn list(&self, message: &mut Active) {
        if self.is_expanded || !self.bounced.is_empty() {
            message.listed.give_up();
        } else {
            message.listed.add(&self.deferred);
        }
    }

    /// Takes records of a recipient: its own, or some of those of the addresses that an alias made of it.
    fn add(&mut self, recipient: &Recipient, outcome: &Outcome, records: Vec<Record>, told: (Trace, bool)) {
        let (trace, confirms) = told;
        if trace.is_probe() {
            return self.found(records, trace);
        }
        // `sendmail -v` reports failures and delays as well, beside what becomes of them.
        let recorded = trace.has(Trace::RECORD);
        // Without an action the next server has promised to report.
        let wanted = outcome.action.is_some() && recipient.notify.wants_success();
        let awaited = wanted || confirms && recipient.notify.wants_delay();
        if recorded || outcome.verdict == Verdict::Sent && awaited {
            self.traced.extend(records.iter().cloned());
        }
        match outcome.verdict {
            Verdict::Sent => {}
            Verdict::Deferred => self.deferred.extend(records),
            Verdict::Bounced => self.bounced.extend(records),
        }
    }

    /// The result of a probe is the report, whatever it is.
    fn found(&mut self, records: Vec<Record>, trace: Trace) {
        if trace.has(Trace::VERIFY) { self.verified.extend(records) } else { self.traced.extend(records) }
    }

    /// All records of a recipient were taken.
    fn end(&mut self, recipient: &Recipient, outcome: &Outcome, trace: Trace) {
        if trace.is_probe() {
            return;
        }
        self.is_deferred |= outcome.verdict == Verdict::Deferred;
        if outcome.verdict == Verdict::Bounced && recipient.offset > 0 {
            self.marks.push(recipient.offset);
        }
    }
}

/// The record of a recipient that is no alias.
fn record(recipient: &Recipient, outcome: &Outcome, trace: Trace) -> Record {
    let action = match (outcome.verdict, outcome.action) {
        (Verdict::Deferred, _) if !trace.is_probe() => Action::Delayed,
        (Verdict::Bounced, _) if !trace.is_probe() => Action::Failed,
        (_, Some(action)) => action,
        (Verdict::Sent, None) if trace.is_probe() => Action::Deliverable,
        (Verdict::Sent, None) => Action::Relayed,
        (_, None) => Action::Undeliverable,
    };
    Record {
        recipient: recipient.clone(),
        status: outcome.status,
        action,
        diagnostic: outcome.diagnostic.clone(),
        remote_mta: outcome.remote_mta.clone(),
        reason: outcome.reason.clone(),
    }
}
