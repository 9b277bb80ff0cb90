//! The addresses that an inet service of master.cf is served at, and the judgement whether anybody could be served at
//! all.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;

use net::{EndpointError, Family, HostPort, Protocols, Shown};

use crate::absent::{Absent, Source, Why};
use crate::error::ConfigError;
use crate::master_cf::{MasterCf, ServiceEntry, ServiceKind};
use crate::param;
use crate::settings::Config;

/// Where an inet service is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// What its sockets are bound to, as soon as that can be done.
    pub addresses: Vec<SocketAddr>,
    /// What has no address that a socket could be bound to.
    pub absent: Vec<Absent>,
    /// Who names the addresses.
    pub source: Source,
    /// The canonical name of the service: the same for every spelling, and whatever its names stand for.
    pub canonical: String,
}

impl Listening {
    /// An address that turned out not to be there.
    pub fn without(&self, address: SocketAddr) -> Absent {
        Absent::of_socket(self.source.clone(), address)
    }
}

impl Config {
    /// Where an inet service of a master.cf is served.
    ///
    /// # Errors
    /// The text behind `fatal: `, for what is wrong in itself.
    pub fn listening(&self, entry: &ServiceEntry, master_cf: &Path, protocols: Protocols) -> Result<Listening, String> {
        let place = format!("{}: line {}", master_cf.display(), entry.line);
        let at_line = |text: String| format!("{place}: {text}");
        let hint =
            || net::brackets::in_endpoint(&entry.name).map(|right| format!(", write \"{right}\"")).unwrap_or_default();
        let endpoint = HostPort::parse_service(&entry.name)
            .map_err(|error| at_line(format!("{error} in \"{}\"{}", entry.name, hint())))?;
        let port = match self.ports()?.port_of(&endpoint) {
            // The sentence about it has an address in it.
            Err(EndpointError::UnknownService(_)) => Ok(0),
            other => other.map_err(|error| at_line(format!("{error} in \"{}\"", entry.name))),
        }?;
        let mut listening = match &endpoint.host {
            Some(host) => {
                let bad = || at_line(format!("bad hostname or network address: {}{}", entry.name, hint()));
                let addresses = resolve(host, port, protocols).ok_or_else(bad)?;
                let canonical = format!("[{host}]:{port}");
                Listening { addresses, absent: Vec::new(), source: Source::Service(place.clone()), canonical }
            }
            None => self.own_listening(port, protocols).map_err(|error| match error {
                OwnError::Empty => at_line(
                    "service definition requires valid host name or address, or non-empty inet_interfaces setting"
                        .to_owned(),
                ),
                OwnError::Config(text) => text,
            })?,
        };
        if let (0, Some(name)) = (port, &endpoint.port) {
            let address = listening.addresses.first().map(|address| Shown(address.ip()).to_string());
            let host = address.or(endpoint.host).unwrap_or_default();
            return Err(format!("{host}:{name}: Servname not supported for ai_socktype"));
        }
        if listening.addresses.is_empty() && listening.absent.is_empty() {
            let (source, item) = (listening.source.clone(), entry.name.clone());
            listening.absent.push(Absent { source, item, address: None, why: Why::NoSuchName });
        }
        Ok(listening)
    }

    /// Where a service is served whose name is a port alone; for `all`, at one wildcard a family.
    fn own_listening(&self, port: u16, protocols: Protocols) -> Result<Listening, OwnError> {
        let text = |error: ConfigError| OwnError::Config(error.to_string());
        let value =
            self.own_text(param::INET_INTERFACES.name()).map_err(|error| OwnError::Config(error.to_string()))?;
        let mut listening = Listening {
            addresses: Vec::new(),
            absent: Vec::new(),
            source: Source::Parameter("inet_interfaces"),
            canonical: port.to_string(),
        };
        // inet_interfaces
        if value == "all" {
            let wildcard = |family| match family {
                Family::V4 => SocketAddr::from(([0, 0, 0, 0], port)),
                Family::V6 => SocketAddr::from(([0u16; 8], port)),
            };
            listening.addresses = protocols.families().map(wildcard).collect();
            return Ok(listening);
        }
        let own = self.interfaces().map_err(text)?;
        if own.found.is_empty() && own.absent.is_empty() {
            return Err(OwnError::Empty);
        }
        listening.addresses = own.found.iter().map(|interface| interface.socket_address(port)).collect();
        listening.absent = own.absent;
        Ok(listening)
    }

    /// inet_interfaces as it is written, expanded.
    pub fn interfaces_setting(&self) -> String {
        self.own_text(param::INET_INTERFACES.name()).unwrap_or_default()
    }

    /// Why nobody could be served from the network with these files, if that is so: no address that is asked for is
    /// there. It looks at the addresses as they are now, and not at who has their ports.
    pub fn serves_nobody(&self, file: &Path, master_cf: &MasterCf) -> Result<Option<String>, String> {
        if let Some(why) = self.no_address().map_err(|error| error.to_string())? {
            return Ok(Some(why));
        }
        let protocols = self.protocols().map_err(|error| error.to_string())?;
        let mut nobody = None;
        for listening in self.inet_services(file, master_cf, protocols)? {
            if listening.addresses.iter().any(|address| net::presence::can_bind(*address)) {
                return Ok(None);
            }
            let unbound = || listening.addresses.first().map(|address| listening.without(*address));
            nobody = nobody.or_else(|| listening.absent.first().cloned().or_else(unbound));
        }
        Ok(nobody.map(|absent| absent.to_string()))
    }

    /// What is asked for in these files and is not there now, each once.
    pub fn absent_addresses(&self, file: &Path, master_cf: &MasterCf) -> Result<Vec<Absent>, String> {
        let text = |error: ConfigError| error.to_string();
        let protocols = self.protocols().map_err(text)?;
        let mut absent = self.interfaces().map_err(text)?.absent;
        for listening in self.inet_services(file, master_cf, protocols)? {
            let missing = listening.addresses.iter().filter(|address| !net::presence::can_bind(**address));
            absent.extend(missing.map(|address| listening.without(*address)));
            absent.extend(listening.absent);
        }
        absent.extend(self.proxies().map_err(text)?.1);
        absent.sort();
        absent.dedup();
        Ok(absent)
    }

    fn inet_services(&self, file: &Path, master_cf: &MasterCf, protocols: Protocols) -> Result<Vec<Listening>, String> {
        let inet = |service: &&ServiceEntry| service.kind == ServiceKind::Inet && !protocols.is_empty();
        master_cf.services.iter().filter(inet).map(|service| self.listening(service, file, protocols)).collect()
    }
}

enum OwnError {
    Empty,
    Config(String),
}

/// The addresses of a host, none for a name that is not known (yet); `None` for an address of a family that is not
/// enabled.
fn resolve(host: &str, port: u16, protocols: Protocols) -> Option<Vec<SocketAddr>> {
    let literal = net::literal::check(host.as_bytes()).is_ok();
    // waits: at start and reload, for names in master.cf
    let found = (host, port).to_socket_addrs().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let mut addresses: Vec<_> = found.into_iter().filter(|address| protocols.allows(address.ip())).collect();
    addresses.sort();
    addresses.dedup();
    addresses.iter_mut().for_each(|address| add_zone(address, protocols));
    (!literal || !addresses.is_empty()).then_some(addresses)
}

/// A link-local address is bound on the interface that has it.
fn add_zone(address: &mut SocketAddr, protocols: Protocols) {
    let SocketAddr::V6(v6) = address else { return };
    if v6.scope_id() == 0 && v6.ip().is_unicast_link_local() {
        let interfaces = net::interfaces::list(protocols).unwrap_or_default();
        let scope = interfaces.iter().find(|found| found.address == IpAddr::V6(*v6.ip())).and_then(|found| found.scope);
        v6.set_scope_id(scope.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(main_cf: &str, name: &str) -> Result<Listening, String> {
        let config = Config::parse(main_cf.as_bytes(), Path::new("/c"), &[]).unwrap();
        let line = format!("{name} inet n - n - - smtpd\n");
        let file = Path::new("/c/master.cf");
        let services = MasterCf::parse(line.as_bytes(), file, &config).unwrap();
        config.listening(&services.services[0], file, Protocols::BOTH)
    }

    #[test]
    fn an_endpoint_without_brackets_or_port_is_shown_as_it_should_be() {
        let refused = |name: &str| listening("", name).unwrap_err();
        assert_eq!(
            refused("2001:db8:1::25"),
            "/c/master.cf: line 1: valid hostname or network address required in \"2001:db8:1::25\", write \
             \"[2001:db8:1::25]:port\""
        );
        assert_eq!(refused("[::1]"), "/c/master.cf: line 1: missing service information in \"[::1]\"");
        assert_eq!(refused("10.1.2.3:nosuch"), "10.1.2.3:nosuch: Servname not supported for ai_socktype");
    }

    #[test]
    fn a_name_that_is_not_known_yet_is_absent_and_the_service_keeps_its_name() {
        let unknown = listening("", "nosuch.invalid:2525").unwrap();
        assert_eq!((unknown.addresses.len(), unknown.canonical.as_str()), (0, "[nosuch.invalid]:2525"));
        let sentence = "/c/master.cf: line 1: bad hostname or network address: nosuch.invalid:2525";
        assert_eq!(unknown.absent[0].to_string(), sentence);
        let some = listening("inet_interfaces = 127.0.0.1 192.0.2.77", "2525").unwrap();
        assert_eq!(some.addresses, ["127.0.0.1:2525".parse().unwrap()]);
        assert_eq!(some.absent.len(), 1);
    }

    #[test]
    fn nobody_is_served_only_when_no_address_is_there() {
        let verdict = |main_cf: &str, services: &[&str]| {
            let config = Config::parse(main_cf.as_bytes(), Path::new("/c"), &[]).unwrap();
            let file = Path::new("/c/master.cf");
            let lines: String = services.iter().map(|name| format!("{name} inet n - n - - smtpd\n")).collect();
            let master_cf = MasterCf::parse(lines.as_bytes(), file, &config).unwrap();
            let absent = config.absent_addresses(file, &master_cf).unwrap();
            (config.serves_nobody(file, &master_cf).unwrap(), absent.len())
        };
        let sentence = "parameter inet_interfaces: no local interface found for 192.0.2.77";
        assert_eq!(verdict("inet_interfaces = 192.0.2.77", &["25"]), (Some(sentence.to_owned()), 1));
        assert_eq!(verdict("inet_interfaces = 192.0.2.77", &["127.0.0.1:25"]), (Some(sentence.to_owned()), 1));
        assert_eq!(verdict("inet_interfaces = 192.0.2.77 127.0.0.1", &["25"]), (None, 1));
        assert_eq!(verdict("", &["192.0.2.77:25", "127.0.0.1:25"]), (None, 1));
        let sentence = "bind 192.0.2.77 port 25: Cannot assign requested address";
        assert_eq!(verdict("", &["192.0.2.77:25"]), (Some(sentence.to_owned()), 1));
        assert_eq!(verdict("", &[]), (None, 0));
    }
}
