//! The envelope: who sends, and what the client says of the message. Who receives it is in [`crate::recipients`].

use dsn::Return;
use ipc::cleanup::Flags;
use ipc::delivery::Timestamp;
use ipc::rewrite::Context;
use queue::record::parse_number;
use queue::{Encoding, SendOptions, Trace, Type};

use crate::canonical::{Place, standard_form};
use crate::failure::Failure;
use crate::generated::NULL_SENDER;
use crate::message::Message;
use crate::utf8;
use crate::writer::Writer;

/// What the envelope says, for headers, log lines and notifications.
#[derive(Debug, Default)]
pub struct Envelope {
    /// Arrival time; `None` before the first record.
    pub arrival: Option<(i64, u32)>,
    /// When the queue file was made.
    pub created: i64,
    /// Sender in standard form.
    pub sender: Option<Vec<u8>>,
    /// Full name of a local user.
    pub full_name: Vec<u8>,
    /// Who gave the message in.
    pub client: Client,
    /// Of the body, in the client's words until the content says more.
    pub encoding: Encoding,
    /// ENVID, for a notification.
    pub envelope_id: Vec<u8>,
    /// RET, for a notification.
    pub returned: Return,
    /// It is a probe of the verify service.
    pub is_probe: bool,
    /// The last recipient, as the client gave it, for log lines.
    pub last_recipient: Vec<u8>,
    /// Attributes so far.
    attributes: usize,
    /// The time of the delay warning was written.
    is_warned: bool,
}

/// Who gave the message in.
#[derive(Debug, Default)]
pub struct Client {
    /// rewrite_context is remote: headers are completed with remote_header_rewrite_domain or not at all.
    pub remote: bool,
    /// log_message_origin.
    pub origin: Vec<u8>,
    /// log_protocol_name.
    pub protocol: Vec<u8>,
    /// log_helo_name.
    pub helo: Vec<u8>,
}

impl Envelope {
    /// That of a file that is made now.
    pub fn new(created: i64) -> Self {
        Envelope { created, ..Envelope::default() }
    }

    /// The sender, or the null sender where none is known.
    pub fn sender(&self) -> &[u8] {
        self.sender.as_deref().unwrap_or_default()
    }

    /// When the message came, in seconds.
    pub fn arrived(&self) -> i64 {
        self.arrival.map_or(self.created, |(seconds, _)| seconds)
    }

    /// Takes a record that is not about a recipient.
    pub fn record(&mut self, message: &Message<'_>, writer: &mut Writer, kind: Type, data: &[u8]) {
        match kind {
            Type::TIME => self.time(writer, data),
            Type::ENVELOPE_ID => self.pass_attribute(message, writer, b"envelope_id", data),
            Type::RETURN_FLAGS => self.pass_attribute(message, writer, b"ret_flags", data),
            Type::FULL_NAME => {
                self.full_name = data.to_vec();
                writer.pass_on(kind, data);
            }
            Type::FILTER | Type::REDIRECT | Type::VERP => writer.pass_on(kind, data),
            // What this daemon writes itself, or what only a delivery needs.
            Type::CREATED | Type::WARNING | Type::INSPECTOR | Type::KILLED => {}
            Type::POINTER | Type::PADDING => {}
            _ => writer.refuse(Failure::protocol(&format!("unexpected record type {kind:?} in the envelope"))),
        }
    }

    /// The arrival time stands before every other record: where the client does not say one, it is now.
    pub fn begin(&mut self, writer: &mut Writer) {
        if self.arrival.is_none() {
            let now = Timestamp::now();
            self.arrive(writer, now.seconds, now.micros);
        }
    }

    fn time(&mut self, writer: &mut Writer, data: &[u8]) {
        if self.arrival.is_some() {
            return; // the first one counts
        }
        let mut numbers = data.split(|b| *b == b' ').filter(|text| !text.is_empty()).map(parse_number);
        match (numbers.next().flatten(), numbers.next().flatten().unwrap_or(0)) {
            (Some(seconds), micros) => self.arrive(writer, seconds, u32::try_from(micros).unwrap_or(0)),
            (None, _) => writer.refuse(Failure::protocol("an arrival time that is no number")),
        }
    }

    fn arrive(&mut self, writer: &mut Writer, seconds: i64, micros: u32) {
        self.arrival = Some((seconds, micros));
        writer.put(Type::TIME, format!("{seconds} {micros}").as_bytes());
        writer.put_attribute("create_time", self.created.to_string().as_bytes());
    }

    /// Takes the sender.
    ///
    /// # Errors
    /// It is not the first one, or has no standard form for now.
    pub async fn take_sender(
        &mut self,
        message: &Message<'_>,
        writer: &mut Writer,
        data: &[u8],
    ) -> Result<(), Failure> {
        if self.sender.is_some() {
            return Err(Failure::protocol("more than one sender"));
        }
        // Who calls himself as notifications do is nobody, and is not written to.
        let data = if is_mailer_daemon(data, &message.site.settings.origin) { b"" } else { data };
        let sender = standard_form(message, Place::EnvelopeSender, Context::Local, data).await?;
        if message.flags.has(Flags::SMTPUTF8) {
            writer.add_send_option(SendOptions::SMTPUTF8_REQUESTED);
        }
        utf8::sender(message, writer, &sender);
        // RFC 8689 4.1
        if message.flags.has(Flags::REQUIRETLS) {
            writer.add_send_option(SendOptions::REQUIRETLS);
        }
        writer.pass_on(Type::SENDER, &sender);
        writer.verdict.has_sender = true;
        self.sender = Some(sender);
        Ok(())
    }

    /// Takes an attribute of the message, and passes it on.
    pub fn attribute(&mut self, message: &Message<'_>, writer: &mut Writer, name: &[u8], value: &[u8]) {
        if value.is_empty() {
            let name = text::printable(name);
            return logging::warning!(id: message.id, "spurious null attribute value for \"{name}\" -- ignored");
        }
        match name {
            b"create_time" => return, // it was written with the arrival time
            b"rewrite_context" => self.client.remote = value == b"remote",
            b"encoding" => self.encoding = Encoding::parse(value),
            b"log_message_origin" => self.client.origin = value.to_vec(),
            b"log_protocol_name" => self.client.protocol = value.to_vec(),
            b"log_helo_name" => self.client.helo = value.to_vec(),
            b"envelope_id" => self.envelope_id = value.to_vec(),
            b"trace_flags" => self.is_probe = Trace::of_bits(number(value)).has(Trace::VERIFY),
            b"ret_flags" => self.returned = Return::from_bits(number(value)).unwrap_or_default(),
            _ => {}
        }
        self.pass_attribute(message, writer, name, value);
    }

    fn pass_attribute(&mut self, message: &Message<'_>, writer: &mut Writer, name: &[u8], value: &[u8]) {
        self.attributes += 1;
        // queue_file_attribute_count_limit
        if self.attributes > message.site.settings.attribute_limit {
            return writer.refuse(Failure::protocol("too many attribute records"));
        }
        writer.pass_on(Type::ATTRIBUTE, &[name, b"=", value].concat());
    }

    /// delay_warning_time: when the sender is told; written before the first recipient.
    pub fn warning_time(&mut self, message: &Message<'_>, writer: &mut Writer) {
        let delay = message.site.settings.delay_warning.as_secs();
        if self.is_warned || delay == 0 || self.sender().is_empty() {
            return;
        }
        self.is_warned = true;
        let due = self.arrived().saturating_add(i64::try_from(delay).unwrap_or(0));
        writer.put(Type::WARNING, format!("{due:15}").as_bytes());
    }

    /// The envelope ends, and the content begins.
    ///
    /// # Errors
    /// The envelope lacks a sender.
    pub fn end(&mut self, message: &Message<'_>, writer: &mut Writer) -> Result<(), Failure> {
        if self.sender.is_none() {
            return Err(Failure::protocol("no sender"));
        }
        self.warning_time(message, writer);
        writer.begin_content();
        Ok(())
    }
}

/// The number in an attribute; 0 is what it means where it is none.
pub fn number(value: &[u8]) -> u32 {
    parse_number(value).and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

/// Whether an address is that of the null sender in headers, at this site.
fn is_mailer_daemon(address: &[u8], origin: &str) -> bool {
    let (local, domain) = address::split(address);
    local.eq_ignore_ascii_case(NULL_SENDER)
        && domain.is_none_or(|domain| domain.eq_ignore_ascii_case(origin.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailer_daemon_at_the_origin_is_the_null_sender() {
        for address in ["MAILER-DAEMON", "mailer-daemon", "Mailer-Daemon@Here.test"] {
            assert!(is_mailer_daemon(address.as_bytes(), "here.test"), "{address}");
        }
        for address in ["", "mailer-daemon@there.test", "mailer-daemon@", "mailer-daemon+x"] {
            assert!(!is_mailer_daemon(address.as_bytes(), "here.test"), "{address}");
        }
    }
}
