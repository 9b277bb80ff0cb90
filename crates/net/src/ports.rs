//! Port numbers by name: services(5), and the few names that mail needs on a machine without that file.

use std::collections::HashMap;
use std::fs;

use crate::endpoint::{EndpointError, HostPort};

/// The names that stock configurations use.
const MAIL: [(&str, u16); 6] =
    [("smtp", 25), ("submission", 587), ("submissions", 465), ("smtps", 465), ("lmtp", 24), ("qmqp", 628)];

/// The TCP services of a machine, by name and alias.
#[derive(Clone, Debug)]
pub struct Services(HashMap<String, u16>);

impl Default for Services {
    /// Those that mail needs.
    fn default() -> Self {
        Services(MAIL.into_iter().map(|(name, port)| (name.to_owned(), port)).collect())
    }
}

impl Services {
    /// Those of /etc/services, and what mail needs beside them.
    pub fn of_machine() -> Self {
        Services::default().read(&String::from_utf8_lossy(&fs::read("/etc/services").unwrap_or_default()))
    }

    /// Adds the TCP entries of a services(5) text. The first entry of a name counts.
    pub fn read(mut self, text: &str) -> Self {
        let mut found = HashMap::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let (Some(name), Some(port)) = (words.next(), words.next()) else { continue };
            let Some(Ok(port)) = port.strip_suffix("/tcp").map(str::parse) else { continue };
            for name in std::iter::once(name).chain(words) {
                found.entry(name.to_owned()).or_insert(port);
            }
        }
        self.0.extend(found);
        self
    }

    /// Puts names in front of all others: `smtps=submissions=465, x=26` (known_tcp_ports).
    ///
    /// # Errors
    /// The item that is no list of names with a number at its end.
    pub fn with_known<S: AsRef<str>>(mut self, known: &[S]) -> Result<Self, String> {
        for item in known {
            let wrong = || format!("known_tcp_ports: \"{}\" is not name=number", item.as_ref());
            let (names, port) = item.as_ref().rsplit_once('=').ok_or_else(wrong)?;
            let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
            let names: Vec<&str> = names.split('=').collect();
            if names.iter().any(|name| name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit())) {
                return Err(wrong());
            }
            self.0.extend(names.into_iter().map(|name| (name.to_owned(), port)));
        }
        Ok(self)
    }

    /// The port of an endpoint that has one, as a number or by one of these names.
    ///
    /// # Errors
    /// As [`of`].
    pub fn port_of(&self, endpoint: &HostPort) -> Result<u16, EndpointError> {
        if let Some(number) = endpoint.port_number()? {
            return Ok(number);
        }
        let name = endpoint.port.as_deref().ok_or(EndpointError::MissingService)?;
        match name.as_bytes().first() {
            Some(digit) if digit.is_ascii_digit() => Err(EndpointError::AfterNumber),
            _ => self.port(name).ok_or_else(|| EndpointError::UnknownService(name.to_owned())),
        }
    }

    /// The port of a service.
    pub fn port(&self, name: &str) -> Option<u16> {
        self.0.get(name).copied()
    }
}

/// The port of an endpoint that has one, as a number or by name.
///
/// # Errors
/// No port, a number that is no port, or an unknown name.
pub fn of(endpoint: &HostPort) -> Result<u16, EndpointError> {
    Services::of_machine().port_of(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_of_tcp_services_are_found() {
        let text = "smtp 25/tcp mail # x\nodd\nsmtp 26/udp\ntime 37/udp\nmy-relay 2626/tcp alias # x\n";
        let services = Services::default().read(text);
        for (name, port) in [("smtp", Some(25)), ("mail", Some(25)), ("time", None), ("alias", Some(2626))] {
            assert_eq!(services.port(name), port, "{name}");
        }
        assert_eq!(Services::of_machine().port("submission"), Some(587));
        assert_eq!(Services::of_machine().port("no-such-service"), None);
    }

    #[test]
    fn names_that_are_known_stand_in_front_of_those_of_the_machine() {
        let known = ["smtp=2525", "smtps=submissions=465"];
        let services = Services::default().read("smtp 26/tcp\nother 27/tcp\n").with_known(&known).unwrap();
        let ports = ["smtp", "submissions", "smtps", "other"].map(|name| services.port(name));
        assert_eq!(ports, [Some(2525), Some(465), Some(465), Some(27)]);
        for wrong in ["smtp", "smtp=", "smtp=0", "smtp=x", "=25", "1=25", "a==25", "a=70000"] {
            let error = Services::default().with_known(&[wrong]).unwrap_err();
            assert_eq!(error, format!("known_tcp_ports: \"{wrong}\" is not name=number"));
        }
    }

    #[test]
    fn what_begins_as_a_number_is_no_name() {
        let text = |name: &str| of(&HostPort::parse_service(name).unwrap()).unwrap_err().to_string();
        assert_eq!(text("25x"), "garbage after numerical service");
        assert_eq!(text("70000"), "bad network port: 70000");
        assert_eq!(text("no-such-service"), "unknown service: no-such-service/tcp");
    }
}
