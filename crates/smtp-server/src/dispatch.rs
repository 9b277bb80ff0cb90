//! What becomes of a command line, in the order in which it is judged: what is no text at all, what the site says of
//! the first word, whether the client is welcome, whether it waited for its turn; then the command itself.
//!
//! The order matters: a client of another protocol is left at its first line, whatever else is wrong with it.

use dsn::Status;
use smtp_protocol::{Command, Reply, Verb};

use crate::command;
use crate::dialogue::Dialogue;
use crate::filters::Told;
use crate::line::{self, CommandLine};
use crate::rejection::Rejection;
use crate::services::Services;
use crate::settings::BareNewline;
use crate::state::{Protocol, State};
use crate::turn::{Answer, Next, Turn, breach, done};

/// Bytes of a client's text in log lines about it.
/// told: nobody; the log shows the start.
const QUOTED: usize = 100;

impl Dialogue {
    /// One command, from its line to its reply. `behind`: what the client has sent after it.
    pub async fn command(&mut self, services: &mut impl Services, line: CommandLine, behind: &[u8]) -> Turn {
        let mut line = match self.taken(services, line) {
            Ok(line) => line,
            Err(turn) => return turn,
        };
        if let Some(turn) = self.tls_refusal() {
            return turn;
        }
        let text = line.text();
        let command = Command::parse(text);
        let not_text = self.settings.smtputf8 && std::str::from_utf8(text).is_err();
        if command.word.is_empty() || not_text {
            self.state = State::Command(Verb::Unknown);
            let what = if command.word.is_empty() { "Error: bad syntax" } else { "Error: bad UTF-8 syntax" };
            return self.settled(Verb::Unknown, Err(breach(500, Status::new(5, 5, 2), what)));
        }
        if services.means_nothing(command.word) {
            let answer = done(Status::new(2, 0, 0), "Ok");
            self.note_errors(true, true);
            return answer.unwrap_or_else(|turn| turn);
        }
        // line_length_limit: what is left of a command may mean something else than the whole.
        if self.is_cut(&line) && means_more(command.verb) && command.verb != Verb::Auth {
            return self.settled(command.verb, Err(too_long(command.verb)));
        }
        let (verb, answer) = (command.verb, self.carry_out(services, &command, &line, behind).await);
        if verb == Verb::Auth {
            line.wipe();
        }
        self.settled(verb, answer)
    }

    /// The client's answer to a challenge, which the last turn has asked for.
    pub async fn response(&mut self, services: &mut impl Services, mut line: CommandLine) -> Turn {
        let answer = command::auth::respond(self, services, &line).await;
        line.wipe();
        self.settled(Verb::Auth, answer)
    }

    /// line_length_limit
    fn is_cut(&self, line: &CommandLine) -> bool {
        line.length > self.settings.line_length_limit
    }

    /// The line, if it is one that is listened to, as smtpd_command_filter has it.
    fn taken(&mut self, services: &impl Services, line: CommandLine) -> Result<CommandLine, Turn> {
        self.look_at_line_end(services, &line)?;
        match services.replacement(line.text().trim_ascii_start()) {
            Ok(None) => Ok(line),
            Ok(Some(other)) => {
                // told: see QUOTED.
                let [old, new] = [&line.bytes, &other].map(|line| line::shown(&line[..line.len().min(QUOTED)]));
                logging::info!("{}: replacing command \"{old}\" with \"{new}\"", self.peer.label);
                Ok(CommandLine { bytes: other, ..line })
            }
            Err(_) => Err(self.data_error(services)),
        }
    }

    /// smtpd_forbid_bare_newline
    pub(crate) fn look_at_line_end(&mut self, services: &impl Services, line: &CommandLine) -> Result<(), Turn> {
        match self.may.bare_newline {
            BareNewline::Note if line.bare_lf => self.statistics.note_bare_lf(),
            BareNewline::Reject if line.bare_lf => {
                services.log("reject", "bare <LF> received", self.facts_of_message());
                return Err(Turn::from(self.bare_newline_rejection()).closing());
            }
            _ => {}
        }
        Ok(())
    }

    /// Counts a command that has its answer. One whose content or login goes on has none yet.
    pub(crate) fn settled(&mut self, verb: Verb, answer: Answer) -> Turn {
        let ok = answer.is_ok();
        let turn = answer.unwrap_or_else(|turn| turn);
        if matches!(turn.next, Next::Content | Next::Chunk(_) | Next::Response | Next::StartTls) {
            self.awaits_content = Some(verb);
            return turn;
        }
        self.awaits_content = None;
        self.statistics.count(verb, ok);
        let is_junk = matches!(verb, Verb::Helo | Verb::Ehlo | Verb::Noop | Verb::Rset | Verb::Vrfy | Verb::Etrn);
        self.note_errors(is_junk, ok);
        turn
    }

    /// smtpd_junk_command_limit, smtpd_soft_error_limit, smtpd_hard_error_limit
    fn note_errors(&mut self, is_junk: bool, ok: bool) {
        let is_error = !ok && !std::mem::take(&mut self.is_another);
        self.errors = self.errors.saturating_add(u32::from(is_error));
        if is_junk {
            if self.junk > self.settings.junk_command_limit {
                self.errors = self.errors.saturating_add(1);
            }
            self.junk = self.junk.saturating_add(1);
        }
    }

    async fn carry_out(
        &mut self,
        services: &mut impl Services,
        command: &Command<'_>,
        line: &CommandLine,
        behind: &[u8],
    ) -> Answer {
        let verb = command.verb;
        if verb == Verb::Unknown {
            self.state = State::Command(verb);
            if is_header(command.word) || services.is_forbidden(command.word) {
                return Err(self.leave_stranger(line));
            }
        }
        if self.denied && verb != Verb::Quit {
            let text = format!("Error: access denied for {}", self.peer.label);
            return Err(Rejection::new(503, Status::new(5, 7, 0), text).quietly().into());
        }
        let before = std::mem::replace(&mut self.state, State::Command(verb));
        if verb != Verb::Unknown {
            self.look_for_pipelining(verb, behind)?;
        }
        if let Some(turn) = self.refusal(services, verb) {
            // The session is still at what came before it.
            if self.wants_tls(verb) {
                self.state = before;
            }
            return Err(turn);
        }
        let (argument, text) = (command.argument, line.text());
        match verb {
            Verb::Helo => command::helo::run(self, services, argument).await,
            Verb::Ehlo => command::ehlo::run(self, services, argument).await,
            Verb::Mail => command::mail::run(self, services, argument).await,
            Verb::Rcpt => command::rcpt::run(self, services, argument).await,
            Verb::Data => command::data::run(self, services, argument).await,
            Verb::Bdat => command::bdat::run(self, services, argument, text).await,
            Verb::Xclient => command::xclient::run(self, services, argument).await,
            Verb::Xforward => command::xforward::run(self, argument),
            Verb::Rset => command::rset::run(self, services, argument).await,
            Verb::Noop => done(Status::new(2, 0, 0), "Ok"),
            Verb::Vrfy => command::vrfy::run(self, services, argument).await,
            Verb::Quit => Ok(Turn::say(Reply::with_status(221, Status::new(2, 0, 0), "Bye")).closing()),
            Verb::Starttls => command::starttls::run(self, services, argument).await,
            Verb::Help => Ok(command::help::run()),
            Verb::Auth => command::auth::run(self, services, argument, self.is_cut(line)).await,
            Verb::Etrn => command::etrn::run(self, services, argument).await,
            Verb::Unknown => Err(self.not_recognized(services, text).await),
        }
    }

    /// Whether a command waits for STARTTLS.
    fn wants_tls(&self, verb: Verb) -> bool {
        self.tls.is_none() && self.settings.tls.guards(verb)
    }

    /// Why a command is turned down whatever it says.
    pub(crate) fn refusal(&self, services: &impl Services, verb: Verb) -> Option<Turn> {
        // RFC 3207 4.
        if self.wants_tls(verb) {
            let refusal = Rejection::new(530, Status::new(5, 7, 0), "Must issue a STARTTLS command first");
            // No class of notify_classes has it.
            return Some(refusal.quietly().into());
        }
        match verb {
            Verb::Mail if self.lacking.no_mail => Some(Rejection::server_problem().into()),
            Verb::Vrfy | Verb::Etrn => services.filters_say().map(Turn::from),
            _ => None,
        }
    }

    /// A command that nobody knows. A filter may want it to be said again later, and nothing else.
    async fn not_recognized(&self, services: &mut impl Services, line: &[u8]) -> Turn {
        match services.tell_filters(Told::Unknown(line), self.facts_of_message()).await {
            Some(reply) if !reply.is_permanent() => reply.into(),
            _ => breach(500, Status::new(5, 5, 2), "Error: command not recognized"),
        }
    }

    /// A client that does not speak SMTP at all is left at once: it is a program that was tricked into talking to us,
    /// and every further reply would be one to a command of somebody else.
    fn leave_stranger(&self, line: &CommandLine) -> Turn {
        // told: see QUOTED.
        let shown = text::c_escape(&line.bytes[..line.bytes.len().min(QUOTED)]);
        logging::warning!("non-SMTP command from {}: {shown}", self.peer.label);
        let text = "Error: I can break rules, too. Goodbye.";
        Turn::say(Reply::with_status(221, Status::new(2, 7, 0), text)).closing()
    }

    /// RFC 2920 3.1: some commands must be the last of a group, and without EHLO there are no groups.
    fn look_for_pipelining(&mut self, verb: Verb, behind: &[u8]) -> Result<(), Turn> {
        let last_of_group = matches!(verb, Verb::Helo | Verb::Ehlo | Verb::Data | Verb::Noop | Verb::Vrfy);
        let grouped = self.protocol == Protocol::Esmtp && !last_of_group;
        if grouped || behind.is_empty() { Ok(()) } else { self.unauthorized_pipelining(behind) }
    }

    /// smtpd_forbid_unauth_pipelining
    pub(crate) fn unauthorized_pipelining(&mut self, behind: &[u8]) -> Result<(), Turn> {
        if !self.pipelined {
            // told: see QUOTED.
            let behind = line::before_secrets(behind, self.state == State::Command(Verb::Auth));
            let data = text::c_escape(&behind[..behind.len().min(QUOTED)]);
            logging::info!("improper command pipelining after {} from {}: {data}", self.state, self.peer.label);
            self.pipelined = true;
        }
        if self.settings.forbid_unauth_pipelining {
            let text = "Error: SMTP protocol synchronization";
            return Err(Turn::say(Reply::with_status(554, Status::new(5, 5, 0), text)).closing());
        }
        Ok(())
    }
}

/// What looks like a header is one, and comes from a program that speaks another protocol.
fn is_header(word: &[u8]) -> bool {
    word.iter().position(|byte| *byte == b':').is_some_and(|at| at > 0)
}

/// Whether it matters what stands behind the verb. It does not in what clients and probes use as filling.
fn means_more(verb: Verb) -> bool {
    !matches!(
        verb,
        Verb::Unknown | Verb::Noop | Verb::Rset | Verb::Quit | Verb::Helo | Verb::Ehlo | Verb::Help | Verb::Data
    )
}

/// RFC 5321 4.2.2: `500 Line too long`. Behind BDAT comes text, of which nobody knows how much: the session ends.
fn too_long(verb: Verb) -> Turn {
    let turn = breach(500, Status::new(5, 5, 2), "Error: line too long");
    if verb == Verb::Bdat { turn.closing() } else { turn }
}
