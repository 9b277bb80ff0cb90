//! Parameters whose name starts with the name of a master.cf service: `relay_destination_rate_delay`.
//!
//! Any service of a delivery program has them; `postconf` lists them per service, and a program reads its own
//! through [`crate::Config::transport_value`].

use crate::entry::Entry;

/// A family of per-transport parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// What follows the service name.
    pub suffix: &'static str,
    /// The parameter that gives the value when the transport's own is not set.
    pub fallback: &'static str,
    /// Which programs' services have it.
    pub owner: Owner,
}

/// Whose services have the parameters of a [`Family`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Every delivery agent; the queue manager reads them.
    Delivery,
    /// Services of the pipe program.
    Pipe,
    /// Services of the spawn program.
    Spawn,
}

/// Every family, sorted by suffix.
pub const FAMILIES: [Family; 16] = [
    delivery("_delivery_slot_cost", "default_delivery_slot_cost"),
    delivery("_delivery_slot_discount", "default_delivery_slot_discount"),
    delivery("_delivery_slot_loan", "default_delivery_slot_loan"),
    delivery("_destination_concurrency_failed_cohort_limit", "default_destination_concurrency_failed_cohort_limit"),
    delivery("_destination_concurrency_limit", "default_destination_concurrency_limit"),
    delivery("_destination_concurrency_negative_feedback", "default_destination_concurrency_negative_feedback"),
    delivery("_destination_concurrency_positive_feedback", "default_destination_concurrency_positive_feedback"),
    delivery("_destination_rate_delay", "default_destination_rate_delay"),
    delivery("_destination_recipient_limit", "default_destination_recipient_limit"),
    delivery("_extra_recipient_limit", "default_extra_recipient_limit"),
    delivery("_initial_destination_concurrency", "initial_destination_concurrency"),
    delivery("_minimum_delivery_slots", "default_minimum_delivery_slots"),
    delivery("_recipient_limit", "default_recipient_limit"),
    delivery("_recipient_refill_delay", "default_recipient_refill_delay"),
    delivery("_recipient_refill_limit", "default_recipient_refill_limit"),
    delivery("_transport_rate_delay", "default_transport_rate_delay"),
];

/// The time limit of external commands, of `pipe` and `spawn` services.
pub const TIME_LIMIT: [Family; 2] = [
    Family { suffix: "_time_limit", fallback: "command_time_limit", owner: Owner::Pipe },
    Family { suffix: "_time_limit", fallback: "command_time_limit", owner: Owner::Spawn },
];

/// The programs whose services have parameters of the queue manager (discard has none).
pub const DELIVERY_PROGRAMS: [&str; 6] = ["error", "lmtp", "local", "pipe", "smtp", "virtual"];

/// The per-transport families that a service of `program` (the command of its master.cf entry) has.
pub fn families_of(program: &str) -> impl Iterator<Item = Family> {
    let delivers = DELIVERY_PROGRAMS.contains(&program);
    let limited = match program {
        "pipe" => Some(TIME_LIMIT[0]),
        "spawn" => Some(TIME_LIMIT[1]),
        _ => None,
    };
    FAMILIES.into_iter().filter(move |_| delivers).chain(limited)
}

/// Whether a parameter's name ends like one of a family, whatever the transport.
pub fn family_of(name: &str) -> Option<Family> {
    FAMILIES
        .into_iter()
        .chain([TIME_LIMIT[0]])
        .filter(|family| name.len() > family.suffix.len() && name.ends_with(family.suffix))
        .max_by_key(|family| family.suffix.len())
}

/// The entry that says what a value of this parameter may be: its own, or that of its family.
pub fn entry_of(name: &str) -> Option<&'static Entry> {
    crate::find(name).or_else(|| crate::find(family_of(name)?.fallback))
}

/// `smtp_destination_concurrency_limit` and its like stand in the table, but there only as long as there is such a service.
pub fn is_service_default(entry: &Entry) -> bool {
    family_of(entry.name).is_some_and(|family| entry.default.strip_prefix('$') == Some(family.fallback))
}

const fn delivery(suffix: &'static str, fallback: &'static str) -> Family {
    Family { suffix, fallback, owner: Owner::Delivery }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fallback_of_every_family_is_in_the_table() {
        for family in FAMILIES {
            assert!(crate::find(family.fallback).is_some(), "{}", family.fallback);
        }
    }

    #[test]
    fn the_longest_suffix_decides() {
        let family = family_of("relay_destination_recipient_limit").unwrap();
        assert_eq!(family.suffix, "_destination_recipient_limit");
        assert_eq!(family_of("_recipient_limit"), None);
    }
}
