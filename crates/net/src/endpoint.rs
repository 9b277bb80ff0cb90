//! `host:port` as master.cf names a service and a nexthop names a destination.
//!
//! Text that starts with `[` has its host up to `]`; any other text is cut at the *last* colon, so `::1:25` is port 25
//! on `::1`. Nothing is resolved here.

use std::fmt;

use crate::{hostname, idna, literal};

/// A host and a port as written. Brackets and an `ipv6:` prefix inside them are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Host name or numeric address; `None`: none was given (a service on all interfaces).
    pub host: Option<String>,
    /// The host stood in brackets: no MX look-up.
    pub bracketed: bool,
    /// Port number or service name; `None`: none was given.
    pub port: Option<String>,
}

impl HostPort {
    /// The name of an inet service in master.cf: `port`, `:port`, `host:port`, `[host]:port`.
    ///
    /// # Errors
    /// The caller adds ` in "NAME"` and the place.
    pub fn parse_service(text: &str) -> Result<Self, EndpointError> {
        let cut = Cut::at_brackets_or_last_colon(text)?;
        let (host, port) = match (cut.host, cut.port) {
            // Without a colon all of it is the port.
            (port, None) if !cut.bracketed => ("", port),
            (_, None) => return Err(EndpointError::MissingService),
            (host, Some(port)) => (host, port),
        };
        if port.is_empty() {
            return Err(EndpointError::MissingService);
        }
        let host = match host {
            "" if !cut.bracketed => None,
            host => Some(valid_host(host, cut.bracketed)?),
        };
        Ok(Self { host, bracketed: cut.bracketed, port: Some(port.to_owned()) })
    }

    /// A nexthop or server: `host`, `host:port`, `[host]`, `[host]:port`; an empty port means the default.
    ///
    /// # Errors
    /// The caller adds ` in server description: TEXT`.
    pub fn parse_server(text: &str) -> Result<Self, EndpointError> {
        let cut = Cut::at_brackets_or_last_colon(text)?;
        let host = valid_host(cut.host, cut.bracketed)?;
        let port = cut.port.filter(|port| !port.is_empty()).map(str::to_owned);
        Ok(Self { host: Some(host), bracketed: cut.bracketed, port })
    }

    /// The port as a number from 1 to 65535, if it is written as one; a name needs the services database.
    ///
    /// # Errors
    /// A number outside that range.
    pub fn port_number(&self) -> Result<Option<u16>, EndpointError> {
        match &self.port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => match port.parse() {
                Ok(0) | Err(_) => Err(EndpointError::PortNumber(port.clone())),
                Ok(number) => Ok(Some(number)),
            },
            _ => Ok(None),
        }
    }
}

impl fmt::Display for HostPort {
    /// The canonical form: `[host]:port`, brackets always, so that two spellings of one service compare equal.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(out, "[{host}]")?;
        }
        match &self.port {
            Some(port) if self.host.is_some() => write!(out, ":{port}"),
            Some(port) => out.write_str(port),
            None => Ok(()),
        }
    }
}

struct Cut<'a> {
    host: &'a str,
    bracketed: bool,
    port: Option<&'a str>,
}

impl<'a> Cut<'a> {
    fn at_brackets_or_last_colon(text: &'a str) -> Result<Self, EndpointError> {
        let Some(rest) = text.strip_prefix('[') else {
            return Ok(match text.rsplit_once(':') {
                Some((host, port)) => Self { host, bracketed: false, port: Some(port) },
                None => Self { host: text, bracketed: false, port: None },
            });
        };
        let (host, tail) = rest.split_once(']').ok_or(EndpointError::MissingBracket)?;
        let port = match tail.strip_prefix(':') {
            Some(port) => Some(port),
            None if tail.is_empty() => None,
            None => return Err(EndpointError::Garbage),
        };
        Ok(Self { host, bracketed: true, port })
    }
}

fn valid_host(host: &str, bracketed: bool) -> Result<String, EndpointError> {
    let bytes = host.as_bytes();
    if bracketed && let Some(v6) = literal::without_v6_prefix(bytes) {
        return if literal::is_valid_v6(v6) { Ok(host[5..].to_owned()) } else { Err(EndpointError::InvalidHost) };
    }
    if hostname::is_valid(bytes) || literal::check(bytes).is_ok() {
        return Ok(host.to_owned());
    }
    // A name in another script: its servers are found by the form that DNS has.
    let encoded = if host.is_ascii() { None } else { idna::to_ascii(host) };
    encoded.filter(|name| hostname::is_valid(name.as_bytes())).ok_or(EndpointError::InvalidHost)
}

/// Why a text names no endpoint. Display is the reason; the caller adds where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// `[` without `]`.
    MissingBracket,
    /// Something other than `:` follows the `]`.
    Garbage,
    /// The host is neither a name nor an address; zones are not addresses.
    InvalidHost,
    /// A service without a port.
    MissingService,
    /// A number that is no port.
    PortNumber(String),
    /// A number with something behind it.
    AfterNumber,
    /// A name that the services database does not have.
    UnknownService(String),
}

impl fmt::Display for EndpointError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingBracket => out.write_str("missing \"]\""),
            Self::Garbage => out.write_str("garbage after \"]\""),
            Self::InvalidHost => out.write_str("valid hostname or network address required"),
            Self::MissingService => out.write_str("missing service information"),
            Self::PortNumber(port) => write!(out, "bad network port: {port}"),
            Self::AfterNumber => out.write_str("garbage after numerical service"),
            Self::UnknownService(name) => write!(out, "unknown service: {name}/tcp"),
        }
    }
}

impl std::error::Error for EndpointError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Result<(String, bool, Option<String>), String> {
        HostPort::parse_server(text)
            .map(|it| (it.host.unwrap_or_default(), it.bracketed, it.port))
            .map_err(|error| format!("{error} in server description: {text}"))
    }

    #[test]
    fn servers_are_cut_at_brackets_or_at_the_last_colon() {
        for (text, host, bracketed, port) in [
            ("host.example", "host.example", false, None),
            ("host.example:2525", "host.example", false, Some("2525")),
            ("[host.example]:smtp", "host.example", true, Some("smtp")),
            ("10.1.2.11", "10.1.2.11", false, None),
            ("[2001:db8::1]:", "2001:db8::1", true, None),
            ("[ipv6:2001:db8::1]", "2001:db8::1", true, None),
            ("[IPv6:2001:db8::1]:25", "2001:db8::1", true, Some("25")),
            ("2001:db8:1::11:2525", "2001:db8:1::11", false, Some("2525")),
            ("[::ffff:10.1.2.11]", "::ffff:10.1.2.11", true, None),
        ] {
            let expected = (host.to_owned(), bracketed, port.map(str::to_owned));
            assert_eq!(server(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn bad_servers_have_their_sentence() {
        for (text, reason) in [
            ("2001:db8:1::11", "valid hostname or network address required"),
            ("[fe80::1%e0]", "valid hostname or network address required"),
            ("", "valid hostname or network address required"),
            ("[]", "valid hostname or network address required"),
            ("inet:host.example:25", "valid hostname or network address required"),
            ("[2001:db8:1::11", "missing \"]\""),
            ("[2001:db8:1::11]2525", "garbage after \"]\""),
        ] {
            assert_eq!(server(text), Err(format!("{reason} in server description: {text}")));
        }
    }

    #[test]
    fn services_may_have_no_host_but_never_no_port() {
        for (text, shown) in [
            ("smtp", "smtp"),
            (":25", "25"),
            ("::1:25", "[::1]:25"),
            ("[::1]:smtp", "[::1]:smtp"),
            ("[ipv6:::1]:25", "[::1]:25"),
            ("localhost:25", "[localhost]:25"),
        ] {
            assert_eq!(HostPort::parse_service(text).unwrap().to_string(), shown);
        }
        let error = |text: &str| HostPort::parse_service(text).unwrap_err().to_string();
        assert_eq!(error("[::1]"), "missing service information");
        assert_eq!(error("host:"), "missing service information");
        assert_eq!(error("[::1]25"), "garbage after \"]\"");
        assert_eq!(error("[fe80::1%e0]:25"), "valid hostname or network address required");
    }

    #[test]
    fn a_port_is_between_1_and_65535() {
        let number = |text: &str| HostPort::parse_server(text).unwrap().port_number();
        assert_eq!(number("h:25"), Ok(Some(25)));
        assert_eq!(number("h:smtp"), Ok(None));
        assert_eq!(number("h"), Ok(None));
        for bad in ["h:0", "h:99999", "h:70000"] {
            let port = bad[2..].to_owned();
            assert_eq!(number(bad), Err(EndpointError::PortNumber(port)));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let _ = HostPort::parse_server(&text).map(|it| (it.port_number(), it.to_string()));
            let _ = HostPort::parse_service(&text).map(|it| (it.port_number(), it.to_string()));
        }
    }
}
