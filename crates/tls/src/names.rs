//! The names that a server's certificate has, and those that it should have.

use std::net::IpAddr;

use crate::certificate::Certificate;
use crate::trust::Fault;

/// A name that a certificate should have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// This host.
    Host(String),
    /// Any host below this domain.
    Below(String),
    /// This address.
    Address(IpAddr),
}

/// One word of smtp_tls_verify_cert_match, smtp_tls_secure_cert_match or the attribute match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NameRule {
    /// `hostname`
    Hostname,
    /// `nexthop`
    Nexthop,
    /// `dot-nexthop`
    DotNexthop,
    /// A name, or a domain with a leading dot.
    Name(String),
}

impl NameRule {
    /// Reads one word.
    pub fn parse(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "hostname" => Self::Hostname,
            "nexthop" => Self::Nexthop,
            "dot-nexthop" => Self::DotNexthop,
            _ => Self::Name(word.to_owned()),
        }
    }

    /// The name that it stands for; `None` if it is none.
    pub fn wanted(&self, host: &str, nexthop: &str) -> Option<Wanted> {
        match self {
            Self::Hostname => Wanted::parse(host),
            Self::Nexthop => Wanted::parse(nexthop),
            // Nothing is below an address.
            Self::DotNexthop => match Wanted::parse(nexthop)? {
                address @ Wanted::Address(_) => Some(address),
                _ => Wanted::below(nexthop),
            },
            Self::Name(name) => Wanted::parse(name),
        }
    }
}

impl Wanted {
    /// Reads a host name, an address, or a domain with a leading dot; `None` if it is nothing.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(address) = net::address::parse(name.as_bytes()) {
            return Some(Self::Address(address));
        }
        match name.strip_prefix('.') {
            Some(domain) => Self::below(domain),
            None => Some(ascii(name)).filter(|host| !host.is_empty()).map(Self::Host),
        }
    }

    /// No host is below nothing, or all are.
    fn below(domain: &str) -> Option<Self> {
        Some(ascii(domain)).filter(|domain| !domain.is_empty()).map(Self::Below)
    }

    fn matches(&self, has: &str) -> bool {
        let has = has.to_ascii_lowercase();
        match self {
            Self::Host(name) => match has.strip_prefix("*.").filter(|domain| domain.contains('.')) {
                // Exactly one label, and no other form of wildcard; of a top-level domain nobody has all names.
                Some(domain) => name.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == domain),
                None => has == *name,
            },
            Self::Below(domain) => has
                .strip_suffix(domain.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|it| !it.is_empty()),
            Self::Address(_) => false,
        }
    }
}

/// The names of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Host names, or the common name where there are none.
    hosts: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Names {
    /// Those of a certificate.
    pub fn of(certificate: &Certificate) -> Self {
        let mut hosts = certificate.dns_names.clone();
        if !certificate.has_alternatives && !certificate.common_name.is_empty() {
            hosts.push(certificate.common_name.clone());
        }
        Self { hosts, addresses: certificate.addresses.clone() }
    }

    /// The name that is one of those wanted.
    ///
    /// # Errors
    /// There is none.
    pub fn matching(&self, wanted: &[Wanted]) -> Result<String, Fault> {
        for one in wanted {
            if let Wanted::Address(address) = one
                && self.addresses.contains(address)
            {
                return Ok(address.to_string());
            }
            if let Some(host) = self.hosts.iter().find(|host| one.matches(host)) {
                return Ok(host.clone());
            }
        }
        let is_host = |one: &Wanted| !matches!(one, Wanted::Address(_));
        match wanted {
            [] => Err(Fault::Unspecified),
            _ if wanted.iter().any(is_host) => Err(Fault::HostMismatch),
            _ => Err(Fault::AddressMismatch),
        }
    }
}

/// As certificates have it; lower case.
fn ascii(name: &str) -> String {
    let name = name.trim_end_matches('.');
    let form = if name.is_ascii() { None } else { net::idna::to_ascii(name) };
    form.unwrap_or_else(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(hosts: &[&str], addresses: &[&str]) -> Names {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Names { hosts, addresses: addresses.iter().map(|address| address.parse().unwrap()).collect() }
    }

    fn wanted(words: &[&str]) -> Vec<Wanted> {
        words.iter().filter_map(|word| NameRule::parse(word).wanted("mx1.dest.test", "dest.test")).collect()
    }

    #[test]
    fn names_match_as_postfix_matches_them() {
        for (has, words, matches) in [
            ("mx1.dest.test", &["hostname"][..], true),
            ("MX1.DEST.TEST", &["hostname"], true),
            ("mx1.dest.test", &["nexthop"], false),
            ("mx1.dest.test", &["dot-nexthop"], true),
            ("dest.test", &["nexthop", "dot-nexthop"], true),
            ("dest.test", &["dot-nexthop"], false),
            ("mx1.dest.test", &[".test"], true),
            ("xdest.test", &["dot-nexthop"], false),
            ("*.dest.test", &["hostname"], true),
            ("*.dest.test", &["dot-nexthop"], true),
            ("*.dest.test", &["nexthop"], false),
            ("*.dest.test", &["a.b.dest.test"], false),
            ("*.dest.test", &["dest.test"], false),
            ("mx*.dest.test", &["hostname"], false),
            ("*", &["test"], false),
            ("*.test", &["dest.test"], false),
            ("mx1.dest.test", &["foo.test|mx1.dest.test"], false),
            ("mx1.dest.test", &["foo.test", "mx1.dest.test"], true),
            ("127.0.0.1", &["127.0.0.1"], false),
        ] {
            assert_eq!(names(&[has], &[]).matching(&wanted(words)).is_ok(), matches, "{has} {words:?}");
        }
    }

    #[test]
    fn an_address_is_compared_with_addresses_alone() {
        let certificate = names(&["mx1.dest.test"], &["127.0.0.1", "::1"]);
        assert_eq!(certificate.matching(&wanted(&["127.0.0.1"])), Ok("127.0.0.1".to_owned()));
        assert_eq!(certificate.matching(&wanted(&["192.0.2.1"])), Err(Fault::AddressMismatch));
        assert_eq!(certificate.matching(&wanted(&["192.0.2.1", "x.test"])), Err(Fault::HostMismatch));
        // The default of level secure, for a destination that is an address.
        let words = [NameRule::Nexthop, NameRule::DotNexthop];
        let wanted: Vec<_> = words.iter().filter_map(|rule| rule.wanted("192.0.2.1", "192.0.2.1")).collect();
        assert_eq!(certificate.matching(&wanted), Err(Fault::AddressMismatch));
    }

    #[test]
    fn a_lone_dot_is_no_name_and_nothing_matches_nothing() {
        assert_eq!(wanted(&[".", "..", "..."]), []);
        assert_eq!(NameRule::DotNexthop.wanted("mx1.dest.test", "."), None);
        assert_eq!(names(&["mx1.dest.test"], &[]).matching(&[]), Err(Fault::Unspecified));
    }

    #[test]
    fn a_name_in_its_own_script_is_compared_in_the_form_of_certificates() {
        assert_eq!(wanted(&["b\u{fc}cher.test"]), [Wanted::Host("xn--bcher-kva.test".to_owned())]);
    }

    proptest! {
        #[test]
        fn a_wildcard_stands_for_one_label(label in "[a-z]{1,8}", other in "[a-z]{1,8}") {
            let certificate = names(&["*.dest.test"], &[]);
            let is_good = |name: String| certificate.matching(&[Wanted::Host(name)]).is_ok();
            let (one, two) = (format!("{label}.dest.test"), format!("{label}.{other}.dest.test"));
            prop_assert!(is_good(one));
            prop_assert!(!is_good(two));
        }
    }
}
