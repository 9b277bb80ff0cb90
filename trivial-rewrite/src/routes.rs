//! Transports and nexthops: the transport parameters, relayhost, and the tables that override them.

use address::Delimiters;
use config::{Config, param};
use daemon::StartError;
use ipc::rewrite::Class;
use lookup::search::{address_keys, transport_keys};
use lookup::{Maps, OpenFlags, ParentStyle, TableError};

/// A transport and what it shall make of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub transport: String,
    pub nexthop: Vec<u8>,
}

/// Why there is no route: the message waits.
#[derive(Debug)]
pub(crate) struct NoRoute;

impl From<TableError> for NoRoute {
    fn from(_: TableError) -> Self {
        // The table has logged its error.
        Self
    }
}

/// What a route depends on.
pub(crate) struct Mail<'a> {
    /// The class of the recipient's domain.
    pub class: Class,
    pub sender: &'a [u8],
    pub recipient: &'a [u8],
    /// The recipient's domain.
    pub domain: &'a [u8],
    /// Whether bare user names in address tables stand for users of a domain.
    pub is_ours: &'a dyn Fn(&[u8]) -> bool,
}

/// The settings that routes are made from; one set for mail, one for address verification probes.
pub(crate) struct Routes {
    local: Channel,
    virtual_mailbox: Channel,
    relay: Channel,
    default: Channel,
    relayhost: Vec<u8>,
    sender_default: Maps,
    sender_relayhost: Maps,
    transport: Maps,
    transport_parents: ParentStyle,
    relocated: Maps,
    relocated_prefix: bool,
    delimiters: Delimiters,
    null_sender_relayhost: Vec<u8>,
    null_sender_transport: Vec<u8>,
    show_table_name: bool,
    main_cf: String,
}

/// A transport parameter and its value.
struct Channel {
    parameter: String,
    value: Vec<u8>,
}

/// The parameters that a set is read from.
pub(crate) struct Names {
    local_transport: &'static str,
    virtual_transport: &'static str,
    relay_transport: &'static str,
    default_transport: &'static str,
    relayhost: &'static str,
    sender_default: &'static str,
    sender_relayhost: &'static str,
    transport_maps: &'static str,
}

/// For mail.
pub(crate) const MAIL: Names = Names {
    local_transport: "local_transport",
    virtual_transport: "virtual_transport",
    relay_transport: "relay_transport",
    default_transport: "default_transport",
    relayhost: "relayhost",
    sender_default: "sender_dependent_default_transport_maps",
    sender_relayhost: "sender_dependent_relayhost_maps",
    transport_maps: "transport_maps",
};

/// For probes.
pub(crate) const PROBES: Names = Names {
    local_transport: "address_verify_local_transport",
    virtual_transport: "address_verify_virtual_transport",
    relay_transport: "address_verify_relay_transport",
    default_transport: "address_verify_default_transport",
    relayhost: "address_verify_relayhost",
    sender_default: "address_verify_sender_dependent_default_transport_maps",
    sender_relayhost: "address_verify_sender_dependent_relayhost_maps",
    transport_maps: "address_verify_transport_maps",
};

impl Routes {
    /// Reads the settings of these names.
    pub(crate) fn read(config: &Config, names: &Names) -> Result<Self, StartError> {
        let value = |name: &str| config.lookup(name).map(Option::unwrap_or_default);
        let channel = |name: &str| -> Result<Channel, StartError> {
            Ok(Channel { parameter: name.to_owned(), value: value(name)?.into_bytes() })
        };
        let maps = |name: &str, list: String, flags: OpenFlags| {
            Maps::open(config, name, &list, flags).map_err(|error| StartError::new(error.to_string()))
        };
        let relocated = config.lookup("relocated_maps")?.unwrap_or_default();
        let trusted = |name: &str| maps(name, value(name)?, OpenFlags::TRUSTED);
        Ok(Self {
            local: channel(names.local_transport)?,
            virtual_mailbox: channel(names.virtual_transport)?,
            relay: channel(names.relay_transport)?,
            default: channel(names.default_transport)?,
            relayhost: value(names.relayhost)?.into_bytes(),
            sender_default: trusted(names.sender_default)?,
            sender_relayhost: trusted(names.sender_relayhost)?,
            transport: trusted(names.transport_maps)?,
            transport_parents: ParentStyle::in_config(config, "transport_maps"),
            relocated: maps("relocated_maps", relocated, OpenFlags::default())?,
            relocated_prefix: config.get(param::RELOCATED_PREFIX_ENABLE)?,
            delimiters: config.delimiters()?,
            null_sender_relayhost: config.get(param::EMPTY_ADDRESS_RELAYHOST_MAPS_LOOKUP_KEY)?.into_bytes(),
            null_sender_transport: config.get(param::EMPTY_ADDRESS_DEFAULT_TRANSPORT_MAPS_LOOKUP_KEY)?.into_bytes(),
            show_table_name: config.get(param::SHOW_USER_UNKNOWN_TABLE_NAME)?,
            main_cf: config.directory().join("main.cf").display().to_string(),
        })
    }

    /// The route of a recipient by the class of its domain, then by transport_maps and relocated_maps.
    pub(crate) fn find(&self, mail: &Mail<'_>) -> Result<Route, NoRoute> {
        let mut route = self.by_class(mail)?;
        if mail.class != Class::VirtualAlias {
            self.apply_transport_maps(mail, &mut route)?;
        }
        // relocated_maps
        if let Some(found) = self.relocated.search(&address_keys(mail.recipient, &self.delimiters, mail.is_ours))? {
            // relocated_prefix_enable
            let prefix: &[u8] = if self.relocated_prefix { b"5.1.6 User has moved to " } else { b"" };
            let nexthop = [prefix, found.value.as_slice()].concat();
            return Ok(Route { transport: "error".to_owned(), nexthop });
        }
        Ok(route)
    }

    pub(crate) fn changed(&self) -> Option<String> {
        let maps = [&self.sender_default, &self.sender_relayhost, &self.transport, &self.relocated];
        maps.into_iter().find_map(|maps| maps.changed().map(str::to_owned))
    }

    fn by_class(&self, mail: &Mail<'_>) -> Result<Route, NoRoute> {
        match mail.class {
            Class::VirtualAlias => {
                // show_user_unknown_table_name
                let table = if self.show_table_name { " in virtual alias table" } else { "" };
                Ok(Route { transport: "error".to_owned(), nexthop: format!("5.1.1 User unknown{table}").into_bytes() })
            }
            Class::Local => self.split(&self.local, mail.domain),
            Class::VirtualMailbox => self.split(&self.virtual_mailbox, mail.domain),
            Class::Relay => self.split(&self.relay, &self.next_host(mail)?),
            Class::Default => {
                let nexthop = self.next_host(mail)?;
                // sender_dependent_default_transport_maps
                match self.of_sender(&self.sender_default, mail, &self.null_sender_transport)? {
                    Some(value) => {
                        let parameter = self.sender_default.title().to_owned();
                        self.split(&Channel { parameter, value }, &nexthop)
                    }
                    None => self.split(&self.default, &nexthop),
                }
            }
        }
    }

    /// relayhost of the sender, relayhost of all, or the domain itself.
    fn next_host(&self, mail: &Mail<'_>) -> Result<Vec<u8>, NoRoute> {
        // sender_dependent_relayhost_maps
        Ok(match self.of_sender(&self.sender_relayhost, mail, &self.null_sender_relayhost)? {
            Some(host) => host,
            // relayhost
            None if !self.relayhost.is_empty() => self.relayhost.clone(),
            None => mail.domain.to_vec(),
        })
    }

    fn of_sender(&self, maps: &Maps, mail: &Mail<'_>, null: &[u8]) -> Result<Option<Vec<u8>>, NoRoute> {
        let sender = if mail.sender.is_empty() { null } else { mail.sender };
        let found = maps.search(&address_keys(sender, &self.delimiters, mail.is_ours))?;
        Ok(found.map(|found| found.value).filter(|value| !value.eq_ignore_ascii_case(b"DUNNO")))
    }

    /// `transport` or `transport:nexthop` of a parameter.
    fn split(&self, channel: &Channel, default_nexthop: &[u8]) -> Result<Route, NoRoute> {
        let (transport, nexthop) = cut(&channel.value);
        if transport.is_empty() {
            logging::warning!("file {}: parameter {}: null transport is not allowed", self.main_cf, channel.parameter);
            return Err(NoRoute);
        }
        let nexthop = if nexthop.is_empty() { default_nexthop } else { nexthop };
        Ok(Route { transport: text::printable(transport), nexthop: nexthop.to_vec() })
    }

    /// transport(5): a result without a transport keeps the transport, one without a nexthop goes back to the domain,
    /// and one with neither changes nothing.
    fn apply_transport_maps(&self, mail: &Mail<'_>, route: &mut Route) -> Result<(), NoRoute> {
        let keys = transport_keys(mail.recipient, &self.delimiters, self.transport_parents);
        let Some(found) = self.transport.search(&keys)? else { return Ok(()) };
        let (transport, nexthop) = cut(&found.value);
        if transport.is_empty() && nexthop.is_empty() {
            return Ok(());
        }
        if !transport.is_empty() {
            route.transport = text::printable(transport);
        }
        route.nexthop = match nexthop {
            // What these two say is their nexthop.
            b"" if matches!(route.transport.as_str(), "error" | "retry") => b"Address is undeliverable".to_vec(),
            b"" => mail.domain.to_vec(),
            nexthop => nexthop.to_vec(),
        };
        Ok(())
    }
}

/// At the first colon; the nexthop is what follows, colons and all.
fn cut(value: &[u8]) -> (&[u8], &[u8]) {
    let value = value.trim_ascii();
    match value.iter().position(|&byte| byte == b':') {
        Some(at) => (&value[..at], value[at + 1..].trim_ascii()),
        None => (value, b""),
    }
}
