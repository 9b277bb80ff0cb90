//! A nexthop as transport tables, relayhost and transports write it.
//!
//! A nexthop that makes no sense fails the message that has it and no other: it is a value from a table, and must never
//! end the agent.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use net::HostPort;
use net::endpoint::EndpointError;

use crate::protocol::{Protocol, Services};

/// Where a message is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A host or a domain.
    Internet {
        /// Host name, domain or numeric address, without brackets.
        host: String,
        /// How its servers are found.
        lookup: Lookup,
        /// The port.
        port: u16,
        /// Before that: the service of the host whose SRV records name servers and ports, `submission`.
        service: Option<String>,
    },
    /// A socket on this machine (LMTP).
    Unix(PathBuf),
}

/// How the servers of a destination are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// By mail exchanger.
    MailExchanger,
    /// By address.
    Address,
    /// It is an address.
    Literal(IpAddr),
}

impl Destination {
    /// Reads one nexthop; the first look-up is by mail exchanger for SMTP, unless brackets forbid it.
    ///
    /// # Errors
    /// The nexthop makes no sense; the message is deferred.
    pub fn parse(nexthop: &str, protocol: Protocol, services: &Services) -> Result<Self, BadDestination> {
        let text = match protocol {
            Protocol::Lmtp => match nexthop.split_once(':') {
                Some(("unix", path)) => return Ok(Self::Unix(PathBuf::from(path))),
                Some(("inet", rest)) => rest,
                _ => nexthop,
            },
            Protocol::Smtp => nexthop,
        };
        let bad = |error| BadDestination::Syntax { error, nexthop: text.to_owned() };
        let parsed = HostPort::parse_server(text).map_err(bad)?;
        let host = parsed.host.clone().ok_or_else(|| bad(EndpointError::InvalidHost))?;
        let port = port(&parsed, protocol, services, text)?;
        let lookup = match net::address::parse(host.as_bytes()) {
            Some(address) => Lookup::Literal(address),
            None if parsed.bracketed || protocol == Protocol::Lmtp => Lookup::Address,
            None => Lookup::MailExchanger,
        };
        let name = parsed.port.as_deref().unwrap_or_else(|| services.default_name(protocol));
        let by_records = !parsed.bracketed && !matches!(lookup, Lookup::Literal(_)) && services.is_by_records(name);
        Ok(Self::Internet { host, lookup, port, service: by_records.then(|| name.to_owned()) })
    }
}

fn port(parsed: &HostPort, protocol: Protocol, services: &Services, text: &str) -> Result<u16, BadDestination> {
    let Some(name) = &parsed.port else {
        return Ok(services.default_port(protocol));
    };
    match parsed.port_number() {
        Ok(Some(number)) => Ok(number),
        Ok(None) => services.port(name).ok_or_else(|| BadDestination::Service(name.clone())),
        Err(_) => Err(BadDestination::Port { port: name.clone(), nexthop: text.to_owned() }),
    }
}

/// Why a nexthop makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadDestination {
    /// Its brackets or its host.
    Syntax {
        /// What is wrong.
        error: EndpointError,
        /// The nexthop.
        nexthop: String,
    },
    /// A number that is no port.
    Port {
        /// The number.
        port: String,
        /// The nexthop.
        nexthop: String,
    },
    /// A service name that the services database lacks.
    Service(String),
}

impl fmt::Display for BadDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { error, nexthop } => {
                write!(f, "{error} in server description: {nexthop}")?;
                match net::brackets::in_server(nexthop) {
                    Some(right) => write!(f, ", write {right}"),
                    None => Ok(()),
                }
            }
            Self::Port { port, nexthop } => write!(f, "bad network port: {port} for destination: {nexthop}"),
            Self::Service(name) => write!(f, "unknown service: {name}/tcp"),
        }
    }
}

impl std::error::Error for BadDestination {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ByRecords;

    fn parse(nexthop: &str, protocol: Protocol) -> Result<Destination, String> {
        Destination::parse(nexthop, protocol, &Services::default()).map_err(|error| error.to_string())
    }

    fn smtp(nexthop: &str) -> (String, Lookup, u16) {
        match parse(nexthop, Protocol::Smtp).unwrap() {
            Destination::Internet { host, lookup, port, .. } => (host, lookup, port),
            Destination::Unix(_) => panic!("a Unix socket"),
        }
    }

    #[test]
    fn brackets_forbid_the_mail_exchanger_look_up_and_addresses_need_none() {
        let literal = |text: &str| Lookup::Literal(text.parse().unwrap());
        for (nexthop, host, lookup, port) in [
            ("example.test", "example.test", Lookup::MailExchanger, 25),
            ("example.test:2525", "example.test", Lookup::MailExchanger, 2525),
            ("[example.test]:submission", "example.test", Lookup::Address, 587),
            ("[10.1.2.11]", "10.1.2.11", literal("10.1.2.11"), 25),
            ("10.1.2.11", "10.1.2.11", literal("10.1.2.11"), 25),
            ("[2001:db8::1]:", "2001:db8::1", literal("2001:db8::1"), 25),
            ("[IPv6:2001:db8::1]:smtp", "2001:db8::1", literal("2001:db8::1"), 25),
            ("2001:db8:1::11:2525", "2001:db8:1::11", literal("2001:db8:1::11"), 2525),
        ] {
            assert_eq!(smtp(nexthop), (host.to_owned(), lookup, port), "{nexthop}");
        }
    }

    #[test]
    fn a_service_has_records_where_it_is_listed_and_no_brackets_forbid_it() {
        let listed = Services::default().with_records(ByRecords::These(vec!["smtp".into(), "submission".into()]));
        let all = Services::default().with_records(ByRecords::All);
        let service = |nexthop: &str, services: &Services| match Destination::parse(nexthop, Protocol::Smtp, services) {
            Ok(Destination::Internet { service, .. }) => service,
            other => panic!("{other:?}"),
        };
        for (nexthop, of_list, of_all) in [
            ("d.test", Some("smtp"), Some("smtp")),
            ("d.test:submission", Some("submission"), Some("submission")),
            ("d.test:587", None, Some("587")),
            ("[d.test]:submission", None, None),
            ("192.0.2.1:submission", None, None),
        ] {
            assert_eq!(service(nexthop, &listed).as_deref(), of_list, "{nexthop}");
            assert_eq!(service(nexthop, &all).as_deref(), of_all, "{nexthop}");
        }
    }

    #[test]
    fn a_bad_nexthop_says_why() {
        for (nexthop, text) in [
            ("[::1", "missing \"]\" in server description: [::1"),
            ("[::1]2525", "garbage after \"]\" in server description: [::1]2525"),
            (
                "2001:db8:1::11",
                "valid hostname or network address required in server description: 2001:db8:1::11, write [2001:db8:1::11]",
            ),
            ("inet:h:1", "valid hostname or network address required in server description: inet:h:1"),
            ("[::1]:99999", "bad network port: 99999 for destination: [::1]:99999"),
            ("h:nosuch", "unknown service: nosuch/tcp"),
        ] {
            assert_eq!(parse(nexthop, Protocol::Smtp), Err(text.to_owned()));
        }
    }

    #[test]
    fn lmtp_has_unix_sockets_and_never_mail_exchangers() {
        assert_eq!(parse("unix:private/x", Protocol::Lmtp), Ok(Destination::Unix("private/x".into())));
        let expected =
            Destination::Internet { host: "h.test".into(), lookup: Lookup::Address, port: 24, service: None };
        assert_eq!(parse("inet:h.test", Protocol::Lmtp), Ok(expected.clone()));
        assert_eq!(parse("h.test", Protocol::Lmtp), Ok(expected));
    }
}
