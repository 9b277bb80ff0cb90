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

/// Ports of nexthops, and which of them are only where SRV records are missing.
#[derive(Clone, Debug)]
pub struct Services {
    known: net::ports::Services,
    smtp: Service,
    lmtp: Service,
    by_records: ByRecords,
}

/// A port, and how it was written.
#[derive(Clone, Debug)]
struct Service {
    name: String,
    port: u16,
}

/// The services whose servers are those of their SRV records.
#[derive(Clone, Debug)]
pub enum ByRecords {
    /// These (use_srv_lookup).
    These(Vec<String>),
    /// All, ports without a name included.
    All,
}

impl Default for Services {
    fn default() -> Self {
        Services::new(net::ports::Services::default())
    }
}

impl Services {
    /// With the default ports of both protocols.
    pub fn new(known: net::ports::Services) -> Self {
        let service = |name: &str, port| Service { name: name.to_owned(), port };
        let by_records = ByRecords::These(Vec::new());
        Services { known, smtp: service("smtp", 25), lmtp: service("24", 24), by_records }
    }

    /// With services that are found by their SRV records.
    #[must_use]
    pub fn with_records(self, by_records: ByRecords) -> Self {
        Services { by_records, ..self }
    }

    /// Whether a service, by its name or as a port is written, is found by SRV records.
    pub fn is_by_records(&self, name: &str) -> bool {
        match &self.by_records {
            ByRecords::These(names) => names.iter().any(|other| other == name),
            ByRecords::All => true,
        }
    }

    /// With other default ports (smtp_tcp_port, lmtp_tcp_port), as a number or a name that is known.
    pub fn with_default(mut self, protocol: Protocol, port: &str) -> Option<Self> {
        let number = port.parse().ok().filter(|number| *number > 0).or_else(|| self.port(port))?;
        let service = Service { name: port.to_owned(), port: number };
        match protocol {
            Protocol::Smtp => self.smtp = service,
            Protocol::Lmtp => self.lmtp = service,
        }
        Some(self)
    }

    /// The port of a service.
    pub fn port(&self, name: &str) -> Option<u16> {
        self.known.port(name)
    }

    /// The port of a nexthop that names none.
    pub fn default_port(&self, protocol: Protocol) -> u16 {
        self.default(protocol).port
    }

    /// The name of that service, or how its port is written.
    pub fn default_name(&self, protocol: Protocol) -> &str {
        &self.default(protocol).name
    }

    fn default(&self, protocol: Protocol) -> &Service {
        match protocol {
            Protocol::Smtp => &self.smtp,
            Protocol::Lmtp => &self.lmtp,
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
