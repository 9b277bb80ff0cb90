//! What all sessions of the process share: settings, lists, tables, and the services that are asked.

use std::cell::Cell;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use config::{Config, param, restrictions};
use daemon::{Porter, Sibling, StartError};
use delivery::postmaster::Postmaster;
use dns::Resolver;
use ipc::Pool;
use ipc::anvil::Counter;
use ipc::cleanup::{Cleanup, Flags};
use ipc::rewrite::{Context as RewriteContext, Resolved, Rewriter};
use lookup::{DomainList, Maps, MatchList, OpenFlags, ParentStyle};
use net::Protocols;
use net::interfaces::Interface;

use crate::SERVICE;
use crate::client_limits::ClientLimits;
use crate::restriction::{AddressTables, BlockReplies, List, Lists, Stage, Tables};
use crate::settings::Settings;
use crate::withheld::Missing;

/// The server.
pub struct Smtpd {
    /// main.cf
    pub settings: Settings,
    /// smtpd_*_restrictions
    pub lists: Rc<Lists>,
    /// Lookup tables.
    pub tables: Rc<AllTables>,
    /// The name service.
    pub resolver: Rc<Resolver>,
    /// inet_interfaces, as the addresses that are there.
    pub own_addresses: Vec<Interface>,
    /// inet_interfaces and proxy_interfaces: what belongs to this system, there or not.
    pub system_addresses: Vec<IpAddr>,
    /// Takes messages.
    pub cleanup: Rc<Pool<Cleanup>>,
    /// Is told of errors. notify_classes
    pub postmaster: Postmaster,
    /// What main.cf asks for and this server does not have.
    pub missing: Rc<Missing>,
    /// What cleanup does with the messages. receive_override_options
    pub cleanup_flags: Flags,
    /// content_filter; empty for none.
    pub content_filter: Vec<u8>,
    /// inet_protocols
    pub protocols: Protocols,
    /// smtpd_client_*_limit
    pub limits: ClientLimits,
    /// Who is asked which users the system has; with `unix:passwd.byname` in local_recipient_maps.
    pub users: Option<Rc<Porter>>,
    /// Counts clients.
    pub anvil: Rc<Counter>,
    /// The dialogue with every client goes to the log: `-v` in master.cf.
    pub verbose: bool,
    /// Name of the service in master.cf.
    pub service_name: String,
    rewriter: Rc<Rewriter>,
    free_space: Cell<Option<(Instant, u64)>>,
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
    /// smtpd_authorized_xclient_hosts
    pub xclient_hosts: MatchList,
    /// smtpd_authorized_xforward_hosts
    pub xforward_hosts: MatchList,
    /// smtpd_command_filter
    pub command_filter: Maps,
    /// smtpd_discard_ehlo_keyword_address_maps
    pub discard_keywords: Maps,
    /// smtpd_client_event_limit_exceptions
    pub limit_exceptions: MatchList,
    /// debug_peer_list
    pub debug_peers: MatchList,
    /// permit_mx_backup_networks
    pub mx_backup_networks: MatchList,
    /// What is said to those whom a DNS list names.
    pub block_replies: BlockReplies,
}

/// The service cannot be asked, or a table that it needs cannot.
#[derive(Debug)]
pub struct Unresolved;

/// How long the free space of the queue's file system is believed.
const SPACE_MAX_AGE: Duration = Duration::from_secs(1);

impl Smtpd {
    /// A table that has changed on disk.
    pub fn changed_table(&self) -> Option<String> {
        let tables = &self.tables;
        let lists = [
            &tables.mynetworks,
            &tables.bare_newline_exclusions,
            &tables.xclient_hosts,
            &tables.xforward_hosts,
            &tables.limit_exceptions,
            &tables.debug_peers,
            &tables.mx_backup_networks,
        ];
        let words = [&tables.forbidden_commands, &tables.noop_commands];
        let words = || words.into_iter().find_map(DomainList::changed);
        let maps = [&tables.command_filter, &tables.discard_keywords];
        let maps = || maps.into_iter().find_map(Maps::changed).map(str::to_owned);
        let changed = || lists.into_iter().find_map(MatchList::changed);
        let replies = || tables.block_replies.changed();
        let milters = || self.missing.milters.changed();
        tables
            .access
            .changed()
            .or_else(|| tables.addresses.changed())
            .or_else(replies)
            .or_else(milters)
            .or_else(words)
            .or_else(maps)
            .or_else(changed)
            .or_else(|| self.resolver.changed())
    }

    /// A server for this configuration; the sockets of other services are below `queue_directory`.
    ///
    /// # Errors
    /// A setting that the server cannot work with, or one that would make it an open relay.
    pub fn new(config: &Config, ipc_timeout: Duration, queue_directory: &Path) -> Result<Smtpd, StartError> {
        let overrides = Overrides::read(config)?;
        let settings = read_settings(config, &overrides)?;
        let tables = AllTables::open(config)?;
        let lists = read_lists(config, &settings, &tables.access)?;
        let socket = |sibling| SERVICE.socket(sibling, config).map(|path| queue_directory.join(path));
        let protocols = config.protocols()?;
        Ok(Smtpd {
            settings,
            lists: Rc::new(lists),
            tables: Rc::new(tables),
            resolver: Rc::new(Resolver::from_system(protocols)?),
            own_addresses: config.own_addresses()?,
            system_addresses: config.addresses_of_this_system().unwrap_or_else(|error| {
                // permit_mx_backup alone needs them; it says no more often without.
                logging::warning!("{error}");
                Vec::new()
            }),
            cleanup: Rc::new(Pool::new(socket(Sibling::Cleanup)?, ipc_timeout)),
            postmaster: Postmaster::read(config, "SMTP server")?,
            missing: Rc::new(Missing::read(config, overrides.milters())?),
            cleanup_flags: overrides.cleanup_flags,
            protocols,
            limits: ClientLimits::read(config)?,
            users: None,
            anvil: Counter::new(socket(Sibling::Anvil)?),
            verbose: false,
            service_name: config.get(param::SERVICE_NAME)?,
            content_filter: config.get(param::CONTENT_FILTER)?.into_bytes(),
            rewriter: Rc::new(Rewriter::new(socket(Sibling::Rewrite)?, ipc_timeout)),
            free_space: Cell::new(None),
        })
    }

    /// The same server with the settings of another configuration: its limits and times; the restriction lists and tables
    /// stay.
    ///
    /// # Errors
    /// A setting that the server cannot work with.
    pub fn with_settings(&self, config: &Config) -> Result<Smtpd, StartError> {
        Ok(Smtpd {
            settings: read_settings(config, &Overrides::read(config)?)?,
            lists: self.lists.clone(),
            tables: self.tables.clone(),
            resolver: self.resolver.clone(),
            own_addresses: self.own_addresses.clone(),
            system_addresses: self.system_addresses.clone(),
            cleanup: self.cleanup.clone(),
            postmaster: self.postmaster.clone(),
            missing: self.missing.clone(),
            cleanup_flags: self.cleanup_flags,
            protocols: self.protocols,
            limits: ClientLimits::read(config)?,
            users: self.users.clone(),
            anvil: self.anvil.clone(),
            verbose: self.verbose,
            service_name: self.service_name.clone(),
            content_filter: self.content_filter.clone(),
            rewriter: self.rewriter.clone(),
            free_space: Cell::new(None),
        })
    }

    /// An IPv4-mapped address as plain IPv4, as that of a peer is taken.
    pub fn unmapped(&self, address: IpAddr) -> IpAddr {
        net::unmap((address, 0).into(), self.protocols).ip()
    }

    /// Where mail for an address goes: in standard form first.
    pub async fn resolve(&self, sender: Option<&[u8]>, address: &[u8]) -> Result<Resolved, Unresolved> {
        let failed = |error| {
            logging::warning!("problem talking to service rewrite: {error}");
            Unresolved
        };
        let sender = sender.unwrap_or_default();
        let resolved = if address::is_standard(address) {
            self.rewriter.resolve(sender, address).await
        } else {
            let standard = self.rewriter.rewrite(RewriteContext::Local, address).await.map_err(failed)?;
            self.rewriter.resolve(sender, &standard).await
        };
        match resolved {
            Ok(resolved) if resolved.failed => Err(Unresolved),
            Ok(resolved) => Ok(resolved),
            Err(error) => Err(failed(error)),
        }
    }

    /// Bytes that are free for the queue; `None` when the system does not say.
    pub fn free_space(&self) -> Option<u64> {
        match self.free_space.get() {
            Some((since, bytes)) if since.elapsed() < SPACE_MAX_AGE => Some(bytes),
            _ => {
                let status = nix::sys::statvfs::statvfs(".").ok()?;
                let bytes = status.blocks_available().saturating_mul(status.fragment_size());
                self.free_space.set(Some((Instant::now(), bytes)));
                Some(bytes)
            }
        }
    }
}

/// receive_override_options
struct Overrides {
    check_recipients: bool,
    cleanup_flags: Flags,
}

impl Overrides {
    fn read(config: &Config) -> Result<Overrides, StartError> {
        // The client is still there: it is told, not sent a notification.
        let mut overrides = Overrides { check_recipients: true, cleanup_flags: Flags::EXTERNAL };
        for option in config.get(param::RECEIVE_OVERRIDE_OPTIONS)? {
            match option.as_str() {
                "no_unknown_recipient_checks" => overrides.check_recipients = false,
                "no_address_mappings" => {
                    overrides.cleanup_flags = overrides.cleanup_flags.without(Flags::MAP.with(Flags::BCC))
                }
                "no_header_body_checks" => overrides.cleanup_flags = overrides.cleanup_flags.without(Flags::FILTER),
                "no_milters" => overrides.cleanup_flags = overrides.cleanup_flags.without(Flags::MILTER),
                // The table of words has no other.
                _ => {}
            }
        }
        Ok(overrides)
    }
}

impl Overrides {
    /// no_milters is not set.
    fn milters(&self) -> bool {
        self.cleanup_flags.has(Flags::MILTER)
    }
}

fn read_settings(config: &Config, overrides: &Overrides) -> Result<Settings, StartError> {
    let mut settings = Settings::read(config)?;
    settings.reject_unlisted_recipient &= overrides.check_recipients;
    Ok(settings)
}

fn read_lists(config: &Config, settings: &Settings, tables: &Tables) -> Result<Lists, StartError> {
    let relay = config.get(param::SMTPD_RELAY_RESTRICTIONS)?;
    let recipient = config.get(param::SMTPD_RECIPIENT_RESTRICTIONS)?;
    if !restrictions::protects_relay(relay.iter().chain(&recipient).map(String::as_str)) {
        return Err(StartError::new(restrictions::no_relay_protection()));
    }
    let parse = |items: &[String], stage| List::parse(items, stage, tables, &settings.classes);
    let mut lists = Lists {
        client: parse(&config.get(param::SMTPD_CLIENT_RESTRICTIONS)?, Stage::Client),
        helo: parse(&config.get(param::SMTPD_HELO_RESTRICTIONS)?, Stage::Helo),
        sender: parse(&config.get(param::SMTPD_SENDER_RESTRICTIONS)?, Stage::Sender),
        relay: parse(&relay, Stage::Recipient),
        recipient: parse(&recipient, Stage::Recipient),
        data: parse(&config.get(param::SMTPD_DATA_RESTRICTIONS)?, Stage::Data),
        end_of_data: parse(&config.get(param::SMTPD_END_OF_DATA_RESTRICTIONS)?, Stage::Data),
        local_rewrite: parse(&config.get(param::LOCAL_HEADER_REWRITE_CLIENTS)?, Stage::Client),
        ..Lists::default()
    };
    for class in &settings.classes {
        let Some(value) = config.lookup(class)? else {
            return Err(StartError::new(format!("restriction class `{class}' needs a definition")));
        };
        lists.add_class(class, List::parse(&text::split_list(&value), Stage::Recipient, tables, &settings.classes));
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
            forbidden_commands: words("smtpd_forbidden_commands")?,
            noop_commands: words("smtpd_noop_commands")?,
            access: Tables::new(config.into(), access_style, delimiters),
            addresses: address_tables(config)?,
            mynetworks: MatchList::open(config, "mynetworks", &config.mynetworks()?, style)?,
            bare_newline_exclusions: hosts("smtpd_forbid_bare_newline_exclusions")?,
            xclient_hosts: hosts("smtpd_authorized_xclient_hosts")?,
            debug_peers: hosts("debug_peer_list")?,
            mx_backup_networks: hosts("permit_mx_backup_networks")?,
            block_replies: BlockReplies::open(config)?,
            limit_exceptions: hosts("smtpd_client_event_limit_exceptions")?,
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
