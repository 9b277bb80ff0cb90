//! The greeting of a server, and ours.

use smtp_client::{Endpoint, Protocol};
use smtp_protocol::{Extensions, Reply};

use super::{Broken, Session};
use crate::failure::Failure;
use crate::sasl::Purpose;
use crate::settings::Settings;
use crate::stage::Stage;

impl Session {
    /// Hears the greeting, and says hello.
    ///
    /// # Errors
    /// The server does not want to talk.
    pub(super) async fn greet(&mut self, settings: &Settings, purpose: &Purpose<'_>) -> Result<(), Failure> {
        let limit = settings.limits.hello;
        let greeting = self.reply(limit).await.map_err(|broken| self.failure(&broken, Stage::Greeting))?;
        self.note_strange(&greeting, 2);
        if greeting.class() != 2 {
            let failure = Failure::unwelcome(&self.server, &greeting);
            // smtp_skip_5xx_greeting
            let soften = settings.dialogue.skip_5xx_greeting && greeting.class() == 5;
            self.farewell();
            return Err(if soften { failure.softened() } else { failure });
        }
        if self.is_named_as_this_machine(&greeting, settings) {
            let (host, own) = (self.server.relay(), &settings.hostname);
            logging::warning!("host {host} greeted me with my own hostname {own}");
        }
        self.pix = settings.quirks.pix(&greeting, &self.server, purpose.age, purpose.queue_id);
        let words: &[&'static str] = match settings.protocol {
            Protocol::Lmtp => &["LHLO"],
            Protocol::Smtp if self.pix.no_ehlo => &["HELO"],
            // smtp_never_send_ehlo
            Protocol::Smtp if settings.dialogue.never_ehlo => &["HELO"],
            // smtp_always_send_ehlo
            Protocol::Smtp if !settings.dialogue.always_ehlo && !has_word(&greeting, b"ESMTP") => &["HELO"],
            Protocol::Smtp => &["EHLO", "HELO"],
        };
        self.say_hello(words, greeting, settings).await
    }

    /// The hello of a session that has got TLS: nothing counts that was offered before.
    ///
    /// # Errors
    /// The server does not want to talk any more.
    pub async fn hello_again(&mut self, settings: &Settings) -> Result<(), Failure> {
        self.extensions = Extensions::default();
        self.say_hello(&[self.hello], Reply::plain(220, ""), settings).await
    }

    /// Says one word after the other, until the server takes one.
    async fn say_hello(
        &mut self,
        words: &[&'static str],
        mut refusal: Reply,
        settings: &Settings,
    ) -> Result<(), Failure> {
        let limit = settings.limits.hello;
        for word in words {
            self.command(&[word.as_bytes(), b" ", settings.hello_name.as_bytes()]);
            self.hello = word;
            let stage = Stage::Hello(word);
            let reply = match self.send(limit).await {
                Ok(()) => self.reply(limit).await,
                Err(broken) => Err(broken),
            };
            let reply = reply.map_err(|broken| self.failure(&broken, stage))?;
            if reply.class() == 2 {
                return self.welcome(&reply, *word != "HELO", settings);
            }
            refusal = reply;
            if self.closing {
                break;
            }
        }
        self.note_strange(&refusal, 2);
        self.farewell();
        Err(Failure::unwelcome(&self.server, &refusal))
    }

    fn welcome(&mut self, reply: &Reply, extended: bool, settings: &Settings) -> Result<(), Failure> {
        if self.policy.audience.is_some() {
            self.said = reply.joined(b'\n').split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]);
        }
        if extended {
            // smtp_discard_ehlo_keywords
            let discarded = settings.quirks.discarded(&self.server).map_err(|error| self.of_table(&error))?;
            self.extensions = Extensions::parse(reply, |keyword| discarded.iter().any(|it| it == keyword));
            // RFC 6531 3.1: who offers the one has the other.
            if self.extensions.smtputf8 && !self.extensions.eight_bit_mime {
                logging::info!("host {} offers SMTPUTF8 support, but not 8BITMIME", self.server.host());
                self.extensions.eight_bit_mime = true;
            }
        }
        if self.is_named_as_this_machine(reply, settings) {
            let (host, own) = (self.server.relay(), &settings.hostname);
            logging::warning!("host {host} replied to HELO/EHLO with my own hostname {own}");
            self.farewell();
            return Err(Failure::of_loop(&self.server.name, true).by(&self.server));
        }
        Ok(())
    }

    /// A table of ours has no answer about the server.
    fn of_table(&mut self, error: &str) -> Failure {
        if let Some(id) = &self.queue_id {
            logging::warning!(id: id, "{error}");
        }
        self.farewell();
        self.failure(&Broken::Local, Stage::Hello(self.hello))
    }

    /// Whether a greeting or hello begins with the name of this machine.
    fn is_named_as_this_machine(&self, reply: &Reply, settings: &Settings) -> bool {
        let first = reply.lines().next().unwrap_or_default();
        let name = first.split(|byte| *byte == b' ').next().unwrap_or_default();
        self.may_loop(settings) && name.eq_ignore_ascii_case(settings.hostname.as_bytes())
    }

    /// A mail system listens on its own port: only there can the server be this one.
    fn may_loop(&self, settings: &Settings) -> bool {
        match &self.server.endpoint {
            Endpoint::Internet(address) => {
                settings.protocol == Protocol::Smtp && address.port() == settings.services.default_port(Protocol::Smtp)
            }
            Endpoint::Unix(_) => false,
        }
    }
}

fn has_word(greeting: &Reply, word: &[u8]) -> bool {
    let mut words = greeting.lines().flat_map(|line| line.split(|byte| *byte == b' '));
    words.any(|found| found.eq_ignore_ascii_case(word))
}
