//! Mail to the postmaster about a session in which something went wrong: its transcript. notify_classes

use config::{Config, ErrorClass, ErrorClasses, MailSource, ValueError, param};
use ipc::Pool;
use ipc::cleanup::{Cleanup, Flags};
use ipc::delivery::Timestamp;
use message::{date, received};
use queue::Recipient;

use crate::submission::{Envelope, Submission, SubmitError};
use crate::transcript::Transcript;

/// Who is told, of what, and by whom.
#[derive(Clone, Debug)]
pub struct Postmaster {
    wanted: ErrorClasses,
    /// smtputf8_enable = no
    ascii: bool,
    /// `SMTP server`
    program: String,
    hostname: String,
    mail_name: String,
    origin: String,
    /// double_bounce_sender
    sender: String,
    /// error_notice_recipient
    recipient: String,
    /// bounce_notice_recipient
    bounce_recipient: String,
    flags: Flags,
}

/// A session to tell of.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The other side, as the subject names it.
    pub peer: String,
    /// What stands before the transcript.
    pub opening: Option<String>,
    /// What was said.
    pub transcript: Transcript,
    /// What stands behind it; empty for an empty line.
    pub closing: Option<String>,
}

impl Postmaster {
    /// `program` is `SMTP server` or the like.
    ///
    /// # Errors
    /// A setting that makes no sense.
    pub fn read(config: &Config, program: &str) -> Result<Self, ValueError> {
        let (hostname, origin) = (config.get(param::MYHOSTNAME)?, config.get(param::MYORIGIN)?);
        let filtered = config.get(param::INTERNAL_MAIL_FILTER_CLASSES)?.iter().any(|class| class == "notify");
        Ok(Self {
            wanted: ErrorClasses::of_words(&config.get(param::NOTIFY_CLASSES)?),
            ascii: !config.get(param::SMTPUTF8_ENABLE)?,
            program: program.to_owned(),
            mail_name: config.get(param::MAIL_NAME)?,
            sender: qualified(&config.get(param::DOUBLE_BOUNCE_SENDER)?, &hostname),
            recipient: config.get(param::ERROR_NOTICE_RECIPIENT)?,
            bounce_recipient: config.get(param::BOUNCE_NOTICE_RECIPIENT)?,
            flags: Flags::NOTICE
                .with_if(filtered, Flags::FILTER.with(Flags::MILTER))
                .with_if(config.detects_utf8(MailSource::Notify)?, Flags::AUTO_UTF8),
            hostname,
            origin,
        })
    }

    /// Who sends notices.
    pub fn sender(&self) -> &str {
        &self.sender
    }

    /// An empty transcript of a new session.
    pub fn transcript(&self) -> Transcript {
        Transcript::new(self.wanted).in_ascii(self.ascii)
    }

    /// Sends the notice, if one is due. The session is over: a failure is for the log.
    pub async fn tell(&self, cleanup: &Pool<Cleanup>, notice: &Notice) {
        if notice.transcript.is_due()
            && let Err(error) = self.submit(cleanup, notice).await
        {
            let peer = &notice.peer;
            logging::warning!("postmaster notification about the session with {peer} failed: {error}");
        }
    }

    async fn submit(&self, cleanup: &Pool<Cleanup>, notice: &Notice) -> Result<(), SubmitError> {
        let is_bounce = notice.transcript.happened().has(ErrorClass::Bounce);
        let address = if is_bounce { &self.bounce_recipient } else { &self.recipient };
        let recipient = Recipient { address: address.clone().into_bytes(), ..Default::default() };
        let envelope = Envelope {
            sender: self.sender.as_bytes(),
            recipients: std::slice::from_ref(&recipient),
            flags: self.flags,
            ..Envelope::default()
        };
        let mut mail = Submission::begin(cleanup, &envelope).await?;
        let date = date::rfc5322(Timestamp::now().seconds);
        let by = received::Writer { hostname: &self.hostname, mail_name: &self.mail_name };
        for line in received::from_mail_system(by, mail.queue_id(), &date) {
            mail.line(line.as_bytes()).await?;
        }
        for line in self.text(notice, &date).lines() {
            mail.line(line.as_bytes()).await?;
        }
        mail.finish().await.map(drop)
    }

    fn text(&self, notice: &Notice, date: &str) -> String {
        let Self { program, hostname, mail_name, .. } = self;
        // Whoever gets it, this is the address for such mail.
        let to = qualified(&self.recipient, &self.origin);
        let opening = notice.opening.as_ref().map(|line| format!("{line}\n\n")).unwrap_or_default();
        let closing = match &notice.closing {
            Some(line) if line.is_empty() => "\n".to_owned(),
            Some(line) => format!("\n{line}\n"),
            None => String::new(),
        };
        format!(
            "Date: {date}\n\
             From: Mail Delivery System <MAILER-DAEMON@{hostname}>\n\
             To: Postmaster <{to}>\n\
             Subject: {mail_name} {program}: errors from {peer}\n\
             \n\
             {opening}Transcript of session follows.\n\
             \n\
             {transcript}{closing}\n\
             For other details, see the local mail logfile\n",
            peer = notice.peer,
            transcript = notice.transcript,
        )
    }
}

/// An address of main.cf with the domain that it gets where it has none.
fn qualified(address: &str, domain: &str) -> String {
    if address.contains('@') { address.to_owned() } else { format!("{address}@{domain}") }
}
