//! The command line: which parts of which files are shown.

use std::ffi::OsString;

use text::Options;

use crate::view::View;

const USAGE: &str = "usage: postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] \
    [-e (envelope records)] [-h (header text)] [-q (access queue)] [-v] [file(s)...]";

/// What the command line asks for.
pub(crate) struct Request {
    /// What is shown, and how.
    pub(crate) view: View,
    /// The operands are queue identifiers.
    pub(crate) in_queue: bool,
    /// Of main.cf.
    pub(crate) directory: Option<Vec<u8>>,
    /// The operands; none stands for standard input.
    pub(crate) files: Vec<OsString>,
}

impl Request {
    /// Reads the command line.
    ///
    /// # Errors
    /// The sentence for who called: the usage, or what cannot be understood.
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut options = Options::new("bc:defhoqrs:v", arguments);
        let mut view = View::default();
        let (mut in_queue, mut directory) = (false, None);
        while let Some((letter, value)) = options.next_or_usage("postcat", USAGE)? {
            match letter {
                b'b' => view.body = true,
                b'c' => directory = Some(value),
                b'd' => view.numbers = true,
                b'e' => view.envelope = true,
                b'f' => view.names = true,
                b'h' => view.header = true,
                b'o' => view.offsets = true,
                b'q' => in_queue = true,
                b'r' => view.raw = true,
                b's' => view.start = Some(offset(&value)?),
                _ => {}
            }
        }
        if !(view.body || view.envelope || view.header) {
            view = View { body: true, envelope: true, header: true, ..view };
        }
        Ok(Self { view, in_queue, directory, files: options.operands() })
    }
}

fn offset(text: &[u8]) -> Result<u64, String> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("bad offset: {}", text::printable(text)))
}
