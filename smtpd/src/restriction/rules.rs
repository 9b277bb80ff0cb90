//! What the site has to say about clients and their mail: restriction lists, and the tables that they and the server
//! use.

use std::net::IpAddr;

use config::{Config, param, restrictions};
use daemon::StartError;
use lookup::{DomainList, Maps, MatchList, OpenFlags, ParentStyle};
use net::interfaces::Interface;

use crate::amend::Amendments;
use crate::restriction::{AddressTables, BlockReplies, List, Lists, Named, Services, Tables};

/// Lists, tables, and which addresses are this system's.
pub struct Rules {
    /// smtpd_*_restrictions
    pub lists: Lists,
    /// Lookup tables.
    pub tables: AllTables,
    /// Policy services of the lists.
    pub services: Services,
    /// inet_interfaces, as the addresses that are there.
    pub own_addresses: Vec<Interface>,
    /// inet_interfaces and proxy_interfaces: what belongs to this system, there or not.
    pub system_addresses: Vec<IpAddr>,
}

/// Lookup tables.
pub struct AllTables {
    /// Tables of access checks.
    pub access: Tables,
    /// Tables of addresses that exist.
    pub addresses: AddressTables,
    /// mynetworks
    pub mynetworks: MatchList,
    /// smtpd_forbid_bare_newline_exclusions
    pub bare_newline_exclusions: MatchList,
    /// smtpd_forbidden_commands
    pub forbidden_commands: DomainList,
    /// smtpd_noop_commands
    pub noop_commands: DomainList,
    /// smtpd_log_access_permit_actions
    pub logged_permissions: DomainList,
    /// smtpd_authorized_xclient_hosts
    pub xclient_hosts: MatchList,
    /// smtpd_authorized_verp_clients
    pub verp_clients: MatchList,
    /// smtpd_authorized_xforward_hosts
    pub xforward_hosts: MatchList,
    /// smtpd_command_filter
    pub command_filter: Maps,
    /// smtpd_discard_ehlo_keyword_address_maps
    pub discard_keywords: Maps,
    /// relay_clientcerts
    pub client_certificates: Maps,
    /// smtpd_sender_login_maps
    pub sender_logins: Maps,
    /// smtpd_client_event_limit_exceptions
    pub limit_exceptions: MatchList,
    /// debug_peer_list
    pub debug_peers: MatchList,
    /// permit_mx_backup_networks
    pub mx_backup_networks: MatchList,
    /// What is said to those whom a DNS list names.
    pub block_replies: BlockReplies,
    /// What is done to every refusal.
    pub amendments: Amendments,
}

impl Rules {
    /// Those of main.cf.
    ///
    /// # Errors
    /// A setting that the server cannot work with, or one that would make it an open relay.
    pub fn read(config: &Config) -> Result<Rules, StartError> {
        let (tables, services) = (AllTables::open(config)?, Services::new(policy::Options::read(config)?));
        Ok(Rules {
            lists: read_lists(config, &tables.access, &services)?,
            tables,
            services,
            own_addresses: config.own_addresses()?,
            system_addresses: config.addresses_of_this_system().unwrap_or_else(|error| {
                // permit_mx_backup alone needs them; it says no more often without.
                logging::warning!("{error}");
                Vec::new()
            }),
        })
    }

    /// A table that has changed on disk.
    pub fn changed_table(&self) -> Option<String> {
        let tables = &self.tables;
        let lists = [
            &tables.mynetworks,
            &tables.bare_newline_exclusions,
            &tables.xclient_hosts,
            &tables.verp_clients,
            &tables.xforward_hosts,
            &tables.limit_exceptions,
            &tables.debug_peers,
            &tables.mx_backup_networks,
        ];
        let words = [&tables.forbidden_commands, &tables.noop_commands, &tables.logged_permissions];
        let words = || words.into_iter().find_map(DomainList::changed);
        let maps =
            [&tables.command_filter, &tables.discard_keywords, &tables.sender_logins, &tables.client_certificates];
        let maps = || maps.into_iter().find_map(Maps::changed).map(str::to_owned);
        let changed = || lists.into_iter().find_map(MatchList::changed);
        let replies = || tables.block_replies.changed().or_else(|| tables.amendments.changed());
        tables
            .access
            .changed()
            .or_else(|| tables.addresses.changed())
            .or_else(replies)
            .or_else(words)
            .or_else(maps)
            .or_else(changed)
    }
}

fn read_lists(config: &Config, tables: &Tables, services: &Services) -> Result<Lists, StartError> {
    let relay = config.get(param::SMTPD_RELAY_RESTRICTIONS)?;
    let recipient = config.get(param::SMTPD_RECIPIENT_RESTRICTIONS)?;
    if !restrictions::protects_relay(relay.iter().chain(&recipient).map(String::as_str)) {
        return Err(StartError::new(restrictions::no_relay_protection()));
    }
    let classes = config.get(param::SMTPD_RESTRICTION_CLASSES)?;
    let named = Named { tables, services, classes: &classes };
    let parse = |items: &[String]| List::parse(items, named).map_err(StartError::new);
    let mut lists = Lists {
        client: parse(&config.get(param::SMTPD_CLIENT_RESTRICTIONS)?)?,
        helo: parse(&config.get(param::SMTPD_HELO_RESTRICTIONS)?)?,
        sender: parse(&config.get(param::SMTPD_SENDER_RESTRICTIONS)?)?,
        relay: parse(&relay)?,
        recipient: parse(&recipient)?,
        data: parse(&config.get(param::SMTPD_DATA_RESTRICTIONS)?)?,
        end_of_data: parse(&config.get(param::SMTPD_END_OF_DATA_RESTRICTIONS)?)?,
        etrn: parse(&config.get(param::SMTPD_ETRN_RESTRICTIONS)?)?,
        local_rewrite: List::of_rewrite_clients(&config.get(param::LOCAL_HEADER_REWRITE_CLIENTS)?, tables),
        ..Lists::default()
    };
    for class in &classes {
        let Some(value) = config.lookup(class)? else {
            return Err(StartError::new(format!("restriction class `{class}' needs a definition")));
        };
        lists.add_class(class, List::parse(&text::split_list(&value), named).map_err(StartError::new)?);
    }
    Ok(lists)
}

impl AllTables {
    fn open(config: &Config) -> Result<AllTables, StartError> {
        let matching = config.get(param::PARENT_DOMAIN_MATCHES_SUBDOMAINS)?;
        let delimiters = config.delimiters()?;
        let access_style = ParentStyle::of("smtpd_access_maps", &matching);
        let style = ParentStyle::of("mynetworks", &matching);
        let hosts = |name: &str| -> Result<MatchList, StartError> {
            Ok(MatchList::open(config, name, &value(config, name)?, ParentStyle::of(name, &matching))?)
        };
        let words = |name: &str| -> Result<DomainList, StartError> {
            Ok(DomainList::open(config, name, &value(config, name)?, ParentStyle::Never)?)
        };
        Ok(AllTables {
            command_filter: open_maps(config, "smtpd_command_filter")?,
            discard_keywords: open_maps(config, "smtpd_discard_ehlo_keyword_address_maps")?,
            client_certificates: open_maps(config, "relay_clientcerts")?,
            sender_logins: open_maps(config, "smtpd_sender_login_maps")?,
            forbidden_commands: words("smtpd_forbidden_commands")?,
            noop_commands: words("smtpd_noop_commands")?,
            logged_permissions: words("smtpd_log_access_permit_actions")?,
            access: Tables::new(config.into(), access_style, delimiters),
            addresses: address_tables(config)?,
            mynetworks: MatchList::open(config, "mynetworks", &config.mynetworks()?, style)?,
            bare_newline_exclusions: hosts("smtpd_forbid_bare_newline_exclusions")?,
            xclient_hosts: hosts("smtpd_authorized_xclient_hosts")?,
            debug_peers: hosts("debug_peer_list")?,
            mx_backup_networks: hosts("permit_mx_backup_networks")?,
            block_replies: BlockReplies::open(config)?,
            amendments: Amendments::open(config)?,
            limit_exceptions: hosts("smtpd_client_event_limit_exceptions")?,
            verp_clients: hosts("smtpd_authorized_verp_clients")?,
            xforward_hosts: hosts("smtpd_authorized_xforward_hosts")?,
        })
    }
}

fn open_maps(config: &Config, name: &str) -> Result<Maps, StartError> {
    Ok(Maps::open(config, name, &value(config, name)?, OpenFlags::default())?)
}

fn address_tables(config: &Config) -> Result<AddressTables, StartError> {
    let maps = |name: &str| open_maps(config, name);
    let local = value(config, "local_recipient_maps")?;
    // Asked apart from the other tables: for local parts alone. A database that is slow or fails is not asked for whole
    // addresses, which it has none of, before the name that it may have at hand.
    let is_users = |item: &&str| matches!(*item, "unix:passwd.byname" | "proxy:unix:passwd.byname");
    let items = text::split_list(&local);
    let system_users = items.iter().any(is_users);
    let others: Vec<&str> = items.into_iter().filter(|item| !is_users(item)).collect();
    Ok(AddressTables {
        canonical: maps("canonical_maps")?,
        recipient_canonical: maps("recipient_canonical_maps")?,
        sender_canonical: maps("sender_canonical_maps")?,
        virtual_alias: maps("virtual_alias_maps")?,
        local_recipient: Maps::open(config, "local_recipient_maps", &others.join(" "), OpenFlags::default())?,
        system_users,
        virtual_mailbox: maps("virtual_mailbox_maps")?,
        relay_recipient: maps("relay_recipient_maps")?,
    })
}

/// The expanded text of a parameter, for lists that hold more than words.
fn value(config: &Config, name: &str) -> Result<String, StartError> {
    Ok(config.lookup(name)?.unwrap_or_default())
}
