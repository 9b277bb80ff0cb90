//! Delivery to a command's standard input.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use ipc::IpcError;
use ipc::carrier::{Command as Target, Done, Ending};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getppid, setpgid};
use sys::process::GroupHolder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin, Command};

use super::{Incoming, Piece};

/// Bytes of a command's output that are kept; the rest is read and forgotten, which the log line shows by its length.
/// told: nobody; what a command prints is shown, and never more than this.
const MAX_OUTPUT: usize = 2048;
/// How long output may still come from what a finished command has left behind.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs the command in a process group of its own, which is killed when the agent says that its time is over, or is
/// gone. A command need not read its input: its exit status alone decides.
///
/// The time is the agent's matter: this process belongs to the user whose command it runs, who can stop it.
pub(crate) async fn deliver(target: &Target, message: &mut Incoming<'_>) -> Result<Done, IpcError> {
    let (mut child, group, output) = match start(target) {
        Ok(started) => started,
        Err(error) => {
            let output = format!("local: fatal: execvp {}: {}\n", program(target), text::system_error(&error));
            return Ok(Done::Command { ending: Ending::NotStarted, output: output.into_bytes() });
        }
    };
    let mut collected = Vec::new();
    let ended = attend((&mut child, group), output, message, &mut collected).await;
    Ok(match ended? {
        Ending::Status(0) => Done::Delivered { output: collected },
        ending => Done::Command { ending, output: collected },
    })
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
    let mut buffer = [0; 1024];
    while let Ok(count) = output.read(&mut buffer).await {
        if count == 0 {
            return;
        }
        let room = MAX_OUTPUT.saturating_sub(collected.len()).min(count);
        // told: see MAX_OUTPUT.
        collected.extend_from_slice(&buffer[..room]);
    }
}

/// Starts the command; a program that is not found by its name alone may still mean something to a shell.
fn start(target: &Target) -> io::Result<(Child, Pid, pipe::Receiver)> {
    let (words, group) = (arguments(target), Group::take()?);
    match spawn(target, &words, &group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !has_slash(&words) => {
            spawn(target, &by_shell(target), &group)
        }
        other => other,
    }
}

fn has_slash(words: &[OsString]) -> bool {
    words.first().is_some_and(|program| program.as_bytes().contains(&b'/'))
}

fn spawn(target: &Target, words: &[OsString], group: &Group) -> io::Result<(Child, Pid, pipe::Receiver)> {
    let (receiver, sender) = io::pipe()?;
    let (program, arguments) = words.split_first().ok_or(nix::errno::Errno::ENOENT)?;
    let mut command = Command::new(program);
    command.arg0(Path::new(program).file_name().unwrap_or(program)).args(arguments);
    command.env_clear();
    for entry in &target.environment {
        if let Some(at) = entry.0.iter().position(|&b| b == b'=') {
            command.env(OsStr::from_bytes(&entry.0[..at]), OsStr::from_bytes(&entry.0[at + 1..]));
        }
    }
    if !target.directory.is_empty() {
        command.current_dir(OsStr::from_bytes(&target.directory));
    }
    command.stdin(Stdio::piped()).stdout(sender.try_clone()?).stderr(sender).kill_on_drop(true);
    let child = command.process_group(group.number.as_raw()).spawn()?;
    drop(command);
    let own = child.id().and_then(|id| i32::try_from(id).ok()).ok_or(nix::errno::Errno::ESRCH)?;
    let number = if group.number.as_raw() == 0 { Pid::from_raw(own) } else { group.number };
    Ok((child, number, pipe::Receiver::from_owned_fd(receiver.into())?))
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

/// Program and arguments: the line itself where it is plain, with a shell in front where it is not.
fn arguments(target: &Target) -> Vec<OsString> {
    let line = OsStr::from_bytes(&target.line).to_owned();
    if !target.shell.is_empty() {
        // local_command_shell
        return target.shell.iter().map(OsString::from).chain([line]).collect();
    }
    if needs_shell(&target.line) {
        return by_shell(target);
    }
    let words = target.line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.map(|word| OsStr::from_bytes(word).to_owned()).collect()
}

fn by_shell(target: &Target) -> Vec<OsString> {
    let line = OsStr::from_bytes(&target.line).to_owned();
    ["/bin/sh", "-c"].iter().map(OsString::from).chain([line]).collect()
}

/// Characters that only a shell understands. A line without any word does nothing, which a shell can.
fn needs_shell(line: &[u8]) -> bool {
    const PLAIN: &[u8] = b"!@%-_=+:,./ \t\r\n";
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || PLAIN.contains(b);
    line.iter().all(u8::is_ascii_whitespace) || !line.iter().all(is_plain)
}

fn program(target: &Target) -> String {
    arguments(target).first().map(|name| text::printable(name.as_bytes())).unwrap_or_default()
}
