//! Lists of domains: mydestination, virtual_alias_domains, relay_domains and their like.

use crate::patterns::Patterns;
use crate::{ListError, ParentStyle, Settings, TableError};

/// A list of domain patterns.
#[derive(Clone)]
pub struct DomainList(Patterns);

impl DomainList {
    /// Reads a list. `title` is the parameter's name; `parents` is [`ParentStyle::Never`] for lists of complete names
    /// (mydestination, virtual_alias_domains, virtual_mailbox_domains).
    ///
    /// # Errors
    /// A lone `!`, or an item that cannot be a table. Missing files and tables are errors of the search instead.
    pub fn open(
        settings: impl Into<Settings>,
        title: &str,
        list: &str,
        parents: ParentStyle,
    ) -> Result<Self, ListError> {
        Patterns::parse(&settings.into(), title, list, parents).map(DomainList)
    }

    /// True if the list has no patterns.
    pub fn is_empty(&self) -> bool {
        self.0.items.is_empty()
    }

    /// The parameter's name.
    pub fn title(&self) -> &str {
        &self.0.title
    }

    /// The name of a table or file that changed since it was read.
    pub fn changed(&self) -> Option<String> {
        self.0.changed()
    }

    /// Is this domain in the list? The first pattern that matches decides; a match with `!` means no.
    ///
    /// # Errors
    /// A table or file is unavailable; logged.
    pub fn matches(&self, domain: &[u8]) -> Result<bool, TableError> {
        let domain = self.0.folded(domain);
        self.0.search(|pattern| self.0.name_matches(pattern, &domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(list: &str, parents: ParentStyle, domain: &str) -> Option<bool> {
        let list = DomainList::open(Settings::default(), "relay_domains", list, parents).unwrap();
        list.matches(domain.as_bytes()).ok()
    }

    #[test]
    fn complete_names_match_in_any_case() {
        assert_eq!(matches("a.test, Example.Test", ParentStyle::Never, "EXAMPLE.test"), Some(true));
        assert_eq!(matches("example.test", ParentStyle::Never, "sub.example.test"), Some(false));
    }

    #[test]
    fn subdomains_match_bare_parents_where_the_feature_says_so() {
        assert_eq!(matches("example.test", ParentStyle::Bare, "sub.example.test"), Some(true));
        assert_eq!(matches("!sub.example.test example.test", ParentStyle::Bare, "x.sub.example.test"), Some(false));
        assert_eq!(matches("inline:{example.test=x}", ParentStyle::Bare, "sub.example.test"), Some(true));
        assert_eq!(matches("static:x", ParentStyle::Bare, "any.test"), Some(true));
    }

    #[test]
    fn a_broken_table_is_an_error_only_when_reached() {
        assert_eq!(matches("a.test fail:x", ParentStyle::Never, "a.test"), Some(true));
        assert_eq!(matches("a.test fail:x", ParentStyle::Never, "b.test"), None);
    }
}
