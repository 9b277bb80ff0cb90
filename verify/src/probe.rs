//! Probes: messages that find out where their recipient goes, and that nobody gets.

use std::time::SystemTime;

use config::{Config, MailSource, param};
use daemon::{Context, Sibling, StartError};
use delivery::ProbeSender;
use delivery::submission::{Envelope, Submission, SubmitError};
use ipc::Pool;
use ipc::cleanup::{Cleanup, Flags};
use message::{date, received};
use queue::Trace;
use tokio::sync::Semaphore;

/// Probes that are handed to cleanup at the same time; others wait.
const AT_ONCE: usize = 50;

/// Sends probes.
pub(crate) struct Prober {
    cleanup: Pool<Cleanup>,
    sender: ProbeSender,
    hostname: String,
    mail_name: String,
    /// smtputf8_autodetect_classes has probes.
    detects_utf8: bool,
    turn: Semaphore,
}

impl Prober {
    /// Reads the settings.
    ///
    /// # Errors
    /// One that makes no sense.
    pub(crate) fn read(context: &Context) -> Result<Self, StartError> {
        let config: &Config = &context.config;
        Ok(Self {
            cleanup: Pool::new(context.socket(Sibling::Cleanup)?, context.ipc_timeout()),
            sender: ProbeSender::read(config)?,
            hostname: config.get(param::MYHOSTNAME)?,
            mail_name: config.get(param::MAIL_NAME)?,
            detects_utf8: config.detects_utf8(MailSource::Verify)?,
            turn: Semaphore::new(AT_ONCE),
        })
    }

    /// Puts a probe into the queue.
    ///
    /// # Errors
    /// cleanup cannot be reached, or does not take it.
    pub(crate) async fn send(&self, address: &[u8]) -> Result<(), SubmitError> {
        // It is never closed.
        let _turn = self.turn.acquire().await;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let recipient = queue::Recipient { address: address.to_vec(), ..Default::default() };
        let (sender, flags) = (self.sender.at(now), Trace::VERIFY.bits().to_string());
        let envelope = Envelope {
            sender: sender.as_bytes(),
            recipients: std::slice::from_ref(&recipient),
            attributes: &[("trace_flags", flags.as_bytes())],
            is_remote: false,
            smtputf8: false,
            flags: Flags::default().with_if(self.detects_utf8, Flags::AUTO_UTF8),
        };
        let mut mail = Submission::begin(&self.cleanup, &envelope).await?;
        let date = date::rfc5322(now.cast_signed());
        let by = received::Writer { hostname: &self.hostname, mail_name: &self.mail_name };
        for line in received::from_mail_system(by, mail.queue_id(), &date) {
            mail.line(line.as_bytes()).await?;
        }
        mail.finish().await.map(drop)
    }
}
