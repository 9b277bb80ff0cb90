//! From where a message is to where it is to go, as far as TLS is concerned: what tables call it, and what is said when
//! it leads nowhere.

use dsn::Status;
use queue::{QueueId, SendOptions};
use smtp_client::{Endpoint, Server};

use super::level::Features;
use crate::failure::Failure;
use crate::sasl::Purpose;

/// What mail is to go where.
#[derive(Clone, Copy)]
pub struct Way<'a> {
    /// The next-hop destination as it is written.
    pub nexthop: &'a str,
    /// The server.
    pub server: &'a Server,
    /// What the message asks for.
    pub options: SendOptions,
    /// Its name, for the log.
    pub queue_id: &'a QueueId,
    /// myhostname
    pub hostname: &'a str,
}

impl<'a> Way<'a> {
    /// What a session with a server is wanted for.
    pub fn of(purpose: &Purpose<'a>, server: &'a Server, hostname: &'a str) -> Self {
        let Purpose { nexthop, queue_id, options, .. } = *purpose;
        Self { nexthop, server, options, queue_id, hostname }
    }

    /// The destination as tables have it.
    pub fn key(&self) -> &'a str {
        let stripped = self.nexthop.strip_prefix("inet:").or_else(|| self.nexthop.strip_prefix("unix:"));
        stripped.unwrap_or(self.nexthop)
    }

    /// The destination's domain, host or address, without brackets and port; myhostname for a socket.
    pub fn domain(&self) -> &'a str {
        match &self.server.endpoint {
            Endpoint::Unix(_) => self.hostname,
            Endpoint::Internet(_) => domain_of(self.key()),
        }
    }

    /// T6: whoever has written main.cf or its tables has to look at them.
    pub fn misconfigured(&self) -> Failure {
        self.refused(Status::new(4, 7, 5), "client TLS configuration problem".to_owned(), Features::unknown())
    }

    pub fn without_anchors(&self, why: &str) -> Failure {
        logging::warning!("error opening trust anchor file: {}", text::printable(why.as_bytes()));
        self.misconfigured()
    }

    pub fn refused(&self, status: Status, reason: String, features: Features) -> Failure {
        let host = text::printable(self.server.name.as_bytes());
        match &self.server.endpoint {
            Endpoint::Unix(path) => {
                logging::warning!("TLS policy lookup error for {host}/{}: {reason}", path.display());
            }
            Endpoint::Internet(_) => {
                let nexthop = text::printable(self.key().as_bytes());
                logging::warning!("TLS policy lookup for {nexthop}/{host}: {reason}");
            }
        }
        Failure::of_host(status, reason).with_tls(features)
    }
}

/// A destination without brackets and port.
fn domain_of(key: &str) -> &str {
    match key.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host.strip_prefix("IPv6:").or_else(|| host.strip_prefix("ipv6:")).unwrap_or(host),
        None if net::address::parse(key.as_bytes()).is_some() => key,
        None => key.rsplit_once(':').map_or(key, |(host, _)| host),
    }
}
