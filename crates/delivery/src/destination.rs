//! What stands at the right side of an alias, in a .forward file or in an :include: list: addresses, files, commands,
//! other lists (aliases(5)).
//!
//! The text is a list of addresses ([`address::list`]); what an address begins with says what it is. Only text whose
//! owner is known is read so ([`List`]): what an expansion has made may hold text that a stranger chose, and is one
//! address ([`config::expand::Expanded`]).

/// One place where mail goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// An address, in internal form. A leading backslash is kept: it means the mailbox, whatever aliases say.
    Address(Vec<u8>),
    /// `|command`, without the bar; an empty one does nothing.
    Command(Vec<u8>),
    /// `/file/name`, or `~/file` in the home directory; a name that ends in a slash is a maildir.
    File(Vec<u8>),
    /// `:include:/file/name`, without the word.
    Include(Vec<u8>),
}

/// A text that its owner wrote as a list: what it names is done with the owner's rights.
///
/// ```compile_fail
/// let expanded = config::expand::expand("$user", &mut |_: &str| None).unwrap();
/// delivery::destination::List::of_alias(expanded);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    text: Vec<u8>,
    has_lines: bool,
}

/// Destinations that are taken from one list.
/// told: the sender's machine, which keeps the message; see [`TooMany`].
pub const MAX_DESTINATIONS: usize = 1_000_000;

/// A list names more than [`MAX_DESTINATIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl List {
    /// The right side of an alias; from a table that puts nothing of the key into its result.
    pub fn of_alias(value: Vec<u8>) -> Self {
        List { text: value, has_lines: false }
    }

    /// The content of a .forward file or an :include: list: each line is read by itself, those that begin with `#` are
    /// comments.
    pub fn of_file(content: Vec<u8>) -> Self {
        List { text: content, has_lines: true }
    }

    /// The text, as its owner wrote it.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The destinations, in their order.
    ///
    /// # Errors
    /// There are more of them than one list may name.
    pub fn parse(&self) -> Result<Vec<Destination>, TooMany> {
        if !self.has_lines {
            return bounded(address::list(&self.text).into_iter().map(classify));
        }
        let lines = self.text.split(|&b| b == b'\n').filter(|line| !line.starts_with(b"#"));
        bounded(lines.flat_map(address::list).map(classify))
    }
}

fn bounded(mut found: impl Iterator<Item = Destination>) -> Result<Vec<Destination>, TooMany> {
    // told: the caller, which asks whether there is one more.
    let destinations = found.by_ref().take(MAX_DESTINATIONS).collect();
    if found.next().is_some() { Err(TooMany) } else { Ok(destinations) }
}

/// What an address begins with decides. A name with NUL can be no file and no command.
fn classify(address: Vec<u8>) -> Destination {
    const INCLUDE: &[u8] = b":include:";
    match address.first() {
        _ if address.contains(&0) => Destination::Address(address),
        Some(b'|') => Destination::Command(address[1..].to_vec()),
        Some(b'/' | b'~') => Destination::File(address),
        _ if address.get(..INCLUDE.len()).is_some_and(|start| start.eq_ignore_ascii_case(INCLUDE)) => {
            Destination::Include(address[INCLUDE.len()..].to_vec())
        }
        _ => Destination::Address(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(destination: &Destination) -> String {
        match destination {
            Destination::Address(a) => format!("to {}", String::from_utf8_lossy(a)),
            Destination::Command(c) => format!("run {}", String::from_utf8_lossy(c)),
            Destination::File(f) => format!("file {}", String::from_utf8_lossy(f)),
            Destination::Include(i) => format!("list {}", String::from_utf8_lossy(i)),
        }
    }

    fn in_file(text: &str) -> Vec<String> {
        List::of_file(text.into()).parse().unwrap().iter().map(show).collect()
    }

    fn in_alias(text: &str) -> Vec<String> {
        List::of_alias(text.into()).parse().unwrap().iter().map(show).collect()
    }

    #[test]
    fn items_are_separated_by_commas_blanks_and_lines() {
        assert_eq!(in_file("a, b@c.test d\n# no\ne"), ["to a", "to b@c.test", "to d", "to e"]);
        assert_eq!(in_file(" , ,\n"), [""; 0]);
        assert_eq!(in_file("<>"), [""; 0]);
        assert_eq!(in_file("a, # b\r\n # c\r\n"), ["to a", "to #", "to b", "to #", "to c"]);
        assert_eq!(in_file("\"a\n b\""), ["to a", "to b", "to "]);
    }

    #[test]
    fn commands_files_and_lists_are_known_by_their_first_character() {
        for (text, destinations) in [
            ("\"|cat -n, > x\"", &["run cat -n, > x"][..]),
            ("|\"cat -n\"", &["run cat -n"]),
            ("| \"cat -n\" x", &["run cat -n", "to x"]),
            ("| /bin/cat", &["run /bin/cat"]),
            ("a, \t|\t/bin/cat, b", &["to a", "run /bin/cat", "to b"]),
            ("\"| cat\"", &["run  cat"]),
            ("|exit 77", &["run exit", "to 77"]),
            ("<|cat>, Foo <\"|cat x\">", &["run cat", "run cat x"]),
            ("a | /b", &["to a|/b"]),
            ("\" |cat\" '|cat'", &["to  |cat", "to '|cat'"]),
            ("\\|cat, \"\\\\/x\"", &["run cat", "to \\/x"]),
            ("/var/x/, \"/with blank\", /a b", &["file /var/x/", "file /with blank", "file /a", "to b"]),
            ("/ x", &["file /", "to x"]),
            ("~/x, \"~/x y\", ~bob/x", &["file ~/x", "file ~/x y", "file ~bob/x"]),
            (":Include:/etc/list, : include : /x", &["list /etc/list", "list /x"]),
            ("\":include: /x\"", &["list  /x"]),
            ("\"|sh -c \\\"x <y>\\\"\"", &["run sh -c \"x <y>\""]),
        ] {
            assert_eq!(in_alias(text), destinations, "{text}");
            assert_eq!(in_file(text), destinations, "{text}");
        }
    }

    #[test]
    fn addresses_lose_names_comments_and_quotes() {
        assert_eq!(in_file("Full Name <a@b.test>, c@d.test (Some, One)"), ["to a@b.test", "to c@d.test"]);
        assert_eq!(in_file("\"two words\"@b.test"), ["to two words@b.test"]);
        assert_eq!(in_file("\\alice \"\\\\bob\""), ["to alice", "to \\bob"]);
        assert_eq!(in_file("\"\" a\0b /x\0y"), ["to ", "to a\0b", "to /x\0y"]);
    }

    #[test]
    fn a_list_that_is_too_long_is_an_error_and_no_shorter_list() {
        let full = "a,".repeat(MAX_DESTINATIONS);
        assert_eq!(List::of_alias(full.clone().into()).parse().map(|found| found.len()), Ok(MAX_DESTINATIONS));
        assert_eq!(List::of_alias((full + "b").into()).parse(), Err(TooMany));
    }

    proptest! {
        #[test]
        fn any_bytes_are_destinations(text in prop::collection::vec(any::<u8>(), 0..300)) {
            for destination in List::of_file(text).parse().unwrap() {
                if let Destination::File(path) = destination {
                    prop_assert!(path.starts_with(b"/") || path.starts_with(b"~"));
                }
            }
        }
    }
}
