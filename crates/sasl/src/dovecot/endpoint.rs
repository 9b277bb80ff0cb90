//! Where the server is. smtpd_sasl_path

use std::path::PathBuf;

use net::HostPort;

/// A place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket of this machine; a relative name is below the queue directory.
    Unix(PathBuf),
    /// Host, as a name or an address, and port.
    Internet(String, u16),
}

impl Endpoint {
    /// `private/auth`, `unix:PATH`, `inet:HOST:PORT`, `inet:PORT`.
    ///
    /// # Errors
    /// The sentence about a port that is none.
    pub fn parse(path: &str) -> Result<Endpoint, String> {
        let Some(server) = path.strip_prefix("inet:") else {
            return Ok(Endpoint::Unix(path.strip_prefix("unix:").unwrap_or(path).into()));
        };
        let fails = |error: net::EndpointError| format!("{server}: {error}");
        let endpoint = HostPort::parse_service(server).map_err(fails)?;
        let port = net::ports::of(&endpoint).map_err(fails)?;
        Ok(Endpoint::Internet(endpoint.host.unwrap_or_else(|| "localhost".to_owned()), port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_socket_unless_it_says_inet() {
        for path in ["private/auth", "unix:private/auth"] {
            assert_eq!(Endpoint::parse(path), Ok(Endpoint::Unix("private/auth".into())));
        }
        assert_eq!(Endpoint::parse("/run/auth"), Ok(Endpoint::Unix("/run/auth".into())));
        assert_eq!(Endpoint::parse("inet:[::1]:12345"), Ok(Endpoint::Internet("::1".to_owned(), 12345)));
        assert_eq!(Endpoint::parse("inet:12345"), Ok(Endpoint::Internet("localhost".to_owned(), 12345)));
        let garbage = "127.0.0.1: garbage after numerical service";
        assert_eq!(Endpoint::parse("inet:127.0.0.1"), Err(garbage.to_owned()));
    }
}
