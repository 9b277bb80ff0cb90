//! What becomes of a command line, in the order in which it is judged: what is no text at all, what the site says of the
//! first word, whether the client is welcome, whether it waited for its turn; then the command itself.
//!
//! The order matters: a client of another protocol is left at its first line, whatever else is wrong with it.

use smtp_protocol::{Command, Reply, Verb};

use crate::command;
use crate::connection::CommandLine;
use crate::session::{End, Session, Success};
use crate::withheld;

/// Bytes of a client's text in log lines about it.
/// told: nobody; the log shows the start.
const QUOTED: usize = 100;

impl Session {
    /// smtpd_command_filter
    pub fn filtered(&mut self, line: CommandLine) -> Result<CommandLine, End> {
        let filter = &self.worker.tables.command_filter;
        if filter.is_empty() {
            return Ok(line);
        }
        match filter.lookup(line.text().trim_ascii_start()) {
            Ok(None) => Ok(line),
            Ok(Some(other)) => {
                let (old, new) = (text::printable(&line.bytes), text::printable(&other));
                logging::info!("{}: replacing command \"{old}\" with \"{new}\"", self.peer.label);
                Ok(CommandLine { bytes: other, ..line })
            }
            Err(_) => Err(self.data_error()),
        }
    }

    /// Carries one command out, and counts it.
    pub async fn one_command(&mut self, line: &CommandLine) -> Result<(), End> {
        let text = line.text();
        let command = Command::parse(text);
        if command.word.is_empty() {
            let result = self.fail(500, "5.5.2", "Error: bad syntax");
            return self.counted(Verb::Unknown, result);
        }
        if self.worker.settings.smtputf8 && std::str::from_utf8(text).is_err() {
            let result = self.fail(500, "5.5.2", "Error: bad UTF-8 syntax");
            return self.counted(Verb::Unknown, result);
        }
        // smtpd_noop_commands
        if self.worker.tables.noop_commands.matches(command.word).unwrap_or(false) {
            let result = self.succeed("2.0.0", "Ok");
            self.note_errors(true, &result);
            return result.map(drop);
        }
        // line_length_limit: what is left of a command may mean something else than the whole.
        if line.length > self.worker.settings.line_length_limit && command.verb != Verb::Unknown {
            let result = self.too_long(command.verb);
            return self.counted_by(command.verb, result);
        }
        let result = self.carry_out(&command, line).await;
        self.counted_by(command.verb, result)
    }

    /// RFC 5321 4.2.2: `500 Line too long`. Behind BDAT comes text, of which nobody knows how much: the session ends.
    fn too_long(&mut self, verb: Verb) -> Success {
        let result = self.fail(500, "5.5.2", "Error: line too long");
        if verb == Verb::Bdat { Err(End::Done) } else { result }
    }

    /// A line that is no command.
    fn counted(&mut self, verb: Verb, result: Success) -> Result<(), End> {
        self.command = verb.name();
        self.counted_by(verb, result)
    }

    fn counted_by(&mut self, verb: Verb, result: Success) -> Result<(), End> {
        let ok = result == Ok(true);
        self.statistics.count(verb, ok);
        let is_junk = matches!(verb, Verb::Helo | Verb::Ehlo | Verb::Noop | Verb::Rset | Verb::Vrfy | Verb::Etrn);
        self.note_errors(is_junk, &result);
        result?;
        if verb == Verb::Quit && ok { Err(End::Done) } else { Ok(()) }
    }

    /// smtpd_junk_command_limit, smtpd_soft_error_limit, smtpd_hard_error_limit
    fn note_errors(&mut self, is_junk: bool, result: &Success) {
        let forgiven = std::mem::take(&mut self.forgiven);
        let failed = *result != Ok(true) && !forgiven;
        self.errors = self.errors.saturating_add(u32::from(failed));
        if is_junk {
            if self.junk > self.worker.settings.junk_command_limit {
                self.errors = self.errors.saturating_add(1);
            }
            self.junk = self.junk.saturating_add(1);
        }
    }

    async fn carry_out(&mut self, command: &Command<'_>, line: &CommandLine) -> Success {
        if command.verb == Verb::Unknown {
            self.command = command.verb.name();
            if self.is_forbidden(command.word) {
                return self.leave_stranger(line);
            }
        }
        if self.denied && command.verb != Verb::Quit {
            let text = format!("Error: access denied for {}", self.peer.label);
            return self.fail_quietly(503, "5.7.0", text);
        }
        self.command = command.verb.name();
        if command.verb != Verb::Unknown {
            self.look_for_pipelining(command.verb)?;
        }
        if let Some(rejection) = self.refusal(command.verb) {
            self.turn_down(&rejection);
            return Ok(false);
        }
        let (argument, text) = (command.argument, line.text());
        match command.verb {
            Verb::Helo => command::helo::run(self, argument).await,
            Verb::Ehlo => command::ehlo::run(self, argument).await,
            Verb::Mail => command::mail::run(self, argument).await,
            Verb::Rcpt => command::rcpt::run(self, argument).await,
            Verb::Data => command::data::run(self, argument).await,
            Verb::Bdat => command::bdat::run(self, argument, text).await,
            Verb::Xclient => command::xclient::run(self, argument).await,
            Verb::Xforward => command::xforward::run(self, argument).await,
            Verb::Rset => command::rset::run(self, argument).await,
            Verb::Noop => command::noop::run(self),
            Verb::Vrfy => command::vrfy::run(self, argument).await,
            Verb::Quit => command::quit::run(self),
            Verb::Starttls => withheld::start_tls(self, argument),
            Verb::Help => command::help::run(self),
            Verb::Unknown => self.fail(500, "5.5.2", "Error: command not recognized"),
            other => command::absent::run(self, other, argument, text),
        }
    }

    /// smtpd_forbidden_commands, and everything that looks like a header.
    fn is_forbidden(&self, word: &[u8]) -> bool {
        let is_header = word.iter().position(|byte| *byte == b':').is_some_and(|at| at > 0);
        is_header || self.worker.tables.forbidden_commands.matches(word).unwrap_or(false)
    }

    /// A client that does not speak SMTP at all is left at once: it is a program that was tricked into talking to us, and
    /// every further reply would be one to a command of somebody else.
    fn leave_stranger(&mut self, line: &CommandLine) -> Success {
        // told: see QUOTED.
        let shown = text::c_escape(&line.bytes[..line.bytes.len().min(QUOTED)]);
        logging::warning!("non-SMTP command from {}: {shown}", self.peer.label);
        self.reply(Reply::with_status(221, "2.7.0", "Error: I can break rules, too. Goodbye."));
        Err(End::Done)
    }

    /// RFC 2920 3.1: some commands must be the last of a group, and without EHLO there are no groups.
    fn look_for_pipelining(&mut self, verb: Verb) -> Result<(), End> {
        let last_of_group = matches!(verb, Verb::Helo | Verb::Ehlo | Verb::Data | Verb::Noop | Verb::Vrfy);
        let grouped = self.protocol == "ESMTP" && !last_of_group;
        if grouped || self.connection.pending().is_empty() {
            return Ok(());
        }
        self.unauthorized_pipelining()
    }

    /// smtpd_forbid_unauth_pipelining
    pub fn unauthorized_pipelining(&mut self) -> Result<(), End> {
        if !self.pipelined {
            let waiting = self.connection.pending();
            let data = text::c_escape(&waiting[..waiting.len().min(QUOTED)]);
            logging::info!("improper command pipelining after {} from {}: {data}", self.command, self.peer.label);
            self.pipelined = true;
        }
        if self.worker.settings.forbid_unauth_pipelining {
            self.reply(Reply::with_status(554, "5.5.0", "Error: SMTP protocol synchronization"));
            return Err(End::Done);
        }
        Ok(())
    }
}
