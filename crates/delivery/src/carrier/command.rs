//! Commands: delivery to the standard input of one, and one that serves a client.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use ipc::IpcError;
use ipc::carrier::{self, Command as Target, Done, Ending, Reply, Words};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getppid, setpgid};
use sys::process::GroupHolder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin, Command};

use super::{Incoming, Piece, errno};

/// Bytes of a command's output that are kept; the rest is read and forgotten.
/// told: nobody; what a command prints is shown, and never more than this.
const MAX_OUTPUT: usize = 4096;
/// How long output may still come from what a finished command has left behind.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A command, with the arguments that came before it.
pub(crate) struct Task<'a> {
    /// What is run, and in what surroundings.
    pub(crate) target: &'a Target,
    /// Its words, unless it is a line.
    pub(crate) arguments: &'a [carrier::Path],
}

/// Runs the command in a process group of its own, which is killed when the agent says that its time is over, or is
/// gone. A command need not read its input: its exit status alone decides.
///
/// The time is the agent's matter: this process belongs to the user whose command it runs, who can stop it.
pub(crate) async fn deliver(task: &Task<'_>, message: &mut Incoming<'_>) -> Result<Done, IpcError> {
    let started = io::pipe().map_err(Unstarted::of_pipe).and_then(|(receiver, sender)| {
        let output = pipe::Receiver::from_owned_fd(receiver.into()).map_err(Unstarted::of_pipe)?;
        let streams = Streams { input: None, output: sender.into() };
        task.start(&streams).map(|(child, group)| (child, group, output))
    });
    let (mut child, group, output) = match started {
        Ok(started) => started,
        Err(unstarted) => return Ok(unstarted.into_done()),
    };
    let mut collected = Vec::new();
    let ended = attend((&mut child, group), output, message, &mut collected).await;
    Ok(match ended? {
        Ending::Status(0) => Done::Delivered { output: collected, at: None },
        ending => Done::Command { ending, output: collected },
    })
}

/// Runs the command with the client as its standard input, output and error. It ends as above.
pub(crate) async fn serve(task: &Task<'_>, client: OwnedFd, agent: &mut Incoming<'_>) -> Result<Done, IpcError> {
    let started = task.start(&Streams { input: client.try_clone().ok(), output: client });
    let (mut child, group) = match started {
        Ok(started) => started,
        Err(unstarted) => return Ok(unstarted.into_done()),
    };
    agent.tell(&Reply::Running(child.id().unwrap_or(0))).await?;
    let ending = tokio::select! {
        status = child.wait() => match ending(status?) {
            Ending::Status(0) => return Ok(Done::Delivered { output: Vec::new(), at: None }),
            ending => ending,
        },
        stopped = feed(None, agent) => {
            // A group that is gone already needs no signal.
            let _ = killpg(group, Signal::SIGKILL);
            stopped?;
            Ending::TimedOut
        }
    };
    Ok(Done::Command { ending, output: Vec::new() })
}

/// Feeds the command, listens to it, and waits for its end, all at once.
async fn attend(
    (child, group): (&mut Child, Pid),
    mut output: pipe::Receiver,
    message: &mut Incoming<'_>,
    collected: &mut Vec<u8>,
) -> Result<Ending, IpcError> {
    let input = child.stdin.take();
    let status = {
        let stopped = feed(input, message);
        let heard = collect(&mut output, collected);
        tokio::pin!(stopped, heard);
        let mut is_open = true;
        loop {
            tokio::select! {
                stopped = &mut stopped => {
                    // A group that is gone already needs no signal.
                    let _ = killpg(group, Signal::SIGKILL);
                    break stopped.map(|()| None)?;
                }
                status = child.wait() => break Some(status?),
                () = &mut heard, if is_open => is_open = false,
            }
        }
    };
    // An error is a command that left a child behind: what it says is not waited for.
    let _ = tokio::time::timeout(LAST_WORDS, collect(&mut output, collected)).await;
    if status.is_some() {
        message.drain().await?;
    }
    Ok(status.map_or(Ending::TimedOut, ending))
}

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Status(code),
        (None, signal) => Ending::Signal(signal.unwrap_or(0)),
    }
}

/// Passes the message on, and ends when the agent wants the command to end; when the command stops reading, the rest is
/// taken and dropped.
async fn feed(mut input: Option<ChildStdin>, message: &mut Incoming<'_>) -> Result<(), IpcError> {
    loop {
        match message.piece().await? {
            Piece::Text(bytes) => {
                if let Some(pipe) = &mut input
                    && pipe.write_all(&bytes).await.is_err()
                {
                    input = None;
                }
            }
            Piece::End => input = None,
            Piece::Stop => return Ok(()),
        }
    }
}

async fn collect(output: &mut pipe::Receiver, collected: &mut Vec<u8>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count) = output.read(&mut buffer).await {
        if count == 0 {
            return;
        }
        let room = MAX_OUTPUT.saturating_sub(collected.len()).min(count);
        // told: see MAX_OUTPUT.
        collected.extend_from_slice(&buffer[..room]);
    }
}

/// What a command has for standard input, output and error.
struct Streams {
    /// `None`: a pipe.
    input: Option<OwnedFd>,
    output: OwnedFd,
}

/// Why a command does not run.
enum Unstarted {
    /// The text, as the command would have said it.
    Program(String),
    /// Its directory: errno.
    Directory(i32),
}

impl Unstarted {
    fn of_pipe(error: io::Error) -> Self {
        Unstarted::Program(format!("pipe: {}", text::system_error(&error)))
    }

    fn into_done(self) -> Done {
        match self {
            Unstarted::Program(output) => {
                Done::Command { ending: Ending::NotStarted, output: ipc::cut(output).into_bytes() }
            }
            Unstarted::Directory(code) => Done::Command { ending: Ending::NoDirectory(code), output: Vec::new() },
        }
    }
}

impl Task<'_> {
    /// Starts the command; a program that is not found by its name alone may still mean something to a shell, where its
    /// owner wrote a line for one.
    fn start(&self, streams: &Streams) -> Result<(Child, Pid), Unstarted> {
        if !self.target.directory.is_empty() {
            // This process does nothing else.
            let entered = std::env::set_current_dir(OsStr::from_bytes(&self.target.directory));
            entered.map_err(|error| Unstarted::Directory(errno(&error)))?;
        }
        let program = self.program();
        let group = Group::take().map_err(|error| program.unstarted(&error))?;
        match (self.spawn(&program, &group, streams), &self.target.words) {
            (Err(error), Words::Line { line, .. })
                if error.kind() == io::ErrorKind::NotFound && !program.has_slash() =>
            {
                let program = Program::by_shell(line);
                self.spawn(&program, &group, streams).map_err(|error| program.unstarted(&error))
            }
            (started, _) => started.map_err(|error| program.unstarted(&error)),
        }
    }

    fn spawn(&self, program: &Program, group: &Group, streams: &Streams) -> io::Result<(Child, Pid)> {
        let (path, arguments) = program.words.split_first().ok_or(nix::errno::Errno::ENOENT)?;
        let mut command = Command::new(path);
        if program.is_shell {
            command.arg0("sh");
        }
        command.args(arguments).env_clear();
        for entry in &self.target.environment {
            if let Some(at) = entry.0.iter().position(|&b| b == b'=') {
                command.env(OsStr::from_bytes(&entry.0[..at]), OsStr::from_bytes(&entry.0[at + 1..]));
            }
        }
        match &streams.input {
            Some(input) => command.stdin(input.as_fd().try_clone_to_owned()?),
            None => command.stdin(Stdio::piped()),
        };
        let output = || streams.output.as_fd().try_clone_to_owned();
        command.stdout(output()?).stderr(output()?).kill_on_drop(true);
        let child = command.process_group(group.number.as_raw()).spawn()?;
        let own = child.id().and_then(|id| i32::try_from(id).ok()).ok_or(nix::errno::Errno::ESRCH)?;
        Ok((child, if group.number.as_raw() == 0 { Pid::from_raw(own) } else { group.number }))
    }

    /// A line as it is where it is plain, with a shell in front where it is not.
    fn program(&self) -> Program {
        let Words::Line { line, shell } = &self.target.words else {
            return Program::of(self.arguments.iter().map(|word| OsStr::from_bytes(&word.0)));
        };
        if !shell.is_empty() {
            // local_command_shell
            return Program::of(shell.iter().map(OsStr::new).chain([OsStr::from_bytes(line)]));
        }
        if needs_shell(line) {
            return Program::by_shell(line);
        }
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        Program::of(words.map(OsStr::from_bytes))
    }
}

/// What is executed.
struct Program {
    /// Its path or name, and its arguments.
    words: Vec<OsString>,
    /// The shell that nobody asked for: it goes by the name of `sh`, and all others by what the line calls them.
    is_shell: bool,
}

impl Program {
    fn of<'a>(words: impl Iterator<Item = &'a OsStr>) -> Self {
        Program { words: words.map(OsStr::to_owned).collect(), is_shell: false }
    }

    fn by_shell(line: &[u8]) -> Self {
        let words = [OsStr::new("/bin/sh"), OsStr::new("-c"), OsStr::from_bytes(line)];
        Program { is_shell: true, ..Program::of(words.into_iter()) }
    }

    fn unstarted(&self, error: &io::Error) -> Unstarted {
        let name = self.words.first().map(|name| text::printable(name.as_bytes())).unwrap_or_default();
        Unstarted::Program(format!("execvp {name}: {}", text::system_error(error)))
    }

    fn has_slash(&self) -> bool {
        self.words.first().is_some_and(|name| name.as_bytes().contains(&b'/'))
    }
}

/// The process group of the command.
struct Group {
    /// 0: a new one.
    number: Pid,
    /// Until the command is in it.
    _holder: Option<GroupHolder>,
}

impl Group {
    /// Leaves the process group that this process was started with, whose number the steward knows, to the command: one
    /// that signals its group does not end this process. A process that leads no group has none to give.
    fn take() -> io::Result<Self> {
        if getpgrp() != getpid() {
            return Ok(Group { number: Pid::from_raw(0), _holder: None });
        }
        let holder = sys::process::hold_group()?;
        setpgid(Pid::from_raw(0), getpgid(Some(getppid()))?)?;
        Ok(Group { number: getpid(), _holder: Some(holder) })
    }
}

/// Characters that only a shell understands. A line without any word does nothing, which a shell can.
fn needs_shell(line: &[u8]) -> bool {
    const PLAIN: &[u8] = b"!@%-_=+:,./ \t\r\n";
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || PLAIN.contains(b);
    line.iter().all(u8::is_ascii_whitespace) || !line.iter().all(is_plain)
}
