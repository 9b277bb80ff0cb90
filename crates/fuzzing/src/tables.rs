//! The texts of tables and lists: bad lines are problems beside the entries, and what is looked up comes from the text.

use std::sync::Once;

use delivery::destination::{Destination, List};
use logging::{LogFile, Setup};
use lookup::{Kind, OpenFlags, Settings, alias, source};

use crate::pieces::{choices, fields};

/// Entries have a key and a value on a line; written so again they are the same entries.
pub fn table_source(data: &[u8]) {
    let (choice, text) = choices(data);
    let (entries, problems) = source::entries(text, choice & 1 == 0);
    assert!(entries.len() + problems.len() <= 2 * text.len() + 1);
    for entry in entries {
        assert!(!entry.key.is_empty() && !entry.value.is_empty());
        assert!(!entry.value.contains(&b'\n') && !entry.key.contains(&b'\n'));
        let line = [&entry.key[..], b" ", &entry.value].concat();
        let again = source::entries(&line, choice & 1 == 0).0;
        assert_eq!(
            again.iter().map(|entry| (&entry.key, &entry.value)).collect::<Vec<_>>(),
            [(&entry.key, &entry.value)]
        );
    }
    for problem in problems {
        assert!(problem.in_file("file").starts_with("file"));
    }
}

/// What an alias names is the same list when it is written anew.
pub fn alias_source(data: &[u8]) {
    let (choice, text) = choices(data);
    let (entries, problems) = alias::entries(text, choice & 1 == 0);
    assert!(entries.len() + problems.len() <= 2 * text.len() + 1);
    for entry in entries {
        assert!(!entry.value.contains(&b'\n') && !entry.key.contains(&b'\n'));
        // A backslash at the end of a line is an empty word.
        let value = entry.value.trim_ascii_end();
        let line = [b"x: ", value].concat();
        let again = alias::entries(&line, choice & 1 == 0).0.into_iter().map(|entry| entry.value);
        assert!(again.eq((!value.is_empty()).then(|| value.to_vec())));
    }
}

/// A list names no more than its text has room for, and files, commands and lists are what they look like.
pub fn destinations(data: &[u8]) {
    let (choice, text) = choices(data);
    let list = if choice & 1 == 0 { List::of_alias(text.to_vec()) } else { List::of_file(text.to_vec()) };
    let found = list.parse().expect("a short text names few");
    assert!(found.len() <= text.len());
    for destination in found {
        match destination {
            Destination::File(name) => assert!(name.starts_with(b"/") || name.starts_with(b"~")),
            Destination::Command(text) | Destination::Include(text) => assert!(!text.contains(&0)),
            Destination::Address(_) => {}
        }
    }
}

/// A table of patterns answers every key, from its own text and the key.
pub fn pattern_tables(data: &[u8]) {
    quiet();
    let (choice, data) = choices(data);
    let [key, other, text] = fields(data);
    let kind = [Kind::Cidr, Kind::Pcre, Kind::Regexp, Kind::Texthash][usize::from(choice & 3)];
    let flags = OpenFlags { keep_case: choice & 4 != 0, no_substitution: choice & 8 != 0, ..OpenFlags::default() };
    let Ok(table) = lookup::of_text(kind, text, &Settings::default(), flags) else { return };
    for key in [key, other, b"", b"192.0.2.1"] {
        if let Ok(Some(value)) = table.lookup(key) {
            // Every byte of a result may stand for the whole key.
            assert!(value.len() <= text.len() * (key.len() + 1));
            if flags.no_substitution || matches!(kind, Kind::Cidr | Kind::Texthash) {
                assert!(value.len() <= text.len());
            }
        }
    }
}

/// Lines about bad rules go nowhere.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let fallback = Some(LogFile { path: "/dev/null".into(), mode: 0o600 });
        logging::set_up(Setup { program: "fuzzing".to_owned(), fallback, ..Setup::default() });
    });
}
