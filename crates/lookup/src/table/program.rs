//! A pattern of a pcre or regexp table, compiled by the engine that such tables are written for: PCRE2, or the C
//! library's.

use sys::regex::{Groups, perl, posix};

use super::literals::{self, Dialect, Need};
use super::pattern::Remarks;
use crate::Kind;

/// A compiled pattern.
pub(crate) enum Program {
    /// Of a pcre table.
    Perl(perl::Regex),
    /// Of a regexp table.
    Posix(posix::Regex),
}

/// The flags behind a pattern; each letter turns its default round.
pub(crate) enum Syntax {
    Perl(perl::Syntax),
    Posix(posix::Syntax),
}

impl Syntax {
    /// Reads the letters.
    ///
    /// # Errors
    /// A letter that the type of table does not have: the sentence for the log.
    pub(crate) fn parse(kind: Kind, letters: &[u8], remarks: &mut Remarks<'_>) -> Result<Self, String> {
        let mut syntax = match kind {
            Kind::Pcre => Syntax::Perl(perl::Syntax { caseless: true, dot_all: true, ..Default::default() }),
            _ => Syntax::Posix(posix::Syntax { extended: true, caseless: true, by_line: false }),
        };
        for &letter in letters {
            match syntax.flag(letter) {
                Some(flag) => *flag = !*flag,
                // PCRE2 always does what it asked for.
                None if letter == b'X' && kind == Kind::Pcre => {
                    remarks.here("ignoring obsolete regexp option \"X\"");
                }
                None => {
                    let shown = text::printable(&[letter]);
                    return Err(format!("unknown regexp option \"{shown}\": skipping this rule"));
                }
            }
        }
        Ok(syntax)
    }

    /// What a text must have for an expression that is read so to match it; empty if nothing is sure.
    pub(crate) fn needs(&self, expression: &[u8]) -> Vec<Need> {
        match self {
            Syntax::Perl(perl) if !perl.extended => literals::needs(expression, Dialect::Perl),
            Syntax::Posix(posix) if posix.extended => literals::needs(expression, Dialect::Posix),
            _ => Vec::new(),
        }
    }

    fn flag(&mut self, letter: u8) -> Option<&mut bool> {
        Some(match (self, letter) {
            (Syntax::Perl(perl), b'i') => &mut perl.caseless,
            (Syntax::Perl(perl), b'm') => &mut perl.multi_line,
            (Syntax::Perl(perl), b's') => &mut perl.dot_all,
            (Syntax::Perl(perl), b'x') => &mut perl.extended,
            (Syntax::Perl(perl), b'A') => &mut perl.anchored,
            (Syntax::Perl(perl), b'E') => &mut perl.dollar_end_only,
            (Syntax::Perl(perl), b'U') => &mut perl.ungreedy,
            (Syntax::Posix(posix), b'i') => &mut posix.caseless,
            (Syntax::Posix(posix), b'm') => &mut posix.by_line,
            (Syntax::Posix(posix), b'x') => &mut posix.extended,
            _ => return None,
        })
    }
}

impl Program {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it, as the sentence for the log.
    pub(crate) fn compile(expression: &[u8], syntax: &Syntax) -> Result<Self, String> {
        match syntax {
            Syntax::Perl(syntax) => match perl::Regex::compile(expression, *syntax) {
                Ok(regex) => Ok(Program::Perl(regex)),
                Err((offset, text)) => Err(format!("error in regex at offset {offset}: {text}")),
            },
            Syntax::Posix(syntax) => posix::Regex::compile(expression, *syntax).map(Program::Posix),
        }
    }

    /// How many groups it has.
    pub(crate) fn groups(&self) -> usize {
        match self {
            Program::Perl(regex) => regex.groups(),
            Program::Posix(regex) => regex.groups(),
        }
    }

    /// Looks for it in a text; the places of the first `wanted` groups are asked for.
    ///
    /// # Errors
    /// The engine gave up, in its words.
    pub(crate) fn find(&self, text: &[u8], wanted: usize) -> Result<Option<Groups>, String> {
        match self {
            Program::Perl(regex) => regex.find(text),
            Program::Posix(regex) => regex.find(text, wanted),
        }
    }
}
