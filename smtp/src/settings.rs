//! What main.cf and the system say about sending mail, read once.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use config::Reader;
use config::param::{self, twin};
use daemon::{StartError, UnixSockets};
use lookup::{DomainList, Maps, MatchList};
use net::{Family, Interface, Protocols};
use smtp_client::{LookupRules, Order, Protocol, Services};

use crate::configure;
use crate::home::BestMx;
use crate::notices::Notices;
use crate::outgoing::Outgoing;
use crate::quirks::Quirks;
use crate::sasl::Sasl;
use crate::tls;

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
    /// What is done about servers that need it.
    pub quirks: Rc<Quirks>,
    /// smtp_dns_reply_filter.
    pub record_filter: Maps,
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
    /// What becomes of messages on their way out.
    pub outgoing: Rc<Outgoing>,
    /// What is told of servers.
    pub notices: Rc<Notices>,
    /// Who gets mail for which this machine is the best that there is; `None`: nobody.
    pub best_mx: Option<BestMx>,
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

config::settings! {
    /// Source addresses of connections.
    #[derive(Clone, Debug)]
    pub struct BindRules {
        v4: String = twin::BIND_ADDRESS,
        v6: String = twin::BIND_ADDRESS6,
        enforce: bool = twin::BIND_ADDRESS_ENFORCE,
        /// Of the windows of connections, in bytes; 0: the system's.
        window: u32 = param::TCP_WINDOWSIZE,
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
        /// `None` is no limit.
        line_limit: Option<usize> = twin::LINE_LENGTH_LIMIT,
        /// 8-bit content is converted for servers that do not take it.
        convert: bool = param::DISABLE_MIME_OUTPUT_CONVERSION => |disabled: bool| !disabled,
        /// Multiparts within each other that a conversion follows.
        mime_limits: message::mime::Limits => |from: &Reader<'_>| from.config.mime_limits(),
        quote_envelope: bool = twin::QUOTE_RFC821_ENVELOPE,
        send_xforward: bool = twin::SEND_XFORWARD_COMMAND,
        /// Probes end after the reply to DATA.
        probes_data: bool = twin::ADDRESS_VERIFY_TARGET => |stage: String| stage == "data",
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
        /// They are for a request and its whole reply, and not for each read and write.
        whole: bool = twin::PER_REQUEST_DEADLINE,
        /// Bytes of a content that earn another second, where they are for the whole.
        rate: u32 = twin::MIN_DATA_RATE,
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
        idle: Duration => configure::kept_time,
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
