//! From an address to class, transport and nexthop.

use config::{Config, param};
use daemon::StartError;
use ipc::rewrite::{Class, Context, Resolved};
use lookup::settled;

use crate::classes::Classes;
use crate::routes::{MAIL, Mail, NoRoute, PROBES, Routes};
use crate::standard::{Standard, without_final_dot};

/// Everything that resolving needs.
pub(crate) struct Resolver {
    classes: Classes,
    mail: Routes,
    probes: Routes,
    rules: Rules,
}

config::settings! {
    /// The small rules of main.cf.
    struct Rules {
        myhostname: Vec<u8> = param::MYHOSTNAME,
        empty_recipient: Vec<u8> = param::EMPTY_ADDRESS_RECIPIENT,
        null_domain_is_local: bool = param::RESOLVE_NULL_DOMAIN,
        numeric_domain_is_literal: bool = param::RESOLVE_NUMERIC_DOMAIN,
        dequoted: bool = param::RESOLVE_DEQUOTED_ADDRESS,
        allow_min_user: bool = param::ALLOW_MIN_USER,
    }
}

/// An address with everything taken off that this system has to do with.
struct Reduced {
    local: Vec<u8>,
    /// None: the address had no domain at all.
    domain: Option<Vec<u8>>,
    is_local: bool,
}

/// Domains that may be taken off one address (`a%b%c@d`). told: the sender; with more of them it is no address.
const MAX_ROUNDS: usize = 100;

impl Resolver {
    /// Reads the settings and opens the tables.
    pub(crate) fn read(config: &Config) -> Result<Self, StartError> {
        Ok(Self {
            classes: Classes::read(config)?,
            mail: Routes::read(config, &MAIL)?,
            probes: Routes::read(config, &PROBES)?,
            rules: Rules::read(config)?,
        })
    }

    /// Whether a domain is of one of the address classes.
    pub(crate) fn knows(&self, domain: &[u8]) -> bool {
        let is_remote = || self.classes.of_remote(domain).is_ok_and(|class| class != Class::Default);
        self.classes.is_local(domain).unwrap_or(false) || is_remote()
    }

    /// Where mail for the address goes.
    pub(crate) async fn resolve(&self, standard: &Standard, sender: &[u8], address: &[u8], verify: bool) -> Resolved {
        // A name that ends at a NUL for one program and goes on for the next is none.
        if address.contains(&0) {
            return Resolved { bad_syntax: true, failed: false, ..failed(address) };
        }
        let reduced = match self.reduce(standard, address) {
            Ok(Some(reduced)) => reduced,
            Ok(None) => return Resolved { bad_syntax: true, failed: false, ..failed(address) },
            Err(NoRoute) => return failed(address),
        };
        let domain = reduced.domain.clone().unwrap_or_else(|| self.rules.myhostname.clone());
        // empty_address_recipient
        let nobody = reduced.local.is_empty() && (reduced.is_local || domain.is_empty());
        let local = if nobody { self.rules.empty_recipient.clone() } else { reduced.local };
        let mut resolved = Resolved {
            transport: String::new(),
            nexthop: Vec::new(),
            recipient: [&local, &b"@"[..], &domain].concat(),
            class: Class::Default,
            routed: local.iter().any(|byte| b"@!%".contains(byte)),
            bad_syntax: false,
            failed: false,
        };
        if !self.is_valid(&domain) {
            resolved.bad_syntax = true;
            return resolved;
        }
        // allow_min_user
        resolved.bad_syntax = local.starts_with(b"-") && !self.rules.allow_min_user;
        // Nobody is at home where this host's name is.
        let is_local = reduced.is_local && (!address.is_empty() || self.classes.is_local(&domain).unwrap_or(true));
        let class = if is_local {
            self.classes.warn_if_virtual_too(&domain);
            Ok(Class::Local)
        } else {
            self.classes.of_remote(&domain)
        };
        let routes = if verify { &self.probes } else { &self.mail };
        let is_ours = |domain: &[u8]| {
            domain.eq_ignore_ascii_case(&standard.myorigin) || self.classes.is_local(domain).unwrap_or(false)
        };
        let route = match class {
            Err(error) => Err(NoRoute::from(error)),
            Ok(class) => {
                resolved.class = class;
                let recipient = &resolved.recipient;
                let mail = Mail { class, sender, recipient, domain: &domain, is_ours: &is_ours };
                settled(|| routes.find(&mail)).await
            }
        };
        match route {
            Ok(route) => (resolved.transport, resolved.nexthop) = (route.transport, route.nexthop),
            Err(NoRoute) => resolved.failed = true,
        }
        resolved
    }

    pub(crate) fn changed(&self) -> Option<String> {
        self.classes.changed().or_else(|| self.mail.changed()).or_else(|| self.probes.changed())
    }

    /// Takes local domains off as long as what is left names another place; `None` if there is no end of them.
    fn reduce(&self, standard: &Standard, address: &[u8]) -> Result<Option<Reduced>, NoRoute> {
        let mut address = address.to_vec();
        let mut own: Option<Vec<u8>> = None;
        for _ in 0..MAX_ROUNDS {
            let (local, domain) = address::split(&address);
            if let Some(domain) = domain {
                let domain = without_final_dot(domain);
                // resolve_null_domain
                if domain.is_empty() && !self.rules.null_domain_is_local {
                    return Ok(Some(Reduced { local: local.to_vec(), domain: Some(Vec::new()), is_local: false }));
                }
                let domain = self.literal(domain);
                if !domain.is_empty() && !self.classes.is_local(&domain)? {
                    return Ok(Some(Reduced { local: local.to_vec(), domain: Some(domain), is_local: false }));
                }
                own = Some(domain).filter(|domain| !domain.is_empty());
            }
            let next = self.routing_in(standard, local);
            match next {
                Some(next) => address = next,
                None => return Ok(Some(Reduced { local: local.to_vec(), domain: own, is_local: true })),
            }
        }
        Ok(None)
    }

    /// The address that a local part stands for when it routes further.
    fn routing_in(&self, standard: &Standard, local: &[u8]) -> Option<Vec<u8>> {
        // resolve_dequoted_address: an operator in a quoted local part counts too; the internal form has no quotes.
        if !self.rules.dequoted && !address::is_dot_string(local) {
            return None;
        }
        // swap_bangpath, allow_percent_hack
        let routes = local.contains(&b'@')
            || (standard.swap_bangpath && local.contains(&b'!'))
            || (standard.allow_percent_hack && local.contains(&b'%'));
        routes.then(|| standard.rewrite(Context::Local, local))
    }

    /// A bare network address in brackets, if resolve_numeric_domain says that it is one.
    fn literal(&self, domain: &[u8]) -> Vec<u8> {
        let bare = || net::literal::is_valid_v4(domain) || net::literal::is_valid_v6(domain);
        if self.rules.numeric_domain_is_literal && bare() {
            return [b"[", domain, b"]"].concat();
        }
        domain.to_vec()
    }

    /// Whether the domain is a host name or an address literal.
    fn is_valid(&self, domain: &[u8]) -> bool {
        if let Some(inner) = domain.strip_prefix(b"[") {
            // What resolve_numeric_domain has put into brackets is valid without the prefix of IPv6 literals.
            let bare = inner.strip_suffix(b"]").unwrap_or(inner);
            if self.rules.numeric_domain_is_literal && net::literal::is_valid_v6(bare) {
                return true;
            }
            return match net::literal::check_mailhost(domain) {
                Ok(_) => true,
                Err(error) => {
                    logging::warning!("{error}");
                    false
                }
            };
        }
        // A name in another script is a host name once it is encoded.
        let encoded = || net::idna::to_ascii(std::str::from_utf8(domain).ok()?);
        net::hostname::is_valid(domain) || encoded().is_some_and(|name| net::hostname::is_valid(name.as_bytes()))
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
