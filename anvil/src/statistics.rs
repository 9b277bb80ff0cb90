//! The highest counts since the last report, with whose they were and when.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ipc::anvil::Event;
use logging::records::anvil::Statistic;

/// One highest value.
#[derive(Clone, Debug, Default)]
struct Highest {
    value: u32,
    identity: String,
    when: i64,
}

impl Highest {
    fn note(&mut self, value: u32, identity: &str) {
        if value > self.value {
            let when = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
            *self = Highest { value, identity: identity.to_owned(), when: when.cast_signed() };
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Statistics {
    rates: [Highest; Event::ALL.len()],
    connections: Highest,
    clients: Highest,
}

impl Statistics {
    /// A client has done something so often.
    pub fn rate(&mut self, event: Event, value: u32, identity: &str) {
        self.rates[event as usize].note(value, identity);
    }

    /// A client has so many connections.
    pub fn connections(&mut self, value: u32, identity: &str) {
        self.connections.note(value, identity);
    }

    /// So many clients are known.
    pub fn clients(&mut self, value: usize) {
        self.clients.note(u32::try_from(value).unwrap_or(u32::MAX), "");
    }

    /// Logs what there is, and begins anew.
    pub fn report(&mut self, unit: Duration) {
        for line in self.lines(unit) {
            logging::emit(&line);
        }
        *self = Statistics::default();
    }

    fn lines(&self, unit: Duration) -> Vec<Statistic<'_>> {
        let rate = |what, event: Event| line(what, &self.rates[event as usize], Some(unit.as_secs()));
        let all = [
            rate("connection rate", Event::Connection),
            line("connection count", &self.connections, None),
            rate("message rate", Event::Message),
            rate("recipient rate", Event::Recipient),
            rate("newtls rate", Event::NewTls),
            rate("auth rate", Event::Auth),
            line("cache size", &self.clients, None),
        ];
        all.into_iter().filter(|line| line.value > 0).collect()
    }
}

fn line<'a>(what: &'static str, highest: &'a Highest, seconds: Option<u64>) -> Statistic<'a> {
    let client = Some(highest.identity.as_str()).filter(|identity| !identity.is_empty());
    Statistic { what, value: highest.value, seconds, client, at: logging::moment(highest.when) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(statistics: &Statistics) -> Vec<String> {
        let lines = statistics.lines(Duration::from_secs(60));
        lines.iter().map(|line| line.to_string().split(" at ").next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn the_highest_of_each_kind_is_reported_with_whose_it_was() {
        let mut statistics = Statistics::default();
        assert!(shown(&statistics).is_empty());
        statistics.rate(Event::Connection, 3, "smtp:10.0.0.1");
        statistics.rate(Event::Connection, 2, "smtp:10.0.0.2");
        statistics.rate(Event::Recipient, 7, "smtp:2001:db8:1::/84");
        statistics.connections(1, "smtp:10.0.0.1");
        statistics.clients(2);
        assert_eq!(
            shown(&statistics),
            [
                "statistics: max connection rate 3/60s for (smtp:10.0.0.1)",
                "statistics: max connection count 1 for (smtp:10.0.0.1)",
                "statistics: max recipient rate 7/60s for (smtp:2001:db8:1::/84)",
                "statistics: max cache size 2",
            ]
        );
        statistics.report(Duration::from_secs(60));
        assert!(shown(&statistics).is_empty());
    }
}
