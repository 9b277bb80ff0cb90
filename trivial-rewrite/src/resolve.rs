//! From an address to class, transport and nexthop.

use config::{Config, param};
use daemon::StartError;
use ipc::rewrite::{Class, Resolved};

use crate::classes::Classes;
use crate::routes::{NoRoute, Routes};
use crate::standard::Standard;

/// Everything that resolving needs.
pub(crate) struct Resolver {
    classes: Classes,
    mail: Routes,
    probes: Routes,
    rules: Rules,
}

/// The small rules of main.cf.
struct Rules {
    myhostname: Vec<u8>,
    empty_recipient: Vec<u8>,
    null_domain_is_local: bool,
    numeric_domain_is_literal: bool,
    dequoted: bool,
    allow_min_user: bool,
}

/// An address with everything taken off that this system has to do with.
struct Reduced {
    local: Vec<u8>,
    /// None: the address had no domain at all.
    domain: Option<Vec<u8>>,
    is_local: bool,
}

/// Domains that may be taken off one address (`a%b%c@d`).
const MAX_ROUNDS: usize = 100;

impl Resolver {
    /// Reads the settings and opens the tables.
    pub(crate) fn read(config: &Config) -> Result<Self, StartError> {
        Ok(Self {
            classes: Classes::read(config)?,
            mail: Routes::read(config, false)?,
            probes: Routes::read(config, true)?,
            rules: Rules {
                myhostname: config.get(param::MYHOSTNAME)?.into_bytes(),
                empty_recipient: config.get(param::EMPTY_ADDRESS_RECIPIENT)?.into_bytes(),
                null_domain_is_local: config.get(param::RESOLVE_NULL_DOMAIN)?,
                numeric_domain_is_literal: config.get(param::RESOLVE_NUMERIC_DOMAIN)?,
                dequoted: config.get(param::RESOLVE_DEQUOTED_ADDRESS)?,
                allow_min_user: config.get(param::ALLOW_MIN_USER)?,
            },
        })
    }

    /// Where mail for the address goes.
    pub(crate) fn resolve(&self, standard: &Standard, sender: &[u8], address: &[u8], verify: bool) -> Resolved {
        let Ok(reduced) = self.reduce(standard, address) else { return failed(address) };
        let domain = reduced.domain.clone().unwrap_or_else(|| self.rules.myhostname.clone());
        let local = if reduced.local.is_empty() { self.rules.empty_recipient.clone() } else { reduced.local };
        let mut resolved = Resolved {
            transport: String::new(),
            nexthop: Vec::new(),
            recipient: [&local, &b"@"[..], &domain].concat(),
            class: Class::Default,
            routed: local.iter().any(|byte| b"@!%".contains(byte)),
            bad_syntax: false,
            failed: false,
        };
        let Some(domain) = self.checked(domain) else {
            resolved.bad_syntax = true;
            return resolved;
        };
        resolved.recipient = [&local, &b"@"[..], &domain].concat();
        // allow_min_user
        resolved.bad_syntax = local.starts_with(b"-") && !self.rules.allow_min_user;
        let class = if reduced.is_local {
            self.classes.warn_if_virtual_too(&domain);
            Ok(Class::Local)
        } else {
            self.classes.of_remote(&domain)
        };
        let routes = if verify { &self.probes } else { &self.mail };
        let route = class.map_err(NoRoute::from).and_then(|class| {
            resolved.class = class;
            routes.find(class, sender, &resolved.recipient, &domain)
        });
        match route {
            Ok(route) => (resolved.transport, resolved.nexthop) = (route.transport, route.nexthop),
            Err(NoRoute) => resolved.failed = true,
        }
        resolved
    }

    pub(crate) fn changed(&self) -> Option<String> {
        self.classes.changed().or_else(|| self.mail.changed()).or_else(|| self.probes.changed())
    }

    /// Takes local domains off as long as what is left names another place.
    fn reduce(&self, standard: &Standard, address: &[u8]) -> Result<Reduced, NoRoute> {
        let mut address = address.to_vec();
        let mut own: Option<Vec<u8>> = None;
        for _ in 0..MAX_ROUNDS {
            let (local, domain) = address::split(&address);
            if let Some(domain) = domain {
                let domain = domain.strip_suffix(b".").unwrap_or(domain);
                // resolve_null_domain
                if domain.is_empty() && !self.rules.null_domain_is_local {
                    return Ok(Reduced { local: local.to_vec(), domain: Some(Vec::new()), is_local: false });
                }
                if !domain.is_empty() && !self.classes.is_local(domain)? {
                    return Ok(Reduced { local: local.to_vec(), domain: Some(domain.to_vec()), is_local: false });
                }
                own = Some(domain.to_vec()).filter(|domain| !domain.is_empty());
            }
            let next = self.routing_in(standard, local);
            match next {
                Some(next) => address = next,
                None => return Ok(Reduced { local: local.to_vec(), domain: own, is_local: true }),
            }
        }
        Ok(Reduced { local: address, domain: own, is_local: true })
    }

    /// The address that a local part stands for when it routes further.
    fn routing_in(&self, standard: &Standard, local: &[u8]) -> Option<Vec<u8>> {
        // resolve_dequoted_address: an operator in a quoted local part counts too; the internal form has no quotes.
        if !self.rules.dequoted && !address::is_dot_string(local) {
            return None;
        }
        let next = standard.without_routing(local);
        (next != local || local.contains(&b'@')).then_some(next)
    }

    /// The domain if it is a host name or an address literal; a bare address is one only by request.
    fn checked(&self, domain: Vec<u8>) -> Option<Vec<u8>> {
        if domain.starts_with(b"[") {
            return match net::literal::check_mailhost(&domain) {
                Ok(_) => Some(domain),
                Err(error) => {
                    logging::warning!("{error}");
                    None
                }
            };
        }
        if net::literal::is_valid_v4(&domain) {
            // resolve_numeric_domain
            return self.rules.numeric_domain_is_literal.then(|| [b"[", domain.as_slice(), b"]"].concat());
        }
        // A name in another script is a host name once it is encoded.
        (net::hostname::is_valid(&domain) || (!domain.is_ascii() && std::str::from_utf8(&domain).is_ok()))
            .then_some(domain)
    }
}

fn failed(address: &[u8]) -> Resolved {
    Resolved {
        transport: String::new(),
        nexthop: Vec::new(),
        recipient: address.to_vec(),
        class: Class::Default,
        routed: false,
        bad_syntax: false,
        failed: true,
    }
}
