//! Lines that other programs send, into the file or on to syslog.
//!
//! A datagram has one line, or several with newlines between them. What waits is written at once.

use std::cell::Cell;
use std::time::{Duration, Instant};

use daemon::{Context, StartError, Worker};

use crate::file::LogFile;
use crate::relay::{self, Refuge};

/// Most bytes of one line that are used.
/// told: nobody; lines of ours are shorter, of what others send the start is kept.
const MAX_LINE: usize = 4096;

/// Lines that come so soon after others are a stream of them.
const STREAM: Duration = Duration::from_millis(5);
/// How long lines of a stream gather: the socket keeps ten datagrams at least, and a wake-up for each of them costs
/// more than all that is done with it.
const GATHER: Duration = Duration::from_millis(1);

/// The daemon.
pub(crate) struct Postlogd {
    place: Place,
    /// When lines came last.
    last: Cell<Option<Instant>>,
}

/// Where lines go.
enum Place {
    /// To maillog_file.
    File {
        /// The file.
        file: LogFile,
        /// Where lines go that it does not take.
        refuge: Refuge,
        /// The last line could not be written.
        stuck: Cell<bool>,
    },
    /// To the system's log.
    Syslog,
}

impl Worker for Postlogd {
    fn start(context: &Context) -> Result<Self, StartError> {
        // maillog_file
        let place = match context.config.log_file()? {
            None => Place::Syslog,
            Some(file) => {
                if let Some(why) = context.config.bad_log_permissions() {
                    logging::warning!("{why}");
                }
                let file = LogFile::open(&file)?;
                Place::File { file, refuge: Refuge::new(), stuck: Cell::new(false) }
            }
        };
        Ok(Self { place, last: Cell::default() })
    }

    fn datagrams(&self, waiting: &[Vec<u8>]) {
        let shown = lines(waiting);
        match &self.place {
            Place::File { file, refuge, stuck } => write(file, refuge, stuck, &shown),
            Place::Syslog => shown.iter().for_each(|line| logging::pass_on(relay::in_syslog_form(line))),
        }
        if self.last.get().is_some_and(|last| last.elapsed() < STREAM) {
            std::thread::sleep(GATHER); // waits: nobody, but for lines that are to be written together
        }
        self.last.set(Some(Instant::now()));
    }
}

/// The lines as they may be shown. Others may end their only one with a newline: there is nothing behind it.
fn lines(waiting: &[Vec<u8>]) -> Vec<String> {
    let lines = waiting.iter().flat_map(|datagram| datagram.split(|byte| *byte == b'\n'));
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(|line| text::printable(&line[..line.len().min(MAX_LINE)])).collect()
}

fn write(file: &LogFile, refuge: &Refuge, stuck: &Cell<bool>, lines: &[String]) {
    let (written, result) = file.append(lines);
    let was_stuck = stuck.replace(result.is_err());
    let Err(error) = result else { return };
    if !was_stuck {
        let why = text::system_error(&error);
        refuge.warn(&format!("write {}: {why} -- lines go to syslog until it is possible", file.path()));
    }
    lines[written..].iter().for_each(|line| refuge.take(line));
}

#[cfg(test)]
mod tests {
    use super::{MAX_LINE, lines};

    #[test]
    fn a_datagram_has_one_line_or_several_and_no_empty_one() {
        let waiting = [b"one".to_vec(), b"two\nthree".to_vec(), b"four\n".to_vec(), b"\n".to_vec(), Vec::new()];
        assert_eq!(lines(&waiting), ["one", "two", "three", "four"]);
        assert_eq!(lines(&[b"a\x1b[2J\rb".to_vec(), vec![b'x'; 9000]]), ["a?[2J?b".to_owned(), "x".repeat(MAX_LINE)]);
    }
}
