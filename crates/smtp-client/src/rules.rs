//! How names are looked up: what main.cf says of it.

use config::param::{self, twin};
use config::{Reader, ValueError};
use dns::Searching;

/// How names are looked up.
#[derive(Clone, Copy, Debug)]
pub struct LookupRules {
    /// Domains have mail exchangers: smtp_dns_support_level, and without it disable_dns_lookups, leave DNS on. It is
    /// DNS that has them, wherever hosts are looked for.
    pub exchangers: bool,
    /// Hosts are looked for in DNS: smtp_host_lookup has dns, and DNS is on.
    pub dns: bool,
    /// smtp_dns_support_level=dnssec: answers are to be validated ones, where there are any.
    pub dnssec: bool,
    /// Hosts are looked for as the system does it: smtp_host_lookup has native, or DNS is off.
    pub native: bool,
    /// smtp_dns_resolver_options.
    pub searching: Searching,
    /// ignore_mx_lookup_error.
    pub ignore_mx_error: bool,
    /// Where SRV records lead nowhere, mail exchangers and addresses count: allow_srv_lookup_fallback.
    pub srv_fallback: bool,
    /// The same where they cannot be had for now: ignore_srv_lookup_error.
    pub ignore_srv_error: bool,
    /// smtp_defer_if_no_mx_address_found.
    pub defer_without_address: bool,
    /// A server has the name that its alias leads to: smtp_cname_overrides_servername.
    pub canonical: bool,
}

impl LookupRules {
    /// Reads them.
    ///
    /// # Errors
    /// A value that makes no sense.
    pub fn read(from: &Reader<'_>) -> Result<Self, ValueError> {
        let methods = from.get(twin::HOST_LOOKUP)?;
        let level = from.get(twin::DNS_SUPPORT_LEVEL)?;
        let exchangers = match level.as_str() {
            // disable_dns_lookups
            "" => !from.get(param::DISABLE_DNS_LOOKUPS)?,
            "disabled" => false,
            _ => true,
        };
        let options = from.get(twin::DNS_RESOLVER_OPTIONS)?;
        let has = |name: &str| methods.iter().any(|method| method == name);
        let option = |name: &str| options.iter().any(|option| option == name);
        Ok(Self {
            searching: Searching { short: option("res_defnames"), all: option("res_dnsrch") },
            exchangers,
            dns: exchangers && has("dns"),
            dnssec: level == "dnssec",
            native: !exchangers || has("native"),
            srv_fallback: from.get(param::ALLOW_SRV_LOOKUP_FALLBACK)?,
            ignore_srv_error: from.get(param::IGNORE_SRV_LOOKUP_ERROR)?,
            ignore_mx_error: from.get(param::IGNORE_MX_LOOKUP_ERROR)?,
            defer_without_address: from.get(twin::DEFER_IF_NO_MX_ADDRESS_FOUND)?,
            canonical: from.get(twin::CNAME_OVERRIDES_SERVERNAME)?,
        })
    }
}
