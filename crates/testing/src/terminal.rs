//! A command whose standard error is a terminal.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use nix::pty::openpty;

/// Runs it to its end: its exit status, and what it wrote there.
pub fn at_terminal(command: &mut Command) -> (Option<i32>, String) {
    let pair = openpty(None, None).unwrap_or_else(|e| panic!("openpty: {e}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(pair.slave);
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    // Our own copies of the terminal's end, or it would never be gone.
    command.stderr(Stdio::null());
    let mut text = Vec::new();
    let mut terminal = File::from(pair.master);
    let mut bytes = [0; 4096];
    // The end of the other side is an error (EIO) here.
    while let Ok(count @ 1..) = terminal.read(&mut bytes) {
        text.extend_from_slice(&bytes[..count]);
    }
    let status = child.wait().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    (status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_the_terminal_is_seen() {
        let (status, text) = at_terminal(Command::new("/bin/sh").args(["-c", "test -t 2 && echo here >&2; exit 3"]));
        assert_eq!((status, text.trim_end()), (Some(3), "here"));
    }
}
