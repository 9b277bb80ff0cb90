//! The clients that are known: what they did in their time unit, and their connections.
//!
//! The number of clients is bounded. A client is forgotten when its unit is over and it has no connection; when the
//! table is full the one whose unit began first makes room, unless it has connections.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ipc::anvil::{Counts, Event};

use crate::statistics::Statistics;

/// Clients that are known at a time. told: the log; those that find no place are not limited.
const MAX_CLIENTS: usize = 100_000;

/// What is known of one client.
struct Entry {
    /// When its time unit began.
    began: Instant,
    /// Connections at this moment.
    connections: u32,
    /// Events of each kind in the unit.
    rates: [u32; Event::ALL.len()],
    /// It stands in the order.
    queued: bool,
}

/// All clients.
pub struct Table {
    unit: Duration,
    limit: usize,
    clients: HashMap<Rc<str>, Entry>,
    /// Every client without connections stands here, once, with the beginning of a unit of its own; the oldest in
    /// front.
    order: VecDeque<(Instant, Rc<str>)>,
    statistics: Statistics,
}

impl Table {
    /// An empty table; `unit` is anvil_rate_time_unit.
    pub fn new(unit: Duration) -> Table {
        Table {
            unit,
            limit: MAX_CLIENTS,
            clients: HashMap::new(),
            order: VecDeque::new(),
            statistics: Statistics::default(),
        }
    }

    /// Counts an event. What cannot be counted is the first of its kind.
    pub fn count(&mut self, event: Event, identity: &str, now: Instant) -> Counts {
        let unit = self.unit;
        let Some(entry) = self.entry(identity, now) else { return Counts { connections: 1, rate: 1 } };
        if now.duration_since(entry.began) >= unit {
            (entry.began, entry.rates) = (now, [0; Event::ALL.len()]);
        }
        let rate = &mut entry.rates[event as usize];
        *rate = rate.saturating_add(1);
        let rate = *rate;
        if event == Event::Connection {
            entry.connections = entry.connections.saturating_add(1);
        }
        let connections = entry.connections;
        self.statistics.connections(connections, identity);
        self.statistics.rate(event, rate, identity);
        Counts { connections, rate }
    }

    /// How often a client has done something in its unit.
    pub fn look(&self, event: Event, identity: &str, now: Instant) -> Counts {
        let Some(entry) = self.clients.get(identity) else { return Counts { connections: 0, rate: 0 } };
        let is_over = now.duration_since(entry.began) >= self.unit;
        Counts { connections: entry.connections, rate: if is_over { 0 } else { entry.rates[event as usize] } }
    }

    /// Connections that were counted before this table was made.
    pub fn hold(&mut self, identity: &str, count: u32, now: Instant) {
        if let Some(entry) = self.entry(identity, now) {
            entry.connections = entry.connections.saturating_add(count);
        }
    }

    /// Connections are gone.
    pub fn release(&mut self, identity: &str, count: u32, now: Instant) {
        let Some((name, _)) = self.clients.get_key_value(identity) else { return };
        let name = name.clone();
        let Some(entry) = self.clients.get_mut(identity) else { return };
        entry.connections = entry.connections.saturating_sub(count);
        if entry.connections > 0 || entry.queued {
            return;
        }
        if now.duration_since(entry.began) >= self.unit {
            self.clients.remove(&name);
        } else {
            entry.queued = true;
            self.order.push_back((entry.began, name));
        }
    }

    /// Forgets the clients whose time is over.
    pub fn forget_old(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(began, _)| now.duration_since(*began) >= self.unit) {
            let unit = self.unit;
            self.forget_first(|_, entry| now.duration_since(entry.began) >= unit);
        }
    }

    /// Logs the highest counts since the last time.
    pub fn report(&mut self) {
        self.statistics.report(self.unit);
    }

    /// The client's entry; none when it is new and there is no room.
    fn entry(&mut self, identity: &str, now: Instant) -> Option<&mut Entry> {
        self.forget_old(now);
        if !self.clients.contains_key(identity) {
            // What has begun anew goes to the end, once.
            for _ in 0..2 * self.order.len() {
                if self.clients.len() < self.limit {
                    break;
                }
                self.forget_first(|began, entry| entry.began == began);
            }
            if self.clients.len() >= self.limit {
                logging::repeated!("{} clients are connected: the limits are not kept for others", self.limit);
                return None;
            }
            let name: Rc<str> = identity.into();
            self.order.push_back((now, name.clone()));
            let rates = [0; Event::ALL.len()];
            self.clients.insert(name, Entry { began: now, connections: 0, rates, queued: true });
            self.statistics.clients(self.clients.len());
        }
        self.clients.get_mut(identity)
    }

    /// Takes the first of the order out: it is forgotten if it has no connection and `old` says so, put at the end if
    /// its unit is a later one, and out of the order as long as it has connections.
    fn forget_first(&mut self, old: impl Fn(Instant, &Entry) -> bool) {
        let Some((began, name)) = self.order.pop_front() else { return };
        let Some(entry) = self.clients.get_mut(&name) else { return };
        if entry.connections > 0 {
            entry.queued = false;
        } else if old(began, entry) {
            self.clients.remove(&name);
        } else {
            self.order.push_back((entry.began, name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNIT: Duration = Duration::from_secs(60);

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn events_are_counted_by_kind_and_client_within_the_unit() {
        let (mut table, start) = (Table::new(UNIT), Instant::now());
        assert_eq!(table.count(Event::Connection, "s:a", start), Counts { connections: 1, rate: 1 });
        assert_eq!(table.count(Event::Connection, "s:a", start), Counts { connections: 2, rate: 2 });
        assert_eq!(table.count(Event::Message, "s:a", start).rate, 1);
        assert_eq!(table.look(Event::Message, "s:a", after(start, 59)).rate, 1);
        assert_eq!(table.look(Event::Message, "s:a", after(start, 60)).rate, 0);
        assert_eq!(table.look(Event::Message, "s:nobody", start).rate, 0);
        assert_eq!(table.count(Event::Connection, "s:b", start), Counts { connections: 1, rate: 1 });
        table.release("s:a", 1, start);
        assert_eq!(table.count(Event::Connection, "s:a", after(start, 59)), Counts { connections: 2, rate: 3 });
        assert_eq!(table.count(Event::Connection, "s:a", after(start, 60)), Counts { connections: 3, rate: 1 });
    }

    #[test]
    fn a_client_without_connections_is_forgotten_after_the_unit() {
        let (mut table, start) = (Table::new(UNIT), Instant::now());
        for name in ["s:a", "s:b", "s:c"] {
            table.count(Event::Connection, name, start);
        }
        table.release("s:a", 1, start);
        table.forget_old(after(start, 59));
        assert_eq!(table.clients.len(), 3);
        table.forget_old(after(start, 61));
        assert_eq!(table.clients.len(), 2);
        table.release("s:b", 1, after(start, 61));
        assert_eq!(table.clients.len(), 1);
        table.count(Event::Message, "s:c", after(start, 62));
        table.release("s:c", 1, after(start, 63));
        table.forget_old(after(start, 123));
        assert!(table.clients.is_empty() && table.order.is_empty());
    }

    #[test]
    fn the_oldest_without_connections_makes_room_and_nobody_else() {
        let (mut table, start) = (Table::new(UNIT), Instant::now());
        table.limit = 2;
        table.count(Event::Connection, "s:held", start);
        table.count(Event::Message, "s:old", after(start, 1));
        table.count(Event::Message, "s:new", after(start, 2));
        assert!(table.clients.contains_key("s:held") && !table.clients.contains_key("s:old"));
        assert_eq!(table.count(Event::Connection, "s:new", after(start, 3)).connections, 1);
        assert_eq!(table.count(Event::Message, "s:more", after(start, 4)).rate, 1);
        assert_eq!(table.count(Event::Message, "s:more", after(start, 4)).rate, 1);
        table.release("s:held", 1, after(start, 5));
        assert_eq!(table.count(Event::Message, "s:more", after(start, 6)).rate, 1);
        assert_eq!(table.count(Event::Message, "s:more", after(start, 6)).rate, 2);
    }

    #[test]
    fn connections_that_another_table_counted_are_held() {
        let (mut table, start) = (Table::new(UNIT), Instant::now());
        table.hold("s:a", 3, start);
        assert_eq!(table.count(Event::Connection, "s:a", start), Counts { connections: 4, rate: 1 });
        table.release("s:a", 3, start);
        assert_eq!(table.count(Event::Message, "s:a", start).connections, 1);
    }

    proptest! {
        #[test]
        fn the_table_stays_within_its_bound_and_never_loses_a_connection(
            steps in prop::collection::vec((0u8..3, 0u8..6, 0u64..40), 0..200),
        ) {
            let (mut table, mut now) = (Table::new(UNIT), Instant::now());
            table.limit = 4;
            let mut held: HashMap<String, u32> = HashMap::new();
            for (what, who, wait) in steps {
                now += Duration::from_secs(wait);
                let name = format!("s:{who}");
                let known = table.clients.contains_key(name.as_str());
                match what {
                    0 if known || table.clients.len() < table.limit => {
                        let count = held.entry(name.clone()).or_default();
                        *count += 1;
                        prop_assert_eq!(table.count(Event::Connection, &name, now).connections, *count);
                    }
                    1 if held.get(&name).is_some_and(|count| *count > 0) => {
                        table.release(&name, 1, now);
                        *held.get_mut(&name).unwrap() -= 1;
                    }
                    _ => drop(table.count(Event::Message, &name, now)),
                }
                prop_assert!(table.clients.len() <= 4);
            }
            table.forget_old(now + UNIT);
            let busy = held.values().filter(|count| **count > 0).count();
            prop_assert_eq!(table.clients.len(), busy);
        }
    }
}
