//! Lists in the name service: reject_rbl_client, permit_dnswl_client, reject_rhsbl_*, permit_rhswl_client.
//!
//! An address record below the list's domain means "listed" (RFC 5782). A name server that fails never turns mail down:
//! what cannot be looked up is not listed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use dsn::Status;
use net::OctetPattern;
use smtp_server::{NameStatus, Rejection};

use crate::look_ups::LookUps;
use crate::restriction::{Class, Evaluation, Restriction, Verdict};

/// A list as a restriction names it.
#[derive(Clone, Debug)]
pub struct BlockList {
    /// `domain` or `domain=d.d.d.d`: the key of rbl_reply_maps.
    pub spec: String,
    /// The domain.
    pub domain: String,
    /// Which answers count; all without one. The sentence about a pattern that makes no sense.
    filter: Result<Option<OctetPattern>, String>,
}

/// What is looked up in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The client's address.
    Address,
    /// The client's verified name.
    Name,
    /// The name that the client's address has, verified or not.
    ReverseName,
    /// The name in HELO or EHLO.
    Helo,
    /// The domain of the sender.
    Sender,
    /// The domain of the recipient.
    Recipient,
}

/// What a list says of a name.
#[derive(Debug)]
pub struct Answer {
    addresses: Vec<Ipv4Addr>,
    /// The texts of the list, joined; empty without any.
    pub reason: String,
}

/// What the name service said in this session, by name; `Err` where it failed.
#[derive(Debug, Default)]
pub struct Answers(RefCell<HashMap<String, Outcome>>);

/// `Ok(None)`: not listed.
type Outcome = Result<Option<Rc<Answer>>, LookupFailed>;

/// The name service failed; logged.
#[derive(Clone, Copy, Debug)]
struct LookupFailed;

/// Names that a session remembers; many more than any configuration asks for.
const REMEMBERED: usize = 1000;
/// Bytes of a list's texts that a reply may have. told: nobody; the verdict is the same, the reply has the start of its
/// reason.
const MAX_REASON: usize = 400;

impl BlockList {
    /// Parses `domain` or `domain=d.d.d.d`. A pattern that makes no sense fails when an answer is to be compared with
    /// it.
    pub fn parse(spec: &str) -> BlockList {
        let (domain, filter) = match spec.split_once('=') {
            Some((domain, filter)) => {
                (domain, OctetPattern::parse(filter).map(Some).map_err(|error| error.to_string()))
            }
            None => (spec, Ok(None)),
        };
        if let Err(error) = &filter {
            logging::warning!("RBL reply error: {error}");
        }
        BlockList { spec: spec.to_owned(), domain: domain.to_owned(), filter }
    }
}

impl Listed {
    /// What a restriction with this name looks up, and whether it says yes to what is listed.
    pub fn of_restriction(name: &str) -> Option<(Listed, bool)> {
        Some(match name {
            "reject_rbl_client" | "reject_rbl" => (Listed::Address, false),
            "permit_dnswl_client" => (Listed::Address, true),
            "reject_rhsbl_client" => (Listed::Name, false),
            "permit_rhswl_client" => (Listed::Name, true),
            "reject_rhsbl_reverse_client" => (Listed::ReverseName, false),
            "reject_rhsbl_helo" => (Listed::Helo, false),
            "reject_rhsbl_sender" => (Listed::Sender, false),
            "reject_rhsbl_recipient" => (Listed::Recipient, false),
            _ => return None,
        })
    }

    /// The restriction.
    pub fn restriction(self, permits: bool, spec: &str) -> Restriction {
        let list = Rc::new(BlockList::parse(spec));
        if permits { Restriction::PermitListed(self, list) } else { Restriction::RejectListed(self, list) }
    }

    /// What replies call it.
    pub fn class(self) -> Class {
        match self {
            Listed::Address | Listed::Name => Class::Client,
            Listed::ReverseName => Class::ReverseClient,
            Listed::Helo => Class::Helo,
            Listed::Sender => Class::Sender,
            Listed::Recipient => Class::Recipient,
        }
    }
}

impl<L: LookUps> Evaluation<'_, L> {
    /// reject_rbl_client, reject_rhsbl_*
    pub(super) async fn reject_listed(&mut self, listed: Listed, list: &BlockList) -> Verdict {
        let Some((what, name)) = self.subject(listed) else { return Verdict::Dunno };
        match self.answer(&name, list).await {
            Ok(Some(answer)) => match is_counted(&answer, list) {
                Ok(true) => self.reject_as_listed(listed.class(), &what, list, &answer.reason),
                Ok(false) => Verdict::Dunno,
                Err(error) => self.misconfigured(error),
            },
            Ok(None) | Err(LookupFailed) => Verdict::Dunno,
        }
    }

    /// permit_dnswl_client, permit_rhswl_client: never a way around reject_unauth_destination.
    pub(super) async fn permit_listed(&mut self, listed: Listed, list: &BlockList) -> Verdict {
        if self.permit_auth_destination().await != Verdict::Permit {
            return Verdict::Dunno;
        }
        let Some((what, name)) = self.subject(listed) else { return Verdict::Dunno };
        match self.answer(&name, list).await {
            Ok(Some(answer)) => match is_counted(&answer, list) {
                Ok(true) => Verdict::Permit,
                Ok(false) => Verdict::Dunno,
                Err(error) => self.misconfigured(error),
            },
            Ok(None) => Verdict::Dunno,
            Err(LookupFailed) => {
                let text = [b"<", what.as_slice(), b">: Client host rejected: Service unavailable"].concat();
                self.defer_if_reject(Rejection::new(450, Status::new(4, 7, 1), text))
            }
        }
    }

    fn misconfigured(&mut self, error: &str) -> Verdict {
        logging::warning!("RBL reply error: {error}");
        self.server_error(Rejection::server_configuration())
    }

    /// What is listed, as replies name it, and the name below a list's domain; `None` when there is nothing to look up.
    fn subject(&self, listed: Listed) -> Option<(Vec<u8>, String)> {
        let peer = self.facts.peer;
        let name_of = |known: bool, name: &str| known.then(|| (name.as_bytes().to_vec(), name.to_owned()));
        match listed {
            Listed::Address => {
                let address: IpAddr = peer.address?;
                Some((peer.address_text().into_bytes(), net::address::reversed(address)))
            }
            Listed::Name => name_of(peer.name_status == NameStatus::Known, &peer.name),
            Listed::ReverseName => name_of(peer.reverse_status == NameStatus::Known, &peer.reverse_name),
            Listed::Helo => {
                let name = self.facts.helo?;
                name_of(!name.starts_with('['), name)
            }
            Listed::Sender | Listed::Recipient => {
                let address = if listed == Listed::Sender { self.facts.sender? } else { self.facts.recipient? };
                let domain = address::domain(address).filter(|domain| !domain.starts_with(b"["))?;
                Some((address.to_vec(), String::from_utf8_lossy(domain).into_owned()))
            }
        }
    }

    /// What the list says of a name, asked once a session.
    async fn answer(&self, name: &str, list: &BlockList) -> Outcome {
        let query = format!("{name}.{}", list.domain);
        if let Some(known) = self.memory.answers.0.borrow().get(&query) {
            return known.clone();
        }
        let answer = look_up(self.look_ups, &query).await;
        let mut remembered = self.memory.answers.0.borrow_mut();
        if remembered.len() < REMEMBERED {
            remembered.insert(query, answer.clone());
        }
        answer
    }
}

/// Whether one of the addresses counts; the sentence about a pattern that makes no sense.
fn is_counted<'a>(answer: &Answer, list: &'a BlockList) -> Result<bool, &'a str> {
    match &list.filter {
        Ok(Some(pattern)) => Ok(answer.addresses.iter().any(|address| pattern.matches(*address))),
        Ok(None) => Ok(true),
        Err(error) => Err(error),
    }
}

async fn look_up(look_ups: &impl LookUps, query: &str) -> Outcome {
    let addresses = match look_ups.listed(query).await {
        Ok(found) => found,
        Err(error) if error.is_temporary() => {
            logging::warning!("{}: RBL lookup error: {error}", text::printable(query.as_bytes()));
            return Err(LookupFailed);
        }
        Err(_) => return Ok(None),
    };
    // The reason is worth a question only about what is listed.
    let texts = look_ups.texts(query).await.unwrap_or_default();
    let mut reason = texts.iter().map(|text| text::printable(text)).collect::<Vec<_>>().join(" / ");
    let end = (0..=MAX_REASON.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
    // told: see MAX_REASON.
    reason.truncate(end);
    Ok(Some(Rc::new(Answer { addresses, reason })))
}
