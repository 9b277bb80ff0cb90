//! What main.cf and the system say about sending mail, read once.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use config::Reader;
use config::param::{self, twin};
use daemon::{StartError, UnixSockets};
use dns::Searching;
use lookup::{DomainList, MatchList};
use net::{Family, Interface, Protocols};

use crate::configure;
use crate::notices::Notices;
use crate::order::Order;
use crate::sasl::Sasl;
use crate::tls;

/// The protocol that an agent speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 5321.
    Smtp,
    /// RFC 2033.
    Lmtp,
}

impl From<Protocol> for config::Agent {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Smtp => config::Agent::Smtp,
            Protocol::Lmtp => config::Agent::Lmtp,
        }
    }
}

impl From<config::Agent> for Protocol {
    fn from(agent: config::Agent) -> Self {
        match agent {
            config::Agent::Smtp => Protocol::Smtp,
            config::Agent::Lmtp => Protocol::Lmtp,
        }
    }
}

impl Protocol {
    /// That of the program with this name.
    ///
    /// # Errors
    /// No agent is called so.
    pub fn of_program(name: &str) -> Result<Self, StartError> {
        let found = [Self::Smtp, Self::Lmtp].into_iter().find(|protocol| protocol.name() == name);
        found.ok_or_else(|| StartError::new(format!("{name}: neither smtp nor lmtp")))
    }

    /// The program's name, and the first part of its parameters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Lmtp => "lmtp",
        }
    }

    /// What reports call the program.
    pub fn client(self) -> &'static str {
        match self {
            Self::Smtp => "SMTP client",
            Self::Lmtp => "LMTP client",
        }
    }
}

/// Everything that a delivery needs to know.
#[cfg_attr(test, derive(Clone))]
pub struct Settings {
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// myhostname.
    pub hostname: String,
    /// smtp_helo_name, lmtp_lhlo_name.
    pub hello_name: String,
    /// inet_protocols, and what the kernel has.
    pub protocols: Protocols,
    /// inet_interfaces: the addresses of this machine.
    pub own: Vec<Interface>,
    /// proxy_interfaces.
    pub proxies: Vec<IpAddr>,
    /// Ports by name.
    pub services: Services,
    /// relayhost, which may be a list; empty: none.
    pub relayhost: String,
    /// smtp_fallback_relay.
    pub fallback: Vec<String>,
    /// How addresses are ordered.
    pub order: Order,
    /// smtp_mx_session_limit; 0 is no limit.
    pub session_limit: usize,
    /// How one address family stands in for the other.
    pub families: FamilyRules,
    /// How names are looked up.
    pub lookup: LookupRules,
    /// Source addresses.
    pub bind: BindRules,
    /// How sockets of this machine are reached (LMTP).
    pub unix_sockets: UnixSockets,
    /// What may be said to servers.
    pub dialogue: Dialogue,
    /// `-v` in master.cf: the dialogue with every server goes to the log.
    pub verbose: bool,
    /// Time limits.
    pub limits: Limits,
    /// Connections that are kept.
    pub reuse: Reuse,
    /// What is asked of connections.
    pub tls: tls::Rules,
    /// How TLS sessions are made.
    pub tls_client: Rc<::tls::Client>,
    /// Logins; `None` where nobody logs in.
    pub sasl: Option<Rc<Sasl>>,
    /// What is told of servers.
    pub notices: Rc<Notices>,
}

config::settings! {
    /// How one address family stands in for the other.
    #[derive(Clone, Copy, Debug)]
    pub struct FamilyRules {
        /// `None`: one address after the other.
        attempt_delay: Option<Duration> = twin::CONNECTION_ATTEMPT_DELAY,
        /// smtp_retry_other_family_on_policy_reject.
        appeal: bool => configure::appeal,
    }
}

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
    /// smtp_defer_if_no_mx_address_found.
    pub defer_without_address: bool,
}

config::settings! {
    /// Source addresses of connections.
    #[derive(Clone, Debug)]
    pub struct BindRules {
        v4: String = twin::BIND_ADDRESS,
        v6: String = twin::BIND_ADDRESS6,
        enforce: bool = twin::BIND_ADDRESS_ENFORCE,
    }
}

config::settings! {
    /// What may be said to servers.
    #[derive(Clone)]
    pub struct Dialogue, error StartError {
        never_ehlo: bool = param::SMTP_NEVER_SEND_EHLO,
        /// If off, only to servers whose greeting has the word ESMTP.
        always_ehlo: bool = param::SMTP_ALWAYS_SEND_EHLO,
        skip_5xx_greeting: bool = twin::SKIP_5XX_GREETING,
        skip_quit_response: bool = twin::SKIP_QUIT_RESPONSE,
        /// Upper case.
        discard_keywords: Vec<String> = twin::DISCARD_EHLO_KEYWORDS => configure::upper,
        /// `None` is no limit.
        line_limit: Option<usize> = twin::LINE_LENGTH_LIMIT,
        /// 8-bit content is converted for servers that do not take it.
        convert: bool = param::DISABLE_MIME_OUTPUT_CONVERSION => |disabled: bool| !disabled,
        /// Multiparts within each other that a conversion follows.
        mime_nesting_limit: usize => |from: &Reader<'_>| from.config.mime_nesting_limit(),
        quote_envelope: bool = twin::QUOTE_RFC821_ENVELOPE,
        send_xforward: bool = twin::SEND_XFORWARD_COMMAND,
        /// debug_peer_list: servers whose dialogue goes to the log.
        debug_peers: MatchList => configure::debug_peers,
    }
}

config::settings! {
    /// Time limits of the stages of a session.
    #[derive(Clone, Copy, Debug)]
    pub struct Limits {
        /// Zero is the system's.
        connect: Duration = twin::CONNECT_TIMEOUT,
        /// Greeting, EHLO, HELO.
        hello: Duration = twin::HELO_TIMEOUT,
        mail: Duration = twin::MAIL_TIMEOUT,
        rcpt: Duration = twin::RCPT_TIMEOUT,
        data_init: Duration = twin::DATA_INIT_TIMEOUT,
        data_transfer: Duration = twin::DATA_XFER_TIMEOUT,
        data_done: Duration = twin::DATA_DONE_TIMEOUT,
        xforward: Duration = twin::XFORWARD_TIMEOUT,
        rset: Duration = twin::RSET_TIMEOUT,
        quit: Duration = twin::QUIT_TIMEOUT,
        /// A TLS handshake.
        starttls: Duration = twin::STARTTLS_TIMEOUT,
    }
}

config::settings! {
    /// Connections that are kept for the next message.
    #[cfg_attr(test, derive(Clone))]
    pub struct Reuse, error StartError {
        /// Where qmgr says so.
        on_demand: bool = twin::CONNECTION_CACHE_ON_DEMAND,
        /// smtp_connection_cache_destinations: always.
        destinations: DomainList => configure::kept_destinations,
        idle: Duration = twin::CONNECTION_CACHE_TIME_LIMIT => |limit: Duration| limit.max(Duration::from_millis(1)),
        age: Duration = twin::CONNECTION_REUSE_TIME_LIMIT,
        /// 0 is no limit.
        uses: u32 = twin::CONNECTION_REUSE_COUNT_LIMIT,
    }
}

impl Settings {
    /// Whether an address is one of this machine, or of a proxy in front of it.
    pub fn is_own(&self, address: IpAddr) -> bool {
        net::interfaces::is_own(&self.own, address) || self.proxies.contains(&address)
    }
}

impl BindRules {
    /// The parameter for a family: its name without the agent's, and its value.
    pub fn of(&self, family: Family) -> (&'static str, &str) {
        match family {
            Family::V4 => ("bind_address", &self.v4),
            Family::V6 => ("bind_address6", &self.v6),
        }
    }
}

/// Ports of nexthops.
#[derive(Clone, Debug)]
pub struct Services {
    known: net::ports::Services,
    smtp: u16,
    lmtp: u16,
}

impl Default for Services {
    fn default() -> Self {
        Services::new(net::ports::Services::default())
    }
}

impl Services {
    /// With the default ports of both protocols.
    pub fn new(known: net::ports::Services) -> Self {
        Services { known, smtp: 25, lmtp: 24 }
    }

    /// With other default ports (smtp_tcp_port, lmtp_tcp_port), as a number or a name that is known.
    pub fn with_default(mut self, protocol: Protocol, port: &str) -> Option<Self> {
        let number = port.parse().ok().filter(|number| *number > 0).or_else(|| self.port(port))?;
        match protocol {
            Protocol::Smtp => self.smtp = number,
            Protocol::Lmtp => self.lmtp = number,
        }
        Some(self)
    }

    /// The port of a service.
    pub fn port(&self, name: &str) -> Option<u16> {
        self.known.port(name)
    }

    /// The port of a nexthop that names none.
    pub fn default_port(&self, protocol: Protocol) -> u16 {
        match protocol {
            Protocol::Smtp => self.smtp,
            Protocol::Lmtp => self.lmtp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_speaks_the_protocol_that_it_is_named_after() {
        assert_eq!(Protocol::of_program("smtp").ok(), Some(Protocol::Smtp));
        assert_eq!(Protocol::of_program("lmtp").ok(), Some(Protocol::Lmtp));
        assert!(Protocol::of_program("smtpd").is_err());
    }

    #[test]
    fn the_default_port_may_be_a_name() {
        let services = Services::new(net::ports::Services::default().read("my-relay 2626/tcp\n"));
        assert_eq!(services.with_default(Protocol::Smtp, "my-relay").unwrap().default_port(Protocol::Smtp), 2626);
    }
}
