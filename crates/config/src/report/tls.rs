//! Settings of TLS that have no effect, because the TLS library is another one than Postfix's: what happens instead.
//! And keys without the service that reads them.

use std::collections::BTreeMap;

use crate::master_cf::ServiceKind;
use crate::param;
use crate::report::missing::{Missing, by_name, listed};
use crate::report::{Feature, Finding, Report, Said};

/// Parts of names, and what happens whatever these parameters say; the first that is in a name counts.
const INSTEAD: &[(&str, &str)] = &[
    ("tlsproxy", "each process speaks TLS itself, without tlsproxy(8)"),
    ("openssl", "OpenSSL is not used"),
    ("config_name", "OpenSSL is not used"),
    ("disable_workarounds", "OpenSSL is not used"),
    ("ffdhe", "the TLS library exchanges no keys over finite fields"),
    ("eecdh", "the groups of the key exchange are those of tls_eecdh_auto_curves"),
    ("_dh1024_", "the groups of the key exchange are those of tls_eecdh_auto_curves"),
    ("_dh512_", "the groups of the key exchange are those of tls_eecdh_auto_curves"),
    ("_cipherlist", "ciphers are those of tls_high_cipherlist and tls_medium_cipherlist"),
    ("session_cache", "clients keep their TLS sessions themselves, as tickets"),
    ("session_ids", "clients keep their TLS sessions themselves, as tickets"),
    ("random", "random numbers come from the kernel"),
    ("wildcard", "* in a certificate stands for one label of a name"),
];

/// What happens instead of what a parameter without effect says.
pub(super) fn instead(name: &str) -> Option<&'static str> {
    INSTEAD.iter().find(|(part, _)| name.contains(part)).map(|(_, instead)| *instead)
}

/// Ends of the names of parameters that name files with certificates and keys.
const KEY_FILES: [&str; 4] = ["_tls_chain_files", "_tls_cert_file", "_tls_eccert_file", "_tls_dcert_file"];

impl Report<'_> {
    /// Files with keys, and nobody who reads them: master.cf has no tlsmgr.
    pub(super) fn keys_without_keeper(&self) -> Option<Finding> {
        let name = self.config.lookup(param::TLSMGR_SERVICE_NAME.name()).ok().flatten()?;
        let is_there = self.services.iter().any(|service| service.name == name && service.kind == ServiceKind::Unix);
        let names_keys = |said: &&Said| {
            let is_file = KEY_FILES.iter().any(|end| said.name.ends_with(end));
            is_file && !said.value.is_empty() && !said.value.eq_ignore_ascii_case("none")
        };
        let said = self.said.iter().filter(|_| !is_there).find(names_keys)?;
        let text = format!(
            "{}: its keys are read by tlsmgr alone, and {} has no service {name} (unix): there is no TLS with them",
            said.name,
            self.master(0)
        );
        Some(Finding { place: said.place.clone(), text })
    }

    /// One sentence for each thing that happens instead, from settings that are about TLS; the other ones stay.
    pub(super) fn idle_tls(&self, missing: &mut Vec<Missing>) -> Vec<String> {
        let mut reasons: BTreeMap<&str, Vec<Missing>> = BTreeMap::new();
        missing.retain(|it| match instead(&it.what).filter(|_| it.feature == Feature::Tls && !it.demands) {
            Some(reason) => {
                reasons.entry(reason).or_default().push(it.clone());
                false
            }
            None => true,
        });
        let sentence = |(reason, things): (&str, Vec<Missing>)| {
            let names = by_name(things.iter());
            let verb = if names.len() == 1 { "has" } else { "have" };
            format!("{} {verb} no effect: {reason}", listed(&names))
        };
        reasons.into_iter().map(sentence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_about_tls_that_has_no_effect_has_something_that_happens_instead() {
        for entry in crate::table::TABLE.iter().filter(|entry| !entry.implemented && !entry.legacy) {
            if Feature::of_parameter(entry) == Feature::Tls && !entry.refused {
                assert!(instead(entry.name).is_some(), "{}", entry.name);
            }
        }
    }
}
