//! Look-ups that ask for validated answers, and the question whether this machine gets any.
//!
//! A validated answer has the AD bit; it is asked for by DO and AD in the question, whatever resolv.conf says of
//! `trust-ad`, for a program asks only when it is told to trust its resolver (smtp_dns_support_level). An answer
//! without the bit is no error: most zones are not signed.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use net::Family;

use crate::message::Data;
use crate::name::Name;
use crate::tlsa::Association;
use crate::{LookupError, LookupFault, MailExchangers, Offers, RecordType, Resolver};

/// What was found, and whether it is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    /// What was found.
    pub found: T,
    /// Whose it is, at the end of all aliases, without final dot.
    pub owner: String,
    /// Every answer on the way there was validated.
    pub secure: bool,
}

impl<T> Signed<T> {
    pub(crate) fn try_map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Signed<U>, E> {
        Ok(Signed { found: change(self.found)?, owner: self.owner, secure: self.secure })
    }
}

/// The look-ups of a [`Resolver`] that ask for validated answers.
#[derive(Clone, Copy)]
pub struct Dnssec<'a> {
    resolver: &'a Resolver,
}

impl<'a> Dnssec<'a> {
    pub(crate) fn of(resolver: &'a Resolver) -> Self {
        Self { resolver }
    }

    /// As [`Resolver::mx`].
    ///
    /// # Errors
    /// See [`crate::LookupFault`].
    pub async fn mx(self, domain: &str) -> Result<Signed<MailExchangers>, LookupError> {
        self.noted(self.resolver.exchangers(domain, true).await).await
    }

    /// As [`Resolver::srv`].
    ///
    /// # Errors
    /// See [`crate::LookupFault`].
    pub async fn srv(self, service: &str) -> Result<Signed<Offers>, LookupError> {
        self.noted(self.resolver.offers(service, true).await).await
    }

    /// As [`Resolver::addresses`].
    ///
    /// # Errors
    /// See [`crate::LookupFault`].
    pub async fn addresses(self, name: &str, family: Family) -> Result<Signed<Vec<IpAddr>>, LookupError> {
        self.noted(self.resolver.of_family(name, family, true).await).await
    }

    /// The TLSA records of a service, `_25._tcp.mx.example`.
    ///
    /// # Errors
    /// See [`crate::LookupFault`].
    pub async fn tlsa(self, service: &str) -> Result<Signed<Vec<Association>>, LookupError> {
        let pick = |data: &Data| match data {
            Data::Association(association) => Some(association.clone()),
            _ => None,
        };
        self.noted(self.resolver.validated(service, RecordType::Tlsa, pick).await).await
    }

    /// Whether a name is an alias, and whether that is validated, wherever it leads to.
    ///
    /// # Errors
    /// See [`crate::LookupFault`]; a name that is no alias has no data.
    pub async fn alias(self, name: &str) -> Result<Signed<()>, LookupError> {
        let pick = |data: &Data| matches!(data, Data::Alias(_)).then_some(());
        let answer = self.noted(self.resolver.validated(name, RecordType::Cname, pick).await).await?;
        answer.try_map(|_| Ok(()))
    }

    /// Takes note of whether there are validated answers; finds out if this is the first one and is not. A failure may
    /// be that of a server which cannot do what it is asked for.
    async fn noted<T>(self, answer: Result<Signed<T>, LookupError>) -> Result<Signed<T>, LookupError> {
        let secure = match &answer {
            Ok(answer) => Some(answer.secure),
            Err(error) => (error.fault == LookupFault::TryAgain).then_some(false),
        };
        let Some(probe) = secure.and_then(|secure| self.resolver.validation().note(secure)) else { return answer };
        let reason = match self.resolver.is_validated(&probe.target, probe.record_type).await {
            Some(true) => return answer,
            Some(false) => "a response that is not DNSSEC validated".to_owned(),
            None => {
                let name = if probe.target.is_root() { ".".to_owned() } else { probe.target.to_string() };
                let error = LookupError::new(&name, probe.record_type, LookupFault::TryAgain);
                format!("no response: {error}")
            }
        };
        logging::warning!("DNSSEC validation may be unavailable");
        logging::warning!("reason: dnssec_probe '{probe}' received {reason}");
        answer
    }
}

/// What is known of validation in this process.
#[derive(Debug, Default)]
pub(crate) struct Validation {
    probe: Option<Probe>,
    /// It was seen to work, or the probe was made.
    settled: AtomicBool,
}

impl Validation {
    pub(crate) fn with(probe: Probe) -> Self {
        Self { probe: Some(probe), settled: AtomicBool::new(false) }
    }

    /// The probe, if it is to be made now.
    fn note(&self, secure: bool) -> Option<&Probe> {
        let was_settled = self.settled.swap(true, Ordering::Relaxed);
        self.probe.as_ref().filter(|_| !secure && !was_settled)
    }
}

/// A question whose answer is validated wherever anything is: dnssec_probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    record_type: RecordType,
    target: Name,
    text: String,
}

impl Probe {
    /// Reads `type:name`; an empty text is no probe.
    ///
    /// # Errors
    /// There is no colon, or the type is none that can be asked for.
    pub fn parse(text: &str) -> Result<Option<Self>, ProbeError> {
        if text.is_empty() {
            return Ok(None);
        }
        let malformed = || ProbeError { text: text.to_owned() };
        let (kind, name) = text.split_once(':').ok_or_else(malformed)?;
        let all = [
            RecordType::A,
            RecordType::Aaaa,
            RecordType::Cname,
            RecordType::Mx,
            RecordType::Ns,
            RecordType::Ptr,
            RecordType::Tlsa,
            RecordType::Txt,
        ];
        let record_type = all.into_iter().find(|known| kind.eq_ignore_ascii_case(&known.to_string()));
        let record_type = record_type.ok_or_else(malformed)?;
        let target = match name {
            "." => Some(Name::root()),
            name if net::hostname::is_valid(name.as_bytes()) => Name::parse(name),
            _ => None,
        };
        Ok(Some(Self { record_type, target: target.ok_or_else(malformed)?, text: text.to_owned() }))
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// A text that is no probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeError {
    text: String,
}

impl fmt::Display for ProbeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "malformed dnssec_probe value: {} format is qtype:qname", self.text)
    }
}

impl std::error::Error for ProbeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_a_type_and_a_name_of_which_the_root_is_one() {
        for (text, expected) in [("ns:.", Some("ns:.")), ("MX:d.test", Some("MX:d.test")), ("", None)] {
            assert_eq!(Probe::parse(text).unwrap().map(|probe| probe.to_string()).as_deref(), expected);
        }
        for text in ["foo", "foo:d.test", "ns:", "ns:a..b"] {
            let expected = format!("malformed dnssec_probe value: {text} format is qtype:qname");
            assert_eq!(Probe::parse(text).err().map(|error| error.to_string()), Some(expected));
        }
    }

    #[test]
    fn only_the_first_answer_of_a_process_leads_to_the_probe_and_only_without_validation() {
        let with = || Validation::with(Probe::parse("ns:.").unwrap().unwrap());
        let validation = with();
        assert!(validation.note(false).is_some() && validation.note(false).is_none());
        let validation = with();
        assert!(validation.note(true).is_none() && validation.note(false).is_none());
        assert!(Validation::default().note(false).is_none());
    }
}
