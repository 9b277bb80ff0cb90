//! From main.cf to [`Settings`]: what comes of several parameters, or opens a table.

use std::rc::Rc;
use std::time::Duration;

use config::param::{self, twin};
use config::{Parameter, Reader, ValueError, Withheld};
use daemon::{Context, Sibling, StartError, UnixSockets};
use dns::Probe;
use lookup::{DomainList, Maps, MatchList, OpenFlags, ParentStyle};
use smtp_client::{ByRecords, LookupRules, Order, Protocol, Services};

use crate::home::BestMx;
use crate::outgoing::Outgoing;
use crate::quirks::Quirks;
use crate::sasl::Sasl;
use crate::settings::{BindRules, Dialogue, FamilyRules, Limits, Reuse, Settings};
use crate::tls;

/// Reads everything. `protocol` decides between `smtp_NAME` and `lmtp_NAME`.
///
/// # Errors
/// A value that makes no sense.
pub fn settings(context: &Context, protocol: Protocol) -> Result<Settings, StartError> {
    let from = &Reader::of(&context.config, protocol.into());
    let certificates = tls::certificate_files(from)?;
    let lookup = LookupRules::read(from)?;
    let client = ::tls::Client::new(context.socket(Sibling::Tlsmgr)?, context.ipc_timeout(), certificates);
    Ok(Settings {
        protocol,
        hostname: from.get(param::MYHOSTNAME)?,
        hello_name: from.get(twin::HELO_NAME)?,
        protocols: context.protocols,
        own: from.config.interfaces()?.all(),
        proxies: from.config.proxies()?.0,
        services: services(from, protocol)?,
        relayhost: from.get(param::RELAYHOST)?,
        fallback: from.get(twin::FALLBACK_RELAY)?,
        order: Order::read(from)?,
        session_limit: from.read(twin::MX_SESSION_LIMIT)?,
        families: FamilyRules::read(from)?,
        lookup,
        bind: BindRules::read(from)?,
        unix_sockets: match protocol {
            Protocol::Lmtp => context.unix_sockets()?,
            Protocol::Smtp => UnixSockets::default(),
        },
        dialogue: Dialogue::read(from)?,
        quirks: Rc::new(Quirks::read(from)?),
        record_filter: maps(from, twin::DNS_REPLY_FILTER)?,
        verbose: context.verbose > 0,
        limits: Limits::read(from)?,
        reuse: Reuse::read(from)?,
        tls: tls::rules(from, lookup)?,
        tls_client: Rc::new(client),
        sasl: Sasl::read(from)?,
        outgoing: Rc::new(Outgoing::read(from, context)?),
        notices: Rc::default(),
        best_mx: BestMx::read(from, context)?,
    })
}

/// What is asked of an agent and is not there.
pub fn withheld(context: &Context, protocol: Protocol) -> Vec<Withheld> {
    // What both have is named for each; the rest is about mail to other hosts.
    let of_protocol = |setting: &str| setting.starts_with("lmtp_") == (protocol == Protocol::Lmtp);
    let all = context.config.withheld("smtp").into_iter();
    all.filter(|setting| of_protocol(setting.name)).collect()
}

fn services(from: &Reader<'_>, protocol: Protocol) -> Result<Services, StartError> {
    let known = Services::new(from.config.ports().map_err(StartError::new)?);
    let default = from.get(twin::TCP_PORT)?;
    let services = known.with_default(protocol, &default);
    let services = services.ok_or_else(|| StartError::new(format!("unknown service: {default}/tcp")))?;
    Ok(services.with_records(ByRecords::These(from.get(param::USE_SRV_LOOKUP)?)))
}

/// dnssec_probe, where validated answers are asked for at all.
///
/// # Errors
/// It is no question.
pub fn probe(context: &Context, rules: LookupRules) -> Result<Option<Probe>, StartError> {
    if !rules.dnssec {
        return Ok(None);
    }
    let text: String = context.config.get(param::DNSSEC_PROBE)?;
    Probe::parse(&text).map_err(|error| StartError::new(error.to_string()))
}

/// SMTP alone has it.
pub fn appeal(from: &Reader<'_>) -> Result<bool, ValueError> {
    Ok(from.agent() == config::Agent::Smtp && from.get(param::SMTP_RETRY_OTHER_FAMILY_ON_POLICY_REJECT)?)
}

/// Servers whose dialogue goes to the log.
pub fn debug_peers(from: &Reader<'_>) -> Result<MatchList, StartError> {
    let (name, listed) = list(from, param::DEBUG_PEER_LIST)?;
    Ok(MatchList::open(from.config, &name, &listed, ParentStyle::in_config(from.config, &name))?)
}

/// Destinations to which connections are kept in any case.
pub fn kept_destinations(from: &Reader<'_>) -> Result<DomainList, StartError> {
    let (name, listed) = list(from, twin::CONNECTION_CACHE_DESTINATIONS)?;
    Ok(DomainList::open(from.config, &name, &listed, ParentStyle::in_config(from.config, &name))?)
}

/// How long a connection waits for the next message: as long as the client keeps it (smtp_connection_cache_time_limit),
/// and no longer than any may be kept (connection_cache_ttl_limit).
pub fn kept_time(from: &Reader<'_>) -> Result<Duration, StartError> {
    let wanted: Duration = from.get(twin::CONNECTION_CACHE_TIME_LIMIT)?;
    let most = from.config.get(param::CONNECTION_CACHE_TTL_LIMIT)?;
    Ok(wanted.min(most).max(Duration::from_millis(1)))
}

/// EHLO keywords as they are compared.
pub fn upper(words: Vec<String>) -> Vec<String> {
    words.into_iter().map(|word| word.to_ascii_uppercase()).collect()
}

/// The tables of a parameter.
///
/// # Errors
/// What is listed is no table.
pub fn maps(from: &Reader<'_>, param: impl Parameter) -> Result<Maps, StartError> {
    maps_as(from, param, OpenFlags::default())
}

/// The tables of a parameter that are not asked as most are.
///
/// # Errors
/// As [`maps`].
pub fn maps_as(from: &Reader<'_>, param: impl Parameter, flags: OpenFlags) -> Result<Maps, StartError> {
    let (name, listed) = list(from, param)?;
    Ok(Maps::open(from.config, &name, &listed, flags)?)
}

/// The name of a parameter, and its expanded text: lists hold more than words.
///
/// # Errors
/// It cannot be expanded.
pub fn list(from: &Reader<'_>, param: impl Parameter) -> Result<(String, String), StartError> {
    let name = from.name(&param).into_owned();
    let listed = from.config.lookup(&name)?.unwrap_or_default();
    Ok((name, listed))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use config::Config;

    use super::*;

    #[test]
    fn a_connection_is_kept_no_longer_than_any_may_be() {
        let kept = |text: &str, protocol: Protocol| {
            let config = Config::parse(text.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap();
            kept_time(&Reader::of(&config, protocol.into())).unwrap().as_secs()
        };
        let wanted = "smtp_connection_cache_time_limit = 300s\nlmtp_connection_cache_time_limit = 200s\n";
        assert_eq!((kept(wanted, Protocol::Smtp), kept(wanted, Protocol::Lmtp)), (2, 2));
        let allowed = format!("{wanted}connection_cache_ttl_limit = 250s\n");
        assert_eq!((kept(&allowed, Protocol::Smtp), kept(&allowed, Protocol::Lmtp)), (250, 200));
    }
}
