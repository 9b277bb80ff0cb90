//! The name service and the mail system of the cases, and what is asked about.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use testing::name_server::{NameServer, Question, Verdict};
use testing::{Instance, Setup, World};
use toml::{Table, Value};

/// `world.toml`.
pub struct Description(Table);

/// Ports of the servers.
const FIRST_PORT: u16 = 3000;
/// Servers for each list of restrictions: most of the time goes in waiting for a name server that is silent.
const SHARES: u16 = 6;

/// One of the servers that have a list of restrictions.
#[derive(Clone, Debug)]
pub struct Server {
    /// As `world.toml` has it.
    pub restrictions: String,
    /// The name of the setting that has the list.
    setting: String,
    /// Which part of the names it is asked about.
    share: u16,
    /// Where it listens.
    pub port: u16,
    /// The name of its log lines.
    pub log_name: String,
}

impl Server {
    /// What it is asked about.
    pub fn share_of<'a>(&self, names: &'a [String]) -> impl Iterator<Item = &'a String> {
        names.iter().skip(usize::from(self.share)).step_by(usize::from(SHARES))
    }
}

impl Description {
    /// Reads the file.
    pub fn load() -> Description {
        let path = folder().join("world.toml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Description(text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    fn list(&self, path: &[&str]) -> Vec<String> {
        let mut value = self.0.get(path[0]);
        for key in &path[1..] {
            value = value.and_then(|value| value.get(key));
        }
        let items = value.and_then(Value::as_array).unwrap_or_else(|| panic!("world.toml: no list {path:?}"));
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The servers for one subject.
    pub fn servers(&self, subject: &str) -> Vec<Server> {
        let lists = self.list(&["restrictions", subject]).into_iter().zip(0..);
        let server = |restrictions: &str, number: u16, share: u16| Server {
            restrictions: restrictions.to_owned(),
            setting: format!("r{number}"),
            share,
            port: FIRST_PORT + number * SHARES + share,
            log_name: format!("r{number}s{share}"),
        };
        lists.flat_map(|(list, number)| (0..SHARES).map(move |share| server(&list, number, share))).collect()
    }

    /// What is asked about: for a client its address; for the others the domains of the zone, and more.
    pub fn names(&self, subject: &str) -> Vec<String> {
        let more = match subject {
            "client" => return self.list(&["names", "client"]),
            "recipient" => self.list(&["names", "sender"]).into_iter().filter(|name| !name.is_empty()).collect(),
            other => self.list(&["names", other]),
        };
        let domains: BTreeSet<String> = self.zone().filter_map(|[name, ..]| domain(&name)).collect();
        let before = if subject == "helo" { "" } else { "u@" };
        domains.into_iter().map(|domain| format!("{before}{domain}")).chain(more).collect()
    }

    /// Name, type, and data or `!VERDICT`.
    fn zone(&self) -> impl Iterator<Item = [String; 3]> {
        self.list(&["zone"]).into_iter().map(|line| {
            let mut words = line.splitn(3, ' ').map(str::to_owned);
            std::array::from_fn(|_| words.next().unwrap_or_else(|| panic!("world.toml: {line}")))
        })
    }

    /// Starts the name server of the thread's world.
    pub fn name_server(&self) -> NameServer {
        let (judged, records): (Vec<_>, Vec<_>) = self.zone().partition(|[_, _, data]| data.starts_with('!'));
        let verdicts: BTreeMap<String, Verdict> =
            judged.into_iter().map(|[name, kind, word]| (format!("{kind} {name}"), verdict(&word))).collect();
        let lines: Vec<String> = records.iter().map(|record| record.join(" ")).collect();
        let judge = move |question: &Question| {
            let name = question.text.split_once(' ').map_or("", |(_, name)| name);
            let any = verdicts.get(&format!("* {name}"));
            *verdicts.get(&question.text).or(any).unwrap_or(&Verdict::Recursive)
        };
        NameServer::judged(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)), &lines, judge)
    }

    /// Starts a mail system with a server for each list.
    pub fn mail_system(&self, world: &World, servers: &[Server]) -> Instance {
        // Hundreds of clients ask at the same time: an answer that is late is to count as one.
        world.file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:3 attempts:1\n");
        world.file("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
        for address in self.list(&["addresses"]) {
            world.address(address.parse().unwrap_or_else(|e| panic!("{address}: {e}")));
        }
        let mut setup = Setup::new();
        for setting in self.list(&["settings"]) {
            let (name, value) = setting.split_once('=').unwrap_or_else(|| panic!("world.toml: {setting}"));
            setup = setup.set(name.trim(), value.trim());
        }
        for Server { restrictions, setting, port, log_name, .. } in servers {
            let (more, list) = match restrictions.strip_prefix("networks: ") {
                Some(list) => (" -o permit_mx_backup_networks=192.0.2.79", list),
                None => ("", restrictions.as_str()),
            };
            let line = format!(
                "{port} inet n - n - - smtpd -o syslog_name={log_name} -o smtpd_recipient_restrictions=${setting}{more}"
            );
            setup = setup.set(setting, list.replace("$TABLE", "$config_directory/table")).service(&line);
        }
        let mut mail = setup.build();
        let table = self.0.get("table").and_then(Value::as_str).unwrap_or_else(|| panic!("world.toml: no table"));
        testing::setup::write_old(&mail.etc().join("table"), table);
        mail.start();
        mail
    }
}

/// Where `world.toml` and the outcomes are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("answers")
}

/// A name of the zone if mail could be for it: no host of an exchanger, no list, no address.
fn domain(name: &str) -> Option<String> {
    let is_other = name.ends_with(".arpa") || name.contains("bl.example") || name.matches('.').count() != 1;
    (!is_other).then(|| name.to_owned())
}

fn verdict(word: &str) -> Verdict {
    match word {
        "!SERVFAIL" => Verdict::Code(2),
        "!REFUSED" => Verdict::Code(5),
        "!FORMERR" => Verdict::Code(1),
        "!NOTIMP" => Verdict::Code(4),
        "!NXDOMAIN" => Verdict::Code(3),
        "!TIMEOUT" => Verdict::Silence,
        "!GARBAGE" => Verdict::Garbage,
        "!TRUNCATED" => Verdict::Truncated,
        other => panic!("world.toml: {other}"),
    }
}
