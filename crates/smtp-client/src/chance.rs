//! Chance, which spreads load among servers.

use std::hash::{BuildHasher, Hasher, RandomState};

use dns::Offers;

/// Numbers that nobody has to guess: the standard library's hash keys are random enough to spread load.
pub struct Chance(u64);

impl Chance {
    pub fn new() -> Self {
        Self(RandomState::new().build_hasher().finish() | 1)
    }

    /// A number from 0 to `last`.
    fn up_to(&mut self, last: u32) -> u32 {
        // xorshift
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // cannot fail: it is no more than `last`
        u32::try_from(self.0 % (u64::from(last) + 1)).unwrap_or(last)
    }

    /// Any order is as likely as another (Fisher-Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            let other = self.up_to(u32::try_from(at).unwrap_or(u32::MAX));
            list.swap(at, other as usize);
        }
    }

    /// Hosts of a service in the order in which they are to be tried: by priority, and among equals each next one by
    /// chance, where weight counts (RFC 2782).
    pub fn draw(&mut self, mut hosts: Offers) -> Offers {
        // Those without weight come first: they have their chance when nothing is drawn.
        hosts.sort_by_key(|(offer, _)| (offer.priority, offer.weight > 0));
        let mut drawn = Offers::with_capacity(hosts.len());
        while let Some((first, _)) = hosts.first() {
            let priority = first.priority;
            let equals = hosts.partition_point(|(offer, _)| offer.priority == priority);
            let mut left = self.up_to(hosts[..equals].iter().map(|(offer, _)| u32::from(offer.weight)).sum());
            let is_drawn = |(offer, _): &(dns::Offer, String)| {
                let weight = u32::from(offer.weight);
                let reached = left <= weight;
                left = left.saturating_sub(weight);
                reached
            };
            let at = hosts[..equals].iter().position(is_drawn).unwrap_or(0);
            drawn.push(hosts.remove(at));
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns::Offer;

    fn hosts(list: &[(u16, u16, &str)]) -> Offers {
        let offer = |(priority, weight, host): &(u16, u16, &str)| {
            (Offer { priority: *priority, weight: *weight, port: 25 }, (*host).to_owned())
        };
        list.iter().map(offer).collect()
    }

    fn names(hosts: &Offers) -> String {
        hosts.iter().map(|(_, host)| host.as_str()).collect()
    }

    #[test]
    fn priority_counts_more_than_weight_and_no_host_is_lost() {
        let list = [(20, 60_000, "d"), (10, 0, "a"), (10, 0, "b"), (10, 10, "c"), (30, 1, "e")];
        for _ in 0..100 {
            let mut order = names(&Chance::new().draw(hosts(&list)));
            assert_eq!(order.split_off(3), "de");
            assert!(["a", "b", "c"].iter().all(|host| order.contains(host)), "{order}");
        }
    }

    #[test]
    fn a_host_comes_first_as_often_as_its_weight_says() {
        let mut chance = Chance::new();
        let list = [(10, 10, "a"), (10, 30, "b"), (10, 0, "c")];
        let first = |chance: &mut Chance| names(&chance.draw(hosts(&list)))[..1].to_owned();
        let drawn: Vec<String> = (0..20_000).map(|_| first(&mut chance)).collect();
        let share = |host: &str| drawn.iter().filter(|other| *other == host).count();
        // 10, 30 and 1 of the 41 numbers that can be drawn; far beyond what chance does to that.
        assert!((4_000..5_800).contains(&share("a")), "{}", share("a"));
        assert!((13_700..15_500).contains(&share("b")), "{}", share("b"));
        assert!((200..900).contains(&share("c")), "{}", share("c"));
    }

    #[test]
    fn weights_beyond_all_measure_are_added_up() {
        let list: Vec<(u16, u16, &str)> = vec![(0, u16::MAX, "x"); 3_000];
        assert_eq!(Chance::new().draw(hosts(&list)).len(), 3_000);
    }
}
