//! Delivery to a command's standard input.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ipc::IpcError;
use ipc::carrier::{Command as Target, Done, Ending};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin, Command};

use super::Incoming;

/// Bytes of a command's output that are kept; the rest is read and forgotten.
const MAX_OUTPUT: usize = 2048;
/// How long output may still come from what a finished command has left behind.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs the command in a process group of its own, which is killed when the time is over or the agent is gone. A
/// command need not read its input: its exit status alone decides.
pub(crate) async fn deliver(target: &Target, message: &mut Incoming<'_>) -> Result<Done, IpcError> {
    let (mut child, output) = match start(target) {
        Ok(started) => started,
        Err(error) => {
            let output = format!("local: fatal: execvp {}: {}\n", program(target), text::system_error(&error));
            return Ok(Done::Command { ending: Ending::NotStarted, output: output.into_bytes() });
        }
    };
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let limit = Duration::from_secs(target.time_limit.max(1));
    let mut collected = Vec::new();
    let ended = tokio::time::timeout(limit, attend(&mut child, output, message, &mut collected)).await;
    if !matches!(ended, Ok(Ok(_)))
        && let Some(group) = group
    {
        // A group that is gone already needs no signal.
        let _ = killpg(group, Signal::SIGKILL);
    }
    let ending = match ended {
        Ok(Ok(ending)) => ending,
        Ok(Err(error)) => return Err(error),
        Err(_) => Ending::TimedOut,
    };
    Ok(match ending {
        Ending::Status(0) => Done::Delivered { output: collected },
        ending => Done::Command { ending, output: collected },
    })
}

/// Feeds the command, listens to it, and waits for its end, all at once.
async fn attend(
    child: &mut Child,
    mut output: pipe::Receiver,
    message: &mut Incoming<'_>,
    collected: &mut Vec<u8>,
) -> Result<Ending, IpcError> {
    let input = child.stdin.take();
    let work = async {
        feed(input, message).await?;
        Ok::<_, IpcError>(child.wait().await?)
    };
    tokio::pin!(work);
    let status = tokio::select! {
        status = &mut work => status?,
        () = collect(&mut output, collected) => work.await?,
    };
    // An error is a command that left a child behind: what it says is not waited for.
    let _ = tokio::time::timeout(LAST_WORDS, collect(&mut output, collected)).await;
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Status(code),
        (None, signal) => Ending::Signal(signal.unwrap_or(0)),
    })
}

/// Passes the message on; when the command stops reading, the rest is taken and dropped.
async fn feed(mut input: Option<ChildStdin>, message: &mut Incoming<'_>) -> Result<(), IpcError> {
    while let Some(bytes) = message.next().await? {
        if let Some(pipe) = &mut input
            && pipe.write_all(&bytes).await.is_err()
        {
            input = None;
        }
    }
    Ok(())
}

async fn collect(output: &mut pipe::Receiver, collected: &mut Vec<u8>) {
    let mut buffer = [0; 1024];
    while let Ok(count) = output.read(&mut buffer).await {
        if count == 0 {
            return;
        }
        let room = MAX_OUTPUT.saturating_sub(collected.len()).min(count);
        collected.extend_from_slice(&buffer[..room]);
    }
}

fn start(target: &Target) -> io::Result<(Child, pipe::Receiver)> {
    let (receiver, sender) = io::pipe()?;
    let mut command = match arguments(target).split_first() {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.arg0(Path::new(program).file_name().unwrap_or(program)).args(arguments);
            command
        }
        None => return Err(io::ErrorKind::NotFound.into()),
    };
    command.env_clear();
    for entry in &target.environment {
        if let Some(at) = entry.0.iter().position(|&b| b == b'=') {
            command.env(OsStr::from_bytes(&entry.0[..at]), OsStr::from_bytes(&entry.0[at + 1..]));
        }
    }
    if !target.directory.is_empty() {
        command.current_dir(OsStr::from_bytes(&target.directory));
    }
    command.stdin(Stdio::piped()).stdout(sender.try_clone()?).stderr(sender).process_group(0).kill_on_drop(true);
    let child = command.spawn()?;
    drop(command);
    Ok((child, pipe::Receiver::from_owned_fd(receiver.into())?))
}

/// Program and arguments: the line itself where it is plain, with a shell in front where it is not.
fn arguments(target: &Target) -> Vec<OsString> {
    let line = OsStr::from_bytes(&target.line).to_owned();
    if !target.shell.is_empty() {
        // local_command_shell
        return target.shell.iter().map(OsString::from).chain([line]).collect();
    }
    if needs_shell(&target.line) {
        return ["/bin/sh", "-c"].iter().map(OsString::from).chain([line]).collect();
    }
    let words = target.line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.map(|word| OsStr::from_bytes(word).to_owned()).collect()
}

/// Characters and first words that only a shell understands.
fn needs_shell(line: &[u8]) -> bool {
    const SPECIAL: &[u8] = b"!\"#$%&'()*;<=>?[\\]^`{|}~\n";
    const BUILT_IN: [&[u8]; 22] = [
        b".",
        b":",
        b"alias",
        b"bg",
        b"break",
        b"case",
        b"cd",
        b"continue",
        b"eval",
        b"exec",
        b"exit",
        b"export",
        b"for",
        b"if",
        b"read",
        b"return",
        b"set",
        b"shift",
        b"trap",
        b"umask",
        b"until",
        b"while",
    ];
    let first = line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()).unwrap_or_default();
    first.is_empty() || line.iter().any(|b| SPECIAL.contains(b)) || BUILT_IN.contains(&first)
}

fn program(target: &Target) -> String {
    arguments(target).first().map(|name| text::printable(name.as_bytes())).unwrap_or_default()
}
