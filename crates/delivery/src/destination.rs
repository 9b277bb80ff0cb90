//! What stands at the right side of an alias, in a .forward file or in an :include: list: addresses, files, commands,
//! other lists (aliases(5)).
//!
//! Items are separated by commas, blanks and line ends; double quotes keep blanks together. Whatever the bytes are, the
//! result is a list of destinations; what is no address by RFC 5322 is still passed on as one, and fails as one.

/// One place where mail goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// An address, in internal form. A leading backslash is kept: it means the mailbox, whatever aliases say.
    Address(Vec<u8>),
    /// `|command`, without the bar.
    Command(Vec<u8>),
    /// `/file/name`; a name that ends in a slash is a maildir.
    File(Vec<u8>),
    /// `:include:/file/name`, without the word.
    Include(Vec<u8>),
}

/// Destinations that are taken from one text; a larger list belongs into :include: files or a mailing list manager.
const MAX_DESTINATIONS: usize = 100_000;

/// Reads the right side of an alias.
pub fn parse(text: &[u8]) -> Vec<Destination> {
    let mut found = Vec::new();
    for chunk in chunks(text) {
        match angle_address(chunk) {
            Some(address) => found.extend(address_of(address)),
            None => found.extend(words(chunk).filter_map(classify)),
        }
        if found.len() >= MAX_DESTINATIONS {
            found.truncate(MAX_DESTINATIONS);
            break;
        }
    }
    found
}

/// Reads a .forward file or an :include: list: as [`parse`], without lines that begin with `#`.
pub fn parse_file(text: &[u8]) -> Vec<Destination> {
    let lines = text.split(|&b| b == b'\n').filter(|line| !line.starts_with(b"#"));
    parse(&lines.collect::<Vec<_>>().join(&b'\n'))
}

/// What was between two commas or line ends, outside of quotes and comments.
fn chunks(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(text, |b| b == b',' || b == b'\n' || b == b'\r')
}

/// The blank-separated items of a chunk.
fn words(chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(chunk, |b| b == b' ' || b == b'\t').filter(|word| !word.is_empty() && !word.starts_with(b"("))
}

/// Splits at separators that stand outside of double quotes and parentheses.
fn split(text: &[u8], separates: impl Fn(u8) -> bool) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped, mut depth) = (false, false, 0usize);
        let end = text.iter().position(|&b| {
            match b {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' if depth == 0 => quoted = !quoted,
                b'(' if !quoted => depth += 1,
                b')' if !quoted => depth = depth.saturating_sub(1),
                _ => return !quoted && depth == 0 && separates(b),
            }
            false
        });
        match end {
            Some(end) => {
                rest = Some(&text[end + 1..]);
                Some(&text[..end])
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
}

/// `Full Name <address>`: what is between the angle brackets.
fn angle_address(chunk: &[u8]) -> Option<&[u8]> {
    let inner = chunk.trim_ascii().strip_suffix(b">")?;
    let start = inner.iter().rposition(|&b| b == b'<')?;
    let before = &inner[..start];
    // A quoted command may hold angle brackets of its own.
    let balanced = before.iter().filter(|&&b| b == b'"').count() % 2 == 0;
    let is_special = matches!(before.trim_ascii_start().first(), Some(b'|' | b'/' | b':'));
    (balanced && !is_special).then(|| inner[start + 1..].trim_ascii())
}

fn classify(word: &[u8]) -> Option<Destination> {
    let plain = unquoted(word);
    if let Some(command) = plain.strip_prefix(b"|") {
        let command = command.trim_ascii();
        return (!command.is_empty()).then(|| Destination::Command(command.to_vec()));
    }
    if plain.starts_with(b"/") {
        return Some(Destination::File(plain));
    }
    const INCLUDE: &[u8] = b":include:";
    if plain.get(..INCLUDE.len()).is_some_and(|start| start.eq_ignore_ascii_case(INCLUDE)) {
        return Some(Destination::Include(plain[INCLUDE.len()..].trim_ascii().to_vec()));
    }
    address_of(word)
}

fn address_of(word: &[u8]) -> Option<Destination> {
    if word.starts_with(b"\\") {
        return (word.len() > 1).then(|| Destination::Address(word.to_vec()));
    }
    let address = address::unquote(word);
    (!address.is_empty()).then_some(Destination::Address(address))
}

/// Without double quotes, and with what backslashes within them protect.
fn unquoted(word: &[u8]) -> Vec<u8> {
    let (mut quoted, mut escaped) = (false, false);
    let mut out = Vec::with_capacity(word.len());
    for &b in word {
        match b {
            _ if escaped => {
                out.push(b);
                escaped = false;
            }
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => out.push(b),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> Vec<String> {
        let show = |destination: Destination| match destination {
            Destination::Address(a) => format!("to {}", String::from_utf8_lossy(&a)),
            Destination::Command(c) => format!("run {}", String::from_utf8_lossy(&c)),
            Destination::File(f) => format!("file {}", String::from_utf8_lossy(&f)),
            Destination::Include(i) => format!("list {}", String::from_utf8_lossy(&i)),
        };
        parse_file(text.as_bytes()).into_iter().map(show).collect()
    }

    #[test]
    fn items_are_separated_by_commas_blanks_and_lines() {
        assert_eq!(shown("a, b@c.test d\n# no\ne"), ["to a", "to b@c.test", "to d", "to e"]);
        assert_eq!(shown(" , ,\n"), [""; 0]);
        assert_eq!(shown("<>"), [""; 0]);
    }

    #[test]
    fn commands_files_and_lists_are_known_by_their_first_character() {
        assert_eq!(shown("\"|cat -n, > x\""), ["run cat -n, > x"]);
        assert_eq!(shown("|\"cat -n\""), ["run cat -n"]);
        assert_eq!(shown("|exit 77"), ["run exit", "to 77"]);
        assert_eq!(shown("/var/x/, \"/with blank\""), ["file /var/x/", "file /with blank"]);
        assert_eq!(shown(":Include:/etc/list"), ["list /etc/list"]);
        assert_eq!(shown("\"|sh -c \\\"x <y>\\\"\""), ["run sh -c \"x <y>\""]);
    }

    #[test]
    fn addresses_lose_names_comments_and_quotes() {
        assert_eq!(shown("Full Name <a@b.test>, c@d.test (Some, One)"), ["to a@b.test", "to c@d.test"]);
        assert_eq!(shown("\"two words\"@b.test"), ["to two words@b.test"]);
        assert_eq!(shown("\\alice"), ["to \\alice"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_destinations(text in prop::collection::vec(any::<u8>(), 0..300)) {
            for destination in parse_file(&text) {
                if let Destination::File(path) = destination {
                    prop_assert!(path.starts_with(b"/"));
                }
            }
        }
    }
}
