//! cidr: network patterns in order; the first that contains the address wins.
//!
//! `!pattern` matches the other addresses of the pattern's own family, so that a rule about IPv4 never decides about
//! IPv6.
//!
//! The rules whose network contains an address are found by the network of each length around it, so that the number of
//! rules does not matter; their order decides among them, and with `if` and `!` as if all were tried.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use net::Cidr as Network;

use super::pattern::{self, Marks, OnDisk, Remarks, Rule, Rules, split_keyword, split_marks, split_word};
use crate::source::LogicalLine;
use crate::{OpenError, OpenFlags, Table, TableError};

/// An open cidr table.
pub(crate) struct Cidr {
    name: String,
    rules: Rules<Pattern, Vec<u8>>,
    index: Index,
    file: Option<OnDisk>,
}

struct Pattern {
    network: Network,
    negated: bool,
}

/// Where the rules with a network are.
struct Index {
    /// The rules of each network that is not negated.
    networks: HashMap<Network, Vec<usize>>,
    /// Whether there are such networks of IPv4, or IPv6, with a prefix of so many bits.
    lengths: BTreeSet<(bool, u8)>,
    /// The negated rules.
    always: Marks,
}

impl Cidr {
    /// Reads the table; bad lines are logged and skipped.
    ///
    /// # Errors
    /// The file cannot be read, or the rules in the name are not in braces.
    pub(crate) fn open(name: String, path: &str, flags: OpenFlags) -> Result<Self, OpenError> {
        let (text, file) = pattern::read("cidr", path)?;
        Ok(Cidr { file, ..Cidr::parse(name, path, &text, flags) })
    }

    /// Reads a table from its text.
    pub(crate) fn parse(name: String, path: &str, text: &[u8], flags: OpenFlags) -> Self {
        let (mut rules, sentences) = Rules::parse("cidr", path, text, |line, remarks| rule(line, flags, remarks));
        for sentence in sentences {
            logging::warning!("{sentence}");
        }
        let index = Index::of(&mut rules);
        Cidr { name, rules, index, file: None }
    }
}

impl Table for Cidr {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        let Some(address) = net::address::parse(key) else { return Ok(None) };
        let found = self.rules.find(&self.index.possible(address), |pattern, _| pattern.matches(address).then_some(()));
        Ok(found.map(|((), value)| value.clone()))
    }

    fn partial_keys(&self) -> bool {
        false
    }

    fn changed(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.stamp.changed())
    }

    fn owner(&self) -> Option<u32> {
        self.file.as_ref().map(|file| file.owner)
    }
}

impl Pattern {
    fn parse(negated: bool, text: &[u8]) -> Result<Self, String> {
        if text.is_empty() {
            return Err("no address pattern: skipping this rule".to_owned());
        }
        let network = Network::parse(text).map_err(|error| format!("{error}: skipping this rule"))?;
        Ok(Pattern { network, negated })
    }

    fn matches(&self, address: IpAddr) -> bool {
        self.network.network().is_ipv4() == address.is_ipv4() && self.network.contains(address) != self.negated
    }
}

impl Index {
    fn of(rules: &mut Rules<Pattern, Vec<u8>>) -> Self {
        let always = Marks::of(rules.count());
        let mut index = Index { networks: HashMap::new(), lengths: BTreeSet::new(), always };
        for (at, Pattern { network, negated }) in rules.patterns() {
            if *negated {
                index.always.mark(at);
            } else {
                index.networks.entry(*network).or_default().push(at);
                index.lengths.insert((network.network().is_ipv4(), network.length()));
            }
        }
        index
    }

    /// The rules that may match an address.
    fn possible(&self, address: IpAddr) -> Marks {
        let mut possible = self.always.clone();
        let family = address.is_ipv4();
        for (_, length) in self.lengths.range((family, 0)..=(family, u8::MAX)) {
            let rules = self.networks.get(&Network::around(address, *length));
            rules.into_iter().flatten().for_each(|at| possible.mark(*at));
        }
        possible
    }
}

fn rule(line: &LogicalLine, flags: OpenFlags, remarks: &mut Remarks<'_>) -> Result<Rule<Pattern, Vec<u8>>, String> {
    let (word, rest) = split_keyword(&line.text);
    if word.eq_ignore_ascii_case(b"if") {
        let (negated, network) = split_marks(rest);
        return Pattern::parse(negated, network.trim_ascii()).map(Rule::If);
    }
    if word.eq_ignore_ascii_case(b"endif") {
        return match (rest.trim_ascii(), remarks.inside_if()) {
            (b"", true) => Ok(Rule::Endif),
            (b"", false) => Err("ENDIF without IF: skipping this rule".to_owned()),
            _ => Err("garbage after ENDIF: skipping this rule".to_owned()),
        };
    }
    let (negated, rest) = split_marks(&line.text);
    let (network, value) = split_word(rest);
    let pattern = Pattern::parse(negated, network)?;
    if value.is_empty() {
        return Err("no lookup result: skipping this rule".to_owned());
    }
    let value = if flags.files { pattern::content(value)? } else { value.to_vec() };
    Ok(Rule::Match(pattern, value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(table: &Cidr, key: &str) -> Option<String> {
        table.lookup(key.as_bytes()).unwrap().map(|value| String::from_utf8(value).unwrap())
    }

    fn table(text: &str) -> Cidr {
        Cidr::parse("cidr:f".into(), "f", text.as_bytes(), OpenFlags::default())
    }

    #[test]
    fn the_first_network_that_contains_the_address_wins() {
        let table = table("10.1.0.0/16 a\n[10.0.0.0]/8 b c\n[2001:db8::]/32 d\n::/0 e\n");
        assert_eq!(lookup(&table, "10.1.2.3").as_deref(), Some("a"));
        assert_eq!(lookup(&table, "10.2.2.3").as_deref(), Some("b c"));
        assert_eq!(lookup(&table, "2001:db8::1").as_deref(), Some("d"));
        assert_eq!(lookup(&table, "fe80::1").as_deref(), Some("e"));
        assert_eq!(lookup(&table, "192.0.2.1"), None);
        assert_eq!(lookup(&table, "fe80::1%eth0"), None);
        assert_eq!(lookup(&table, "name"), None);
    }

    #[test]
    fn a_negated_network_matches_the_rest_of_its_family() {
        let table = table("!2001:db8::/32 other\n");
        assert_eq!(lookup(&table, "fe80::1").as_deref(), Some("other"));
        assert_eq!(lookup(&table, "2001:db8::1"), None);
        assert_eq!(lookup(&table, "10.0.0.1"), None);
    }

    #[test]
    fn rules_between_if_and_endif_depend_on_it() {
        let table = table("if 10.0.0.0/8\n10.1.0.0/16 a\nif !10.2.0.0/16\n0.0.0.0/0 b\nendif\nendif\n0.0.0.0/0 c\n");
        assert_eq!(lookup(&table, "10.1.0.1").as_deref(), Some("a"));
        assert_eq!(lookup(&table, "10.3.0.1").as_deref(), Some("b"));
        assert_eq!(lookup(&table, "10.2.0.1").as_deref(), Some("c"));
        assert_eq!(lookup(&table, "192.0.2.1").as_deref(), Some("c"));
    }

    #[test]
    fn rules_may_stand_in_the_name() {
        let table = Cidr::open("cidr:x".into(), "{ {10.0.0.0/8 a b}, {::/0 c} }", OpenFlags::default()).unwrap();
        assert_eq!(lookup(&table, "10.0.0.1").as_deref(), Some("a b"));
        assert_eq!(lookup(&table, "::1").as_deref(), Some("c"));
    }

    #[test]
    fn a_bad_rule_is_skipped() {
        let table = table("10.0.0.1/8 x\n10/8 y\n10.0.0.0/8\n10.0.0.0/8 ok\nendif\nif 10.0.0.0/8\n");
        assert_eq!(lookup(&table, "10.9.9.9").as_deref(), Some("ok"));
    }

    /// What a table says when each of its rules is tried in turn.
    fn by_trying(lines: &[String], address: IpAddr) -> Option<String> {
        // How many `if` around a line do not hold.
        let (mut open, mut failed) = (Vec::new(), 0);
        for line in lines {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let holds = |pattern: &str| {
                let network = Network::parse(pattern.trim_start_matches('!')).unwrap();
                let negated = pattern.starts_with('!');
                network.network().is_ipv4() == address.is_ipv4() && network.contains(address) != negated
            };
            match word {
                "if" => {
                    open.push(!holds(rest));
                    failed += usize::from(!holds(rest));
                }
                "endif" => failed -= usize::from(open.pop().unwrap_or_default()),
                pattern if failed == 0 && holds(pattern) => return Some(rest.to_owned()),
                _ => {}
            }
        }
        None
    }

    /// An address of few, so that networks meet.
    fn addresses() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0u32..4, 0u32..4).prop_map(|(high, low)| IpAddr::V4((0x0a00_0000 | high << 16 | low).into())),
            (0u128..4, 0u128..4).prop_map(|(high, low)| IpAddr::V6((0xfd << 120 | high << 64 | low).into())),
        ]
    }

    fn patterns() -> impl Strategy<Value = String> {
        let length = prop_oneof![Just(0u8), Just(8), 14u8..=17, 30u8..=32, 63u8..=66, 126u8..=128];
        (addresses(), length, prop::bool::weighted(0.2)).prop_map(|(address, length, negated)| {
            let mark = if negated { "!" } else { "" };
            format!("{mark}{}", Network::around(address, length))
        })
    }

    proptest! {
        #[test]
        fn an_index_finds_what_trying_every_rule_finds(
            lines in prop::collection::vec((0u8..6, patterns()), 0..40),
            keys in prop::collection::vec(addresses(), 1..20),
        ) {
            let mut open = 0;
            let mut text = Vec::new();
            for (number, (kind, pattern)) in lines.into_iter().enumerate() {
                text.push(match kind {
                    0 => {
                        open += 1;
                        format!("if {pattern}")
                    }
                    1 if open > 0 => {
                        open -= 1;
                        "endif".to_owned()
                    }
                    _ => format!("{pattern} {number}"),
                });
            }
            text.resize(text.len() + open, "endif".to_owned());
            let table = table(&text.join("\n"));
            for key in keys {
                prop_assert_eq!(lookup(&table, &key.to_string()), by_trying(&text, key));
            }
        }
    }
}
