//! Requests to deliver now.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use config::{Config, param};
use logging::warning;
use lookup::{DomainList, ParentStyle};
use queue::QueueId;
use wire::flush::{MAX_REQUEST, Request, Status};
use wire::trigger;

use crate::failure::Failure;
use crate::list::is_down;

const DOWN: &str = "Cannot flush mail queue - mail system is down";
/// The part of a destination or a name that is shown.
const SHOWN: usize = 100;
/// How long the flush service may take.
const PATIENCE: Duration = Duration::from_secs(100);

/// Everything: what is deferred, whatever its time; and what pickup has not seen yet.
pub fn all(config: &Config) -> Result<(), Failure> {
    let letters = [trigger::FLUSH_DEAD, trigger::IGNORE_TIME, trigger::DEFERRED, trigger::INCOMING];
    // queue_service_name, pickup_service_name
    let patience = config.get(param::TRIGGER_TIMEOUT)?; // trigger_timeout
    wake(&config.get(param::QUEUE_SERVICE_NAME)?, &letters, patience)?;
    wake(&config.get(param::PICKUP_SERVICE_NAME)?, &[trigger::WAKEUP], patience)
}

fn wake(service: &str, letters: &[u8], patience: Duration) -> Result<(), Failure> {
    let socket = Path::new("public").join(service);
    match trigger::post(&socket, letters, patience) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            warning!("unable to look up {}: {}", socket.display(), text::system_error(&error));
            Err(Failure::new(DOWN))
        }
        Err(error) => {
            if error.kind() != io::ErrorKind::ConnectionRefused {
                warning!("connect to {}: {}", socket.display(), text::system_error(&error));
            }
            Err(Failure::new(DOWN))
        }
    }
}

/// One message, by the flush service.
pub fn message(config: &Config, id: &[u8]) -> Result<(), Failure> {
    if QueueId::parse(id).is_none() {
        return Err(Failure::new(format!("Cannot flush queue ID - invalid name: \"{}\"", shown(id))));
    }
    request(config, id, &Request::SendFile(id.to_vec()))
}

/// All that waits for a site, by the flush service.
pub fn site(config: &Config, site: &[u8]) -> Result<(), Failure> {
    let shown = shown(site);
    let valid = match site {
        [b'[', address @ .., b']'] if !address.is_empty() => net::literal::mailhost(site).is_some(),
        _ => net::hostname::is_valid(site),
    };
    if !valid {
        return Err(Failure::new(format!("Cannot flush mail queue - invalid destination: \"{shown}\"")));
    }
    // fast_flush_domains
    let list = config.lookup("fast_flush_domains")?.unwrap_or_default();
    let parents = ParentStyle::in_config(config, "fast_flush_domains");
    let domains = DomainList::open(config, "fast_flush_domains", &list, parents);
    let domains = domains.map_err(|error| Failure::new(error.to_string()))?;
    let served = domains.matches(site).map_err(|error| Failure::new(error.to_string()))?;
    if !served {
        return Err(Failure::new(format!("Flush service is not configured for destination \"{shown}\"")));
    }
    request(config, site, &Request::SendSite(site.to_vec()))
}

/// Asks the flush service.
fn request(config: &Config, value: &[u8], request: &Request) -> Result<(), Failure> {
    // flush_service_name
    let socket = Path::new("public").join(config.get(param::FLUSH_SERVICE_NAME)?);
    let status = ask(&socket, request).map_err(|error| {
        let reason = text::system_error(&error);
        warning!("connect to {}: {reason}", socket.display());
        let sentence = if is_down(&error) { DOWN.to_owned() } else { format!("Cannot flush mail queue - {reason}") };
        Failure::new(sentence)
    })?;
    let shown = shown(value);
    match status {
        Status::Done => Ok(()),
        Status::Bad => Err(Failure::new(format!("Invalid request: \"{shown}\""))),
        Status::Denied => Err(Failure::new(format!("Flush service is not configured for destination \"{shown}\""))),
        Status::Failed => Err(Failure::new("Cannot flush mail queue - mail system trouble")),
    }
}

/// What was asked for, for people.
fn shown(value: &[u8]) -> String {
    // told: the dots.
    match value.split_at_checked(SHOWN) {
        Some((start, rest)) if !rest.is_empty() => format!("{}...", text::printable(start)),
        _ => text::printable(value),
    }
}

fn ask(socket: &Path, request: &Request) -> io::Result<Status> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&request.write())?;
    let mut answer = Vec::new();
    // told: a longer answer is none.
    stream.take(MAX_REQUEST as u64).read_to_end(&mut answer)?;
    Status::read(&answer)?.ok_or_else(|| io::Error::other("premature end of input"))
}
