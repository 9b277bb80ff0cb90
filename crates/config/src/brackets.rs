//! IPv6 addresses without brackets in main.cf, in the options of services, and in the files and tables that they name:
//! told before a client finds out.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use net::brackets::{in_endpoint, in_word};

use crate::entry::{self, Kind};
use crate::lines;
use crate::master_cf::RawEntry;
use crate::settings::{Config, Origin};

/// An address that wants brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unbracketed {
    /// The file.
    pub file: PathBuf,
    /// Its line.
    pub line: usize,
    /// The parameter that it is said of.
    pub parameter: String,
    /// What stands there.
    pub found: String,
    /// How it is to be written.
    pub right: String,
}

impl fmt::Display for Unbracketed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.file.display(), self.line, self.sentence())
    }
}

impl Unbracketed {
    /// What is wrong, without its place.
    pub(crate) fn sentence(&self) -> String {
        let Unbracketed { parameter, found, right, .. } = self;
        format!("{parameter}: IPv6 address without brackets: \"{found}\", write \"{right}\"")
    }
}

/// These take addresses as they are.
const BARE: [&str; 6] = [
    "inet_interfaces",
    "lmtp_bind_address",
    "lmtp_bind_address6",
    "proxy_interfaces",
    "smtp_bind_address",
    "smtp_bind_address6",
];

/// Parameters whose tables have nexthops in them.
const NEXTHOP_TABLES: [&str; 4] = [
    "default_transport_maps",
    "sender_dependent_default_transport_maps",
    "sender_dependent_relayhost_maps",
    "transport_maps",
];

/// Tables that are made from a text file of the same name, or are one.
const TEXT_BEHIND: [&str; 7] = ["btree:", "cdb:", "dbm:", "hash:", "lmdb:", "sdbm:", "texthash:"];

/// A larger file is not looked at. told: nobody here; who reads it as a table or list refuses it.
const LARGEST: u64 = 256 << 20;

impl Config {
    /// Every IPv6 address that stands without the brackets that it needs there.
    pub fn unbracketed(&self, services: &[RawEntry], master_cf: &Path) -> Vec<Unbracketed> {
        let mut found = BTreeSet::new();
        for (name, setting) in self.settings() {
            if let Origin::File { file, line } = &setting.origin {
                self.look_at(name, &setting.value, (file, *line), &mut found);
            }
        }
        for service in services {
            let endpoint = service.field(1).filter(|kind| *kind == "inet").map(|_| service.name());
            if let Some((word, right)) = endpoint.and_then(|word| Some((word, in_endpoint(word)?))) {
                let (file, parameter, word) = (master_cf.to_path_buf(), "service".to_owned(), word.to_owned());
                found.insert(Unbracketed { file, line: service.line, parameter, found: word, right });
            }
            for (name, value) in service.options() {
                self.look_at(&name, &value, (master_cf, service.line), &mut found);
            }
        }
        found.into_iter().collect()
    }

    fn look_at(&self, name: &str, value: &str, (file, line): (&Path, usize), found: &mut BTreeSet<Unbracketed>) {
        let Some(entry) = entry::find(name).filter(|entry| entry.kind != Kind::Raw) else { return };
        if BARE.contains(&name) {
            return;
        }
        let is_list = entry.kind == Kind::List;
        let value = self.expand(value).unwrap_or_default();
        let mut add = |file: &Path, line: usize, word: &str| {
            if let Some(right) = in_word(word) {
                let (file, parameter, word) = (file.to_path_buf(), name.to_owned(), word.to_owned());
                found.insert(Unbracketed { file, line, parameter, found: word, right });
            }
        };
        for word in words(&value) {
            add(file, line, word);
            let of_nexthops = NEXTHOP_TABLES.contains(&name);
            let table = TEXT_BEHIND.iter().find_map(|kind| word.strip_prefix(kind)).filter(|_| of_nexthops);
            let list = Some(word.trim_start_matches('!')).filter(|_| is_list);
            if let Some(path) = table.or(list).filter(|path| path.starts_with('/')) {
                let path = Path::new(path);
                for logical in lines::logical(&content(path), path, &mut Vec::new()) {
                    // The key of a table is no place for brackets.
                    words(&logical.text).skip(usize::from(of_nexthops)).for_each(|word| add(path, logical.first, word));
                }
            }
        }
    }
}

/// Words of lists, also of those within braces.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\t', '\r', '\n', ',', '{', '}', '=']).filter(|word| !word.is_empty())
}

/// What a file holds; nothing when it cannot be read, which others say.
fn content(path: &Path) -> Vec<u8> {
    let is_read = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST);
    is_read.then(|| std::fs::read(path).ok()).flatten().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_without_brackets_are_found_in_settings_options_lists_and_tables() {
        let folder = std::env::temp_dir().join(format!("config-brackets-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.display();
        std::fs::write(folder.join("nets"), "# 2001:db8::9\n10.0.0.0/8\n  2001:db8:1::/48 [2001:db8:2::]/48\n")
            .unwrap();
        std::fs::write(folder.join("transport"), "a.example smtp:2001:db8::7\n2001:db8::1 smtp:[2001:db8::8]\n")
            .unwrap();
        let main_cf = format!(
            "mynetworks = 127.0.0.0/8, ::1,\n  [2001:db8::]/32 {path}/nets\nrelayhost = 2001:db8::5\n\
             transport_maps = hash:{path}/transport\ninet_interfaces = 2001:db8::3\nown = 2001:db8::4\n\
             smtpd_milters = inet:2001:db8::6:8891\nsmtp_bind_address6 = 2001:db8::2\n"
        );
        let config = Config::parse(main_cf.as_bytes(), Path::new("/c"), &[]).unwrap();
        let master = b"smtp inet n - n - - smtpd\n  -o debug_peer_list=2001:db8::1/64\n\
            2001:db8::9:2525 inet n - n - - smtpd\n2001:db8::9 inet n - n - - smtpd\n[::1]:25 inet n - n - - smtpd\n";
        let services = crate::master_cf::entries(master, Path::new("/c/master.cf"), &mut Vec::new());
        let found = config.unbracketed(&services, Path::new("/c/master.cf"));
        let mut found: Vec<String> = found.iter().map(|one| one.to_string().replace(&path.to_string(), "D")).collect();
        found.sort();
        let says = "IPv6 address without brackets:";
        assert_eq!(
            found,
            [
                format!("/c/main.cf, line 1: mynetworks: {says} \"::1\", write \"[::1]\""),
                format!("/c/main.cf, line 3: relayhost: {says} \"2001:db8::5\", write \"[2001:db8::5]\""),
                format!(
                    "/c/main.cf, line 7: smtpd_milters: {says} \"inet:2001:db8::6:8891\", write \
                     \"inet:[2001:db8::6]:8891\""
                ),
                format!("/c/master.cf, line 1: debug_peer_list: {says} \"2001:db8::1/64\", write \"[2001:db8::1]/64\""),
                format!("/c/master.cf, line 3: service: {says} \"2001:db8::9:2525\", write \"[2001:db8::9]:2525\""),
                format!("/c/master.cf, line 4: service: {says} \"2001:db8::9\", write \"[2001:db8::9]:port\""),
                format!("D/nets, line 2: mynetworks: {says} \"2001:db8:1::/48\", write \"[2001:db8:1::]/48\""),
                format!(
                    "D/transport, line 1: transport_maps: {says} \"smtp:2001:db8::7\", write \"smtp:[2001:db8::7]\""
                ),
            ]
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
