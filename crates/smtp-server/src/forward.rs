//! What XFORWARD says: the client that an earlier server of ours took the message from.
//!
//! It goes into log lines and into the envelope, for the logs of later hops; it decides nothing but whether headers are
//! completed with this system's domain.

use std::net::IpAddr;

use net::peer::UNKNOWN;

/// The origin of a message, as far as it was told. Forgotten with the transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forward {
    /// Something was said of the client: all that was not said of it is unknown.
    pub has_client: bool,
    /// NAME
    pub name: Option<String>,
    /// ADDR
    pub address: Option<IpAddr>,
    /// PORT
    pub port: Option<String>,
    /// PROTO
    pub protocol: Option<String>,
    /// HELO
    pub helo: Option<String>,
    /// IDENT: the queue id at that server.
    pub ident: Option<String>,
    /// SOURCE: whether the message comes from inside.
    pub local: Option<bool>,
}

impl Forward {
    /// `name[address]` of the original client, `name` alone without an address; nothing when nothing was said of it.
    /// `shows_port`: smtpd_client_port_logging
    pub fn label(&self, shows_port: bool) -> Option<String> {
        let name = self.name.as_deref().unwrap_or(UNKNOWN);
        self.has_client.then(|| match self.address {
            Some(address) => {
                let port =
                    if shows_port { format!(":{}", self.port.as_deref().unwrap_or(UNKNOWN)) } else { String::new() };
                format!("{name}[{}]{port}", net::address::Shown(address))
            }
            None => name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_without_an_address_has_no_brackets() {
        let mut forward = Forward::default();
        assert_eq!(forward.label(false), None);
        forward.has_client = true;
        assert_eq!(forward.label(false).as_deref(), Some("unknown"));
        forward.address = "2001:db8:7::9".parse().ok();
        assert_eq!(forward.label(false).as_deref(), Some("unknown[2001:db8:7::9]"));
        assert_eq!(forward.label(true).as_deref(), Some("unknown[2001:db8:7::9]:unknown"));
        forward.port = Some("9".to_owned());
        assert_eq!(forward.label(true).as_deref(), Some("unknown[2001:db8:7::9]:9"));
        forward.name = Some("fw.example".to_owned());
        assert_eq!(forward.label(false).as_deref(), Some("fw.example[2001:db8:7::9]"));
    }
}
