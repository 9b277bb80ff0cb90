//! Restrictions about how the client talks: reject_plaintext_session, reject_unauth_pipelining,
//! reject_multi_recipient_bounce.

use dsn::Status;
use smtp_protocol::Verb;
use smtp_server::{Rejection, State};

use crate::look_ups::LookUps;
use crate::restriction::{Evaluation, Verdict};

impl<L: LookUps> Evaluation<'_, L> {
    /// reject_plaintext_session
    pub(super) fn reject_plaintext_session(&mut self) -> Verdict {
        if self.facts.tls.is_some() {
            return Verdict::Dunno;
        }
        let code = self.settings.codes.plaintext;
        self.reject(Rejection::new(code, Status::new(4, 7, 1), "Session encryption is required"))
    }

    /// reject_unauth_pipelining
    pub(super) fn reject_unauth_pipelining(&mut self) -> Verdict {
        if !self.facts.pipelined {
            return Verdict::Dunno;
        }
        let text = self.text(self.class, "Improper use of SMTP command pipelining");
        self.reject(Rejection::new(503, Status::new(5, 5, 0), text))
    }

    /// reject_multi_recipient_bounce
    pub(super) fn reject_multi_recipient_bounce(&mut self) -> Verdict {
        // At RCPT the recipient at hand is not among those that were accepted.
        let recipients = self.facts.recipients + u32::from(self.facts.state == State::Command(Verb::Rcpt));
        if self.facts.sender != Some(b"") || recipients < 2 {
            return Verdict::Dunno;
        }
        let code = self.settings.codes.multi_recipient_bounce;
        let text = self.text(self.class, "Multi-recipient bounce");
        self.reject(Rejection::new(code, Status::new(5, 5, 3), text))
    }
}
