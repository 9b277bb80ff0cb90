//! Asking and changing a table that is there.

use std::io::{BufRead, BufReader, BufWriter, Read, Stdout, Write, stdin, stdout};
use std::sync::Arc;

use config::Config;
use lookup::{Kind, OpenFlags, Settings, Spec, Table, open};

use crate::build::{can_change, key, writer};
use crate::message::{Reader, Wanted};
use crate::options::Options;
use crate::run::Program;

/// Longest key that is read from standard input, bytes.
/// told: who asks, by an error.
const MAX_KEY: u64 = 1 << 20;

/// How much is read or written at once, bytes.
const BUFFER: usize = 64 << 10;

/// Prints the value of a key, or for `-` every key of standard input that is there, with its value.
pub(crate) fn query(
    program: &Program,
    options: &Options,
    config: &Config,
    spec: &Spec,
    wanted: &[u8],
) -> Result<bool, String> {
    let table = table(options, config, spec)?;
    let form = Form { separator: program.separator.as_bytes(), json: options.json };
    let mut asked = Asked { spec, table, form, output: Output::new(), found: false };
    let result = match wanted {
        b"-" if options.message == Wanted::default() => asked.about_keys(stdin().lock()),
        b"-" => {
            let limits = config.mime_limits().map_err(|error| error.to_string())?;
            asked.about_message(stdin().lock(), Reader::new(options.message, limits))
        }
        key => asked.about(key, Shown::Value),
    };
    // What was answered before an error is there to be seen.
    asked.output.flush()?;
    result.map(|()| asked.found)
}

/// A table that is asked, and its answers.
struct Asked<'s> {
    spec: &'s Spec,
    table: Arc<dyn Table>,
    form: Form,
    output: Output,
    found: bool,
}

impl Asked<'_> {
    /// Each line is a key.
    fn about_keys(&mut self, input: impl Read) -> Result<(), String> {
        let mut keys = Keys::new(input);
        while let Some(key) = keys.next(|| self.output.flush())? {
            self.about(key, Shown::Entry)?;
        }
        Ok(())
    }

    /// The keys are those of a message.
    fn about_message(&mut self, input: impl Read, mut message: Reader) -> Result<(), String> {
        let mut lines = Keys::new(input);
        while let Some(line) = lines.next(|| self.output.flush())? {
            message.line(line)?.iter().try_for_each(|key| self.about(key, Shown::Entry))?;
        }
        message.end().iter().try_for_each(|key| self.about(key, Shown::Entry))
    }

    /// Answers with the value, or with key and value.
    fn about(&mut self, key: &[u8], shown: Shown) -> Result<(), String> {
        let Some(value) = self.table.lookup(key).map_err(|error| error.to_string())? else { return Ok(()) };
        if value.is_empty() {
            let (spec, key) = (self.spec, text::printable(key));
            self.output.flush()?;
            logging::warning!("table {spec}: key {key}: empty string result is not allowed");
            logging::warning!("table {spec} should return NO RESULT in case of NOT FOUND");
        }
        self.found = true;
        self.form.print(&mut self.output, shown, key, &value)
    }
}

/// What of an entry is an answer; in JSON it is always the entry.
#[derive(Clone, Copy)]
enum Shown {
    Value,
    Entry,
}

/// How entries are written.
struct Form {
    /// What stands between key and value.
    separator: &'static [u8],
    json: bool,
}

impl Form {
    fn print(&self, output: &mut Output, shown: Shown, key: &[u8], value: &[u8]) -> Result<(), String> {
        match shown {
            _ if self.json => output.print(&[b"{", &text::json_bytes(key), b": ", &text::json_bytes(value), b"}\n"]),
            Shown::Value => output.print(&[value, b"\n"]),
            Shown::Entry => output.print(&[key, self.separator, value, b"\n"]),
        }
    }
}

/// Prints all entries.
pub(crate) fn list(program: &Program, options: &Options, config: &Config, spec: &Spec) -> Result<bool, String> {
    let table = table(options, config, spec)?;
    let mut output = Output::new();
    let mut result = Ok(());
    let mut any = false;
    let form = Form { separator: program.separator.as_bytes(), json: options.json };
    let visited = table.visit(&mut |key, value| {
        any = true;
        if result.is_ok() {
            result = form.print(&mut output, Shown::Entry, key, value);
        }
    });
    output.flush()?;
    visited.map_err(|error| format!("table {spec}: {}", error.reason()))?;
    result.map(|()| any)
}

/// Removes a key, or for `-` the keys of standard input; true when any was there.
pub(crate) fn delete(options: &Options, config: &Config, spec: &Spec, wanted: &[u8]) -> Result<bool, String> {
    match spec.kind {
        Kind::Fail => return Err(format!("table {spec}: delete error: Application error")),
        Kind::Static | Kind::Environ | Kind::Pipemap | Kind::Randmap | Kind::Unionmap => {
            return Err(format!("table {spec}: delete operation is not supported"));
        }
        kind if !kind.has_index() => return Err(format!("{spec} map requires O_RDONLY access mode")),
        _ => {}
    }
    can_change(options, config, spec)?;
    let utf8 = options.is_utf8(config);
    let mut doomed = Vec::new();
    if wanted == b"-" {
        let mut keys = Keys::new(stdin().lock());
        while let Some(one) = keys.next(|| Ok(()))? {
            doomed.push(key(options, utf8, one));
        }
    } else {
        doomed.push(key(options, utf8, wanted));
    }
    let count = writer(options, config, spec, None)?.delete(&doomed).map_err(|error| error.to_string())?;
    Ok(count > 0)
}

fn table(options: &Options, config: &Config, spec: &Spec) -> Result<Arc<dyn Table>, String> {
    let flags = OpenFlags { keep_case: options.keep_case, files: options.files, ..OpenFlags::default() };
    let settings = Settings { utf8: options.is_utf8(config), ..Settings::from(config) };
    open(&spec.to_string(), &settings, flags).map_err(|error| error.to_string())
}

/// The lines of standard input; each is a key, as far as its first NUL.
struct Keys<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    number: usize,
}

impl<R: Read> Keys<R> {
    fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(BUFFER, input), line: Vec::new(), number: 0 }
    }

    /// The next key. `before_waiting` is called when there is no whole line yet: whoever writes the keys may wait for
    /// the answers so far.
    fn next(&mut self, before_waiting: impl FnOnce() -> Result<(), String>) -> Result<Option<&[u8]>, String> {
        if !self.input.buffer().contains(&b'\n') {
            before_waiting()?;
        }
        self.number += 1;
        self.line.clear();
        let read = self.input.by_ref().take(MAX_KEY).read_until(b'\n', &mut self.line);
        if read.map_err(|error| format!("read standard input: {error}", error = text::system_error(&error)))? == 0 {
            return Ok(None);
        }
        let key = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        if key.len() as u64 == MAX_KEY {
            let number = self.number;
            return Err(format!("standard input, line {number}: a key of {MAX_KEY} bytes or more"));
        }
        Ok(key.split(|&byte| byte == 0).next())
    }
}

/// Standard output, in pieces of many lines.
struct Output(BufWriter<Stdout>);

impl Output {
    fn new() -> Self {
        Self(BufWriter::with_capacity(BUFFER, stdout()))
    }

    fn print(&mut self, parts: &[&[u8]]) -> Result<(), String> {
        parts.iter().try_for_each(|part| self.0.write_all(part)).map_err(|error| Self::failed(&error))
    }

    fn flush(&mut self) -> Result<(), String> {
        self.0.flush().map_err(|error| Self::failed(&error))
    }

    fn failed(error: &std::io::Error) -> String {
        format!("write standard output: {error}", error = text::system_error(error))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn read(input: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut keys = Keys::new(input);
        let mut found = Vec::new();
        while let Some(key) = keys.next(|| Ok(()))? {
            found.push(key.to_vec());
        }
        Ok(found)
    }

    #[test]
    fn a_key_is_a_line_as_far_as_its_first_nul() {
        assert_eq!(read(b"a b\n\nc\0d\ne").unwrap(), [&b"a b"[..], b"", b"c", b"e"]);
    }

    #[test]
    fn a_key_that_is_too_long_is_an_error_and_no_shorter_key() {
        let long = b"x".repeat(MAX_KEY as usize);
        let refused = read(&[b"short\n", &long[..]].concat()).unwrap_err();
        assert_eq!(refused, "standard input, line 2: a key of 1048576 bytes or more");
        assert_eq!(read(&long[1..]).map(|found| found[0].len()), Ok(MAX_KEY as usize - 1));
    }

    /// A pipe whose writer waits for the answers to all that it has written.
    struct Partner<'k> {
        pieces: std::slice::Iter<'k, &'k [u8]>,
        answered: &'k Cell<usize>,
        written: usize,
    }

    impl Read for Partner<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            assert_eq!(self.answered.get(), self.written);
            let piece = self.pieces.next().copied().unwrap_or_default();
            self.written += piece.iter().filter(|byte| **byte == b'\n').count();
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    #[test]
    fn nobody_who_writes_keys_waits_for_the_answers_to_those_that_are_written() {
        let answered = Cell::new(0);
        let pieces = [&b"a\nb\nc"[..], b"c", b"\n", b"d\n", b"e\nf\n"];
        let mut keys = Keys::new(Partner { pieces: pieces.iter(), answered: &answered, written: 0 });
        let (mut waiting, mut calls) = (0, 0);
        let mut found = Vec::new();
        while let Some(key) = keys
            .next(|| {
                answered.set(answered.get() + std::mem::take(&mut waiting));
                calls += 1;
                Ok(())
            })
            .unwrap()
        {
            found.push(key.to_vec());
            waiting += 1;
        }
        assert_eq!(found, [&b"a"[..], b"b", b"cc", b"d", b"e", b"f"]);
        // Once for each line that was not there yet, and not for each line.
        assert_eq!(calls, 5);
    }
}
