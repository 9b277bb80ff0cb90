//! The command line: letters of four decades, of which most mean nothing here any more.
//!
//! No I/O. What the caller gets wrong is a sentence; what is merely ignored is a warning.

use std::ffi::OsString;

use dsn::Notify;
use queue::{SendOptions, Trace};
use text::Options;

/// Letters, as getopt takes them. `q` is special: it takes what is attached to it and nothing else.
const LETTERS: &str = "A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:qtvx";

/// What the command is to do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Read a message and hand it in.
    #[default]
    Submit,
    /// Start the mail system.
    Daemon,
    /// List the queue.
    ListQueue,
    /// Rebuild the alias database.
    NewAliases,
    /// Speak SMTP on standard input and output.
    StandAlone,
    /// Deliver what is in the queue.
    Flush,
    /// Deliver one message.
    FlushMessage(Vec<u8>),
    /// Deliver what is queued for a site.
    FlushSite(Vec<u8>),
    /// Nothing: a request that has no meaning here.
    Nothing,
}

impl Mode {
    /// What a mode that sends to nobody is called, empty where operands mean nothing, and whether `-t` is let pass.
    fn without_recipients(&self) -> Option<(&'static str, bool)> {
        Some(match self {
            Self::Submit => return None,
            Self::Daemon => ("daemon mode", false),
            Self::ListQueue => ("display queue mode", false),
            Self::NewAliases => ("alias initialization mode", false),
            Self::StandAlone => ("stand-alone mode", false),
            Self::Flush => ("flush queue mode", false),
            Self::FlushMessage(_) => ("flush queue_id", true),
            Self::FlushSite(_) => ("flush site", true),
            Self::Nothing => ("", true),
        })
    }
}

/// A command line that was understood.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request {
    /// What to do.
    pub mode: Mode,
    /// `-C`.
    pub directory: Option<Vec<u8>>,
    /// `-F`.
    pub full_name: Option<Vec<u8>>,
    /// `-f`, `-r`.
    pub sender: Option<Vec<u8>>,
    /// `-i`: a single dot is text.
    pub keep_dots: bool,
    /// `-t`: recipients are in the header.
    pub from_header: bool,
    /// `-B`.
    pub encoding: Option<&'static str>,
    /// `-G`: mail that is passed on, not written here.
    pub gateway: bool,
    /// `-N`.
    pub notify: Option<Notify>,
    /// `-R`: 1 FULL, 2 HDRS.
    pub ret: Option<u32>,
    /// `-V`.
    pub envelope_id: Option<Vec<u8>>,
    /// `-XV`: delimiters; empty for the default ones.
    pub verp: Option<Vec<u8>>,
    /// Which report is asked for.
    pub trace: Trace,
    /// `-O SMTPUTF8=yes`, `-O REQUIRETLS=yes`.
    pub wishes: SendOptions,
    /// What stood behind the last `-O` that is about SMTPUTF8.
    pub utf8_wish: Option<String>,
    /// `-oA`.
    pub alias_database: Option<Vec<u8>>,
    /// Recipients.
    pub operands: Vec<OsString>,
    /// Sentences about what was ignored.
    pub warnings: Vec<String>,
}

impl Request {
    /// Reads a command line. `name` is how the program was called.
    ///
    /// # Errors
    /// A sentence about what cannot be understood; with getopt's own sentence first, if it is one.
    pub fn parse(name: &str, arguments: impl Iterator<Item = OsString>) -> Result<Self, Mistake> {
        let mut request = Self::default();
        match name {
            "mailq" => request.mode = Mode::ListQueue,
            "newaliases" => request.mode = Mode::NewAliases,
            "smtpd" => request.mode = Mode::StandAlone,
            _ => {}
        }
        let mut options = Options::new(LETTERS, arguments);
        let mut verbose = 0;
        while let Some((letter, value)) = options.next_option().map_err(Mistake::from)? {
            match letter {
                b'q' => request.flush(&options.attached())?,
                b'v' => verbose += 1,
                b'b' => request.mode_letter(&value)?,
                b'o' => request.old_option(&value)?,
                _ => request.letter(letter, value)?,
            }
        }
        if verbose == 1 && request.trace == Trace::default() && request.mode == Mode::Submit {
            request.trace = Trace::RECORD;
        }
        request.operands = options.operands();
        request.check(verbose)
    }

    /// Options that make no sense together, and recipients that nobody would send to.
    fn check(self, verbose: u32) -> Result<Self, Mistake> {
        let verify = self.trace == Trace::USER_VERIFY;
        let pairs = [(self.from_header, "-t"), (self.notify.is_some(), "-N"), (verbose > 0, "-v")];
        if let Some((_, option)) = pairs.iter().find(|(given, _)| verify && *given) {
            return Err(format!("{option} option cannot be used with -bv").into());
        }
        let Some((name, reads_header)) = self.mode.without_recipients() else { return Ok(self) };
        if self.from_header && !reads_header {
            return Err("-t can be used only in delivery mode".into());
        }
        match self.operands.is_empty() || name.is_empty() {
            true => Ok(self),
            false => Err(format!("{name} requires no recipient").into()),
        }
    }

    fn letter(&mut self, letter: u8, value: Vec<u8>) -> Result<(), Mistake> {
        match letter {
            b'B' => {
                self.encoding = match value.as_slice() {
                    b"8BITMIME" => Some("8bit"),
                    b"7BIT" => Some("7bit"),
                    _ => return Err("-B option needs 8BITMIME or 7BIT".into()),
                }
            }
            b'C' => self.directory = Some(value),
            b'F' => self.full_name = Some(value),
            b'G' => self.gateway = true,
            b'I' => self.mode = Mode::NewAliases,
            b'N' => self.notify(&value),
            b'O' => self.wish(&value),
            b'R' => match value.to_ascii_lowercase().as_slice() {
                b"full" => self.ret = Some(1),
                b"hdrs" => self.ret = Some(2),
                _ => self.warnings.push("bad -R option value -- ignored".into()),
            },
            b'V' if is_printable(&value) => self.envelope_id = Some(value),
            b'V' => self.warnings.push("bad syntax in -V option value -- ignored".into()),
            b'X' => match value.split_first() {
                Some((b'V', delimiters)) => self.verp = Some(delimiters.to_vec()),
                first => return Err(format!("unsupported: -X{}", shown(first.map(|(first, _)| *first))).into()),
            },
            b'f' | b'r' => self.sender = Some(value),
            b'i' => self.keep_dots = true,
            b'n' => return Err("-n option not supported".into()),
            b't' => self.from_header = true,
            // A, L, U, c, e, h, m, p, x: of other mail systems; main.cf has what they were for.
            _ => {}
        }
        Ok(())
    }

    /// What the message needs of those who carry it; other options of this letter are of other mail systems.
    fn wish(&mut self, value: &[u8]) {
        let (name, wanted) = match value.iter().position(|byte| *byte == b'=') {
            Some(at) => (&value[..at], Some(value[at + 1..].to_ascii_lowercase())),
            None => (value, None),
        };
        let wish = match name.to_ascii_uppercase().as_slice() {
            b"SMTPUTF8" => SendOptions::SMTPUTF8_REQUESTED,
            b"REQUIRETLS" => SendOptions::REQUIRETLS,
            _ => return,
        };
        if wish == SendOptions::SMTPUTF8_REQUESTED {
            self.utf8_wish = Some(text::printable(value));
        }
        match wanted.as_deref() {
            Some(b"yes") => self.wishes = self.wishes.with(wish),
            Some(b"no") => self.wishes = SendOptions::of_bits(self.wishes.bits() & !wish.bits()),
            _ => self.warnings.push(format!("bad -O option: '{}' -- ignored", text::printable(value))),
        }
    }

    fn mode_letter(&mut self, value: &[u8]) -> Result<(), Mistake> {
        self.mode = match value.first() {
            Some(b'd' | b'l') => Mode::Daemon,
            Some(b'h' | b'H') => Mode::Nothing,
            Some(b'i') => Mode::NewAliases,
            Some(b'm') => Mode::Submit,
            Some(b'p') => Mode::ListQueue,
            Some(b's') => Mode::StandAlone,
            Some(b'v') => {
                self.trace = Trace::USER_VERIFY;
                Mode::Submit
            }
            first => return Err(format!("unsupported: -b{}", shown(first.copied())).into()),
        };
        Ok(())
    }

    fn old_option(&mut self, value: &[u8]) -> Result<(), Mistake> {
        match value.split_first() {
            Some((b'A', [])) => return Err("-oA requires pathname".into()),
            Some((b'A', path)) => self.alias_database = Some(path.to_vec()),
            Some((b'i', _)) => self.keep_dots = true,
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self, attached: &[u8]) -> Result<(), Mistake> {
        self.mode = match attached.split_first() {
            None => Mode::Flush,
            // A time between queue runs: queue_run_delay.
            Some((b'0'..=b'9', _)) => Mode::Nothing,
            Some((b'I', [])) => return Err("specify: -qIqueueid".into()),
            Some((b'R', [])) => return Err("specify: -qRsitename".into()),
            Some((b'I', id)) => Mode::FlushMessage(id.to_vec()),
            Some((b'R', site)) => Mode::FlushSite(site.to_vec()),
            Some((b'S', _)) => return Err("-qS is not implemented".into()),
            Some((first, _)) => return Err(format!("-q{} is not implemented", shown(Some(*first))).into()),
        };
        Ok(())
    }

    fn notify(&mut self, value: &[u8]) {
        let shown = text::printable(value);
        let words: Vec<&[u8]> = value.split(|byte| matches!(byte, b',' | b' ' | b'\t' | b'\r' | b'\n')).collect();
        let words: Vec<&[u8]> = words.into_iter().filter(|word| !word.is_empty()).collect();
        if let Some(word) = words.iter().find(|word| Notify::parse(word).is_none()) {
            self.warnings
                .push(format!("unknown DSN NOTIFY command value \"{}\" in \"{shown}\"", text::printable(word)));
        }
        self.notify = Notify::parse(&words.join(&b','));
        if self.notify.is_none() {
            self.warnings.push(format!("bad -N option value: '{shown}' -- ignored"));
        }
    }
}

/// A command line that makes no sense.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// What getopt says before, without the program's name.
    pub detail: Option<String>,
    /// The last word.
    pub sentence: String,
}

impl From<String> for Mistake {
    fn from(sentence: String) -> Self {
        Self { detail: None, sentence }
    }
}

impl From<&str> for Mistake {
    fn from(sentence: &str) -> Self {
        sentence.to_owned().into()
    }
}

impl From<text::OptionError> for Mistake {
    fn from(error: text::OptionError) -> Self {
        Self { detail: Some(error.to_string()), sentence: "usage: sendmail [options]".into() }
    }
}

fn is_printable(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|b| (b' '..=b'~').contains(b))
}

fn shown(letter: Option<u8>) -> String {
    text::printable(letter.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, String> {
        let arguments = line.split_whitespace().map(OsString::from);
        Request::parse("sendmail", arguments).map_err(|mistake| mistake.sentence)
    }

    #[test]
    fn the_letters_that_scripts_use_are_understood() {
        let request = parse("-t -i -fme@x -F Me -N success,delay -R hdrs -V id -B8BITMIME -- -a@x").unwrap();
        assert!(request.from_header && request.keep_dots);
        assert_eq!(request.sender.as_deref(), Some(&b"me@x"[..]));
        assert_eq!(request.notify.map(Notify::bits), Some(10));
        assert_eq!((request.ret, request.encoding), (Some(2), Some("8bit")));
        assert_eq!(request.envelope_id.as_deref(), Some(&b"id"[..]));
        assert_eq!(request.operands, ["-a@x"]);
        assert_eq!(request.mode, Mode::Submit);
    }

    #[test]
    fn letters_of_other_systems_are_ignored() {
        let request = parse("-O x=y -h 5 -om -o7 -oem -odb -Am -U -m -L tag -p x -oi a@x").unwrap();
        assert_eq!(request.operands, ["a@x"]);
        assert!(request.keep_dots && request.warnings.is_empty());
    }

    #[test]
    fn modes_are_named_by_letters_or_by_the_program_name() {
        for (line, mode) in [
            ("-bp", Mode::ListQueue),
            ("-bi", Mode::NewAliases),
            ("-I", Mode::NewAliases),
            ("-q", Mode::Flush),
            ("-qIABC", Mode::FlushMessage(b"ABC".to_vec())),
            ("-qRx.test", Mode::FlushSite(b"x.test".to_vec())),
            ("-q30m", Mode::Nothing),
            ("-bh", Mode::Nothing),
            ("-bs", Mode::StandAlone),
        ] {
            assert_eq!(parse(line).unwrap().mode, mode, "{line}");
        }
        assert_eq!(Request::parse("mailq", std::iter::empty()).unwrap().mode, Mode::ListQueue);
    }

    #[test]
    fn mistakes_are_sentences() {
        for (line, sentence) in [
            ("-bz", "unsupported: -bz"),
            ("-Xfoo", "unsupported: -Xf"),
            ("-n", "-n option not supported"),
            ("-B X", "-B option needs 8BITMIME or 7BIT"),
            ("-qSx", "-qS is not implemented"),
            ("-t -bv", "-t option cannot be used with -bv"),
            ("-bv -N never", "-N option cannot be used with -bv"),
            ("-J", "usage: sendmail [options]"),
            ("-oA", "-oA requires pathname"),
            ("-bv -v x", "-v option cannot be used with -bv"),
            ("-B 8bitmime x", "-B option needs 8BITMIME or 7BIT"),
            ("-qI", "specify: -qIqueueid"),
            ("-qR", "specify: -qRsitename"),
        ] {
            assert_eq!(parse(line), Err(sentence.into()), "{line}");
        }
    }

    #[test]
    fn a_mode_that_sends_to_nobody_refuses_recipients() {
        for (line, sentence) in [
            ("-bp", "display queue mode requires no recipient"),
            ("-bs", "stand-alone mode requires no recipient"),
            ("-bd", "daemon mode requires no recipient"),
            ("-bl", "daemon mode requires no recipient"),
            ("-bi", "alias initialization mode requires no recipient"),
            ("-I", "alias initialization mode requires no recipient"),
            ("-q", "flush queue mode requires no recipient"),
            ("-qIABC", "flush queue_id requires no recipient"),
            ("-qRx.test", "flush site requires no recipient"),
        ] {
            assert_eq!(parse(&format!("{line} extra")), Err(sentence.into()), "{line}");
            let header = parse(&format!("{line} -t"));
            let let_pass = line.len() > 3;
            assert_eq!(
                header.err().as_deref(),
                (!let_pass).then_some("-t can be used only in delivery mode"),
                "{line}"
            );
        }
        assert!(parse("-q30m extra").is_ok());
    }

    #[test]
    fn what_a_message_needs_is_said_by_name() {
        let wishes = |line: &str| parse(line).map(|request| (request.wishes.bits(), request.warnings)).unwrap();
        assert_eq!(wishes("-O SMTPUTF8=yes -Orequiretls=Yes a@x"), (33, vec![]));
        assert_eq!(wishes("-OSMTPUTF8=yes -OSMTPUTF8=no -O x=y a@x"), (0, vec![]));
        for bad in ["SMTPUTF8", "SMTPUTF8=maybe", "REQUIRETLS="] {
            assert_eq!(wishes(&format!("-O {bad} a@x")), (0, vec![format!("bad -O option: '{bad}' -- ignored")]));
        }
    }

    #[test]
    fn values_that_only_refine_are_ignored_with_a_warning() {
        let request = parse("-N bogus -R x a@x").unwrap();
        let warnings = [
            "unknown DSN NOTIFY command value \"bogus\" in \"bogus\"",
            "bad -N option value: 'bogus' -- ignored",
            "bad -R option value -- ignored",
        ];
        assert_eq!(request.warnings, warnings);
        assert_eq!((request.notify, request.ret), (None, None));
        assert_eq!(parse("-N success,,delay, a@x").unwrap().notify.map(Notify::bits), Some(10));
        assert_eq!(parse("-N never,delay a@x").unwrap().warnings, ["bad -N option value: 'never,delay' -- ignored"]);
    }
}
