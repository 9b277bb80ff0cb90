//! # NAME
//! postcat - show the contents of queue files
//!
//! # SYNOPSIS
//! `postcat [-bdefhoqrv] [-c config_dir] [-s offset] [files...]`
//!
//! # DESCRIPTION
//! Prints the named queue files, or standard input, in readable form: envelope and content, or the
//! parts that are asked for.
//!
//! - `-b`: the body. `-h`: the header. `-e`: the envelope. Default: all of them.
//! - `-f`: the name of the file before each record. `-o`: the offset of each record before it. `-d`: the number of its type.
//! - `-q`: the operands are queue identifiers; the files are looked for in the queue.
//! - `-r`: records in file order; pointers are shown, not followed.
//! - `-s offset`: start at this offset.
//! - `-c config_dir`: where main.cf is. `-v`: accepted.
//!
//! # PRIVILEGE
//! That of the caller, who must be able to read the files: mail in the queue belongs to
//! `$mail_owner`.
//!
//! # DIAGNOSTICS
//! Problems go to standard error. The exit status is 1 when a file cannot be opened or is damaged.

mod view;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::param;
use logging::{fatal, warning};
use queue::record::ReadAt;
use queue::{QueueId, QueueName, Spool};
use sys::identity::is_root;
use sys::open::{Links, Refusal, Rules, SYSTEM};
use text::Options;

use crate::view::{View, show};

const USAGE: &str = "usage: postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] \
    [-e (envelope records)] [-h (header text)] [-q (access queue)] [-v] [file(s)...]";

/// Where `-q` looks, in this order: a message that moves is likely found behind where it was.
const QUEUES: [QueueName; 7] = [
    QueueName::Maildrop,
    QueueName::Incoming,
    QueueName::Active,
    QueueName::Deferred,
    QueueName::Hold,
    QueueName::Corrupt,
    QueueName::Saved,
];

fn main() -> ExitCode {
    command::begin("postcat");
    let request = Request::parse(std::env::args_os().skip(1));
    let config = match command::configure("postcat", request.directory.as_deref()) {
        Ok(config) => config,
        Err(error) => fatal!("{error}"),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    if request.files.is_empty() {
        print(&Input::standard(), "stdin", &request.view, &mut out);
        return ExitCode::SUCCESS;
    }
    if request.in_queue {
        let directory = config.get(param::QUEUE_DIRECTORY).unwrap_or_else(|error| fatal!("{error}"));
        if let Err(error) = std::env::set_current_dir(&directory) {
            fatal!("chdir {}: {}", directory.display(), text::system_error(&error));
        }
    }
    let spool = config.spool().unwrap_or_else(|error| fatal!("{error}"));
    for name in &request.files {
        let path = if request.in_queue { find(&spool, name) } else { PathBuf::from(name) };
        match sys::open::to_read(&path, &rules(request.in_queue)) {
            Ok(file) => print(&Input::File(file), &path.to_string_lossy(), &request.view, &mut out),
            Err(Refusal::System(error)) => fatal!("open {}: {}", path.display(), text::system_error(&error)),
            Err(refusal) => fatal!("open {}: {refusal}", path.display()),
        }
    }
    ExitCode::SUCCESS
}

/// Names in the queue are mail_owner's to make: none leads root to another file, or lets it wait.
fn rules(in_queue: bool) -> Rules<'static> {
    let links = match (is_root(), in_queue) {
        (true, true) => Links::Refused,
        (true, false) => Links::OfRoot,
        (false, _) => Links::Followed,
    };
    Rules { links, one_name: in_queue, ..SYSTEM }
}

/// What the command line asks for.
struct Request {
    view: View,
    in_queue: bool,
    directory: Option<Vec<u8>>,
    files: Vec<OsString>,
}

impl Request {
    fn parse(arguments: impl Iterator<Item = OsString>) -> Self {
        let mut options = Options::new("bc:defhoqrs:v", arguments);
        let mut view = View::default();
        let (mut in_queue, mut directory) = (false, None);
        loop {
            match options.next_option() {
                Ok(Some((b'b', _))) => view.body = true,
                Ok(Some((b'c', value))) => directory = Some(value),
                Ok(Some((b'd', _))) => view.numbers = true,
                Ok(Some((b'e', _))) => view.envelope = true,
                Ok(Some((b'f', _))) => view.names = true,
                Ok(Some((b'h', _))) => view.header = true,
                Ok(Some((b'o', _))) => view.offsets = true,
                Ok(Some((b'q', _))) => in_queue = true,
                Ok(Some((b'r', _))) => view.raw = true,
                Ok(Some((b's', value))) => view.start = Some(offset(&value)),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    eprintln!("postcat: {error}");
                    fatal!("{USAGE}")
                }
            }
        }
        if !(view.body || view.envelope || view.header) {
            view = View { body: true, envelope: true, header: true, ..view };
        }
        Self { view, in_queue, directory, files: options.operands() }
    }
}

fn offset(text: &[u8]) -> u64 {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| fatal!("bad offset: {}", text::printable(text)))
}

/// The file of a message, wherever it is in the queue.
fn find(spool: &Spool, name: &OsStr) -> PathBuf {
    let Some(id) = QueueId::parse(name.as_bytes()) else {
        fatal!("bad mail queue ID: {}", text::printable(name.as_bytes()))
    };
    let found = QUEUES.iter().map(|queue| spool.path(*queue, &id)).find(|path| Path::exists(path));
    found.unwrap_or_else(|| fatal!("open queue file {id}: No such file or directory"))
}

/// A file, or what came through a pipe: pointers lead anywhere in it.
enum Input {
    File(File),
    Memory(Vec<u8>),
}

impl Input {
    fn standard() -> Self {
        let mut bytes = Vec::new();
        match io::stdin().lock().read_to_end(&mut bytes) {
            Ok(_) => Self::Memory(bytes),
            Err(error) => fatal!("read standard input: {}", text::system_error(&error)),
        }
    }
}

impl ReadAt for Input {
    fn read_some(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read_some(buffer, offset),
            Self::Memory(bytes) => bytes.read_some(buffer, offset),
        }
    }
}

fn print(input: &Input, name: &str, view: &View, out: &mut impl io::Write) {
    let shown = show(input, name, view, out, &mut |text| warning!("{text}"));
    if let Err(error) = out.flush() {
        fatal!("output write error: {}", text::system_error(&error));
    }
    if let Err(error) = shown {
        warning!("{name}: {error}");
        fatal!("record read error");
    }
}
