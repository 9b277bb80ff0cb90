//! How many there are of each domain, and how old they are.

use std::collections::{HashMap, HashSet};

use crate::request::Buckets;

/// Domains that are told apart.
/// told: the caller, by an error.
const MAX_DOMAINS: usize = 2_000_000;
/// The domain of what has no sender.
const NOBODY: &[u8] = b"MAILER-DAEMON";

/// A line of numbers: one for each column.
pub(crate) type Numbers = Vec<u64>;

/// The numbers of a domain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The domain in lower case; a parent with a leading dot.
    pub(crate) name: Vec<u8>,
    pub(crate) numbers: Numbers,
}

impl Row {
    /// All of it.
    pub(crate) fn total(&self) -> u64 {
        self.numbers.iter().sum()
    }
}

/// What was counted until now.
#[derive(Debug)]
pub(crate) struct Counts {
    buckets: Buckets,
    domains: HashMap<Vec<u8>, Numbers>,
    limit: usize,
}

impl Counts {
    /// Nothing.
    pub(crate) fn new(buckets: Buckets) -> Self {
        Self { buckets, domains: HashMap::new(), limit: MAX_DOMAINS }
    }

    /// Counts a sender.
    ///
    /// # Errors
    /// There are too many domains.
    pub(crate) fn add_sender(&mut self, address: &[u8], age: i64) -> Result<(), String> {
        match address {
            b"" => self.add(NOBODY.to_vec(), age),
            _ => self.add_recipient(address, age),
        }
    }

    /// Counts a recipient.
    ///
    /// # Errors
    /// There are too many domains.
    pub(crate) fn add_recipient(&mut self, address: &[u8], age: i64) -> Result<(), String> {
        let (_, domain) = address::split(address);
        self.add(domain.unwrap_or_default().to_ascii_lowercase(), age)
    }

    fn add(&mut self, domain: Vec<u8>, age: i64) -> Result<(), String> {
        if self.domains.len() == self.limit && !self.domains.contains_key(&domain) {
            return Err(format!("too many domains: more than {}", self.limit));
        }
        let numbers = self.domains.entry(domain).or_insert_with(|| vec![0; self.buckets.count]);
        numbers[self.buckets.column(age)] += 1;
        Ok(())
    }

    /// The sums of the columns.
    pub(crate) fn totals(&self) -> Numbers {
        let mut totals = vec![0; self.buckets.count];
        self.domains.values().for_each(|numbers| add_to(&mut totals, numbers));
        totals
    }

    /// The rows, the largest first, parents with so many names right below them among them.
    pub(crate) fn rows(&self, parents: Option<usize>) -> Vec<Row> {
        let own = self.domains.iter().map(|(name, numbers)| Row { name: name.clone(), numbers: numbers.clone() });
        let mut rows: Vec<Row> = own.chain(parents.into_iter().flat_map(|least| self.parents(least))).collect();
        rows.sort_by_cached_key(|row| (std::cmp::Reverse(row.total()), row.name.len(), row.name.clone()));
        rows
    }

    fn parents(&self, least: usize) -> Vec<Row> {
        let mut parents: HashMap<&[u8], (Numbers, HashSet<&[u8]>)> = HashMap::new();
        for (domain, numbers) in &self.domains {
            let mut child = domain.as_slice();
            for parent in ancestors(domain) {
                let empty = || (vec![0; numbers.len()], HashSet::new());
                let (sum, children) = parents.entry(parent).or_insert_with(empty);
                add_to(sum, numbers);
                children.insert(child);
                child = parent;
            }
        }
        let large = parents.into_iter().filter(|(_, (_, children))| children.len() >= least);
        large.map(|(name, (numbers, _))| Row { name: name.to_vec(), numbers }).collect()
    }
}

fn add_to(sum: &mut Numbers, numbers: &Numbers) {
    sum.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
}

/// `.b.example` and `.example.com` of a name; no top-level domain, and nothing of an address in brackets.
fn ancestors(domain: &[u8]) -> impl Iterator<Item = &[u8]> {
    let dots = domain.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| &domain[at..]);
    dots.filter(|parent| parent[1..].contains(&b'.') && !domain.starts_with(b"["))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(addresses: &[&str]) -> Counts {
        let mut counts = Counts::new(Buckets { count: 2, minutes: 1.0, linear: false });
        for address in addresses {
            counts.add_recipient(address.as_bytes(), 0).unwrap();
        }
        counts
    }

    fn shown(rows: &[Row]) -> Vec<String> {
        rows.iter().map(|row| format!("{} {}", String::from_utf8_lossy(&row.name), row.total())).collect()
    }

    const NESTED: [&str; 8] = [
        "x@a.b.c.d.e.example",
        "x@f.c.d.e.example",
        "x@c.d.e.example",
        "x@d.e.example",
        "x@e.example",
        "y@g.c.d.e.example",
        "y@a.tld",
        "y@[192.0.2.1]",
    ];

    #[test]
    fn a_parent_has_what_is_below_it_and_is_shown_with_so_many_names_right_below_it() {
        let counts = counts(&NESTED);
        let parents = |least| {
            let rows = shown(&counts.rows(Some(least)));
            rows.into_iter().filter(|row| row.starts_with('.')).collect::<Vec<_>>()
        };
        assert_eq!(parents(1), [".e.example 5", ".d.e.example 4", ".c.d.e.example 3", ".b.c.d.e.example 1"]);
        assert_eq!(parents(2), [".e.example 5", ".d.e.example 4", ".c.d.e.example 3"]);
        assert_eq!(parents(3), [".c.d.e.example 3"]);
        assert!(parents(4).is_empty());
        assert_eq!(counts.totals(), [8, 0]);
    }

    #[test]
    fn the_largest_comes_first_and_the_case_of_a_domain_does_not_matter() {
        let counts = counts(&["x@long.example", "x@B.example", "y@b.EXAMPLE", "x@a.example", "root"]);
        assert_eq!(shown(&counts.rows(None)), ["b.example 2", " 1", "a.example 1", "long.example 1"]);
    }

    #[test]
    fn what_has_no_sender_is_a_notification_and_too_many_domains_are_an_error() {
        let mut counts = counts(&[]);
        counts.limit = 2;
        counts.add_sender(b"", 61).unwrap();
        counts.add_sender(b"a@x.example", 0).unwrap();
        counts.add_sender(b"b@x.example", 0).unwrap();
        assert_eq!(shown(&counts.rows(None)), ["x.example 2", "MAILER-DAEMON 1"]);
        assert_eq!(counts.totals(), [2, 1]);
        assert_eq!(counts.add_sender(b"a@y.example", 0).unwrap_err(), "too many domains: more than 2");
    }
}
