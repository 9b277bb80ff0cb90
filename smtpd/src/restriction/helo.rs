//! Restrictions about the name in HELO and EHLO: reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname,
//! reject_unknown_helo_hostname.

use dns::LookupFault;
use dsn::Status;
use smtp_server::Rejection;

use crate::look_ups::LookUps;
use crate::restriction::domain::{may_change, missing, sending_host};
use crate::restriction::{Class, Evaluation, Verdict};

impl<L: LookUps> Evaluation<'_, L> {
    /// reject_invalid_helo_hostname
    pub(super) fn reject_invalid_helo(&mut self) -> Verdict {
        let Some(name) = self.facts.helo else { return Verdict::Dunno };
        let text = if name.starts_with('[') {
            if net::literal::mailhost(name.as_bytes()).is_some() {
                return Verdict::Dunno;
            }
            "invalid ip address"
        } else if is_address(without_final_dot(name)) || net::hostname::is_valid(without_final_dot(name).as_bytes()) {
            return Verdict::Dunno;
        } else {
            "Invalid name"
        };
        let text = self.text(Class::Helo, text);
        self.reject(Rejection::new(self.settings.codes.invalid_hostname, Status::new(5, 5, 2), text))
    }

    /// reject_non_fqdn_helo_hostname
    pub(super) fn reject_non_fqdn_helo(&mut self) -> Verdict {
        let Some(name) = self.facts.helo else { return Verdict::Dunno };
        if name.starts_with('[') {
            return self.reject_invalid_helo();
        }
        let bare = without_final_dot(name);
        if bare.contains('.') && net::hostname::is_valid(bare.as_bytes()) && !is_address(bare) {
            return Verdict::Dunno;
        }
        let text = self.text(Class::Helo, "need fully-qualified hostname");
        self.reject(Rejection::new(self.settings.codes.non_fqdn, Status::new(5, 5, 2), text))
    }

    /// reject_unknown_helo_hostname
    pub(super) async fn reject_unknown_helo(&mut self) -> Verdict {
        let Some(name) = self.facts.helo else { return Verdict::Dunno };
        if name.starts_with('[') {
            return self.reject_invalid_helo();
        }
        // An address without brackets is a name that DNS does not have.
        let error = match sending_host(self.look_ups, name).await {
            Ok(()) => return Verdict::Dunno,
            Err(error) => error,
        };
        if error.fault == LookupFault::Filtered {
            let shown = text::printable(name.as_bytes());
            logging::warning!("{shown}: address or MX lookup error: {}", error.reason());
            return Verdict::Dunno;
        }
        let text = self.text(Class::Helo, missing(&error, "Host"));
        if may_change(&error) {
            // unknown_helo_hostname_tempfail_action
            let rejection = Rejection::new(450, Status::new(4, 7, 1), text);
            return self.tempfail(self.settings.unknown_helo_tempfail_action, rejection);
        }
        let code = self.settings.codes.unknown_hostname;
        self.reject(Rejection::new(code, Status::new(4, 7, 1), text))
    }
}

/// RFC 5321 does not allow the dot, but says nothing of turning it down.
fn without_final_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn is_address(name: &str) -> bool {
    net::literal::is_valid_v4(name.as_bytes()) || net::literal::is_valid_v6(name.as_bytes())
}
