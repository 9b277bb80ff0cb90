//! The clients of the socket: a command for each.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use config::param;
use daemon::{Client, Context, StartError, Stream, Worker};
use delivery::attributes::Attributes;
use delivery::deposit;
use delivery::environment;
use delivery::steward::{Policy, Runner, Steward};
use ipc::carrier::{Command, Done, Ending, Path, Words};
use logging::Severity;

use crate::SERVICE;

/// The server of one service of master.cf.
pub struct Spawn {
    attributes: Attributes,
    /// NAME_time_limit.
    time_limit: Duration,
    /// With the values of this process.
    environment: Vec<(String, String)>,
    steward: Rc<Steward>,
}

impl Worker for Spawn {
    fn start(context: &Context) -> Result<Self, StartError> {
        let config = &context.config;
        let attributes = Attributes::parse(&context.words, "attribute", |_, _| Ok(false))?;
        let runner = Runner::find(config, &attributes.user)?;
        let policy = Policy::of_one(config, &runner, &context.root_of_commands("")).map_err(StartError::new)?;
        Ok(Spawn {
            attributes,
            time_limit: config.of_service(&context.service_name, param::COMMAND_TIME_LIMIT)?,
            environment: environment::exported(config.get(param::EXPORT_ENVIRONMENT)?),
            // The last thing with the rights that this process was started with.
            steward: Rc::new(Steward::start(SERVICE.name, &policy, config)?),
        })
    }

    fn background(self: &Rc<Self>, context: &Rc<Context>) {
        self.steward.watch(context);
    }

    async fn session(self: Rc<Self>, client: Client) {
        let socket = match socket(client.stream) {
            Ok(socket) => socket,
            Err(error) => return logging::warning!("client: {}", text::system_error(&error)),
        };
        let name = self.attributes.program();
        let command = Command {
            words: Words::Arguments,
            directory: Vec::new(),
            environment: environment::of_commands(&self.environment),
        };
        let carrier = match self.steward.own().await {
            Ok(carrier) => carrier,
            Err(problem) => return logging::warning!("{name}: {}", deposit::Trouble::from(problem)),
        };
        let task = (command, self.attributes.command.iter().cloned().map(Path).collect());
        match deposit::serve(&self.steward, carrier, socket.as_fd(), task, self.time_limit).await {
            Ok(done) => report(&name, &done),
            Err(trouble) => logging::warning!("{name}: {trouble}"),
        }
    }
}

/// The socket as a command expects one: reading and writing wait.
fn socket(stream: Stream) -> std::io::Result<OwnedFd> {
    let socket: OwnedFd = match stream {
        Stream::Unix(stream) => stream.into_std()?.into(),
        Stream::Tcp(stream) => stream.into_std()?.into(),
    };
    sys::descriptor::set_nonblocking(socket.as_fd(), false)?;
    Ok(socket)
}

/// What a command's end is worth to the operator.
fn report(name: &str, done: &Done) {
    match done {
        Done::Command { ending: Ending::Status(status), .. } => {
            logging::warning!("command {name} exit status {status}");
        }
        Done::Command { ending: Ending::Signal(signal), .. } => {
            logging::warning!("command {name} killed by signal {signal}");
        }
        Done::Command { ending: Ending::TimedOut, .. } => logging::warning!("command {name} killed by signal 9"),
        Done::Command { ending: Ending::NotStarted | Ending::NoDirectory(_), output } => {
            // Postfix's spelling: there are programs that look for it.
            logging::emit_text(Severity::Fatal, format_args!("spawn_comand: {}", text::printable(output)));
            logging::warning!("command {name} exit status 1");
        }
        Done::Delivered { .. } | Done::NotWritten(_) => {}
    }
}
