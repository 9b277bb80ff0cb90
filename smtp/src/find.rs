//! From a destination to its servers, with the test whether one of them is this machine.

use std::rc::Rc;

use dns::Resolver;
use dsn::Status;
use smtp_client::{Destination, Endpoint, Finder, Late, Server};

use crate::candidates::Candidates;
use crate::failure::Failure;
use crate::home::Home;
use crate::settings::Settings;

/// The servers of a destination, best first.
///
/// # Errors
/// There are none, there is no answer, or mail would come back here.
pub async fn servers(
    resolver: &Resolver,
    settings: &Rc<Settings>,
    destination: &Destination,
) -> Result<Candidates, Failure> {
    let (host, lookup, port, service) = match destination {
        Destination::Unix(path) => {
            let endpoint = Endpoint::Unix(path.clone());
            let server = Server::new(&settings.hostname, endpoint, 0);
            return Ok(Candidates::new(vec![server], Vec::new(), Late::default(), 0, Home::elsewhere()));
        }
        Destination::Internet { host, lookup, port, service } => (host.as_str(), *lookup, *port, service.as_deref()),
    };
    if settings.protocols.is_empty() {
        return Err(Failure::of_way(Status::new(4, 4, 4), "all network protocols are disabled"));
    }
    let is_patient = settings.families.attempt_delay.is_none();
    let finder = Finder { resolver, rules: settings.lookup, protocols: settings.protocols, port, is_patient };
    let found = finder.find(host, lookup, service).await.map_err(|none| Failure::of_way(none.status, none.reason))?;
    let home = Home::of(settings, &found.domain, port, found.best);
    let servers = without_home(&home, found.servers)?;
    let (within, beyond) = settings.order.apply(servers);
    Ok(Candidates::new(within, beyond, found.late, settings.order.limit, home))
}

/// The servers that are better than this machine, as far as is known.
fn without_home(home: &Home, servers: Vec<Server>) -> Result<Vec<Server>, Failure> {
    let own = servers.iter().filter(|server| home.is(server)).map(|server| server.preference).min();
    let Some(own) = own else { return Ok(servers) };
    let better: Vec<_> = servers.into_iter().filter(|server| server.preference < own).collect();
    if better.is_empty() { Err(home.failure(own)) } else { Ok(better) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixture;
    use smtp_client::Protocol;

    fn found(list: &[(u16, &str)]) -> Vec<Server> {
        let server = |(preference, address): &(u16, &str)| {
            Server::new("m.test", Endpoint::Internet(format!("{address}:25").parse().unwrap()), *preference)
        };
        list.iter().map(server).collect()
    }

    fn kept(list: &[(u16, &str)], best: u16) -> Result<usize, String> {
        let home = Home::of(&fixture::shared(), "d.test", 25, best);
        without_home(&home, found(list)).map(|it| it.len()).map_err(|it| it.reason)
    }

    #[test]
    fn only_better_servers_than_this_one_are_kept() {
        let list = [(10, "192.0.2.1"), (20, "127.0.0.1"), (20, "192.0.2.2"), (30, "192.0.2.3")];
        assert_eq!(kept(&list, 10), Ok(1));
        assert_eq!(kept(&list[..1], 10), Ok(1));
    }

    #[test]
    fn the_best_server_being_this_one_is_a_loop_and_a_missing_better_one_is_not() {
        assert_eq!(kept(&[(10, "127.0.0.1")], 10), Err("mail for d.test loops back to myself".to_owned()));
        let missing = "unable to find primary relay for d.test".to_owned();
        assert_eq!(kept(&[(20, "[::1]")], 10), Err(missing));
    }

    #[tokio::test]
    async fn a_literal_of_a_disabled_family_is_an_invalid_name() {
        let mut settings = fixture::settings();
        settings.protocols = net::Protocols::V4;
        let resolver = Resolver::with_servers(vec!["127.0.0.1:9".parse().unwrap()], settings.protocols);
        let destination = Destination::parse("[2001:db8:1::11]", Protocol::Smtp, &settings.services).unwrap();
        let failure = servers(&resolver, &Rc::new(settings), &destination).await.err().unwrap();
        assert_eq!(failure.reason, "Name service error for 2001:db8:1::11: invalid host or domain name");
        assert_eq!(failure.status, Status::new(5, 4, 4));
        let mut settings = fixture::settings();
        settings.protocols = net::Protocols::NONE;
        let failure = servers(&resolver, &Rc::new(settings), &destination).await.err().unwrap();
        assert_eq!(failure.reason, "all network protocols are disabled");
    }
}
