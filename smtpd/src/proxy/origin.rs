//! XFORWARD: what a filter is told of the client, as far as it wants to know.

use smtp_protocol::Reply;
use smtp_protocol::extensions::Extensions;
use smtp_server::{Facts, UNKNOWN};

/// The longest command. RFC 5321 4.5.3.1.4
/// told: nobody; what does not fit is said by a command of its own.
const MAX_COMMAND: usize = 510;
/// What nobody knows.
const UNAVAILABLE: &str = "[UNAVAILABLE]";

/// Where a message comes from: attributes and their values, in the order in which they are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(Vec<(&'static str, String)>);

impl Origin {
    /// The client, or the one that it has told of. `is_local`: headers are completed with this system's domain.
    pub fn of(facts: &Facts<'_>, is_local: bool) -> Origin {
        let peer = facts.peer;
        let known = |value: Option<String>| {
            value.filter(|text| !text.is_empty() && text != UNKNOWN).unwrap_or_else(|| UNAVAILABLE.to_owned())
        };
        let source = if is_local { "LOCAL" } else { "REMOTE" }.to_owned();
        let ident = facts.forward.and_then(|forward| forward.ident.clone());
        let (name, address, port, helo, protocol) = match facts.forward.filter(|forward| forward.has_client) {
            Some(forward) => (
                forward.name.clone(),
                forward.address.map(net::literal::rfc),
                forward.port.clone(),
                forward.helo.clone(),
                forward.protocol.clone(),
            ),
            None => (
                Some(peer.name.clone()),
                Some(peer.rfc_address()),
                Some(peer.port.clone()),
                facts.helo.map(str::to_owned),
                Some(facts.protocol.name().to_owned()),
            ),
        };
        Origin(vec![
            ("NAME", known(name)),
            ("ADDR", known(address)),
            ("PORT", known(port)),
            ("HELO", known(helo)),
            ("IDENT", known(ident)),
            ("PROTO", known(protocol)),
            ("SOURCE", source),
        ])
    }

    /// The commands for a filter that has answered EHLO so.
    pub fn commands(&self, announced: &Reply) -> Vec<Vec<u8>> {
        let announced = Extensions::parse(announced, |_| false).xforward;
        let mut commands: Vec<Vec<u8>> = Vec::new();
        for (name, value) in self.0.iter().filter(|(name, _)| announced.iter().any(|other| other == name)) {
            let word = format!(" {name}={}", text::xtext::encode(value.as_bytes())).into_bytes();
            match commands.last_mut() {
                Some(command) if command.len() + word.len() <= MAX_COMMAND => command.extend(word),
                _ => commands.push([b"XFORWARD".to_vec(), word].concat()),
            }
        }
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_told_what_it_announces_in_the_order_of_the_protocol() {
        let values = [("NAME", "a.test"), ("ADDR", "192.0.2.1"), ("HELO", "x y"), ("SOURCE", "REMOTE")];
        let origin = Origin(values.map(|(name, value)| (name, value.to_owned())).to_vec());
        let reply = |line: &str| Reply::lines_of(250, vec![b"f.test".to_vec(), line.as_bytes().to_vec()]);
        let said = |line: &str| -> Vec<String> {
            origin.commands(&reply(line)).into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
        };
        assert_eq!(said("XFORWARD SOURCE HELO NAME OTHER"), ["XFORWARD NAME=a.test HELO=x+20y SOURCE=REMOTE"]);
        assert!(said("PIPELINING").is_empty());
        let long = Origin(vec![("NAME", "n".repeat(400)), ("HELO", "h".repeat(400))]);
        assert_eq!(long.commands(&reply("XFORWARD NAME HELO")).len(), 2);
    }
}
