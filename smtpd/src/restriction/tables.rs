//! The tables of access checks: opened once, before the sandbox, and shared by all lists that name them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use address::Delimiters;
use lookup::{Maps, OpenFlags, ParentStyle};

use crate::restriction::{Fingerprint, Hosts, Restriction, Subject};

/// One table of an access check.
pub struct AccessTable {
    /// `type:name`
    pub name: String,
    /// Where to look.
    pub maps: Maps,
}

impl std::fmt::Debug for AccessTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// All tables of access checks, and how keys are made for them.
pub struct Tables {
    settings: lookup::Settings,
    opened: RefCell<HashMap<String, Rc<AccessTable>>>,
    /// parent_domain_matches_subdomains, smtpd_access_maps
    pub parents: ParentStyle,
    /// recipient_delimiter
    pub delimiters: Delimiters,
}

impl Tables {
    /// No tables yet.
    pub fn new(settings: lookup::Settings, parents: ParentStyle, delimiters: Delimiters) -> Tables {
        Tables { settings, opened: RefCell::default(), parents, delimiters }
    }

    /// A check with the table `name`. A table that cannot be opened fails when it is used.
    pub fn access(&self, subject: Subject, name: &str) -> Restriction {
        match self.open(name) {
            Ok(table) => Restriction::Access(subject, table),
            Err(misused) => misused,
        }
    }

    /// A check with the table `name` of what the list is about.
    pub fn bare(&self, name: &str) -> Restriction {
        match self.open(name) {
            Ok(table) => Restriction::Bare(table),
            Err(misused) => misused,
        }
    }

    /// A check whether the table `name` has the client's address.
    pub fn address_map(&self, name: &str) -> Restriction {
        match self.open(name) {
            Ok(table) => Restriction::AddressMap(table),
            Err(misused) => misused,
        }
    }

    /// A check of the user with the table `name`.
    pub fn login_access(&self, name: &str) -> Restriction {
        match self.open(name) {
            Ok(table) => Restriction::LoginAccess(table),
            Err(misused) => misused,
        }
    }

    /// A check of the client's certificate with the table `name`.
    pub fn certificate_access(&self, name: &str, order: Vec<Fingerprint>) -> Restriction {
        match self.open(name) {
            Ok(table) => Restriction::CertificateAccess(table, order),
            Err(misused) => misused,
        }
    }

    /// A check of the hosts behind a name with the table `name`.
    pub fn host_access(&self, subject: Subject, hosts: Hosts, name: &str) -> Restriction {
        match self.open(name) {
            Ok(table) => Restriction::HostAccess(subject, hosts, table),
            Err(misused) => misused,
        }
    }

    fn open(&self, name: &str) -> Result<Rc<AccessTable>, Restriction> {
        if let Some(table) = self.opened.borrow().get(name) {
            return Ok(Rc::clone(table));
        }
        // Served here without a proxymap process: the table is opened before the sandbox.
        let spec = name.strip_prefix("proxy:").unwrap_or(name);
        match Maps::open(self.settings.clone(), name, spec, OpenFlags::default()) {
            Ok(maps) => {
                let table = Rc::new(AccessTable { name: name.to_owned(), maps });
                self.opened.borrow_mut().insert(name.to_owned(), Rc::clone(&table));
                Ok(table)
            }
            Err(error) => Err(Restriction::Misused(error.to_string())),
        }
    }

    /// A table whose file is no longer what was opened.
    pub fn changed(&self) -> Option<String> {
        self.opened.borrow().values().find_map(|table| table.maps.changed().map(str::to_owned))
    }
}
