//! Restrictions about where the mail goes: permit_auth_destination, reject_unauth_destination,
//! defer_unauth_destination. They are what keeps the server from being an open relay.

use dsn::Status;
use ipc::rewrite::Class as AddressClass;
use smtp_server::Rejection;

use crate::look_ups::LookUps;
use crate::restriction::{Class, Evaluation, Verdict};

impl<L: LookUps> Evaluation<'_, L> {
    /// permit_auth_destination: nobody is let in before it is known whom the mail is for.
    pub(super) async fn permit_auth_destination(&mut self) -> Verdict {
        if self.facts.recipient.is_none() {
            return Verdict::Dunno;
        }
        match self.is_authorized().await {
            Ok(true) => Verdict::Permit,
            Ok(false) => Verdict::Dunno,
            Err(verdict) => verdict,
        }
    }

    /// reject_unauth_destination
    pub(super) async fn reject_unauth_destination(&mut self) -> Verdict {
        let code = self.settings.codes.relay_domains;
        self.unauthorized(Rejection::new(code, Status::new(5, 7, 1), "")).await
    }

    /// defer_unauth_destination
    pub(super) async fn defer_unauth_destination(&mut self) -> Verdict {
        let code = 400 + self.settings.codes.relay_domains % 100;
        self.unauthorized(Rejection::new(code, Status::new(4, 7, 1), "")).await
    }

    async fn unauthorized(&mut self, mut rejection: Rejection) -> Verdict {
        match self.is_authorized().await {
            Ok(true) => Verdict::Dunno,
            Ok(false) => {
                rejection.text = self.about(Class::Recipient, "", "Relay access denied");
                self.reject(rejection)
            }
            Err(verdict) => verdict,
        }
    }

    /// Mail for the recipient is this system's business. Without a recipient it is.
    async fn is_authorized(&mut self) -> Result<bool, Verdict> {
        let Some(recipient) = self.facts.recipient else { return Ok(true) };
        match self.look_ups.resolve(self.facts.sender, recipient).await {
            Ok(resolved) => {
                // allow_untrusted_routing
                let routed = resolved.routed && !self.settings.allow_untrusted_routing;
                let is_ours = resolved.class != AddressClass::Default && !routed;
                if is_ours {
                    self.note_relay_domain(&resolved);
                }
                Ok(is_ours)
            }
            Err(_) => Err(self.server_error(Rejection::temporary_lookup(recipient))),
        }
    }
}
