//! One message in the active queue, while it is in memory: its envelope, its open file, what has happened to it so far.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Instant;

use ipc::bounce::Message;
use ipc::delivery::{Origin, Request, Sasl, Timestamp};
use ipc::rewrite::Context;
use queue::{Envelope, QueueId, QueueName, Recipient, SendOptions, Spool, Trace, delivery_log};

use crate::listed::Listed;

/// What was written into the logs of a message in this attempt, and by earlier ones.
#[derive(Debug, Default)]
pub struct Logged {
    /// The bounce log may exist.
    pub bounce: bool,
    /// There is a defer log of an earlier attempt, with or without entries.
    pub defer: bool,
    /// It has entries, of recipients that wait as before: nobody has had the message in this attempt yet.
    pub former: bool,
    /// The trace log may exist.
    pub trace: bool,
    /// Some deferred recipient could not be recorded, so that a notification would not name it.
    pub incomplete: bool,
}

/// A message being delivered.
pub struct Active {
    /// Its queue identifier.
    pub id: QueueId,
    /// Its envelope; recipients are taken out when they are assigned.
    pub envelope: Envelope,
    /// The open, locked file; `None` while too many files are open.
    pub file: Option<Rc<File>>,
    /// When it entered the active queue.
    pub since: Timestamp,
    /// Recipients in memory that nothing is known about yet.
    pub pending: usize,
    /// Recipients read so far.
    pub read: u64,
    /// A recipient has to be tried again.
    pub deferred: bool,
    /// Its logs.
    pub logged: Logged,
    /// What a list will have of it.
    pub listed: Listed,
    /// cleanup has announced it: no attempt was made before this one.
    pub fresh: bool,
    /// Deliver in spite of defer_transports: a flush was asked for.
    pub flushed: bool,
    /// The operator gave it up (postsuper -e).
    pub force_expire: bool,
    /// Recipients are being read or resolved.
    pub reading: bool,
    /// When recipients were read last.
    pub read_at: Instant,
    request: Rc<Request>,
}

impl Active {
    /// A message that was just read.
    pub fn new(id: QueueId, mut envelope: Envelope, file: File) -> Self {
        let since = Timestamp::now();
        let request = Rc::new(request_of(&id, &envelope, since));
        // What is needed of them is in the request: thousands of messages may be in memory.
        envelope.attributes = Vec::new();
        Active {
            id,
            envelope,
            file: Some(Rc::new(file)),
            since,
            pending: 0,
            read: 0,
            deferred: false,
            logged: Logged::default(),
            listed: Listed::default(),
            fresh: false,
            flushed: false,
            force_expire: false,
            reading: false,
            read_at: Instant::now(),
            request,
        }
    }

    /// Everybody who has ever had the file has said that he is done with it: an agent that did not report, or a second
    /// attempt after one that did not, has the message deferred. Programs that report failures read it under its name.
    pub fn is_known_to_agents_that_are_done(&self) -> bool {
        self.fresh && !self.deferred && !self.logged.bounce && !self.logged.trace
    }

    /// The request for some recipients; the rest of it is the same for all of them.
    pub fn request(&self, nexthop: &[u8], recipients: &[Recipient], more_follows: bool) -> Request {
        let international = recipients.iter().any(|recipient| !recipient.address.is_ascii());
        let mut request = (*self.request).clone();
        request.more_follows = more_follows;
        if international {
            request.message.send_options = request.message.send_options.with(SendOptions::SMTPUTF8_RECIPIENT);
        }
        if let Some(sender) = self.sender_for(recipients) {
            request.message.sender = sender;
        }
        request.nexthop = nexthop.to_vec();
        request.handoff = Timestamp::now();
        request.recipients = recipients.to_vec();
        request
    }

    /// Whether so many recipients are all that there is to do for the message.
    pub fn waits_for_no_more_than(&self, recipients: usize) -> bool {
        self.pending == recipients && !self.reading && self.envelope.resume.is_none()
    }

    /// The defer log of an earlier attempt goes: each attempt has its own.
    ///
    /// # Errors
    /// It is what it was.
    pub fn forget_former(&mut self, spool: &Spool) -> io::Result<()> {
        if self.logged.former {
            delivery_log::empty(spool, QueueName::Defer, &self.id)?;
            self.logged.former = false;
        }
        Ok(())
    }

    /// A probe finds out where its recipients go, and delivers nothing.
    pub fn is_probe(&self) -> bool {
        self.request.trace.is_probe()
    }

    /// A probe of the verify service, which is told of its end; nobody else is.
    pub fn is_of_verify(&self) -> bool {
        self.request.trace.has(Trace::VERIFY)
    }

    /// The sender that these recipients see, if it is another than that of the message: with VERP it names the one
    /// recipient.
    fn sender_for(&self, recipients: &[Recipient]) -> Option<Vec<u8>> {
        let (Some(delimiters), [recipient]) = (&self.envelope.verp, recipients) else { return None };
        // The list knows the recipient by the name that it sent to.
        let known = if recipient.original.is_empty() { &recipient.address } else { &recipient.original };
        Some(address::verp_sender(delimiters, &self.request.message.sender, known))
    }

    /// The open file; opened and locked again when it was closed to save descriptors.
    ///
    /// # Errors
    /// It is gone, or someone else delivers it.
    pub fn open_file(&mut self, spool: &Spool) -> io::Result<Rc<File>> {
        if let Some(file) = &self.file {
            return Ok(Rc::clone(file));
        }
        let file = Rc::new(open_locked(spool, QueueName::Active, &self.id)?.ok_or(nix::errno::Errno::EAGAIN)?);
        self.file = Some(Rc::clone(&file));
        Ok(file)
    }

    /// Recipients that were not read yet.
    pub fn unread(&self) -> u32 {
        if self.envelope.resume.is_none() {
            return 0;
        }
        let total = self.envelope.size.map_or(1, |size| size.recipients);
        let known = self.envelope.finished as u64 + self.read;
        u32::try_from(total.saturating_sub(known).max(1)).unwrap_or(u32::MAX)
    }

    /// The message, for a notification.
    pub fn for_bounce(&self) -> Message {
        self.request.message.clone()
    }
}

/// Opens a message and locks it; `None` when someone else has it. The lock belongs to the open file, which the delivery
/// agents share: it lasts until the last of them is done, even when this process is gone.
pub fn open_locked(spool: &Spool, queue: QueueName, id: &QueueId) -> io::Result<Option<File>> {
    let file = File::options().read(true).write(true).open(spool.path(queue, id))?;
    let locked = sys::lock::lock(file.as_fd())?;
    Ok(locked.then_some(file))
}

fn request_of(id: &QueueId, envelope: &Envelope, since: Timestamp) -> Request {
    // Names of any length are cut where they are shown.
    let text = |bytes: &[u8]| ipc::cut(String::from_utf8_lossy(bytes).into_owned());
    let attribute = |name: &str| text(envelope.attribute_or_empty(name));
    let size = envelope.size.unwrap_or_default();
    let is_remote = envelope.attribute_or_empty("rewrite_context") == b"remote";
    Request {
        trace: envelope.trace_flags.map(|marked| marked.value).unwrap_or_default(),
        more_follows: false,
        message: Message {
            encoding: envelope.encoding(),
            send_options: size.send_options,
            sender: envelope.sender.clone(),
            envelope_id: text(envelope.envelope_id()),
            returned: envelope.returned(),
            ..Message::new(id.clone())
        },
        data_offset: size.data_offset,
        size: size.content_length,
        nexthop: Vec::new(),
        arrival: Timestamp { seconds: envelope.arrival.0, micros: envelope.arrival.1 },
        active: since,
        handoff: since,
        client: Origin {
            name: attribute("log_client_name"),
            address: attribute("log_client_address"),
            port: attribute("log_client_port"),
            protocol: attribute("log_protocol_name"),
            helo: attribute("log_helo_name"),
            sasl: Sasl {
                method: attribute("sasl_method"),
                username: attribute("sasl_username"),
                sender: attribute("sasl_sender"),
            },
        },
        log_ident: attribute("log_ident"),
        rewrite_context: if is_remote { Context::Remote } else { Context::Local },
        recipients: Vec::new(),
    }
}
