//! `type:name`: the type of a table and what names it within the type.

use crate::OpenError;

/// A table type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An indexed file, as postmap writes it.
    Lmdb,
    /// An indexed file that is made as a whole.
    Cdb,
    /// Berkeley DB hash: served from the lmdb file of the same source, else from the source text.
    Hash,
    /// Berkeley DB btree: as hash.
    Btree,
    /// The source text, read into memory.
    Texthash,
    /// One answer for every key.
    Static,
    /// Entries within the name.
    Inline,
    /// Network patterns.
    Cidr,
    /// Regular expressions as Perl has them.
    Pcre,
    /// POSIX regular expressions.
    Regexp,
    /// The process environment.
    Environ,
    /// Every lookup is an error.
    Fail,
    /// Another table, whose look-ups are logged.
    Debug,
    /// In memory, and empty.
    Internal,
    /// What one table says is what the next is asked.
    Pipemap,
    /// One value of a list, at random.
    Randmap,
    /// A query to an SQLite database.
    Sqlite,
    /// What all tables of a list say.
    Unionmap,
    /// The users or groups of this machine.
    Unix,
}

impl Kind {
    /// All types in the order of `postconf -m`.
    pub const ALL: [Kind; 19] = [
        Kind::Btree,
        Kind::Cdb,
        Kind::Cidr,
        Kind::Debug,
        Kind::Environ,
        Kind::Fail,
        Kind::Hash,
        Kind::Inline,
        Kind::Internal,
        Kind::Lmdb,
        Kind::Pcre,
        Kind::Pipemap,
        Kind::Randmap,
        Kind::Regexp,
        Kind::Sqlite,
        Kind::Static,
        Kind::Texthash,
        Kind::Unionmap,
        Kind::Unix,
    ];

    /// The name before the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Lmdb => "lmdb",
            Kind::Cdb => "cdb",
            Kind::Hash => "hash",
            Kind::Btree => "btree",
            Kind::Texthash => "texthash",
            Kind::Static => "static",
            Kind::Inline => "inline",
            Kind::Cidr => "cidr",
            Kind::Pcre => "pcre",
            Kind::Regexp => "regexp",
            Kind::Environ => "environ",
            Kind::Fail => "fail",
            Kind::Debug => "debug",
            Kind::Internal => "internal",
            Kind::Pipemap => "pipemap",
            Kind::Randmap => "randmap",
            Kind::Sqlite => "sqlite",
            Kind::Unionmap => "unionmap",
            Kind::Unix => "unix",
        }
    }

    /// The type with this name.
    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// True if postmap can make such a table: it has a file of its own beside the source text.
    pub fn has_index(self) -> bool {
        matches!(self, Kind::Lmdb | Kind::Cdb | Kind::Hash | Kind::Btree)
    }
}

/// A parsed `type:name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The type.
    pub kind: Kind,
    /// What follows the colon: a path, or the table itself.
    pub name: String,
}

impl Spec {
    /// Reads `type:name`; `proxy:type:name` is opened directly, as a program that may read the file would.
    ///
    /// # Errors
    /// No colon, or no such type.
    pub fn parse(text: &str) -> Result<Spec, OpenError> {
        let text = text.strip_prefix("proxy:").unwrap_or(text);
        let (kind, name) = text.split_once(':').ok_or_else(|| OpenError::NotTypeName(text.to_owned()))?;
        if kind.is_empty() || name.is_empty() {
            return Err(OpenError::NotTypeName(text.to_owned()));
        }
        let kind = Kind::parse(kind).ok_or_else(|| OpenError::UnsupportedType(kind.to_owned()))?;
        Ok(Spec { kind, name: name.to_owned() })
    }

    /// The file that postmap writes for the source `name` of an indexed type.
    pub fn index_path(&self) -> String {
        format!("{}.{}", self.name, if self.kind == Kind::Cdb { "cdb" } else { "lmdb" })
    }
}

impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_ipv6_address_is_no_table() {
        assert_eq!(Spec::parse("2001:db8::/64").unwrap_err().to_string(), "unsupported dictionary type: 2001");
        let text = "open dictionary: expecting \"type:name\" form instead of \"::1\"";
        assert_eq!(Spec::parse("::1").unwrap_err().to_string(), text);
    }

    #[test]
    fn every_type_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
    }

    /// `postfix check` says of other types that they are not there.
    #[test]
    fn the_types_that_can_be_opened_are_those_that_check_knows() {
        assert_eq!(Kind::ALL.map(Kind::as_str), config::report::TYPES);
    }
}
