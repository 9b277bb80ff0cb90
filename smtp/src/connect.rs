//! A connection to a server, from the source address that main.cf asks for.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use dsn::Status;
use logging::records::smtp::ConnectFailed;
use net::{Family, Shown};
use smtp_client::{Endpoint, Server, Stream};
use tokio::net::TcpSocket;

use crate::failure::Failure;
use crate::settings::Settings;

/// Connects. Each failure on the network is logged here, because the next server may hide it from the status line.
///
/// # Errors
/// `connect to HOST[ADDRESS]:PORT: REASON`, or the source address is not to be had.
pub async fn connect(server: &Server, settings: &Settings) -> Result<Stream, Failure> {
    let attempt = async {
        match &server.endpoint {
            Endpoint::Internet(address) => internet(*address, settings).await,
            Endpoint::Unix(path) => Ok(settings.unix_sockets.connect(path).await?.into()),
        }
    };
    // smtp_connect_timeout
    let result = match settings.limits.connect {
        limit if limit.is_zero() => attempt.await,
        limit => tokio::time::timeout(limit, attempt).await.unwrap_or(Err(Refusal::TimedOut)),
    };
    result.map_err(|refusal| {
        if matches!(server.endpoint, Endpoint::Internet(_)) {
            refusal.log(server);
        }
        refusal.failure(server)
    })
}

enum Refusal {
    Io(io::Error),
    TimedOut,
    /// The source address cannot be used, and smtp_bind_address_enforce says that no other may.
    Source,
    /// The source address makes no sense.
    Setting(String),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What smtp_bind_address_enforce makes of a source address that is not to be had.
const NO_SOURCE: &str = "server configuration error";

impl Refusal {
    fn log(&self, server: &Server) {
        let failed = |reason: &str| logging::emit(&ConnectFailed { relay: &server.relay(), reason });
        match self {
            Self::Io(error) => failed(&net::reason(error)),
            Self::TimedOut => failed(TIMED_OUT),
            Self::Source => logging::info!("{NO_SOURCE}"),
            // Whoever tries another server says it.
            Self::Setting(_) => {}
        }
    }

    fn failure(&self, server: &Server) -> Failure {
        match self {
            Self::Io(error) => unreachable(server, &net::reason(error)),
            Self::TimedOut => unreachable(server, TIMED_OUT),
            Self::Source => Failure::of_host(Status::new(4, 4, 0), NO_SOURCE),
            Self::Setting(text) => Failure::of_agent(text.clone()),
        }
    }
}

const TIMED_OUT: &str = "Connection timed out";

fn unreachable(server: &Server, why: &str) -> Failure {
    Failure::of_host(Status::new(4, 4, 1), format!("connect to {}: {why}", server.relay()))
}

async fn internet(address: SocketAddr, settings: &Settings) -> Result<Stream, Refusal> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    bind(&socket, Family::of(address.ip()), settings)?;
    if settings.bind.window > 0 {
        // tcp_windowsize
        socket.set_recv_buffer_size(settings.bind.window)?;
        socket.set_send_buffer_size(settings.bind.window)?;
    }
    let stream = socket.connect(address).await?;
    // Commands and contents are written whole: there is nothing to wait for.
    stream.set_nodelay(true)?;
    Ok(stream.into())
}

fn bind(socket: &TcpSocket, family: Family, settings: &Settings) -> Result<(), Refusal> {
    let (parameter, value) = settings.bind.of(family);
    if value.is_empty() {
        if let Some(own) = sole_address(settings, family)
            && let Err(error) = socket.bind(own)
        {
            logging::warning!("smtp_connect_addr: bind {}: {}", Shown(own.ip()), net::reason(&error));
        }
        return Ok(());
    }
    let address = source(value, parameter, settings).map_err(Refusal::Setting)?;
    match socket.bind(SocketAddr::new(address, 0)) {
        Ok(()) => Ok(()),
        Err(error) => {
            logging::warning!("smtp_connect_addr: bind {}: {}", Shown(address), net::reason(&error));
            // smtp_bind_address_enforce
            if settings.bind.enforce { Err(Refusal::Source) } else { Ok(()) }
        }
    }
}

/// When inet_interfaces has exactly one address of a family and it is no loopback address, mail leaves from there.
fn sole_address(settings: &Settings, family: Family) -> Option<SocketAddr> {
    let mut own = settings.own.iter().filter(|interface| Family::of(interface.address) == family);
    let (first, second) = (own.next()?, own.next());
    if second.is_some() || first.address.is_loopback() {
        return None;
    }
    Some(match first.address {
        IpAddr::V4(v4) => SocketAddr::from((v4, 0)),
        IpAddr::V6(v6) => SocketAddr::V6(SocketAddrV6::new(v6, 0, 0, first.scope.unwrap_or(0))),
    })
}

/// The value of smtp_bind_address or smtp_bind_address6, brackets or not.
fn source(value: &str, parameter: &str, settings: &Settings) -> Result<IpAddr, String> {
    let agent = settings.protocol.name();
    let text = match value.strip_prefix('[') {
        None => value,
        Some(rest) => rest
            .strip_suffix(']')
            .filter(|inside| !inside.contains(']'))
            .ok_or_else(|| format!("smtp_connect_addr: malformed {agent}_{parameter} parameter: {value}"))?,
    };
    net::address::parse(text.as_bytes()).filter(|address| settings.protocols.allows(*address)).ok_or_else(|| {
        format!("smtp_connect_addr: bad {agent}_{parameter} parameter: {value}: Name or service not known")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixture;
    use net::Interface;

    #[test]
    fn a_source_address_is_numeric_of_an_enabled_family_and_may_have_brackets() {
        let mut settings = fixture::settings();
        let text = |value: &str, settings: &Settings| source(value, "bind_address6", settings);
        assert_eq!(text("[2001:db8::1]", &settings), Ok("2001:db8::1".parse().unwrap()));
        assert_eq!(
            text("[2001:db8::1", &settings),
            Err("smtp_connect_addr: malformed smtp_bind_address6 parameter: [2001:db8::1".to_owned())
        );
        let bad = "smtp_connect_addr: bad smtp_bind_address6 parameter: bogus: Name or service not known";
        assert_eq!(text("bogus", &settings), Err(bad.to_owned()));
        settings.protocols = net::Protocols::V4;
        assert!(text("2001:db8::1", &settings).is_err());
    }

    #[test]
    fn a_sole_address_is_the_source_unless_it_is_loopback() {
        let mut settings = fixture::settings();
        let interface = |text: &str| Interface { address: text.parse().unwrap(), scope: None, prefix: 24 };
        settings.own = vec![interface("127.0.0.1"), interface("2001:db8::26")];
        assert_eq!(sole_address(&settings, Family::V4), None);
        assert_eq!(sole_address(&settings, Family::V6), Some("[2001:db8::26]:0".parse().unwrap()));
        settings.own.push(interface("2001:db8::27"));
        assert_eq!(sole_address(&settings, Family::V6), None);
    }

    #[tokio::test]
    async fn a_closed_port_is_refused_with_the_systems_words() {
        let free = std::net::TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap();
        let server = Server::new("h.test", Endpoint::Internet(free), 0);
        let failure = connect(&server, &fixture::settings()).await.err().unwrap();
        assert_eq!(failure.reason, format!("connect to h.test[::1]:{}: Connection refused", free.port()));
        assert_eq!(failure.status, Status::new(4, 4, 1));
    }

    #[tokio::test]
    async fn an_enforced_source_address_that_is_not_here_fails_the_server() {
        let mut settings = fixture::settings();
        settings.bind.v4 = "192.0.2.77".to_owned();
        settings.bind.enforce = true;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Internet(listener.local_addr().unwrap());
        let server = Server::new("h.test", endpoint, 0);
        let failure = connect(&server, &settings).await.err().unwrap();
        assert_eq!((failure.reason.as_str(), failure.status), ("server configuration error", Status::new(4, 4, 0)));
        settings.bind.enforce = false;
        assert!(connect(&server, &settings).await.is_ok());
    }
}
