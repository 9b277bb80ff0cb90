//! Which lists are evaluated when, and in which order.
//!
//! With smtpd_delay_reject the lists about client, greeting and sender wait for the recipient: some clients give up
//! only there, and the log line can say whom the mail was for.

use std::time::{SystemTime, UNIX_EPOCH};

use smtp_server::Judgement;

use crate::look_ups::LookUps;
use crate::restriction::evaluation::Deferred;
use crate::restriction::{Class, Evaluation, List, Verdict};

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl<L: LookUps> Evaluation<'_, L> {
    /// At the connection, unless delayed.
    pub async fn connect(&mut self) -> Verdict {
        let rules = self.rules;
        let verdict = self.stage(Class::Client, &rules.lists.client).await;
        let client = self.remembered();
        *self.memory.deferred.borrow_mut() = Deferred { helo: client.clone(), sender: None, client };
        verdict
    }

    /// At HELO or EHLO, unless delayed.
    pub async fn helo(&mut self) -> Verdict {
        let rules = self.rules;
        let before = self.memory.deferred.borrow().client.clone();
        self.resume(before);
        let verdict = self.stage(Class::Helo, &rules.lists.helo).await;
        let helo = self.remembered();
        self.memory.deferred.borrow_mut().helo = helo;
        verdict
    }

    /// At MAIL, unless delayed.
    pub async fn mail(&mut self) -> Verdict {
        let rules = self.rules;
        let before = self.memory.deferred.borrow().helo.clone();
        self.resume(before);
        let verdict = match self.stage(Class::Sender, &rules.lists.sender).await {
            Verdict::Dunno if self.wants_sender_check() => self.reject_unlisted_sender().await,
            verdict => verdict,
        };
        let sender = self.remembered();
        self.memory.deferred.borrow_mut().sender = sender;
        verdict
    }

    /// At DATA.
    pub async fn data(&mut self) -> Verdict {
        let rules = self.rules;
        self.alone(Class::Data, &rules.lists.data).await
    }

    /// After the content.
    pub async fn end_of_data(&mut self) -> Verdict {
        let rules = self.rules;
        self.alone(Class::EndOfData, &rules.lists.end_of_data).await
    }

    /// At ETRN: what was delayed as well.
    pub async fn etrn(&mut self) -> Verdict {
        let lists = &self.rules.lists;
        let delayed = self.settings.delay_reject;
        let stages = [
            (delayed, Class::Client, &lists.client),
            (delayed, Class::Helo, &lists.helo),
            (true, Class::Etrn, &lists.etrn),
        ];
        for (now, class, list) in stages {
            if now && self.name(class).is_some() {
                match self.stage(class, list).await {
                    Verdict::Dunno => {}
                    verdict => return verdict,
                }
            }
        }
        self.remainder_verdict()
    }

    /// At RCPT and VRFY: everything that has to do with the recipient, and what was delayed.
    pub async fn rcpt(&mut self) -> Verdict {
        // Recipients that nothing and nobody may turn down. RFC 5321 4.5.1; address_verify_sender: who probes the
        // sender of a probe finds that it exists.
        let (settings, now) = (self.settings, now());
        let is_free = |recipient: &[u8]| {
            recipient.eq_ignore_ascii_case(b"postmaster") || settings.probe_sender.is(recipient, now)
        };
        if self.facts.recipient.is_some_and(is_free) {
            return Verdict::Dunno;
        }
        if !self.settings.delay_reject {
            let before = self.memory.deferred.borrow().sender.clone();
            self.resume(before);
        }
        match self.rcpt_lists().await {
            Verdict::Dunno => self.remainder_verdict(),
            verdict => verdict,
        }
    }

    async fn rcpt_lists(&mut self) -> Verdict {
        let lists = &self.rules.lists;
        let (first, second) =
            if self.settings.relay_first { (&lists.relay, &lists.recipient) } else { (&lists.recipient, &lists.relay) };
        let delayed = self.settings.delay_reject;
        let stages = [
            (delayed, Class::Client, &lists.client),
            (delayed, Class::Helo, &lists.helo),
            (delayed, Class::Sender, &lists.sender),
            (true, Class::Recipient, first),
            (true, Class::Recipient, second),
        ];
        for (now, class, list) in stages {
            // What client and greeting are deferred for holds for senders: who only asks has none.
            if delayed && class == Class::Sender && self.facts.sender.is_none() {
                self.resume(None);
            }
            if !now || self.name(class).is_none() {
                continue;
            }
            let mut verdict = self.stage(class, list).await;
            if verdict == Verdict::Dunno && class == Class::Sender && self.wants_sender_check() {
                verdict = self.reject_unlisted_sender().await;
            }
            if std::ptr::eq(list, &lists.recipient) {
                self.note_order(&verdict);
            }
            if verdict != Verdict::Dunno {
                return verdict;
            }
            if std::ptr::eq(list, &lists.relay) {
                self.note_relay_restrictions().await;
            }
        }
        let settings = &self.settings;
        // Whom a restriction has put off already, nobody looks up.
        let is_put_off = self.remembered().is_some();
        let wanted =
            settings.reject_unlisted_recipient && !self.recipient_checked && !self.effects.discard && !is_put_off;
        self.class = Class::Recipient;
        if wanted { self.reject_unlisted_recipient().await } else { Verdict::Dunno }
    }

    /// smtpd_reject_unlisted_sender
    fn wants_sender_check(&self) -> bool {
        self.settings.reject_unlisted_sender && !self.sender_checked && !self.effects.discard
    }

    async fn alone(&mut self, class: Class, list: &List) -> Verdict {
        match self.stage(class, list).await {
            Verdict::Dunno => self.remainder_verdict(),
            verdict => verdict,
        }
    }

    fn remainder_verdict(&mut self) -> Verdict {
        self.remainder().map_or(Verdict::Dunno, Verdict::Reject)
    }

    /// One list; a "yes" ends this list, not the next one.
    async fn stage(&mut self, class: Class, list: &List) -> Verdict {
        // defer_if_reject holds within the lists about one thing, defer_if_permit to the end.
        if class != self.class {
            self.forget_defer_if_reject();
        }
        (self.class, self.list_class) = (class, class);
        // DISCARD: the message goes nowhere, so that nothing more needs to be known of it.
        if list.is_empty() || self.effects.discard {
            return Verdict::Dunno;
        }
        match self.list(list).await {
            Verdict::Permit => Verdict::Dunno,
            verdict => verdict,
        }
    }
}

impl From<Verdict> for Judgement {
    fn from(verdict: Verdict) -> Judgement {
        match verdict {
            Verdict::Permit | Verdict::Dunno => Judgement::Accept,
            Verdict::Reject(rejection) => Judgement::Reject(rejection),
            Verdict::HangUp => Judgement::HangUp,
        }
    }
}
