//! The names of smtpd(8)'s access restrictions, and what each takes as an argument.
//!
//! The server reads its lists itself; who judges a configuration before it runs reads them here, and a test of the
//! server holds the two together.

/// What stands behind a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Nothing.
    Nothing,
    /// `type:name`
    Table,
    /// A domain, perhaps with `=` and addresses.
    Domain,
    /// A number of seconds.
    Seconds,
    /// `transport:endpoint`
    Server,
}

/// One restriction.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its name, in lower case.
    pub name: &'static str,
    /// What it takes.
    pub argument: Argument,
}

/// The lists of the server.
pub const LISTS: [&str; 8] = [
    "smtpd_client_restrictions",
    "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions",
    "smtpd_etrn_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_recipient_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_sender_restrictions",
];

/// The restrictions that make a server refuse mail for strangers: at least one must be there.
pub const RELAY_PROTECTION: [&str; 6] = [
    "reject_unauth_destination",
    "defer_unauth_destination",
    "reject",
    "defer",
    "defer_if_permit",
    "check_relay_domains",
];

/// Names that Postfix had, and what to write for them.
pub const REMOVED: [(&str, &str); 3] = [
    ("check_relay_domains", "\"reject_unauth_destination\""),
    ("reject_maps_rbl", "\"reject_rbl_client domain-name\""),
    ("permit_naked_ip_address", "\"permit_mynetworks\" or \"permit_sasl_authenticated\""),
];

const fn plain(name: &'static str) -> Known {
    Known { name, argument: Argument::Nothing }
}

const fn of(name: &'static str, argument: Argument) -> Known {
    Known { name, argument }
}

/// Every restriction, but for those of `check_*_{a,mx,ns}_access`.
pub const NAMES: &[Known] = &[
    plain("permit"),
    plain("reject"),
    plain("defer"),
    plain("defer_if_permit"),
    plain("defer_if_reject"),
    plain("warn_if_reject"),
    plain("permit_mynetworks"),
    plain("permit_inet_interfaces"),
    plain("permit_sasl_authenticated"),
    plain("permit_tls_clientcerts"),
    plain("permit_tls_all_clientcerts"),
    plain("permit_auth_destination"),
    plain("permit_mx_backup"),
    plain("reject_unauth_destination"),
    plain("defer_unauth_destination"),
    plain("reject_plaintext_session"),
    plain("reject_unauth_pipelining"),
    plain("reject_multi_recipient_bounce"),
    plain("reject_unknown_client_hostname"),
    plain("reject_unknown_client"),
    plain("reject_unknown_reverse_client_hostname"),
    plain("reject_invalid_helo_hostname"),
    plain("reject_invalid_hostname"),
    plain("reject_non_fqdn_helo_hostname"),
    plain("reject_non_fqdn_hostname"),
    plain("reject_unknown_helo_hostname"),
    plain("reject_unknown_hostname"),
    plain("reject_non_fqdn_sender"),
    plain("reject_non_fqdn_recipient"),
    plain("reject_unknown_sender_domain"),
    plain("reject_unknown_recipient_domain"),
    plain("reject_unknown_address"),
    plain("reject_unlisted_sender"),
    plain("reject_unlisted_recipient"),
    plain("check_recipient_maps"),
    of("sleep", Argument::Seconds),
    of("reject_rbl_client", Argument::Domain),
    of("reject_rbl", Argument::Domain),
    of("permit_dnswl_client", Argument::Domain),
    of("reject_rhsbl_client", Argument::Domain),
    of("permit_rhswl_client", Argument::Domain),
    of("reject_rhsbl_reverse_client", Argument::Domain),
    of("reject_rhsbl_helo", Argument::Domain),
    of("reject_rhsbl_sender", Argument::Domain),
    of("reject_rhsbl_recipient", Argument::Domain),
    of("check_client_access", Argument::Table),
    of("check_reverse_client_hostname_access", Argument::Table),
    of("check_helo_access", Argument::Table),
    of("check_sender_access", Argument::Table),
    of("check_recipient_access", Argument::Table),
    of("check_etrn_access", Argument::Table),
    of("check_ccert_access", Argument::Table),
    of("check_sasl_access", Argument::Table),
    plain("reject_sender_login_mismatch"),
    plain("reject_authenticated_sender_login_mismatch"),
    plain("reject_unauthenticated_sender_login_mismatch"),
    plain("reject_known_sender_login_mismatch"),
    plain("reject_unverified_sender"),
    plain("reject_unverified_recipient"),
    of("check_policy_service", Argument::Server),
];

/// The restriction of a name, in any case.
pub fn find(name: &str) -> Option<Known> {
    let known = NAMES.iter().find(|known| known.name.eq_ignore_ascii_case(name)).copied();
    known.or_else(|| {
        // As in `check_client_mx_access`.
        let lower = name.to_ascii_lowercase();
        let base = ["_a_access", "_mx_access", "_ns_access"].iter().find_map(|end| lower.strip_suffix(end))?;
        let known = NAMES.iter().find(|known| known.name.strip_suffix("_access") == Some(base))?;
        let is_about_hosts = !matches!(known.name, "check_etrn_access" | "check_sasl_access" | "check_ccert_access");
        is_about_hosts.then_some(*known)
    })
}

/// Whether one of the lists keeps strangers from relaying.
pub fn protects_relay<'a>(names: impl IntoIterator<Item = &'a str>) -> bool {
    names.into_iter().any(|name| RELAY_PROTECTION.contains(&name.to_ascii_lowercase().as_str()))
}

/// What the fatal error says when none does.
pub fn no_relay_protection() -> String {
    let (last, others) = RELAY_PROTECTION.split_last().unwrap_or((&"", &[]));
    format!(
        "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, \
         specify at least one working instance of: {} or {last}",
        others.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_any_case_and_with_what_it_looks_at() {
        let argument = |name: &str| find(name).map(|known| known.argument);
        assert_eq!(argument("Permit_MyNetworks"), Some(Argument::Nothing));
        assert_eq!(argument("check_helo_mx_access"), Some(Argument::Table));
        assert_eq!(argument("check_policy_service"), Some(Argument::Server));
        for unknown in ["check_etrn_mx_access", "check_sasl_a_access", "check_nothing_access", "permit_all"] {
            assert_eq!(argument(unknown), None, "{unknown}");
        }
    }
}
