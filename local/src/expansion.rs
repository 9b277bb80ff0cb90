//! One recipient, and everything that aliases and .forward files make of it.
//!
//! The expansion is a stack of tasks: a recipient to be looked up, or a destination to be delivered to. Each address
//! and each destination is served once ([`Expansion::is_new`]), and depth is bounded, so that it ends whatever the
//! lists say. Each result is logged when it is known; the outcome of the whole is what qmgr hears.

use std::collections::HashSet;
use std::rc::Rc;

use delivery::deposit::Trouble;
use delivery::destination::{Destination, List, MAX_DESTINATIONS};
use delivery::{Finding, Job, Outcome, Recipient as Target, Verdict};
use dsn::Action;
use ipc::bounce::Record;
use ipc::rewrite::Context;
use lookup::settled;
use queue::Trace;

use crate::place::{Place, Recipient, Rights, Via};
use crate::resubmit::{Outgoing, ResubmitError, resubmit};
use crate::service::Local;
use crate::settings::Sources;
use crate::verdict;

/// Steps from a recipient to the destinations of its aliases' aliases.
/// told: the sender, by a notification.
const MAX_DEPTH: usize = 100;

/// The expansion of one recipient.
pub struct Expansion<'a> {
    pub(crate) agent: &'a Local,
    pub(crate) job: &'a Job,
    /// The recipient of the request.
    pub(crate) target: &'a Target,
    /// Addresses that the message was delivered to before.
    passed: &'a HashSet<Vec<u8>>,
    work: Vec<Task>,
    seen: HashSet<Vec<u8>>,
    findings: Vec<(Vec<u8>, Outcome)>,
    /// The sender wants to hear of a delivery, and this is all that he hears: the recipient stands for others.
    expanded: Option<Action>,
    outgoing: Vec<Outgoing>,
    /// Whom the message was sent to, as far as the present task may tell.
    original: &'a [u8],
}

/// Something to do.
pub(crate) enum Task {
    /// Find out what a recipient stands for.
    Recipient(Rc<Place>, Recipient),
    /// Deliver to a user whose own .forward names him: aliases have had their say.
    User(Rc<Place>, Recipient),
    /// Deliver to what a list names.
    Destination(Rc<Place>, Destination),
}

impl<'a> Expansion<'a> {
    /// The expansion of the recipient `index` of a job. An index out of range expands to nothing.
    pub fn new(agent: &'a Local, job: &'a Job, index: usize, passed: &'a HashSet<Vec<u8>>) -> Self {
        let target = &job.request().recipients[index];
        let recipient = Recipient::parse(&target.address, &agent.settings.delimiters, agent.settings.utf8);
        let place = Place {
            via: Via::Request,
            rights: Rights::Default,
            depth: 0,
            includes: 0,
            sender: job.request().message.sender.as_slice().into(),
            owned: false,
            by_message: false,
            aliases: Vec::new(),
            parent: None,
            delivered_to: recipient.address.as_slice().into(),
            unmatched: Vec::new(),
            recipient: Rc::new(recipient.clone()),
        };
        let work = vec![Task::Recipient(Rc::new(place), recipient)];
        let (seen, findings, outgoing) = (HashSet::new(), Vec::new(), Vec::new());
        Expansion {
            agent,
            job,
            target,
            passed,
            work,
            seen,
            findings,
            expanded: None,
            outgoing,
            original: &target.original,
        }
    }

    /// Delivers to all of it.
    pub async fn run(mut self) -> Outcome {
        while let Some(task) = self.work.pop() {
            let (Task::Recipient(place, _) | Task::User(place, _) | Task::Destination(place, _)) = &task;
            self.original = place.original(self.target);
            match task {
                Task::Recipient(place, recipient) => self.recipient(place, recipient).await,
                Task::User(place, recipient) => self.user(place, recipient).await,
                Task::Destination(place, destination) => self.destination(&place, destination).await,
            }
        }
        self.original = &self.target.original;
        self.send_on().await;
        self.outcome()
    }

    async fn recipient(&mut self, place: Rc<Place>, recipient: Recipient) {
        let address = recipient.address.clone();
        if recipient.cut {
            let shown = text::printable(address::split(&address).0);
            logging::warning!(id: self.job.request().message.queue_id, "address with illegal extension: {shown}");
        }
        if place.depth > MAX_DEPTH {
            return self.finish(&address, &verdict::bounced(4, 6, "recipient nesting limit exceeded"));
        }
        let keys = alias_keys(&recipient);
        // An address in its own alias is the user, and has been met as the alias before.
        let own = place.parent.as_ref().is_some_and(|parent| keys.contains(parent));
        if !own && let Some(name) = keys.iter().find(|key| place.aliases.contains(key)) {
            let name = text::printable(name);
            logging::warning!("alias database loop for {name}");
            return self.finish(&address, &verdict::bounced(4, 6, format!("alias database loop for {name}")));
        }
        let kind: &[u8] = if own { b"user " } else { b"to " };
        if !self.is_new(kind, &self.job.folded(&address)) {
            // luser_relay that names the one whom it relays for: as if there were none.
            if place.via == Via::Relay && self.job.folded(&place.recipient.address) == self.job.folded(&address) {
                self.finish(&address, &verdict::unknown(&recipient.name));
            }
            return;
        }
        if recipient.name.is_empty() {
            let reason = format!("null username in \"{}\"", self.job.shown(&address));
            return self.finish(&address, &verdict::bounced(1, 3, reason));
        }
        if self.passed.contains(&self.job.folded(&address)) {
            let reason = format!("mail forwarding loop for {}", self.job.shown(&address));
            return self.finish(&address, &verdict::bounced(4, 6, reason));
        }
        if !own && !recipient.mailbox_only && self.alias(&place, &recipient, &keys).await {
            return;
        }
        if place.by_message && !recipient.mailbox_only {
            return self.send_later(&place, address);
        }
        self.user(place, recipient).await;
    }

    /// Serves a recipient that is an alias; false where it is none.
    async fn alias(&mut self, place: &Rc<Place>, recipient: &Recipient, keys: &[Vec<u8>]) -> bool {
        for key in keys {
            match settled(|| self.agent.aliases.find(key)).await {
                Ok(None) => {}
                Ok(Some((list, rights))) => {
                    self.expand_alias(place, recipient, key, &list, rights).await;
                    return true;
                }
                Err(error) => {
                    logging::warning!(id: self.job.request().message.queue_id, "{error}");
                    self.finish(&recipient.address, &verdict::deferred(3, 0, "alias database unavailable"));
                    return true;
                }
            }
        }
        false
    }

    async fn expand_alias(
        &mut self,
        place: &Rc<Place>,
        recipient: &Recipient,
        key: &[u8],
        list: &List,
        rights: Rights,
    ) {
        let Ok(destinations) = list.parse() else { return self.too_many(&recipient.address, key) };
        if destinations.is_empty() {
            logging::warning!("no recipient in alias lookup result for {}", text::printable(key));
            return self.finish(&recipient.address, &verdict::deferred(3, 0, "alias database unavailable"));
        }
        // A probe of an address is done where it turns out to stand for others.
        if self.job.request().trace.has(Trace::VERIFY) {
            let others = text::printable(list.text());
            return self.finish(&recipient.address, &verdict::sent(format!("aliased to {others}")));
        }
        let (sender, owned) = match self.owner_of(place, key).await {
            Ok(found) => found,
            Err(finding) => return self.finish(&recipient.address, &finding),
        };
        // RFC 3461 5.2.7.3: what a list delivers concerns its owner from here on.
        self.stands_for_others(if owned { Action::Delivered } else { Action::Expanded });
        let aliases = [place.aliases.as_slice(), &[key.to_vec()]].concat();
        let unmatched = if key == recipient.name { self.unmatched(recipient, |by| by.alias) } else { Vec::new() };
        let inner = Place {
            via: Via::Alias,
            recipient: Rc::new(recipient.clone()),
            rights,
            depth: place.depth + 1,
            sender,
            owned,
            by_message: owned || place.by_message && (!place.owned || !self.agent.settings.reset_owner),
            aliases,
            parent: Some(key.to_vec()),
            delivered_to: self.delivered_to(place, recipient),
            unmatched,
            ..(**place).clone()
        };
        self.push(Rc::new(inner), destinations);
    }

    /// The envelope sender below an alias: its `owner-` alias, where there is one.
    async fn owner_of(&self, place: &Place, key: &[u8]) -> Result<(Rc<[u8]>, bool), Finding> {
        let settings = &self.agent.settings;
        let kept = (Rc::clone(&place.sender), place.owned && !settings.reset_owner);
        // owner_request_special
        if !settings.owner_aliases || key.starts_with(b"owner-") {
            return Ok(kept);
        }
        let name = [b"owner-", key].concat();
        let found = settled(|| self.agent.aliases.find(&name)).await;
        let Some((list, _)) = found.map_err(|_| verdict::deferred(3, 0, "alias database unavailable"))? else {
            return Ok(kept);
        };
        // expand_owner_alias
        let owner = match list.parse().ok().and_then(|found| found.into_iter().next()) {
            Some(Destination::Address(address)) if settings.expand_owner => address,
            _ => name,
        };
        let owner = self.agent.rewriter.rewrite(Context::Local, &owner).await;
        let owner = owner.map_err(|error| self.resolver_failure(&error))?;
        Ok((owner.into(), true))
    }

    /// Notes that the recipient is an alias, or has a list of addresses: the sender hears of that, and not of each
    /// delivery (RFC 3461 5.2.7).
    pub(crate) fn stands_for_others(&mut self, action: Action) {
        if self.expanded.is_none() && self.target.notify.wants_success() {
            self.expanded = Some(action);
        }
    }

    /// A list that names more destinations than are served.
    pub(crate) fn too_many(&mut self, address: &[u8], list: &[u8]) {
        logging::warning!("{} names more than {MAX_DESTINATIONS} destinations", text::printable(list));
        self.finish(address, &verdict::deferred(3, 5, "mail system configuration error"));
    }

    /// Puts the destinations of a list on the stack, the first on top.
    pub(crate) fn push(&mut self, place: Rc<Place>, destinations: Vec<Destination>) {
        let tasks = destinations.into_iter().rev().map(|d| Task::Destination(Rc::clone(&place), d));
        self.work.extend(tasks);
    }

    /// Puts a user on the stack, who is looked for in no alias.
    pub(crate) fn push_user(&mut self, place: Rc<Place>, recipient: Recipient) {
        self.work.push(Task::User(place, recipient));
    }

    /// Puts a recipient on the stack.
    pub(crate) fn push_recipient(&mut self, place: Rc<Place>, recipient: Recipient) {
        self.work.push(Task::Recipient(place, recipient));
    }

    /// The extension of a recipient, where a kind of list passes on what it has not used.
    pub(crate) fn unmatched(&self, recipient: &Recipient, by: impl Fn(&Sources) -> bool) -> Vec<u8> {
        // propagate_unmatched_extensions
        if by(&self.agent.settings.propagates) {
            [recipient.delimiter.as_slice(), &recipient.extension].concat()
        } else {
            Vec::new()
        }
    }

    /// The Delivered-To: address below a recipient.
    pub(crate) fn delivered_to(&self, place: &Place, recipient: &Recipient) -> Rc<[u8]> {
        // frozen_delivered_to
        if self.agent.settings.frozen_delivered_to {
            Rc::clone(&place.delivered_to)
        } else {
            recipient.address.as_slice().into()
        }
    }

    /// Whether this has not been served yet; when too much is remembered, things may be served twice.
    pub(crate) fn is_new(&mut self, kind: &[u8], what: &[u8]) -> bool {
        let key = [kind, what].concat();
        let limit = self.agent.settings.duplicate_limit;
        if limit > 0 && self.seen.len() >= limit {
            return !self.seen.contains(&key);
        }
        self.seen.insert(key)
    }

    /// An address that is to be reached by a new message.
    pub(crate) fn send_later(&mut self, place: &Place, address: Vec<u8>) {
        if self.job.is_probe() {
            let reason = format!("forwards to {}", self.job.shown(&address));
            return self.finish(&address, &verdict::sent(reason));
        }
        // prepend_delivered_header: forward
        let delivered_to =
            if self.agent.settings.delivered_to.forward { place.delivered_to.to_vec() } else { Vec::new() };
        let same = |o: &&mut Outgoing| o.sender[..] == place.sender[..] && o.delivered_to == delivered_to;
        match self.outgoing.iter_mut().find(same) {
            Some(outgoing) => outgoing.addresses.push(address),
            None => self.outgoing.push(Outgoing {
                sender: place.sender.to_vec(),
                owned: place.owned,
                delivered_to,
                addresses: vec![address],
            }),
        }
    }

    /// Sends the message on, once all else is done: with something left to try again, the next attempt sends it.
    async fn send_on(&mut self) {
        if self.findings.iter().any(|(_, outcome)| outcome.verdict == Verdict::Deferred) {
            return;
        }
        for outgoing in std::mem::take(&mut self.outgoing) {
            let agent = self.agent;
            let notify = match self.expanded {
                Some(_) => self.target.notify.without_success(),
                None => self.target.notify,
            };
            let target = Target { notify, ..self.target.clone() };
            let sent = resubmit(self.job, &target, &outgoing, &agent.cleanup, &agent.settings).await;
            let finding = match sent {
                Ok(queue_id) => verdict::sent(format!("forwarded as {queue_id}")).with_action(dsn::Action::Relayed),
                Err(ResubmitError::Damaged(error)) => {
                    self.job.mark_damaged(&error);
                    verdict::deferred(3, 0, "queue file is damaged")
                }
                Err(ResubmitError::Submit(error)) => {
                    logging::warning!(id: self.job.request().message.queue_id, "forward message: {error}");
                    verdict::deferred(3, 0, "unable to forward message")
                }
            };
            let address = self.target.address.clone();
            self.finish(&address, &finding);
        }
    }

    /// Logs a result, and keeps it for the outcome.
    pub(crate) fn finish(&mut self, address: &[u8], finding: &Finding) {
        let finding = &self.job.filtered(finding);
        self.job.log(address, self.original, finding);
        self.findings.push((address.to_vec(), self.job.outcome(finding)));
    }

    /// Keeps the result of another agent, which has logged it.
    pub(crate) fn keep(&mut self, address: &[u8], outcome: Outcome) {
        self.findings.push((address.to_vec(), outcome));
    }

    /// A delivery whose result is not known.
    pub(crate) fn trouble(&mut self, address: &[u8], trouble: &Trouble) {
        let finding = match trouble {
            Trouble::UnknownUser => {
                logging::warning!("cannot find alias database owner for {}", self.job.shown(address));
                verdict::deferred(3, 0, "cannot find alias database owner")
            }
            Trouble::NoAnswer { who, why } => {
                logging::warning!("error looking up passwd info for {who}: {why}");
                verdict::deferred(0, 0, "user lookup error")
            }
            Trouble::Carrier(why) => {
                logging::warning!(id: self.job.request().message.queue_id, "{why}");
                verdict::deferred(3, 0, "temporary failure")
            }
            Trouble::Damaged(error) => {
                self.job.mark_damaged(error);
                verdict::deferred(3, 0, "queue file is damaged")
            }
        };
        self.finish(address, &finding);
    }

    /// trivial-rewrite does not answer.
    pub(crate) fn resolver_failure(&self, error: &ipc::IpcError) -> Finding {
        logging::warning!(id: self.job.request().message.queue_id, "rewrite service: {error}");
        verdict::deferred(3, 0, "address resolver failure")
    }

    /// What became of the recipient: deferred if any of it was, else failed if any of it has.
    fn outcome(self) -> Outcome {
        let worst = |verdict| self.findings.iter().find(|(_, outcome)| outcome.verdict == verdict);
        let decisive = worst(Verdict::Deferred).or_else(|| worst(Verdict::Bounced)).or(self.findings.first());
        let Some((_, decisive)) = decisive else {
            // It leads to nothing but itself, by a way that no other check has seen.
            let reason = format!("mail forwarding loop for {}", self.job.shown(&self.target.address));
            let finding = verdict::bounced(4, 6, reason);
            self.job.log(&self.target.address, &self.target.original, &finding);
            return self.job.outcome(&finding);
        };
        let mut outcome = match self.expanded {
            Some(action) if decisive.verdict == Verdict::Sent => {
                self.job.outcome(&verdict::sent("alias expanded").with_action(action))
            }
            _ => decisive.clone(),
        };
        let itself = self.findings.len() == 1 && self.findings[0].0 == self.target.address;
        if !itself {
            let reported = self.findings.iter().filter(|(_, o)| o.verdict != Verdict::Sent || self.job.is_probe());
            outcome.expanded = reported.map(|(address, o)| record(self.target, address, o)).collect();
        }
        outcome
    }
}

/// The names that an address can have in alias_maps: with its extension, and without.
fn alias_keys(recipient: &Recipient) -> Vec<Vec<u8>> {
    let mut keys = vec![recipient.local.clone()];
    if recipient.local != recipient.name {
        keys.push(recipient.name.clone());
    }
    keys
}

/// The record of one address that a recipient leads to.
fn record(target: &Target, address: &[u8], outcome: &Outcome) -> Record {
    let action = match outcome.verdict {
        Verdict::Bounced => Action::Failed,
        Verdict::Deferred => Action::Delayed,
        Verdict::Sent => outcome.action.unwrap_or(Action::Delivered),
    };
    Record {
        recipient: Target { address: address.to_vec(), ..target.clone() },
        status: outcome.status,
        action,
        diagnostic: outcome.diagnostic.clone(),
        remote_mta: outcome.remote_mta.clone(),
        reason: outcome.reason.clone(),
    }
}
