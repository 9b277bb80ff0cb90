//! Who logs in is judged by an authentication server: which one it is, which of its mechanisms are offered, and what a
//! session has begun with it.

use std::future::Future;
use std::io;
use std::pin::Pin;

use config::report::SERVER_TYPE;
use config::{Config, param};
use daemon::StartError;
use lookup::{DomainList, MatchList, ParentStyle};
use net::Server;
use sasl::dovecot::{Answer, Client, Connect, Demands, Exchange, Outcome, Request, Transport, is_base64};
use smtp_server::{Attempt, Refusal, Step};

use crate::reach::Reach;

/// The authentication server as the process has it. smtpd_sasl_auth_enable
pub struct Authentication {
    server: Client,
    service: String,
    /// smtpd_sasl_security_options
    plain: Demands,
    /// smtpd_sasl_tls_security_options
    secured: Demands,
    /// smtpd_sasl_mechanism_filter
    filter: DomainList,
    /// smtpd_sasl_exceptions_networks
    pub exceptions: MatchList,
}

impl Authentication {
    /// What main.cf says; `None` where nobody logs in. `reach`: how a server is reached.
    ///
    /// # Errors
    /// A setting that makes no sense, or another kind of server.
    pub fn read(
        config: &Config,
        reach: impl FnOnce(&Server) -> Result<Reach, StartError>,
    ) -> Result<Option<Authentication>, StartError> {
        if !config.get(param::SMTPD_SASL_AUTH_ENABLE)? {
            return Ok(None);
        }
        let kind = config.get(param::SMTPD_SASL_TYPE)?;
        if kind != SERVER_TYPE {
            logging::warning!("unsupported SASL server implementation: {kind}");
            let instead =
                "set smtpd_sasl_type = dovecot, and smtpd_sasl_path to the socket of an authentication server";
            return Err(StartError::new(format!("SASL per-process initialization failed: {instead}")));
        }
        let path = config.get(param::SMTPD_SASL_PATH)?;
        let server = Server::parse(&path).map_err(StartError::new)?;
        let reach = reach(&server)?;
        let value = |name: &str| config.lookup(name).map(Option::unwrap_or_default);
        let demands = |name: &str| -> Result<Demands, StartError> {
            Demands::parse(&value(name)?).map_err(|error| StartError::new(error.to_string()))
        };
        let exceptions = "smtpd_sasl_exceptions_networks";
        let parents = ParentStyle::of(exceptions, &config.get(param::PARENT_DOMAIN_MATCHES_SUBDOMAINS)?);
        let filter = "smtpd_sasl_mechanism_filter";
        Ok(Some(Authentication {
            server: Client::new(path, Way { server, reach }),
            service: config.get(param::SMTPD_SASL_SERVICE)?,
            plain: demands("smtpd_sasl_security_options")?,
            secured: demands("smtpd_sasl_tls_security_options")?,
            filter: DomainList::open(config, filter, &value(filter)?, ParentStyle::Never)?,
            exceptions: MatchList::open(config, exceptions, &value(exceptions)?, parents)?,
        }))
    }

    /// A table that has changed on disk.
    pub fn changed_table(&self) -> Option<String> {
        self.filter.changed().or_else(|| self.exceptions.changed())
    }

    /// The mechanisms of the server that may be used, and those of them that are announced.
    ///
    /// # Errors
    /// There are none; the text behind `fatal: `.
    async fn mechanisms(&self, secured: bool) -> Result<(Vec<String>, String), String> {
        let demands = if secured { self.secured } else { self.plain };
        let all = self.server.mechanisms().await;
        let allowed = all.iter().flat_map(|all| all.iter()).filter(|mechanism| demands.allow(mechanism));
        let allowed: Vec<String> = allowed.map(|mechanism| mechanism.name.clone()).collect();
        if allowed.is_empty() {
            return Err("no SASL authentication mechanisms".to_owned());
        }
        // An empty filter lets all through.
        let is_announced =
            |name: &&String| if self.filter.is_empty() { Ok(true) } else { self.filter.matches(name.as_bytes()) };
        let mut announced = Vec::new();
        for name in &allowed {
            if is_announced(&name).map_err(|error| error.to_string())? {
                announced.push(name.as_str());
            }
        }
        match announced.as_slice() {
            [] => Err(format!("{} discards all mechanisms in '{}'", self.filter.title(), allowed.join(" "))),
            some => Ok((allowed.clone(), some.join(" "))),
        }
    }
}

/// What a session has of it.
#[derive(Default)]
pub struct Login {
    /// The mechanisms that it may use.
    allowed: Vec<String>,
    /// What has begun.
    exchange: Option<Exchange>,
}

impl Login {
    /// Learns the mechanisms; the announcement, or `None` where there is none: logged.
    pub async fn mechanisms(&mut self, authentication: &Authentication, secured: bool) -> Option<String> {
        match authentication.mechanisms(secured).await {
            Ok((allowed, announced)) => {
                self.allowed = allowed;
                Some(announced)
            }
            Err(why) => {
                // Of this session, not of the process: others are served.
                logging::emit_text(logging::Severity::Fatal, format_args!("{why}"));
                None
            }
        }
    }

    /// AUTH
    pub async fn begin(&mut self, authentication: &Authentication, attempt: Attempt<'_>) -> Step {
        self.exchange = None;
        let shown = text::printable(attempt.mechanism);
        let is_wanted = |name: &&String| name.as_bytes().eq_ignore_ascii_case(attempt.mechanism);
        if !self.allowed.iter().any(|name| is_wanted(&name)) {
            return refused(format!("Invalid authentication mechanism: '{shown}'"));
        }
        if !attempt.initial.is_none_or(is_base64) {
            return refused("Invalid base64 data in initial response");
        }
        let request = Request {
            // A name that is allowed is ASCII.
            mechanism: &shown,
            service: &authentication.service,
            local: attempt.peer.server_address,
            remote: attempt.peer.address,
            secured: attempt.secured,
            initial: attempt.initial,
        };
        match authentication.server.begin(&request).await {
            Some(begun) => {
                let step = step(begun.outcome);
                self.exchange = Some(begun.exchange).filter(|_| matches!(step, Step::Challenge(_)));
                step
            }
            None => Step::Unavailable(Refusal::default()),
        }
    }

    /// The client's answer to a challenge.
    pub async fn respond(&mut self, response: &[u8]) -> Step {
        let Some(exchange) = self.exchange.take() else { return Step::Unavailable(Refusal::default()) };
        if !is_base64(response) {
            return refused("Invalid base64 data in continued response");
        }
        let step = step(exchange.respond(response).await);
        self.exchange = Some(exchange).filter(|_| matches!(step, Step::Challenge(_)));
        step
    }

    /// Nothing becomes of what was begun.
    pub fn forget(&mut self) {
        self.exchange = None;
    }
}

fn refused(reason: impl Into<String>) -> Step {
    Step::Refused(Refusal { reason: Some(reason.into()), user: None })
}

const BACKEND_ERROR: &str = "Authentication backend error";

fn step(outcome: Outcome) -> Step {
    let shown = |bytes: Option<Vec<u8>>| bytes.map(|bytes| text::printable(&bytes));
    match outcome {
        Outcome::Answered(Answer::Continue(Some(challenge))) => Step::Challenge(challenge),
        Outcome::Answered(Answer::Continue(None)) => {
            logging::warning!("missing Dovecot server CONT reply field");
            refused(BACKEND_ERROR)
        }
        Outcome::Answered(Answer::Ok(Some(user))) => match name_of_user(&user) {
            Some(user) => Step::Done(user),
            None => {
                logging::warning!("Dovecot server OK username field is no text: {}", text::c_escape(&user));
                refused(BACKEND_ERROR)
            }
        },
        Outcome::Answered(Answer::Ok(None)) => {
            logging::warning!("missing Dovecot server OK username field");
            refused(BACKEND_ERROR)
        }
        Outcome::Answered(Answer::Fail { reason, user }) => {
            Step::Refused(Refusal { reason: shown(reason), user: shown(user) })
        }
        Outcome::Lost => Step::Unavailable(Refusal {
            reason: Some("Connection lost to authentication server".to_owned()),
            user: None,
        }),
    }
}

/// A name that is the same in the log, in tables and in a queue file.
fn name_of_user(user: &[u8]) -> Option<String> {
    std::str::from_utf8(user).ok().filter(|user| !user.chars().any(char::is_control)).map(str::to_owned)
}

/// The server, and how it is reached.
struct Way {
    server: Server,
    reach: Reach,
}

impl Connect for Way {
    fn connect(&self) -> Pin<Box<dyn Future<Output = io::Result<Transport>> + '_>> {
        Box::pin(async { Ok(Box::new(self.reach.connect(&self.server).await?) as Transport) })
    }
}
