//! How much one client may do: connections at a time, and connections, messages, recipients and logins in a time,
//! counted by anvil.
//!
//! An anvil that is not there stops no mail: that is logged, and nothing is limited. Clients in
//! smtpd_client_event_limit_exceptions are not counted, nor are those that may be anybody with XCLIENT.

use std::net::IpAddr;
use std::rc::Rc;

use config::param;
use ipc::anvil::{Counted, Counter, Event};
use net::Cidr;
use smtp_server::{Peer, UNKNOWN};

config::settings! {
    /// The limits; 0 is none.
    #[derive(Clone, Debug)]
    pub struct ClientLimits {
        auth_rate: u32 = param::SMTPD_CLIENT_AUTH_RATE_LIMIT,
        new_tls_rate: u32 = param::SMTPD_CLIENT_NEW_TLS_SESSION_RATE_LIMIT,
        connection_count: u32 = param::SMTPD_CLIENT_CONNECTION_COUNT_LIMIT,
        connection_rate: u32 = param::SMTPD_CLIENT_CONNECTION_RATE_LIMIT,
        message_rate: u32 = param::SMTPD_CLIENT_MESSAGE_RATE_LIMIT,
        recipient_rate: u32 = param::SMTPD_CLIENT_RECIPIENT_RATE_LIMIT,
        v4_prefix: u8 = param::SMTPD_CLIENT_IPV4_PREFIX_LENGTH,
        v6_prefix: u8 = param::SMTPD_CLIENT_IPV6_PREFIX_LENGTH,
    }
}

impl ClientLimits {
    /// Nothing is limited.
    pub fn is_empty(&self) -> bool {
        let rates = [self.auth_rate, self.connection_rate, self.message_rate, self.new_tls_rate, self.recipient_rate];
        self.connection_count == 0 && rates == [0; 5]
    }

    /// What anvil knows a client by: `service:address`, `service:network/length` where many addresses are one client.
    fn identity(&self, service: &str, address: Option<IpAddr>) -> String {
        let Some(address) = address else { return format!("{service}:{UNKNOWN}") };
        let (length, whole) = match address {
            IpAddr::V4(_) => (self.v4_prefix, 32),
            IpAddr::V6(_) => (self.v6_prefix, 128),
        };
        if length >= whole {
            return format!("{service}:{}", net::address::Shown(address));
        }
        let network = Cidr::around(address, length).network();
        format!("{service}:{}/{length}", net::address::Shown(network))
    }
}

/// A client that is counted, and by what anvil knows it.
pub struct CountedClient {
    identity: String,
    /// Connections at the same time, when it came.
    pub connections: u32,
    /// Dropped, its connection is released.
    _connection: Counted,
}

/// Who counts, by which limits.
pub struct Counting<'a> {
    /// The limits.
    pub limits: &'a ClientLimits,
    /// anvil
    pub anvil: &'a Rc<Counter>,
    /// Name of the service in master.cf.
    pub service: &'a str,
}

impl Counting<'_> {
    /// Counts the client's connection. False when that is one too many.
    pub async fn connection(&self, peer: &Peer) -> (Option<CountedClient>, bool) {
        let identity = self.limits.identity(self.service, peer.address);
        let (connection, counts) = match self.anvil.connection(&identity).await {
            Ok(counted) => counted,
            Err(error) => {
                self.is_lost(&error);
                return (None, true);
            }
        };
        let exceeds = |count, limit| limit > 0 && count > limit;
        let fine = if exceeds(counts.connections, self.limits.connection_count) {
            self.log("Connection concurrency", counts.connections, peer)
        } else if exceeds(counts.rate, self.limits.connection_rate) {
            self.log("Connection rate", counts.rate, peer)
        } else {
            true
        };
        (Some(CountedClient { identity, connections: counts.connections, _connection: connection }), fine)
    }

    /// Counts a message, a recipient or a login; true if it is one too many.
    pub async fn exceeds(&self, what: smtp_server::Counted, client: &CountedClient, peer: &Peer) -> bool {
        let (event, limit, name) = match what {
            smtp_server::Counted::Message => {
                (Event::Message, self.limits.message_rate, "Message delivery request rate")
            }
            smtp_server::Counted::Login => (Event::Auth, self.limits.auth_rate, "AUTH command rate"),
            smtp_server::Counted::NewTls => (Event::NewTls, self.limits.new_tls_rate, "New TLS session rate"),
            smtp_server::Counted::Recipient => (Event::Recipient, self.limits.recipient_rate, "Recipient address rate"),
        };
        if limit == 0 {
            return false;
        }
        match self.anvil.count(event, &client.identity).await {
            Ok(counts) if counts.rate > limit => !self.log(name, counts.rate, peer),
            Ok(_) => false,
            Err(error) => {
                self.is_lost(&error);
                false
            }
        }
    }

    /// Whether the client has had as many TLS sessions as it may; logged.
    pub async fn has_too_many_tls_sessions(&self, client: &CountedClient, peer: &Peer) -> bool {
        if self.limits.new_tls_rate == 0 {
            return false;
        }
        match self.anvil.look(Event::NewTls, &client.identity).await {
            Ok(counts) if counts.rate > self.limits.new_tls_rate => {
                logging::warning!("Refusing STARTTLS request from {} for service {}", peer.label, self.service);
                true
            }
            Ok(_) => false,
            Err(error) => {
                self.is_lost(&error);
                false
            }
        }
    }

    /// The line about a limit that was exceeded. False: the client does not go on.
    fn log(&self, what: &str, count: u32, peer: &Peer) -> bool {
        logging::warning!("{what} limit exceeded: {count} from {} for service {}", peer.label, self.service);
        false
    }

    fn is_lost(&self, error: &ipc::IpcError) {
        logging::warning!("problem talking to server {}: {error}", self.anvil.path().display());
    }
}
