//! The command line of both programs.

use config::Config;
use lookup::Settings;
use lookup::write::Existing;

use crate::message::Wanted;
use crate::run::Program;

/// What to do with the tables.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Make or extend them from their source.
    Build,
    /// Print the value of a key; `-`: of the keys on standard input.
    Query(Vec<u8>),
    /// Remove a key; `-`: the keys on standard input.
    Delete(Vec<u8>),
    /// Print all entries.
    List,
}

/// What is said to more than one of these.
const ONE_THING: &str = "specify only one of -d -i -q or -s";

/// The command line.
#[derive(Debug)]
pub(crate) struct Options {
    pub action: Action,
    pub directory: Option<Vec<u8>>,
    pub keep_case: bool,
    pub incremental: bool,
    pub existing: Existing,
    /// Keys and values end in a NUL, or do not; None: as it is usual for the type of table.
    pub nul: Option<bool>,
    pub inherit_mode: bool,
    pub keep_root: bool,
    /// Keys and values are bytes, whatever main.cf says.
    pub bytes: bool,
    /// The lines of a message are the keys.
    pub message: Wanted,
    /// Values name files, and stand for what is in them.
    pub files: bool,
    /// Answers are JSON objects, one a line.
    pub json: bool,
    pub tables: Vec<String>,
}

impl Options {
    /// Parses the command line; the error is the text behind `fatal: `.
    pub(crate) fn parse(
        program: &Program,
        arguments: impl IntoIterator<Item = std::ffi::OsString>,
    ) -> Result<Self, String> {
        let mut parsed = Self {
            action: Action::Build,
            directory: None,
            keep_case: false,
            incremental: false,
            existing: Existing::Report,
            nul: None,
            inherit_mode: true,
            keep_root: false,
            bytes: false,
            message: Wanted::default(),
            files: false,
            json: false,
            tables: Vec::new(),
        };
        let mut walk = text::Options::new(program.letters, arguments);
        while let Some((letter, value)) = walk.next_or_usage(program.name, program.usage)? {
            parsed.option(program, letter, value)?;
        }
        let asks = matches!(parsed.action, Action::Query(_) | Action::List);
        if parsed.incremental && parsed.action != Action::Build {
            return Err(ONE_THING.to_owned());
        }
        if parsed.json && !asks {
            return Err("option -j requires -q or -s".to_owned());
        }
        if parsed.message != Wanted::default() && parsed.action != Action::Query(b"-".to_vec()) {
            return Err("specify -b -h or -m only with \"-q -\"".to_owned());
        }
        if parsed.message == (Wanted { parts: true, ..Wanted::default() }) {
            logging::warning!("ignoring -m option without -b or -h");
            parsed.message = Wanted::default();
        }
        parsed.tables = walk.operands().into_iter().map(|table| table.to_string_lossy().into_owned()).collect();
        Ok(parsed)
    }

    fn option(&mut self, program: &Program, letter: u8, value: Vec<u8>) -> Result<(), String> {
        match letter {
            b'c' => self.directory = Some(value),
            b'd' => self.act(Action::Delete(value))?,
            b'q' => self.act(Action::Query(value))?,
            b's' => self.act(Action::List)?,
            b'f' => self.keep_case = true,
            b'F' => self.files = true,
            b'i' if self.incremental => return Err(ONE_THING.to_owned()),
            b'i' => self.incremental = true,
            b'j' => self.json = true,
            b'n' => self.nul = Some(false),
            b'N' => self.nul = Some(true),
            b'o' => self.keep_root = true,
            b'p' => self.inherit_mode = false,
            b'r' => self.existing = Existing::Replace,
            b'w' => self.existing = Existing::Keep,
            b'u' => self.bytes = true,
            b'b' => self.message.body = true,
            b'h' => self.message.headers = true,
            b'm' => self.message.parts = true,
            // Keys of messages are bytes or UTF-8 as other keys are; and debugging.
            b'U' | b'v' => {}
            _ => return Err(program.usage.to_owned()),
        }
        Ok(())
    }

    /// Whether keys and values must be UTF-8.
    pub(crate) fn is_utf8(&self, config: &Config) -> bool {
        // smtputf8_enable
        !self.bytes && Settings::from(config).utf8
    }

    fn act(&mut self, action: Action) -> Result<(), String> {
        if self.action != Action::Build {
            return Err(ONE_THING.to_owned());
        }
        self.action = action;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{POSTALIAS, POSTMAP};

    fn parse(program: &Program, line: &[&str]) -> Result<Options, String> {
        Options::parse(program, line.iter().map(std::ffi::OsString::from))
    }

    fn refusal(line: &[&str]) -> String {
        parse(&POSTMAP, line).err().unwrap_or_default()
    }

    #[test]
    fn a_table_is_built_unless_one_other_thing_is_asked_for() {
        assert_eq!(parse(&POSTMAP, &["x"]).unwrap().action, Action::Build);
        assert_eq!(parse(&POSTMAP, &["-q", "key", "x"]).unwrap().action, Action::Query(b"key".to_vec()));
        assert_eq!(parse(&POSTALIAS, &["-dkey", "x"]).unwrap().action, Action::Delete(b"key".to_vec()));
        let lines = [["-s", "-qkey"], ["-qkey", "-dkey"], ["-s", "-s"], ["-i", "-s"], ["-dkey", "-i"], ["-i", "-i"]];
        for line in lines {
            assert_eq!(refusal(&line), ONE_THING, "{line:?}");
        }
    }

    #[test]
    fn only_answers_are_json() {
        assert!(parse(&POSTMAP, &["-jq", "key", "x"]).unwrap().json);
        assert!(parse(&POSTALIAS, &["-s", "-j", "x"]).unwrap().json);
        for line in [["-j"].as_slice(), &["-j", "-i"], &["-jdkey"]] {
            assert_eq!(refusal(line), "option -j requires -q or -s", "{line:?}");
        }
    }

    #[test]
    fn the_lines_of_a_message_are_keys_only_of_a_query_that_reads_them() {
        let message = parse(&POSTMAP, &["-hbm", "-q", "-", "x"]).unwrap().message;
        assert_eq!(message, Wanted { headers: true, body: true, parts: true });
        for line in [&["-h", "x"][..], &["-b", "-q", "key", "x"], &["-m", "-d", "-", "x"]] {
            assert_eq!(refusal(line), "specify -b -h or -m only with \"-q -\"", "{line:?}");
        }
        // Parts of nothing: a warning, and the query is one of keys.
        assert_eq!(parse(&POSTMAP, &["-m", "-q", "-", "x"]).unwrap().message, Wanted::default());
    }

    #[test]
    fn the_last_word_on_duplicates_and_on_a_final_nul_counts() {
        let existing = |line: &[&str]| parse(&POSTMAP, line).unwrap().existing;
        assert_eq!(existing(&["-wr", "x"]), Existing::Replace);
        assert_eq!(existing(&["-rw", "x"]), Existing::Keep);
        let nul = |line: &[&str]| parse(&POSTMAP, line).unwrap().nul;
        assert_eq!((nul(&["-nN"]), nul(&["-Nn"]), nul(&[])), (Some(true), Some(false), None));
    }

    #[test]
    fn letters_are_those_of_the_program() {
        assert_eq!(refusal(&["-Z"]), POSTMAP.usage);
        assert_eq!(parse(&POSTALIAS, &["-b", "x"]).err().as_deref(), Some(POSTALIAS.usage));
        assert!(parse(&POSTMAP, &["-F", "x"]).unwrap().files);
        assert_eq!(parse(&POSTALIAS, &["-F", "x"]).err().as_deref(), Some(POSTALIAS.usage));
        assert_eq!(parse(&POSTMAP, &["-i", "hash:a", "b"]).unwrap().tables, ["hash:a", "b"]);
    }
}
