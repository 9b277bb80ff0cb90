//! What name servers answer, and the files that say whom to ask.

use dns::{Hosts, Places, RecordType, ResolvConf, Surroundings, understood};
use net::Family;

use crate::pieces::{assert_harmless, choices, fields};

const TYPES: [RecordType; 9] = [
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Mx,
    RecordType::Ns,
    RecordType::Ptr,
    RecordType::Txt,
    RecordType::Tlsa,
    RecordType::Cname,
    RecordType::Srv,
];

/// An answer is understood or it is not; what is understood has no more records than room for them, and can be shown.
pub fn dns_answers(data: &[u8]) {
    let (choice, message) = choices(data);
    let record_type = TYPES[usize::from(choice) % TYPES.len()];
    let Some(found) = understood(message, "n.test", record_type) else { return };
    // A record has a name of one byte, five numbers of two.
    assert!(found.len() <= message.len() / 11 + 1);
    for text in found {
        assert_harmless(&text);
        // Four characters for each byte of a name and three numbers before it, or the text of a record.
        assert!(text.len() <= 4 * 255 + 18 || record_type == RecordType::Txt);
    }
}

/// Files of the resolver are read whatever they hold: there is a server to ask, and no limit is passed.
pub fn resolver_files(data: &[u8]) {
    let [conf, options, hosts, name] = fields(data);
    let [conf, options, hosts, name] = [conf, options, hosts, name].map(text::lossless::decode);
    let surroundings =
        Surroundings { host_name: name.clone(), local_domain: Some(conf.clone()), options: Some(options) };
    for surroundings in [Surroundings::default(), surroundings] {
        let conf = ResolvConf::parse(&conf, &surroundings);
        assert!(!conf.servers.is_empty());
        assert!(conf.search.iter().all(|domain| !domain.is_empty()));
        assert!((1..=30).contains(&conf.timeout.as_secs()) && (1..=5).contains(&conf.attempts) && conf.ndots <= 15);
    }
    let _ = Places::parse(&hosts);
    let hosts = Hosts::parse(&hosts);
    for family in [Family::V4, Family::V6] {
        for address in hosts.addresses(&name, family).ok().flatten().unwrap_or_default() {
            assert_eq!(Family::of(address), family);
            assert!(hosts.name(address).is_ok_and(|name| name.is_some_and(|name| !name.is_empty())));
        }
    }
}
