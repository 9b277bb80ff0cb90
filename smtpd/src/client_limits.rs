//! How much one client may do: connections at a time, and connections, messages and recipients in a time, counted by anvil.
//!
//! An anvil that is not there stops no mail: that is logged, and nothing is limited. Clients in
//! smtpd_client_event_limit_exceptions are not counted, nor are those that may be anybody with XCLIENT.

use std::net::IpAddr;
use std::rc::Rc;

use config::param;
use ipc::anvil::{Counted, Event};
use net::Cidr;
use smtp_protocol::Reply;

use crate::peer::{Peer, UNKNOWN};
use crate::session::{End, Session};
use crate::worker::Smtpd;

config::settings! {
    /// The limits; 0 is none.
    #[derive(Clone, Debug)]
    pub struct ClientLimits {
        connection_count: u32 = param::SMTPD_CLIENT_CONNECTION_COUNT_LIMIT,
        connection_rate: u32 = param::SMTPD_CLIENT_CONNECTION_RATE_LIMIT,
        message_rate: u32 = param::SMTPD_CLIENT_MESSAGE_RATE_LIMIT,
        recipient_rate: u32 = param::SMTPD_CLIENT_RECIPIENT_RATE_LIMIT,
        v4_prefix: u8 = param::SMTPD_CLIENT_IPV4_PREFIX_LENGTH,
        v6_prefix: u8 = param::SMTPD_CLIENT_IPV6_PREFIX_LENGTH,
    }
}

impl ClientLimits {
    fn is_empty(&self) -> bool {
        [self.connection_count, self.connection_rate, self.message_rate, self.recipient_rate] == [0; 4]
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

/// A client that is counted.
pub struct CountedClient {
    identity: String,
    /// Dropped, its connection is released.
    _connection: Counted,
}

/// Whether the client is counted at all.
fn is_counted(worker: &Smtpd, peer: &Peer, anybody: bool) -> bool {
    // smtpd_client_event_limit_exceptions; what cannot be looked up is no reason to slow a client down.
    !anybody && !worker.limits.is_empty() && !peer.is_in(&worker.tables.limit_exceptions).unwrap_or(true)
}

impl Session {
    /// Counts the client's connection, and turns it down if it is one too many.
    pub async fn count_connection(&mut self) -> Result<(), End> {
        self.counted = None;
        if !is_counted(&self.worker, &self.peer, self.xclient_allowed) {
            return Ok(());
        }
        let worker = Rc::clone(&self.worker);
        let limits = &worker.limits;
        let identity = limits.identity(&worker.service_name, self.peer.address);
        let (connection, counts) = match worker.anvil.connection(&identity).await {
            Ok(counted) => counted,
            Err(error) => {
                self.anvil_is_lost(&error);
                return Ok(());
            }
        };
        self.counted = Some(CountedClient { identity, _connection: connection });
        let exceeds = |count, limit| limit > 0 && count > limit;
        if exceeds(counts.connections, limits.connection_count) {
            self.log_limit("Connection concurrency", counts.connections);
        } else if exceeds(counts.rate, limits.connection_rate) {
            self.log_limit("Connection rate", counts.rate);
        } else {
            return Ok(());
        }
        let text =
            format!("{} Error: too many connections from {}", worker.settings.myhostname, self.peer.address_text());
        self.reply(Reply::with_status(421, "4.7.0", text));
        Err(End::Done)
    }

    /// Counts a message; true if it is one too many.
    pub async fn is_message_too_many(&mut self) -> bool {
        let limit = self.worker.limits.message_rate;
        self.exceeds(Event::Message, limit, "Message delivery request rate").await
    }

    /// Counts a recipient; true if it is one too many.
    pub async fn is_recipient_too_many(&mut self) -> bool {
        let limit = self.worker.limits.recipient_rate;
        self.exceeds(Event::Recipient, limit, "Recipient address rate").await
    }

    async fn exceeds(&self, event: Event, limit: u32, what: &str) -> bool {
        let Some(client) = self.counted.as_ref().filter(|_| limit > 0) else { return false };
        match self.worker.anvil.count(event, &client.identity).await {
            Ok(counts) if counts.rate > limit => {
                self.log_limit(what, counts.rate);
                true
            }
            Ok(_) => false,
            Err(error) => {
                self.anvil_is_lost(&error);
                false
            }
        }
    }

    fn log_limit(&self, what: &str, count: u32) {
        let service = &self.worker.service_name;
        logging::warning!("{what} limit exceeded: {count} from {} for service {service}", self.peer.label);
    }

    fn anvil_is_lost(&self, error: &ipc::IpcError) {
        logging::warning!("problem talking to server {}: {error}", self.worker.anvil.path().display());
    }
}
