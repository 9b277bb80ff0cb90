//! What Postfix has and is not there yet, by the names that operators know it by.

use std::fmt;

use crate::entry::Entry;

/// A part of Postfix that is not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// TLS, of server and client.
    Tls,
    /// SASL authentication, of server and client.
    Sasl,
    /// `smtpd_proxy_filter`
    ProxyFilter,
    /// Tables of this type.
    Tables(&'static str),
    /// Delivery to commands, pipe(8).
    Pipe,
    /// The virtual mailbox delivery agent, virtual(8).
    Virtual,
    /// Servers of other people's protocols, spawn(8).
    Spawn,
    /// postscreen(8) and dnsblog(8)
    Postscreen,
    /// ETRN and lists by destination, flush(8).
    Flush,
    /// REQUIRETLS
    RequireTls,
    /// Shared caches of connections and tables: served without a process of their own.
    Shared,
    /// What stands for itself.
    Other,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Feature::*;
        f.write_str(match self {
            Tables(kind) => return write!(f, "{kind}: tables"),
            Tls => "TLS",
            Sasl => "SASL authentication",
            ProxyFilter => "smtpd_proxy_filter",
            Pipe => "Delivery to commands, pipe(8),",
            Virtual => "The virtual(8) delivery agent",
            Spawn => "spawn(8)",
            Postscreen => "postscreen(8)",
            Flush => "flush(8)",
            RequireTls => "REQUIRETLS",
            Shared => "Sharing of connections and tables by a process of its own",
            Other => "this",
        })
    }
}

/// Parts of names, and what they are about; the first that is in a name counts.
const BY_NAME: &[(&str, Feature)] = &[
    ("requiretls", Feature::RequireTls),
    ("sasl", Feature::Sasl),
    ("sender_dependent_authentication", Feature::Sasl),
    ("sender_login", Feature::Sasl),
    ("client_auth_rate", Feature::Sasl),
    ("smtpd_proxy_", Feature::ProxyFilter),
    ("postscreen", Feature::Postscreen),
    ("dnsblog", Feature::Postscreen),
    ("respectful_logging", Feature::Postscreen),
    ("socketmap", Feature::Tables("socketmap")),
    ("fast_flush", Feature::Flush),
    ("flush_service", Feature::Flush),
    ("connection_cache", Feature::Shared),
    ("proxy_read", Feature::Shared),
    ("proxy_write", Feature::Shared),
    ("proxymap", Feature::Shared),
    ("proxywrite", Feature::Shared),
    ("tls", Feature::Tls),
    ("clientcerts", Feature::Tls),
    ("dane", Feature::Tls),
    ("dnssec_probe", Feature::Tls),
];

impl Feature {
    /// What a parameter is about.
    pub fn of_parameter(entry: &Entry) -> Feature {
        if let Some((_, feature)) = BY_NAME.iter().find(|(part, _)| entry.name.contains(part)) {
            return *feature;
        }
        match entry.subject {
            "tls" => Feature::Tls,
            "virtual" => Feature::Virtual,
            "pipe" => Feature::Pipe,
            _ => Feature::Other,
        }
    }

    /// What a daemon of Postfix does; None for one that is not Postfix's.
    pub fn of_program(program: &str) -> Option<Feature> {
        Some(match program {
            "tlsproxy" => Feature::Tls,
            "pipe" => Feature::Pipe,
            "virtual" => Feature::Virtual,
            "spawn" => Feature::Spawn,
            "postscreen" | "dnsblog" => Feature::Postscreen,
            "flush" => Feature::Flush,
            "proxymap" | "scache" => Feature::Shared,
            "nbdb_reindexd" => Feature::Shared,
            _ => return None,
        })
    }

    /// What happens to mail where the feature is asked for in a way that cannot be passed over.
    pub(super) fn consequence(self) -> &'static str {
        match self {
            Feature::Tls => "mail is refused, or waits, where they demand it",
            Feature::Sasl => "nobody can log in",
            Feature::Spawn => "what asks them gets no answer",
            Feature::Tables(_) => "every look-up fails, and mail that needs it is refused for now, or waits",
            Feature::Pipe | Feature::Virtual => "mail for them waits",
            _ => "mail that they are for is refused for now, or waits",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_belongs_to_the_feature_that_operators_know_it_by() {
        for (name, feature) in [
            ("smtpd_tls_cert_file", Feature::Tls),
            ("smtpd_enforce_tls", Feature::Tls),
            ("tls_ssl_options", Feature::Tls),
            ("smtp_sasl_tls_security_options", Feature::Sasl),
            ("broken_sasl_auth_clients", Feature::Sasl),
            ("smtpd_sender_login_maps", Feature::Sasl),
            ("smtpd_proxy_filter", Feature::ProxyFilter),
            ("virtual_uid_maps", Feature::Virtual),
            ("postscreen_access_list", Feature::Postscreen),
        ] {
            assert_eq!(Feature::of_parameter(crate::find(name).unwrap()), feature, "{name}");
        }
    }
}
