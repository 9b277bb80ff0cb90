//! Tables without a file: static, environ, fail, and what stands in for a table that could not be opened.

use crate::{OpenError, OpenFlags, Table, TableError, contents, fold};

/// `static:VALUE`: the same value for every key, whole keys only.
pub(crate) struct Static {
    name: String,
    value: Vec<u8>,
}

impl Static {
    /// The value may stand in braces, then it may hold blanks.
    ///
    /// # Errors
    /// A brace that is not closed, or something behind it; a file that cannot be read.
    pub(crate) fn new(name: String, text: &str, flags: OpenFlags) -> Result<Self, OpenError> {
        let value = if text.starts_with('{') { text::braced(text) } else { Ok(text) };
        let value = value.map_err(|error| OpenError::Syntax(format!("bad static:name syntax: {error}")))?;
        let value = value.as_bytes();
        let value = if flags.files { contents::of_files(value).map_err(OpenError::Syntax)? } else { value.to_vec() };
        Ok(Static { name, value })
    }
}

impl Table for Static {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, _key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        Ok(Some(self.value.clone()))
    }

    fn partial_keys(&self) -> bool {
        false
    }
}

/// `environ:NAME`: the process environment, asked with keys in lower case unless they keep their case.
pub(crate) struct Environ {
    pub(crate) name: String,
    pub(crate) keep_case: bool,
    pub(crate) utf8: bool,
}

impl Table for Environ {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        // std panics on names that no variable can have.
        if key.is_empty() || key.contains(&b'=') || key.contains(&0) {
            return Ok(None);
        }
        let key = if self.keep_case { key.to_vec() } else { fold::fold(key, self.utf8) };
        Ok(std::env::var_os(std::ffi::OsStr::from_bytes(&key)).map(OsStringExt::into_vec))
    }
}

/// `fail:NAME`: every lookup is an error; for tests of error paths.
pub(crate) struct Fail {
    pub(crate) name: String,
}

impl Table for Fail {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, _key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        Err(TableError::failed(&self.name, "Application error"))
    }

    fn visit(&self, _visitor: &mut crate::Visitor<'_>) -> Result<(), TableError> {
        Err(TableError::failed(&self.name, "sequence error: Application error"))
    }
}

/// Takes the place of a table that could not be opened: every lookup is an error that says why.
pub(crate) struct Unavailable {
    pub(crate) name: String,
    pub(crate) reason: String,
    pub(crate) watched: Vec<crate::Stamp>,
}

impl Table for Unavailable {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, _key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        Err(TableError::unavailable(&self.name, &self.reason))
    }

    fn changed(&self) -> bool {
        self.watched.iter().any(crate::Stamp::changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_asked_for_in_lower_case_unless_keys_keep_their_case() {
        // cargo sets it for every test.
        let name = b"CARGO_MANIFEST_DIR";
        let found = |keep_case| {
            let table = Environ { name: "environ:x".to_owned(), keep_case, utf8: true };
            table.lookup(name).unwrap()
        };
        assert_eq!(found(true).as_deref(), Some(env!("CARGO_MANIFEST_DIR").as_bytes()));
        assert_eq!(found(false), None);
    }
}
