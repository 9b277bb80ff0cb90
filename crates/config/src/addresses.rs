//! What inet_protocols, inet_interfaces, proxy_interfaces and mynetworks_style mean on this machine.
//!
//! Everything here is computed when it is asked for, never at load: a program that needs no list of addresses must not
//! die of one. Order: IPv4 before IPv6.

use std::net::{IpAddr, ToSocketAddrs};

use net::discover::{self, Discover};
use net::interfaces::list_with;
use net::presence::Unready;
use net::{Interface, Protocols, Shown, hostname};

use crate::absent::{Absent, Own, Source, Why};
use crate::error::ConfigError;
use crate::param;
use crate::settings::Config;

const INET_INTERFACES: &str = "inet_interfaces";
const PROXY_INTERFACES: &str = "proxy_interfaces";

impl Config {
    /// The IP versions in force: inet_protocols, without what the kernel lacks.
    pub fn protocols(&self) -> Result<Protocols, ConfigError> {
        self.probe_protocols().map(|(protocols, _)| protocols)
    }

    /// As [`Config::protocols`], with the warnings to log for what the kernel lacks.
    pub fn probe_protocols(&self) -> Result<(Protocols, Vec<String>), ConfigError> {
        // inet_protocols
        let value = self.own_text(param::INET_PROTOCOLS.name())?;
        let asked = Protocols::parse(&value).map_err(meaning)?;
        let (protocols, warnings) = asked.probe().map_err(meaning)?;
        let warnings = warnings.iter().map(|warning| format!("inet_protocols: {warning}"));
        Ok((protocols, warnings.collect()))
    }

    /// The addresses of this machine that mail is received on, with their networks, as far as they are on an interface.
    pub fn own_addresses(&self) -> Result<Vec<Interface>, ConfigError> {
        self.interfaces().map(Own::on_interfaces)
    }

    /// What inet_interfaces stands for: what is there, and what is not (yet).
    pub fn interfaces(&self) -> Result<Own, ConfigError> {
        self.interfaces_of(discover::default_here().map_err(meaning)?.as_ref(), self.protocols()?)
    }

    /// As [`Config::interfaces`], with the interfaces that `method` finds.
    pub fn interfaces_of(&self, method: &dyn Discover, protocols: Protocols) -> Result<Own, ConfigError> {
        // inet_interfaces
        let value = self.own_text(param::INET_INTERFACES.name())?;
        if protocols.is_empty() || value.is_empty() {
            return Ok(Own::default());
        }
        let (interfaces, _) = list_with(method, protocols).map_err(meaning)?;
        let mut own = match value.as_str() {
            "all" => Own { found: undisputed(interfaces), ..Own::default() },
            "loopback-only" => {
                let loopback = interfaces.into_iter().filter(|found| found.address.is_loopback()).collect();
                Own { found: loopback, ..Own::default() }
            }
            list => listed(list, &interfaces, protocols)?,
        };
        if own.found.is_empty() && own.absent.is_empty() {
            own.absent.push(absent(INET_INTERFACES, &value, None, Why::NoInterfaces));
        }
        Ok(own)
    }

    /// The IPv6 addresses of this machine that an old default of inet_protocols leaves out.
    pub(crate) fn addresses_left_out(&self) -> Vec<IpAddr> {
        let used = self.protocols().unwrap_or(Protocols::V4);
        let method = discover::default_here();
        let found = method.ok().and_then(|method| list_with(method.as_ref(), Protocols::V6).ok());
        let addresses = found.map(|(found, _)| found).unwrap_or_default().into_iter().map(|found| found.address);
        addresses.filter(|address| !used.allows(*address)).collect()
    }

    /// The sentence about inet_interfaces when it names addresses and none of them is there.
    pub fn no_address(&self) -> Result<Option<String>, ConfigError> {
        let own = self.interfaces()?;
        Ok(own.absent.first().filter(|_| own.found.is_empty()).map(Absent::to_string))
    }

    /// The addresses that belong to this system, whether they are there or not: mail for them is ours, and a server
    /// that has one is this system. They give nobody rights.
    pub fn addresses_of_this_system(&self) -> Result<Vec<IpAddr>, ConfigError> {
        let own = self.interfaces()?.all().into_iter().map(|interface| interface.address);
        let mut all: Vec<IpAddr> = own.chain(self.proxies()?.0).collect();
        all.sort();
        all.dedup();
        Ok(all)
    }

    /// The addresses of proxies in front of this machine, and the names that have none (yet).
    pub fn proxies(&self) -> Result<(Vec<IpAddr>, Vec<Absent>), ConfigError> {
        // proxy_interfaces
        let value = self.own_text(param::PROXY_INTERFACES.name())?;
        resolve_list(PROXY_INTERFACES, &value, self.protocols()?)
    }

    /// mynetworks: the setting, or what follows from mynetworks_style and the interfaces.
    pub fn mynetworks(&self) -> Result<String, ConfigError> {
        match self.lookup("mynetworks")? {
            Some(networks) => Ok(networks),
            None => Ok(String::new()),
        }
    }

    /// The default of mynetworks, and sentences about networks that are too wide to trust.
    pub fn default_mynetworks(&self) -> Result<(String, Vec<String>), ConfigError> {
        // mynetworks_style
        let style = Style::parse(&self.own_text(param::MYNETWORKS_STYLE.name())?)?;
        networks(style, &self.own_addresses()?)
    }
}

/// How far a default mynetworks reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Class,
    Subnet,
    Host,
}

impl Style {
    fn parse(value: &str) -> Result<Style, ConfigError> {
        let words: Vec<&str> = text::split_list(value);
        let style = |word: &str| match word {
            "class" => Some(Style::Class),
            "subnet" => Some(Style::Subnet),
            "host" => Some(Style::Host),
            _ => None,
        };
        if let Some(word) = words.iter().find(|word| style(word).is_none()) {
            return Err(meaning(format!("unknown mynetworks mask style value \"{word}\" in \"{value}\"")));
        }
        match words.as_slice() {
            [word] => Ok(style(word).unwrap_or(Style::Host)),
            _ => Err(meaning(format!("bad mynetworks_style value: {value}; specify exactly one value"))),
        }
    }
}

/// One item an address, textual duplicates dropped.
fn networks(style: Style, own: &[Interface]) -> Result<(String, Vec<String>), ConfigError> {
    let mut items: Vec<String> = Vec::new();
    let mut warnings = Vec::new();
    for interface in own {
        let mut length = prefix(style, interface)?;
        if length == 0 {
            // A network of everybody would make everybody trusted.
            warnings.push(format!(
                "mynetworks: address {} has a null netmask: only the address itself is trusted",
                Shown(interface.address)
            ));
            length = full(interface.address);
        }
        let network = net::Cidr::around(interface.address, length).network();
        let item = match network {
            IpAddr::V4(_) => format!("{}/{length}", Shown(network)),
            IpAddr::V6(_) => format!("[{}]/{length}", Shown(network)),
        };
        if !items.contains(&item) {
            items.push(item);
        }
    }
    Ok((items.join(" "), warnings))
}

fn prefix(style: Style, interface: &Interface) -> Result<u8, ConfigError> {
    let first = match interface.address {
        IpAddr::V4(address) => address.octets()[0],
        IpAddr::V6(_) => 0,
    };
    match (style, interface.address) {
        (Style::Host, address) => Ok(full(address)),
        (Style::Subnet, _) | (Style::Class, IpAddr::V6(_)) => Ok(interface.prefix),
        (Style::Class, IpAddr::V4(_)) if first < 128 => Ok(8),
        (Style::Class, IpAddr::V4(_)) if first < 192 => Ok(16),
        (Style::Class, IpAddr::V4(_)) if first < 224 => Ok(24),
        (Style::Class, IpAddr::V4(_)) if first < 240 => Ok(4),
        (Style::Class, address) => Err(meaning(format!("mynetworks_core: unknown address class: {}", Shown(address)))),
    }
}

fn full(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Without the addresses that somebody else on the link has.
fn undisputed(interfaces: Vec<Interface>) -> Vec<Interface> {
    let unready = net::presence::unready();
    let is_duplicate = |address: IpAddr| {
        unready.iter().any(|(other, why)| IpAddr::V6(*other) == address && *why == Unready::Duplicate)
    };
    interfaces.into_iter().filter(|interface| !is_duplicate(interface.address)).collect()
}

/// An explicit list: what of it is on an interface and can be used.
fn listed(list: &str, interfaces: &[Interface], protocols: Protocols) -> Result<Own, ConfigError> {
    let unready = net::presence::unready();
    let why_not = |address: IpAddr| {
        let unready = unready.iter().find(|(other, _)| IpAddr::V6(*other) == address);
        unready.map(|(_, why)| Why::from(*why))
    };
    let (addresses, mut missing) = resolve_list(INET_INTERFACES, list, protocols)?;
    let (mut found, mut tentative) = (Vec::new(), Vec::new());
    for address in addresses {
        let interface = interfaces.iter().find(|interface| interface.address == address);
        match (interface, why_not(address)) {
            (Some(interface), None) => found.push(*interface),
            (interface, why) => {
                let why = why.unwrap_or(Why::NoInterface);
                tentative.extend(interface.filter(|_| why == Why::Tentative));
                missing.push(absent(INET_INTERFACES, &Shown(address).to_string(), Some(address), why));
            }
        }
    }
    Ok(Own { found, absent: missing, tentative })
}

fn absent(parameter: &'static str, item: &str, address: Option<IpAddr>, why: Why) -> Absent {
    Absent { source: Source::Parameter(parameter), item: item.to_owned(), address, why }
}

/// The addresses of a list of names and addresses, sorted, each once, and the names that have none.
fn resolve_list(
    parameter: &'static str,
    list: &str,
    protocols: Protocols,
) -> Result<(Vec<IpAddr>, Vec<Absent>), ConfigError> {
    let (mut addresses, mut missing) = (Vec::new(), Vec::new());
    for item in list.split([' ', '\t', '\r', '\n', ',']).filter(|item| !item.is_empty()) {
        match resolve(item, protocols) {
            Some(found) if found.is_empty() => missing.push(absent(parameter, item, None, Why::NoSuchName)),
            Some(found) => addresses.extend(found),
            None => return Err(meaning(format!("config variable {parameter}: host not found: {item}"))),
        }
    }
    addresses.sort();
    addresses.dedup();
    Ok((addresses, missing))
}

/// The addresses of enabled families that an item stands for, none for a name that is not known (yet); `None` when it
/// can mean nothing.
fn resolve(item: &str, protocols: Protocols) -> Option<Vec<IpAddr>> {
    let host = match item.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None => item,
    };
    // The zone says which interface; the address alone is compared.
    let unzoned = host.split_once('%').map_or(host, |(address, _)| address);
    if let Some(address) = net::address::parse(unzoned.as_bytes()) {
        return protocols.allows(address).then(|| vec![address]);
    }
    // Words of inet_interfaces that stand alone are no names in a list.
    if !hostname::is_valid(host.as_bytes()) || looks_numeric(host) || matches!(host, "all" | "loopback-only") {
        return None;
    }
    // waits: at the start of a program, and of a reload
    match (host, 0).to_socket_addrs() {
        Ok(found) => Some(found.map(|found| found.ip()).filter(|ip| protocols.allows(*ip)).collect()),
        Err(_) => Some(Vec::new()),
    }
}

/// Whether the system's resolver would take the name for an abbreviated IPv4 address (`10.258`, `0x0a.1`).
fn looks_numeric(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn meaning(text: impl ToString) -> ConfigError {
    ConfigError::Value(crate::error::ValueError::Meaning(text.to_string()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use net::Family;
    use net::discover::{Capabilities, DiscoverError, Listing, RawInterface, V6Prefix};

    use super::*;

    struct Machine(Vec<RawInterface>);

    impl Discover for Machine {
        fn capabilities(&self) -> Capabilities {
            Capabilities { reports_down: true, v6_prefix: V6Prefix::Real, keeps_scope: true }
        }
        fn list(&self, _: Family) -> Result<Listing, DiscoverError> {
            Ok(Listing { found: self.0.clone(), warnings: Vec::new() })
        }
    }

    /// Addresses with prefix lengths.
    fn machine(list: &[&str]) -> Machine {
        let interface = |text: &&str| {
            let (address, length) = text.split_once('/').unwrap();
            let address: IpAddr = address.parse().unwrap();
            let ones: IpAddr = match address {
                IpAddr::V4(_) => [255; 4].into(),
                IpAddr::V6(_) => [255; 16].into(),
            };
            let mask = net::Cidr::around(ones, length.parse().unwrap()).network();
            RawInterface { name: "e0".into(), up: true, address, scope: None, mask: Some(mask) }
        };
        Machine(list.iter().map(interface).collect())
    }

    const ALL: [&str; 7] = [
        "127.0.0.1/8",
        "127.0.0.9/8",
        "10.1.2.3/24",
        "::1/128",
        "2001:db8:1::25/64",
        "fe80::ff:fe00:1/64",
        "10.9.9.1/0",
    ];

    fn own(interfaces: &str, protocols: Protocols, machine: &Machine) -> Result<String, String> {
        let content = format!("inet_interfaces = {interfaces}\n");
        let config = Config::parse(content.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap();
        let own = config.interfaces_of(machine, protocols).map_err(|e| e.to_string())?;
        let found = own.found.iter().map(|found| Shown(found.address).to_string());
        let shown: Vec<_> = found.chain(own.absent.iter().map(|absent| format!("({absent})"))).collect();
        Ok(shown.join(" "))
    }

    #[test]
    fn inet_interfaces_gives_the_own_addresses_that_are_observed() {
        let machine = machine(&ALL[..6]);
        for (protocols, value, result) in [
            (Protocols::BOTH, "all", "127.0.0.1 127.0.0.9 10.1.2.3 ::1 2001:db8:1::25 fe80::ff:fe00:1"),
            (Protocols::BOTH, "loopback-only", "127.0.0.1 127.0.0.9 ::1"),
            (Protocols::V6, "loopback-only", "::1"),
            (Protocols::BOTH, "[2001:DB8:1:0:0::25]", "2001:db8:1::25"),
            (Protocols::BOTH, "10.1.2.3, [2001:db8:1::25] 127.0.0.1", "10.1.2.3 127.0.0.1 2001:db8:1::25"),
            (Protocols::BOTH, "10.1.2.3 10.1.2.3", "10.1.2.3"),
            (Protocols::BOTH, "[fe80::ff:fe00:1%e0]", "fe80::ff:fe00:1"),
            (Protocols::BOTH, "", ""),
            (Protocols::NONE, "all", ""),
        ] {
            assert_eq!(own(value, protocols, &machine).as_deref(), Ok(result), "{value}");
        }
    }

    #[test]
    fn a_bad_interface_is_named_as_it_is_written() {
        let machine = machine(&ALL[..6]);
        let missing = |item| Err(format!("config variable inet_interfaces: host not found: {item}"));
        for (protocols, value, item) in [
            (Protocols::V4, "10.1.2.3 [2001:db8:1::25]", "[2001:db8:1::25]"),
            (Protocols::V6, "10.1.2.3", "10.1.2.3"),
            (Protocols::BOTH, "[10.1.2.3", "[10.1.2.3"),
            (Protocols::BOTH, "10.1.2.3:25", "10.1.2.3:25"),
            (Protocols::BOTH, "10.1.2.3/24", "10.1.2.3/24"),
            (Protocols::BOTH, "[ipv6:2001:db8:1::25]", "[ipv6:2001:db8:1::25]"),
            (Protocols::BOTH, "10.258", "10.258"),
            (Protocols::BOTH, "0x0a.1.2.3", "0x0a.1.2.3"),
        ] {
            assert_eq!(own(value, protocols, &machine), missing(item), "{value}");
        }
        for value in ["all, 10.1.2.3", "10.1.2.3 loopback-only"] {
            assert!(own(value, Protocols::BOTH, &machine).is_err(), "{value}");
        }
    }

    #[test]
    fn an_address_that_is_not_there_takes_no_other_with_it() {
        let machine = machine(&ALL[..6]);
        for (value, result) in [
            (
                "[2001:db8:1::99] 10.1.2.3",
                "10.1.2.3 (parameter inet_interfaces: no local interface found for 2001:db8:1::99)",
            ),
            ("10.1.2.3 nosuch.invalid", "10.1.2.3 (config variable inet_interfaces: host not found: nosuch.invalid)"),
            ("0.0.0.0", "(parameter inet_interfaces: no local interface found for 0.0.0.0)"),
        ] {
            assert_eq!(own(value, Protocols::BOTH, &machine).as_deref(), Ok(result), "{value}");
        }
        for value in ["all", "loopback-only"] {
            let nothing = own(value, Protocols::BOTH, &self::machine(&[]));
            assert_eq!(nothing.as_deref(), Ok("(could not find any active network interfaces)"), "{value}");
        }
    }

    #[test]
    fn an_address_that_is_not_there_is_ours_and_gives_nobody_rights() {
        let content = b"inet_interfaces = 127.0.0.1 2001:db8:1::99\nproxy_interfaces = nosuch.invalid 192.0.2.9\n\
                        inet_protocols = all\nmynetworks_style = host\n";
        let config = Config::parse(content, Path::new("/etc/postfix"), &[]).unwrap();
        let ours: Vec<String> = config.addresses_of_this_system().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(ours, ["127.0.0.1", "192.0.2.9", "2001:db8:1::99"]);
        assert_eq!(config.mynetworks().unwrap(), "127.0.0.1/32");
        assert_eq!(config.proxies().unwrap().1.len(), 1);
        assert_eq!(config.no_address().unwrap(), None);
    }

    #[test]
    fn mynetworks_follows_the_style_and_never_trusts_everybody() {
        let (own, _) = list_with(&machine(&ALL), Protocols::BOTH).unwrap();
        let (text, warnings) = networks(Style::Subnet, &own).unwrap();
        assert_eq!(text, "127.0.0.0/8 10.1.2.0/24 10.9.9.1/32 [::1]/128 [2001:db8:1::]/64 [fe80::]/64");
        assert_eq!(warnings.len(), 1);
        let (text, _) = networks(Style::Class, &own[..3]).unwrap();
        assert_eq!(text, "127.0.0.0/8 10.0.0.0/8");
        let (text, _) = networks(Style::Host, &own[2..5]).unwrap();
        assert_eq!(text, "10.1.2.3/32 10.9.9.1/32 [::1]/128");
    }

    #[test]
    fn a_style_is_exactly_one_word() {
        let error = |value| Style::parse(value).unwrap_err().to_string();
        assert_eq!(error("Host"), "unknown mynetworks mask style value \"Host\" in \"Host\"");
        assert_eq!(error("host subnet"), "bad mynetworks_style value: host subnet; specify exactly one value");
    }

    #[test]
    fn a_setting_that_refers_to_itself_through_mynetworks_is_an_error() {
        let content = b"inet_interfaces = $mynetworks\n";
        let config = Config::parse(content, Path::new("/etc/postfix"), &[]).unwrap();
        assert!(config.mynetworks().is_err());
        assert!(config.own_addresses().is_err());
    }
}
