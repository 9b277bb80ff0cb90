//! Restrictions about the name in HELO and EHLO: reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname,
//! reject_unknown_helo_hostname.

use dns::LookupFault;
use dsn::Status;

use crate::rejection::Rejection;
use crate::restriction::{Class, Evaluation, Verdict};

impl Evaluation<'_> {
    /// reject_invalid_helo_hostname
    pub(super) fn reject_invalid_helo(&mut self) -> Verdict {
        let Some(name) = self.facts.helo else { return Verdict::Dunno };
        let text = if name.starts_with('[') {
            if net::literal::mailhost(without_final_dot(name).as_bytes()).is_some() {
                return Verdict::Dunno;
            }
            "invalid ip address"
        } else if is_address(name) || net::hostname::is_valid(without_final_dot(name).as_bytes()) {
            return Verdict::Dunno;
        } else {
            "Invalid name"
        };
        let text = self.text(Class::Helo, text);
        self.reject(Rejection::new(self.worker.settings.codes.invalid_hostname, Status::new(5, 5, 2), text))
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
        self.reject(Rejection::new(self.worker.settings.codes.non_fqdn, Status::new(5, 5, 2), text))
    }

    /// reject_unknown_helo_hostname
    pub(super) async fn reject_unknown_helo(&mut self) -> Verdict {
        let Some(name) = self.facts.helo else { return Verdict::Dunno };
        if name.starts_with('[') || is_address(name) {
            return self.reject_invalid_helo();
        }
        let name = without_final_dot(name);
        let codes = &self.worker.settings.codes;
        let (code, status, text) = match self.worker.mail_domain(name).await {
            Ok(()) => return Verdict::Dunno,
            Err(error) if error.fault == LookupFault::NullMx => {
                (550, Status::new(5, 7, 27), format!("Domain {name} does not accept mail (nullMX)"))
            }
            Err(error) if error.is_temporary() => {
                // unknown_helo_hostname_tempfail_action
                let text = self.text(Class::Helo, "Host not found");
                let rejection = Rejection::new(450, Status::new(4, 7, 1), text);
                return self.tempfail(self.worker.settings.unknown_helo_tempfail_action, rejection);
            }
            Err(_) => (codes.unknown_hostname, Status::new(4, 7, 1), "Host not found".to_owned()),
        };
        let text = self.text(Class::Helo, text);
        self.reject(Rejection::new(code, status, text))
    }
}

/// RFC 5321 does not allow the dot, but says nothing of turning it down.
fn without_final_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn is_address(name: &str) -> bool {
    net::literal::is_valid_v4(name.as_bytes()) || net::literal::is_valid_v6(name.as_bytes())
}
