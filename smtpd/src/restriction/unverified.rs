//! reject_unverified_sender, reject_unverified_recipient: mail can be delivered to an address, as far as probes have
//! found out. verify(8) knows what they have.

use std::time::Duration;

use config::param;
use dsn::Status;
use ipc::verify::{Knowledge, Standing};
use smtp_server::Rejection;

use crate::look_ups::LookUps;
use crate::restriction::{Class, Evaluation, Verdict};
use crate::settings::TempfailAction;

config::settings! {
    /// What main.cf says of both.
    #[derive(Clone, Debug)]
    pub struct Unverified {
        /// How often verify is asked about a probe that is under way.
        poll_count: u32 = param::ADDRESS_VERIFY_POLL_COUNT,
        /// And how long after the last time.
        poll_delay: Duration = param::ADDRESS_VERIFY_POLL_DELAY,
        sender_reject_code: u16 = param::UNVERIFIED_SENDER_REJECT_CODE,
        sender_defer_code: u16 = param::UNVERIFIED_SENDER_DEFER_CODE,
        sender_reason: String = param::UNVERIFIED_SENDER_REJECT_REASON,
        sender_action: TempfailAction = param::UNVERIFIED_SENDER_TEMPFAIL_ACTION => TempfailAction::named,
        recipient_reject_code: u16 = param::UNVERIFIED_RECIPIENT_REJECT_CODE,
        recipient_defer_code: u16 = param::UNVERIFIED_RECIPIENT_DEFER_CODE,
        recipient_reason: String = param::UNVERIFIED_RECIPIENT_REJECT_REASON,
        recipient_action: TempfailAction = param::UNVERIFIED_RECIPIENT_TEMPFAIL_ACTION => TempfailAction::named,
    }
}

/// What it says of one of the two.
struct Terms<'s> {
    reject_code: u16,
    defer_code: u16,
    /// What the client is told in place of what is known; empty: that.
    reason: &'s str,
    action: TempfailAction,
}

impl Unverified {
    fn terms(&self, class: Class) -> Terms<'_> {
        match class {
            Class::Sender => Terms {
                reject_code: self.sender_reject_code,
                defer_code: self.sender_defer_code,
                reason: &self.sender_reason,
                action: self.sender_action,
            },
            _ => Terms {
                reject_code: self.recipient_reject_code,
                defer_code: self.recipient_defer_code,
                reason: &self.recipient_reason,
                action: self.recipient_action,
            },
        }
    }
}

impl<L: LookUps> Evaluation<'_, L> {
    /// reject_unverified_sender, reject_unverified_recipient
    pub(super) async fn reject_unverified(&mut self, class: Class) -> Verdict {
        let Some(address) = self.name(class).filter(|address| !address.is_empty()) else { return Verdict::Dunno };
        let settings = self.settings;
        let terms = settings.unverified.terms(class);
        let detail = if class == Class::Sender { 7 } else { 1 };
        let Some(known) = self.verified(address).await else {
            let text = self.text(class, "address verification problem");
            return self.tempfail(terms.action, Rejection::new(450, Status::new(4, 1, detail), text));
        };
        let code = match known.standing {
            Standing::Deliverable => return Verdict::Dunno,
            Standing::Undeliverable => terms.reject_code,
            Standing::Deferred | Standing::Unknown => terms.defer_code,
        };
        // A code of success lets the mail through.
        if code < 400 {
            return Verdict::Dunno;
        }
        let what = if code < 500 { "unverified address" } else { "undeliverable address" };
        let why = if terms.reason.is_empty() { known.text.as_str() } else { terms.reason };
        let text = self.text(class, format!("{what}: {why}"));
        let class_of_code = if code < 500 { 4 } else { 5 };
        let rejection = Rejection::new(code, Status::new(class_of_code, 1, detail), text);
        if code < 500 { self.tempfail(terms.action, rejection) } else { self.reject(rejection) }
    }

    /// What is known of an address; what is not known yet is waited for. `None`: nobody can be asked.
    async fn verified(&self, address: &[u8]) -> Option<Knowledge> {
        let terms = &self.settings.unverified;
        let mut asked = 1;
        loop {
            let known = self.look_ups.verify(address).await?;
            if known.standing != Standing::Unknown || asked >= terms.poll_count {
                return Some(known);
            }
            tokio::time::sleep(terms.poll_delay).await;
            asked += 1;
        }
    }
}
