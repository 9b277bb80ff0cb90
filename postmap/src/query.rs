//! Asking and changing a table that is there.

use std::io::{BufRead, Read, Write, stdin, stdout};
use std::sync::Arc;

use config::Config;
use lookup::{Kind, OpenFlags, Settings, Spec, Table, open};

use crate::build::{key, writer};
use crate::message::{Reader, Wanted};
use crate::options::Options;
use crate::run::Program;

/// Longest key that is read from standard input, bytes.
/// told: who asks, by an error.
const MAX_KEY: u64 = 1 << 20;

/// Prints the value of a key, or for `-` every key of standard input that is there, with its value.
pub(crate) fn query(options: &Options, config: &Config, spec: &Spec, wanted: &[u8]) -> Result<bool, String> {
    let table = table(options, config, spec)?;
    let ask = |key: &[u8]| {
        let value = table.lookup(key).map_err(|error| error.to_string())?;
        if value.as_ref().is_some_and(Vec::is_empty) {
            let key = text::printable(key);
            logging::warning!("table {spec}: key {key}: empty string result is not allowed");
            logging::warning!("table {spec} should return NO RESULT in case of NOT FOUND");
        }
        Ok::<_, String>(value)
    };
    if wanted != b"-" {
        let value = ask(wanted)?;
        if let Some(value) = &value {
            print(&[value, b"\n"])?;
        }
        return Ok(value.is_some());
    }
    let mut found = false;
    let mut answer = |key: &[u8]| {
        if let Some(value) = ask(key)? {
            found = true;
            print(&[key, b"\t", &value, b"\n"])?;
        }
        Ok(())
    };
    if options.message == Wanted::default() {
        keys(stdin().lock(), answer)?;
    } else {
        let limit = config.mime_nesting_limit().map_err(|error| error.to_string())?;
        let mut message = Reader::new(options.message, limit);
        keys(stdin().lock(), |line| message.line(line)?.iter().try_for_each(|key| answer(key)))?;
        message.end().iter().try_for_each(|key| answer(key))?;
    }
    Ok(found)
}

/// Prints all entries.
pub(crate) fn list(program: &Program, options: &Options, config: &Config, spec: &Spec) -> Result<bool, String> {
    let table = table(options, config, spec)?;
    let mut result = Ok(());
    let mut any = false;
    let separator = program.separator.as_bytes();
    table
        .visit(&mut |key, value| {
            any = true;
            if result.is_ok() {
                result = print(&[key, separator, value, b"\n"]);
            }
        })
        .map_err(|error| format!("table {spec}: {}", error.reason()))?;
    result.map(|()| any)
}

/// Removes a key, or for `-` the keys of standard input; true when any was there.
pub(crate) fn delete(options: &Options, config: &Config, spec: &Spec, wanted: &[u8]) -> Result<bool, String> {
    match spec.kind {
        Kind::Fail => return Err(format!("table {spec}: delete error: Application error")),
        Kind::Static | Kind::Environ => return Err(format!("table {spec}: delete operation is not supported")),
        kind if !kind.has_index() => return Err(format!("{spec} map requires O_RDONLY access mode")),
        _ => {}
    }
    let utf8 = options.is_utf8(config);
    let mut doomed = Vec::new();
    if wanted == b"-" {
        keys(stdin().lock(), |one| {
            doomed.push(key(options, utf8, one));
            Ok(())
        })?;
    } else {
        doomed.push(key(options, utf8, wanted));
    }
    let count = writer(options, config, spec, None)?.delete(&doomed).map_err(|error| error.to_string())?;
    Ok(count > 0)
}

fn table(options: &Options, config: &Config, spec: &Spec) -> Result<Arc<dyn Table>, String> {
    let flags = OpenFlags { keep_case: options.keep_case, ..OpenFlags::default() };
    let settings = Settings { utf8: options.is_utf8(config), ..Settings::from(config) };
    open(&spec.to_string(), &settings, flags).map_err(|error| error.to_string())
}

/// Each line of standard input is a key, as far as its first NUL.
fn keys(mut input: impl BufRead, mut each: impl FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
    for number in 1.. {
        let mut line = Vec::new();
        let read = input.by_ref().take(MAX_KEY).read_until(b'\n', &mut line);
        if read.map_err(|error| format!("read standard input: {error}", error = text::system_error(&error)))? == 0 {
            break;
        }
        let key = line.strip_suffix(b"\n").unwrap_or(&line);
        if key.len() as u64 == MAX_KEY {
            return Err(format!("standard input, line {number}: a key of {MAX_KEY} bytes or more"));
        }
        each(key.split(|&byte| byte == 0).next().unwrap_or_default())?;
    }
    Ok(())
}

fn print(parts: &[&[u8]]) -> Result<(), String> {
    let line = parts.concat();
    stdout()
        .lock()
        .write_all(&line)
        .map_err(|error| format!("write standard output: {error}", error = text::system_error(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut found = Vec::new();
        keys(input, |key| {
            found.push(key.to_vec());
            Ok(())
        })?;
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

    #[test]
    fn an_answer_that_fails_ends_the_reading() {
        let mut asked = 0;
        let result = keys(&b"a\nb\nc\n"[..], |key| {
            asked += 1;
            if key == b"b" { Err("broken".to_owned()) } else { Ok(()) }
        });
        assert_eq!((result, asked), (Err("broken".to_owned()), 2));
    }
}
