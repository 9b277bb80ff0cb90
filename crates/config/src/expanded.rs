//! The result of an expansion whose names are not those of main.cf alone.

/// What an expansion has made: one value of one kind, whatever the names stood for. It may hold text that a stranger
/// chose, and is therefore never a list, a command or a setting: there is no way to these from here.
///
/// ```compile_fail
/// let expanded = config::expand::expand("$user", &mut |_: &str| None).unwrap();
/// let words: Vec<&str> = expanded.split(',').collect();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expanded(String);

impl Expanded {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// For a reader: a log line, the text of a reply, the output of postconf.
    pub fn as_text(&self) -> &str {
        &self.0
    }

    /// One address, in internal form.
    pub fn into_address(self) -> Vec<u8> {
        self.0.into_bytes()
    }

    /// One absolute path; `None` where it is something else.
    pub fn into_path(self) -> Option<Vec<u8>> {
        self.0.starts_with('/').then(|| self.0.into_bytes())
    }
}
