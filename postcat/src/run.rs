//! From the command line to the exit status: each file is found, opened and shown.

use std::ffi::OsStr;
use std::io::{self, BufWriter};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use logging::{fatal, warning};
use queue::{QueueId, QueueName, Spool};
use sys::identity::is_root;
use sys::open::{Links, Refusal, Rules, SYSTEM};

use crate::input::Input;
use crate::request::Request;
use crate::view::{View, show};

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

/// Shows what the command line names.
///
/// # Errors
/// A sentence: a file cannot be found or opened; those before it were shown.
pub(crate) fn run() -> Result<ExitCode, String> {
    let request = Request::parse(std::env::args_os().skip(1))?;
    let config = command::configure("postcat", request.directory.as_deref())?;
    let mut out = BufWriter::new(io::stdout().lock());
    if request.files.is_empty() {
        print(&Input::standard()?, "stdin", &request.view, &mut out);
        return Ok(ExitCode::SUCCESS);
    }
    if request.in_queue {
        command::enter_queue(&config)?;
    }
    let spool = config.spool().map_err(|error| error.to_string())?;
    for name in &request.files {
        let path = if request.in_queue { find(&spool, name)? } else { PathBuf::from(name) };
        let file = sys::open::to_read(&path, &rules(request.in_queue)).map_err(|refusal| match refusal {
            Refusal::System(error) => format!("open {}: {}", path.display(), text::system_error(&error)),
            refusal => format!("open {}: {refusal}", path.display()),
        })?;
        print(&Input::File(file), &path.to_string_lossy(), &request.view, &mut out);
    }
    Ok(ExitCode::SUCCESS)
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

/// The file of a message, wherever it is in the queue.
fn find(spool: &Spool, name: &OsStr) -> Result<PathBuf, String> {
    let Some(id) = QueueId::parse(name.as_bytes()) else {
        return Err(format!("bad mail queue ID: {}", text::printable(name.as_bytes())));
    };
    let found = QUEUES.iter().map(|queue| spool.path(*queue, &id)).find(|path| Path::exists(path));
    found.ok_or_else(|| format!("open queue file {id}: No such file or directory"))
}

/// Shows one file. What cannot be written is not tried again when the process ends.
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
