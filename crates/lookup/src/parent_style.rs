//! Does `example.com` in a list or table also match `sub.example.com`?
//!
//! For the features that parent_domain_matches_subdomains names it does; for all others only `.example.com` does.

use config::{Config, param};

/// How parent domains are written in a table or list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentStyle {
    /// Parents do not match at all.
    Never,
    /// `.example.com` matches what is below example.com.
    Dotted,
    /// `example.com` matches itself and what is below.
    Bare,
}

impl ParentStyle {
    /// The style of a feature (`relay_domains`, `transport_maps`, `smtpd_access_maps`, ...), given the items of
    /// parent_domain_matches_subdomains.
    pub fn of<S: AsRef<str>>(feature: &str, matching: &[S]) -> ParentStyle {
        match matching.iter().any(|item| item.as_ref().eq_ignore_ascii_case(feature)) {
            true => ParentStyle::Bare,
            false => ParentStyle::Dotted,
        }
    }

    /// The style of a feature in a configuration.
    pub fn in_config(config: &Config, feature: &str) -> ParentStyle {
        // parent_domain_matches_subdomains
        let matching = config.get(param::PARENT_DOMAIN_MATCHES_SUBDOMAINS).unwrap_or_default();
        ParentStyle::of(feature, &matching)
    }

    /// The parents of a domain, nearest first, as keys of this style. `a.b.c`: `.b.c`, `.c` or `b.c`, `c`.
    pub fn parents(self, domain: &[u8]) -> impl Iterator<Item = &[u8]> {
        let style = self;
        let dots = domain.iter().enumerate().skip(1).filter(|&(_, &b)| b == b'.').map(|(at, _)| at);
        dots.filter_map(move |at| match style {
            ParentStyle::Never => None,
            ParentStyle::Dotted => Some(&domain[at..]),
            ParentStyle::Bare => Some(&domain[at + 1..]),
        })
        .filter(|parent| parent.len() > 1 || parent.first().is_some_and(|&b| b != b'.'))
    }

    /// True if a pattern of a list is a parent of the domain. Both are in lower case.
    pub fn is_parent(self, pattern: &[u8], domain: &[u8]) -> bool {
        self.parents(domain).any(|parent| parent == pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parents(style: ParentStyle, domain: &str) -> Vec<String> {
        style.parents(domain.as_bytes()).map(|p| String::from_utf8_lossy(p).into_owned()).collect()
    }

    #[test]
    fn parents_are_listed_nearest_first() {
        assert_eq!(parents(ParentStyle::Dotted, "a.b.c"), [".b.c", ".c"]);
        assert_eq!(parents(ParentStyle::Bare, "a.b.c"), ["b.c", "c"]);
        assert_eq!(parents(ParentStyle::Never, "a.b.c"), [""; 0]);
        assert_eq!(parents(ParentStyle::Bare, "a."), [""; 0]);
    }

    #[test]
    fn the_style_is_that_of_the_feature() {
        let list = ["relay_domains", "smtpd_access_maps"];
        assert_eq!(ParentStyle::of("relay_domains", &list), ParentStyle::Bare);
        assert_eq!(ParentStyle::of("transport_maps", &list), ParentStyle::Dotted);
    }
}
