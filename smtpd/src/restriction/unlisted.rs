//! reject_unlisted_sender, reject_unlisted_recipient: addresses that this system is responsible for and does not know.
//! It is better to say so now than to send a notification later to a sender who may be forged.

use config::ErrorClass;
use dsn::Status;
use ipc::rewrite::{Class as AddressClass, Resolved};
use lookup::{Maps, TableError, search, settled};
use smtp_server::Rejection;

use crate::look_ups::LookUps;
use crate::restriction::Rules;
use crate::restriction::action::adapted;
use crate::restriction::{Class, Evaluation, Verdict};
use crate::settings::Settings;

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

impl<L: LookUps> Evaluation<'_, L> {
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
        let Ok(resolved) = self.look_ups.resolve(self.facts.sender, address).await else {
            return self.server_error(Rejection::temporary_lookup(address));
        };
        match self.find_unlisted(class, &resolved).await {
            Ok(None) => {
                if class == Class::Recipient {
                    self.note_relay_recipient(&resolved);
                }
                Verdict::Dunno
            }
            Ok(Some(unlisted)) => {
                let text = self.text(class, &unlisted.text);
                self.reject(Rejection::new(unlisted.code, unlisted.status, text).of(ErrorClass::Bounce))
            }
            Err(_) => self.server_error(Rejection::temporary_lookup(address)),
        }
    }

    async fn find_unlisted(&self, class: Class, resolved: &Resolved) -> Result<Option<Unlisted>, Unanswered> {
        let address = resolved.recipient.as_slice();
        let (rules, settings) = (self.rules, self.settings);
        let is_local = resolved.class == AddressClass::Local;
        let lister = Lister { rules, settings, look_ups: self.look_ups, is_local };
        if settled(|| lister.is_rewritten(class, address)).await? {
            return Ok(None);
        }
        let unknown = Status::new(5, 1, if class == Class::Sender { 0 } else { 1 });
        let codes = &settings.codes;
        if resolved.transport == "error" || resolved.transport == "retry" {
            return Ok(Some(by_transport(settings, class, resolved, unknown)));
        }
        let tables = &rules.tables.addresses;
        let (missing, code, table) = match resolved.class {
            AddressClass::Local => (!lister.is_local_user(address).await?, codes.unknown_local, "local recipient"),
            AddressClass::VirtualMailbox => {
                let missing =
                    !tables.virtual_mailbox.is_empty() && !lister.has(&tables.virtual_mailbox, address).await?;
                (missing, codes.unknown_virtual_mailbox, "virtual mailbox")
            }
            AddressClass::Relay => {
                let missing =
                    !tables.relay_recipient.is_empty() && !lister.has(&tables.relay_recipient, address).await?;
                (missing, codes.unknown_relay, "relay recipient")
            }
            AddressClass::VirtualAlias => (true, codes.unknown_virtual_alias, "virtual alias"),
            AddressClass::Default => return Ok(None),
        };
        let text = unknown_user(settings, table);
        Ok(missing.then_some(Unlisted { code, status: unknown, text }))
    }
}

/// A table or the user database cannot say now; logged.
struct Unanswered;

impl From<TableError> for Unanswered {
    fn from(_: TableError) -> Self {
        Self
    }
}

/// The nexthop of the transports error and retry is what to say.
fn by_transport(settings: &Settings, class: Class, resolved: &Resolved, unknown: Status) -> Unlisted {
    let permanent = resolved.transport == "error";
    let default = if permanent { unknown } else { Status::new(4, 1, unknown.detail()) };
    let (status, text) = Status::split_bytes(&resolved.nexthop, default);
    let code = match (permanent, resolved.class) {
        (false, _) => 450,
        (true, AddressClass::VirtualAlias) => settings.codes.unknown_virtual_alias,
        (true, _) => 550,
    };
    Unlisted { code, status: adapted(status, class), text: text.to_vec() }
}

/// show_user_unknown_table_name
fn unknown_user(settings: &Settings, table: &str) -> Vec<u8> {
    match settings.show_user_unknown_table_name {
        true => format!("User unknown in {table} table").into_bytes(),
        false => b"User unknown".to_vec(),
    }
}

/// Looks one address up.
pub(super) struct Lister<'a, L> {
    pub(super) rules: &'a Rules,
    pub(super) settings: &'a Settings,
    pub(super) look_ups: &'a L,
    /// The domain is this system's.
    pub(super) is_local: bool,
}

impl<L: LookUps> Lister<'_, L> {
    /// Another table gives the address a new form: it is not for this check to know that one.
    fn is_rewritten(&self, class: Class, address: &[u8]) -> Result<bool, TableError> {
        let tables = &self.rules.tables.addresses;
        let own = if class == Class::Sender { &tables.sender_canonical } else { &tables.recipient_canonical };
        for maps in [own, &tables.canonical, &tables.virtual_alias] {
            if !maps.is_empty() && self.lists(maps, address)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_local_user(&self, address: &[u8]) -> Result<bool, Unanswered> {
        let tables = &self.rules.tables.addresses;
        let (local, _) = address::split(address);
        let unchecked = tables.local_recipient.is_empty() && !tables.system_users;
        if unchecked || ALWAYS_LOCAL.iter().any(|name| local.eq_ignore_ascii_case(name)) {
            return Ok(true);
        }
        if self.has(&tables.local_recipient, address).await? {
            return Ok(true);
        }
        let (base, _) = self.rules.tables.access.delimiters.split(local);
        for name in names_of_user(local, base).iter().filter(|_| tables.system_users) {
            if self.has_user(name).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// unix:passwd.byname
    async fn has_user(&self, name: &[u8]) -> Result<bool, Unanswered> {
        self.look_ups.has_user(name).await.map_err(|why| {
            let shown = text::printable(name);
            logging::warning!("unix:passwd.byname lookup error for \"{shown}\": {why}");
            Unanswered
        })
    }

    /// The same for one who waits until the table can say.
    async fn has(&self, maps: &Maps, address: &[u8]) -> Result<bool, TableError> {
        settled(|| self.lists(maps, address)).await
    }

    /// The table names the address.
    fn lists(&self, maps: &Maps, address: &[u8]) -> Result<bool, TableError> {
        Ok(self.find(maps, address)?.is_some())
    }

    /// What the table says of the address; of a local one, the local part is enough.
    pub(super) fn find(&self, maps: &Maps, address: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        let origin = self.settings.myorigin.as_bytes();
        let is_ours = |domain: &[u8]| self.is_local || domain.eq_ignore_ascii_case(origin);
        let keys = search::address_keys(address, &self.rules.tables.access.delimiters, is_ours);
        Ok(maps.search(&keys)?.map(|found| found.value))
    }
}

/// The names under which the user database may have a local part, each once: with and without its extension.
fn names_of_user(local: &[u8], base: &[u8]) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for name in [local.to_vec(), base.to_vec()] {
        let is_possible = !name.is_empty() && !name.iter().any(|byte| byte.is_ascii_control() || b":/".contains(byte));
        if is_possible && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::names_of_user;

    #[test]
    fn a_plain_name_is_looked_up_once() {
        assert_eq!(names_of_user(b"alice", b"alice"), [b"alice"]);
    }

    #[test]
    fn a_name_with_an_extension_is_looked_up_with_and_without_it() {
        assert_eq!(names_of_user(b"al+x", b"al"), [&b"al+x"[..], b"al"]);
    }

    #[test]
    fn what_is_no_name_of_a_user_is_not_looked_up() {
        for local in [&b""[..], b"a:b", b"../a", b"a\0"] {
            assert!(names_of_user(local, local).is_empty());
        }
    }
}
