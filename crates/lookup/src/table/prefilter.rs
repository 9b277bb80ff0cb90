//! Which rules of a table of expressions can match a key at all: one search for pieces of text that their matches need
//! ([`super::literals`]), in place of one for each rule.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::literals::{Need, shortest};
use super::pattern::Marks;

/// A piece of so many bytes is in few other texts.
const TELLING: usize = 4;

/// What is looked for in a key.
pub(crate) struct Prefilter {
    /// Finds the pieces, in any case. None where there are none.
    search: Option<AhoCorasick>,
    /// For each piece the rules that need it.
    rules: Vec<Vec<usize>>,
    /// The rules of which nothing is known.
    always: Marks,
}

impl Prefilter {
    /// Of so many rules; each place of a rule comes with what the rule needs.
    pub(crate) fn of(count: usize, needs: &[(usize, Vec<Need>)]) -> Self {
        let mut shared: HashMap<&[u8], usize> = HashMap::new();
        for piece in needs.iter().flat_map(|(_, needs)| needs.iter().flatten()) {
            *shared.entry(piece).or_default() += 1;
        }
        // What is long, and in few other rules: `Subject:` is in half of all keys.
        let worth = |need: &&Need| {
            let rules: usize = need.iter().filter_map(|piece| shared.get(piece.as_slice())).sum();
            let length = shortest(need);
            (length.min(TELLING), Reverse(rules), length)
        };
        let mut always = Marks::of(count);
        let mut pieces: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
        for (at, needs) in needs {
            match needs.iter().max_by_key(worth) {
                Some(need) => need.iter().for_each(|piece| pieces.entry(piece).or_default().push(*at)),
                None => always.mark(*at),
            }
        }
        // The small form of several: each process has one for each table.
        let mut builder = AhoCorasick::builder();
        builder.ascii_case_insensitive(true).kind(Some(AhoCorasickKind::ContiguousNFA));
        match builder.build(pieces.keys()) {
            Ok(search) if !pieces.is_empty() => {
                Prefilter { search: Some(search), rules: pieces.into_values().collect(), always }
            }
            // Without pieces, or with too many of them, every rule is tried.
            _ => {
                needs.iter().for_each(|(at, _)| always.mark(*at));
                Prefilter { search: None, rules: Vec::new(), always }
            }
        }
    }

    /// The rules that may match a key.
    pub(crate) fn possible(&self, key: &[u8]) -> Marks {
        let mut possible = self.always.clone();
        for found in self.search.iter().flat_map(|search| search.find_overlapping_iter(key)) {
            self.rules[found.pattern()].iter().for_each(|at| possible.mark(*at));
        }
        possible
    }
}
