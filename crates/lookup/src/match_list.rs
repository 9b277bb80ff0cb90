//! Lists of hosts: names, networks, tables. mynetworks and its like.
//!
//! The first pattern that matches decides; a match with `!` means no. For each pattern the name is tried, then the
//! address. A pattern that makes no sense for an address is no match; a network that is wrong is an error, logged, and
//! never a match.

use net::Cidr;

use crate::patterns::{Pattern, Patterns, What};
use crate::{ListError, ParentStyle, Settings, TableError};

/// A list of host patterns.
#[derive(Clone)]
pub struct MatchList(Patterns);

impl MatchList {
    /// Reads a list. `title` is the parameter's name; `parents` says whether domain names match what is below them.
    ///
    /// # Errors
    /// A lone `!`, or an item that cannot be a table. Missing files and tables are errors of the search instead.
    pub fn open(
        settings: impl Into<Settings>,
        title: &str,
        list: &str,
        parents: ParentStyle,
    ) -> Result<Self, ListError> {
        Patterns::parse(&settings.into(), title, list, parents).map(MatchList)
    }

    /// True if the list has no patterns.
    pub fn is_empty(&self) -> bool {
        self.0.items.is_empty()
    }

    /// The name of a table or file that changed since it was read.
    pub fn changed(&self) -> Option<String> {
        self.0.changed()
    }

    /// Is this host in the list? `name` may be `unknown`; `address` is printed, without brackets, zone or prefix.
    ///
    /// # Errors
    /// A table is unavailable or a network pattern is wrong; logged.
    pub fn matches_host(&self, name: &[u8], address: &[u8]) -> Result<bool, TableError> {
        let name = self.0.folded(name);
        self.0.search(|pattern| Ok(self.0.name_matches(pattern, &name)? || self.address_matches(pattern, address)?))
    }

    fn address_matches(&self, pattern: &Pattern, address: &[u8]) -> Result<bool, TableError> {
        if address.is_empty() || !address.iter().all(|&b| b.is_ascii_hexdigit() || b == b'.' || b == b':') {
            return Ok(false);
        }
        match &pattern.what {
            What::Text(text) => self.text_matches(text, address),
            What::Table(table) => self.0.has(table.as_ref(), address),
            What::Broken(error) => Err(self.0.logged(error.clone())),
        }
    }

    fn text_matches(&self, text: &[u8], address: &[u8]) -> Result<bool, TableError> {
        let plain = text.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
        if text.eq_ignore_ascii_case(address) || plain.is_some_and(|plain| plain.eq_ignore_ascii_case(address)) {
            return Ok(true);
        }
        let network = text.iter().all(|&b| b.is_ascii_hexdigit() || b".:[]/".contains(&b))
            && (text.contains(&b'/') || text.contains(&b':'))
            && text.contains(&b':') == address.contains(&b':');
        if !network {
            return Ok(false);
        }
        match (Cidr::parse(text), net::address::parse(address)) {
            (Ok(network), Some(address)) => Ok(network.contains(address)),
            (Ok(_), None) => Ok(false),
            (Err(error), _) => {
                logging::warning!("{}: {error}", self.0.title);
                Err(TableError::failed(&self.0.title, error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(list: &str, address: &str) -> Option<bool> {
        let list = MatchList::open(Settings::default(), "mynetworks", list, ParentStyle::Bare).unwrap();
        list.matches_host(b"unknown", address.as_bytes()).ok()
    }

    #[test]
    fn the_cases_observed_on_postfix() {
        let (yes, no, error) = (Some(true), Some(false), None);
        for (list, address, expected) in [
            ("[0:0:0:0:0:0:0:1]", "::1", yes),
            ("[2001:db8:1:0:0:0:0:25]", "2001:db8:1::25", yes),
            ("[::1/128]", "::1", yes),
            ("[10.0.0.0]/8", "10.1.2.3", yes),
            ("[10.0.0.0/8]", "10.1.2.3", yes),
            ("[::]/0", "10.1.2.3", no),
            ("0.0.0.0/0", "2001:db8:1::25", no),
            ("![2001:db8:1::25] [2001:db8::]/32", "2001:db8:1::25", no),
            ("![2001:db8:1::25] [2001:db8::]/32", "2001:db8:1::26", yes),
            ("!!10.0.0.0/8", "10.1.2.3", yes),
            ("/proc/self/none 10.0.0.0/8", "10.1.2.3", error),
            ("[2001:db8:1::1]/64", "2001:db8:1::25", error),
            ("[2001:db8:1::1]/64 10.0.0.0/8", "10.1.2.3", yes),
            ("[2001:db8::/32", "10.1.2.3", no),
            ("2001:db8:1::/64", "10.1.2.3", error),
            ("::1", "10.1.2.3", error),
            ("[fe80::]/10", "fe80::1", yes),
            ("[fe80::]/10", "fe80::1%e0", no),
            ("[2001:db8:0:2::]/63", "2001:db8:0:3::1", yes),
            ("[host] junk/8 [ipv6:::1] 10.1.2", "10.1.2.3", no),
            ("10.1.2.3", "10.1.2.3", yes),
            ("nosuch:x", "10.1.2.3", error),
        ] {
            assert_eq!(matches(list, address), expected, "{list} ; {address}");
        }
    }

    #[test]
    fn names_match_as_the_parent_style_says() {
        for (parents, pattern, name, expected) in [
            (ParentStyle::Bare, "example.com", "a.example.com", true),
            (ParentStyle::Bare, ".example.com", "a.example.com", false),
            (ParentStyle::Dotted, ".example.com", "A.Example.com", true),
            (ParentStyle::Dotted, "example.com", "a.example.com", false),
            (ParentStyle::Dotted, "inline:{.example.com=x}", "a.example.com", true),
            (ParentStyle::Never, "example.com", "EXAMPLE.com", true),
        ] {
            let list = MatchList::open(Settings::default(), "t", pattern, parents).unwrap();
            assert_eq!(list.matches_host(name.as_bytes(), b"10.0.0.1").unwrap(), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn files_hold_more_patterns_and_may_be_negated_as_a_whole() {
        let path = std::env::temp_dir().join(format!("lookup-list-{}", std::process::id()));
        std::fs::write(&path, "# trusted\n[2001:db8:1::]/48,\n  !192.0.2.1 192.0.2.0/24\n").unwrap();
        let file = path.display();
        assert_eq!(matches(&file.to_string(), "2001:db8:1::25"), Some(true));
        assert_eq!(matches(&file.to_string(), "192.0.2.1"), Some(false));
        assert_eq!(matches(&file.to_string(), "192.0.2.2"), Some(true));
        assert_eq!(matches(&format!("!{file} 0.0.0.0/0"), "192.0.2.2"), Some(false));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_list_ends_before_what_was_meant_as_a_comment() {
        assert_eq!(matches("10.0.0.0/8 # 192.0.2.1", "10.1.2.3"), Some(true));
        assert_eq!(matches("10.0.0.0/8 # 192.0.2.1", "192.0.2.1"), Some(false));
        let path = std::env::temp_dir().join(format!("lookup-comment-{}", std::process::id()));
        std::fs::write(&path, "192.0.2.1 # first 192.0.2.2\n192.0.2.3\n").unwrap();
        let found = |address| matches(&path.display().to_string(), address);
        assert_eq!((found("192.0.2.1"), found("192.0.2.2"), found("192.0.2.3")), (Some(true), Some(false), Some(true)));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_lone_negation_is_refused() {
        let error = MatchList::open(Settings::default(), "mynetworks", "! ", ParentStyle::Bare).err().unwrap();
        assert_eq!(error.to_string(), "mynetworks: no pattern after '!'");
    }
}
