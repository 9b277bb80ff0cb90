//! What an answer section says about a name, with CNAME records followed.

use crate::message::{Data, Record};
use crate::name::Name;

/// The longest chain of CNAME records that is followed.
/// told: the caller ([`Answer::Loop`]).
pub(crate) const LONGEST_CHAIN: usize = 10;

/// The result of following a name through one answer.
pub(crate) enum Answer<T> {
    /// Records of the type asked for, and whose they are: the end of the chain.
    Found(Vec<T>, Name),
    /// A chain that leads to a name without records in this answer; ask for that one.
    Alias(Name),
    /// Nothing about the name.
    Nothing,
    /// A chain without end.
    Loop,
}

/// Follows `name` through the records and picks those that `pick` takes.
pub(crate) fn follow<T>(name: &Name, records: &[Record], pick: impl Fn(&Data) -> Option<T>) -> Answer<T> {
    let mut name = name;
    for step in 0..=LONGEST_CHAIN {
        let of_name = || records.iter().filter(|record| record.owner == *name);
        let found: Vec<T> = of_name().filter_map(|record| pick(&record.data)).collect();
        if !found.is_empty() {
            return Answer::Found(found, name.clone());
        }
        let alias = of_name().find_map(|record| match &record.data {
            Data::Alias(target) => Some(target),
            _ => None,
        });
        match alias {
            Some(target) => name = target,
            None if step == 0 => return Answer::Nothing,
            None => return Answer::Alias(name.clone()),
        }
    }
    Answer::Loop
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn alias(from: &str, to: &str) -> Record {
        Record { owner: name(from), ttl: 60, data: Data::Alias(name(to)) }
    }

    fn pick(data: &Data) -> Option<IpAddr> {
        match data {
            Data::Address(address) => Some(*address),
            _ => None,
        }
    }

    #[test]
    fn records_at_the_end_of_a_chain_are_found_in_any_case_of_letters() {
        let address = Record { owner: name("C.test"), ttl: 60, data: Data::Address([127, 0, 0, 1].into()) };
        let records = [alias("a.test", "b.test"), alias("B.test", "c.test"), address];
        assert!(matches!(follow(&name("A.test"), &records, pick), Answer::Found(found, owner)
            if found.len() == 1 && owner.to_string() == "c.test"));
    }

    #[test]
    fn a_chain_that_leaves_the_answer_is_an_alias_and_a_circle_is_a_loop() {
        let open = [alias("a.test", "b.test")];
        assert!(matches!(follow(&name("a.test"), &open, pick), Answer::Alias(to) if to == name("b.test")));
        let circle = [alias("a.test", "b.test"), alias("b.test", "a.test")];
        assert!(matches!(follow(&name("a.test"), &circle, pick), Answer::Loop));
        assert!(matches!(follow(&name("x.test"), &open, pick), Answer::Nothing));
    }
}
