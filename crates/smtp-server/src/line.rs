//! A command line as it was read.

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
}
