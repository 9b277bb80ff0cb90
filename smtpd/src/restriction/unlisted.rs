//! reject_unlisted_sender, reject_unlisted_recipient: addresses that this system is responsible for and does
//! not know. It is better to say so now than to send a notification later to a sender who may be forged.

use dsn::Status;
use ipc::rewrite::{Class as AddressClass, Resolved};
use lookup::{Maps, TableError, search};
use sys::identity::Identity;

use crate::rejection::Rejection;
use crate::restriction::{Class, Evaluation, Verdict};
use crate::worker::Smtpd;

/// Local parts that every system has.
const ALWAYS_LOCAL: [&[u8]; 3] = [b"double-bounce", b"postmaster", b"mailer-daemon"];

/// The tables that say which addresses exist.
pub struct AddressTables {
    /// canonical_maps
    pub canonical: Maps,
    /// recipient_canonical_maps
    pub recipient_canonical: Maps,
    /// sender_canonical_maps
    pub sender_canonical: Maps,
    /// virtual_alias_maps
    pub virtual_alias: Maps,
    /// local_recipient_maps without `unix:passwd.byname`
    pub local_recipient: Maps,
    /// local_recipient_maps has `unix:passwd.byname`: the users of the system.
    pub system_users: bool,
    /// virtual_mailbox_maps
    pub virtual_mailbox: Maps,
    /// relay_recipient_maps
    pub relay_recipient: Maps,
}

impl AddressTables {
    /// A table whose file is no longer what was opened.
    pub fn changed(&self) -> Option<String> {
        let all = [
            &self.canonical,
            &self.recipient_canonical,
            &self.sender_canonical,
            &self.virtual_alias,
            &self.local_recipient,
            &self.virtual_mailbox,
            &self.relay_recipient,
        ];
        all.into_iter().find_map(|maps| maps.changed().map(str::to_owned))
    }
}

/// Why an address is not known.
struct Unlisted {
    code: u16,
    status: Status,
    text: Vec<u8>,
}

impl Evaluation<'_> {
    /// reject_unlisted_sender
    pub(crate) async fn reject_unlisted_sender(&mut self) -> Verdict {
        self.sender_checked = true;
        match self.facts.sender {
            Some(sender) if !sender.is_empty() => self.unlisted(Class::Sender, sender).await,
            _ => Verdict::Dunno,
        }
    }

    /// reject_unlisted_recipient
    pub(crate) async fn reject_unlisted_recipient(&mut self) -> Verdict {
        self.recipient_checked = true;
        match self.facts.recipient {
            Some(recipient) => self.unlisted(Class::Recipient, recipient).await,
            None => Verdict::Dunno,
        }
    }

    async fn unlisted(&mut self, class: Class, address: &[u8]) -> Verdict {
        let Ok(resolved) = self.worker.resolve(self.facts.sender, address).await else {
            return self.server_error(Rejection::temporary_lookup(address));
        };
        match find_unlisted(self.worker, class, &resolved) {
            Ok(None) => Verdict::Dunno,
            Ok(Some(unlisted)) => {
                let text = self.text(class, &unlisted.text);
                self.reject(Rejection::new(unlisted.code, unlisted.status, text))
            }
            Err(_) => self.server_error(Rejection::temporary_lookup(address)),
        }
    }
}

fn find_unlisted(worker: &Smtpd, class: Class, resolved: &Resolved) -> Result<Option<Unlisted>, TableError> {
    let address = resolved.recipient.as_slice();
    let lister = Lister { worker, is_local: resolved.class == AddressClass::Local };
    if lister.is_rewritten(class, address)? {
        return Ok(None);
    }
    let unknown = Status::new(5, 1, if class == Class::Sender { 0 } else { 1 });
    let codes = &worker.settings.codes;
    if resolved.transport == "error" || resolved.transport == "retry" {
        return Ok(Some(by_transport(worker, resolved, unknown)));
    }
    let tables = &worker.tables.addresses;
    let (missing, code, table) = match resolved.class {
        AddressClass::Local => (!lister.is_local_user(address)?, codes.unknown_local, "local recipient"),
        AddressClass::VirtualMailbox => {
            let missing = !tables.virtual_mailbox.is_empty() && !lister.lists(&tables.virtual_mailbox, address)?;
            (missing, codes.unknown_virtual_mailbox, "virtual mailbox")
        }
        AddressClass::Relay => {
            let missing = !tables.relay_recipient.is_empty() && !lister.lists(&tables.relay_recipient, address)?;
            (missing, codes.unknown_relay, "relay recipient")
        }
        AddressClass::VirtualAlias => (true, codes.unknown_virtual_alias, "virtual alias"),
        AddressClass::Default => return Ok(None),
    };
    let text = unknown_user(worker, table);
    Ok(missing.then_some(Unlisted { code, status: unknown, text }))
}

/// The nexthop of the transports error and retry is what to say.
fn by_transport(worker: &Smtpd, resolved: &Resolved, unknown: Status) -> Unlisted {
    let permanent = resolved.transport == "error";
    let default = if permanent { unknown } else { Status::new(4, 1, unknown.detail()) };
    let (status, text) = Status::split_bytes(&resolved.nexthop, default);
    let code = match (permanent, resolved.class) {
        (false, _) => 450,
        (true, AddressClass::VirtualAlias) => worker.settings.codes.unknown_virtual_alias,
        (true, _) => 550,
    };
    Unlisted { code, status, text: text.to_vec() }
}

/// show_user_unknown_table_name
fn unknown_user(worker: &Smtpd, table: &str) -> Vec<u8> {
    match worker.settings.show_user_unknown_table_name {
        true => format!("User unknown in {table} table").into_bytes(),
        false => b"User unknown".to_vec(),
    }
}

/// Looks one address up.
struct Lister<'a> {
    worker: &'a Smtpd,
    is_local: bool,
}

impl Lister<'_> {
    /// Another table gives the address a new form: it is not for this check to know that one.
    fn is_rewritten(&self, class: Class, address: &[u8]) -> Result<bool, TableError> {
        let tables = &self.worker.tables.addresses;
        let own = if class == Class::Sender { &tables.sender_canonical } else { &tables.recipient_canonical };
        for maps in [own, &tables.canonical, &tables.virtual_alias] {
            if !maps.is_empty() && self.lists(maps, address)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_local_user(&self, address: &[u8]) -> Result<bool, TableError> {
        let tables = &self.worker.tables.addresses;
        let (local, _) = address::split(address);
        let unchecked = tables.local_recipient.is_empty() && !tables.system_users;
        if unchecked || ALWAYS_LOCAL.iter().any(|name| local.eq_ignore_ascii_case(name)) {
            return Ok(true);
        }
        if self.lists(&tables.local_recipient, address)? {
            return Ok(true);
        }
        let (base, _) = self.worker.tables.access.delimiters.split(local);
        Ok(tables.system_users && [local, base].into_iter().any(is_system_user))
    }

    /// The table names the address; of a local one, the local part is enough.
    fn lists(&self, maps: &Maps, address: &[u8]) -> Result<bool, TableError> {
        let origin = self.worker.settings.myorigin.as_bytes();
        let is_ours = |domain: &[u8]| self.is_local || domain.eq_ignore_ascii_case(origin);
        let keys = search::address_keys(address, &self.worker.tables.access.delimiters, is_ours);
        Ok(maps.search(&keys)?.is_some())
    }
}

/// unix:passwd.byname
fn is_system_user(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_control() || byte == b':') {
        return false;
    }
    let found = |name: &str| Identity::of_user(name).is_ok_and(|identity| identity.is_some());
    found(name) || found(&name.to_ascii_lowercase())
}
