//! The command line: letters as getopt has them, and which of them go together.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use lexopt::{Arg, Parser};

use crate::out::Failure;

/// What is shown or changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Parameters of main.cf.
    #[default]
    MainCf,
    /// `-M`: entries of master.cf.
    MasterEntries,
    /// `-F`: their fields.
    MasterFields,
    /// `-P`: their `-o` options.
    MasterOptions,
    /// `-m`
    TableTypes,
    /// `-l`
    LockTypes,
    /// `-a`
    ServerSaslTypes,
    /// `-A`
    ClientSaslTypes,
    /// `-b`: the texts of reports, expanded.
    ReportTexts,
    /// `-t`: the templates of reports.
    ReportTemplates,
    /// `-T`: what TLS can do.
    Tls,
    /// `--explain`
    Explain,
}

/// What is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// `-e`
    Set,
    /// `-X`
    Remove,
    /// `-#`
    Comment,
}

/// Which parameters are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes {
    /// Those of the table.
    pub builtin: bool,
    /// Those with a service's name in theirs.
    pub service: bool,
    /// Those that main.cf invents.
    pub user: bool,
}

/// The command line, understood.
#[derive(Debug)]
pub struct Options {
    /// What is shown or changed.
    pub mode: Mode,
    /// The letter of the mode, for messages.
    letters: String,
    /// A change, unless None.
    pub act: Option<Act>,
    /// `-d`
    pub defaults: bool,
    /// `-n`
    pub explicit: bool,
    /// `-x`
    pub expand: bool,
    /// `-h`
    pub hide_names: bool,
    /// `-H`
    pub hide_values: bool,
    /// `-f`
    pub fold: bool,
    /// `-j`: as JSON.
    pub json: bool,
    /// `-q`: without warnings about names that are unused or obsolete.
    pub quiet: bool,
    /// `-C`
    pub classes: Classes,
    /// `-T`: what to tell of TLS.
    pub tls: String,
    /// `-c`
    pub directory: Option<PathBuf>,
    /// `-o`
    pub overrides: Vec<(String, String)>,
    /// What is left: names, or `name=value`.
    pub arguments: Vec<String>,
}

const USAGE: &str = "usage: postconf [-a (server SASL types)] [-A (client SASL types)] [-b (bounce texts)] [-c config_dir] \
    [-C param_class] [-d (parameter defaults)] [-e (edit configuration)] [-f (fold lines)] [-F (master.cf fields)] \
    [-h (no names)] [-H (no values)] [-j (streaming JSON)] [-l (lock types)] [-m (map types)] [-M (master.cf)] [-n (non-default parameters)] \
    [-o name=value (override parameter value)] [-p (main.cf, default)] [-P (master.cf parameters)] \
    [-q (no warnings about names)] [-t (bounce templates)] [-T mode (TLS info)] [-v (verbose)] \
    [-x (expand parameter values)] [-X (exclude)] [-# (comment-out)] [--explain] [name...]";

impl Options {
    /// Reads the command line without the program's name.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, Failure> {
        let mut options = Options {
            mode: Mode::default(),
            letters: String::new(),
            act: None,
            defaults: false,
            explicit: false,
            expand: false,
            hide_names: false,
            hide_values: false,
            fold: false,
            json: false,
            quiet: false,
            classes: Classes { builtin: true, service: true, user: true },
            tls: String::new(),
            directory: None,
            overrides: Vec::new(),
            arguments: Vec::new(),
        };
        let mut parser = Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(|_| Failure::new(USAGE))? {
            match argument {
                Arg::Short(letter) => options.letter(letter, &mut parser)?,
                Arg::Value(value) => {
                    // Options end at the first other argument, as POSIX has it.
                    let rest = parser.raw_args().map_err(|_| Failure::new(USAGE))?;
                    let words = std::iter::once(value).chain(rest);
                    options.arguments.extend(words.map(|word| decode(&word)));
                    break;
                }
                Arg::Long("explain") => options.explain(parser.optional_value()),
                Arg::Long(_) => return Err(Failure::new(USAGE)),
            }
        }
        options.check()?;
        Ok(options)
    }

    /// Whether a file is to be changed.
    pub fn is_change(&self) -> bool {
        self.act.is_some()
    }

    fn letter(&mut self, letter: char, parser: &mut Parser) -> Result<(), Failure> {
        let mut value = || match parser.value() {
            Ok(value) => Ok(decode(&value)),
            Err(_) => Err(Failure::new(USAGE)),
        };
        match letter {
            'a' => self.mode = Mode::ServerSaslTypes,
            'A' => self.mode = Mode::ClientSaslTypes,
            'b' => self.mode = Mode::ReportTexts,
            't' => self.mode = Mode::ReportTemplates,
            'T' => {
                self.tls = value()?;
                self.mode = Mode::Tls;
            }
            'j' => self.json = true,
            'l' => self.mode = Mode::LockTypes,
            'm' => self.mode = Mode::TableTypes,
            'M' => self.mode = Mode::MasterEntries,
            'F' => self.mode = Mode::MasterFields,
            'P' => self.mode = Mode::MasterOptions,
            'e' => self.act = Some(Act::Set),
            'X' => self.act = Some(Act::Remove),
            '#' => self.act = Some(Act::Comment),
            'd' => self.defaults = true,
            'n' => self.explicit = true,
            'x' => self.expand = true,
            'h' => self.hide_names = true,
            'H' => self.hide_values = true,
            'f' => self.fold = true,
            'q' => self.quiet = true,
            'p' | 'v' => {}
            'c' => self.directory = Some(PathBuf::from(OsString::from_vec(text::lossless::encode(&value()?)))),
            'C' => self.classes = classes(&value()?)?,
            'o' => {
                let text = value()?;
                let setting = config::main_cf::split(&text);
                let (name, value) =
                    setting.map_err(|problem| Failure(format!("invalid parameter override: {text}: {problem}")))?;
                self.overrides.push((name.to_owned(), value.to_owned()));
            }
            _ => return Err(Failure::new(USAGE)),
        }
        if !self.letters.contains(letter) {
            self.letters.push(letter);
        }
        Ok(())
    }

    /// Which of these letters the command line has, as it has them.
    fn given(&self, letters: &str) -> Vec<String> {
        letters.chars().filter(|letter| self.letters.contains(*letter)).map(|letter| format!("-{letter}")).collect()
    }

    fn explain(&mut self, name: Option<OsString>) {
        self.mode = Mode::Explain;
        self.arguments.extend(name.map(|name| decode(&name)));
    }

    /// Refuses what makes no sense together; `name=value` implies `-e`.
    fn check(&mut self) -> Result<(), Failure> {
        let has_value = self.arguments.iter().any(|argument| argument.contains('='));
        let has_files =
            matches!(self.mode, Mode::MainCf | Mode::MasterEntries | Mode::MasterFields | Mode::MasterOptions);
        if has_value && has_files && !self.letters.contains('e') {
            self.letters.push('e');
            self.act = Some(self.act.unwrap_or(Act::Set));
        }
        if self.given("bt").len() > 1 {
            return Err(Failure::new("specify one of -b and -t"));
        }
        let change = if self.is_change() { "defhHnoxX#" } else { "" };
        for group in ["aAbFlmMpPtT", change, "dn", "do", "hH"] {
            let given = self.given(group);
            if given.len() > 1 {
                return Err(Failure(format!("specify one of {}", given.join(", "))));
            }
        }
        let (mode, refused) = match self.mode {
            Mode::MasterEntries => ('M', "dhHn"),
            Mode::MasterFields => ('F', "dnX#"),
            Mode::MasterOptions => ('P', "dn#"),
            Mode::MainCf | Mode::Explain => (' ', ""),
            _ => (self.letters.chars().find(|letter| "aAblmtT".contains(*letter)).unwrap_or(' '), "defhHjnoxX#"),
        };
        let json = if self.json { "efhHX#" } else { "" };
        for (option, refused) in [(mode, refused), ('j', json)] {
            let given = self.given(refused);
            if !given.is_empty() {
                return Err(Failure(format!("with option -{option}, do not specify {}", given.join(" "))));
            }
        }
        Ok(())
    }
}

/// A word of the command line, whatever its bytes are.
fn decode(word: &OsStr) -> String {
    text::lossless::decode(word.as_bytes())
}

fn classes(text: &str) -> Result<Classes, Failure> {
    let mut classes = Classes { builtin: false, service: false, user: false };
    for word in text.split([' ', ',', '\t']).filter(|word| !word.is_empty()) {
        match word {
            "builtin" => classes.builtin = true,
            "service" => classes.service = true,
            "user" => classes.user = true,
            "all" => classes = Classes { builtin: true, service: true, user: true },
            _ => return Err(Failure(format!("unknown -C option value \"{word}\" in \"{text}\""))),
        }
    }
    Ok(classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(OsString::from)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_value_on_the_command_line_is_a_change() {
        assert_eq!(parse("foo=bar").unwrap().act, Some(Act::Set));
        assert_eq!(parse("-M a/unix=b").unwrap().mode, Mode::MasterEntries);
        assert_eq!(parse("foo").unwrap().act, None);
    }

    #[test]
    fn letters_that_contradict_each_other_are_refused_in_the_words_of_postfix() {
        for (line, text) in [
            ("-n -d", "specify one of -d, -n"),
            ("-n foo=bar", "specify one of -e, -n"),
            ("-e -X foo", "specify one of -e, -X"),
            ("-X foo=x", "specify one of -e, -X"),
            ("-M -F", "specify one of -F, -M"),
            ("-b -t", "specify one of -b and -t"),
            ("-T compile-version -m", "specify one of -m, -T"),
            ("-m -n", "with option -m, do not specify -n"),
            ("-M -h", "with option -M, do not specify -h"),
            ("-Me -f a/inet=b", "specify one of -e, -f"),
            ("-X -o a=b foo", "specify one of -o, -X"),
            ("-j -f", "with option -j, do not specify -f"),
            ("-d -o a=b", "specify one of -d, -o"),
            ("-m -j", "with option -m, do not specify -j"),
            ("-h -H", "specify one of -h, -H"),
            ("-M -n", "with option -M, do not specify -n"),
            ("-FX a/b/c", "with option -F, do not specify -X"),
            ("-C foo", "unknown -C option value \"foo\" in \"foo\""),
        ] {
            assert_eq!(parse(line).unwrap_err(), text, "{line}");
        }
        assert!(parse("-Z").unwrap_err().starts_with("usage: "));
        assert!(parse("-c").unwrap_err().starts_with("usage: "));
    }
}
