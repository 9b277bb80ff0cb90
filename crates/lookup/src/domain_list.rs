//! Lists of domains: mydestination, virtual_alias_domains, relay_domains and their like.

use crate::patterns::{Patterns, What};
use crate::{ListError, ParentStyle, Settings, TableError};

/// A list of domain patterns.
#[derive(Clone)]
pub struct DomainList {
    patterns: Patterns,
    parents: ParentStyle,
    utf8: bool,
}

impl DomainList {
    /// Reads a list. `settings` is the configuration. `title` is the parameter's name; `parents` is [`ParentStyle::Never`] for lists of complete names
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
        let settings = settings.into();
        let patterns = Patterns::parse(&settings, title, list)?;
        Ok(DomainList { patterns, parents, utf8: settings.utf8 })
    }

    /// True if the list has no patterns.
    pub fn is_empty(&self) -> bool {
        self.patterns.items.is_empty()
    }

    /// The parameter's name.
    pub fn title(&self) -> &str {
        &self.patterns.title
    }

    /// The name of a table or file that changed since it was read.
    pub fn changed(&self) -> Option<String> {
        self.patterns.changed()
    }

    /// Is this domain in the list? The first pattern that matches decides; a match with `!` means no.
    ///
    /// # Errors
    /// A table or file is unavailable; logged.
    pub fn matches(&self, domain: &[u8]) -> Result<bool, TableError> {
        let domain = crate::fold::fold(domain, self.utf8);
        for pattern in &self.patterns.items {
            let matched = match &pattern.what {
                What::Text(text) => *text == domain || self.parents.is_parent(text, &domain),
                What::Table(table) => self.in_table(&**table, &domain).inspect_err(|error| self.patterns.log(error))?,
                What::Broken(error) => {
                    self.patterns.log(error);
                    return Err(error.clone());
                }
            };
            if matched {
                return Ok(!pattern.negated);
            }
        }
        Ok(false)
    }

    fn in_table(&self, table: &dyn crate::Table, domain: &[u8]) -> Result<bool, TableError> {
        if table.lookup(domain)?.is_some() {
            return Ok(true);
        }
        if table.partial_keys() {
            for parent in self.parents.parents(domain) {
                if table.lookup(parent)?.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
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
