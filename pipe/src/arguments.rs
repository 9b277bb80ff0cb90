//! The arguments of the command: text with macros, and what becomes of them for one request.
//!
//! An argument stays one argument, whatever a stranger has written into the addresses that it is made of: nothing is
//! split, and nothing is for a shell.

use std::fmt;

use address::Delimiters;
use delivery::Recipient;
use delivery::Request;

use crate::attributes::Flags;

/// An argument as master.cf has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Argument(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    OfRequest(OfRequest),
    OfRecipient(OfRecipient),
}

/// Facts about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OfRequest {
    Nexthop,
    Sender,
    Size,
    ClientAddress,
    ClientHelo,
    ClientHostname,
    ClientPort,
    ClientProtocol,
    SaslMethod,
    SaslUsername,
    SaslSender,
    QueueId,
    EnvelopeId,
}

/// Facts about a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OfRecipient {
    Recipient,
    Original,
    User,
    Extension,
    Mailbox,
    Domain,
}

/// Why an argument means nothing.
#[derive(Debug, PartialEq, Eq)]
pub enum MacroError {
    /// No such name.
    Unknown(String),
    /// Nothing stands behind a `$`.
    Empty(String),
    /// The end is missing.
    Truncated(String),
}

impl fmt::Display for MacroError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "unknown macro name: \"{name}\""),
            Self::Empty(text) => write!(f, "empty macro name: \"{text}\""),
            Self::Truncated(text) => write!(f, "truncated macro reference: \"{text}\""),
        }
    }
}

impl Argument {
    /// Takes a word apart.
    ///
    /// # Errors
    /// What stands behind a `$` is no name.
    pub fn parse(word: &[u8]) -> Result<Self, MacroError> {
        let (mut pieces, mut text, mut rest) = (Vec::new(), Vec::new(), word);
        while let [first, tail @ ..] = rest {
            rest = tail;
            if *first != b'$' {
                text.push(*first);
                continue;
            }
            if let [b'$', after @ ..] = tail {
                text.push(b'$');
                rest = after;
                continue;
            }
            let (name, after) = name(tail).ok_or_else(|| MacroError::Truncated(text::printable(word)))?;
            if name.is_empty() {
                return Err(MacroError::Empty(text::printable(word)));
            }
            rest = after;
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(named(name).ok_or_else(|| MacroError::Unknown(text::printable(name)))?);
        }
        if !text.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Argument(pieces))
    }

    fn is_of_recipient(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::OfRecipient(_)))
    }
}

/// The name behind a `$`, and what follows it.
fn name(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let close = match text.first() {
        Some(b'{') => b'}',
        Some(b'(') => b')',
        _ => {
            let end = text.iter().position(|b| !(b.is_ascii_alphanumeric() || *b == b'_')).unwrap_or(text.len());
            return Some(text.split_at(end));
        }
    };
    let (open, mut depth) = (text[0], 0usize);
    let end = text.iter().position(|&b| {
        depth += usize::from(b == open);
        depth -= usize::from(b == close);
        depth == 0
    })?;
    Some((&text[1..end], &text[end + 1..]))
}

fn named(name: &[u8]) -> Option<Piece> {
    let of_request = |value| Some(Piece::OfRequest(value));
    let of_recipient = |value| Some(Piece::OfRecipient(value));
    match name {
        b"nexthop" => of_request(OfRequest::Nexthop),
        b"sender" => of_request(OfRequest::Sender),
        b"size" => of_request(OfRequest::Size),
        b"client_address" => of_request(OfRequest::ClientAddress),
        b"client_helo" => of_request(OfRequest::ClientHelo),
        b"client_hostname" => of_request(OfRequest::ClientHostname),
        b"client_port" => of_request(OfRequest::ClientPort),
        b"client_protocol" => of_request(OfRequest::ClientProtocol),
        b"sasl_method" => of_request(OfRequest::SaslMethod),
        b"sasl_username" => of_request(OfRequest::SaslUsername),
        b"sasl_sender" => of_request(OfRequest::SaslSender),
        b"queue_id" => of_request(OfRequest::QueueId),
        b"envid" => of_request(OfRequest::EnvelopeId),
        b"recipient" => of_recipient(OfRecipient::Recipient),
        b"original_recipient" => of_recipient(OfRecipient::Original),
        b"user" => of_recipient(OfRecipient::User),
        b"extension" => of_recipient(OfRecipient::Extension),
        b"mailbox" => of_recipient(OfRecipient::Mailbox),
        b"domain" => of_recipient(OfRecipient::Domain),
        _ => None,
    }
}

/// What macros mean for one request.
pub struct Facts<'a> {
    /// The request.
    pub request: &'a Request,
    /// The envelope sender, or what stands for it.
    pub sender: &'a [u8],
    /// How addresses are written.
    pub flags: Flags,
    /// Where an extension begins.
    pub delimiters: &'a Delimiters,
}

impl Facts<'_> {
    /// The arguments of the command. One that says something of a recipient stands there once for each of them.
    pub fn expand(&self, arguments: &[Argument]) -> Vec<Vec<u8>> {
        let mut expanded = Vec::new();
        for argument in arguments {
            if argument.is_of_recipient() {
                let recipients = self.request.recipients.iter();
                expanded.extend(recipients.map(|recipient| self.one(argument, Some(recipient))));
            } else {
                expanded.push(self.one(argument, None));
            }
        }
        expanded
    }

    fn one(&self, argument: &Argument, recipient: Option<&Recipient>) -> Vec<u8> {
        let value = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::OfRequest(value) => self.of_request(*value),
            Piece::OfRecipient(value) => recipient.map(|it| self.of_recipient(*value, it)).unwrap_or_default(),
        };
        // A NUL would end the argument.
        argument.0.iter().flat_map(value).filter(|&b| b != 0).collect()
    }

    fn of_request(&self, value: OfRequest) -> Vec<u8> {
        let (request, client) = (self.request, &self.request.client);
        match value {
            OfRequest::Nexthop if self.flags.folds_domain => request.nexthop.to_ascii_lowercase(),
            OfRequest::Nexthop => request.nexthop.clone(),
            OfRequest::Sender if self.flags.quotes => address::quote(self.sender),
            OfRequest::Sender => self.sender.to_vec(),
            OfRequest::Size => request.size.to_string().into_bytes(),
            OfRequest::ClientAddress => client.address.clone().into_bytes(),
            OfRequest::ClientHelo => client.helo.clone().into_bytes(),
            OfRequest::ClientHostname => client.name.clone().into_bytes(),
            OfRequest::ClientPort => client.port.clone().into_bytes(),
            OfRequest::ClientProtocol => client.protocol.clone().into_bytes(),
            OfRequest::SaslMethod => client.sasl.method.clone().into_bytes(),
            OfRequest::SaslUsername => client.sasl.username.clone().into_bytes(),
            OfRequest::SaslSender => client.sasl.sender.clone().into_bytes(),
            OfRequest::QueueId => request.message.queue_id.as_str().as_bytes().to_vec(),
            OfRequest::EnvelopeId => request.message.envelope_id.clone().into_bytes(),
        }
    }

    fn of_recipient(&self, value: OfRecipient, recipient: &Recipient) -> Vec<u8> {
        let (local, domain) = address::split(&recipient.address);
        match value {
            OfRecipient::Recipient => self.address(&recipient.address),
            OfRecipient::Original => self.address(&recipient.original),
            OfRecipient::User => self.local(self.delimiters.split(local).0),
            OfRecipient::Extension => self.local(self.delimiters.split(local).1.unwrap_or_default()),
            OfRecipient::Mailbox => self.local(local),
            OfRecipient::Domain => match domain {
                Some(domain) => self.domain(domain),
                None => {
                    logging::warning!("no @ in recipient address: {}", text::printable(&recipient.address));
                    Vec::new()
                }
            },
        }
    }

    fn address(&self, address: &[u8]) -> Vec<u8> {
        let (local, domain) = address::split(address);
        let local = self.local(local);
        let whole = match domain {
            Some(domain) => [local, b"@".to_vec(), self.domain(domain)].concat(),
            None => local,
        };
        if self.flags.quotes { address::quote(&whole) } else { whole }
    }

    fn local(&self, part: &[u8]) -> Vec<u8> {
        folded(part, self.flags.folds_local)
    }

    fn domain(&self, part: &[u8]) -> Vec<u8> {
        folded(part, self.flags.folds_domain)
    }
}

/// In lower case, whatever letters they are.
fn folded(text: &[u8], folds: bool) -> Vec<u8> {
    match std::str::from_utf8(text) {
        Ok(text) if folds => text.to_lowercase().into_bytes(),
        Err(_) if folds => text.to_ascii_lowercase(),
        _ => text.to_vec(),
    }
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;
