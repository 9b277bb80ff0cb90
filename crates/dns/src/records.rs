//! Records that name the hosts of a domain.

use std::fmt;

/// One mail exchanger of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailExchanger {
    /// Lower is better.
    pub preference: u16,
    /// Its name, without final dot, or what stands in the place of one: an address.
    pub host: String,
}

/// The mail exchangers of a domain, in the order of the answer.
pub type MailExchangers = Vec<MailExchanger>;

/// What an SRV record says beside a host (RFC 2782).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Lower is better.
    pub priority: u16,
    /// The share of the clients that the host is to have among those of its priority.
    pub weight: u16,
    /// Where the service is.
    pub port: u16,
}

impl fmt::Display for Offer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.priority, self.weight, self.port)
    }
}

/// Hosts that have a service, named as [`MailExchanger::host`], in the order of the answer.
pub type Offers = Vec<(Offer, String)>;
