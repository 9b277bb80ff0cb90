//! Port numbers by name: services(5), and the few names that mail needs on a machine without that file.

use std::fs;

use crate::endpoint::{EndpointError, HostPort};

/// The names that stock configurations use.
const MAIL: [(&str, u16); 6] =
    [("smtp", 25), ("submission", 587), ("submissions", 465), ("smtps", 465), ("lmtp", 24), ("qmqp", 628)];

/// The TCP port of a service name; `None` for an unknown one.
pub fn by_name(name: &str) -> Option<u16> {
    let known = || MAIL.iter().find(|(known, _)| *known == name).map(|(_, port)| *port);
    fs::read_to_string("/etc/services").ok().and_then(|text| search(&text, name)).or_else(known)
}

/// The port of an endpoint that has one, as a number or by name.
///
/// # Errors
/// No port, a number that is no port, or an unknown name.
pub fn of(endpoint: &HostPort) -> Result<u16, EndpointError> {
    if let Some(number) = endpoint.port_number()? {
        return Ok(number);
    }
    let name = endpoint.port.as_deref().ok_or(EndpointError::MissingService)?;
    match name.as_bytes().first() {
        Some(digit) if digit.is_ascii_digit() => Err(EndpointError::AfterNumber),
        _ => by_name(name).ok_or_else(|| EndpointError::UnknownService(name.to_owned())),
    }
}

fn search(services: &str, name: &str) -> Option<u16> {
    for line in services.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let (Some(first), Some(number)) = (words.next(), words.next()) else { continue };
        let Some(number) = number.strip_suffix("/tcp") else { continue };
        if first == name || words.any(|alias| alias == name) {
            return number.parse().ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_of_tcp_services_are_found() {
        let text = "smtp 25/tcp mail # x\nsmtp 26/udp\ntime 37/udp\n";
        assert_eq!((search(text, "smtp"), search(text, "mail"), search(text, "time")), (Some(25), Some(25), None));
        assert_eq!(by_name("submission"), Some(587));
        assert_eq!(by_name("no-such-service"), None);
    }

    #[test]
    fn what_begins_as_a_number_is_no_name() {
        let text = |name: &str| of(&HostPort::parse_service(name).unwrap()).unwrap_err().to_string();
        assert_eq!(text("25x"), "garbage after numerical service");
        assert_eq!(text("70000"), "bad network port: 70000");
        assert_eq!(text("no-such-service"), "unknown service: no-such-service/tcp");
    }
}
