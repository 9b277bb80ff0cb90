//! The texts of tables and lists: bad lines are problems beside the entries, and what is looked up comes from the text.

use std::collections::BTreeMap;
use std::io;
use std::sync::Once;
use std::time::SystemTime;

use address::Delimiters;
use delivery::destination::{Destination, List};
use logging::{LogFile, Setup};
use lookup::btree::Tree;
use lookup::cdb::Cdb;
use lookup::client::sql::{double_quotes, unquoted};
use lookup::client::template::{Template, Use};
use lookup::fold::fold;
use lookup::index::{Source, State};
use lookup::write::cdb::encoded;
use lookup::{Kind, OpenFlags, ParentStyle, Settings, alias, search, source};

use crate::addresses::escaped;
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

/// Nothing of a key ends the text in which a query has it: what stands outside of quotes is the same for every key. A
/// template that is written as it was read is the same; a value is no longer than its parts.
pub fn client_queries(data: &[u8]) {
    let [template, key, result] = fields(data);
    let Ok(text) = std::str::from_utf8(template) else { return };
    if let Ok(template) = Template::parse(text, Use::Query) {
        assert_eq!(Template::parse(template.text(), Use::Query).as_ref(), Ok(&template));
        let plain = template.query(key, |_, query| query.push(b'k'));
        let query = template.query(key, double_quotes);
        assert_eq!(query.is_some(), template.suits(key));
        if let (Some(plain), Some(query)) = (plain, query) {
            assert!(query.len() <= text.len() * (1 + 2 * key.len()));
            if unquoted(text).is_empty() {
                assert_eq!(outside_of_quotes(&plain), outside_of_quotes(&query));
            }
        }
    }
    if let Ok(template) = Template::parse(text, Use::Result) {
        let longest = text.len() * (1 + key.len() + result.len());
        assert!(template.value(key, result).is_none_or(|value| value.len() <= longest));
    }
}

fn outside_of_quotes(query: &[u8]) -> Vec<u8> {
    let (mut within, mut outside) = (None, Vec::new());
    for &byte in query {
        match within {
            None if byte == b'\'' || byte == b'"' => within = Some(byte),
            None => outside.push(byte),
            Some(quote) if quote == byte => within = None,
            Some(_) => {}
        }
    }
    outside
}

/// The first key of an address is the address; there are no more keys than it has parts, and none is longer than it,
/// quoted.
pub fn lookup_keys(data: &[u8]) {
    let (choice, address) = choices(data);
    let delimiters = Delimiters::new(if choice & 1 == 0 { "+-" } else { "" }, choice & 2 == 0);
    let parents = if choice & 4 == 0 { ParentStyle::Bare } else { ParentStyle::Dotted };
    let utf8 = choice & 8 == 0;
    let of_address = [
        search::address_keys(address, &delimiters, |domain| domain.len() % 2 == 0),
        search::transport_keys(address, &delimiters, parents),
        search::access_keys(address, &delimiters, parents),
    ];
    let of_others = [
        search::host_keys(address, parents),
        search::network_keys(address),
        search::alias_keys(address, &delimiters, utf8),
    ];
    let parts = address.iter().filter(|byte| b".@:+-".contains(byte)).count();
    for keys in of_address.iter().chain(&of_others) {
        assert!(keys.len() <= parts + 5);
        for text in keys.iter().flat_map(|key| key.texts()) {
            assert!(text.len() <= 2 * address.len() + 4);
            assert!(fold(text, utf8).len() <= 3 * text.len());
        }
    }
    for keys in of_address.iter().filter(|keys| !keys.is_empty()) {
        assert!(address.is_empty() || !keys[0].partial);
    }
}

/// A list names no more than its text has room for, files, commands and lists are what they look like, and written as a
/// list again it is the same one.
pub fn destinations(data: &[u8]) {
    let (choice, text) = choices(data);
    let list = if choice & 1 == 0 { List::of_alias(text.to_vec()) } else { List::of_file(text.to_vec()) };
    let found = list.parse().expect("a short text names few");
    assert!(found.len() <= text.len());
    let written: Vec<Vec<u8>> = found.iter().map(|it| [b"\"", &escaped(&said(it))[..], b"\""].concat()).collect();
    assert_eq!(List::of_alias(written.join(&b", "[..])).parse().as_ref(), Ok(&found));
    for destination in found {
        match destination {
            Destination::File(name) => assert!(name.starts_with(b"/") || name.starts_with(b"~")),
            Destination::Command(text) | Destination::Include(text) => assert!(!text.contains(&0)),
            Destination::Address(_) => {}
        }
    }
}

/// What stands for a destination in a list.
fn said(destination: &Destination) -> Vec<u8> {
    match destination {
        Destination::Address(address) => address.clone(),
        Destination::Command(text) => [b"|", &text[..]].concat(),
        Destination::File(name) => name.clone(),
        Destination::Include(name) => [b":include:", &name[..]].concat(),
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

/// An index that anybody may have written is read to an end, and what is found by walking through it is found by its
/// key.
pub fn lmdb_files(data: &[u8]) {
    let (choice, data) = choices(data);
    let [key, pages] = fields(data);
    let file = index(choice, pages);
    let Ok(tree) = Tree::open(Pages(&file)) else { return };
    let _ = tree.get(&[key]);
    let mut entries = Vec::new();
    let visited = tree.visit(&mut |key, value| entries.push((key, value)));
    assert!(entries.iter().map(|(key, value)| key.len() + value.len() + 1).sum::<usize>() <= 64 * file.len());
    // A page that is all entries: where it says that they end, its list of them ends.
    let header = size_of::<usize>() + 8;
    let listed = pages.get(header - 4..header - 2).map(|lower| usize::from(u16::from_ne_bytes([lower[0], lower[1]])));
    let is_whole = pages.len() <= PAGE && listed.is_some_and(|end| end.saturating_sub(header) / 2 == entries.len());
    if visited.is_ok() && is_whole && entries.is_sorted_by(|one, other| one.0 < other.0) {
        for (key, value) in entries {
            assert_eq!(tree.get(&[&key]).ok().flatten(), Some((0, value)));
        }
    }
}

/// A constant database that anybody may have written is read to an end, gives no more than it has, and one that was
/// made of entries has them.
pub fn cdb_files(data: &[u8]) {
    let (choice, data) = choices(data);
    let [key, content] = fields(data);
    let file = constant(choice, content);
    if let Ok(cdb) = Cdb::open(Pages(&file)) {
        if let Ok(Some((_, value))) = cdb.get(&[key]) {
            assert!(value.len() + key.len() < file.len());
        }
        let mut length = 0;
        let _ = cdb.visit(&mut |key, value| length += key.len() + value.len() + 8);
        assert!(length <= file.len());
    }
    let lines = content.split(|byte| *byte == b'\n').map(|line| line.split_at(line.len() / 2));
    let entries: BTreeMap<Vec<u8>, Vec<u8>> = lines.map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    let entries: Vec<(Vec<u8>, Vec<u8>)> = entries.into_iter().collect();
    let written = encoded(&entries).expect("a short file");
    let cdb = Cdb::open(Pages(&written)).expect("a file that was just made");
    let mut found = Vec::new();
    cdb.visit(&mut |key, value| found.push((key, value))).expect("its entries");
    assert_eq!(found, entries);
    for (key, value) in entries {
        assert_eq!(cdb.get(&[&key]).ok().flatten(), Some((0, value)));
    }
}

/// A file as it is, or with tables in front that are in it for sure, wherever the first bytes say.
fn constant(choice: u8, content: &[u8]) -> Vec<u8> {
    const HEADER: usize = 2048;
    if choice & 1 == 0 || content.len() < 8 {
        return content.to_vec();
    }
    let mut file = Vec::with_capacity(HEADER + content.len());
    for pair in content.chunks_exact(2).cycle().take(HEADER / 8) {
        let start = usize::from(pair[0]) * 4 % content.len();
        let slots = usize::from(pair[1]) % (1 + (content.len() - start) / 8);
        let number = |number: usize| u32::try_from(number).unwrap_or_default().to_le_bytes();
        file.extend([number(HEADER + start), number(slots)].concat());
    }
    file.extend_from_slice(content);
    file
}

/// The smallest page.
const PAGE: usize = 512;

/// A file of these pages behind two meta pages, the first of them the root; each page says its own number.
fn index(choice: u8, pages: &[u8]) -> Vec<u8> {
    let word = |number: usize| number.to_ne_bytes();
    let count = pages.len().div_ceil(PAGE);
    let mut file = Vec::new();
    for page in 0..2 {
        let header =
            [&word(page)[..], &[0; 8], &0xBEEF_C0DE_u32.to_ne_bytes(), &1u32.to_ne_bytes(), &word(0), &word(0)];
        let free = [&(PAGE as u32).to_ne_bytes()[..], &[0; 4], &word(0).repeat(5)];
        // More pages than there are, for some.
        let last = word(count + 1 + usize::from(choice & 64) * 1000);
        let main =
            [&[0; 8][..], &word(0).repeat(4), &word(if count == 0 { usize::MAX } else { 2 }), &last, &word(page)];
        file.extend([header.concat(), free.concat(), main.concat()].concat());
        file.resize((page + 1) * PAGE, 0);
    }
    for (number, page) in pages.chunks(PAGE).enumerate() {
        file.extend_from_slice(page);
        file.resize((number + 3) * PAGE, 0);
        let start = (number + 2) * PAGE;
        file[start..start + size_of::<usize>()].copy_from_slice(&word(number + 2));
    }
    file
}

/// Bytes in the place of a file.
struct Pages<'a>(&'a [u8]);

impl Source for Pages<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self.0.get(start..start.saturating_add(buffer.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn state(&self) -> io::Result<State> {
        Ok(State { length: self.0.len() as u64, written: SystemTime::UNIX_EPOCH, modified: SystemTime::UNIX_EPOCH })
    }
}

/// Log lines go nowhere.
pub(crate) fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let fallback = Some(LogFile { path: "/dev/null".into(), mode: 0o600 });
        logging::set_up(Setup { program: "fuzzing".to_owned(), fallback, ..Setup::default() });
    });
}
