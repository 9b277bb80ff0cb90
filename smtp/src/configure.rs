//! From main.cf to [`Settings`]. The parameters of smtp and lmtp differ in the first part of their names.

use std::rc::Rc;
use std::time::Duration;

use config::{Config, OLD_DEFAULT, Param, Withheld, param};
use daemon::{Context, StartError, UnixSockets};
use dns::Searching;
use lookup::{DomainList, Maps, MatchList, OpenFlags, ParentStyle};
use net::Family;

use crate::order::{Order, Preference};
use crate::protection::{Level, Protection};
use crate::settings::{BindRules, Dialogue, FamilyRules, Limits, LookupRules, Protocol, Reuse, Services, Settings};

/// Reads everything. `protocol` decides between `smtp_NAME` and `lmtp_NAME`.
///
/// # Errors
/// A value that makes no sense.
pub fn settings(context: &Context, protocol: Protocol) -> Result<Settings, StartError> {
    let reader = Reader { config: &context.config, protocol, verbose: context.verbose > 0 };
    let config = reader.config;
    Ok(Settings {
        protocol,
        hostname: config.get(param::MYHOSTNAME)?,
        hello_name: reader.get(param::SMTP_HELO_NAME, param::LMTP_LHLO_NAME)?,
        protocols: context.protocols,
        own: config.interfaces()?.all(),
        proxies: config.proxies()?.0,
        services: reader.services()?,
        relayhost: config.get(param::RELAYHOST)?,
        fallback: reader.get(param::SMTP_FALLBACK_RELAY, param::LMTP_FALLBACK_RELAY)?,
        order: reader.order()?,
        session_limit: reader.count(param::SMTP_MX_SESSION_LIMIT, param::LMTP_MX_SESSION_LIMIT)?,
        families: reader.families()?,
        lookup: reader.lookup()?,
        bind: BindRules {
            v4: reader.get(param::SMTP_BIND_ADDRESS, param::LMTP_BIND_ADDRESS)?,
            v6: reader.get(param::SMTP_BIND_ADDRESS6, param::LMTP_BIND_ADDRESS6)?,
            enforce: reader.get(param::SMTP_BIND_ADDRESS_ENFORCE, param::LMTP_BIND_ADDRESS_ENFORCE)?,
        },
        unix_sockets: match protocol {
            Protocol::Lmtp => context.unix_sockets()?,
            Protocol::Smtp => UnixSockets::default(),
        },
        dialogue: reader.dialogue()?,
        limits: reader.limits()?,
        reuse: reader.reuse()?,
        protection: reader.protection()?,
        notices: Rc::default(),
    })
}

/// What is asked of an agent and what [`Protection`] does not answer for each delivery.
pub fn withheld(context: &Context, protocol: Protocol) -> Vec<Withheld> {
    let answered = |setting: &str| {
        let rest = setting.split_once('_').map_or("", |(_, rest)| rest);
        rest.starts_with("tls_") || rest.starts_with("sasl_") || rest == "enforce_tls"
    };
    // What both have is named for each; the rest is about mail to other hosts.
    let of_protocol = |setting: &str| setting.starts_with("lmtp_") == (protocol == Protocol::Lmtp);
    let all = context.config.withheld("smtp").into_iter();
    all.filter(|setting| !answered(setting.name) && of_protocol(setting.name)).collect()
}

struct Reader<'a> {
    config: &'a Config,
    protocol: Protocol,
    verbose: bool,
}

impl Reader<'_> {
    fn get<T: config::Value>(&self, smtp: Param<T>, lmtp: Param<T>) -> Result<T, StartError> {
        let chosen = match self.protocol {
            Protocol::Smtp => smtp,
            Protocol::Lmtp => lmtp,
        };
        Ok(self.config.get(chosen)?)
    }

    fn count(&self, smtp: Param<i64>, lmtp: Param<i64>) -> Result<usize, StartError> {
        Ok(usize::try_from(self.get(smtp, lmtp)?).unwrap_or(0))
    }

    fn services(&self) -> Result<Services, StartError> {
        let known = Services::new(net::ports::Services::of_machine());
        let default = self.get(param::SMTP_TCP_PORT, param::LMTP_TCP_PORT)?;
        known
            .with_default(self.protocol, &default)
            .ok_or_else(|| StartError::new(format!("unknown service: {default}/tcp")))
    }

    fn order(&self) -> Result<Order, StartError> {
        let value = self.get(param::SMTP_ADDRESS_PREFERENCE, param::LMTP_ADDRESS_PREFERENCE)?;
        let preference = match value.as_str() {
            "ipv4" => Preference::First(Family::V4),
            "ipv6" => Preference::First(Family::V6),
            _ => Preference::Any,
        };
        Ok(Order {
            preference,
            randomize: self.get(param::SMTP_RANDOMIZE_ADDRESSES, param::LMTP_RANDOMIZE_ADDRESSES)?,
            limit: self.count(param::SMTP_MX_ADDRESS_LIMIT, param::LMTP_MX_ADDRESS_LIMIT)?,
            balance: self.get(param::SMTP_BALANCE_INET_PROTOCOLS, param::LMTP_BALANCE_INET_PROTOCOLS)?,
        })
    }

    fn families(&self) -> Result<FamilyRules, StartError> {
        let delay = self.get(param::SMTP_CONNECTION_ATTEMPT_DELAY, param::LMTP_CONNECTION_ATTEMPT_DELAY)?;
        let appeal = self.config.get(param::SMTP_RETRY_OTHER_FAMILY_ON_POLICY_REJECT)?;
        Ok(FamilyRules {
            attempt_delay: (!delay.is_zero()).then_some(delay),
            appeal: appeal && self.protocol == Protocol::Smtp,
        })
    }

    fn lookup(&self) -> Result<LookupRules, StartError> {
        let methods = self.get(param::SMTP_HOST_LOOKUP, param::LMTP_HOST_LOOKUP)?;
        let level = self.get(param::SMTP_DNS_SUPPORT_LEVEL, param::LMTP_DNS_SUPPORT_LEVEL)?;
        let exchangers = match level.as_str() {
            // disable_dns_lookups
            "" => !self.config.get(param::DISABLE_DNS_LOOKUPS)?,
            "disabled" => false,
            _ => true,
        };
        let options = self.get(param::SMTP_DNS_RESOLVER_OPTIONS, param::LMTP_DNS_RESOLVER_OPTIONS)?;
        let has = |name: &str| methods.iter().any(|method| method == name);
        let option = |name: &str| options.iter().any(|option| option == name);
        Ok(LookupRules {
            searching: Searching { short: option("res_defnames"), all: option("res_dnsrch") },
            exchangers,
            dns: exchangers && has("dns"),
            native: !exchangers || has("native"),
            ignore_mx_error: self.config.get(param::IGNORE_MX_LOOKUP_ERROR)?,
            defer_without_address: self
                .get(param::SMTP_DEFER_IF_NO_MX_ADDRESS_FOUND, param::LMTP_DEFER_IF_NO_MX_ADDRESS_FOUND)?,
        })
    }

    fn dialogue(&self) -> Result<Dialogue, StartError> {
        let discard = self.get(param::SMTP_DISCARD_EHLO_KEYWORDS, param::LMTP_DISCARD_LHLO_KEYWORDS)?;
        let name = param::DEBUG_PEER_LIST.name();
        let listed = self.config.lookup(name)?.unwrap_or_default();
        let line_limit = self.count(param::SMTP_LINE_LENGTH_LIMIT, param::LMTP_LINE_LENGTH_LIMIT)?;
        Ok(Dialogue {
            never_ehlo: self.config.get(param::SMTP_NEVER_SEND_EHLO)?,
            always_ehlo: self.config.get(param::SMTP_ALWAYS_SEND_EHLO)?,
            skip_5xx_greeting: self.get(param::SMTP_SKIP_5XX_GREETING, param::LMTP_SKIP_5XX_GREETING)?,
            skip_quit_response: self.get(param::SMTP_SKIP_QUIT_RESPONSE, param::LMTP_SKIP_QUIT_RESPONSE)?,
            discard_keywords: discard.iter().map(|keyword| keyword.to_ascii_uppercase()).collect(),
            line_limit: (line_limit > 0).then_some(line_limit),
            mime_nesting_limit: self.count(param::MIME_NESTING_LIMIT, param::MIME_NESTING_LIMIT)?.saturating_add(2),
            convert: !self.config.get(param::DISABLE_MIME_OUTPUT_CONVERSION)?,
            quote_envelope: self.get(param::SMTP_QUOTE_RFC821_ENVELOPE, param::LMTP_QUOTE_RFC821_ENVELOPE)?,
            send_xforward: self.get(param::SMTP_SEND_XFORWARD_COMMAND, param::LMTP_SEND_XFORWARD_COMMAND)?,
            debug_peers: MatchList::open(self.config, name, &listed, ParentStyle::in_config(self.config, name))?,
            verbose: self.verbose,
        })
    }

    fn limits(&self) -> Result<Limits, StartError> {
        Ok(Limits {
            connect: self.get(param::SMTP_CONNECT_TIMEOUT, param::LMTP_CONNECT_TIMEOUT)?,
            hello: self.get(param::SMTP_HELO_TIMEOUT, param::LMTP_LHLO_TIMEOUT)?,
            mail: self.get(param::SMTP_MAIL_TIMEOUT, param::LMTP_MAIL_TIMEOUT)?,
            rcpt: self.get(param::SMTP_RCPT_TIMEOUT, param::LMTP_RCPT_TIMEOUT)?,
            data_init: self.get(param::SMTP_DATA_INIT_TIMEOUT, param::LMTP_DATA_INIT_TIMEOUT)?,
            data_transfer: self.get(param::SMTP_DATA_XFER_TIMEOUT, param::LMTP_DATA_XFER_TIMEOUT)?,
            xforward: self.get(param::SMTP_XFORWARD_TIMEOUT, param::LMTP_XFORWARD_TIMEOUT)?,
            data_done: self.get(param::SMTP_DATA_DONE_TIMEOUT, param::LMTP_DATA_DONE_TIMEOUT)?,
            rset: self.get(param::SMTP_RSET_TIMEOUT, param::LMTP_RSET_TIMEOUT)?,
            quit: self.get(param::SMTP_QUIT_TIMEOUT, param::LMTP_QUIT_TIMEOUT)?,
        })
    }

    fn reuse(&self) -> Result<Reuse, StartError> {
        let idle = self.get(param::SMTP_CONNECTION_CACHE_TIME_LIMIT, param::LMTP_CONNECTION_CACHE_TIME_LIMIT)?;
        let uses = self.count(param::SMTP_CONNECTION_REUSE_COUNT_LIMIT, param::LMTP_CONNECTION_REUSE_COUNT_LIMIT)?;
        let name = match self.protocol {
            Protocol::Smtp => param::SMTP_CONNECTION_CACHE_DESTINATIONS.name(),
            Protocol::Lmtp => param::LMTP_CONNECTION_CACHE_DESTINATIONS.name(),
        };
        let listed = self.config.lookup(name)?.unwrap_or_default();
        let parents = ParentStyle::in_config(self.config, name);
        Ok(Reuse {
            on_demand: self.get(param::SMTP_CONNECTION_CACHE_ON_DEMAND, param::LMTP_CONNECTION_CACHE_ON_DEMAND)?,
            destinations: DomainList::open(self.config, name, &listed, parents)?,
            idle: idle.max(Duration::from_millis(1)),
            age: self.get(param::SMTP_CONNECTION_REUSE_TIME_LIMIT, param::LMTP_CONNECTION_REUSE_TIME_LIMIT)?,
            uses: u32::try_from(uses).unwrap_or(u32::MAX),
        })
    }

    fn protection(&self) -> Result<Protection, StartError> {
        let per_site = self.get(param::SMTP_TLS_PER_SITE, param::LMTP_TLS_PER_SITE)?;
        let enforce = self.get(param::SMTP_ENFORCE_TLS, param::LMTP_ENFORCE_TLS)?;
        let wrapper = self.get(param::SMTP_TLS_WRAPPERMODE, param::LMTP_TLS_WRAPPERMODE)?;
        let level = self.get(param::SMTP_TLS_SECURITY_LEVEL, param::LMTP_TLS_SECURITY_LEVEL)?;
        let level = match level.as_str() {
            // What cannot be known or is not there must not be sent in the clear.
            _ if wrapper || !per_site.is_empty() => Level::Required,
            "" if enforce => Level::Required,
            "" if self.get(param::SMTP_USE_TLS, param::LMTP_USE_TLS)? => Level::May,
            "" => Level::None,
            word => Level::parse(word).ok_or_else(|| {
                let name = self.protocol.name();
                StartError::new(format!("invalid TLS level \"{word}\" in parameter {name}_tls_security_level"))
            })?,
        };
        let policies = self.maps(param::SMTP_TLS_POLICY_MAPS, param::LMTP_TLS_POLICY_MAPS)?;
        let passwords = if self.get(param::SMTP_SASL_AUTH_ENABLE, param::LMTP_SASL_AUTH_ENABLE)? {
            self.maps(param::SMTP_SASL_PASSWORD_MAPS, param::LMTP_SASL_PASSWORD_MAPS)?
        } else {
            Maps::none("")
        };
        let log_feature = self.config.modern_log()
            && self.get(param::SMTP_LOG_TLS_FEATURE_STATUS, param::LMTP_LOG_TLS_FEATURE_STATUS)?;
        let name = match self.protocol {
            Protocol::Smtp => param::SMTP_TLS_SECURITY_LEVEL.name(),
            Protocol::Lmtp => param::LMTP_TLS_SECURITY_LEVEL.name(),
        };
        let is_old = self.config.backwards_compatible_default(name).is_some();
        let old_default = is_old.then(|| format!("{OLD_DEFAULT} {name}=(empty)"));
        Ok(Protection { level, policies, passwords, old_default, log_feature })
    }

    fn maps(&self, smtp: Param<Vec<String>>, lmtp: Param<Vec<String>>) -> Result<Maps, StartError> {
        let name = if self.protocol == Protocol::Smtp { smtp.name() } else { lmtp.name() };
        let list = self.config.lookup(name)?.unwrap_or_default();
        Ok(Maps::open(self.config, name, &list, OpenFlags::default())?)
    }
}
