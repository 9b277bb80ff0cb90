//! Commands: their environment and limits.

use delivery::Request;
use delivery::environment::{self, variable};
use delivery::steward::Account;
use ipc::carrier::{Command, Path, Words};
use ipc::delivery::Sasl;

use crate::place::{Names, Recipient, filtered};
use crate::settings::Settings;

/// Variables that are set whatever their value.
const ALWAYS: [&str; 5] = ["SENDER", "USER", "LOGNAME", "RECIPIENT", "LOCAL"];

/// Everything that a command is told about.
pub struct Subject<'a> {
    /// What main.cf says.
    pub settings: &'a Settings,
    /// The delivery request.
    pub request: &'a Request,
    /// Whom the message was sent to, before it was rewritten; empty where that is not to be told.
    pub original: &'a [u8],
    /// The recipient that the command belongs to.
    pub recipient: &'a Recipient,
    /// The envelope sender.
    pub sender: &'a [u8],
    /// Who has written the list that names the command.
    pub account: Option<&'a Account>,
}

impl Subject<'_> {
    /// The command as a carrier runs it; an error is a setting that cannot be expanded.
    pub fn command(&self, line: &[u8]) -> Result<Command, String> {
        let settings = &self.settings.command;
        let names = Names {
            recipient: self.recipient,
            account: self.account,
            delimiters: &self.settings.recipient_delimiter,
            filter: &settings.directory_filter,
        };
        // command_execution_directory
        let directory = match settings.directory.as_str() {
            "" => Vec::new(),
            setting => {
                let directory = names.expand(setting).map_err(|error| error.to_string())?;
                directory.into_path().ok_or_else(|| format!("need an absolute path: {setting}"))?
            }
        };
        let words = Words::Line { line: line.to_vec(), shell: settings.shell.clone() };
        Ok(Command { words, directory, environment: self.environment() })
    }

    /// The variables of local(8); of those that may have no value only some are set then.
    fn environment(&self) -> Vec<Path> {
        let text = |bytes: &[u8]| text::printable(bytes);
        let client = &self.request.client;
        let envelope_id = text(self.request.message.envelope_id.as_bytes());
        let Sasl { method, username: user, sender } = &client.sasl;
        let recipient = self.recipient;
        let variables = [
            ("SHELL", self.account.map(|a| a.shell.clone()).unwrap_or_default()),
            ("HOME", self.account.map(|a| a.home.clone()).unwrap_or_default()),
            ("USER", text(&recipient.name)),
            ("EXTENSION", text(&recipient.extension)),
            ("DOMAIN", text(&recipient.domain)),
            ("LOGNAME", text(&recipient.name)),
            ("LOCAL", text(&recipient.local)),
            ("ORIGINAL_RECIPIENT", text(self.original)),
            ("RECIPIENT", text(&recipient.address)),
            ("SENDER", text(self.sender)),
            ("CLIENT_ADDRESS", client.address.clone()),
            ("CLIENT_HELO", client.helo.clone()),
            ("CLIENT_HOSTNAME", client.name.clone()),
            ("CLIENT_PROTOCOL", client.protocol.clone()),
            ("SASL_METHOD", method.clone()),
            ("SASL_SENDER", sender.clone()),
            ("SASL_USERNAME", user.clone()),
            ("ENVID", envelope_id),
        ];
        let own = variables.iter().filter(|(name, value)| !value.is_empty() || ALWAYS.contains(name));
        let own = own.map(|(name, value)| variable(name, &filtered(value, &self.settings.command.filter)));
        // export_environment
        environment::of_commands(&self.settings.command.environment).into_iter().chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use address::Delimiters;
    use config::Config;

    #[test]
    fn the_environment_describes_the_message_and_holds_no_shell_characters() {
        let text = b"recipient_delimiter = +\nexport_environment = X=1\n";
        let config = Config::parse(text, std::path::Path::new("/proc/self/none"), &[]).unwrap();
        let settings = Settings::read(&config).unwrap();
        let mut request = Request::new(queue::QueueId::parse(b"Q").unwrap());
        request.message.envelope_id = "E=1".to_owned();
        let recipient = Recipient::parse(b"Cmd+Foo@m.test", &Delimiters::new("+", true), true);
        let subject = Subject {
            settings: &settings,
            request: &request,
            original: b"x;`id`",
            recipient: &recipient,
            sender: b"",
            account: None,
        };
        let command = subject.command(b"cat").unwrap();
        let has = |entry: &str| command.environment.iter().any(|path| path.0 == entry.as_bytes());
        assert!(has("USER=cmd") && has("LOCAL=cmd+foo") && has("EXTENSION=foo") && has("RECIPIENT=Cmd+Foo@m.test"));
        assert!(has("ENVID=E=1") && has("ORIGINAL_RECIPIENT=x__id_") && has("X=1") && has("PATH=/usr/bin:/bin"));
        assert!(!command.environment.iter().any(|path| path.0.starts_with(b"HOME=")) && has("SENDER="));
    }
}
