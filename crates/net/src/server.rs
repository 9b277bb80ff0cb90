//! Where a server of others is, as main.cf names it: smtpd_sasl_path, check_policy_service.

use std::path::PathBuf;

use crate::{EndpointError, HostPort, ports};

/// A place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// A stream socket of this machine; a relative name is below the queue directory.
    Unix(PathBuf),
    /// Host, as a name or an address, and port.
    Internet(String, u16),
}

impl Server {
    /// `private/auth`, `unix:PATH`, `inet:HOST:PORT`, `inet:PORT`.
    ///
    /// # Errors
    /// The sentence about a port that is none.
    pub fn parse(path: &str) -> Result<Server, String> {
        let Some(server) = path.strip_prefix("inet:") else {
            return Ok(Server::Unix(path.strip_prefix("unix:").unwrap_or(path).into()));
        };
        let fails = |error: EndpointError| format!("{server}: {error}");
        let endpoint = HostPort::parse_service(server).map_err(fails)?;
        let port = ports::of(&endpoint).map_err(fails)?;
        Ok(Server::Internet(endpoint.host.unwrap_or_else(|| "localhost".to_owned()), port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_socket_unless_it_says_inet() {
        for path in ["private/auth", "unix:private/auth"] {
            assert_eq!(Server::parse(path), Ok(Server::Unix("private/auth".into())));
        }
        assert_eq!(Server::parse("/run/auth"), Ok(Server::Unix("/run/auth".into())));
        assert_eq!(Server::parse("inet:[::1]:12345"), Ok(Server::Internet("::1".to_owned(), 12345)));
        assert_eq!(Server::parse("inet:12345"), Ok(Server::Internet("localhost".to_owned(), 12345)));
        let garbage = "127.0.0.1: garbage after numerical service";
        assert_eq!(Server::parse("inet:127.0.0.1"), Err(garbage.to_owned()));
    }
}
