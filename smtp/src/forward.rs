//! XFORWARD: where the message came from, for a server that wants to know and is trusted with it.
//! smtp_send_xforward_command
//!
//! Only what the server announces and what is known is said; a value is xtext, and none is longer than a server takes.

use delivery::Request;
use ipc::rewrite::Context;

/// Longest value that is said.
/// told: nobody; a server takes none that is longer, and says unknown for one that is missing.
const MAX_VALUE: usize = 255;
/// What the envelope has for an attribute that nobody knows.
const UNKNOWN: &str = "unknown";

/// The commands for a message, without their line ends; `announced` are the attributes that the server takes.
pub fn commands(request: &Request, announced: &[String]) -> Vec<Vec<u8>> {
    let client = &request.client;
    let source = if request.rewrite_context == Context::Local { "LOCAL" } else { "REMOTE" };
    let groups = [
        &[("NAME", client.name.as_str()), ("ADDR", &client.address), ("PORT", &client.port)][..],
        &[("PROTO", &client.protocol), ("HELO", &client.helo), ("IDENT", &request.log_ident), ("SOURCE", source)],
    ];
    groups.into_iter().filter_map(|group| command(group, announced)).collect()
}

fn command(attributes: &[(&str, &str)], announced: &[String]) -> Option<Vec<u8>> {
    let mut line = b"XFORWARD".to_vec();
    for (name, value) in attributes {
        let value = text::xtext::encode(value.as_bytes());
        let known = !value.is_empty() && value != UNKNOWN && value.len() <= MAX_VALUE;
        if known && announced.iter().any(|other| other == name) {
            line.extend_from_slice(format!(" {name}={value}").as_bytes());
        }
    }
    (line.len() > b"XFORWARD".len()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        let mut request = Request { log_ident: "ABC".into(), ..Request::new(queue::QueueId::parse(b"Q").unwrap()) };
        request.client.name = "fw.example".into();
        request.client.address = "IPv6:2001:db8::9".into();
        request.client.port = "77".into();
        request.client.protocol = "ESMTP".into();
        request.client.helo = "a b".into();
        request
    }

    fn said(request: &Request, announced: &str) -> Vec<String> {
        let announced: Vec<String> = announced.split(' ').map(str::to_owned).collect();
        commands(request, &announced).into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn what_is_known_is_said_in_two_commands() {
        assert_eq!(
            said(&request(), "NAME ADDR PROTO HELO SOURCE PORT IDENT"),
            [
                "XFORWARD NAME=fw.example ADDR=IPv6:2001:db8::9 PORT=77",
                "XFORWARD PROTO=ESMTP HELO=a+20b IDENT=ABC SOURCE=LOCAL"
            ]
        );
    }

    #[test]
    fn what_is_not_known_or_not_announced_is_not_said() {
        let mut unknown = request();
        unknown.client.name = "unknown".into();
        unknown.client.port = String::new();
        unknown.client.helo = "x".repeat(256);
        assert_eq!(said(&unknown, "NAME ADDR PORT HELO"), ["XFORWARD ADDR=IPv6:2001:db8::9"]);
        assert_eq!(said(&request(), "IDENT"), ["XFORWARD IDENT=ABC"]);
        assert!(said(&request(), "OTHER").is_empty());
    }
}
