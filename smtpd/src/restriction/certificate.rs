//! Restrictions about the client's certificate: permit_tls_clientcerts, permit_tls_all_clientcerts, check_ccert_access.

use lookup::TableError;
use smtp_server::Certificate;

use crate::look_ups::LookUps;
use crate::restriction::access::Found;
use crate::restriction::{AccessTable, Class, Evaluation, Restriction, Tables, Verdict};

/// What of a certificate is looked up in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fingerprint {
    /// That of the whole.
    Certificate,
    /// That of its public key.
    Key,
}

/// What is looked up, unless the list says something else.
const ORDER: [Fingerprint; 2] = [Fingerprint::Certificate, Fingerprint::Key];

/// `check_ccert_access TABLE`, and `{ TABLE { search_order = ... } }`.
pub fn restriction(argument: &str, tables: &Tables) -> Restriction {
    let mut words = text::split_list(argument).into_iter();
    let table = words.next().unwrap_or_default();
    let mut order = ORDER.to_vec();
    for word in words {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        if name.trim() != "search_order" {
            return Restriction::Misused(format!("unknown option: \"{}\"", name.trim()));
        }
        match self::order(value) {
            Ok(found) => order = found,
            Err(bad) => return Restriction::Misused(format!("unknown search type '{bad}' in '{}'", value.trim())),
        }
    }
    tables.certificate_access(table, order)
}

fn order(value: &str) -> Result<Vec<Fingerprint>, String> {
    let named = |word: &str| match word {
        "cert_fingerprint" => Ok(Fingerprint::Certificate),
        "pubkey_fingerprint" => Ok(Fingerprint::Key),
        other => Err(other.to_owned()),
    };
    text::split_list(value).into_iter().map(named).collect()
}

impl<L: LookUps> Evaluation<'_, L> {
    fn certificate(&self) -> Option<&Certificate> {
        self.facts.tls.and_then(|secured| secured.certificate.as_ref())
    }

    /// permit_tls_all_clientcerts: a certificate that somebody vouches for; and permit_tls_clientcerts, whatever it is,
    /// one of relay_clientcerts.
    pub(super) fn permit_certificate(&mut self, all: bool) -> Verdict {
        let name = if all { "permit_tls_all_clientcerts" } else { "permit_tls_clientcerts" };
        let Some(certificate) = self.certificate() else { return Verdict::Dunno };
        if all && certificate.trusted {
            return Verdict::Permit;
        }
        let (key, whole) = (certificate.key_fingerprint.clone(), certificate.fingerprint.clone());
        // A key that comes alone has no other fingerprint.
        for fingerprint in [&key, &whole].into_iter().filter(|fingerprint| !fingerprint.is_empty()) {
            match self.rules.tables.client_certificates.lookup(fingerprint.as_bytes()) {
                Ok(Some(_)) => {
                    if self.settings.raw_keys && *fingerprint != key {
                        logging::warning!(
                            "{name}: {}: relay_clientcerts: {FRAGILE} public key fingerprint \"{key}\" not matched, while \
                             certificate fingerprint \"{whole}\" matched",
                            self.facts.peer.label
                        );
                    }
                    return Verdict::Permit;
                }
                Ok(None) => {}
                // Logged. Somebody else may let the client in later, and nobody may turn it away for good.
                Err(_) => {
                    let rejection = smtp_server::Rejection::temporary_lookup(fingerprint.as_bytes());
                    return self.defer_if_permit(rejection);
                }
            }
        }
        Verdict::Dunno
    }

    /// check_ccert_access
    pub(super) async fn certificate_access(
        &mut self,
        table: &AccessTable,
        order: &[Fingerprint],
        depth: usize,
    ) -> Verdict {
        if !self.settings.asks_for_certificates {
            logging::warning!("check_ccert_access is requested, but \"smtpd_tls_ask_ccert = no\"");
            return Verdict::Dunno;
        }
        let Some(certificate) = self.certificate() else { return Verdict::Dunno };
        let name = certificate.common_name.clone().into_bytes();
        self.warn_of_fragility(certificate, table);
        let keys: Vec<String> = order
            .iter()
            .map(|fingerprint| match fingerprint {
                Fingerprint::Certificate => certificate.fingerprint.clone(),
                Fingerprint::Key => certificate.key_fingerprint.clone(),
            })
            // A key that comes alone has no other fingerprint.
            .filter(|fingerprint| !fingerprint.is_empty())
            .collect();
        for key in keys {
            let found: Result<Option<Found>, TableError> = table
                .maps
                .lookup(key.as_bytes())
                .map(|value| value.map(|value| Found { subject: name.clone(), value }));
            let verdict = self.say(Class::Certificate, found, table, depth).await;
            if verdict != Verdict::Dunno || self.is_decided() {
                return verdict;
            }
        }
        Verdict::Dunno
    }

    /// A client that is known by its certificate will not be known when it begins to send its key alone.
    fn warn_of_fragility(&self, certificate: &Certificate, table: &AccessTable) {
        if !self.settings.raw_keys || certificate.is_raw_key() {
            return;
        }
        let action = |fingerprint: &str| table.maps.lookup(fingerprint.as_bytes()).ok().flatten();
        let (whole, key) = (&certificate.fingerprint, &certificate.key_fingerprint);
        let of_certificate = action(whole);
        if of_certificate.is_some() && of_certificate != action(key) {
            logging::warning!(
                "check_ccert_access: {}: {}: {FRAGILE} the action for certificate fingerprint \"{whole}\" != the action for \
                 public key fingerprint \"{key}\"",
                self.facts.peer.label,
                text::printable(table.name.as_bytes())
            );
        }
    }
}

/// smtpd_tls_enable_rpk goes ill with fingerprints of certificates.
const FRAGILE: &str = "Fragile access policy: smtpd_tls_enable_rpk=yes, but";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_list_of_fingerprints() {
        assert_eq!(
            order(" pubkey_fingerprint, cert_fingerprint"),
            Ok(vec![Fingerprint::Key, Fingerprint::Certificate])
        );
        assert_eq!(order("foo"), Err("foo".to_owned()));
    }
}
