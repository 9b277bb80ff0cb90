//! The envelope: everything before the content, in the order in which the client sends it.

use dsn::{Notify, OriginalRecipient, Return};
use ipc::cleanup::Flags;
use message::header::trim;
use queue::record::parse_number;
use queue::size::{FLAG_MIXED, SMTPUTF8_REQUESTED, SMTPUTF8_SENDER};
use queue::{Encoding, Type};

use crate::canonical::Place;
use crate::incoming::{Incoming, Stage};

impl Incoming<'_> {
    /// Takes one record of the envelope.
    pub(crate) async fn envelope_record(&mut self, kind: Type, data: &[u8]) {
        if kind != Type::TIME && self.facts.arrival.is_none() {
            let now = ipc::delivery::Timestamp::now();
            self.arrival(now.seconds, now.micros);
        }
        match kind {
            Type::TIME => self.time(data),
            Type::SENDER => self.sender(data).await,
            Type::ATTRIBUTE => self.attribute(data),
            Type::RECIPIENT => self.recipient(data).await,
            Type::DONE | Type::CANCELED => self.pending = Default::default(),
            Type::ORIGINAL => self.pending.original = Some(data.to_vec()),
            Type::DSN_RECIPIENT => self.pending.dsn = OriginalRecipient::from_stored(data.to_vec()),
            Type::NOTIFY => self.notify(data),
            Type::ENVELOPE_ID => self.plain_attribute(b"envelope_id", data),
            Type::RETURN_FLAGS => self.plain_attribute(b"ret_flags", data),
            Type::FULL_NAME => {
                self.facts.full_name = data.to_vec();
                self.plain(kind, data);
            }
            Type::FILTER | Type::REDIRECT | Type::VERP => self.plain(kind, data),
            Type::MESSAGE => self.begin_content(),
            // What this daemon writes itself, or what only a delivery needs.
            Type::SIZE | Type::CREATED | Type::WARNING | Type::INSPECTOR | Type::KILLED => {}
            Type::FLAGS => self.more_flags(data),
            Type::POINTER | Type::PADDING => {}
            _ => self.fail_protocol(&format!("unexpected record type {kind:?} in the envelope")),
        }
    }

    /// What the client found out after it began: access tables of smtpd say HOLD and DISCARD at any time.
    pub(crate) fn more_flags(&mut self, data: &[u8]) {
        match parse_number(data).and_then(|bits| u32::try_from(bits).ok()) {
            Some(bits) => self.flags = self.flags.with(Flags::of_record(bits)),
            None => self.fail_protocol("flags that are no number"),
        }
    }

    fn time(&mut self, data: &[u8]) {
        if self.facts.arrival.is_some() {
            return; // the first one counts
        }
        let mut numbers = data.split(|b| *b == b' ').filter(|text| !text.is_empty()).map(parse_number);
        match (numbers.next().flatten(), numbers.next().flatten().unwrap_or(0)) {
            (Some(seconds), micros) => self.arrival(seconds, u32::try_from(micros).unwrap_or(0)),
            (None, _) => self.fail_protocol("an arrival time that is no number"),
        }
    }

    fn arrival(&mut self, seconds: i64, micros: u32) {
        self.facts.arrival = Some((seconds, micros));
        self.put(Type::TIME, format!("{seconds} {micros}").as_bytes());
        let created = self.facts.created.to_string();
        self.put_attribute("create_time", created.as_bytes());
    }

    async fn sender(&mut self, data: &[u8]) {
        if self.facts.sender.is_some() {
            return self.fail_protocol("more than one sender");
        }
        let Ok(sender) = self.standard_form(Place::EnvelopeSender, data).await else { return };
        if self.flags.has(Flags::SMTPUTF8) {
            self.size.send_options |= SMTPUTF8_REQUESTED;
            if !sender.is_ascii() {
                self.size.send_options |= SMTPUTF8_SENDER;
            }
        }
        self.plain(Type::SENDER, &sender);
        self.facts.sender = Some(sender.clone());
        self.copy_for_sender(&sender).await;
    }

    fn attribute(&mut self, data: &[u8]) {
        let Some(at) = data.iter().position(|b| *b == b'=') else {
            return self.fail_protocol("an attribute without a value");
        };
        let (name, value) = (trim(&data[..at]), &data[at + 1..]);
        if self.recipient_attribute(name, value) || name == b"create_time" {
            return;
        }
        match name {
            b"rewrite_context" => self.facts.remote = value == b"remote",
            b"encoding" => self.facts.encoding = Encoding::parse(value),
            b"log_message_origin" => self.facts.origin = value.to_vec(),
            b"log_protocol_name" => self.facts.protocol = value.to_vec(),
            b"log_helo_name" => self.facts.helo = value.to_vec(),
            b"envelope_id" => self.facts.envelope_id = value.to_vec(),
            b"ret_flags" => self.facts.returned = Return::from_bits(number(value)).unwrap_or_default(),
            _ => {}
        }
        self.plain_attribute(name, value);
    }

    /// Attributes that belong to the recipient that follows. True when it was one.
    pub(crate) fn recipient_attribute(&mut self, name: &[u8], value: &[u8]) -> bool {
        match name {
            b"notify_flags" => self.notify(value),
            b"dsn_orig_rcpt" => self.pending.dsn = OriginalRecipient::from_stored(value.to_vec()),
            _ => return false,
        }
        true
    }

    fn notify(&mut self, value: &[u8]) {
        self.pending.notify = Notify::from_stored(number(value));
    }

    /// An attribute that is passed on.
    fn plain_attribute(&mut self, name: &[u8], value: &[u8]) {
        self.facts.attributes += 1;
        // queue_file_attribute_count_limit
        if self.facts.attributes > self.site.settings.attribute_limit {
            return self.fail_protocol("too many attribute records");
        }
        self.plain(Type::ATTRIBUTE, &[name, b"=", value].concat());
    }

    /// A record that is passed on. Behind a recipient it means that all recipients must be read before a delivery.
    fn plain(&mut self, kind: Type, data: &[u8]) {
        if self.recipients.given {
            self.size.flags |= FLAG_MIXED;
        }
        self.put(kind, data);
    }

    fn begin_content(&mut self) {
        if self.facts.sender.is_none() {
            return self.fail_protocol("no sender");
        }
        self.warning_time();
        self.put(Type::MESSAGE, b"");
        self.size.data_offset = self.offset();
        self.stage = Stage::Header;
    }

    /// delay_warning_time: when the sender is told; written before the first recipient.
    pub(crate) fn warning_time(&mut self) {
        let delay = self.site.settings.delay_warning.as_secs();
        let null_sender = self.facts.sender.as_ref().is_none_or(Vec::is_empty);
        if self.recipients.warned || delay == 0 || null_sender || self.stage != Stage::Envelope {
            return;
        }
        self.recipients.warned = true;
        let arrival = self.facts.arrival.map_or(self.facts.created, |(seconds, _)| seconds);
        let due = arrival.saturating_add(i64::try_from(delay).unwrap_or(0));
        self.put(Type::WARNING, format!("{due:15}").as_bytes());
    }
}

fn number(value: &[u8]) -> u32 {
    parse_number(value).and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}
