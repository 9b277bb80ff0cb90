//! check_client_access, check_helo_access, check_sender_access, check_recipient_access, check_sasl_access: a table
//! decides.
//!
//! Only the first key is whole; parts of names and addresses are not looked up in tables of patterns.

use config::ErrorClass;
use dsn::Status;
use lookup::TableError;
use lookup::search::{self, Key};
use lookup::settled;
use smtp_server::Rejection;

use crate::look_ups::LookUps;
use crate::restriction::{AccessTable, Class, Evaluation, Verdict};

/// What is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Name and address of the client.
    Client,
    /// The same, with the name that the client's address has, verified or not.
    ReverseClient,
    /// The name in HELO or EHLO.
    Helo,
    /// The sender address.
    Sender,
    /// The recipient address.
    Recipient,
    /// The domain of ETRN.
    Etrn,
}

impl Subject {
    /// The subject of a `check_*_access` restriction.
    pub fn of_restriction(name: &str) -> Option<Subject> {
        Some(match name {
            "check_client_access" => Subject::Client,
            "check_reverse_client_hostname_access" => Subject::ReverseClient,
            "check_helo_access" => Subject::Helo,
            "check_sender_access" => Subject::Sender,
            "check_recipient_access" => Subject::Recipient,
            "check_etrn_access" => Subject::Etrn,
            _ => return None,
        })
    }

    /// The subject of a table that stands alone in a list about this.
    fn of_list(class: Class) -> Option<Subject> {
        match class {
            Class::Client => Some(Subject::Client),
            Class::Helo => Some(Subject::Helo),
            Class::Sender => Some(Subject::Sender),
            Class::Recipient => Some(Subject::Recipient),
            Class::Etrn => Some(Subject::Etrn),
            _ => None,
        }
    }

    /// What replies call it.
    pub fn class(self) -> Class {
        match self {
            Subject::Client => Class::Client,
            Subject::ReverseClient => Class::ReverseClient,
            Subject::Helo => Class::Helo,
            Subject::Sender => Class::Sender,
            Subject::Recipient => Class::Recipient,
            Subject::Etrn => Class::Etrn,
        }
    }
}

/// What a table says.
pub(super) struct Found {
    /// What was looked up, whole.
    pub(super) subject: Vec<u8>,
    /// The action.
    pub(super) value: Vec<u8>,
}

impl<L: LookUps> Evaluation<'_, L> {
    /// Looks the subject up and does what the table says.
    pub(super) async fn access(&mut self, subject: Subject, table: &AccessTable, depth: usize) -> Verdict {
        let class = subject.class();
        let Some(name) = self.name(class) else { return Verdict::Dunno };
        let verdict = match Box::pin(self.find_any(subject, name, table)).await {
            Ok(found) => self.say(class, found, table, depth).await,
            Err(verdict) => verdict,
        };
        match verdict {
            // Anybody can have any name that is not verified.
            Verdict::Permit if subject == Subject::ReverseClient && !self.effects.discard => {
                self.refuse_permission(subject, "check_reverse_client_hostname_access")
            }
            verdict => verdict,
        }
    }

    /// What the table says of the subject; addresses are looked up as all tables of addresses have them: with their
    /// domain, and without case.
    async fn find_any(
        &mut self,
        subject: Subject,
        name: &[u8],
        table: &AccessTable,
    ) -> Result<Result<Option<Found>, TableError>, Verdict> {
        if name.is_empty() || !matches!(subject, Subject::Sender | Subject::Recipient) {
            return Ok(settled(|| self.find(subject, name, table)).await);
        }
        match self.look_ups.resolve(self.facts.sender, name).await {
            Ok(resolved) => Ok(settled(|| self.find_address(&resolved.recipient, table)).await),
            Err(_) => Err(self.server_error(Rejection::temporary_lookup(name))),
        }
    }

    /// A table alone: the list says what is looked up.
    pub(super) async fn bare_access(&mut self, table: &AccessTable, depth: usize) -> Verdict {
        if let Some(subject) = Subject::of_list(self.list_class) {
            return self.access(subject, table, depth).await;
        }
        logging::warning!(
            "specify one of (check_client_access, check_reverse_client_hostname_access, check_helo_access, \
             check_sender_access, check_recipient_access, check_etrn_access) before {} restriction \"{}\"",
            self.list_class,
            table.name
        );
        self.server_error(Rejection::server_configuration())
    }

    /// check_sasl_access
    pub(super) async fn login_access(&mut self, table: &AccessTable, depth: usize) -> Verdict {
        if self.lacks_sasl("check_sasl_access") {
            return Verdict::Dunno;
        }
        let Some(user) = self.name(Class::Login) else { return Verdict::Dunno };
        let found = settled(|| table.maps.lookup(user))
            .await
            .map(|value| value.map(|value| Found { subject: user.to_vec(), value }));
        self.say(Class::Login, found, table, depth).await
    }

    /// Does what a table says.
    pub(super) async fn say(
        &mut self,
        class: Class,
        found: Result<Option<Found>, TableError>,
        table: &AccessTable,
        depth: usize,
    ) -> Verdict {
        match found {
            Ok(Some(found)) => self.action(class, table, &found.subject, &found.value, depth).await,
            Ok(None) => Verdict::Dunno,
            Err(_) => {
                let text = self.text(class, "Server configuration error");
                self.reject(Rejection::new(451, Status::new(4, 3, 5), text).of(ErrorClass::Data))
            }
        }
    }

    fn find(&self, subject: Subject, name: &[u8], table: &AccessTable) -> Result<Option<Found>, TableError> {
        let peer = self.facts.peer;
        let search = |keys: Vec<Key>, whole: &[u8]| {
            let found = table.maps.search(&keys)?;
            Ok(found.map(|found| Found { subject: whole.to_vec(), value: found.value }))
        };
        let host =
            |name: &str| search(search::host_keys(name.as_bytes(), self.rules.tables.access.parents), name.as_bytes());
        let client = |name: &str| match host(name)? {
            Some(found) => Ok(Some(found)),
            None => {
                let address = peer.address_text();
                search(search::network_keys(address.as_bytes()), address.as_bytes())
            }
        };
        match subject {
            Subject::Client => client(&peer.name),
            Subject::ReverseClient => client(&peer.reverse_name),
            Subject::Helo => host(self.facts.helo.unwrap_or_default()),
            Subject::Etrn => host(&String::from_utf8_lossy(name)),
            Subject::Sender | Subject::Recipient => {
                // smtpd_null_access_lookup_key
                let null = self.settings.null_access_lookup_key.as_bytes();
                let value = table.maps.lookup(null)?;
                Ok(value.map(|value| Found { subject: null.to_vec(), value }))
            }
        }
    }

    fn find_address(&self, address: &[u8], table: &AccessTable) -> Result<Option<Found>, TableError> {
        let tables = &self.rules.tables.access;
        let keys = search::access_keys(address, &tables.delimiters, tables.parents);
        let found = table.maps.search(&keys)?;
        Ok(found.map(|found| Found { subject: address.to_vec(), value: found.value }))
    }
}
