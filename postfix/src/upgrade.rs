//! `postfix upgrade-configuration`: a configuration of another version gets what these programs need to serve as that
//! one did: services that are missing in master.cf, sockets where our own programs look for them, and IPv6.
//!
//! Nothing that works is changed, and a second run changes nothing.

use std::path::Path;

use config::edit::{Action, Document};
use config::master_cf::entries;
use config::{Level, param};

use crate::instance::Instance;
use crate::settings;

/// The services of a new installation.
const SHIPPED: &str = include_str!("../../conf/master.cf");
/// Services that the commands of users reach, or that old files had in another directory than their clients look.
const PUBLIC: [&str; 6] = ["cleanup", "flush", "pickup", "postlog", "qmgr", "showq"];

/// Does it; `given` are settings of the command line.
pub(crate) fn run(instance: &Instance, given: &[(String, String)]) -> Result<(), String> {
    let mut wanted = given.to_vec();
    if let Some(setting) = keep_ipv6(instance, given) {
        println!("At compatibility level 0 the default of {} is ipv4 here, and all in Postfix", setting.0);
        wanted.push(setting);
    }
    settings::store(&instance.config, &wanted)?;
    let file = instance.config.directory().join("master.cf");
    settings::replace(&file, |content| services(content, &file, |what| println!("Editing {}, {what}", file.display())))
}

/// At level 0 the default of inet_protocols is `ipv4` here, and `all` in Postfix: who comes from there keeps IPv6.
fn keep_ipv6(instance: &Instance, given: &[(String, String)]) -> Option<(String, String)> {
    let name = param::INET_PROTOCOLS.name();
    let is_said = instance.config.is_set(name) || given.iter().any(|(other, _)| other == name);
    (!is_said && instance.config.compatibility_level() < Level::new(1, 0)).then(|| (name.to_owned(), "all".to_owned()))
}

/// A master.cf with everything that it needs; each change is told.
fn services(content: &[u8], file: &Path, tell: impl Fn(String)) -> Vec<u8> {
    let mut document = Document::parse(content);
    let lines: Vec<String> = document.entries().map(str::to_owned).collect();
    let mut there = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(entry) = entries(line.as_bytes(), file, &mut Vec::new()).into_iter().next() else { continue };
        let kind = entry.field(1).unwrap_or_default();
        there.push((entry.name().to_owned(), is_local(kind)));
        if is_local(kind) && PUBLIC.contains(&entry.name()) && matches!(entry.field(2), Some("-" | "y")) {
            tell(format!("making the {} service public", entry.name()));
            document.act(at, Action::Replace(made_public(line)));
        }
    }
    for line in SHIPPED.lines() {
        let Some(entry) = entries(line.as_bytes(), file, &mut Vec::new()).into_iter().next() else { continue };
        let is_missing = !there.contains(&(entry.name().to_owned(), true));
        if is_local(entry.field(1).unwrap_or_default()) && is_missing {
            tell(format!("adding missing entry for {} service", entry.name()));
            document.append(line.to_owned());
        }
    }
    document.render()
}

/// Whether a type is one of those whose sockets lie below the queue directory.
fn is_local(kind: &str) -> bool {
    matches!(kind, "unix" | "fifo" | "unix-dgram")
}

/// The line with `n` as its third field.
fn made_public(line: &str) -> String {
    let mut fields = 0;
    let mut before = ' ';
    let mut out = String::with_capacity(line.len());
    for character in line.chars() {
        if !character.is_ascii_whitespace() && before.is_ascii_whitespace() {
            fields += 1;
        }
        before = character;
        out.push(if fields == 3 && !character.is_ascii_whitespace() { 'n' } else { character });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn upgraded(master_cf: &str) -> (String, Vec<String>) {
        let said = RefCell::new(Vec::new());
        let tell = |what: String| said.borrow_mut().push(what);
        let content = services(master_cf.as_bytes(), Path::new("/c/master.cf"), tell);
        (String::from_utf8(content).unwrap(), said.into_inner())
    }

    #[test]
    fn what_is_missing_is_added_and_what_is_there_stays() {
        let old = "# mine\nsmtp inet n - n - - smtpd\n  -o x=y\nsmtp unix - - n - - smtp\n#relay unix - - n - - smtp\n";
        let (new, said) = upgraded(old);
        assert!(new.starts_with(old), "{new}");
        assert!(new.contains("\nrelay        unix       -") && new.contains("\npostlog      unix-dgram"), "{new}");
        assert!(said.contains(&"adding missing entry for relay service".to_owned()), "{said:?}");
        assert!(!said.iter().any(|what| what.contains(" smtp ")), "{said:?}");
        assert_eq!(upgraded(&new), (new, Vec::new()));
    }

    #[test]
    fn a_socket_is_made_where_its_clients_look_for_it() {
        let (new, said) = upgraded("cleanup\tunix  -       -       n       -       0       cleanup\n  -o a=b\n");
        assert!(new.starts_with("cleanup\tunix  n       -       n       -       0       cleanup"), "{new}");
        assert!(new.lines().next().is_some_and(|line| line.ends_with("-o a=b")), "{new}");
        assert_eq!(said[0], "making the cleanup service public");
        assert!(!upgraded("qmgr fifo n - n 300 1 qmgr\n").1.iter().any(|what| what.contains("qmgr")));
    }

    #[test]
    fn what_is_shipped_needs_no_upgrade() {
        assert_eq!(upgraded(SHIPPED), (SHIPPED.to_owned(), Vec::new()));
    }
}
