//! A queue of deferred messages to a host that refuses connections, on which both mail systems work in turn.
//!
//! It is made by a mail system itself, from mail that it takes and cannot deliver, or from copies of one such message
//! where that would take hours. It stays as it is: each flush ends with every message deferred again, and what
//! postsuper does to the files is undone.

use std::fs::{self, File, Permissions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use testing::process::cpu_seconds;
use testing::wait::{PATIENCE, until_true};
use testing::{Instance, Setup, Sink};

use super::figures::median;
use super::rounds::System;
use super::traffic::{self, Load};
use crate::failure::{Failure, Outcome};

/// A recipient whose next hop is dead.
const DEAD: &str = "bench@dead.test";
/// A recipient whose next hop is the sink.
pub const LIVE: &str = "bench@live.test";
/// Clients that fill the queue.
const SESSIONS: usize = 20;
const LISTINGS: usize = 3;
/// Until the next attempt, if nobody flushes: longer than any measurement.
const LATER: Duration = Duration::from_secs(20_000);

/// Until files that have changed are no longer looked at as if they could change unseen.
const REST: Duration = Duration::from_secs(3);

/// Seconds of listings.
pub struct Listings {
    /// By a process that may have read nothing before.
    pub first: f64,
    /// The same once more, median of some.
    pub again: f64,
}

/// The queue, with the mail system that works on it.
pub struct DeadQueue {
    pub mail: Instance,
    sink: Sink,
    size: usize,
}

impl DeadQueue {
    /// An empty one; its mail system does not run yet.
    pub fn make(systems: &[System]) -> Outcome<DeadQueue> {
        let first = systems.first().ok_or_else(|| Failure("no mail system".to_owned()))?;
        let sink = Sink::counting();
        let later = LATER.as_secs().to_string();
        let mail = Setup::of(first.programs.clone())
            .set("mydestination", "")
            .set("transport_maps", format!("inline:{{{{live.test = smtp:{}}}}}", sink.next_hop()))
            .set("minimal_backoff_time", later.as_str())
            .set("maximal_backoff_time", later.as_str())
            .set("queue_run_delay", later.as_str())
            .build();
        Ok(DeadQueue { mail, sink, size: 0 })
    }

    /// How many messages are in it.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Takes messages until there are so many. The mail system must not run.
    pub fn grow(&mut self, size: usize) -> Outcome {
        self.mail.start();
        let mut deferred = Deferrals::from_now(&self.mail)?;
        let messages = size.saturating_sub(self.size);
        let load = Load::reused(messages, SESSIONS);
        traffic::submit(self.mail.v4(), &load, DEAD)?;
        deferred.wait(messages)?;
        self.size += messages;
        self.rest()
    }

    /// Adds copies of a message that waits, until there are so many. The mail system must not run.
    pub fn fill(&mut self, size: usize) -> Outcome {
        let model = self.files("deferred")?.pop().ok_or_else(|| Failure("a queue without a message".to_owned()))?;
        let name = model.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (message, log) = (fs::read(&model)?, fs::read(self.place("defer", &name)?)?);
        let (draft, next) = (self.mail.queue().join("deferred/draft"), SystemTime::now() + LATER);
        for number in self.size..size {
            self.write(&draft, &message, 0o700)?;
            // The name of a queue file has its inode number in it.
            let (microseconds, file) = (number % 1_000_000, File::options().write(true).open(&draft)?);
            file.set_modified(next)?;
            let name = format!("{microseconds:05X}{:X}", file.metadata()?.ino());
            self.write(&self.place("defer", &name)?, &log, 0o600)?;
            fs::rename(&draft, self.place("deferred", &name)?)?;
        }
        self.size = self.size.max(size);
        Ok(())
    }

    fn write(&self, path: &Path, content: &[u8], mode: u32) -> Outcome {
        fs::write(path, content)?;
        self.give(path)?;
        Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
    }

    /// Makes a file or folder the mail system's.
    fn give(&self, path: &Path) -> Outcome {
        let accounts = self.mail.accounts();
        Ok(std::os::unix::fs::chown(path, Some(accounts.owner_uid.as_raw()), Some(accounts.owner_gid.as_raw()))?)
    }

    /// Where a file of a queue is, as hash_queue_depth = 1 spreads them, the default.
    fn place(&self, queue: &str, name: &str) -> Outcome<PathBuf> {
        let folder = self.mail.queue().join(queue).join(name.get(..1).unwrap_or_default());
        if !folder.exists() {
            fs::create_dir(&folder)?;
            self.give(&folder)?;
            fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        }
        Ok(folder.join(name))
    }

    /// Goes on with the programs of this system.
    pub fn start(&mut self, system: &testing::Programs) {
        self.mail.switch(system.clone());
        self.mail.start();
    }

    /// Stops; every message waits in the deferred queue as before.
    pub fn rest(&mut self) -> Outcome {
        until_true(PATIENCE, || self.files("active").is_ok_and(|files| files.is_empty()));
        self.mail.stop();
        self.restore()
    }

    /// Tries every message once more: seconds, and CPU seconds, until all are deferred again.
    pub fn flush(&self) -> Outcome<(f64, f64)> {
        let (cpu, begin) = (cpu_seconds(self.mail.master()), Instant::now());
        self.flush_beside()?;
        let seconds = begin.elapsed().as_secs_f64();
        self.mail.wait_idle();
        Ok((seconds, cpu_seconds(self.mail.master()) - cpu))
    }

    /// The same beside other mail, which may still be in the queue when all old messages are deferred again.
    pub fn flush_beside(&self) -> Outcome {
        let mut deferred = Deferrals::from_now(&self.mail)?;
        self.mail.output("postqueue", &["-f"]);
        deferred.wait(self.size)
    }

    /// Waits until the mail for the sink is delivered.
    pub fn settle(&self, messages: usize) -> Outcome {
        match until_true(PATIENCE * 4, || self.sink.count() >= messages) {
            true => Ok(()),
            false => Err(Failure(format!("{} of {messages} came to the sink", self.sink.count()))),
        }
    }

    /// How many messages have come to the sink.
    pub fn arrived(&self) -> usize {
        self.sink.count()
    }

    /// Lists the queue some times, once it has been at rest for a while.
    pub fn list(&self, option: &str) -> Listings {
        std::thread::sleep(REST);
        let first = self.seconds("postqueue", &[option]);
        let times: Vec<f64> = (0..LISTINGS).map(|_| self.seconds("postqueue", &[option])).collect();
        Listings { first, again: median(&times).unwrap_or(f64::NAN) }
    }

    /// Seconds of a command that must succeed.
    pub fn seconds(&self, name: &str, arguments: &[&str]) -> f64 {
        let begin = Instant::now();
        self.mail.output(name, arguments);
        begin.elapsed().as_secs_f64()
    }

    /// Seconds of the renames alone that put every message on hold: no command can be faster.
    pub fn renames(&self) -> Outcome<f64> {
        let begin = Instant::now();
        for file in self.files("deferred")? {
            fs::rename(&file, self.mail.queue().join("hold").join(file.file_name().unwrap_or_default()))?;
        }
        let seconds = begin.elapsed().as_secs_f64();
        self.restore()?;
        Ok(seconds)
    }

    /// Messages back to the deferred queue, with a time that is still to come.
    pub fn restore(&self) -> Outcome {
        for queue in ["incoming", "active", "hold", "maildrop"] {
            for file in self.files(queue)? {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                fs::rename(&file, self.place("deferred", &name)?)?;
            }
        }
        let (files, next) = (self.files("deferred")?, SystemTime::now() + LATER);
        for file in &files {
            fs::set_permissions(file, Permissions::from_mode(0o700))?;
            File::options().write(true).open(file)?.set_modified(next)?;
        }
        let (found, size) = (files.len(), self.size);
        if found == size { Ok(()) } else { Err(Failure(format!("{found} messages in a queue of {size}"))) }
    }

    fn files(&self, queue: &str) -> Outcome<Vec<PathBuf>> {
        let (mut files, mut folders) = (Vec::new(), vec![self.mail.queue().join(queue)]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() { folders.push(entry.path()) } else { files.push(entry.path()) }
            }
        }
        Ok(files)
    }
}

/// Counts log lines of deferrals as they come; the log as a whole is too long to be read again and again.
struct Deferrals {
    log: File,
    rest: Vec<u8>,
    count: usize,
}

impl Deferrals {
    fn from_now(mail: &Instance) -> Outcome<Deferrals> {
        let mut log = File::open(mail.folder().join("log"))?;
        log.seek(SeekFrom::End(0))?;
        Ok(Deferrals { log, rest: Vec::new(), count: 0 })
    }

    /// Waits for so many, as long as some come.
    fn wait(&mut self, goal: usize) -> Outcome {
        let mut last = self.read()?;
        while last < goal {
            until_true(PATIENCE, || self.read().is_ok_and(|count| count >= goal));
            if self.count == last {
                return Err(Failure(format!("{last} of {goal} messages were deferred")));
            }
            last = self.count;
        }
        Ok(())
    }

    fn read(&mut self) -> Outcome<usize> {
        self.log.read_to_end(&mut self.rest)?;
        self.count += take_deferrals(&mut self.rest);
        Ok(self.count)
    }
}

/// Takes the complete lines; how many of them tell of a deferral.
fn take_deferrals(text: &mut Vec<u8>) -> usize {
    let Some(end) = text.iter().rposition(|byte| *byte == b'\n') else { return 0 };
    let lines: Vec<u8> = text.drain(..=end).collect();
    let word = b"status=deferred";
    lines.split(|byte| *byte == b'\n').filter(|line| line.windows(word.len()).any(|part| part == word)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deferrals_are_counted_once_though_a_line_comes_in_pieces() {
        let mut text = b"x: status=deferred (a)\ny: status=sent (b)\nz: status=def".to_vec();
        assert_eq!(take_deferrals(&mut text), 1);
        text.extend_from_slice(b"erred (c)\n");
        assert_eq!(take_deferrals(&mut text), 1);
        assert!(text.is_empty());
    }
}
