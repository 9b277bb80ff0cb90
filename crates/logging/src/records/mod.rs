//! The log lines that people and programs count, a file an area of the mail system.
//!
//! What is declared here is described in docs/log.md. A fact has one name in all of them.

pub mod anvil;
pub mod bounce;
pub mod cleanup;
pub mod delivery;
pub mod master;
pub mod pickup;
pub mod postsuper;
pub mod qmgr;
pub mod qmqpd;
pub mod smtp;
pub mod smtpd;
pub mod verify;

use crate::record::Description;

/// Every record, by area, in the order in which a message meets them.
pub const RECORDS: [&[Description]; 12] = [
    smtpd::RECORDS,
    qmqpd::RECORDS,
    pickup::RECORDS,
    cleanup::RECORDS,
    qmgr::RECORDS,
    smtp::RECORDS,
    delivery::RECORDS,
    bounce::RECORDS,
    postsuper::RECORDS,
    anvil::RECORDS,
    verify::RECORDS,
    master::RECORDS,
];

/// What log lines call a message before it has a queue file.
pub const NOQUEUE: &str = "NOQUEUE";

/// The name in `name[address]`.
fn name_of(peer: &str) -> &str {
    peer.rsplit_once('[').map_or(peer, |(name, _)| name)
}

/// The address in `name[address]`, also with a port behind it.
fn address_of(peer: &str) -> Option<&str> {
    peer.rsplit_once('[')?.1.split(']').next()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value as Json;

    use super::*;
    use crate::record::{ALWAYS, Kind};

    /// The members that every line has.
    const OF_EVERY_LINE: [&str; 7] = ["time", "host", "process", "pid", "severity", "event", "text"];

    fn is_of(kind: Kind, value: &Json) -> bool {
        match kind {
            Kind::Text => value.is_string(),
            Kind::Integer => value.is_u64(),
            Kind::Number => value.is_number(),
            Kind::Boolean => value.is_boolean(),
            Kind::Texts => value.as_array().is_some_and(|items| items.iter().all(Json::is_string)),
        }
    }

    #[test]
    fn a_port_is_no_part_of_an_address() {
        assert_eq!(address_of("mx.example.org[2001:db8::7]:5025"), Some("2001:db8::7"));
        assert_eq!((name_of("mx.example.org[::7]:5025"), address_of("a[::7]")), ("mx.example.org", Some("::7")));
        assert_eq!(address_of("local"), None);
    }

    #[test]
    fn the_example_of_every_record_has_the_members_that_are_declared_and_no_others() {
        for record in RECORDS.into_iter().flatten() {
            let example = crate::catalogue::example(record);
            let Json::Object(line) = serde_json::from_str(&example.json).unwrap() else { panic!("{}", example.json) };
            assert_eq!(line["event"], record.event);
            for member in record.members {
                let name = format!("{}.{}", record.event, member.name);
                match line.get(member.name) {
                    Some(value) => assert!(is_of(member.kind, value), "{name} is {value}, and no {}", member.kind),
                    None => assert_ne!(member.when, ALWAYS, "{name} is missing"),
                }
            }
            let declared = |name: &str| record.members.iter().any(|member| member.name == name);
            for name in line.keys().filter(|name| !OF_EVERY_LINE.contains(&name.as_str())) {
                assert!(declared(name), "{}.{name} is not declared", record.event);
            }
            assert_eq!(text::printable(example.text.as_bytes()), example.text);
            assert!(!example.json.contains("\"cut\""), "{}", example.json);
        }
    }

    #[test]
    fn a_record_has_a_name_of_its_own_and_a_member_one_meaning() {
        let mut names = HashSet::new();
        let mut kinds = std::collections::HashMap::new();
        for record in RECORDS.into_iter().flatten() {
            assert!(names.insert(record.event), "{} stands twice", record.event);
            for member in record.members {
                let known = *kinds.entry(member.name).or_insert(member.kind);
                assert_eq!(known, member.kind, "{} in {} is of another type elsewhere", member.name, record.event);
                let is_snake = member.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                assert!(is_snake && !OF_EVERY_LINE.contains(&member.name), "{}.{}", record.event, member.name);
            }
        }
    }

    #[test]
    fn a_peer_is_its_name_and_its_address() {
        assert_eq!(
            (name_of("mx.test[2001:db8::1]"), address_of("mx.test[2001:db8::1]")),
            ("mx.test", Some("2001:db8::1"))
        );
        assert_eq!((name_of("unknown"), address_of("unknown")), ("unknown", None));
    }
}
