//! One delivery request in work.

use std::collections::HashSet;
use std::fs::File;
use std::rc::Rc;

use dsn::{Action, Status};
use ipc::delivery::{Outcome, Problem, Report, Request, Timestamp, Verdict};
use logging::records;
use lookup::fold;
use queue::{Content, EnvelopeError, Recipient, Trace, mark};

use crate::{Finding, Settings, Stages, content};

/// A request, its queue file, and what is known of each recipient so far.
pub struct Job {
    request: Request,
    file: Rc<File>,
    settings: Rc<Settings>,
    outcomes: Vec<Option<Outcome>>,
    host_problem: Option<Problem>,
}

impl Job {
    /// A job for a request and the descriptor that came with it.
    pub fn new(request: Request, file: impl Into<Rc<File>>, settings: Rc<Settings>) -> Self {
        let outcomes = vec![None; request.recipients.len()];
        Job { request, file: file.into(), settings, outcomes, host_problem: None }
    }

    /// What is to be delivered.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The queue file. The queue manager's lock belongs to the open file, so that it lasts as long as this job,
    /// whatever becomes of the queue manager.
    pub fn file(&self) -> &Rc<File> {
        &self.file
    }

    /// The message, line by line, from its start.
    pub fn content(&self) -> Content<&File> {
        Content::new(&*self.file, self.request.data_offset)
    }

    /// Whether this is an address probe: find out, deliver nothing (verify, `sendmail -bv`).
    pub fn is_probe(&self) -> bool {
        self.request.trace.is_probe()
    }

    /// The recipients without an outcome, by index.
    pub fn open_recipients(&self) -> Vec<usize> {
        self.outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_none()).map(|(index, _)| index).collect()
    }

    /// What became of the recipient with this index: marks it, logs it, and keeps it for the report. The first finding
    /// about a recipient counts; an index out of range is ignored.
    pub fn finish(&mut self, index: usize, finding: &Finding) {
        let Some(recipient) = self.request.recipients.get(index) else { return };
        if self.outcomes[index].is_some() {
            return;
        }
        let finding = &self.filtered(finding);
        let outcome = self.outcome(finding);
        if finding.verdict == Verdict::Sent {
            self.mark(recipient);
        }
        self.log(&recipient.address, &recipient.original, finding);
        self.outcomes[index] = Some(outcome);
    }

    /// Notes that the queue file cannot be understood: qmgr sets a file with this mode aside.
    pub fn mark_damaged(&self, why: &dyn std::fmt::Display) {
        logging::warning!(id: self.request.message.queue_id, "damaged queue file: {why}");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        if let Err(error) = self.file.set_permissions(mode) {
            let error = text::system_error(&error);
            logging::warning!(id: self.request.message.queue_id, "cannot mark the queue file as damaged: {error}");
        }
    }

    /// The same finding for every recipient that has none yet.
    pub fn finish_rest(&mut self, finding: &Finding) {
        for index in self.open_recipients() {
            self.finish(index, finding);
        }
    }

    /// For an agent that logged the deliveries itself, because it expanded the recipient: marks it where the outcome is
    /// a delivery, and keeps the outcome.
    pub fn settle(&mut self, index: usize, outcome: Outcome) {
        let Some(recipient) = self.request.recipients.get(index) else { return };
        if self.outcomes[index].is_none() {
            if outcome.verdict == Verdict::Sent {
                self.mark(recipient);
            }
            self.outcomes[index] = Some(outcome);
        }
    }

    /// A problem of the nexthop as a whole: qmgr stops trying it for a while.
    pub fn blame_host(&mut self, status: Status, reason: &str) {
        self.host_problem = Some(Problem { status, reason: ipc::cut(reason.to_owned()) });
    }

    /// The finding that counts: what the table of results makes of it.
    pub fn filtered(&self, finding: &Finding) -> Finding {
        self.settings.filter.applied(finding).unwrap_or_else(|| finding.clone())
    }

    /// The address without case, to compare it with others.
    pub fn folded(&self, address: &[u8]) -> Vec<u8> {
        fold::fold(address, self.settings.utf8)
    }

    /// The addresses that Delivered-To: lines of the message's header name, [folded](Self::folded).
    ///
    /// # Errors
    /// The queue file is damaged.
    pub fn delivered_to(&self) -> Result<HashSet<Vec<u8>>, EnvelopeError> {
        content::delivered_to(self.content(), |address| self.folded(address))
    }

    /// Logs the status line of one delivery.
    pub fn log(&self, address: &[u8], original: &[u8], finding: &Finding) {
        let differs = !original.is_empty() && !fold::same(original, address, self.settings.utf8);
        let stages = Stages {
            arrival: self.request.arrival,
            active: self.request.active,
            handoff: Some(self.request.handoff),
            ready: finding.connection.ready,
            done: Timestamp::now(),
        };
        logging::emit(&records::delivery::Status {
            queue_id: self.request.message.queue_id.as_str(),
            to: self.shown(address),
            original: differs.then(|| self.shown(original)),
            relay: &finding.relay,
            connection_uses: finding.connection.uses,
            delays: stages.delays(self.settings.delay_decimals),
            tls: finding.connection.tls.as_deref(),
            dsn: self.effective_status(finding).to_string(),
            status: self.status_word(finding),
            reason: &finding.reason,
        });
    }

    /// What the report says of a finding.
    pub fn outcome(&self, finding: &Finding) -> Outcome {
        let soft = self.is_softened(finding);
        let verdict = match finding.verdict {
            // The result of a probe is a report, not a failure of the probe.
            _ if self.is_probe() => Verdict::Sent,
            Verdict::Bounced if soft => Verdict::Deferred,
            verdict => verdict,
        };
        let action = match (self.is_probe(), finding.verdict) {
            (true, Verdict::Sent) => Some(Action::Deliverable),
            (true, _) => Some(Action::Undeliverable),
            (false, Verdict::Sent) => Some(finding.action.unwrap_or(Action::Delivered)),
            (false, _) => None,
        };
        // Success reports say which way a message went; verify is told the words alone.
        let is_reported = action.is_some() && !self.request.trace.has(Trace::VERIFY);
        let reason = match finding.relay.as_str() {
            relay if relay != "none" && is_reported => format!("delivery via {relay}: {}", finding.reason),
            _ => finding.reason.clone(),
        };
        Outcome {
            verdict,
            status: self.effective_status(finding),
            action,
            reason: ipc::cut(reason),
            diagnostic: finding.diagnostic.clone(),
            remote_mta: ipc::cut(finding.remote_mta.clone()),
            expanded: Vec::new(),
            following: 0,
        }
    }

    /// The report for qmgr. Recipients that the agent said nothing about are deferred.
    pub fn into_report(mut self) -> Report {
        let silence = Finding::deferred(Status::new(4, 3, 0), "the delivery agent gave no result", "none");
        self.finish_rest(&silence);
        Report { outcomes: self.outcomes.into_iter().flatten().collect(), host_problem: self.host_problem }
    }

    /// An address as log lines show it (info_log_address_format).
    pub fn shown(&self, address: &[u8]) -> String {
        self.settings.addresses.shown(address)
    }

    fn mark(&self, recipient: &Recipient) {
        if self.is_probe() || recipient.offset == 0 {
            return;
        }
        if let Err(error) = mark::done(&self.file, recipient.offset) {
            // The recipient may get the message twice; the delivery itself has happened.
            let error = text::system_error(&error);
            logging::warning!(id: self.request.message.queue_id, "cannot mark a recipient as done: {error}");
        }
    }

    fn is_softened(&self, finding: &Finding) -> bool {
        // soft_bounce
        self.settings.soft_bounce && finding.verdict == Verdict::Bounced && !self.is_probe()
    }

    fn effective_status(&self, finding: &Finding) -> Status {
        if self.is_softened(finding) { finding.status.with_class(4) } else { finding.status }
    }

    fn status_word(&self, finding: &Finding) -> &'static str {
        match (self.is_probe(), finding.verdict) {
            (true, Verdict::Sent) => "deliverable",
            (true, _) if self.request.trace.has(Trace::VERIFY) && !self.settings.remembers_failures => {
                "undeliverable-but-not-cached"
            }
            (true, _) => "undeliverable",
            (false, Verdict::Sent) => "sent",
            (false, Verdict::Deferred) => "deferred",
            (false, Verdict::Bounced) if self.is_softened(finding) => "SOFTBOUNCE",
            (false, Verdict::Bounced) => "bounced",
        }
    }
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
