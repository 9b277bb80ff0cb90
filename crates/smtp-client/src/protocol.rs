//! SMTP and LMTP, and their ports.

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
    pub fn of_program(name: &str) -> Option<Self> {
        [Self::Smtp, Self::Lmtp].into_iter().find(|protocol| protocol.name() == name)
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
        assert_eq!(Protocol::of_program("smtp"), Some(Protocol::Smtp));
        assert_eq!(Protocol::of_program("lmtp"), Some(Protocol::Lmtp));
        assert!(Protocol::of_program("smtpd").is_none());
    }

    #[test]
    fn the_default_port_may_be_a_name() {
        let services = Services::new(net::ports::Services::default().read("my-relay 2626/tcp\n"));
        assert_eq!(services.with_default(Protocol::Smtp, "my-relay").unwrap().default_port(Protocol::Smtp), 2626);
    }
}
