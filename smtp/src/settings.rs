//! What main.cf and the system say about sending mail, read once.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use daemon::UnixSockets;
use dns::Searching;
use lookup::{DomainList, MatchList};
use net::{Family, Interface, Protocols};

use crate::notices::Notices;
use crate::order::Order;
use crate::protection::Protection;

/// The protocol that an agent speaks; both are one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 5321.
    Smtp,
    /// RFC 2033.
    Lmtp,
}

impl Protocol {
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
    /// Time limits.
    pub limits: Limits,
    /// Connections that are kept.
    pub reuse: Reuse,
    /// What must not be sent without.
    pub protection: Protection,
    /// What is told of servers.
    pub notices: Rc<Notices>,
}

/// How one address family stands in for the other.
#[derive(Clone, Copy, Debug)]
pub struct FamilyRules {
    /// smtp_connection_attempt_delay; `None`: one address after the other.
    pub attempt_delay: Option<Duration>,
    /// smtp_retry_other_family_on_policy_reject.
    pub appeal: bool,
}

/// How names are looked up.
#[derive(Clone, Copy, Debug)]
pub struct LookupRules {
    /// Domains have mail exchangers: smtp_dns_support_level, and without it disable_dns_lookups, leave DNS on. It is DNS that
    /// has them, wherever hosts are looked for.
    pub exchangers: bool,
    /// Hosts are looked for in DNS: smtp_host_lookup has dns, and DNS is on.
    pub dns: bool,
    /// Hosts are looked for as the system does it: smtp_host_lookup has native, or DNS is off.
    pub native: bool,
    /// smtp_dns_resolver_options.
    pub searching: Searching,
    /// ignore_mx_lookup_error.
    pub ignore_mx_error: bool,
    /// smtp_defer_if_no_mx_address_found.
    pub defer_without_address: bool,
}

/// Source addresses of connections.
#[derive(Clone, Debug)]
pub struct BindRules {
    /// smtp_bind_address.
    pub v4: String,
    /// smtp_bind_address6.
    pub v6: String,
    /// smtp_bind_address_enforce.
    pub enforce: bool,
}

/// What may be said to servers.
#[derive(Clone)]
pub struct Dialogue {
    /// smtp_never_send_ehlo.
    pub never_ehlo: bool,
    /// smtp_always_send_ehlo; if off, only to servers whose greeting has the word ESMTP.
    pub always_ehlo: bool,
    /// smtp_skip_5xx_greeting.
    pub skip_5xx_greeting: bool,
    /// smtp_skip_quit_response.
    pub skip_quit_response: bool,
    /// smtp_discard_ehlo_keywords, upper case.
    pub discard_keywords: Vec<String>,
    /// smtp_line_length_limit; `None` is no limit.
    pub line_limit: Option<usize>,
    /// 8-bit content is converted for servers that do not take it: disable_mime_output_conversion is off.
    pub convert: bool,
    /// Multiparts within each other that a conversion follows: mime_nesting_limit, and the two that Postfix takes beyond it.
    pub mime_nesting_limit: usize,
    /// smtp_quote_rfc821_envelope.
    pub quote_envelope: bool,
    /// smtp_send_xforward_command.
    pub send_xforward: bool,
    /// debug_peer_list: servers whose dialogue goes to the log.
    pub debug_peers: MatchList,
    /// `-v` in master.cf: that with every server does.
    pub verbose: bool,
}

/// Time limits of the stages of a session.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// smtp_connect_timeout; zero is the system's.
    pub connect: Duration,
    /// smtp_helo_timeout: greeting, EHLO, HELO.
    pub hello: Duration,
    /// smtp_mail_timeout.
    pub mail: Duration,
    /// smtp_rcpt_timeout.
    pub rcpt: Duration,
    /// smtp_data_init_timeout.
    pub data_init: Duration,
    /// smtp_data_xfer_timeout.
    pub data_transfer: Duration,
    /// smtp_data_done_timeout.
    pub data_done: Duration,
    /// smtp_xforward_timeout.
    pub xforward: Duration,
    /// smtp_rset_timeout.
    pub rset: Duration,
    /// smtp_quit_timeout.
    pub quit: Duration,
}

/// Connections that are kept for the next message.
#[cfg_attr(test, derive(Clone))]
pub struct Reuse {
    /// smtp_connection_cache_on_demand: where qmgr says so.
    pub on_demand: bool,
    /// smtp_connection_cache_destinations: always.
    pub destinations: DomainList,
    /// smtp_connection_cache_time_limit.
    pub idle: Duration,
    /// smtp_connection_reuse_time_limit.
    pub age: Duration,
    /// smtp_connection_reuse_count_limit; 0 is no limit.
    pub uses: u32,
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
    fn the_default_port_may_be_a_name() {
        let services = Services::new(net::ports::Services::default().read("my-relay 2626/tcp\n"));
        assert_eq!(services.with_default(Protocol::Smtp, "my-relay").unwrap().default_port(Protocol::Smtp), 2626);
    }
}
