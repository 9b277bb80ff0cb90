//! Where the session meets the restrictions: each command's evaluation, and its log lines.

use std::rc::Rc;

use crate::rejection::Rejection;
use crate::restriction::{Class, Decision, Effects, Evaluation, Facts, Verdict};
use crate::session::{End, Session};

impl Session {
    /// What is known now. `recipient` is the one at hand.
    fn facts<'a>(&'a self, sender: Option<&'a [u8]>, recipient: Option<&'a [u8]>) -> Facts<'a> {
        let transaction = self.transaction.as_ref();
        Facts {
            peer: &self.peer,
            helo: self.helo.as_deref(),
            protocol: self.protocol,
            sender: sender.or(transaction.map(|transaction| transaction.sender.as_slice())),
            recipient,
            recipients: transaction.map_or(0, |transaction| transaction.recipients as usize),
            queue_id: self.queue_id(),
            command: self.command,
            pipelined: self.pipelined,
            answers: &self.answers,
            warned: &self.warned,
        }
    }

    /// smtpd_client_restrictions at the connection.
    pub async fn check_connect(&mut self) -> Result<Option<Rejection>, End> {
        let worker = Rc::clone(&self.worker);
        let mut effects = Effects::default();
        let facts = self.facts(None, None);
        let verdict = Evaluation::new(&worker, facts, Class::Client, &mut effects).connect().await;
        decide(verdict)
    }

    /// smtpd_helo_restrictions at HELO and EHLO, with a name that is not yet the session's.
    pub async fn check_helo(&mut self, name: &str) -> Result<Option<Rejection>, End> {
        if self.worker.settings.delay_reject || self.worker.lists.helo.is_empty() {
            return Ok(None);
        }
        let worker = Rc::clone(&self.worker);
        let mut effects = Effects::default();
        let facts = Facts { helo: Some(name), ..self.facts(None, None) };
        let verdict = Evaluation::new(&worker, facts, Class::Helo, &mut effects).helo().await;
        decide(verdict)
    }

    /// smtpd_sender_restrictions at MAIL, with a sender that is not yet the transaction's.
    pub async fn check_mail(&mut self, sender: &[u8]) -> Result<(Option<Rejection>, Effects), End> {
        let mut effects = Effects::default();
        if self.worker.settings.delay_reject {
            return Ok((None, effects));
        }
        let worker = Rc::clone(&self.worker);
        let facts = self.facts(Some(sender), None);
        let verdict = Evaluation::new(&worker, facts, Class::Sender, &mut effects).mail().await;
        Ok((decide(verdict)?, effects))
    }

    /// All that is to be checked at RCPT.
    pub async fn check_rcpt(&mut self, recipient: &[u8]) -> Result<Option<Rejection>, End> {
        let worker = Rc::clone(&self.worker);
        let mut effects = self.take_effects();
        let facts = self.facts(None, Some(recipient));
        let verdict = Evaluation::new(&worker, facts, Class::Recipient, &mut effects).rcpt().await;
        self.put_effects(effects);
        decide(verdict)
    }

    /// smtpd_data_restrictions
    pub async fn check_data(&mut self) -> Result<Option<Rejection>, End> {
        let worker = Rc::clone(&self.worker);
        if worker.lists.data.is_empty() {
            return Ok(None);
        }
        let mut effects = self.take_effects();
        let only = self.only_recipient();
        let facts = self.facts(None, only.as_deref());
        let verdict = Evaluation::new(&worker, facts, Class::Data, &mut effects).data().await;
        self.put_effects(effects);
        decide(verdict)
    }

    /// smtpd_end_of_data_restrictions. The effects are new ones: the envelope is written already.
    pub async fn check_end_of_data(&mut self) -> Result<(Option<Rejection>, Effects), End> {
        let mut effects = Effects::default();
        let worker = Rc::clone(&self.worker);
        if worker.lists.end_of_data.is_empty() {
            return Ok((None, effects));
        }
        let only = self.only_recipient();
        let facts = self.facts(None, only.as_deref());
        let verdict = Evaluation::new(&worker, facts, Class::EndOfData, &mut effects).end_of_data().await;
        Ok((decide(verdict)?, effects))
    }

    /// Whether headers of the client's mail are completed with this system's domain; decided once a session.
    /// local_header_rewrite_clients
    pub async fn rewrites_locally(&mut self) -> bool {
        if let Some(local) = self.local_rewrite {
            return local;
        }
        let worker = Rc::clone(&self.worker);
        let mut effects = Effects::default();
        let facts = self.facts(None, None);
        let mut evaluation = Evaluation::new(&worker, facts, Class::Client, &mut effects);
        let local = evaluation.list(&worker.lists.local_rewrite).await == Verdict::Permit;
        self.local_rewrite = Some(local);
        local
    }

    /// Logs a decision that no restriction made.
    pub fn log(&self, action: &str, text: &str) {
        self.log_about(action, text, None, self.only_recipient().as_deref());
    }

    /// The same about a sender or recipient that is not the transaction's.
    pub fn log_about(&self, action: &str, text: &str, sender: Option<&[u8]>, recipient: Option<&[u8]>) {
        let facts = self.facts(sender, recipient);
        logging::emit(&facts.decided(&self.worker, action, text));
    }

    fn only_recipient(&self) -> Option<Vec<u8>> {
        self.transaction.as_ref().and_then(|transaction| transaction.only_recipient()).map(<[u8]>::to_vec)
    }

    fn take_effects(&mut self) -> Effects {
        self.transaction.as_mut().map(|transaction| std::mem::take(&mut transaction.effects)).unwrap_or_default()
    }

    fn put_effects(&mut self, effects: Effects) {
        if let Some(transaction) = &mut self.transaction {
            transaction.effects = effects;
        }
    }
}

fn decide(verdict: Verdict) -> Result<Option<Rejection>, End> {
    match Decision::from(verdict) {
        Decision::Accept => Ok(None),
        Decision::Reject(rejection) => Ok(Some(rejection)),
        Decision::HangUp => Err(End::Done),
    }
}
