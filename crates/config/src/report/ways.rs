//! Ways that mail takes: the services that settings and transport tables send it to.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::lines;
use crate::master_cf::{ServiceEntry, ServiceKind};
use crate::report::{Feature, Finding, Place, Report};

/// Who sends mail to a service.
pub(super) struct Way {
    /// The service.
    pub(super) transport: String,
    /// `virtual_transport = dovecot`
    pub(super) told: String,
    /// Where.
    pub(super) place: Place,
}

/// A parameter that names a way, and another that must be set for it to matter.
const WAYS: [(&str, Option<&str>); 7] = [
    ("default_transport", None),
    ("local_transport", Some("mydestination")),
    ("virtual_transport", Some("virtual_mailbox_domains")),
    ("relay_transport", Some("relay_domains")),
    ("mailbox_transport", None),
    ("fallback_transport", None),
    ("content_filter", None),
];

/// Tables whose results begin with a transport.
const TABLES: [&str; 4] =
    ["transport_maps", "sender_dependent_default_transport_maps", "mailbox_transport_maps", "fallback_transport_maps"];

/// Services that all mail needs.
const SERVICES: [&str; 5] =
    ["bounce_service_name", "cleanup_service_name", "defer_service_name", "queue_service_name", "rewrite_service_name"];

/// Tables that are made from a text file of the same name, or are one.
const TEXT_BEHIND: [&str; 5] = ["btree:", "cdb:", "hash:", "lmdb:", "texthash:"];

/// A larger file is no list that somebody wrote. told: what it says is told by the first mail that asks it.
const LARGEST: u64 = 16 << 20;

impl Report<'_> {
    /// Ways that lead to no service.
    pub(super) fn wrong_ways(&self) -> Vec<Finding> {
        let mut found: Vec<Finding> = Vec::new();
        for way in self.ways() {
            if self.service(&way.transport).is_none() {
                let file = self.master_file.display();
                let text = format!("{}: mail waits, for {file} has no service {}", way.told, way.transport);
                found.push(Finding { place: way.place, text });
            }
        }
        for name in SERVICES {
            let service = self.config.lookup(name).ok().flatten().unwrap_or_default();
            if !self.services.iter().any(|entry| entry.name == service) {
                let text = format!("service {service} is missing ({name}): no mail is handled without it");
                found.push(Finding { place: self.master(0), text });
            }
        }
        found
    }

    /// The service that delivers by a transport.
    pub(super) fn service(&self, transport: &str) -> Option<&ServiceEntry> {
        self.services.iter().find(|service| service.name == transport && service.kind != ServiceKind::Inet)
    }

    /// Whether some way leads to a service of this feature's program.
    pub(super) fn is_way_to(&self, feature: Feature) -> bool {
        let leads = |way: &Way| self.service(&way.transport).and_then(|it| Feature::of_program(it.program()));
        self.ways().iter().any(|way| leads(way) == Some(feature))
    }

    /// Every way that is asked for, and the defaults that are in use.
    pub(super) fn ways(&self) -> Vec<Way> {
        let mut ways = Vec::new();
        for (name, condition) in WAYS {
            let is_used =
                |it: &str| self.config.lookup(it).ok().flatten().is_some_and(|value| !value.trim().is_empty());
            if !condition.is_none_or(is_used) {
                continue;
            }
            let said = self.said.iter().filter(|said| said.name == name);
            ways.extend(said.filter_map(|said| way(name, &said.value, said.place.clone())));
            if !self.config.is_set(name) {
                let value = self.config.lookup(name).ok().flatten().unwrap_or_default();
                ways.extend(way(name, &value, self.main(0)));
            }
        }
        for said in self.said.iter().filter(|said| TABLES.contains(&said.name.as_str())) {
            for table in said.items() {
                let path = TEXT_BEHIND.iter().find_map(|kind| table.strip_prefix(kind));
                if let Some(path) = path.filter(|path| path.starts_with('/')) {
                    ways.extend(of_table(&said.name, Path::new(path)));
                }
            }
        }
        ways
    }
}

/// The way of a value `transport:nexthop`; None when it names no transport.
fn way(name: &str, value: &str, place: Place) -> Option<Way> {
    let value = value.trim();
    let transport = value.split(':').next().unwrap_or_default();
    (!transport.is_empty()).then(|| Way { transport: transport.to_owned(), told: format!("{name} = {value}"), place })
}

/// The ways of the text of a table, each transport once.
fn of_table(name: &str, path: &Path) -> Vec<Way> {
    let mut ways: Vec<Way> = Vec::new();
    for line in lines::logical(&content(path), path, &mut Vec::new()) {
        let Some((_, value)) = line.text.split_once(|c: char| c.is_ascii_whitespace()) else { continue };
        let place = Place { rank: 2, file: PathBuf::from(path), line: line.first };
        let new = way(name, value, place).filter(|new| ways.iter().all(|way| way.transport != new.transport));
        ways.extend(new);
    }
    ways
}

/// What a file holds; nothing when it cannot be read, or is no text that somebody wrote.
fn content(path: &Path) -> Vec<u8> {
    let mut content = Vec::new();
    let is_text = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST);
    // name: in a setting of root's.
    let read = is_text.then(|| File::open(path).and_then(|mut file| file.read_to_end(&mut content)));
    read.and_then(Result::ok).map(|_| content).unwrap_or_default()
}
