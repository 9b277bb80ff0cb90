//! The command line of a daemon: what master says of the service (`-n NAME -t TYPE -u -c -l -z -s COUNT`), and behind
//! it the arguments of master.cf (`-o name=value ...`).
//!
//! The daemon reads it when it starts, and whoever judges a master.cf before reads it in the same way. Nothing on it is
//! passed over: a word that the program has no use for is mostly the rest of a setting that was cut at a blank (`-o
//! smtpd_client_restrictions=permit_mynetworks, reject`), and without it the service is another one.

use std::ffi::OsString;
use std::fmt;

use text::{OptionError, Options};

use crate::agent_flags::AgentFlags;

/// The options of a daemon, in getopt's notation.
const LETTERS: &str = "cdDi:lm:n:o:r:s:St:uvVz";

/// What the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// `-n`: the service name of master.cf, when it differs from the program name.
    pub name: Option<String>,
    /// `-t`: `inet`, `unix`, `pass`, `fifo` or `unix-dgram`.
    pub transport: Option<String>,
    /// `-u`: not with the rights of root.
    pub unprivileged: bool,
    /// `-c`: the queue directory is the root directory.
    pub chroot: bool,
    /// `-l`: process limit 1.
    pub alone: bool,
    /// `-z`: process limit 0.
    pub unlimited: bool,
    /// `-s`: how many sockets are inherited.
    pub listeners: u16,
    /// `-S`: serve one client on standard input and output.
    pub standard_io: bool,
    /// `-V`: log to standard error.
    pub log_to_terminal: bool,
    /// `-D`: start a debugger.
    pub debug: bool,
    /// How often there is a `-v`.
    pub verbose: u32,
    /// The settings of `-o`, of `-i` (max_idle) and of `-m` (max_use), in their order.
    pub overrides: Vec<(String, String)>,
    /// What stands behind the options.
    pub words: Vec<String>,
}

/// An argument that cannot be used; Display is Postfix's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgumentError {
    /// No such option, or its value is missing.
    Option(u8),
    /// `-o` without a setting: why it is none, and the text.
    Override(&'static str, String),
    /// A number that is none: of what, and the text.
    Number(&'static str, String),
    /// A word that the program has no use for.
    Word(String),
    /// A word that is no attribute of a program that takes such.
    Attribute(String),
    /// A letter of `flags=` that means nothing, and all of them.
    Flag(char, String),
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(letter) => write!(f, "invalid option: {}", char::from(*letter)),
            Self::Override(problem, text) => write!(f, "invalid \"-o {text}\" option value: {problem}"),
            Self::Number(what, text) => write!(f, "invalid {what}: {text}"),
            Self::Word(word) => write!(f, "unexpected command-line argument: {word}"),
            Self::Attribute(word) => write!(f, "unknown attribute name: {word}"),
            Self::Flag(letter, all) => write!(f, "unknown flags={all} value \"{letter}\" in \"{all}\""),
        }
    }
}

impl std::error::Error for ArgumentError {}

impl From<OptionError> for ArgumentError {
    fn from(error: OptionError) -> Self {
        match error {
            OptionError::Invalid(letter) | OptionError::NoValue(letter) => Self::Option(letter),
        }
    }
}

impl Arguments {
    /// Reads a command line without the name of the program.
    ///
    /// # Errors
    /// An option that is not known, or a value that is none. Words are not judged: see [`Arguments::refuse_words`].
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ArgumentError> {
        let mut parsed = Self::nothing();
        let mut options = Options::new(LETTERS, arguments);
        while let Some((letter, value)) = options.next_option()? {
            parsed.option(letter, text::lossless::decode(&value))?;
        }
        parsed.words = options.operands().iter().map(lossless).collect();
        Ok(parsed)
    }

    /// As [`Arguments::parse`], for the arguments that master.cf has for `program`, words included. Of a program that
    /// is not Postfix's nothing is known.
    ///
    /// # Errors
    /// The program would end of them.
    pub fn of_entry(program: &str, arguments: &[String]) -> Result<Self, ArgumentError> {
        use std::os::unix::ffi::OsStringExt;
        if matches!(reading(program), Reading::Foreign) {
            return Ok(Self::nothing());
        }
        let parsed = Self::parse(arguments.iter().map(|text| OsString::from_vec(text::lossless::encode(text))))?;
        parsed.refuse_words(program).map(|()| parsed)
    }

    /// The first word that `program` has no use for, as an error.
    ///
    /// # Errors
    /// There is a word, and nobody would read it.
    pub fn refuse_words(&self, program: &str) -> Result<(), ArgumentError> {
        match (self.words.first(), reading(program)) {
            (None, _) | (_, Reading::Words | Reading::Foreign) => Ok(()),
            (Some(_), Reading::Flags) => AgentFlags::parse(&self.words).map(|_| ()),
            (Some(word), Reading::Nothing) => Err(ArgumentError::Word(word.clone())),
        }
    }

    fn nothing() -> Self {
        Self {
            name: None,
            transport: None,
            unprivileged: false,
            chroot: false,
            alone: false,
            unlimited: false,
            listeners: 1,
            standard_io: false,
            log_to_terminal: false,
            debug: false,
            verbose: 0,
            overrides: Vec::new(),
            words: Vec::new(),
        }
    }

    fn option(&mut self, letter: u8, value: String) -> Result<(), ArgumentError> {
        match letter {
            b'c' => self.chroot = true,
            // "Do not go to the background": a daemon of ours never does.
            b'd' => {}
            b'D' => self.debug = true,
            b'i' => self.overrides.push(("max_idle".to_owned(), value)),
            b'l' => self.alone = true,
            b'm' => self.overrides.push(("max_use".to_owned(), value)),
            b'n' => self.name = Some(value),
            b'o' => self.overrides.push(setting(value)?),
            // The retirement time of single programs: ours retire by max_idle and max_use alone.
            b'r' => drop(number("retirement time", value)?),
            b's' => self.listeners = number("socket_count", value)?,
            b'S' => self.standard_io = true,
            b't' => self.transport = Some(value),
            b'u' => self.unprivileged = true,
            b'v' => self.verbose += 1,
            b'V' => self.log_to_terminal = true,
            b'z' => self.unlimited = true,
            other => return Err(ArgumentError::Option(other)),
        }
        Ok(())
    }
}

/// What a program makes of the words behind its options.
enum Reading {
    /// It has no use for any.
    Nothing,
    /// They are those of [`AgentFlags`].
    Flags,
    /// It reads them all itself.
    Words,
    /// It is none of Postfix's.
    Foreign,
}

fn reading(program: &str) -> Reading {
    match program {
        "anvil" | "bounce" | "cleanup" | "discard" | "dnsblog" | "error" | "flush" | "local" | "nbdb_reindexd"
        | "nqmgr" | "oqmgr" | "pickup" | "postlogd" | "postscreen" | "proxymap" | "qmgr" | "qmqpd" | "scache"
        | "showq" | "smtpd" | "tlsmgr" | "tlsproxy" | "trivial-rewrite" | "verify" | "virtual" => Reading::Nothing,
        "smtp" | "lmtp" => Reading::Flags,
        "pipe" | "spawn" => Reading::Words,
        _ => Reading::Foreign,
    }
}

fn setting(text: String) -> Result<(String, String), ArgumentError> {
    let split = crate::main_cf::split(&text).map(|(name, value)| (name.to_owned(), value.to_owned()));
    split.map_err(|problem| ArgumentError::Override(problem, text))
}

fn number(what: &'static str, text: String) -> Result<u16, ArgumentError> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(ArgumentError::Number(what, text)),
    }
}

fn lossless(word: &OsString) -> String {
    use std::os::unix::ffi::OsStrExt;
    text::lossless::decode(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Arguments, ArgumentError> {
        Arguments::parse(line.iter().map(OsString::from))
    }

    #[test]
    fn masters_command_line_is_understood() {
        let line = "-n 0.0.0.0:10025 -t inet -u -c -o stress=yes -s 2 -v -i 5s -m 7";
        let mut words: Vec<&str> = line.split(' ').collect();
        words.extend(["-o", "a = b c"]);
        let parsed = parse(&words).unwrap();
        assert_eq!(parsed.name.as_deref(), Some("0.0.0.0:10025"));
        assert_eq!((parsed.unprivileged, parsed.chroot, parsed.listeners, parsed.verbose), (true, true, 2, 1));
        let settings = [("stress", "yes"), ("max_idle", "5s"), ("max_use", "7"), ("a", "b c")];
        assert_eq!(parsed.overrides, settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_broken_option_is_named_as_postfix_names_it() {
        let text = |line: &[&str]| parse(line).unwrap_err().to_string();
        assert_eq!(text(&["-o", "nosuch"]), "invalid \"-o nosuch\" option value: missing '=' after attribute name");
        assert_eq!(text(&["-o", "=x"]), "invalid \"-o =x\" option value: missing attribute name");
        assert_eq!(text(&["-o=x"]), "invalid \"-o =x\" option value: missing attribute name");
        assert_eq!(text(&["-X"]), "invalid option: X");
        assert_eq!(text(&["--foo"]), "invalid option: -");
        assert_eq!(text(&["-v", "-o"]), "invalid option: o");
        assert_eq!(text(&["-s", "0"]), "invalid socket_count: 0");
        assert_eq!(text(&["-r", "x"]), "invalid retirement time: x");
    }

    #[test]
    fn no_word_is_passed_over_by_a_program_that_has_no_use_for_it() {
        let stray = ["-o", "smtpd_client_restrictions=permit_mynetworks,", "reject", "-o", "a=b"];
        let refused =
            |program: &str, line: &[&str]| parse(line).unwrap().refuse_words(program).map_err(|it| it.to_string());
        assert_eq!(refused("smtpd", &stray), Err("unexpected command-line argument: reject".to_owned()));
        assert_eq!(refused("pickup", &["#", "x"]), Err("unexpected command-line argument: #".to_owned()));
        assert_eq!(refused("qmgr", &["-"]), Err("unexpected command-line argument: -".to_owned()));
        assert_eq!(refused("smtp", &["--", "-v"]), Err("unknown attribute name: -v".to_owned()));
        assert_eq!(refused("lmtp", &["flags=DORX"]), Ok(()));
        assert!(refused("lmtp", &["flags=q"]).is_err());
        assert_eq!(refused("pipe", &["flags=R", "user=nobody", "argv=/bin/cat"]), Ok(()));
        assert_eq!(refused("smtpd", &["-o", "a=b", "--"]), Ok(()));
    }

    #[test]
    fn options_end_at_the_first_word_and_a_program_of_others_is_not_judged() {
        let of = |program: &str, line: &str| {
            let line: Vec<String> = line.split(' ').map(str::to_owned).collect();
            Arguments::of_entry(program, &line)
                .map(|it| it.overrides.iter().map(|(name, _)| name.clone()).collect::<String>())
        };
        assert_eq!(of("pipe", "-v -m 5 -o a=b -vo c=d -oe=f argv=x -o no=1"), Ok("max_useace".to_owned()));
        assert_eq!(of("pipe", "flags=R user=x argv=/bin/x -o y"), Ok(String::new()));
        assert_eq!(of("mailman", "-x --foo bar"), Ok(String::new()));
    }
}
