//! Where a listing comes from: the showq service, or showq itself when the mail system is down.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use command::Caller;
use config::MAIL_CONFIG;
use config::{Config, param};
use logging::warning;
use wire::showq::Reader;

use crate::failure::Failure;
use crate::traditional::Layout;
use crate::{json, traditional};

/// How a listing is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// For people.
    Traditional,
    /// For programs.
    Json,
}

/// Prints the queue.
///
/// # Errors
/// The mail system is down and the caller is not root, or the listing is malformed.
pub fn list(config: &Config, form: Form) -> Result<(), Failure> {
    // showq_service_name
    let socket = Path::new("public").join(config.get(param::SHOWQ_SERVICE_NAME)?);
    match UnixStream::connect(&socket) {
        Ok(stream) => print(config, form, stream),
        Err(error) => {
            let why = format!("Connect to the Postfix showq service: {}", text::system_error(&error));
            if !is_down(&error) {
                return Err(Failure::new(why));
            }
            if !Caller::current().is_root() {
                let sentence = format!("Queue report unavailable - mail system is down ({why})");
                return Err(Failure::new(sentence));
            }
            warning!("Mail system is down -- accessing queue directly ({why})");
            let (stream, mut child) = run_showq(config)?;
            let result = print(config, form, stream);
            let _ = child.wait();
            result
        }
    }
}

/// Nobody listens: master does not run.
pub fn is_down(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn run_showq(config: &Config) -> Result<(UnixStream, Child), Failure> {
    let program = config.get(param::DAEMON_DIRECTORY)?.join("showq");
    let failed = |error: io::Error| Failure::new(format!("{}: {}", program.display(), text::system_error(&error)));
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let mut command = Command::new(&program);
    // -u: with the rights of mail_owner; -S: one client, on standard input.
    command.args(["-u", "-S"]).env(MAIL_CONFIG, config.directory());
    command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
    let child = command.spawn().map_err(failed)?;
    Ok((ours, child))
}

/// Bytes that are read and written at a time.
const BLOCK: usize = 64 * 1024;

fn print(config: &Config, form: Form, stream: impl Read) -> Result<(), Failure> {
    // enable_long_queue_ids
    let layout = Layout::new(config.get(param::ENABLE_LONG_QUEUE_IDS)?);
    let mut out = BufWriter::with_capacity(BLOCK, io::stdout().lock());
    let printed = Reader::new(BufReader::with_capacity(BLOCK, stream)).and_then(|mut listing| {
        match form {
            Form::Traditional => traditional::print(&mut listing, layout, &mut out),
            Form::Json => json::print(&mut listing, &mut out),
        }?;
        out.flush()
    });
    match printed {
        Ok(()) => Ok(()),
        // Whoever reads the list has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            warning!("public/showq: {error}", error = text::system_error(&error));
            Err(Failure::new("malformed showq server response"))
        }
    }
}
