//! In which order the servers of a destination are tried, and how many of them.
//!
//! The mail exchanger preference always counts more than the address family: family and chance decide only among
//! equals.

use config::param::twin;
use net::Family;

use crate::chance::Chance;
use crate::server::{Endpoint, Server};

/// Which family is tried first among equals (smtp_address_preference).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// Neither.
    Any,
    /// This one.
    First(Family),
}

impl Preference {
    fn named(name: String) -> Preference {
        match name.as_str() {
            "ipv4" => Preference::First(Family::V4),
            "ipv6" => Preference::First(Family::V6),
            _ => Preference::Any,
        }
    }
}

config::settings! {
    /// The rules of one agent.
    #[derive(Clone, Copy, Debug)]
    pub struct Order {
        preference: Preference = twin::ADDRESS_PREFERENCE => Preference::named,
        randomize: bool = twin::RANDOMIZE_ADDRESSES,
        /// 0 is no limit.
        limit: usize = twin::MX_ADDRESS_LIMIT,
        balance: bool = twin::BALANCE_INET_PROTOCOLS,
    }
}

impl Order {
    /// Sorts the servers; those beyond the limit come second, in the same order.
    pub fn apply(&self, mut servers: Vec<Server>) -> (Vec<Server>, Vec<Server>) {
        if self.randomize {
            Chance::new().shuffle(&mut servers);
        }
        servers.sort_by_key(|server| (server.preference, server.turn, self.rank(server)));
        let mut beyond = Vec::new();
        if self.limit > 0 && servers.len() > self.limit {
            if self.balance {
                beyond = balance(&mut servers, self.limit);
            }
            // told: the caller, who gets them apart.
            beyond.extend(servers.drain(self.limit.min(servers.len())..));
        }
        (servers, beyond)
    }

    fn rank(&self, server: &Server) -> u8 {
        match self.preference {
            Preference::First(family) if server.family() != Some(family) => 1,
            _ => 0,
        }
    }
}

/// Makes room for both families within the limit, so that one family that is broken does not take every attempt; what
/// has to make it.
fn balance(servers: &mut Vec<Server>, limit: usize) -> Vec<Server> {
    let count = |family| servers.iter().filter(|server| server.family() == Some(family)).count();
    let (v4, v6) = (count(Family::V4), count(Family::V6));
    if v4 == 0 || v6 == 0 {
        return Vec::new();
    }
    let (keep4, keep6) = if v6 <= limit / 2 {
        (limit - v6, v6)
    } else if v4 <= limit / 2 {
        (v4, limit - v4)
    } else if servers.first().and_then(Server::family) == Some(Family::V4) {
        (limit.div_ceil(2), limit / 2)
    } else {
        (limit / 2, limit.div_ceil(2))
    };
    let (mut left4, mut left6) = (keep4, keep6);
    let surplus = servers.extract_if(.., |server| {
        let left = match &server.endpoint {
            Endpoint::Internet(address) if address.is_ipv4() => &mut left4,
            Endpoint::Internet(_) => &mut left6,
            Endpoint::Unix(_) => return false,
        };
        let keep = *left > 0;
        *left = left.saturating_sub(1);
        !keep
    });
    surplus.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(preference: u16, address: &str) -> Server {
        Server::new("m.test", Endpoint::Internet(format!("{address}:25").parse().unwrap()), preference)
    }

    /// Six IPv6 and three IPv4 addresses of one preference, in the order of the look-up.
    fn many() -> Vec<Server> {
        let v4 = (1..=3).map(|n| server(10, &format!("192.0.2.{n}")));
        let v6 = (1..=6).map(|n| server(10, &format!("[2001:db8::{n}]")));
        v4.chain(v6).collect()
    }

    fn families(servers: &[Server]) -> String {
        let digit = |server: &Server| if server.family() == Some(Family::V4) { '4' } else { '6' };
        servers.iter().map(digit).collect()
    }

    fn ordered(preference: Preference, limit: usize, balance: bool) -> String {
        let order = Order { preference, randomize: true, limit, balance };
        let (kept, beyond) = order.apply(many());
        assert_eq!(kept.len() + beyond.len(), 9);
        families(&kept)
    }

    #[test]
    fn balancing_leaves_room_for_both_families() {
        let (first4, first6) = (Preference::First(Family::V4), Preference::First(Family::V6));
        assert_eq!(ordered(first6, 5, true), "66644");
        assert_eq!(ordered(first4, 5, true), "44466");
        assert_eq!(ordered(first4, 2, true), "46");
        assert_eq!(ordered(first6, 4, true), "6644");
        assert_eq!(ordered(first6, 0, true), "666666444");
        assert_eq!(ordered(first6, 5, false), "66666");
    }

    #[test]
    fn a_small_family_is_kept_whole() {
        let mut servers = many();
        servers.retain(|it| it.family() == Some(Family::V6) || it.endpoint.to_string() == "[192.0.2.1]:25");
        let order = Order { preference: Preference::First(Family::V6), randomize: false, limit: 5, balance: true };
        let (kept, beyond) = order.apply(servers);
        assert_eq!((families(&kept), families(&beyond)), ("66664".to_owned(), "66".to_owned()));
    }

    #[test]
    fn mail_exchanger_preference_counts_more_than_family() {
        let servers = vec![server(20, "[2001:db8::1]"), server(10, "192.0.2.1")];
        let order = Order { preference: Preference::First(Family::V6), randomize: true, limit: 5, balance: true };
        assert_eq!(families(&order.apply(servers).0), "46");
    }

    #[test]
    fn without_chance_and_preference_the_order_of_the_look_up_stays() {
        let order = Order { preference: Preference::Any, randomize: false, limit: 0, balance: true };
        assert_eq!(order.apply(many()), (many(), Vec::new()));
    }

    #[test]
    fn shuffling_loses_nothing_and_in_time_changes_the_order() {
        let order = Order { preference: Preference::Any, randomize: true, limit: 0, balance: false };
        let mut orders = std::collections::HashSet::new();
        for _ in 0..50 {
            let (shuffled, _) = order.apply(many());
            assert_eq!(shuffled.len(), 9);
            orders.insert(families(&shuffled));
        }
        assert!(orders.len() > 1);
    }
}
