//! Restrictions about the domains of sender and recipient: reject_non_fqdn_sender and _recipient,
//! reject_unknown_sender_domain and _recipient_domain.

use dns::{LookupError, LookupFault};
use dsn::Status;
use net::Family;
use smtp_server::Rejection;

use crate::look_ups::LookUps;
use crate::restriction::{Class, Evaluation, Verdict};
use crate::settings::TempfailAction;

/// Whether mail can be sent to a domain, as far as the name service knows: it has an MX or an address.
///
/// # Errors
/// It has none, or says that it takes no mail, whatever addresses it has.
async fn mail_domain(look_ups: &impl LookUps, domain: &str) -> Result<(), LookupError> {
    match look_ups.mail_exchangers(domain).await {
        Ok(_) => Ok(()),
        // An MX that names no host is no reason to look for another way.
        Err(error) if matches!(error.fault, LookupFault::NullMx | LookupFault::InvalidData) => Err(error),
        Err(error) => address(look_ups, domain).await.map_err(|other| weightier(error, other)),
    }
}

/// Whether a host has an address, or an MX, which may say that it takes no mail: hosts that only send say so.
///
/// # Errors
/// It has neither.
pub(super) async fn sending_host(look_ups: &impl LookUps, name: &str) -> Result<(), LookupError> {
    let Err(error) = address(look_ups, name).await else { return Ok(()) };
    match look_ups.mail_exchangers(name).await {
        Ok(_) => Ok(()),
        Err(other) if other.fault == LookupFault::NullMx && !may_change(&error) => Ok(()),
        Err(other) => Err(weightier(error, other)),
    }
}

/// Whether a name has an address.
async fn address(look_ups: &impl LookUps, name: &str) -> Result<(), LookupError> {
    let Err(error) = look_ups.addresses(name, Family::V4).await else { return Ok(()) };
    let Err(other) = look_ups.addresses(name, Family::V6).await else { return Ok(()) };
    Err(weightier(error, other))
}

/// Whether the answer may be another one later. A server that does not understand the question has answered.
pub(super) fn may_change(error: &LookupError) -> bool {
    matches!(error.fault, LookupFault::TryAgain | LookupFault::Malformed | LookupFault::NotFiltered)
}

/// Of two look-ups that gave nothing the one that says more: what may change comes first, then answers that make no
/// sense.
fn weightier(one: LookupError, other: LookupError) -> LookupError {
    let weight = |error: &LookupError| match error.fault {
        _ if may_change(error) => 3,
        LookupFault::Filtered => 2,
        LookupFault::InvalidData => 1,
        _ => 0,
    };
    if weight(&other) > weight(&one) { other } else { one }
}

/// What a reply says of a name that has nothing.
pub(super) fn missing(error: &LookupError, what: &str) -> String {
    match error.fault {
        LookupFault::InvalidData => "Malformed DNS server reply".to_owned(),
        _ => format!("{what} not found"),
    }
}

impl<L: LookUps> Evaluation<'_, L> {
    /// reject_non_fqdn_sender, reject_non_fqdn_recipient
    pub(super) fn reject_non_fqdn(&mut self, class: Class) -> Verdict {
        let Some(address) = self.name(class).filter(|address| !address.is_empty()) else { return Verdict::Dunno };
        let fine = match address::domain(address) {
            Some(domain) if domain.starts_with(b"[") => true,
            Some(domain) => {
                let domain = domain.strip_suffix(b".").unwrap_or(domain);
                domain.contains(&b'.') && net::hostname::is_valid(domain)
            }
            // At RCPT nobody asks about postmaster. RFC 5321 4.5.1
            None => false,
        };
        if fine {
            return Verdict::Dunno;
        }
        let text = self.text(class, "need fully-qualified address");
        self.reject(Rejection::new(self.settings.codes.non_fqdn, Status::new(5, 5, 2), text))
    }

    /// reject_unknown_sender_domain, reject_unknown_recipient_domain
    pub(super) async fn reject_unknown_domain(&mut self, class: Class) -> Verdict {
        let Some(address) = self.name(class).filter(|address| !address.is_empty()) else { return Verdict::Dunno };
        let domain = match self.look_ups.resolve(self.facts.sender, address).await {
            // A domain that is delivered to here needs no name server; one that is relayed to does.
            Ok(resolved) if resolved.class.is_final() => return Verdict::Dunno,
            Ok(resolved) => address::domain(&resolved.recipient).map(<[u8]>::to_vec),
            Err(_) => return self.server_error(Rejection::temporary_lookup(address)),
        };
        let Some(domain) = domain.filter(|domain| !domain.starts_with(b"[")) else { return Verdict::Dunno };
        let domain = String::from_utf8_lossy(&domain).into_owned();
        let unknown = Status::new(4, 1, if class == Class::Sender { 8 } else { 2 });
        match mail_domain(self.look_ups, &domain).await {
            Ok(()) => Verdict::Dunno,
            Err(error) if error.fault == LookupFault::NullMx => {
                let (code, status) = match class {
                    Class::Sender => (550, Status::new(5, 7, 27)),
                    _ => (556, Status::new(5, 1, 10)),
                };
                let text = self.text(class, format!("Domain {domain} does not accept mail (nullMX)"));
                self.reject(Rejection::new(code, status, text))
            }
            // smtpd_dns_reply_filter: what this site does not look at says nothing against anybody.
            Err(error) if error.fault == LookupFault::Filtered => {
                let shown = text::printable(domain.as_bytes());
                logging::warning!("{shown}: MX or address lookup error: {}", error.reason());
                Verdict::Dunno
            }
            Err(error) if may_change(&error) => {
                let text = self.text(class, "Domain not found");
                self.tempfail(self.settings.unknown_address_tempfail_action, Rejection::new(450, unknown, text))
            }
            Err(error) => {
                let text = self.text(class, missing(&error, "Domain"));
                self.reject(Rejection::new(self.settings.codes.unknown_address, unknown, text))
            }
        }
    }

    /// What a *_tempfail_action makes of a decision that could not be made.
    pub(super) fn tempfail(&mut self, action: TempfailAction, rejection: Rejection) -> Verdict {
        match action {
            TempfailAction::Defer => self.reject(rejection),
            TempfailAction::DeferIfPermit => self.defer_if_permit(rejection),
        }
    }
}
