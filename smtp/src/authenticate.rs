//! AUTH (RFC 4954): the login at the beginning of a session, where main.cf has a password for the server and the server
//! asks for one.
//!
//! What is sent here is a secret: neither the log nor a transcript has it, whatever debug_peer_list says.

use delivery::transcript::Speaker;
use dsn::Status;
use sasl::client::{Binding, Credentials, Exchange, Fault, Login, Mechanism, Secret};
use smtp_client::Endpoint;
use smtp_protocol::Reply;
use smtp_protocol::reply::TEXT_KEPT;

use crate::failure::{Failure, Subject, status_of};
use crate::sasl::{Owner, Protected, Purpose, Sasl};
use crate::session::{Broken, Session};
use crate::settings::Settings;
use crate::stage::Stage;
use crate::tls::Shield;

/// Challenges of one login.
/// told: the log and the report: an authentication protocol loop.
const MOST_CHALLENGES: usize = 100;
/// The longest command with an initial response, as Postfix has it: with it count a mechanism, a blank and `AUTH `.
/// told: nobody; the response is sent after the server's first challenge.
const LONGEST_COMMAND: usize = 512;

impl Session {
    /// Logs in, if there is a login for this server and it takes one.
    ///
    /// # Errors
    /// It was refused, or is not possible.
    pub async fn authenticate(&mut self, settings: &Settings, purpose: &Purpose<'_>) -> Result<(), Failure> {
        let (Some(sasl), Some(offered)) = (settings.sasl.clone(), self.extensions.auth.clone()) else { return Ok(()) };
        let login = sasl.login(purpose, &self.server).map_err(|_| self.local_error())?;
        self.owner = Owner::of(login.as_ref());
        let Some(credentials) = login else { return Ok(()) };
        let mechanism = self.mechanism(&sasl, &offered)?;
        if let Some((status, said)) = sasl.refusals.as_ref().and_then(|it| it.find(&self.server.name, &credentials)) {
            let text = format!("SASL [CACHED] authentication failed; server {} said: {said}", self.server.name);
            return Err(self.login_failure(softened(status, &sasl), text));
        }
        let said = self.dialogue(settings, &sasl, &credentials, mechanism, &offered).await?;
        let Some(refusal) = said else {
            self.authenticated = true;
            return Ok(());
        };
        let said = text::printable(&refusal.joined(b'\n'));
        let status = status_of(&refusal);
        if refusal.code() == 535
            && let Some(refusals) = &sasl.refusals
        {
            refusals.add(&self.server.name, &credentials, status, &said);
        }
        let text = format!("SASL authentication failed; server {} said: {said}", self.host);
        Err(Failure { reply: Some(said), ..self.login_failure(softened(status, &sasl), text) })
    }

    /// What protects the session.
    fn protected(&self) -> Protected {
        match &self.shield {
            Shield::Tls(known) => Protected { tls: true, verified: known.matched },
            Shield::Open | Shield::Plain => Protected { tls: false, verified: false },
        }
    }

    /// What ties a login to the TLS session.
    fn binding(&self) -> Option<Binding> {
        self.stream.binding().map(|data| Binding { kind: "tls-exporter", data: data.to_vec() })
    }

    fn mechanism(&self, sasl: &Sasl, offered: &[String]) -> Result<Mechanism, Failure> {
        let relay = self.server.relay();
        let left = sasl.filtered(offered).map_err(|_| self.local_error())?;
        if left.is_empty() {
            if offered.is_empty() {
                logging::warning!("{relay} offered null AUTH mechanism list");
            } else {
                let offered = text::printable(offered.join(" ").as_bytes());
                logging::warning!("{relay} offered no supported AUTH mechanisms: '{offered}'");
            }
            let text = format!(
                "SASL authentication failed: server {} offered no compatible authentication mechanisms for this type of \
                 connection security",
                self.host
            );
            return Err(self.login_failure(Status::new(4, 7, 0), text));
        }
        sasl.choose(&left, self.protected(), self.binding().is_some()).ok_or_else(|| {
            logging::warning!("SASL authentication failure: No worthy mechs found");
            self.cannot(&"no mechanism available")
        })
    }

    /// Says it all; the reply that refuses the login, if one does.
    async fn dialogue(
        &mut self,
        settings: &Settings,
        sasl: &Sasl,
        credentials: &Credentials,
        mechanism: Mechanism,
        offered: &[String],
    ) -> Result<Option<Reply>, Failure> {
        let binding = self.binding();
        let port = match &self.server.endpoint {
            Endpoint::Internet(address) => address.port(),
            Endpoint::Unix(_) => 0,
        };
        let login = Login {
            credentials,
            as_itself: sasl.as_itself,
            host: &self.server.name,
            port,
            own_name: &settings.hostname,
            binding: binding.as_ref(),
            server_binds: offered.iter().any(|name| name.ends_with("-PLUS")),
        };
        let begun = Exchange::begin(mechanism, &login);
        let (mut exchange, mut initial) = begun.map_err(|fault| self.fault(fault))?;
        let fits = |initial: &Secret| mechanism.name().len() + initial.len() + 8 <= LONGEST_COMMAND;
        let inline = initial.take_if(|initial| fits(initial));
        let mut reply = self.secretly(settings, &format!("AUTH {}", mechanism.name()), inline.as_ref()).await?;
        for _ in 0..MOST_CHALLENGES {
            match reply.class() {
                2 => return exchange.succeed().map(|()| None).map_err(|fault| self.fault(fault)),
                3 => {}
                _ => return Ok(Some(reply)),
            }
            let response = match initial.take() {
                Some(initial) => initial,
                None => {
                    let challenge = reply.lines().last().unwrap_or_default().to_vec();
                    let answer;
                    (exchange, answer) = answered(exchange, challenge).await.map_err(|fault| self.fault(fault))?;
                    answer.map_err(|fault| self.fault(fault))?
                }
            };
            reply = self.secretly(settings, "", Some(&response)).await?;
        }
        let text = format!("SASL authentication failed; authentication protocol loop with server {}", self.host);
        Err(self.login_failure(Status::new(4, 3, 0), text))
    }

    /// Sends a line that ends in a secret, and waits for the reply.
    async fn secretly(&mut self, settings: &Settings, open: &str, secret: Option<&Secret>) -> Result<Reply, Failure> {
        let stage = Stage::Hello(self.hello);
        let limit = stage.limit(settings);
        let secret = secret.map(|secret| secret.as_slice());
        let between = if open.is_empty() || secret.is_none() { "" } else { " " };
        let shown = secret.map_or_else(String::new, |secret| format!("[{} bytes that are secret]", secret.len()));
        let shown = format!("{open}{between}{shown}");
        self.transcript.say(Speaker::Us, shown.as_bytes());
        self.log_dialogue('>', shown.as_bytes());
        let parts = [open.as_bytes(), between.as_bytes(), secret.unwrap_or_default(), b"\r\n"];
        let line = Secret::new(parts.concat());
        let reply = match self.send_bytes(&line, limit).await {
            Ok(()) => self.reply(limit).await,
            Err(broken) => Err(broken),
        };
        // A challenge that was cut cannot be answered.
        let reply = reply.and_then(|reply| {
            let is_cut = reply.class() == 3 && reply.lines().any(|line| line.len() >= TEXT_KEPT - 4);
            if is_cut { Err(Broken::Lost) } else { Ok(reply) }
        });
        reply.map_err(|broken| self.failure(&broken, stage))
    }

    fn fault(&self, fault: Fault) -> Failure {
        logging::warning!("SASL authentication failure: {}", fault.detail());
        self.cannot(&fault)
    }

    fn cannot(&self, why: &dyn std::fmt::Display) -> Failure {
        let text = format!("SASL authentication failed; cannot authenticate to server {}: {why}", self.host);
        self.login_failure(Status::new(4, 7, 0), text)
    }

    fn login_failure(&self, status: Status, text: String) -> Failure {
        Failure { subject: Subject::Login, ..Failure::of_host(status, text) }.by(&self.server)
    }

    fn local_error(&self) -> Failure {
        let text = format!("local data error while talking to {}", self.host);
        Failure::of_message(Status::new(4, 3, 0), text).by(&self.server)
    }
}

/// smtp_sasl_auth_soft_bounce.
fn softened(status: Status, sasl: &Sasl) -> Status {
    if sasl.soft_bounce { status.with_class(4) } else { status }
}

/// An answer, in a thread of its own if it takes as many iterations as the server wants.
async fn answered(mut exchange: Exchange, challenge: Vec<u8>) -> Result<(Exchange, Result<Secret, Fault>), Fault> {
    let is_slow = exchange.is_slow();
    let work = move || {
        let answer = exchange.answer(&challenge);
        (exchange, answer)
    };
    if !is_slow {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Fault::Refused("the answer could not be worked out"))
}
