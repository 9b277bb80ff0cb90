//! The agent that serves qmgr.

use std::rc::Rc;
use std::time::Duration;

use address::Delimiters;
use config::{Reader, param};
use daemon::{Client, Context, StartError, Worker};
use delivery::content::{Form, Heading};
use delivery::deposit::{self, Parcel, Trouble};
use delivery::ending::{Ran, one_line};
use delivery::steward::{Policy, Runner, RunnerError, Steward};
use delivery::{Finding, Job, Session, Timestamp, environment};
use dsn::{Action, Status};
use ipc::carrier::{Command, Deposit, Done, Path, Target, Words};

use crate::SERVICE;
use crate::arguments::{Argument, Facts, MacroError};
use crate::attributes::Attributes;

/// The agent of one service of master.cf.
pub struct Pipe {
    settings: Settings,
    attributes: Attributes,
    /// The command; an error is told at each delivery, and mail waits.
    command: Result<Vec<Argument>, MacroError>,
    runner: Runner,
    /// NAME_time_limit.
    time_limit: Duration,
    /// The name of the service, which is `relay=`.
    name: String,
    /// master.cf, as log lines name it.
    file: String,
    steward: Rc<Steward>,
    agent: Rc<delivery::Settings>,
}

config::settings! {
    /// What main.cf says.
    struct Settings {
        delimiters: Delimiters => |from: &Reader<'_>| from.config.delimiters(),
        original_recipient: bool = param::ENABLE_ORIGINAL_RECIPIENT,
        /// With the values of this process.
        environment: Vec<(String, String)> = param::EXPORT_ENVIRONMENT => environment::exported,
    }
}

/// Bytes of a command's output that a success shows.
/// told: nobody; the command has done its work.
const MAX_WORDS: usize = 100;

impl Worker for Pipe {
    const REFUSES: bool = true;

    fn start(context: &Context) -> Result<Self, StartError> {
        let config = &context.config;
        let filter = param::PIPE_DELIVERY_STATUS_FILTER;
        let agent = delivery::Settings::read(config)?.filtered_by(config, filter)?;
        let attributes = Attributes::parse(&context.words)?;
        let runner =
            Runner::find(config, &attributes.service.user).map_err(|error| StartError::new(refusal(&error)))?;
        let policy =
            Policy::of_one(config, &runner, &context.root_of_commands(&attributes.root)).map_err(StartError::new)?;
        Ok(Pipe {
            settings: Settings::read(config)?,
            command: attributes.service.command.iter().map(|word| Argument::parse(word)).collect(),
            runner,
            time_limit: config.of_service(&context.service_name, param::COMMAND_TIME_LIMIT)?,
            name: context.service_name.clone(),
            file: config.directory().join("master.cf").display().to_string(),
            agent: Rc::new(agent.without(config.withheld(SERVICE.name))),
            // The last thing with the rights that this process was started with.
            steward: Rc::new(Steward::start(SERVICE.name, &policy, config)?),
            attributes,
        })
    }

    fn background(self: &Rc<Self>, context: &Rc<Context>) {
        self.steward.watch(context);
    }

    fn changed_table(&self) -> Option<String> {
        self.agent.filter.changed()
    }

    async fn session(self: Rc<Self>, client: Client) {
        let Some(session) = Session::new(client, Rc::clone(&self.agent)) else { return };
        let deliver = async |job: &mut Job| {
            let finding = self.deliver(job).await;
            job.finish_rest(&finding);
        };
        session.serve(deliver).await;
    }
}

impl Pipe {
    /// What becomes of a request: the same for all of its recipients.
    async fn deliver(&self, job: &Job) -> Finding {
        let request = job.request();
        if let Some(finding) = self.unfit(job) {
            return finding;
        }
        let command = match &self.command {
            Ok(command) => command,
            Err(error) => {
                logging::warning!("file {}: service {}: {error}", self.file, self.name);
                return self.misconfigured();
            }
        };
        let sender = match request.message.sender.as_slice() {
            b"" => &self.attributes.null_sender,
            sender => sender,
        };
        let (flags, delimiters) = (self.attributes.flags, &self.settings.delimiters);
        let program = self.attributes.service.program();
        if job.is_probe() {
            return self.sent(format!("delivers to command: {program}"));
        }
        let arguments = Facts { request, sender, flags, delimiters }.expand(command);
        match self.run(job, sender, arguments).await {
            Ok(Done::Delivered { output, .. }) => self.sent(self.success(&output)),
            Ok(Done::Command { ending, output }) => {
                let ids = (self.runner.uid, self.runner.gid);
                let (relay, directory) = (self.name.as_str(), self.attributes.directory.as_str());
                let starter = "pipe_command: ";
                Ran { program: SERVICE.name, relay, command: &program, starter, directory, ids }
                    .finding(ending, &output)
            }
            Ok(Done::NotWritten(_)) => self.deferred(Status::new(4, 3, 0), "temporary failure"),
            Err(Trouble::Damaged(error)) => {
                job.mark_damaged(&error);
                self.deferred(Status::new(4, 3, 0), "queue file is damaged")
            }
            Err(trouble) => {
                logging::warning!(id: request.message.queue_id, "{trouble}");
                self.deferred(Status::new(4, 3, 0), "temporary failure")
            }
        }
    }

    /// Why a request is not for this service.
    fn unfit(&self, job: &Job) -> Option<Finding> {
        let (request, flags) = (job.request(), self.attributes.flags);
        for (letter, is_set) in [('D', flags.delivered_to), ('O', flags.original)] {
            if is_set && request.recipients.len() > 1 {
                let name = &self.name;
                logging::warning!("pipe flag `{letter}' requires {name}_destination_recipient_limit = 1");
                return Some(self.misconfigured());
            }
        }
        if self.attributes.size_limit > 0 && request.size > self.attributes.size_limit {
            return Some(Finding::bounced(Status::new(5, 2, 3), "message too large", self.name.as_str()));
        }
        let recipient = request.recipients.first().filter(|_| flags.delivered_to)?;
        match job.delivered_to() {
            Ok(passed) if passed.contains(&job.folded(&recipient.address)) => {
                let reason = format!("mail forwarding loop for {}", job.shown(&recipient.address));
                Some(Finding::bounced(Status::new(5, 4, 6), reason, self.name.as_str()))
            }
            Ok(_) => None,
            Err(error) => {
                job.mark_damaged(&error);
                Some(self.deferred(Status::new(4, 3, 0), "queue file is damaged"))
            }
        }
    }

    async fn run(&self, job: &Job, sender: &[u8], arguments: Vec<Vec<u8>>) -> Result<Done, Trouble> {
        let Attributes { flags, line_end, directory, .. } = &self.attributes;
        let recipient = job.request().recipients.first();
        let original = recipient.filter(|_| flags.original && self.settings.original_recipient);
        let delivered_to = recipient.filter(|_| flags.delivered_to);
        let heading = Heading {
            sender,
            from_line: flags.from_line,
            return_path: flags.return_path,
            original: original.map(|recipient| recipient.original.as_slice()),
            delivered_to: delivered_to.map(|recipient| recipient.address.as_slice()),
        };
        let lines = heading.lines(Timestamp::now().seconds).into_iter();
        let command = Command {
            words: Words::Arguments,
            directory: text::lossless::encode(directory),
            environment: environment::of_commands(&self.settings.environment),
        };
        let parcel = Parcel {
            deposit: Deposit {
                target: Target::Command(command),
                heading: lines.flat_map(|line| [line, line_end.clone()]).flatten().collect(),
            },
            arguments: arguments.into_iter().map(Path).collect(),
            form: Form {
                quotes_from: flags.quotes_from,
                doubles_dots: flags.doubles_dots,
                ends_empty: flags.ends_empty,
                line_end: line_end.clone(),
            },
            limit: self.time_limit,
        };
        let carrier = self.steward.own().await?;
        deposit::deliver(&self.steward, carrier, job, parcel).await
    }

    /// The text of a success, with what the command has said.
    fn success(&self, output: &[u8]) -> String {
        let said = one_line(output);
        let said = said.trim_end();
        let end = (0..=MAX_WORDS.min(said.len())).rev().find(|end| said.is_char_boundary(*end)).unwrap_or(0);
        match &said[..end] {
            "" => format!("delivered via {} service", self.name),
            said => format!("delivered via {} service ({said})", self.name),
        }
    }

    fn sent(&self, reason: String) -> Finding {
        let action = if self.attributes.flags.is_final { Action::Delivered } else { Action::Relayed };
        Finding::sent(Status::new(2, 0, 0), reason, self.name.as_str()).with_action(action)
    }

    fn deferred(&self, status: Status, reason: &str) -> Finding {
        Finding::deferred(status, reason, self.name.as_str())
    }

    fn misconfigured(&self) -> Finding {
        self.deferred(Status::new(4, 3, 5), "mail system configuration error")
    }
}

/// Why nothing is run as that user, in the words that this program has for it.
fn refusal(error: &RunnerError) -> String {
    let user = "user= command-line attribute specifies";
    match error {
        RunnerError::UnknownUser(name) => format!("get_service_attr: unknown username: {name}"),
        RunnerError::UnknownGroup(name) => format!("get_service_attr: unknown group: {name}"),
        RunnerError::Root => format!("{user} root privileges"),
        RunnerError::MailOwner(name) => format!("{user} mail system owner {name}"),
        RunnerError::RootGroup => format!("{user} privileged group id 0"),
        RunnerError::OwnerGroup(name, gid) => format!("{user} mail system owner {name} group id {gid}"),
        RunnerError::SubmissionGroup(name, gid) => format!("{user} mail system {name} group id {gid}"),
        RunnerError::Database(_) | RunnerError::Accounts(_) => error.to_string(),
    }
}
