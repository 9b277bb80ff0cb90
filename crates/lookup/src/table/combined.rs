//! Tables that are made of others, or of a list: pipemap, unionmap, randmap, debug. And `internal`, which is empty.
//!
//! A member is opened as the whole is used, and counts as it would alone: one that fails makes the answer an error, and
//! one that changes makes the program start again. Whether parts of keys are looked up is the first member's word.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use crate::{Kind, OpenError, OpenFlags, Settings, Spec, Table, TableError, Visitor, contents, open};

/// Tables within each other that are opened; a deeper one is an error of its name.
const MAX_DEPTH: usize = 20; // told: OpenError::Syntax

/// The members that `{type:name...}` names, as they are written.
///
/// # Errors
/// There is none, or the text is no such group.
pub(crate) fn members<'a>(spec: &'a Spec, what: &str) -> Result<Vec<&'a str>, OpenError> {
    let kind = spec.kind.as_str();
    let wrong = || OpenError::Syntax(format!("bad syntax: \"{spec}\"; need \"{kind}:{{{what}...}}\""));
    let items = text::group(&spec.name).map(text::split_items).filter(|items| !items.is_empty()).ok_or_else(wrong)?;
    if depth(&spec.name) > MAX_DEPTH {
        return Err(OpenError::Syntax(format!("{kind}: more than {MAX_DEPTH} groups within each other")));
    }
    Ok(items)
}

/// The greatest number of groups that are open at a place of the text.
fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' => now += 1,
            b'}' => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    most
}

/// `pipemap:{T1, T2...}`: what one table says is what the next is asked; `unionmap:{T1, T2...}`: what all say.
pub(crate) struct Combined {
    name: String,
    is_pipe: bool,
    members: Vec<Arc<dyn Table>>,
}

impl Combined {
    /// # Errors
    /// A list that is none, or a member that cannot be opened.
    pub(crate) fn open(spec: &Spec, settings: &Settings, flags: OpenFlags) -> Result<Self, OpenError> {
        let listed = members(spec, "type:name")?;
        if listed.iter().any(|member| !member.contains(':')) {
            let kind = spec.kind.as_str();
            return Err(OpenError::Syntax(format!("bad syntax: \"{spec}\"; need \"{kind}:{{type:name...}}\"")));
        }
        let members = listed.into_iter().map(|member| open(member, settings, flags)).collect::<Result<_, _>>()?;
        Ok(Combined { name: spec.to_string(), is_pipe: spec.kind == Kind::Pipemap, members })
    }

    /// An error of a member is one of the whole.
    fn ask(&self, member: &Arc<dyn Table>, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        member.lookup(key).map_err(|error| error.within(&self.name))
    }

    fn pipe(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        let mut key = key.to_vec();
        for member in &self.members {
            match self.ask(member, &key)? {
                Some(found) => key = found,
                None => return Ok(None),
            }
        }
        Ok(Some(key))
    }

    fn union(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        let answers = self.members.iter().map(|member| self.ask(member, key));
        let found: Vec<Vec<u8>> = answers.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        Ok((!found.is_empty()).then(|| found.join(&b','))) // one of them may be empty
    }
}

impl Table for Combined {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        if self.is_pipe { self.pipe(key) } else { self.union(key) }
    }

    fn partial_keys(&self) -> bool {
        self.members.first().is_none_or(|member| member.partial_keys())
    }

    fn changed(&self) -> bool {
        self.members.iter().any(|member| member.changed())
    }

    /// The one whom less is trusted: any other than root.
    fn owner(&self) -> Option<u32> {
        self.members.iter().filter_map(|member| member.owner()).max()
    }
}

/// `randmap:{V1, V2...}`: one of the values, at random, whatever the key is.
pub(crate) struct Random {
    name: String,
    values: Vec<Vec<u8>>,
}

impl Random {
    /// # Errors
    /// A list that is none; a file that cannot be read.
    pub(crate) fn open(spec: &Spec, flags: OpenFlags) -> Result<Self, OpenError> {
        let value = |item: &&str| match flags.files {
            true => contents::of_files(item.as_bytes()).map_err(OpenError::Syntax),
            false => Ok(item.as_bytes().to_vec()),
        };
        let values = members(spec, "value")?.iter().map(value).collect::<Result<_, _>>()?;
        Ok(Random { name: spec.to_string(), values })
    }
}

impl Table for Random {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, _key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        // Each state of the standard library's hash tables has keys of its own, made of random ones.
        let number = usize::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or_default();
        Ok(self.values.get(number % self.values.len().max(1)).cloned())
    }

    fn partial_keys(&self) -> bool {
        false
    }
}

/// `debug:TYPE:NAME`: that table, and a line in the log for every look-up.
pub(crate) struct Debug {
    name: String,
    table: Arc<dyn Table>,
}

impl Debug {
    /// # Errors
    /// The table cannot be opened.
    pub(crate) fn open(spec: &Spec, settings: &Settings, flags: OpenFlags) -> Result<Self, OpenError> {
        // `debug:debug:...` has no braces that would count.
        if spec.name.matches("debug:").count() > MAX_DEPTH {
            return Err(OpenError::Syntax(format!("debug: more than {MAX_DEPTH} of them within each other")));
        }
        Ok(Debug { name: spec.to_string(), table: open(&spec.name, settings, flags)? })
    }
}

impl Table for Debug {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        let found = self.table.lookup(key);
        let shown = match &found {
            Ok(Some(value)) => text::printable(value),
            Ok(None) => "not_found".to_owned(),
            Err(error) if error.is_awaited() => return found,
            Err(_) => "error".to_owned(),
        };
        logging::info!("{} lookup: \"{}\" = \"{shown}\"", self.table.name(), text::printable(key));
        found.map_err(|error| error.within(&self.name))
    }

    fn partial_keys(&self) -> bool {
        self.table.partial_keys()
    }

    fn changed(&self) -> bool {
        self.table.changed()
    }

    fn owner(&self) -> Option<u32> {
        self.table.owner()
    }

    fn visit(&self, visitor: &mut Visitor<'_>) -> Result<(), TableError> {
        let name = self.table.name();
        self.table.visit(&mut |key, value| {
            let (shown_key, shown_value) = (text::printable(key), text::printable(value));
            logging::info!("{name} sequence: \"{shown_key}\" = \"{shown_value}\"");
            visitor(key, value);
        })?;
        logging::info!("{name} sequence: found EOF");
        Ok(())
    }
}

/// `internal:NAME`: in the memory of one process, and nobody puts anything there.
pub(crate) struct Internal {
    pub(crate) name: String,
}

impl Table for Internal {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, _key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        Ok(None)
    }

    fn visit(&self, _visitor: &mut Visitor<'_>) -> Result<(), TableError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Arc<dyn Table>, String> {
        open(text, &Settings::default(), OpenFlags::default()).map_err(|error| error.to_string())
    }

    fn found(text: &str, key: &str) -> Result<Option<String>, String> {
        let found = table(text)?.lookup(key.as_bytes()).map_err(|error| error.reason().to_owned())?;
        Ok(found.map(|value| String::from_utf8(value).unwrap()))
    }

    #[test]
    fn what_one_table_says_is_what_the_next_is_asked() {
        let pipe = "pipemap:{inline:{a=b},inline:{b=c}}";
        assert_eq!((found(pipe, "a"), found(pipe, "b")), (Ok(Some("c".to_owned())), Ok(None)));
        assert_eq!(found("pipemap:{inline:{a=b},regexp:{{/(.)/ <$1>}}}", "a"), Ok(Some("<b>".to_owned())));
        assert_eq!(found("pipemap:{inline:{a=b},fail:x}", "a"), Err("Application error".to_owned()));
        assert_eq!(found("pipemap:{inline:{a=b},fail:x}", "z"), Ok(None));
    }

    #[test]
    fn all_tables_of_a_union_are_asked_and_one_that_fails_is_an_error() {
        let union = "unionmap:{static:{a b}, inline:{a=two}, static:c}";
        assert_eq!(found(union, "a"), Ok(Some("a b,two,c".to_owned())));
        assert_eq!(found(union, "zz"), Ok(Some("a b,c".to_owned())));
        assert_eq!(found("unionmap:{inline:{b=1}}", "a"), Ok(None));
        for failing in ["unionmap:{inline:{a=two},fail:x}", "unionmap:{fail:x,static:b}"] {
            assert_eq!(found(failing, "a"), Err("Application error".to_owned()));
        }
    }

    #[test]
    fn every_value_of_a_randmap_comes_and_braces_of_a_value_stay() {
        let table = table("randmap:{a,b,{c d}}").unwrap();
        let seen: std::collections::BTreeSet<_> = (0..1000).map(|_| table.lookup(b"x").unwrap().unwrap()).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [b"a".to_vec(), b"b".to_vec(), b"{c d}".to_vec()]);
    }

    #[test]
    fn a_list_that_is_none_is_an_error_that_says_what_is_needed() {
        for (text, need) in [
            ("randmap:{}", "value"),
            ("randmap:a", "value"),
            ("randmap:{{a}, b}x", "value"),
            ("unionmap:{}", "type:name"),
            ("unionmap:{foo}", "type:name"),
            ("unionmap:static:a", "type:name"),
            ("pipemap:{}", "type:name"),
            ("pipemap:{foo}", "type:name"),
        ] {
            let kind = text.split(':').next().unwrap();
            assert_eq!(table(text).err(), Some(format!("bad syntax: \"{text}\"; need \"{kind}:{{{need}...}}\"")));
        }
        let unknown = "unsupported dictionary type: {inline";
        assert_eq!(table("unionmap:{{inline:{a=b c}}}").err().as_deref(), Some(unknown));
    }

    #[test]
    fn tables_within_each_other_end_somewhere() {
        let nested = |count: usize| format!("{}static:x{}", "unionmap:{".repeat(count), "}".repeat(count));
        assert!(table(&nested(MAX_DEPTH)).is_ok());
        assert!(table(&nested(MAX_DEPTH + 1)).err().unwrap().contains("within each other"));
        assert!(table(&nested(100_000)).is_err());
        assert!(table(&format!("{}static:x", "debug:".repeat(100_000))).is_err());
    }

    #[test]
    fn whether_parts_of_a_key_are_asked_for_is_the_first_members_word() {
        assert!(table("unionmap:{inline:{a=b},static:c}").unwrap().partial_keys());
        assert!(!table("pipemap:{static:c,inline:{a=b}}").unwrap().partial_keys());
        assert!(table("debug:inline:{a=b}").unwrap().partial_keys());
    }
}
