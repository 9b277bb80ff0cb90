//! The answers of name servers in words, for whoever tries what strangers may send.

use crate::RecordType;
use crate::answer::{Answer as Follow, follow};
use crate::message::{Answer, Data, Heard, Question};
use crate::name::Name;

/// What a message says, in words, as an answer to the question of its own number about this name and type: what is
/// understood of a stranger's bytes. `None`: it is no answer to that, or a broken one.
#[must_use]
pub fn understood(message: &[u8], name: &str, record_type: RecordType) -> Option<Vec<String>> {
    let id = u16::from_be_bytes(*message.first_chunk()?);
    let question = Question { id, name: Name::parse(name)?, record_type, edns: false, trust_ad: false, dnssec: false };
    let Heard::Answer(answer) = Answer::read(message.to_vec(), &question) else { return None };
    let records = answer.records().ok()?;
    let pick = |data: &Data| match (record_type, data) {
        (RecordType::A | RecordType::Aaaa, Data::Address(address)) => Some(address.to_string()),
        (RecordType::Mx, Data::Exchanger(preference, name)) => Some(format!("{preference} {name}")),
        (RecordType::Srv, Data::Service(offer, name)) => Some(format!("{offer} {name}")),
        (RecordType::Ns, Data::NameServer(name))
        | (RecordType::Ptr, Data::Pointer(name))
        | (RecordType::Cname, Data::Alias(name)) => Some(name.to_string()),
        (RecordType::Txt, Data::Text(text)) => Some(text.escape_ascii().to_string()),
        (RecordType::Tlsa, Data::Association(association)) => Some(association.to_string()),
        _ => None,
    };
    match follow(&question.name, &records, pick) {
        Follow::Found(found, _) => Some(found),
        Follow::Alias(name) => Some(vec![format!("see {name}")]),
        Follow::Nothing | Follow::Loop => Some(Vec::new()),
    }
}
