//! The cases and the networks that they are played in.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    area: String,
    table: Table,
}

impl Case {
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// What it is about: the name of its file.
    pub fn area(&self) -> &str {
        &self.area
    }

    pub fn kind(&self) -> &str {
        self.text("kind")
    }

    /// Lists, syntax and look-ups in tables do not depend on a network.
    pub fn needs_network(&self) -> bool {
        match self.kind() {
            "syntax" | "matchlist" => false,
            "cmd" => !self.text("command").starts_with("postmap "),
            _ => true,
        }
    }

    /// Whether the address is one that a client can have: a zone is not seen, a mapped one is IPv4.
    pub fn can_be_a_client(&self) -> bool {
        let address = self.text("address").parse::<std::net::IpAddr>();
        address.is_ok_and(|address| address.to_canonical() == address)
    }

    /// A text; empty when it is not there.
    pub fn text(&self, key: &str) -> &str {
        self.table.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// A list of texts, or one text as a list.
    pub fn list(&self, key: &str) -> Vec<String> {
        match self.table.get(key) {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(text)) => vec![text.clone()],
            _ => Vec::new(),
        }
    }

    /// Names and contents of the files beside main.cf.
    pub fn files(&self) -> Vec<(String, String)> {
        let files = self.table.get("files").and_then(Value::as_table).cloned().unwrap_or_default();
        files.into_iter().filter_map(|(name, text)| Some((name, text.as_str()?.to_owned()))).collect()
    }

    /// What must be observed.
    pub fn expected(&self) -> &Table {
        self.table
            .get("expect")
            .and_then(Value::as_table)
            .unwrap_or_else(|| panic!("{}: nothing is expected", self.id()))
    }

    /// One of the lists that must be observed.
    pub fn expected_list(&self, key: &str) -> Vec<String> {
        let list = self.expected().get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Cases for which this is the same can share an instance.
    fn shared(&self) -> String {
        match self.kind() {
            "syntax" | "matchlist" => self.kind().to_owned(),
            "cmd" => format!("cmd {:?}", self.table.get("setup")),
            "smtp" => format!("smtp {} {:?} {:?}", self.area(), self.table.get("main_cf"), self.table.get("files")),
            "deliver" => format!("deliver {:?} {:?}", self.table.get("main_cf"), self.table.get("files")),
            _ => self.id().to_owned(),
        }
    }
}

/// Cases by what they can share.
pub fn groups(cases: Vec<Case>) -> Vec<Vec<Case>> {
    let mut groups: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in cases {
        groups.entry(case.shared()).or_default().push(case);
    }
    groups.into_values().collect()
}

/// All cases, and what they have in common.
#[derive(Debug)]
pub struct Cases {
    cases: Vec<Case>,
    interfaces: BTreeMap<String, Vec<String>>,
    /// The commands that make the network of cases with servers.
    pub net: Vec<String>,
    /// The records of their DNS server.
    pub zone: Vec<String>,
}

impl Cases {
    /// Reads the files.
    pub fn load() -> Cases {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ipv6");
        let world = read(&folder.join("world.toml"));
        let lists = |table: &Table| -> BTreeMap<String, Vec<String>> {
            table.iter().map(|(name, list)| (name.clone(), texts(list))).collect()
        };
        let mut cases = Cases {
            cases: Vec::new(),
            interfaces: world.get("interfaces").and_then(Value::as_table).map(lists).unwrap_or_default(),
            net: world.get("net").map(texts).unwrap_or_default(),
            zone: world.get("zone").map(texts).unwrap_or_default(),
        };
        let mut files: Vec<_> =
            std::fs::read_dir(&folder).expect("cases").map(|entry| entry.expect("case").path()).collect();
        files.sort();
        for file in files {
            let table = read(&file);
            let area = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let found = table.get("case").and_then(Value::as_array).cloned().unwrap_or_default();
            let tables = found.into_iter().filter_map(|case| case.as_table().cloned());
            cases.cases.extend(tables.map(|table| Case { area: area.clone(), table }));
        }
        cases
    }

    pub fn all(&self) -> &[Case] {
        &self.cases
    }

    pub fn of_area(&self, name: &str) -> Vec<Case> {
        self.cases.iter().filter(|case| case.area() == name).cloned().collect()
    }

    /// The commands that make the network of a case without servers: a named one, or its own.
    pub fn lines_for(&self, case: &Case) -> Vec<String> {
        match case.table.get("setup") {
            None => Vec::new(),
            Some(Value::String(name)) => {
                self.interfaces.get(name).cloned().unwrap_or_else(|| panic!("{}: no network {name}", case.id()))
            }
            Some(lines) => texts(lines),
        }
    }
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().cloned().unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn read(file: &Path) -> Table {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}
