//! The command line: what is asked for.

use std::ffi::OsString;

use text::Options;

use crate::failure::Failure;
use crate::list::Form;

/// What the command line asks for.
pub(crate) enum Request {
    /// The list of the queue.
    List(Form),
    /// Deliver everything now.
    FlushAll,
    /// Deliver this message now.
    FlushMessage(Vec<u8>),
    /// Deliver now what waits for this site.
    FlushSite(Vec<u8>),
}

impl Request {
    /// Reads the command line: the request, and the directory of main.cf if one is named.
    ///
    /// # Errors
    /// The usage.
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<(Self, Option<Vec<u8>>), Failure> {
        let mut options = Options::new("c:fi:jps:v", arguments);
        let (mut request, mut directory) = (None, None);
        loop {
            let wanted = match options.next_option() {
                Ok(Some((b'c', value))) => {
                    directory = Some(value);
                    continue;
                }
                Ok(Some((b'f', _))) => Self::FlushAll,
                Ok(Some((b'i', id))) => Self::FlushMessage(id),
                Ok(Some((b'j', _))) => Self::List(Form::Json),
                Ok(Some((b'p', _))) => Self::List(Form::Traditional),
                Ok(Some((b's', site))) => Self::FlushSite(site),
                Ok(Some(_)) => continue,
                Ok(None) => break,
                Err(error) => {
                    eprintln!("postqueue: {error}");
                    return Err(usage());
                }
            };
            if request.replace(wanted).is_some() {
                return Err(usage());
            }
        }
        match request {
            Some(request) if options.operands().is_empty() => Ok((request, directory)),
            _ => Err(usage()),
        }
    }
}

fn usage() -> Failure {
    let sentence = "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site";
    Failure::unavailable(sentence)
}
