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
        while let Some((letter, value)) = options.next_or_usage("postqueue", USAGE).map_err(Failure::new)? {
            let wanted = match letter {
                b'c' => {
                    directory = Some(value);
                    continue;
                }
                b'f' => Self::FlushAll,
                b'i' => Self::FlushMessage(value),
                b'j' => Self::List(Form::Json),
                b'p' => Self::List(Form::Traditional),
                b's' => Self::FlushSite(value),
                _ => continue,
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

const USAGE: &str = "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site";

fn usage() -> Failure {
    Failure::new(USAGE)
}
