//! From recipients to entries of the scheduler: each goes to its transport, or, when that does not work at the moment,
//! to the `retry` transport, which defers it and says why. Only when `retry` itself does not work, recipients are
//! deferred here.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use queue::Recipient;

use crate::active::Active;
use crate::deliveries::{Assignment, LaneId, Obstacle, Returned};
use crate::route::{RETRY, Route};
use crate::scheduler::{HostFailure, MessageKey};
use crate::service::Qmgr;
use crate::suspended::Suspension;

/// Recipients that trivial-rewrite is asked about together.
const AT_ONCE: usize = 200;

/// Where some recipients of one message go together.
type Group = (Vec<u8>, Vec<u8>);

/// The order in which agents see the recipients of a message: whoever gives them on has those of one domain together.
pub fn by_domain(address: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (_, domain) = address::split(address);
    (domain.unwrap_or_default().to_ascii_lowercase(), address.to_vec())
}

impl Qmgr {
    /// Finds the way of recipients that were just read, and puts them before the scheduler.
    pub async fn assign(self: Rc<Self>, key: MessageKey, mut recipients: Vec<Recipient>) {
        recipients.sort_by_cached_key(|recipient| by_domain(&recipient.address));
        let mut groups: BTreeMap<Group, Vec<Recipient>> = BTreeMap::new();
        let mut recipients = recipients.into_iter();
        while !recipients.as_slice().is_empty() {
            // told: nobody; the loop takes the rest.
            let next = recipients.as_slice().iter().take(AT_ONCE);
            self.resolve_ahead(key, next.map(|recipient| recipient.address.as_slice())).await;
            for recipient in recipients.by_ref().take(AT_ONCE) {
                match self.route(key, recipient).await {
                    Route::To { transport, nexthop, recipient } => {
                        groups.entry((transport, nexthop)).or_default().push(recipient);
                    }
                    Route::Done => {}
                }
            }
        }
        for ((transport, nexthop), recipients) in groups {
            self.dispatch(key, &transport, &nexthop, recipients);
        }
        self.ledger.routed(key);
        if let Some(unread) = self.ledger.look(key, Active::unread) {
            self.deliveries.set_unread(key, unread);
        }
        self.intake.resolved();
        self.turn();
        Rc::clone(&self).continue_message(key).await;
    }

    /// Gives recipients to a transport, or around it when it or the destination is dead.
    fn dispatch(self: &Rc<Self>, key: MessageKey, transport: &[u8], nexthop: &[u8], recipients: Vec<Recipient>) {
        let lane = self.deliveries.lane(transport);
        let found = self.deliveries.destinations(lane, nexthop, recipients, &self.settings.delimiters);
        for (destination, recipients) in found {
            match self.deliveries.obstacle(lane, &destination) {
                None => self.enqueue(lane, key, destination, nexthop, recipients),
                Some(Obstacle { why, is_transport }) => {
                    let returned = vec![Returned { message: key, recipients }];
                    self.reroute(returned, &why, is_transport.then_some(lane));
                }
            }
        }
    }

    /// Puts recipients before the scheduler.
    pub fn enqueue(
        &self,
        lane: LaneId,
        message: MessageKey,
        destination: Vec<u8>,
        nexthop: &[u8],
        recipients: Vec<Recipient>,
    ) {
        // With VERP each recipient has a sender of its own.
        let alone = self.ledger.look(message, |message| message.envelope.verp.is_some()).unwrap_or(false);
        let name = destination.clone();
        self.deliveries.add(lane, Assignment { message, destination, nexthop, recipients, alone }, Instant::now());
        if self.settings.clog_warn_time.is_zero() {
            return; // qmgr_clog_warn_time
        }
        let limit = self.settings.active_limit / 5;
        if let Some((entries, transport)) = self.deliveries.clogged(lane, &name, limit, self.settings.clog_warn_time) {
            self.warn_clogged(&text::printable(nexthop), entries, &transport);
        }
    }

    fn warn_clogged(&self, nexthop: &str, entries: usize, transport: &str) {
        let limit = self.settings.active_limit;
        logging::warning!("mail for {nexthop} is using up {entries} of {limit} active queue entries");
        logging::warning!("this may slow down other mail deliveries");
        logging::warning!("you may need to increase the main.cf {transport}_destination_concurrency_limit");
    }

    /// Recipients that cannot go where they should: the `retry` transport defers them. `dead`: the transport that does
    /// not work, if it is that and not a destination.
    pub fn reroute(self: &Rc<Self>, returned: Vec<Returned>, why: &HostFailure, dead: Option<LaneId>) {
        if returned.is_empty() {
            return;
        }
        let text = match dead {
            Some(_) => why.text.clone(),
            None => [b"delivery temporarily suspended: ", &why.text[..]].concat(),
        };
        let reason: Rc<[u8]> = [why.status.to_string().as_bytes(), b" ", &text].concat().into();
        let retry = self.deliveries.lane(RETRY.as_bytes());
        let retry_works = dead != Some(retry) && !self.deliveries.is_dead(retry);
        for Returned { message, recipients } in returned {
            if retry_works {
                self.suspend(Suspension { message, reason: Rc::clone(&reason), recipients });
            } else {
                let reason = text::printable(&text);
                tokio::task::spawn_local(Rc::clone(self).defer_unseen(message, recipients, why.status, reason));
            }
        }
        self.wake.notify_one();
    }
}
