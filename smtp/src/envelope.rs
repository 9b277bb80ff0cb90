//! MAIL and RCPT with the extensions that the server takes.

use delivery::{Recipient, Request};
use dsn::{OriginalRecipient, Return, Status};
use queue::{Encoding, SendOptions};
use smtp_client::Server;
use smtp_protocol::Extensions;

use crate::failure::{Failure, Subject};

/// Why the server cannot take the message at all, as far as its extensions tell.
pub fn obstacle(request: &Request, sender: &[u8], extensions: &Extensions, server: &Server) -> Option<Failure> {
    let host = server.host();
    if let Some(Some(limit)) = extensions.size
        && request.size > limit
    {
        let reason = format!("message size {} exceeds size limit {limit} of server {host}", request.size);
        return Some(Failure::of_message(Status::new(5, 3, 4), reason).by(server));
    }
    if needs_utf8(request) && !extensions.smtputf8 {
        let none = "message requires SMTPUTF8, but no server was found that supports SMTPUTF8";
        let reason = format!("{none}. The last attempted server was {host}");
        let failure = Failure::of_message(Status::new(5, 6, 7), reason).by(server);
        // No server has said this: the report names none.
        return Some(Failure { subject: Subject::Ability, server: String::new(), ..failure });
    }
    if !is_safe(sender) {
        return Some(Failure::of_message(Status::new(5, 1, 7), "bad sender address syntax"));
    }
    None
}

/// How a MAIL command is written.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// smtp_quote_rfc821_envelope
    pub quote: bool,
    /// REQUIRETLS is looked at.
    pub requires_tls: bool,
    /// The message is converted on its way: its size is not known.
    pub converts: bool,
}

/// Appends the MAIL command without its line end. `sender`: as it leaves.
pub fn mail(request: &Request, sender: &[u8], extensions: &Extensions, manner: Manner, out: &mut Vec<u8>) {
    let Manner { quote, requires_tls, converts } = manner;
    out.extend_from_slice(b"MAIL FROM:<");
    push_address(sender, quote, out);
    out.push(b'>');
    if extensions.size.is_some() && !converts {
        out.extend_from_slice(format!(" SIZE={}", request.size).as_bytes());
    }
    if extensions.eight_bit_mime {
        match request.message.encoding {
            Encoding::EightBit => out.extend_from_slice(b" BODY=8BITMIME"),
            Encoding::SevenBit => out.extend_from_slice(b" BODY=7BIT"),
            Encoding::Unstated => {}
        }
    }
    if extensions.dsn {
        if !request.message.envelope_id.is_empty() {
            out.extend_from_slice(b" ENVID=");
            out.extend_from_slice(text::xtext::encode(request.message.envelope_id.as_bytes()).as_bytes());
        }
        // RFC 8689 4.1: what goes on without REQUIRETLS must not come back whole.
        let redacted = requires_tls && !extensions.requiretls && request.message.returned == Return::Unset;
        let returned = if redacted { Return::Headers } else { request.message.returned };
        if let Some(value) = returned.parameter() {
            out.extend_from_slice(b" RET=");
            out.extend_from_slice(value.as_bytes());
        }
    }
    if requires_tls && extensions.requiretls {
        out.extend_from_slice(b" REQUIRETLS");
    }
    if extensions.smtputf8 && request.message.send_options.has(SendOptions::SMTPUTF8_REQUESTED) {
        out.extend_from_slice(b" SMTPUTF8");
    }
}

/// Appends the RCPT command without its line end. `address`: of the recipient, as it leaves.
pub fn rcpt(recipient: &Recipient, address: &[u8], extensions: &Extensions, quote: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"RCPT TO:<");
    push_address(address, quote, out);
    out.push(b'>');
    if !extensions.dsn {
        return;
    }
    if let Some(value) = original_recipient(recipient) {
        out.extend_from_slice(b" ORCPT=");
        out.extend_from_slice(value.as_bytes());
    }
    if let Some(value) = recipient.notify.parameter() {
        out.extend_from_slice(b" NOTIFY=");
        out.extend_from_slice(value.as_bytes());
    }
}

/// Whether an address can stand in a command: nothing in it ends the line.
pub fn is_safe(address: &[u8]) -> bool {
    !address.iter().any(u8::is_ascii_control)
}

/// What was not sent with SMTPUTF8 goes on without, as it always did.
fn needs_utf8(request: &Request) -> bool {
    let options = request.message.send_options;
    options.has(SendOptions::SMTPUTF8_REQUESTED) && options.has(SendOptions::SMTPUTF8_CONTENT)
}

/// smtp_quote_rfc821_envelope.
fn push_address(address: &[u8], quote: bool, out: &mut Vec<u8>) {
    if quote {
        out.extend_from_slice(&address::quote(address));
    } else {
        out.extend_from_slice(address);
    }
}

/// `TYPE;XTEXT` (RFC 3461 4.2): what the client said, else the address before aliasing.
fn original_recipient(recipient: &Recipient) -> Option<String> {
    if !recipient.dsn.is_unset() {
        return recipient.dsn.parameter();
    }
    let original = &recipient.original;
    if original.is_empty() { None } else { OriginalRecipient::of(original).parameter() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsn::Return;
    use ipc::bounce::Message;
    use queue::QueueId;

    const PLAIN: Manner = Manner { quote: true, requires_tls: false, converts: false };

    fn everything() -> Extensions {
        Extensions { size: Some(Some(1000)), eight_bit_mime: true, dsn: true, smtputf8: true, ..Default::default() }
    }

    fn from(sender: &[u8]) -> Message {
        Message { sender: sender.to_vec(), ..Message::new(QueueId::parse(b"Q").unwrap()) }
    }

    fn request() -> Request {
        Request {
            message: Message {
                encoding: Encoding::EightBit,
                returned: Return::Headers,
                envelope_id: "x=1".to_owned(),
                ..from(b"a b@c.test")
            },
            size: 260,
            ..Request::new(QueueId::parse(b"Q").unwrap())
        }
    }

    fn recipient() -> Recipient {
        Recipient {
            address: b"u@d.test".to_vec(),
            original: b"o@d.test".to_vec(),
            dsn: OriginalRecipient::of(b"o+x@d.test"),
            notify: dsn::Notify::parse(b"SUCCESS,FAILURE").unwrap(),
            ..Recipient::default()
        }
    }

    fn line(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn commands_carry_what_the_server_offers() {
        let extensions = everything();
        assert_eq!(
            line(|out| mail(&request(), b"a b@c.test", &extensions, PLAIN, out)),
            "MAIL FROM:<\"a b\"@c.test> SIZE=260 BODY=8BITMIME ENVID=x+3D1 RET=HDRS"
        );
        assert_eq!(
            line(|out| rcpt(&recipient(), b"u@d.test", &extensions, true, out)),
            "RCPT TO:<u@d.test> ORCPT=rfc822;o+2Bx@d.test NOTIFY=SUCCESS,FAILURE"
        );
    }

    #[test]
    fn the_size_of_a_message_that_is_converted_on_its_way_is_not_told() {
        let converts = Manner { converts: true, ..PLAIN };
        let said = line(|out| mail(&request(), b"a@c.test", &everything(), converts, out));
        assert!(!said.contains("SIZE="), "{said}");
    }

    #[test]
    fn commands_are_bare_for_a_server_without_extensions() {
        let none = Extensions::default();
        assert_eq!(line(|out| mail(&request(), b"a b@c.test", &none, PLAIN, out)), "MAIL FROM:<\"a b\"@c.test>");
        assert_eq!(line(|out| rcpt(&recipient(), b"u@d.test", &none, true, out)), "RCPT TO:<u@d.test>");
    }

    #[test]
    fn what_the_server_cannot_take_is_known_before_it_is_asked() {
        let endpoint = smtp_client::Endpoint::Internet("192.0.2.1:25".parse().unwrap());
        let server = Server::new("m.test", endpoint, 0);
        let obstacle = |request: &Request, extensions: &Extensions| {
            obstacle(request, &request.message.sender, extensions, &server).map(|failure| failure.reason)
        };
        let mut large = request();
        assert_eq!(obstacle(&large, &everything()), None);
        large.size = 1001;
        let text = "message size 1001 exceeds size limit 1000 of server m.test[192.0.2.1]";
        assert_eq!(obstacle(&large, &everything()), Some(text.to_owned()));
        let mut utf8 = request();
        utf8.message.send_options = SendOptions::SMTPUTF8_SENDER;
        assert_eq!(obstacle(&utf8, &Extensions::default()), None);
        assert!(!line(|out| mail(&utf8, b"a@c.test", &everything(), PLAIN, out)).contains("SMTPUTF8"));
        utf8.message.send_options = SendOptions::SMTPUTF8_SENDER.with(SendOptions::SMTPUTF8_REQUESTED);
        assert!(line(|out| mail(&utf8, b"a@c.test", &everything(), PLAIN, out)).ends_with(" SMTPUTF8"));
        assert!(obstacle(&utf8, &Extensions::default()).is_some_and(|it| it.starts_with("message requires SMTPUTF8")));
        let smuggle = Request { message: from(b"a\r\nRCPT TO:<x@y>"), ..request() };
        assert_eq!(obstacle(&smuggle, &everything()), Some("bad sender address syntax".to_owned()));
    }
}
