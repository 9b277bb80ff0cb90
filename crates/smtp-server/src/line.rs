//! A command line as it was read, and what of it others may see: what stands behind AUTH is a secret.

use smtp_protocol::{Command, Line, Verb};
use zeroize::Zeroize;

/// A command line, owned: the session changes while it looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Without its end. For commands, see [`CommandLine::text`].
    pub bytes: Vec<u8>,
    /// It ended in LF alone.
    pub bare_lf: bool,
    /// How long it was; more than the bytes when it was cut.
    pub length: usize,
}

impl CommandLine {
    /// The line as a command: what stands before its first NUL. No name, address or parameter has one (RFC 5321 4.1.2),
    /// and what a peer that sees the line end there would do is done here.
    pub fn text(&self) -> &[u8] {
        let end = self.bytes.iter().position(|byte| *byte == 0).unwrap_or(self.bytes.len());
        &self.bytes[..end]
    }

    /// Bytes of a line whose end has not come, and that is too long already: what is kept of it is no longer than
    /// `limit` (line_length_limit).
    /// told: the client and the log, by the length.
    pub fn extend(kept: &mut Option<CommandLine>, waiting: &[u8], limit: usize) {
        match kept {
            Some(line) => line.length += waiting.len(),
            None => {
                // told: the client and the log, by the length.
                let bytes = waiting[..waiting.len().min(limit)].to_vec();
                *kept = Some(CommandLine { bytes, bare_lf: false, length: waiting.len() });
            }
        }
    }

    /// The line that ends here; `kept` is what [`extend`](Self::extend) has of it.
    pub fn finished(kept: Option<CommandLine>, end: Line<'_>, limit: usize) -> CommandLine {
        match kept {
            Some(kept) => CommandLine { length: kept.length + end.bytes.len(), bare_lf: end.bare_lf, ..kept },
            None => CommandLine {
                // told: the client and the log, by the length.
                bytes: end.bytes[..end.bytes.len().min(limit)].to_vec(),
                bare_lf: end.bare_lf,
                length: end.bytes.len(),
            },
        }
    }

    /// Wipes a line that had a secret in it.
    pub fn wipe(&mut self) {
        self.bytes.zeroize();
    }
}

/// A command as a log or a transcript may have it.
pub fn shown(line: &[u8]) -> String {
    let text = line.split(|byte| *byte == 0).next().unwrap_or_default();
    match Command::parse(text).verb {
        Verb::Auth => format!("AUTH {}", withheld(line.len())),
        _ => text::printable(line),
    }
}

/// What stands for a secret.
pub fn withheld(length: usize) -> String {
    format!("[{length} bytes that may be secret]")
}

/// Of what a client has sent in one piece, what stands before the first login. `within`: that one has begun.
pub(crate) fn before_secrets(sent: &[u8], within: bool) -> &[u8] {
    if within {
        return b"";
    }
    let mut end = 0;
    for line in sent.split_inclusive(|byte| *byte == b'\n') {
        if Command::parse(line).verb == Verb::Auth {
            break;
        }
        end += line.len();
    }
    &sent[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_auth_is_not_shown() {
        for line in [&b"auth PLAIN c2VjcmV0"[..], b" AUTH\tLOGIN c2VjcmV0", b"AUTH\0c2VjcmV0"] {
            assert_eq!(shown(line), format!("AUTH [{} bytes that may be secret]", line.len()));
        }
        assert_eq!(shown(b"NOOP auth"), "NOOP auth");
        assert_eq!(before_secrets(b"NOOP\r\n AUTH PLAIN c2VjcmV0\r\nNOOP\r\n", false), b"NOOP\r\n");
        assert_eq!(before_secrets(b"c2VjcmV0\r\n", true), b"");
    }
}
