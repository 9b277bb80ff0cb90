//! Requests to deliver now.

use std::io::{self, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use config::{Config, param};
use logging::warning;
use lookup::{DomainList, ParentStyle};
use queue::QueueId;
use wire::attr0::{self, Reader, Writer};
use wire::trigger;

use crate::failure::Failure;
use crate::list::is_down;

const DOWN: &str = "Cannot flush mail queue - mail system is down";
/// The flush service's name in its greeting.
const PROTOCOL: &str = "queue_flush_protocol";
/// How long the flush service may take.
const PATIENCE: Duration = Duration::from_secs(100);

/// Everything: what is deferred, whatever its time; and what pickup has not seen yet.
pub fn all(config: &Config) -> Result<(), Failure> {
    let letters = [trigger::FLUSH_DEAD, trigger::IGNORE_TIME, trigger::DEFERRED, trigger::INCOMING];
    // queue_service_name, pickup_service_name
    wake(&config.get(param::QUEUE_SERVICE_NAME)?, &letters)?;
    wake(&config.get(param::PICKUP_SERVICE_NAME)?, &[trigger::WAKEUP])
}

fn wake(service: &str, letters: &[u8]) -> Result<(), Failure> {
    let socket = Path::new("public").join(service);
    match trigger::post(&socket, letters) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            warning!("unable to look up {}: {}", socket.display(), text::system_error(&error));
            Err(Failure::unavailable(DOWN))
        }
        Err(error) => {
            if error.kind() != io::ErrorKind::ConnectionRefused {
                warning!("connect to {}: {}", socket.display(), text::system_error(&error));
            }
            Err(Failure::unavailable(DOWN))
        }
    }
}

/// One message, by the flush service.
pub fn message(config: &Config, id: &[u8]) -> Result<(), Failure> {
    if QueueId::parse(id).is_none() {
        return Err(Failure::unavailable(format!("Cannot flush queue ID - invalid name: \"{}\"", text::printable(id))));
    }
    request(config, "send_file", "queue_id", id)
}

/// All that waits for a site, by the flush service.
pub fn site(config: &Config, site: &[u8]) -> Result<(), Failure> {
    let shown = text::printable(site);
    let valid = match site {
        [b'[', address @ .., b']'] if !address.is_empty() => net::literal::mailhost(site).is_some(),
        _ => net::hostname::is_valid(site),
    };
    if !valid {
        return Err(Failure::unavailable(format!("Cannot flush mail queue - invalid destination: \"{shown}\"")));
    }
    // fast_flush_domains
    let list = config.lookup("fast_flush_domains")?.unwrap_or_default();
    let parents = ParentStyle::in_config(config, "fast_flush_domains");
    let domains = DomainList::open(config, "fast_flush_domains", &list, parents);
    let domains = domains.map_err(|error| Failure::unavailable(error.to_string()))?;
    let served = domains.matches(site).map_err(|error| Failure::unavailable(error.to_string()))?;
    if !served {
        return Err(Failure::unavailable(format!("Flush service is not configured for destination \"{shown}\"")));
    }
    request(config, "send_site", "site", site)
}

/// Asks the flush service.
fn request(config: &Config, what: &str, name: &str, value: &[u8]) -> Result<(), Failure> {
    // flush_service_name
    let socket = Path::new("public").join(config.get(param::FLUSH_SERVICE_NAME)?);
    let status = ask(&socket, what, name, value).map_err(|error| {
        let reason = text::system_error(&error);
        warning!("connect to {}: {reason}", socket.display());
        let sentence = if is_down(&error) { DOWN.to_owned() } else { format!("Cannot flush mail queue - {reason}") };
        Failure::unavailable(sentence)
    })?;
    match status.as_slice() {
        b"0" => Ok(()),
        b"3" => Err(Failure::usage(format!("Invalid request: \"{}\"", text::printable(value)))),
        b"4" => {
            let shown = text::printable(value);
            Err(Failure::unavailable(format!("Flush service is not configured for destination \"{shown}\"")))
        }
        _ => Err(Failure::unavailable("Cannot flush mail queue - mail system trouble")),
    }
}

fn ask(socket: &Path, what: &str, name: &str, value: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = Reader::new(BufReader::new(stream.try_clone()?));
    attr0::read_greeting(&mut reader, PROTOCOL)?;
    reader.end()?;
    let mut writer = Writer::new();
    writer.put("request", what).put(name, value).end();
    stream.write_all(&writer.take())?;
    let status = reader.value_of("status")?;
    reader.end()?;
    Ok(status)
}
