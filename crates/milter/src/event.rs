//! What a filter is told of: one packet an event.

use std::net::IpAddr;

use crate::macros::Stage;
use crate::negotiation::{Agreement, declined, unanswered};
use crate::packet::encode;

/// Something that a filter may have a word about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A client has come.
    Connect(Client<'a>),
    /// It says its name.
    Helo(&'a [u8]),
    /// It names the sender: the words of the command.
    Mail(&'a [&'a [u8]]),
    /// It names a recipient.
    Recipient(&'a [&'a [u8]]),
    /// It is about to send the content.
    Data,
    /// It says what nobody knows.
    Unknown(&'a [u8]),
    /// A header: name and value, lines separated by LF.
    Header(&'a [u8], &'a [u8]),
    /// All headers were seen.
    EndOfHeader,
    /// A piece of the body, lines ended by CR LF.
    Body(&'a [u8]),
    /// All of the message was seen.
    EndOfBody,
}

/// A client as a filter gets to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client<'a> {
    /// The verified name, or `[address]`.
    pub name: &'a str,
    /// Where it comes from, if that is known.
    pub address: Option<IpAddr>,
    /// 0 where it is not known.
    pub port: u16,
}

impl Event<'_> {
    /// What the log calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Connect(_) => "SMFIC_CONNECT",
            Event::Helo(_) => "SMFIC_HELO",
            Event::Mail(_) => "SMFIC_MAIL",
            Event::Recipient(_) => "SMFIC_RCPT",
            Event::Data => "SMFIC_DATA",
            Event::Unknown(_) => "SMFIC_UNKNOWN",
            Event::Header(..) => "SMFIC_HEADER",
            Event::EndOfHeader => "SMFIC_EOH",
            Event::Body(_) => "SMFIC_BODY",
            Event::EndOfBody => "SMFIC_BODYEOB",
        }
    }

    /// Its command byte, which stands in its macro packet too.
    pub fn command(&self) -> u8 {
        match self {
            Event::Connect(_) => b'C',
            Event::Helo(_) => b'H',
            Event::Mail(_) => b'M',
            Event::Recipient(_) => b'R',
            Event::Data => b'T',
            Event::Unknown(_) => b'U',
            Event::Header(..) => b'L',
            Event::EndOfHeader => b'N',
            Event::Body(_) => b'B',
            Event::EndOfBody => b'E',
        }
    }

    /// Which macros go before it.
    pub fn stage(&self) -> Stage {
        match self {
            Event::Connect(_) => Stage::Connect,
            Event::Helo(_) => Stage::Helo,
            Event::Mail(_) => Stage::Mail,
            Event::Recipient(_) => Stage::Recipient,
            Event::Data => Stage::Data,
            Event::Unknown(_) => Stage::Unknown,
            Event::Header(..) | Event::EndOfHeader => Stage::EndOfHeader,
            Event::Body(_) | Event::EndOfBody => Stage::EndOfData,
        }
    }

    /// The bits by which a filter declines it, and by which it does not answer it.
    fn bits(&self) -> (u32, u32) {
        match self {
            Event::Connect(_) => (declined::CONNECT, unanswered::CONNECT),
            Event::Helo(_) => (declined::HELO, unanswered::HELO),
            Event::Mail(_) => (declined::MAIL, unanswered::MAIL),
            Event::Recipient(_) => (declined::RECIPIENT, unanswered::RECIPIENT),
            Event::Data => (declined::DATA, unanswered::DATA),
            Event::Unknown(_) => (declined::UNKNOWN, unanswered::UNKNOWN),
            Event::Header(..) => (declined::HEADER, unanswered::HEADER),
            Event::EndOfHeader => (declined::END_OF_HEADER, unanswered::END_OF_HEADER),
            Event::Body(_) => (declined::BODY, unanswered::BODY),
            Event::EndOfBody => (0, 0),
        }
    }

    /// What the version that is spoken does not have.
    pub fn is_absent(&self, agreement: &Agreement) -> bool {
        agreement.absent & self.bits().0 != 0
    }

    /// The filter does not want to hear of it.
    pub fn is_declined(&self, agreement: &Agreement) -> bool {
        agreement.steps & self.bits().0 != 0
    }

    /// The filter answers it.
    pub fn is_answered(&self, agreement: &Agreement) -> bool {
        agreement.steps & self.bits().1 == 0
    }

    /// Appends its packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let command = self.command();
        match self {
            Event::Connect(client) => {
                let port = client.port.to_be_bytes();
                let text = client.address.map(|address| address.to_string());
                match (&text, client.address) {
                    (Some(text), Some(address)) => {
                        let family: &[u8] = if address.is_ipv6() { b"6" } else { b"4" };
                        encode(out, command, &[client.name.as_bytes(), b"\0", family, &port, text.as_bytes(), b"\0"]);
                    }
                    _ => encode(out, command, &[client.name.as_bytes(), b"\0U"]),
                }
            }
            Event::Mail(words) | Event::Recipient(words) => {
                let parts: Vec<&[u8]> = words.iter().flat_map(|word| [*word, &b"\0"[..]]).collect();
                encode(out, command, &parts);
            }
            Event::Helo(text) | Event::Unknown(text) => encode(out, command, &[text, b"\0"]),
            Event::Header(name, value) => encode(out, command, &[name, b"\0", value, b"\0"]),
            Event::Body(data) => encode(out, command, &[data]),
            Event::Data | Event::EndOfHeader | Event::EndOfBody => encode(out, command, &[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(event: Event<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        event.encode(&mut out);
        assert_eq!(u32::from_be_bytes(out[..4].try_into().unwrap()) as usize, out.len() - 4);
        out[4..].to_vec()
    }

    #[test]
    fn events_are_packets() {
        let client = |address: &str| Client { name: "h", address: address.parse().ok(), port: 0xc69e };
        assert_eq!(packet(Event::Connect(client("127.0.0.1"))), b"Ch\x004\xc6\x9e127.0.0.1\0");
        assert_eq!(packet(Event::Connect(client("2001:db8::5"))), b"Ch\x006\xc6\x9e2001:db8::5\0");
        assert_eq!(packet(Event::Connect(client(""))), b"Ch\0U");
        assert_eq!(packet(Event::Mail(&[b"<a@b>", b"SIZE=5"])), b"M<a@b>\0SIZE=5\0");
        assert_eq!(packet(Event::Header(b"From", b"a\n b")), b"LFrom\0a\n b\0");
        assert_eq!(packet(Event::Body(b"x\r\n")), b"Bx\r\n");
        assert_eq!(packet(Event::EndOfBody), b"E");
    }

    #[test]
    fn an_event_is_declined_or_unanswered_by_its_own_bit() {
        let events = [
            Event::Helo(b""),
            Event::Mail(&[]),
            Event::Recipient(&[]),
            Event::Data,
            Event::Unknown(b""),
            Event::Header(b"", b""),
            Event::EndOfHeader,
            Event::Body(b""),
        ];
        for (at, event) in events.iter().enumerate() {
            let (no, silent) = event.bits();
            let of = |steps| Agreement { steps, ..Agreement::default() };
            for (other_at, other) in events.iter().enumerate() {
                assert_eq!(other.is_declined(&of(no)), at == other_at);
                assert_eq!(!other.is_answered(&of(silent)), at == other_at);
            }
        }
    }
}
