//! From recipients to entries of the scheduler: each goes to its transport, or, when that does not work at the moment,
//! to the `retry` transport, which defers it and says why. Only when `retry` itself does not work, recipients are
//! deferred here.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use queue::Recipient;

use crate::lane::{LaneId, Returned};
use crate::route::{RETRY, Route};
use crate::scheduler::{HostFailure, MessageKey};
use crate::service::Qmgr;

/// Where some recipients of one message go together.
type Group = (Vec<u8>, Vec<u8>);

impl Qmgr {
    /// Finds the way of recipients that were just read, and puts them before the scheduler.
    pub async fn assign(self: Rc<Self>, key: MessageKey, recipients: Vec<Recipient>) {
        let mut groups: BTreeMap<Group, Vec<Recipient>> = BTreeMap::new();
        for recipient in recipients {
            match self.route(key, recipient).await {
                Route::To { transport, nexthop, recipient } => {
                    groups.entry((transport, nexthop)).or_default().push(recipient);
                }
                Route::Done => {
                    if let Some(message) = self.state.borrow_mut().messages.get_mut(&key) {
                        message.pending -= 1;
                    }
                    self.state.borrow_mut().recipients -= 1;
                }
            }
        }
        for ((transport, nexthop), recipients) in groups {
            self.dispatch(key, &transport, &nexthop, recipients);
        }
        if let Some(message) = self.state.borrow_mut().messages.get_mut(&key) {
            message.reading = false;
        }
        self.note_unread(key);
        self.state.borrow_mut().resolving -= 1;
        self.turn();
        Rc::clone(&self).continue_message(key).await;
    }

    /// Gives recipients to a transport, or around it when it or the destination is dead.
    fn dispatch(self: &Rc<Self>, key: MessageKey, transport: &[u8], nexthop: &[u8], recipients: Vec<Recipient>) {
        let lane = self.lane(transport);
        for (destination, recipients) in self.by_destination(lane, nexthop, recipients) {
            let obstacle = self.state.borrow().lanes[lane].transport.obstacle(&destination).cloned();
            match obstacle {
                None => self.enqueue(lane, key, destination, nexthop, recipients),
                Some(why) => {
                    let dead = self.state.borrow().lanes[lane].transport.is_dead();
                    let returned = vec![Returned { message: key, recipients }];
                    self.reroute(returned, &why, dead.then_some(lane));
                }
            }
        }
    }

    /// Recipients by the scheduler's destination; all in one unless the transport takes one recipient at a time.
    fn by_destination(&self, lane: LaneId, nexthop: &[u8], all: Vec<Recipient>) -> BTreeMap<Vec<u8>, Vec<Recipient>> {
        let state = self.state.borrow();
        let transport = &state.lanes[lane].transport;
        let mut found: BTreeMap<Vec<u8>, Vec<Recipient>> = BTreeMap::new();
        if transport.limits.recipients != 1 {
            found.insert(transport.destination_key(nexthop, b""), all);
            return found;
        }
        for recipient in all {
            let local = address::split(&recipient.address).0;
            let base = self.settings.delimiters.split(local).0;
            found.entry(transport.destination_key(nexthop, base)).or_default().push(recipient);
        }
        found
    }

    fn enqueue(&self, lane: LaneId, key: MessageKey, destination: Vec<u8>, nexthop: &[u8], recipients: Vec<Recipient>) {
        let now = Instant::now();
        let mut state = self.state.borrow_mut();
        let alone = state.messages.get(&key).is_some_and(|message| message.envelope.verp.is_some());
        let transport = &mut state.lanes[lane].transport;
        let name = destination.clone();
        if alone {
            // Each recipient has a sender of its own.
            transport.assign_at_most(1, key, destination, nexthop, recipients, now);
        } else {
            transport.assign(key, destination, nexthop, recipients, now);
        }
        if self.settings.clog_warn_time.is_zero() {
            return; // qmgr_clog_warn_time
        }
        let limit = self.settings.active_limit / 5;
        if let Some(entries) = transport.clogged(&name, limit, self.settings.clog_warn_time, now) {
            let transport = text::printable(&transport.name);
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
        let nexthop = [why.status.to_string().as_bytes(), b" ", &text].concat();
        let retry = self.lane(RETRY.as_bytes());
        let retry_works = dead != Some(retry) && !self.state.borrow().lanes[retry].transport.is_dead();
        for Returned { message, recipients } in returned {
            if retry_works {
                let destination = self.state.borrow().lanes[retry].transport.destination_key(&nexthop, b"");
                self.enqueue(retry, message, destination, &nexthop, recipients);
            } else {
                let reason = text::printable(&text);
                tokio::task::spawn_local(Rc::clone(self).defer_unseen(message, recipients, why.status, reason));
            }
        }
        self.wake.notify_one();
    }

    /// Tells the scheduler how much of the message is still in its file.
    pub fn note_unread(&self, key: MessageKey) {
        let mut state = self.state.borrow_mut();
        let Some(unread) = state.messages.get(&key).map(|message| message.unread()) else { return };
        for lane in state.lanes.iter_mut() {
            lane.transport.set_unread(key, unread);
        }
    }
}
